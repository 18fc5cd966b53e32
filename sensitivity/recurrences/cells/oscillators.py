"""Networks of oscillators: coRNN, UnICORNN, LEM."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from integrators.cells.cell import Cell, Kind
from integrators.cells.layout import POINT
from integrators.codegen.compiled import helper, inlined, kernel
from integrators.codegen.primitives import flat, get, put
from integrators.fields.activations import LOGISTIC, TANH, activate
from integrators.singular_values import spectral_norm
from sensitivity.recurrences.majorants import first_entry, log_of_power
from sensitivity.recurrences.settings import published_start

from .initial import uniform

__all__ = ["CORNN", "LEM", "UNICORNN", "cornn", "cornn_imex", "lem", "on_grid", "unicornn"]

Rng = int | np.random.Generator

# Neurons whose rows stay in the nearest cache between short loops over them.
NEARBY = 128


@kernel(POINT)
def _cornn(constants, v, out, slopes):
    gamma, damping, imex = constants[0], constants[1], constants[2] != 0.0
    activate(TANH, v[0], out[1], slopes[1, 0])
    for f in range(v.shape[1]):
        y, z, h = v[1, f], v[2, f], v[3, f]
        delta = 1.0 / (1.0 + h * damping) if imex else 1.0
        keep = delta if imex else 1.0 - h * damping
        out[1, f] = keep * z + delta * h * (out[1, f] - gamma * y)
        out[0, f] = y + h * out[1, f]
        slopes[1, 0, f] *= delta * h
        slopes[1, 1, f], slopes[1, 2, f] = -delta * h * gamma, keep
        slopes[0, 0, f] = h * slopes[1, 0, f]
        slopes[0, 1, f], slopes[0, 2, f] = 1.0 + h * slopes[1, 1, f], h * keep


def _cornn_bound(cell, h, n_steps):
    """The first entry of the N-th power of a matrix that bounds the blocks of a step.

    z' = k z + δΔt (D (W_y y + W_z z) − γ y) with |D| ≤ 1, and y' = y + Δt z'; blocks are y and Δt z.
    """
    p, d = cell.parameters, cell.d
    size = h * abs(p["epsilon"]) if p["imex"] else h * p["epsilon"]
    delta = np.abs(1.0 / (1.0 + h * p["epsilon"])) if p["imex"] else np.ones(h.shape)
    keep = delta if p["imex"] else np.abs(1.0 - size)
    from_y = delta * h * (spectral_norm(p["W"][:, :d]) + abs(p["gamma"]))
    from_z = keep + delta * h * spectral_norm(p["W"][:, d:])
    steps = np.array([[1.0 + h * from_y, from_z], [h * from_y, from_z]])
    return first_entry(*log_of_power(np.moveaxis(steps, (0, 1), (-2, -1)), n_steps))


CORNN = Kind(
    name="cornn",
    state=("y", "z"),
    rows=("a",),
    point=_cornn,
    depends={"y": "a y z", "z": "a y z"},
    recurrent=1,
    source=2,
    constants={"gamma": 1.0, "epsilon": 1.0, "imex": 0.0},
    step=0.05,
    block="y",
    reference="T. K. Rusch, S. Mishra, ICLR 2021",
    bound=_cornn_bound,
)


@helper
def on_grid(value, grid):
    """The nearest multiple of `grid`, a power of two; the value itself for 0."""
    return value if grid == 0.0 else np.rint(value / grid) * grid


@inlined
def _unicornn_rule(neurons, alpha, grid, v, t, dt, c, dc, out, slopes):
    """The rule for a range of neurons: a short loop for each row, since LLVM vectorises no longer one.

    It would have to find out at run time that none of the rows overlap, and gives up on more than a few. A
    neuron takes 4.1 ns, and 5.7 in one loop, with AVX-512.
    """
    y, z, w, h = flat(v[1]), flat(v[2]), flat(v[3]), flat(v[5])
    new_y, new_z, by_y, by_z, n = flat(out[0]), flat(out[1]), flat(slopes[0]), flat(slopes[1]), v.shape[1]
    for f in neurons:
        put(new_z, f, get(z, f) - on_grid(get(h, f) * get(c, f) * (get(t, f) + alpha * get(y, f)), grid))
    for f in neurons:
        put(new_y, f, get(y, f) + on_grid(get(h, f) * get(c, f) * get(new_z, f), grid))
    for f in neurons:
        put(by_z, f, -(get(h, f) * get(c, f)) * get(dt, f))
    for f in neurons:
        put(by_z, n + f, -(get(h, f) * get(c, f)) * (get(w, f) * get(dt, f) + alpha))
    for f in neurons:
        put(by_z, 2 * n + f, 1.0)
    for f in neurons:
        put(by_z, 3 * n + f, get(by_z, f) * get(y, f))
    for f in neurons:
        put(by_z, 4 * n + f, -(get(h, f) * get(dc, f)) * (get(t, f) + alpha * get(y, f)))
    for row in range(0, 5 * n, n):
        for f in neurons:
            put(by_y, row + f, get(h, f) * get(c, f) * get(by_z, row + f))
    for f in neurons:
        put(by_y, n + f, get(by_y, n + f) + 1.0)
    for f in neurons:
        put(by_y, 4 * n + f, get(by_y, 4 * n + f) + get(h, f) * get(dc, f) * get(new_z, f))


@kernel(POINT)
def _unicornn(constants, v, out, slopes):
    n, alpha, grid = v.shape[1], constants[0], constants[1]
    pre, t, dt, c, dc = np.empty(n), np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    for f in range(n):
        pre[f] = v[3, f] * v[1, f] + v[0, f]
    activate(TANH, pre, t, dt)
    activate(LOGISTIC, v[4], c, dc)
    for first in range(0, n, NEARBY):
        neurons = range(first, min(n, first + NEARBY))
        if grid == 0.0:  # without the rounding there are no divisions
            _unicornn_rule(neurons, alpha, 0.0, v, t, dt, c, dc, out, slopes)
        else:
            _unicornn_rule(neurons, alpha, grid, v, t, dt, c, dc, out, slopes)


@kernel(POINT)
def _unicornn_back(constants, v, out, slopes):
    n = v.shape[1]
    alpha, grid = constants[0], constants[1]
    pre, t, c, unused = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    activate(LOGISTIC, v[4], c, unused)
    for f in range(n):
        out[0, f] = v[1, f] - on_grid(v[5, f] * c[f] * v[2, f], grid)
        pre[f] = v[3, f] * out[0, f] + v[0, f]
    activate(TANH, pre, t, unused)
    for f in range(n):
        out[1, f] = v[2, f] + on_grid(v[5, f] * c[f] * (t[f] + alpha * out[0, f]), grid)


def _unicornn_inverse(cell):
    """The same parameters under the rule backwards."""
    other = cell.with_theta(cell.theta)
    other.kind = replace(cell.kind, point=_unicornn_back)
    return other


def _unicornn_bound(cell, h, n_steps):
    """max over neurons of cosh((N + ½) θ)/cosh(θ/2), cosh θ = 1 + s² (|w| + α)/2, s = Δt σ̂(c).

    By comparison: y_{n+1} = (2 − s² k_n) y_n − y_{n−1}, y_1 = (1 − s² k_0) y_0, and |k_n| ≤ |w| + α.
    """
    p = cell.parameters
    s = h[..., None] / (1.0 + np.exp(-p["c"]))
    # θ from sinh(θ/2) = s √K / 2, which keeps its digits for small s; ln cosh x = x + ln(1 + e^−2x) − ln 2.
    theta = 2.0 * np.arcsinh(0.5 * s * np.sqrt(np.abs(p["w"]) + abs(float(p["alpha"]))))
    growth = n_steps * theta + np.log1p(np.exp(-(2 * n_steps + 1) * theta)) - np.log1p(np.exp(-theta))
    return growth.max(axis=-1)


UNICORNN = Kind(
    name="unicornn",
    state=("y", "z"),
    rows=("a",),
    point=_unicornn,
    depends={"y": "a y z w c", "z": "a y z w c"},
    recurrent=0,
    vectors=("w", "c"),
    constants={"alpha": 1.0, "grid": 0.0},
    step=0.1,
    block="y",
    reference="T. K. Rusch, S. Mishra, ICML 2021",
    bound=_unicornn_bound,
    inverse=_unicornn_inverse,
)


@helper
def _towards(v, gate, target, state, out, slopes):
    """out = s + δ (tanh(t) − s) with δ = Δt σ̂(g), where g, t, s are these rows of v, and its slopes."""
    n = v.shape[1]
    open_, dopen, t, dt = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    activate(LOGISTIC, v[gate], open_, dopen)
    activate(TANH, v[target], t, dt)
    for f in range(n):
        s, h = v[state, f], v[6, f]
        out[f] = s + h * open_[f] * (t[f] - s)
        slopes[gate, f], slopes[target, f] = h * dopen[f] * (t[f] - s), h * open_[f] * dt[f]
        slopes[state, f] = 1.0 - h * open_[f]


@kernel(POINT)
def _lem_middle(constants, v, u, slopes):
    _towards(v, 1, 2, 5, u[0], slopes[0])


@kernel(POINT)
def _lem(constants, v, out, slopes):
    _towards(v, 0, 3, 4, out[0], slopes[0])
    _towards(v, 1, 2, 5, out[1], slopes[1])


def _lem_bound(cell, h, n_steps, start):
    """The first entry of the product of matrices that bound the blocks of a step.

    With |y|, |z| ≤ m, m ≥ 1: z' = (1 − δ) z + δ t, δ = Δt σ̂(·) in [0, Δt], has ∂δ ≤ Δt/4 and |t − z| ≤ m + 1.
    The next m is the larger of m and |1 − Δt| m + Δt, which is m for Δt ≤ 1.
    """
    W, d = cell.parameters["W"], cell.d
    open_y, open_z, target = (float(spectral_norm(W[k * d : (k + 1) * d])) for k in range(3))
    through, keep = float(spectral_norm(cell.parameters["R"])), np.maximum(1.0, np.abs(1.0 - h))
    first = max(1.0, start["y"], start["z"])

    def matrix(m):
        from_y = h * (0.25 * (m + 1.0) * open_z + target)
        yy = keep + h * (0.25 * (m + 1.0) * open_y + through * from_y)
        return np.moveaxis(np.array([[yy, h * through * keep], [from_y, keep]]), (0, 1), (-2, -1))

    if (h <= 1.0).all():
        return first_entry(*log_of_power(matrix(first), n_steps))
    sizes = [np.full(h.shape, first)]
    for _ in range(n_steps):
        sizes.append(np.maximum(sizes[-1], np.abs(1.0 - h) * sizes[-1] + h))
    return first_entry(*log_of_power(lambda n: matrix(sizes[n]), n_steps))


LEM = Kind(
    name="lem",
    state=("y", "z"),
    rows=("dy", "dz", "g"),
    second=("t",),
    hidden={"z'": "dz g z"},
    middle=_lem_middle,
    point=_lem,
    depends={"y": "dy t y", "z": "dz g z"},
    recurrent=3,
    step=1.0,
    block="y",
    reference="T. K. Rusch, S. Mishra, N. B. Erichson, M. W. Mahoney, ICLR 2022",
    bound=_lem_bound,
)


@published_start
def cornn(
    d: int,
    n_inputs: int = 0,
    rng: Rng = 0,
    step: float = 0.05,
    gamma: float = 1.0,
    epsilon: float = 1.0,
    imex: bool = False,
) -> Cell:
    """z' = z + Δt (tanh(W (y; z) + V x + b) − γ y − ε z), y' = y + Δt z'; with `imex` the damping takes z'.

    W is (d, 2d), [W_y W_z]. Start: all uniform on ±1/√(n_inputs + 2d), that of one linear layer.
    """
    given = uniform(CORNN, d, n_inputs, rng, 1.0 / math.sqrt(n_inputs + 2 * d))
    return CORNN(d, n_inputs, step=step, gamma=gamma, epsilon=epsilon, imex=float(imex), **given)


@published_start
def cornn_imex(
    d: int, n_inputs: int = 0, rng: Rng = 0, step: float = 0.05, gamma: float = 1.0, epsilon: float = 1.0
) -> Cell:
    """`cornn` with implicit damping, the step of the authors' analysis."""
    return cornn(d, n_inputs, rng, step, gamma, epsilon, imex=True)


@published_start
def unicornn(
    d: int,
    n_inputs: int = 0,
    rng: Rng = 0,
    step: float = 0.1,
    alpha: float = 1.0,
    layers: int = 1,
    grid: float = 0.0,
) -> Cell:
    """z' = z − s∘(tanh(w∘y + V x + b) + α y), y' = y + s∘z', s = Δt σ̂(c): det J = 1 for every w, c, V, x.

    Start: w ~ U(0, 1), c ~ U(−0.1, 0.1), V ~ U(±√(6/(65 n_inputs))), b = 0. Layers take the y below as input.

    With `grid`, a power of two such as 2⁻⁴⁰, increments are rounded to its multiples, and the step can be
    undone bit for bit (`integrators.run.rewind`); slopes are those of the unrounded map.
    """
    generator = np.random.default_rng(rng)
    parts = []
    for layer in range(layers):
        width = d if layer else n_inputs
        given = {
            "w": generator.uniform(0.0, 1.0, d),
            "c": generator.uniform(-0.1, 0.1, d),
            "alpha": alpha,
            "grid": grid,
        }
        if width:
            limit = math.sqrt(6.0 / (65.0 * width))
            given["V"] = generator.uniform(-limit, limit, (d, width))
        parts.append(given)
    return UNICORNN.layers(d, n_inputs, parts, step=step)


@published_start
def lem(d: int, n_inputs: int = 0, rng: Rng = 0, step: float = 1.0) -> Cell:
    """z' = (1 − δ_z)∘z + δ_z∘tanh(g), y' = (1 − δ_y)∘y + δ_y∘tanh(W_y z' + …), δ = Δt σ̂(·); ±1/√d, uniform.

    Rows of W: δ_y, δ_z, g, all of y; R is W_y, of the new z'; rows of V and b: δ_y, δ_z, g, and that of y'.
    """
    return LEM(d, n_inputs, step=step, **uniform(LEM, d, n_inputs, rng))
