"""Cells that are linear in their state, with gates of the input alone: minGRU, minLSTM, RG-LRU and S6.

The Jacobian of a step is diagonal and depends on the input only, so that of a run is the product of the
gates, for every neuron by itself. The gates lie between 0 and 1: ‖∂s_N/∂s_0‖₂ ≤ 1 for all inputs.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integrators.cells.cell import Cell, Kind
from integrators.cells.layout import POINT
from integrators.codegen.compiled import helper, kernel
from integrators.codegen.primitives import LOWEST, exp_negative
from integrators.fields.activations import LOGISTIC, activate
from sensitivity.recurrences.settings import published_start
from sensitivity.recurrences.structures.vectors import Decays, LogSigmoid, logit

from .initial import uniform

__all__ = ["mingru", "minlstm", "rg_lru", "s6"]

Float = NDArray[np.float64]
Rng = int | np.random.Generator

STATES = 16
"""States of a neuron of S6, as in Mamba."""


def _contracts(cell: Cell, h: Float, n_steps: int) -> Float:
    """1: every gate lies between 0 and 1."""
    return np.zeros(h.shape)


def _decays(cell: Cell, h: Float, n_steps: int) -> Float:
    """1 where all rates are ≤ 0; none is proved where one is not, as parameters of one's own may have it."""
    p = cell.parameters
    rates = [p["c"] * p["log_a"]] if "log_a" in p else [p[name] for name in cell.kind.vectors]
    return np.full(h.shape, 0.0 if max(float(rate.max()) for rate in rates) <= 0.0 else math.nan)


@helper
def both_ways(z, gate, slope, rest):
    """gate = σ̂(z) with its slope, and rest = σ̂(−z) = 1 − gate, each with full relative accuracy."""
    n = z.size
    minus, unused = np.empty(n), np.empty(n)
    activate(LOGISTIC, z, gate, slope)
    for f in range(n):
        minus[f] = -z[f]
    activate(LOGISTIC, minus, rest, unused)


@helper
def _candidates(positive, z, value, slope):
    """The candidate state: z itself, or g(z) = z + ½ for z ≥ 0 and σ̂(z) for z < 0, which is positive."""
    if positive == 0.0:
        for f in range(z.size):
            value[f], slope[f] = z[f], 1.0
    else:
        activate(LOGISTIC, z, value, slope)
        for f in range(z.size):
            if z[f] >= 0.0:
                value[f], slope[f] = z[f] + 0.5, 1.0


@kernel(POINT)
def _mingru(constants, v, out, slopes):
    n = v.shape[1]
    z, dz, keep, new, dnew = np.empty(n), np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    both_ways(v[0], z, dz, keep)
    _candidates(constants[0], v[1], new, dnew)
    for f in range(n):
        out[0, f] = keep[f] * v[2, f] + z[f] * new[f]
        slopes[0, 0, f], slopes[0, 1, f] = dz[f] * (new[f] - v[2, f]), z[f] * dnew[f]
        slopes[0, 2, f] = keep[f]


MINGRU = Kind(
    name="mingru",
    state=("h",),
    rows=("z", "n"),
    point=_mingru,
    depends={"h": "z n h"},
    recurrent=0,
    constants={"positive": 0.0},
    reference="L. Feng, F. Tung, M. O. Ahmed, Y. Bengio, H. Hajimirsadeghi, arXiv:2410.01201 (2024)",
    bound=_contracts,
)


@kernel(POINT)
def _minlstm(constants, v, out, slopes):
    n = v.shape[1]
    positive, normalised = constants[0], constants[1] != 0.0
    forget, df, shut, enter, di, closed = (
        np.empty(n), np.empty(n), np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    )  # fmt: skip
    new, dnew = np.empty(n), np.empty(n)
    both_ways(v[0], forget, df, shut)
    both_ways(v[1], enter, di, closed)
    _candidates(positive, v[2], new, dnew)
    for f in range(n):
        h, keep, take = v[3, f], forget[f], enter[f]
        slopes[0, 0, f], slopes[0, 1, f] = df[f] * h, di[f] * new[f]
        if normalised:
            # f/(f + i); where both gates underflow it is 1/(1 + e^(b − a)), the same with 1 − f = 1 − i = 1.
            total = keep + take
            share = keep / total if total > 0.0 else 1.0 / (1.0 + math.exp(v[1, f] - v[0, f]))
            keep, take = share, (take / total if total > 0.0 else 1.0 - share)
            turn = keep * take * (h - new[f])
            slopes[0, 0, f], slopes[0, 1, f] = turn * shut[f], -turn * closed[f]
        out[0, f] = keep * h + take * new[f]
        slopes[0, 2, f], slopes[0, 3, f] = take * dnew[f], keep


MINLSTM = replace(
    MINGRU,
    name="minlstm",
    rows=("f", "i", "n"),
    point=_minlstm,
    depends={"h": "f i n h"},
    constants={"positive": 0.0, "normalised": 1.0},
)


@kernel(POINT)
def _rg_lru(constants, v, out, slopes):
    n = v.shape[1]
    r, dr, i, di = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    activate(LOGISTIC, v[1], r, dr)
    activate(LOGISTIC, v[2], i, di)
    for f in range(n):
        x, h, rate = v[0, f], v[3, f], constants[0] * v[4, f]
        log_a = r[f] * rate
        _, a = exp_negative(max(log_a, LOWEST))
        rest, square = exp_negative(max(2.0 * log_a, LOWEST))
        size = math.sqrt(rest) if rest >= 0.0 else math.nan  # no input gain where a > 1
        drive = i[f] * x
        out[0, f] = a * h + size * drive
        by_log = a * h - (square / size * drive if size > 0.0 else 0.0)
        slopes[0, 0, f], slopes[0, 1, f], slopes[0, 2, f] = (
            size * i[f],
            by_log * rate * dr[f],
            size * x * di[f],
        )
        slopes[0, 3, f], slopes[0, 4, f] = a, by_log * constants[0] * r[f]


RG_LRU = Kind(
    name="rg_lru",
    state=("h",),
    rows=("x", "r", "i"),
    point=_rg_lru,
    depends={"h": "x r i h log_a"},
    recurrent=0,
    biases=(1, 3),
    vectors=("log_a",),
    constants={"c": 8.0},
    reference="S. De et al., arXiv:2402.19427 (2024)",
    bound=_decays,
    structure=LogSigmoid(),
)


@kernel(POINT)
def _s6(constants, v, out, slopes):
    """h_k' = e^{ΔA_k} h_k + Δ B_k x for every state k; the locals are x, Δ, the B_k, the h_k, the A_k."""
    states, n = out.shape[0], v.shape[1]
    share, unused = np.empty(n), np.empty(n)
    activate(LOGISTIC, v[1], share, unused)
    for f in range(n):
        a = v[1, f]
        unused[f] = max(a, 0.0) + math.log1p(math.exp(-abs(a)))
    for k in range(states):
        for f in range(n):
            dt, x, b, h, rate = (
                unused[f],
                v[0, f],
                v[2 + k, f],
                v[2 + states + k, f],
                v[2 + 2 * states + k, f],
            )
            _, e = exp_negative(max(-abs(dt * rate), LOWEST))
            keep = e if rate <= 0.0 else 1.0 / e
            out[k, f] = keep * h + dt * (b * x)
            slopes[k, 0, f], slopes[k, 1, f] = dt * b, share[f] * (rate * keep * h + b * x)
            slopes[k, 2 + k, f], slopes[k, 2 + states + k, f] = dt * x, keep
            slopes[k, 2 + 2 * states + k, f] = dt * keep * h


S6 = Kind(
    name="s6",
    state=tuple(f"h{k}" for k in range(STATES)),
    rows=("x", "delta", *(f"B{k}" for k in range(STATES))),
    point=_s6,
    depends={f"h{k}": f"x delta B{k} h{k} A{k}" for k in range(STATES)},
    recurrent=0,
    biases=(1, 2),
    vectors=tuple(f"A{k}" for k in range(STATES)),
    reference="A. Gu, T. Dao, COLM 2024",
    bound=_decays,
    structure=Decays(STATES),
)


@published_start
def mingru(d: int, n_inputs: int = 0, rng: Rng = 0, positive: bool = False, z: Any = None) -> Cell:
    """h' = (1 − z)∘h + z∘n, z = σ̂(V_z x + b_z), n = V_n x + b_n: ∂h_N/∂h_0 = Π (1 − z_i) exactly.

    With `positive`, n = g(·) with g(a) = a + ½ for a ≥ 0 and σ̂(a) for a < 0, the authors' form for scans of
    logarithms. Rows of V and b: z, n. Start: ±1/√d, uniform; with `z`, one number or d of them, b_z is such
    that this is the gate at x = 0.
    """
    given = uniform(MINGRU, d, n_inputs, rng)
    if z is not None:
        given["b"][:d] = logit(z)
    return MINGRU(d, n_inputs, positive=float(positive), **given)


@published_start
def minlstm(d: int, n_inputs: int = 0, rng: Rng = 0, positive: bool = False, normalised: bool = True) -> Cell:
    """h' = f'∘h + i'∘n, f' = f/(f + i), i' = i/(f + i), f, i = σ̂(·), n = V_n x + b_n; gates of x alone.

    Without `normalised`, f' = f and i' = i. `positive` as in `mingru`. Rows of V and b: f, i, n. Start:
    ±1/√d, uniform. ∂h_N/∂h_0 = Π f'_i exactly.
    """
    constants = {"positive": float(positive), "normalised": float(normalised)}
    return MINLSTM(d, n_inputs, **constants, **uniform(MINLSTM, d, n_inputs, rng))


@published_start
def rg_lru(d: int, n_inputs: int = 0, rng: Rng = 0, c: float = 8.0) -> Cell:
    """h' = a∘h + √(1 − a²)∘(i∘x̃), a = σ̂(Λ)^(c r), r, i = σ̂(V x + b), x̃ = V_x x: the cell of Griffin.

    Rows of V: x, r, i; of b: r, i. Start: σ̂(Λ)^c uniform in its square on (0.9², 0.999²), V ~ N(0,
    1/n_inputs), b = 0. ∂h_N/∂h_0 = Π a_i exactly.
    """
    generator = np.random.default_rng(rng)
    log_a = 0.5 * np.log(generator.uniform(0.9**2, 0.999**2, d)) / c
    given = {"V": generator.normal(size=(3 * d, n_inputs)) / math.sqrt(n_inputs)} if n_inputs else {}
    return RG_LRU(d, n_inputs, c=c, Lambda=log_a - np.log(-np.expm1(log_a)), **given)


@published_start
def s6(d: int, n_inputs: int = 0, rng: Rng = 0, A: Any = None, dt: Any = None) -> Cell:
    """h_k' = e^{ΔA_k}∘h_k + Δ∘B_k∘x̃, k = 0 … 15, with Δ = softplus(V_Δ x + b_Δ), B_k = V_k x, x̃ = V_x x.

    This is the core of Mamba.

    Rows of V: x, Δ, B_0 …; b: Δ. Start: A_k = −(k + 1) for every neuron, b_Δ such that Δ is log-uniform on
    (1e-3, 1e-1) at x = 0, V ~ U(±1/√n_inputs), with rows of B_k that are the same for all neurons,
    as Mamba keeps them. With `A`, −|A| is the rate of all states, which never grow; with `dt`, this is
    Δ at x = 0 and V_Δ = 0. ∂h_N/∂h_0 = Π e^{Δ_i A} exactly, and every factor lies between 0 and 1.
    """
    generator = np.random.default_rng(rng)
    rates = np.log(np.repeat(np.arange(1.0, STATES + 1.0)[:, None], d, axis=1))
    if A is not None:
        rates = np.log(np.broadcast_to(A, (STATES, d)))
    drawn = np.exp(generator.uniform(math.log(1e-3), math.log(1e-1), d))
    given = {"b": _softplus_inverse(drawn if dt is None else np.broadcast_to(dt, (d,)))}
    if n_inputs:
        limit = 1.0 / math.sqrt(n_inputs)
        V = generator.uniform(-limit, limit, (2 + STATES, d, n_inputs))
        V[2:] = V[2:, :1]
        if dt is not None:
            V[1] = 0.0
        given["V"] = V.reshape(-1, n_inputs)
    return S6(d, n_inputs, A_log=rates, **given)


def _softplus_inverse(value: Float) -> Float:
    """ln(e^v − 1) = v + ln(1 − e^−v)."""
    return value + np.log(-np.expm1(-value))
