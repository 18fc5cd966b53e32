"""Published deep networks step by step in plain NumPy, in the words of their publications.

What a network is made of is a mapping of arrays by the publications' names. A complex state is a pair of real
vectors, so that a complex
step along each of them is possible. Nothing here knows of leapgrad.
"""

import numpy as np
from naive_cells import EPS, sigma
from scipy.special import erf


def gelu(x):
    return 0.5 * x * (1.0 + erf(x / np.sqrt(2.0)))


def gelu_tanh(x):
    return 0.5 * x * (1.0 + np.tanh(np.sqrt(2.0 / np.pi) * (x + 0.044715 * x**3)))


def silu(x):
    return x * sigma(x)


def layer_norm(x, w, b, eps=1e-5):
    mean = np.mean(x)
    return w * (x - mean) / np.sqrt(np.mean((x - mean) ** 2) + eps) + b


def rms_norm(x, w, eps=1e-5):
    return w * x / np.sqrt(np.mean(x**2) + eps)


def batch_norm(x, w, b, mean, var, eps=1e-5):
    """With a running mean and variance."""
    return w * (x - mean) / np.sqrt(var + eps) + b


def dense(p, x):
    return p["W"] @ x + p["b"]


def gated_linear_unit(layer, x):
    return dense(layer["w1"], x) * sigma(dense(layer["w2"], x))


def linoss_network(net, state, x):
    """One step of all blocks of LinOSS-IMEX for states (layers, 4, P): Re z, Im z, Re y, Im y."""
    e, new = dense(net["encoder"], x), []
    for layer, (z_re, z_im, y_re, y_im) in zip(net["layers"], state, strict=True):
        u = batch_norm(e, 1.0, 0.0, layer["mean"], layer["var"])
        A, dt = np.maximum(layer["A_diag"], 0.0), 1.0 / (1.0 + np.exp(-layer["steps"]))
        z_re = z_re + dt * (layer["B"].real @ u - A * y_re)
        z_im = z_im + dt * (layer["B"].imag @ u - A * y_im)
        y_re, y_im = y_re + dt * z_re, y_im + dt * z_im
        out = layer["C"].real @ y_re - layer["C"].imag @ y_im + layer["D"] * u
        e = e + gated_linear_unit(layer, gelu_tanh(out))
        new.append((z_re, z_im, y_re, y_im))
    return np.array(new), e


def lru_network(net, state, x):
    """One step of all blocks of LRU for states (layers, 2, d): Re h, Im h."""
    e, new = dense(net["encoder"], x), []
    for layer, (re, im) in zip(net["layers"], state, strict=True):
        u = batch_norm(e, *(layer[name] for name in ("scale", "bias", "mean", "var")))
        size, angle = np.exp(-np.exp(layer["nu_log"])), np.exp(layer["theta_log"])
        a, b, gamma = size * np.cos(angle), size * np.sin(angle), np.sqrt(1.0 - size**2)
        re, im = a * re - b * im + gamma * (layer["B_re"] @ u), b * re + a * im + gamma * (layer["B_im"] @ u)
        out = layer["C_re"] @ re - layer["C_im"] @ im + layer["D"] * u
        e = e + gated_linear_unit(layer, gelu_tanh(out))
        new.append((re, im))
    return np.array(new), e


NORMS = {
    "layer": lambda p, name, x: layer_norm(x, p[f"{name}.w"], p[f"{name}.b"]),
    "rms": lambda p, name, x: rms_norm(x, p[f"{name}.w"]),
    "batch": lambda p, name, x: batch_norm(x, *(p[f"{name}.{part}"] for part in ("w", "b", "mean", "var"))),
    "none": lambda p, name, x: x,
}
ACTIVATIONS = {"gelu": gelu, "gelu_tanh": gelu_tanh, "silu": silu, "tanh": np.tanh}


def stack(p, cell, states, x, read, design):
    """One step of blocks of any cell; ``cell(number, s, x)`` is its step and `read` the rows that C reads."""
    e, new = dense({"W": p["encoder.W"], "b": p["encoder.b"]}, x), []
    for number, s in enumerate(states):
        name = f"layer{number}"
        u = NORMS[design["norm"]](p, f"{name}.norm", e) if design["prenorm"] else e
        s = cell(number, s, u)
        a = ACTIVATIONS[design["activation"]](p[f"{name}.C"] @ s[read] + p[f"{name}.D"] * u)
        share = sigma(p[f"{name}.gate.W"] @ a + p[f"{name}.gate.b"]) if design["gate"] != "none" else 1.0
        value = p[f"{name}.out.W"] @ a + p[f"{name}.out.b"] if design["gate"] == "glu" else a
        e = e + value * share
        e = e if design["prenorm"] else NORMS[design["norm"]](p, f"{name}.norm", e)
        new.append(s)
    return new, e


def jacobian(step, s):
    """∂step/∂s by complex steps."""
    return np.stack([np.imag(step(s + 1j * EPS * e)) / EPS for e in np.eye(s.size)], axis=1)
