"""Hamiltonian deep networks with one set of weights for all layers: H1, a step of explicit Euler."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from integrators.cells.cell import Cell, Kind
from integrators.cells.layout import POINT
from integrators.codegen.compiled import kernel
from integrators.fields.activations import TANH, activate
from sensitivity.recurrences.settings import published_start

from .initial import spectral

__all__ = ["h1"]

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
