"""LSTM and GRU."""

from __future__ import annotations

import math

import numpy as np

from integrators.cells.cell import Cell, Kind
from integrators.cells.layout import POINT
from integrators.codegen.compiled import helper, kernel
from integrators.codegen.primitives import copy_into
from integrators.fields.activations import LOGISTIC, TANH, activate
from integrators.singular_values import spectral_norm
from sensitivity.recurrences.majorants import log_norm_of_power, log_power
from sensitivity.recurrences.settings import published_start

from .initial import uniform

__all__ = ["GRU", "GRU_BEFORE", "LSTM", "gru", "gru_before", "lstm", "lstm_rule"]


@helper
def times(a, b, out):
    """out = a b for flat arrays.

    One product a loop: LLVM does not vectorise loops that write to many arrays, since any two might overlap.
    """
    for f in range(out.size):
        out[f] = a[f] * b[f]


@helper
def lstm_rule(a, c, new_h, new_c, by, at_c):
    """h' and c' from the pre-activations i, f, g, o (4, n) and c.

    The slopes are by[h or c, local], with the local c in row `at_c` and the gates in the first four.
    """
    n = c.size
    gates, dgates = np.empty((4, n)), np.empty((4, n))
    for row in range(4):
        activate(TANH if row == 2 else LOGISTIC, a[row], gates[row], dgates[row])
    i, forget, g, o = gates[0], gates[1], gates[2], gates[3]
    t, dt = np.empty(n), np.empty(n)
    for f in range(n):
        new_c[f] = forget[f] * c[f] + i[f] * g[f]
    activate(TANH, new_c, t, dt)
    times(o, t, new_h)
    by_h, by_c = by[0], by[1]
    times(dgates[0], g, by_c[0])
    times(dgates[1], c, by_c[1])
    times(i, dgates[2], by_c[2])
    w = dgates[2]  # of no more use
    times(o, dt, w)
    for row in range(3):
        times(w, by_c[row], by_h[row])
    times(dgates[3], t, by_h[3])
    times(w, forget, by_h[at_c])
    copy_into(forget, by_c[at_c])


@kernel(POINT)
def _lstm(constants, v, out, slopes):
    lstm_rule(v[:4], v[5], out[0], out[1], slopes, 5)


def _norms(cell, name="W"):
    """‖·‖₂ of the rows of every gate."""
    matrix, d = cell.parameters[name], cell.d
    return [float(spectral_norm(matrix[k : k + d])) for k in range(0, len(matrix), d)]


def _lstm_bound(cell, h, n_steps, start):
    """The norm of the product of matrices that bound the blocks of a step.

    From |i|, |f|, |o|, |tanh| ≤ 1 with slopes ≤ ¼, ¼, ¼, 1, and |c_n| ≤ |c_0| + n: ‖∂c'/∂h‖ ≤ ‖U_i‖/4 +
    |c| ‖U_f‖/4 + ‖U_g‖, ‖∂c'/∂c‖ ≤ 1, and ∂h' is o tanh'(c') ∂c' and at most ‖U_o‖/4 more.
    """
    i, f, g, o = _norms(cell)

    def matrix(n):
        from_h = 0.25 * i + 0.25 * (start["c"] + n) * f + g
        return np.array([[from_h + 0.25 * o, 1.0], [from_h, 1.0]])

    return np.full(h.shape, log_norm_of_power(matrix, n_steps))


LSTM = Kind(
    name="lstm",
    state=("h", "c"),
    rows=("i", "f", "g", "o"),
    point=_lstm,
    depends={"h": "i f g o c", "c": "i f g c"},
    recurrent=4,
    reference="S. Hochreiter, J. Schmidhuber, Neural Computation 9 (1997) 1735–1780; with forget gate",
    bound=_lstm_bound,
)


@kernel(POINT)
def _gru(constants, v, out, slopes):
    n = v.shape[1]
    r, dr, z, dz, new, dnew = np.empty(n), np.empty(n), np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    activate(LOGISTIC, v[1], r, dr)
    activate(LOGISTIC, v[2], z, dz)
    for f in range(n):
        out[0, f] = v[3, f] + r[f] * v[0, f]
    activate(TANH, out[0], new, dnew)
    by = slopes[0]
    for f in range(n):
        by[3, f] = (1.0 - z[f]) * dnew[f]
    for f in range(n):
        out[0, f] = (1.0 - z[f]) * new[f] + z[f] * v[4, f]
    for f in range(n):
        by[2, f] = (v[4, f] - new[f]) * dz[f]
    times(by[3], r, by[0])
    times(by[3], v[0], new)  # of no more use
    times(new, dr, by[1])
    copy_into(z, by[4])


def _gru_bound(cell, h, n_steps, start):
    """(√(1 + β²) + (m + 1) ‖U_z‖/4)^N with m = max(1, |h_0|), which |h| never exceeds.

    J = D[z] + D[1 − z] B + D[(h − ν) ż] U_z with 0 ≤ z ≤ 1, so that ‖D[z] + D[1 − z] B‖² ≤ 1 + ‖B‖², and
    ‖B‖ ≤ β = ‖U_q‖ + ‖D[q̄] U_r‖/4, q̄ the largest |U_n h + b_q|.
    """
    W, b, d, m = cell.parameters["W"], cell.parameters["b"], cell.d, max(1.0, start["h"])
    largest = m * np.abs(W[:d]).sum(axis=1) + np.abs(b[:d])
    inner = float(spectral_norm(W[:d]) + 0.25 * spectral_norm(largest[:, None] * W[d : 2 * d]))
    gain = math.hypot(1.0, inner) + 0.25 * (m + 1.0) * float(spectral_norm(W[2 * d :]))
    return log_power(gain, n_steps, h.shape)


GRU = Kind(
    name="gru",
    state=("h",),
    rows=("q", "r", "z", "n"),
    point=_gru,
    depends={"h": "q r z n h"},
    recurrent=3,
    inputs=(1, 4),
    reference="K. Cho et al., EMNLP 2014, 1724–1734; reset after the product, as in PyTorch",
    bound=_gru_bound,
)


@kernel(POINT)
def _gru_reset(constants, v, u, slopes):
    r, dr = u[0], slopes[0, 0]
    activate(LOGISTIC, v[0], r, dr)
    for f in range(v.shape[1]):
        slopes[0, 3, f] = u[0, f]
        slopes[0, 0, f] *= v[3, f]
        u[0, f] *= v[3, f]


@kernel(POINT)
def _gru_before(constants, v, out, slopes):
    n = v.shape[1]
    z, dz, new, dnew = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    activate(LOGISTIC, v[1], z, dz)
    activate(TANH, v[2], new, dnew)
    for f in range(n):
        out[0, f] = (1.0 - z[f]) * new[f] + z[f] * v[3, f]
        slopes[0, 1, f], slopes[0, 2, f] = (v[3, f] - new[f]) * dz[f], (1.0 - z[f]) * dnew[f]
        slopes[0, 3, f] = z[f]


def _gru_before_bound(cell, h, n_steps, start):
    """As that of the GRU, with β = ‖U_n‖ (1 + m ‖U_r‖/4)."""
    (r, z), m = _norms(cell), max(1.0, start["h"])
    inner = _norms(cell, "R")[0] * (1.0 + 0.25 * m * r)
    return log_power(math.hypot(1.0, inner) + 0.25 * (m + 1.0) * z, n_steps, h.shape)


GRU_BEFORE = Kind(
    name="gru_before",
    state=("h",),
    rows=("r", "z"),
    second=("n",),
    hidden={"rh": "r h"},
    middle=_gru_reset,
    point=_gru_before,
    depends={"h": "z n h"},
    recurrent=2,
    reference="K. Cho et al., EMNLP 2014, 1724–1734; reset before the product",
    bound=_gru_before_bound,
)


@published_start
def lstm(d: int, n_inputs: int = 0, rng: int | np.random.Generator = 0) -> Cell:
    """i, f, o = σ̂(·), g = tanh(·); c' = f∘c + i∘g, h' = o∘tanh c'. PyTorch's start, uniform on ±1/√d.

    Rows of W (4d, d), V and b in PyTorch's order i, f, g, o; b is the sum of its two biases.
    """
    return LSTM(d, n_inputs, **uniform(LSTM, d, n_inputs, rng))


@published_start
def gru(d: int, n_inputs: int = 0, rng: int | np.random.Generator = 0) -> Cell:
    """r, z = σ̂(·), ν = tanh(c + r∘q), h' = (1 − z)∘ν + z∘h with q = U_n h + b_q. Start: ±1/√d, uniform.

    Rows of W: q, r, z; of V: r, z, n; of b: q, r, z, n. The bias of q stands inside the reset product.
    """
    return GRU(d, n_inputs, **uniform(GRU, d, n_inputs, rng))


@published_start
def gru_before(d: int, n_inputs: int = 0, rng: int | np.random.Generator = 0) -> Cell:
    """The GRU with the reset before the product: ν = tanh(c + U_n (r∘h)). Start: ±1/√d, uniform.

    Rows of W: r, z; R is U_n; of V and b: r, z, n.
    """
    return GRU_BEFORE(d, n_inputs, **uniform(GRU_BEFORE, d, n_inputs, rng))
