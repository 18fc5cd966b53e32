"""Cells that add to their state: Euler and residual RNN, AntisymmetricRNN and its gated form, leaky RNN."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from integrators.cells.cell import Cell, Kind
from integrators.cells.layout import POINT
from integrators.codegen.compiled import kernel
from integrators.fields.activations import ACTIVATIONS, LOGISTIC, TANH, activate
from integrators.singular_values import spectral_norm
from sensitivity.recurrences.settings import cites, published_start
from sensitivity.recurrences.structures.matrices import Antisymmetric, Lipschitz, above_diagonal

from .initial import activation_of, as_in_the_paper, spectral, uniform

__all__ = [
    "ANTISYMMETRIC",
    "EULER",
    "GATED_ANTISYMMETRIC",
    "LEAKY",
    "antisymmetric",
    "euler",
    "gated_antisymmetric",
    "leaky",
    "lipschitz",
    "residual",
]

Rng = int | np.random.Generator


@kernel(POINT)
def _euler(constants, v, out, slopes):
    activate(int(constants[0]), v[0], out[0], slopes[0, 0])
    for f in range(v.shape[1]):
        out[0, f] = v[1, f] + v[2, f] * out[0, f]
        slopes[0, 0, f] *= v[2, f]
        slopes[0, 1, f] = 1.0


def _euler_bound(cell, h, n_steps):
    """(1 + ε sup|σ'| ‖W‖₂)^N."""
    return n_steps * np.log1p(h * (activation_of(cell).lipschitz * spectral(cell)))


EULER = Kind(
    name="euler",
    state=("h",),
    rows=("a",),
    point=_euler,
    depends={"h": "a h"},
    recurrent=1,
    constants={"activation": ACTIVATIONS["tanh"].code},
    step=1.0,
    reference="Rusch, Pearson, Zygalakis (2019), eqs. (3), (12)",
    bound=_euler_bound,
)


ANTISYMMETRIC = replace(
    EULER,
    name="antisymmetric",
    structure=Antisymmetric(0.01),
    reference="B. Chang, M. Chen, E. Haber, E. H. Chi, ICLR 2019",
)


@kernel(POINT)
def _gated(constants, v, out, slopes):
    n = v.shape[1]
    pre, z, dz, s, ds = np.empty(n), np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    for f in range(n):
        pre[f] = v[0, f] + v[2, f]
    activate(LOGISTIC, pre, z, dz)
    for f in range(n):
        pre[f] = v[0, f] + v[1, f]
    activate(TANH, pre, s, ds)
    for f in range(n):
        h = v[4, f]
        out[0, f] = v[3, f] + h * (z[f] * s[f])
        slopes[0, 1, f], slopes[0, 2, f] = h * (z[f] * ds[f]), h * (s[f] * dz[f])
        slopes[0, 0, f] = slopes[0, 1, f] + slopes[0, 2, f]
        slopes[0, 3, f] = 1.0


def _gated_bound(cell, h, n_steps):
    """(1 + ε ‖M‖₂)^N: with t = tanh(a) the slope is f = z (1 − t² + t (1 − z)), and |f| ≤ 1.

    f ≤ z + z (1 − z)²/4, its value at t = (1 − z)/2, which grows with z to 1; and f ≥ −z (1 − z) ≥ −1/4.
    """
    return n_steps * np.log1p(h * spectral(cell))


GATED_ANTISYMMETRIC = Kind(
    name="gated_antisymmetric",
    state=("h",),
    rows=("m", "a", "z"),
    point=_gated,
    depends={"h": "m a z h"},
    recurrent=1,
    inputs=(1, 3),
    biases=(1, 3),
    step=1.0,
    reference="B. Chang, M. Chen, E. Haber, E. H. Chi, ICLR 2019",
    bound=_gated_bound,
    structure=Antisymmetric(0.01),
)


@kernel(POINT)
def _leaky(constants, v, out, slopes):
    activate(int(constants[0]), v[0], out[0], slopes[0, 0])
    for f in range(v.shape[1]):
        out[0, f] = (1.0 - v[2, f]) * v[1, f] + v[2, f] * out[0, f]
        slopes[0, 0, f] *= v[2, f]
        slopes[0, 1, f] = 1.0 - v[2, f]


def _leaky_bound(cell, h, n_steps):
    """(|1 − 1/τ| + sup|σ'| ‖W‖₂/τ)^N."""
    gain = np.abs(1.0 - h) + h * (activation_of(cell).lipschitz * spectral(cell))
    with np.errstate(divide="ignore"):  # a gain of 0
        return n_steps * np.log(gain)


LEAKY = Kind(
    name="leaky",
    state=("h",),
    rows=("a",),
    point=_leaky,
    depends={"h": "a h"},
    recurrent=1,
    constants={"activation": ACTIVATIONS["tanh"].code},
    step=0.1,
    reference="J. M. Murray, eLife 8 (2019) e43299",
    bound=_leaky_bound,
)


@kernel(POINT)
def _lipschitz(constants, v, out, slopes):
    activate(TANH, v[1], out[0], slopes[0, 1])
    for f in range(v.shape[1]):
        h = v[3, f]
        out[0, f] = v[2, f] + h * (v[0, f] + out[0, f])
        slopes[0, 1, f] *= h
        slopes[0, 0, f], slopes[0, 2, f] = h, 1.0


def _lipschitz_bound(cell, h, n_steps):
    """(‖I + ε A‖₂ + ε ‖W‖₂)^N."""
    A, W = np.split(cell.parameters["W"], 2)
    still = np.array([spectral_norm(np.eye(cell.d) + step * A) for step in np.ravel(h)]).reshape(h.shape)
    with np.errstate(divide="ignore"):  # a gain of 0
        return n_steps * np.log(still + h * float(spectral_norm(W)))


LIPSCHITZ = Kind(
    name="lipschitz",
    state=("h",),
    rows=("A", "a"),
    point=_lipschitz,
    depends={"h": "A a h"},
    recurrent=2,
    inputs=(1, 2),
    biases=(1, 2),
    step=0.1,
    reference="N. B. Erichson, O. Azencot, A. Queiruga, L. Hodgkinson, M. W. Mahoney, ICLR 2021",
    bound=_lipschitz_bound,
    structure=Lipschitz(),
)


@published_start
def euler(d: int, n_inputs: int = 0, rng: Rng = 0, step: float = 1.0, activation: str = "tanh") -> Cell:
    """h' = h + ε σ(W h + V x + b), J = I + ε D[σ'(a)] W: equations (3) and (12) of the paper.

    Start: all uniform on (0, 1/d), W, then b, then V, as in the paper's Example 1 and `NeuralField.random`.
    """
    W, given = as_in_the_paper(d, n_inputs, rng)
    return EULER(d, n_inputs, step=step, W=W, activation=ACTIVATIONS[activation].code, **given)


@cites("B. Yue, J. Fu, J. Liang, Information 9 (2018) 56")
@published_start
def residual(d: int, n_inputs: int = 0, rng: Rng = 0, activation: str = "tanh") -> Cell:
    """h' = h + σ(W h + V x + b): `euler` with ε = 1, uniform on ±1/√d.

    The form that Rusch, Pearson, Zygalakis (2019) compare with; Yue, Fu, Liang (Information 9 (2018) 56) add
    further activations, which are not in here.
    """
    code = ACTIVATIONS[activation].code
    return EULER(d, n_inputs, **uniform(EULER, d, n_inputs, rng), activation=code)


@cites("B. Chang, M. Chen, E. Haber, E. H. Chi, ICLR 2019")
@published_start
def antisymmetric(
    d: int,
    n_inputs: int = 0,
    rng: Rng = 0,
    step: float = 0.1,
    gamma: float = 0.01,
    activation: str = "tanh",
) -> Cell:
    """h' = h + ε σ((A − Aᵀ − γ I) h + V x + b), J = I + ε D[σ'(a)] M; no bound on products of J is known.

    Start: A ~ N(0, 1/d), V ~ N(0, 1/n_inputs), b = 0 (Chang et al., ICLR 2019). W holds A − Aᵀ − γ I; free
    are the entries above the diagonal of A − Aᵀ, by which an A above the diagonal makes the same W.
    """
    code = ACTIVATIONS[activation].code
    return ANTISYMMETRIC(
        d, n_inputs, step=step, activation=code, **_antisymmetric_start(d, n_inputs, rng, gamma, 1)
    )


@published_start
def gated_antisymmetric(
    d: int, n_inputs: int = 0, rng: Rng = 0, step: float = 0.1, gamma: float = 0.01
) -> Cell:
    """h' = h + ε σ̂(M h + V_z x + b_z) ∘ tanh(M h + V x + b) with M = A − Aᵀ − γ I in both.

    Start as `antisymmetric`.

    Rows of V and b: candidate, then gate.
    """
    return GATED_ANTISYMMETRIC(d, n_inputs, step=step, **_antisymmetric_start(d, n_inputs, rng, gamma, 2))


def _antisymmetric_start(
    d: int, n_inputs: int, rng: Rng, gamma: float, rows: int
) -> dict[str, NDArray[np.float64]]:
    generator = np.random.default_rng(rng)
    A = generator.normal(size=(d, d)) / math.sqrt(d)
    given = {"A": above_diagonal(A - A.T), "gamma": np.array(gamma)}
    if n_inputs:
        given["V"] = generator.normal(size=(rows * d, n_inputs)) / math.sqrt(n_inputs)
    return given


@published_start
def leaky(d: int, n_inputs: int = 0, rng: Rng = 0, tau: float = 10.0, activation: str = "tanh") -> Cell:
    """h' = (1 − 1/τ) h + σ(W h + V x + b)/τ, J = (1 − 1/τ) I + D[σ'(a)] W/τ; the step size is 1/τ.

    Start: W ~ 1.5 N(0, 1/d), V uniform on ±0.1, b = 0 (Murray 2019). RFLO is its
    approximate gradient, see `sensitivity.analysis.approximate`.
    """
    generator = np.random.default_rng(rng)
    W = 1.5 * generator.normal(size=(d, d)) / math.sqrt(d)
    given = {"V": generator.uniform(-0.1, 0.1, (d, n_inputs))} if n_inputs else {}
    return LEAKY(d, n_inputs, step=1.0 / tau, W=W, activation=ACTIVATIONS[activation].code, **given)


@published_start
def lipschitz(
    d: int, n_inputs: int = 0, rng: Rng = 0, step: float = 0.1, beta: float = 0.75, gamma: float = 0.001
) -> Cell:
    """h' = h + ε (A h + tanh(W h + V x + b)), A, W = (1 − β)(M + Mᵀ) + β(M − Mᵀ) − γ I of matrices M_A, M_W.

    Start: entries of M ~ N(0, (0.1/d)²), V, b uniform on ±1/√d. The parameter W holds the rows of A, then
    of W.
    """
    generator = np.random.default_rng(rng)
    M = 0.1 / d * generator.normal(size=(2, d, d))
    given = uniform(LIPSCHITZ, d, n_inputs, generator)
    del given["W"]
    fixed = {"beta": np.array(beta), "gamma": np.array(gamma)}
    return LIPSCHITZ(d, n_inputs, step=step, M_A=M[0], M_W=M[1], **fixed, **given)
