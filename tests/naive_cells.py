"""Slow, obvious twins of the recurrent cells: their published equations over arrays of any number type.

``step(p, s, x, h, clock)`` with parameters p by name, state s (D,), input x, step size h; entries may be
floats, complex numbers or mpmath numbers.
"""

import mpmath
import numpy as np

EPS = 1e-30  # of the complex step: its square vanishes, so the derivative has no truncation error


def each(name):
    """A function of NumPy, or of mpmath where the entries are objects."""
    scalar = np.vectorize(getattr(mpmath, name), otypes=[object])
    return lambda a: scalar(a) if np.asarray(a).dtype == object else getattr(np, name)(a)


tanh, exp, sqrt = each("tanh"), each("exp"), each("sqrt")


def real(a):
    return np.array([complex(v).real for v in np.ravel(a)]).reshape(np.shape(a))


def sigma(a):
    return 1 / (1 + exp(-a))


def relu(a):
    return np.where(real(a) > 0, a, 0 * a)


def rows(a, count):
    return np.split(a, count)


def driven(p, x):
    """V x + b, either of which may be absent."""
    return (p["V"] @ x if "V" in p else 0) + p.get("b", 0)


def vanilla(p, s, x, h, clock):
    return tanh(p["W"] @ s + driven(p, x))


def irnn(p, s, x, h, clock):
    return relu(p["W"] @ s + driven(p, x))


def lstm(p, s, x, h, clock):
    hidden, c = rows(s, 2)
    i, f, g, o = rows(p["W"] @ hidden + driven(p, x), 4)
    c = sigma(f) * c + sigma(i) * tanh(g)
    return np.concatenate([sigma(o) * tanh(c), c])


def gru(p, s, x, h, clock):
    d = len(s)
    u_r, u_z, u_n = p["W"][d : 2 * d], p["W"][2 * d :], p["W"][:d]
    w_r, w_z, w_n = rows(p["V"] @ x if "V" in p else np.zeros(3 * d), 3)
    b_q, b_r, b_z, b_n = rows(p["b"], 4)
    r, z = sigma(u_r @ s + w_r + b_r), sigma(u_z @ s + w_z + b_z)
    new = tanh(w_n + b_n + r * (u_n @ s + b_q))
    return (1 - z) * new + z * s


def gru_before(p, s, x, h, clock):
    d = len(s)
    w_r, w_z, w_n = rows(p["V"] @ x if "V" in p else np.zeros(3 * d), 3)
    b_r, b_z, b_n = rows(p["b"], 3)
    r, z = sigma(p["W"][:d] @ s + w_r + b_r), sigma(p["W"][d:] @ s + w_z + b_z)
    new = tanh(w_n + b_n + p["R"] @ (r * s))
    return (1 - z) * new + z * s


def jacobian(step, p, s, x, h=1.0, clock=()):
    """∂step/∂s by the complex step, column by column."""
    unit = np.eye(len(s))
    if np.asarray(s).dtype == object:
        eps = mpmath.mpf(10) ** -40
        columns = [
            [mpmath.im(v) / eps for v in step(p, s + mpmath.mpc(0, eps) * e, x, h, clock)] for e in unit
        ]
        return np.array(columns, dtype=object).T
    return np.array([np.imag(step(p, s + 1j * EPS * e, x, h, clock)) / EPS for e in unit]).T


def in_mpmath(p, *arrays):
    """Parameters and arrays with mpmath entries."""

    def converted(a):
        return np.vectorize(mpmath.mpf, otypes=[object])(np.asarray(a, dtype=float))

    return {name: converted(value) for name, value in p.items()}, *map(converted, arrays)


def euler(p, s, x, h, clock):
    return s + h * tanh(p["W"] @ s + driven(p, x))


residual = antisymmetric = euler


def gated_antisymmetric(p, s, x, h, clock):
    a, z = rows(driven(p, x) + np.zeros(2 * len(s)), 2)
    return s + h * sigma(p["W"] @ s + z) * tanh(p["W"] @ s + a)


def leaky(p, s, x, h, clock):
    return (1 - h) * s + h * tanh(p["W"] @ s + driven(p, x))


def cornn(p, s, x, h, clock):
    y, z = rows(s, 2)
    force = tanh(p["W"] @ s + driven(p, x)) - p["gamma"] * y
    if p["imex"] != 0:
        z = (z + h * force) / (1 + h * p["epsilon"])
    else:
        z = z + h * (force - p["epsilon"] * z)
    return np.concatenate([y + h * z, z])


cornn_imex = cornn


def unicornn(p, s, x, h, clock):
    y, z = rows(s, 2)
    step = h * sigma(p["c"])
    z = z - step * (tanh(p["w"] * y + driven(p, x)) + p["alpha"] * y)
    return np.concatenate([y + step * z, z])


def staggered(p, s, x, h, clock):
    y, q = rows(s, 2)
    y = y + h * q
    return np.concatenate([y, q + h * tanh(p["R"] @ y + driven(p, x))])


def lem(p, s, x, h, clock):
    y, z = rows(s, 2)
    a_y, a_z, a_g, a_t = rows(driven(p, x), 4)
    w_y, w_z, w_g = rows(p["W"], 3)
    delta_y, delta_z = h * sigma(w_y @ y + a_y), h * sigma(w_z @ y + a_z)
    z = (1 - delta_z) * z + delta_z * tanh(w_g @ y + a_g)
    return np.concatenate([(1 - delta_y) * y + delta_y * tanh(p["R"] @ z + a_t), z])


def scornn(p, s, x, h, clock):
    a = p["W"] @ s + (p["V"] @ x if "V" in p else 0)
    sign = np.sign(real(a))
    # At a = 0 the rule is the identity if b = 0, and has slope 1 on both sides of its jump if b > 0.
    return np.where((sign == 0) & (real(p["b"]) >= 0), a, sign * relu(sign * a + p["b"]))


exprnn = enrnn = scornn


def urnn(p, s, x, h, clock):
    u, v = rows(p["W"] @ s + (p["V"] @ x if "V" in p else 0), 2)
    at_zero = (real(u) == 0) & (real(v) == 0) & (p["inside"] == 0)
    size = sqrt(np.where(at_zero, 1, u * u + v * v + p["inside"]))
    factor = relu(size + p["b"]) / (size + p["outside"])
    # z times a continuous factor: at 0 the derivative is the factor, b/e; without e the slope along lines, 1.
    by_e = relu(p["b"]) / p["outside"] if p["outside"] != 0 else np.where(real(p["b"]) >= 0, 1, 0)
    factor = np.where(at_zero, by_e, factor)
    return np.concatenate([factor * u, factor * v])


scurnn = urnn


def momentum_rnn(p, s, x, h, clock):
    hidden, v = rows(s, 2)
    b_h, b_x = rows(p["b"], 2)
    v = clock[0] * v + p["s"] * ((p["V"] @ x if "V" in p else 0) + b_x)
    return np.concatenate([tanh(p["W"] @ hidden + v + b_h), v])


nesterov_rnn = restart_rnn = momentum_rnn


def nesterov_preactivation_rnn(p, s, x, h, clock):
    hidden, old = rows(s, 2)
    b_h, b_x = rows(p["b"], 2)
    new = p["W"] @ hidden + b_h - p["s"] * ((p["V"] @ x if "V" in p else 0) + b_x)
    return np.concatenate([tanh(new + clock[0] * (new - old)), new])


def adam_rnn(p, s, x, h, clock):
    hidden, v, m = rows(s, 3)
    b_h, b_x = rows(p["b"], 2)
    g = (p["V"] @ x if "V" in p else 0) + b_x
    v, m = clock[0] * v + p["s"] * g, p["beta"] * m + (1 - p["beta"]) * g * g
    return np.concatenate([tanh(p["W"] @ hidden + v / sqrt(m + 1e-16) + b_h), v, m])


rmsprop_rnn = adam_rnn


def _gates(a, c):
    i, f, g, o = rows(a, 4)
    c = sigma(f) * c + sigma(i) * tanh(g)
    return sigma(o) * tanh(c), c


def momentum_lstm(p, s, x, h, clock):
    d = len(s) // 6
    hidden, c, v = s[:d], s[d : 2 * d], s[2 * d :]
    b_h, b_x = rows(p["b"], 2)
    v = clock[0] * v + p["s"] * ((p["V"] @ x if "V" in p else 0) + b_x)
    return np.concatenate([*_gates(v + p["W"] @ hidden + b_h, c), v])


def nesterov_lstm(p, s, x, h, clock):
    d = len(s) // 6
    hidden, c, old = s[:d], s[d : 2 * d], s[2 * d :]
    b_h, b_x = rows(p["b"], 2)
    new = p["W"] @ hidden + b_h - p["s"] * ((p["V"] @ x if "V" in p else 0) + b_x)
    return np.concatenate([*_gates(new + clock[0] * (new - old), c), new])


def _descent(p, h, x):
    pre = p["W"] @ h + driven(p, x)
    r = p["alpha"] * h - relu(pre)
    return p["alpha"] * r - p["W"].T @ np.where(real(pre) > 0, r, 0 * r)


def sbo(p, s, x, h, clock):
    return s - p["eta"] * _descent(p, s, x)


def sbo_heavy_ball(p, s, x, h, clock):
    hidden, v = rows(s, 2)
    v = p["mu"] * v - p["eta"] * _descent(p, hidden, x)
    return np.concatenate([hidden + v, v])


def sbo_nesterov(p, s, x, h, clock):
    hidden, old = rows(s, 2)
    new = hidden - p["eta"] * _descent(p, hidden, x)
    return np.concatenate([new + p["mu"] * (new - old), new])


def linoss_im(p, s, x, h, clock):
    z, y = rows(s, 2)
    A, dt = p["A"], p["dt"]
    z = (z + dt * (driven(p, x) - A * y)) / (1 + dt * dt * A)  # z' = z + Δt (u − A (y + Δt z'))
    return np.concatenate([z, y + dt * z])


def linoss_imex(p, s, x, h, clock):
    z, y = rows(s, 2)
    z = z + p["dt"] * (driven(p, x) - p["A"] * y)
    return np.concatenate([z, y + p["dt"] * z])


def linoss_vv(p, s, x, h, clock):
    z, y = rows(s, 2)
    A, dt, u = p["A"], p["dt"], driven(p, x)
    new = y + dt * z + dt**2 / 2 * (u - A * y)
    return np.concatenate([z + dt / 2 * ((u - A * y) + (u - A * new)), new])


def dlinoss(p, s, x, h, clock):
    z, y = rows(s, 2)
    A, G, dt, u = p["A"], p["G"], p["dt"], driven(p, x)
    if p["variant"] == 3:  # all explicit
        return np.concatenate([z + dt * (u - A * y - G * z), y + dt * z])
    if p["variant"] == 2:  # all implicit
        new = (z + dt * (u - A * y)) / (1 + dt * G + dt * dt * A)
    elif p["variant"] == 0:
        new = (z + dt * (u - A * y)) / (1 + dt * G)
    else:
        new = z + dt * (u - A * y - G * z)
    return np.concatenate([new, y + dt * new])


def lru(p, s, x, h, clock):
    re, im = rows(s, 2)
    u, w = rows(p["V"] @ x if "V" in p else 0 * s, 2)
    a, b, g, k = p["a_re"], p["a_im"], p["g_re"], p["g_im"]
    return np.concatenate([a * re - b * im + g * u - k * w, b * re + a * im + k * u + g * w])


s4d = lru


def _candidate(p, a):
    if p["positive"] == 0:
        return a
    above = real(a) >= 0
    return np.where(above, a + 0.5, sigma(np.where(above, 0 * a, a)))


def mingru(p, s, x, h, clock):
    z, n = rows(driven(p, x), 2)
    return (1 - sigma(z)) * s + sigma(z) * _candidate(p, n)


def minlstm(p, s, x, h, clock):
    f, i, n = rows(driven(p, x), 3)
    f, i = sigma(f), sigma(i)
    if p["normalised"] != 0:
        f, i = f / (f + i), i / (f + i)
    return f * s + i * _candidate(p, n)


def rg_lru(p, s, x, h, clock):
    d = len(s)
    value, r, i = rows(p["V"] @ x if "V" in p else np.zeros(3 * d), 3)
    r, i = sigma(r + p["b"][:d]), sigma(i + p["b"][d:])
    a = exp(p["c"] * r * p["log_a"])
    return a * s + sqrt(1 - a * a) * i * value


def log(a):
    scalar = np.vectorize(mpmath.log, otypes=[object])
    return scalar(a) if np.asarray(a).dtype == object else np.log(a)


def s6(p, s, x, h, clock):
    states = 16
    d = len(s) // states
    value, delta, *B = rows(p["V"] @ x if "V" in p else np.zeros((2 + states) * d), 2 + states)
    dt = log(1 + exp(delta + p["b"]))
    parts = zip(rows(s, states), B, strict=True)
    return np.concatenate([exp(dt * p[f"A{k}"]) * part + dt * b * value for k, (part, b) in enumerate(parts)])


def _stabilised(p, f, i, m):
    log_f = f if p["exponential"] != 0 else -log(1 + exp(-f))
    new = np.where(real(log_f + m) >= real(i), log_f + m, i)
    return new, exp(log_f + m - new), exp(i - new)


def slstm(p, s, x, h, clock):
    hidden, c, n, m = rows(s, 4)
    z, i, f, o = rows(p["W"] @ hidden + driven(p, x), 4)
    m, f, i = _stabilised(p, f, i, m)
    c, n = f * c + i * tanh(z), f * n + i
    return np.concatenate([sigma(o) * c / n, c, n, m])


def mlstm(p, s, x, h, clock):
    keys = 4
    d = len(s) // (2 * keys + 1)
    value, i, f, *k = rows(p["V"] @ x if "V" in p else np.zeros((3 + keys) * d), 3 + keys)
    *stored, m = rows(s, 2 * keys + 1)
    m, f, i = _stabilised(p, f + p["b"][d:], i + p["b"][:d], m)
    k = [part / 2 for part in k]  # √4
    memory = [f * part + i * value * key for part, key in zip(stored[:keys], k, strict=True)]
    counts = [f * part + i * key for part, key in zip(stored[keys:], k, strict=True)]
    return np.concatenate([*memory, *counts, m])


def lipschitz(p, s, x, h, clock):
    A, W = rows(p["W"], 2)
    return s + h * (A @ s + tanh(W @ s + driven(p, x)))


def h2(p, s, x, h, clock):
    y, z = rows(s, 2)
    second = {name.removesuffix("_2"): value for name, value in p.items() if name.endswith("_2")}
    z = z + h * p["W"].T @ tanh(p["W"] @ y + driven(p, x))
    y = y - h * p["W_2"].T @ tanh(p["W_2"] @ z + driven(second, x))
    return np.concatenate([y, z])


def h1(p, s, x, h, clock):
    d = len(s) // 2
    gradient = p["W"].T @ tanh(p["W"] @ s + driven(p, x))
    return s + h * np.concatenate([gradient[d:], -gradient[:d]])
