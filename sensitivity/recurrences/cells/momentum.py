"""Cells with momentum: MomentumRNN, its Adam, RMSProp and Nesterov forms, MomentumLSTM and NesterovLSTM.

The velocity v is driven by the inputs alone, so ∂v_N/∂h_0 = 0 and ∂h_N/∂h_0 = Π D[σ'(a)] U exactly, as for a
vanilla cell on the same pre-activations; what momentum changes is ∂h_N/∂v_0, hence ∂h_N/∂x_i.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from integrators.cells.cell import Cell, Kind
from integrators.cells.layout import POINT
from integrators.codegen.compiled import kernel
from integrators.fields.activations import TANH, activate
from sensitivity.recurrences.majorants import log_norm_of_power
from sensitivity.recurrences.settings import published_start

from .gated import lstm_rule
from .initial import spectral, uniform

__all__ = [
    "adam_rnn",
    "momentum_lstm",
    "momentum_rnn",
    "nesterov_lstm",
    "nesterov_preactivation_rnn",
    "nesterov_rnn",
    "restart_rnn",
    "rmsprop_rnn",
]

Float = NDArray[np.float64]
Rng = int | np.random.Generator
_PAPER = "T. M. Nguyen, R. G. Baraniuk, A. L. Bertozzi, S. J. Osher, B. Wang, NeurIPS 2020"


def _constant(cell: Cell, n_steps: int) -> Float:
    """μ, the same at every step."""
    return np.full((n_steps, 1), float(cell.parameters["mu"]))


def _nesterov(cell: Cell, n_steps: int) -> Float:
    """μ_k = (k − 1)/(k + 2), k = 1, 2, …, from 1 again after `restart` steps (never, for 0)."""
    restart = int(cell.parameters["restart"])
    k = np.arange(n_steps) % restart + 1 if restart else np.arange(n_steps) + 1
    return ((k - 1.0) / (k + 2.0))[:, None]


@kernel(POINT)
def _momentum(constants, v, out, slopes):
    s = constants[0]
    for f in range(v.shape[1]):
        out[1, f] = v[5, f] * v[3, f] + s * v[1, f]
        out[0, f] = v[0, f] + out[1, f]
        slopes[1, 1, f], slopes[1, 3, f] = s, v[5, f]
    activate(TANH, out[0].copy(), out[0], slopes[0, 0])
    for f in range(v.shape[1]):
        slopes[0, 1, f], slopes[0, 3, f] = slopes[0, 0, f] * s, slopes[0, 0, f] * v[5, f]


def _kind(name, clock, constants, **details):
    common = {"rows": ("a", "g"), "recurrent": 1, "inputs": (1, 2), "reference": _PAPER}
    return Kind(name=name, clock=clock, clock_rows=1, constants=constants, **(common | details))


def _momentum_bound(cell, h, n_steps):
    """The norm of the product of ((‖U‖, |μ|), (0, |μ|)): J = ((D U, μ D), (0, μ I)) with |D| ≤ 1."""
    norm, told = spectral(cell), np.abs(cell.clock(n_steps)[:, 0])
    return np.full(h.shape, log_norm_of_power(_of_each(lambda mu: [[norm, mu], [0.0, mu]], told), n_steps))


def _of_each(matrix, told):
    """n → the matrix of μ_n; that of μ = 0 where there is no step."""
    return lambda n: np.array(matrix(told[n] if n < told.size else 0.0))


_FORM = {
    "state": ("h", "v"),
    "point": _momentum,
    "depends": {"h": "a g v", "v": "g v"},
    "bound": _momentum_bound,
}
MOMENTUM = _kind("momentum_rnn", _constant, {"s": 1.0, "mu": 0.6}, **_FORM)
NESTEROV = _kind("nesterov_rnn", _nesterov, {"s": 1.0, "restart": 0.0}, **_FORM)


@kernel(POINT)
def _adam(constants, v, out, slopes):
    s, beta = constants[0], constants[2]
    n = v.shape[1]
    pre = np.empty(n)
    for f in range(n):
        g = v[1, f]
        out[1, f] = v[6, f] * v[3, f] + s * g
        out[2, f] = beta * v[4, f] + (1.0 - beta) * g * g
        pre[f] = v[0, f] + out[1, f] / math.sqrt(out[2, f] + 1e-16)
    activate(TANH, pre, out[0], slopes[0, 0])
    for f in range(n):
        g, r, mu = v[1, f], out[2, f] + 1e-16, v[6, f]
        q = 1.0 / math.sqrt(r)
        turn = slopes[0, 0, f] * out[1, f] * q / r
        slopes[0, 1, f] = slopes[0, 0, f] * s * q - turn * (1.0 - beta) * g
        slopes[0, 3, f], slopes[0, 4, f] = slopes[0, 0, f] * mu * q, -0.5 * beta * turn
        slopes[1, 1, f], slopes[1, 3, f] = s, mu
        slopes[2, 1, f], slopes[2, 4, f] = 2.0 * (1.0 - beta) * g, beta


ADAM = _kind(
    "adam_rnn",
    _constant,
    {"s": 1.0, "mu": 0.6, "beta": 0.99},
    state=("h", "v", "m"),
    point=_adam,
    depends={"h": "a g v m", "v": "g v", "m": "g m"},
)


@kernel(POINT)
def _preactivation(constants, v, out, slopes):
    s = constants[0]
    for f in range(v.shape[1]):
        mu = v[5, f]
        out[1, f] = v[0, f] - s * v[1, f]
        out[0, f] = out[1, f] + mu * (out[1, f] - v[3, f])
        slopes[1, 0, f], slopes[1, 1, f] = 1.0, -s
    activate(TANH, out[0].copy(), out[0], slopes[0, 0])
    for f in range(v.shape[1]):
        mu, slope = v[5, f], slopes[0, 0, f]
        slopes[0, 0, f], slopes[0, 1, f], slopes[0, 3, f] = (
            (1.0 + mu) * slope,
            -s * (1.0 + mu) * slope,
            -mu * slope,
        )


def _preactivation_bound(cell, h, n_steps):
    """The norm of the product of (((1 + μ) ‖U‖, μ), (‖U‖, 0))."""
    norm, told = spectral(cell), cell.clock(n_steps)[:, 0]
    steps = _of_each(lambda mu: [[(1.0 + mu) * norm, mu], [norm, 0.0]], told)
    return np.full(h.shape, log_norm_of_power(steps, n_steps))


PREACTIVATION = _kind(
    "nesterov_preactivation_rnn",
    _nesterov,
    {"s": 1.0, "restart": 0.0},
    state=("h", "p"),
    point=_preactivation,
    depends={"h": "a g p", "p": "a g"},
    bound=_preactivation_bound,
)

_GATES = ("i", "f", "g", "o")


@kernel(POINT)
def _momentum_lstm(constants, v, out, slopes):
    # Locals: 0–3 U h + b_h, 4–7 the inputs' part g, 8 h, 9 c, 10–13 the velocities, 14 step, 15 μ.
    s, n = constants[0], v.shape[1]
    gates, by = np.empty((4, n)), np.empty((2, 5, n))
    for row in range(4):
        for f in range(n):
            out[2 + row, f] = v[15, f] * v[10 + row, f] + s * v[4 + row, f]
            gates[row, f] = v[row, f] + out[2 + row, f]
            slopes[2 + row, 4 + row, f], slopes[2 + row, 10 + row, f] = s, v[15, f]
    lstm_rule(gates, v[9], out[0], out[1], by, 4)
    for b in range(2):
        for f in range(n):
            slopes[b, 9, f] = by[b, 4, f]
            for row in range(4):
                slopes[b, row, f], slopes[b, 4 + row, f] = by[b, row, f], by[b, row, f] * s
                slopes[b, 10 + row, f] = by[b, row, f] * v[15, f]


@kernel(POINT)
def _nesterov_lstm(constants, v, out, slopes):
    # Locals: as in `_momentum_lstm`, with the stored pre-activations p in place of the velocities.
    s, n = constants[0], v.shape[1]
    gates, by = np.empty((4, n)), np.empty((2, 5, n))
    for row in range(4):
        for f in range(n):
            out[2 + row, f] = v[row, f] - s * v[4 + row, f]
            gates[row, f] = out[2 + row, f] + v[15, f] * (out[2 + row, f] - v[10 + row, f])
            slopes[2 + row, row, f], slopes[2 + row, 4 + row, f] = 1.0, -s
    lstm_rule(gates, v[9], out[0], out[1], by, 4)
    for b in range(2):
        for f in range(n):
            slopes[b, 9, f] = by[b, 4, f]
            for row in range(4):
                slopes[b, row, f] = by[b, row, f] * (1.0 + v[15, f])
                slopes[b, 4 + row, f] = -s * slopes[b, row, f]
                slopes[b, 10 + row, f] = -by[b, row, f] * v[15, f]


def _lstm_kind(name, clock, constants, point, letter, own):
    """Kind of an LSTM with four more blocks, one for each gate; `own` says what they depend on."""
    blocks = tuple(letter + gate for gate in _GATES)
    rows = tuple(f"u{gate}" for gate in _GATES) + tuple(f"x{gate}" for gate in _GATES)
    without_o = " ".join(name for name in (*rows, *blocks) if not name.endswith("o"))
    return Kind(
        name=name,
        state=("h", "c", *blocks),
        rows=rows,
        point=point,
        depends={"h": f"{' '.join(rows)} c {' '.join(blocks)}", "c": f"{without_o} c"}
        | {letter + gate: own.format(gate) for gate in _GATES},
        recurrent=4,
        inputs=(4, 8),
        constants=constants,
        clock=clock,
        clock_rows=1,
        reference=_PAPER,
    )


MOMENTUM_LSTM = _lstm_kind(
    "momentum_lstm", _constant, {"s": 1.0, "mu": 0.6}, _momentum_lstm, "v", "x{0} v{0}"
)
NESTEROV_LSTM = _lstm_kind(
    "nesterov_lstm", _nesterov, {"s": 1.0, "restart": 0.0}, _nesterov_lstm, "p", "u{0} x{0}"
)


@published_start
def momentum_rnn(d: int, n_inputs: int = 0, rng: Rng = 0, mu: float = 0.6, s: float = 1.0) -> Cell:
    """v' = μ v + s (V x + b_x), h' = tanh(W h + b_h + v'). Rows of b: b_h, b_x. Start: ±1/√d, uniform."""
    return MOMENTUM(d, n_inputs, mu=mu, s=s, **uniform(MOMENTUM, d, n_inputs, rng))


@published_start
def nesterov_rnn(d: int, n_inputs: int = 0, rng: Rng = 0, s: float = 1.0) -> Cell:
    """`momentum_rnn` with μ_k = (k − 1)/(k + 2) at step k = 1, 2, …: J changes from step to step."""
    return NESTEROV(d, n_inputs, s=s, **uniform(NESTEROV, d, n_inputs, rng))


@published_start
def restart_rnn(d: int, n_inputs: int = 0, rng: Rng = 0, s: float = 1.0, restart: int = 40) -> Cell:
    """`nesterov_rnn` whose k starts from 1 again after every `restart` steps."""
    return NESTEROV(d, n_inputs, s=s, restart=restart, **uniform(NESTEROV, d, n_inputs, rng))


@published_start
def adam_rnn(
    d: int, n_inputs: int = 0, rng: Rng = 0, mu: float = 0.6, beta: float = 0.99, s: float = 1.0
) -> Cell:
    """g = V x + b_x, v' = μ v + s g, m' = β m + (1 − β) g², h' = tanh(W h + b_h + v'/√(m' + 1e-16)).

    There is no bias correction: from m_0 = 0 the first step is s sign(g)/√(1 − β), which jumps at g = 0.
    """
    return ADAM(d, n_inputs, mu=mu, beta=beta, s=s, **uniform(ADAM, d, n_inputs, rng))


@published_start
def rmsprop_rnn(d: int, n_inputs: int = 0, rng: Rng = 0, beta: float = 0.99, s: float = 1.0) -> Cell:
    """`adam_rnn` with μ = 0."""
    return adam_rnn(d, n_inputs, rng, 0.0, beta, s)


@published_start
def nesterov_preactivation_rnn(d: int, n_inputs: int = 0, rng: Rng = 0, s: float = 1.0) -> Cell:
    """p' = W h + b_h − s (V x + b_x), h' = tanh(p' + μ_k (p' − p)): momentum on the path from h to h."""
    return PREACTIVATION(d, n_inputs, s=s, **uniform(PREACTIVATION, d, n_inputs, rng))


@published_start
def momentum_lstm(d: int, n_inputs: int = 0, rng: Rng = 0, mu: float = 0.6, s: float = 1.0) -> Cell:
    """The LSTM with gates W h + b_h + v', v' = μ v + s (V x + b_x). Rows i, f, g, o; b: b_h, then b_x.

    Start as in the authors' code: W the identity in the input gate and zero elsewhere, V orthogonal columns,
    forget biases 1 in both b, other biases ±1/√d uniform.
    """
    return MOMENTUM_LSTM(d, n_inputs, mu=mu, s=s, **_lstm_start(d, n_inputs, rng))


@published_start
def nesterov_lstm(d: int, n_inputs: int = 0, rng: Rng = 0, s: float = 1.0, restart: int = 0) -> Cell:
    """The LSTM with gates p' + μ_k (p' − p), p' = W h + b_h − s (V x + b_x); start as `momentum_lstm`."""
    return NESTEROV_LSTM(d, n_inputs, s=s, restart=restart, **_lstm_start(d, n_inputs, rng))


def _lstm_start(d: int, n_inputs: int, rng: Rng) -> dict[str, Float]:
    generator = np.random.default_rng(rng)
    b = generator.uniform(-1.0 / math.sqrt(d), 1.0 / math.sqrt(d), 8 * d)
    b[d : 2 * d] = b[5 * d : 6 * d] = 1.0
    given = {"W": np.eye(4 * d, d), "b": b}
    if n_inputs:
        tall = generator.normal(size=(max(4 * d, n_inputs), min(4 * d, n_inputs)))
        q = np.linalg.qr(tall)[0]
        given["V"] = q if 4 * d >= n_inputs else q.T
    return given
