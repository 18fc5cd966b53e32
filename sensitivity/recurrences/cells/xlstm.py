"""The cells of xLSTM with exponential gates: sLSTM, and mLSTM with a matrix as its memory.

Both keep m, the logarithm by which what they store is scaled down, so that no exponential overflows. The
sLSTM's h does not depend on m; what is stored, c and n, does.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from integrators.cells.cell import Cell, Kind
from integrators.cells.layout import POINT
from integrators.cells.structure import Joint
from integrators.codegen.compiled import helper, kernel
from integrators.codegen.primitives import LOWEST, exp_negative
from integrators.fields.activations import LOGISTIC, TANH, activate
from sensitivity.recurrences.settings import published_start
from sensitivity.recurrences.structures.vectors import SharedRows

from .initial import uniform

__all__ = ["mlstm", "slstm"]

Float = NDArray[np.float64]
Rng = int | np.random.Generator

_PAPER = "M. Beck et al., NeurIPS 2024"

KEYS = 4
"""Length of the keys of an mLSTM, which is the number of columns of its memory."""


@helper
def stabilised(exponential, forget, enter, m):
    """m' = max(ln f + m, i), the scaled gates f', i', and the slopes by the rows f, i and by m of all three.

    f is the exponential or the logistic function of its row. Returned are m', f', i', then ∂m', ∂f', ∂i' by
    the row f, by the row i, and by m.
    """
    if exponential != 0.0:
        log_f, slope = forget, 1.0
    else:
        u = max(-abs(forget), LOWEST)
        _, e = exp_negative(u)
        log_f = min(forget, 0.0) - math.log1p(e)
        slope = (e if forget >= 0.0 else 1.0) / (1.0 + e)
    old = log_f + m
    kept = old >= enter
    new = old if kept else enter
    _, f = exp_negative(max(old - new, LOWEST))
    _, i = exp_negative(max(enter - new, LOWEST))
    if kept:  # f' = 1 and i' = exp(i − ln f − m)
        return new, f, i, slope, 0.0, 1.0, 0.0, 0.0, 0.0, -i * slope, i, -i
    return new, f, i, 0.0, 1.0, 0.0, f * slope, -f, f, 0.0, 0.0, 0.0


@kernel(POINT)
def _slstm(constants, v, out, slopes):
    # Locals: 0–3 the rows z, i, f, o; 4–7 the state h, c, n, m.
    n = v.shape[1]
    new, dnew, o, do = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    activate(TANH, v[0], new, dnew)
    activate(LOGISTIC, v[3], o, do)
    for k in range(n):
        c, count = v[5, k], v[6, k]
        m, f, i, m_f, m_i, m_m, f_f, f_i, f_m, i_f, i_i, i_m = stabilised(
            constants[0], v[2, k], v[1, k], v[7, k]
        )
        out[3, k] = m
        out[1, k], out[2, k] = f * c + i * new[k], f * count + i
        slopes[3, 1, k], slopes[3, 2, k], slopes[3, 7, k] = m_i, m_f, m_m
        slopes[1, 0, k], slopes[1, 5, k], slopes[2, 6, k] = i * dnew[k], f, f
        slopes[1, 1, k], slopes[2, 1, k] = f_i * c + i_i * new[k], f_i * count + i_i
        slopes[1, 2, k], slopes[2, 2, k] = f_f * c + i_f * new[k], f_f * count + i_f
        slopes[1, 7, k], slopes[2, 7, k] = f_m * c + i_m * new[k], f_m * count + i_m
        total = out[2, k]
        mean = out[1, k] / total
        out[0, k] = o[k] * mean
        w = o[k] / total
        slopes[0, 0, k], slopes[0, 3, k] = w * slopes[1, 0, k], do[k] * mean
        slopes[0, 5, k], slopes[0, 6, k] = w * f, -w * mean * f
        # What scales c' and n' alike drops out: only the numerators' difference counts.
        apart = (c - mean * count) * w
        fresh = (new[k] - mean) * w
        slopes[0, 1, k] = f_i * apart + i_i * fresh
        slopes[0, 2, k] = f_f * apart + i_f * fresh
        slopes[0, 7, k] = f_m * apart + i_m * fresh


SLSTM = Kind(
    name="slstm",
    state=("h", "c", "n", "m"),
    rows=("z", "i", "f", "o"),
    point=_slstm,
    depends={"h": "z i f o c n m", "c": "z i f c m", "n": "i f n m", "m": "i f m"},
    recurrent=4,
    constants={"exponential": 0.0},
    reference=_PAPER,
)


@kernel(POINT)
def _mlstm(constants, v, out, slopes):
    # Locals: v, i, f, the keys; then the columns of C, n for every key, and m.
    keys = (out.shape[0] - 1) // 2
    at, last = 3 + keys, 3 + 3 * keys
    unit = 1.0 / math.sqrt(float(keys))
    for p in range(v.shape[1]):
        value = v[0, p]
        m, f, i, m_f, m_i, m_m, f_f, f_i, f_m, i_f, i_i, i_m = stabilised(
            constants[0], v[2, p], v[1, p], v[last, p]
        )
        out[2 * keys, p] = m
        slopes[2 * keys, 1, p], slopes[2 * keys, 2, p], slopes[2 * keys, last, p] = m_i, m_f, m_m
        for j in range(keys):
            key, c, count = unit * v[3 + j, p], v[at + j, p], v[at + keys + j, p]
            fresh = value * key
            out[j, p], out[keys + j, p] = f * c + i * fresh, f * count + i * key
            slopes[j, 0, p], slopes[j, 3 + j, p], slopes[j, at + j, p] = i * key, i * value * unit, f
            slopes[j, 1, p], slopes[j, 2, p] = f_i * c + i_i * fresh, f_f * c + i_f * fresh
            slopes[j, last, p] = f_m * c + i_m * fresh
            b = keys + j
            slopes[b, 3 + j, p], slopes[b, at + b, p] = i * unit, f
            slopes[b, 1, p], slopes[b, 2, p] = f_i * count + i_i * key, f_f * count + i_f * key
            slopes[b, last, p] = f_m * count + i_m * key


_COLUMNS = tuple(f"C{j}" for j in range(KEYS))
_COUNTS = tuple(f"n{j}" for j in range(KEYS))


def _forgets(cell: Cell, h: Float, n_steps: int) -> Float:
    """1: the scaled gate f' = exp(ln f + m − m') is at most 1, and C' depends on C through it alone."""
    return np.zeros(h.shape)


MLSTM = Kind(
    name="mlstm",
    state=(*_COLUMNS, *_COUNTS, "m"),
    rows=("v", "i", "f", *(f"k{j}" for j in range(KEYS))),
    point=_mlstm,
    depends={name: f"v i f k{j} {name} m" for j, name in enumerate(_COLUMNS)}
    | {name: f"i f k{j} {name} m" for j, name in enumerate(_COUNTS)}
    | {"m": "i f m"},
    recurrent=0,
    biases=(1, 3),
    constants={"exponential": 0.0},
    groups={"C": _COLUMNS, "n": _COUNTS},
    block="C",
    reference=_PAPER,
    bound=_forgets,
)


TIED = replace(MLSTM, structure=Joint(SharedRows("V", 3 + KEYS, own=1), SharedRows("b", 2)))


@published_start
def slstm(d: int, n_inputs: int = 0, rng: Rng = 0, exponential: bool = False) -> Cell:
    """c' = f' c + i' z, n' = f' n + i', h' = o c'/n' with f' = f e^{m − m'}, i' = e^{i − m'}.

    Here m' = max(ln f + m, i).

    z = tanh(·), o = σ̂(·), f = σ̂(·), or e^(·) with `exponential`; rows of W, V and b: z, i, f, o. State
    (h, c, n, m); W multiplies h. Start: W = 0, b_f = 5 − 12 (k/(d − 1))^0.3 for neuron k, other b =
    0, V ±1/√d, uniform, as in the authors' code for a first block with one head.
    """
    given = uniform(SLSTM, d, n_inputs, rng)
    given["W"][:] = given["b"][:] = 0.0
    given["b"][2 * d : 3 * d] = 5.0 - 12.0 * (np.arange(d) / max(d - 1, 1)) ** 0.3
    return SLSTM(d, n_inputs, exponential=float(exponential), **given)


@published_start
def mlstm(d: int, n_inputs: int = 0, rng: Rng = 0, exponential: bool = False, tied: bool = False) -> Cell:
    """C' = f' C + i' v kᵀ/2, n' = f' n + i' k/2, m' = max(ln f + m, i), with v, k, i, f of the input alone.

    f' = f e^{m − m'}, i' = e^{i − m'}, f = σ̂(·), or e^(·) with `exponential`. The keys have the length 4, and
    kᵀ/2 is k/√4. Rows of V: v, i, f, k_0 … k_3; of b: i, f. State: the columns of C, of d values
    each, which are the block "C"; n; m. Every value has gates, keys, n and m of its own here: they
    are the same for all d of them at the start, as in the publication, whose Jacobian ∂C_N/∂C_0 is
    the same. What is read out with a query, o∘(C q)/max(|nᵀq|, 1), is no part of the state.

    With `tied` they stay the same in training: free parameters are V_own, the rows of v, V_shared, one row
    for each of i, f, k_0 … k_3, and b_shared, one number for each of i and f.

    Start: V ±1/√d, uniform, b_i = 0, and b_f = 3.
    """
    given = uniform(MLSTM, d, n_inputs, rng)
    if n_inputs:
        V = given["V"].reshape(3 + KEYS, d, n_inputs)
        V[1:] = V[1:, :1]
    given["b"][:d], given["b"][d:] = 0.0, 3.0
    kind = TIED if tied else MLSTM
    return kind(d, n_inputs, exponential=float(exponential), **given)
