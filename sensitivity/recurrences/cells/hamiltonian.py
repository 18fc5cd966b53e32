"""Hamiltonian deep networks with one set of weights for all layers: H1, a step of explicit Euler, and H2."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from integrators.cells.cell import Cell, Kind
from integrators.cells.layout import POINT
from integrators.codegen.compiled import kernel
from integrators.fields.activations import TANH, activate
from integrators.singular_values import spectral_norm
from sensitivity.recurrences.majorants import log_norm_of_power
from sensitivity.recurrences.settings import published_start

from .initial import spectral

__all__ = ["h1", "h2"]

Float = NDArray[np.float64]
Rng = int | np.random.Generator


@kernel(POINT)
def _activities(constants, v, u, slopes):
    """u = tanh(K s + b), which Kᵀ then multiplies."""
    activate(TANH, v[0], u[0], slopes[0, 0])
    activate(TANH, v[1], u[1], slopes[1, 1])


@kernel(POINT)
def _h1(constants, v, out, slopes):
    """(y', z') = (y, z) + h (g_z, −g_y): the locals are both pre-activations, g_y, g_z, y, z, h."""
    for f in range(v.shape[1]):
        h = v[6, f]
        out[0, f], out[1, f] = v[4, f] + h * v[3, f], v[5, f] - h * v[2, f]
        slopes[0, 3, f], slopes[0, 4, f], slopes[1, 2, f], slopes[1, 5, f] = h, 1.0, -h, 1.0


def _bound(cell: Cell, h: Float, n_steps: int) -> Float:
    """(1 + h ‖K‖₂²)^N: J = I + h J₀ Kᵀ D K with an orthogonal J₀ and 0 ≤ D ≤ 1."""
    return n_steps * np.log1p(h * spectral(cell) ** 2)


H1 = Kind(
    name="h1",
    state=("y", "z"),
    rows=("a_y", "a_z"),
    second=("g_y", "g_z"),
    hidden={"u_y": "a_y", "u_z": "a_z"},
    middle=_activities,
    tied=True,
    point=_h1,
    depends={"y": "g_z y", "z": "g_y z"},
    recurrent=2,
    source=2,
    inputs=(0, 2),
    biases=(0, 2),
    step=0.1,
    reference="C. L. Galimberti, L. Furieri, L. Xu, G. Ferrari-Trecate, IEEE Trans. Autom. Control 68 (2023)",
    bound=_bound,
)


@published_start
def h1(d: int, n_inputs: int = 0, rng: Rng = 0, step: float = 0.1) -> Cell:
    """s' = s + h J Kᵀ tanh(K s + V x + b) with s = (y, z) of 2d numbers, J = [[0, I], [−I, 0]]; W is K.

    Explicit Euler of a Hamiltonian system, which is not symplectic itself. Start: K, b ~ N(0, 1) as in the
    authors' code, V ~ N(0, 1/n_inputs).
    """
    generator = np.random.default_rng(rng)
    given = {"W": generator.normal(size=(2 * d, 2 * d)), "b": generator.normal(size=2 * d)}
    if n_inputs:
        given["V"] = generator.normal(size=(2 * d, n_inputs)) / np.sqrt(n_inputs)
    return H1(d, n_inputs, step=step, **given)


@kernel(POINT)
def _activity(constants, v, u, slopes):
    """u = tanh(Kᵀ q + b), which K then multiplies."""
    activate(TANH, v[0], u[0], slopes[0, 0])


@kernel(POINT)
def _half(constants, v, out, slopes):
    """(p + s h g, q): one half of the state moves, and both change places. Locals: a, g, q, p, h."""
    sign = constants[0]
    for f in range(v.shape[1]):
        h = sign * v[4, f]
        out[0, f], out[1, f] = v[3, f] + h * v[1, f], v[2, f]
        slopes[0, 1, f], slopes[0, 3, f], slopes[1, 2, f] = h, 1.0, 1.0


@kernel(POINT)
def _half_back(constants, v, out, slopes):
    """(q, p') with p' = p − s h g: the half that moved is taken back. Locals: a, g, p, q, h."""
    for f in range(v.shape[1]):
        h = constants[0] * v[4, f]
        out[0, f], out[1, f] = v[3, f], v[2, f] - h * v[1, f]
        slopes[0, 3, f], slopes[1, 1, f], slopes[1, 2, f] = 1.0, -h, 1.0


_BACK = Kind(
    name="h2, backwards",
    state=("y", "z"),
    rows=("a",),
    second=("g",),
    hidden={"u": "a"},
    middle=_activity,
    point=_half_back,
    depends={"y": "z", "z": "g y"},
    recurrent=1,
    source=2,
    inputs=(0, 1),
    biases=(0, 1),
    constants={"sign": -1.0, "sign_2": 1.0},
    substeps=2,
    step=0.1,
)


def _inverse_h2(cell: Cell) -> Cell:
    """The halves in reversed order. Each sees the half that it has not moved, which is now the second."""
    p, given = cell.parameters, {}
    for end, own in (("", "_2"), ("_2", "")):
        given[f"W{end}"] = np.concatenate([np.zeros_like(p[f"W{own}"]), p[f"W{own}"]], axis=1)
        given[f"R{end}"] = p[f"W{own}"].T.copy()
        given |= {f"{name}{end}": p[f"{name}{own}"] for name in ("V", "b") if f"{name}{own}" in p}
        given[f"sign{end}"] = p[f"sign{own}"]
    return _BACK(cell.d, cell.n_inputs, step=cell.step_size, **given)


def _bound_h2(cell: Cell, h: Float, n_steps: int) -> Float:
    """‖M^N‖₂ with M = ((1 + h² a b, h b), (h a, 1)), a = ‖K₁‖², b = ‖K₂‖².

    A step is ((I, −h B), (0, I)) ((I, 0), (h A, I)) with A = K₁ D₁ K₁ᵀ, B = K₂ D₂ K₂ᵀ and 0 ≤ D ≤ 1.
    """
    p = cell.parameters
    a, b = h * float(spectral_norm(p["W"])) ** 2, h * float(spectral_norm(p["W_2"])) ** 2
    steps = np.array([[1.0 + a * b, b], [a, np.ones(h.shape)]])
    return log_norm_of_power(np.moveaxis(steps, (0, 1), (-2, -1)), n_steps)


H2 = Kind(
    name="h2",
    state=("y", "z"),
    rows=("a",),
    second=("g",),
    hidden={"u": "a"},
    middle=_activity,
    tied=True,
    point=_half,
    depends={"y": "g z", "z": "y"},
    recurrent=1,
    inputs=(0, 1),
    biases=(0, 1),
    constants={"sign": 1.0, "sign_2": -1.0},
    substeps=2,
    step=0.1,
    reference="C. L. Galimberti, L. Furieri, L. Xu, G. Ferrari-Trecate, IEEE Trans. Autom. Control 68 (2023)",
    bound=_bound_h2,
    inverse=_inverse_h2,
)


@published_start
def h2(d: int, n_inputs: int = 0, rng: Rng = 0, step: float = 0.1) -> Cell:
    """z' = z + h K₁ tanh(K₁ᵀ y + V₁ x + b₁), then y' = y − h K₂ tanh(K₂ᵀ z' + V₂ x + b₂): symplectic Euler.

    Two halves of d numbers, y and z. W is K₁ᵀ and W_2 is K₂ᵀ; the ending _2 belongs to the second half. The
    Jacobian M by the state is symplectic, so that ‖M‖₂ ≥ 1 for all weights, and a step can be undone. Start:
    K, b ~ N(0, 1) as in the authors' code, V ~ N(0, 1/n_inputs); their layers take no further input.
    """
    generator = np.random.default_rng(rng)
    given = {}
    for end in ("", "_2"):
        given[f"W{end}"] = generator.normal(size=(d, d))
        given[f"b{end}"] = generator.normal(size=d)
        if n_inputs:
            given[f"V{end}"] = generator.normal(size=(d, n_inputs)) / np.sqrt(n_inputs)
    return H2(d, n_inputs, step=step, **given)
