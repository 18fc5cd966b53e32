"""The Hamiltonian RNN as a cell: leapfrog with its velocity at half steps, whose step can be undone."""

from __future__ import annotations

import numpy as np

from integrators.cells.cell import Cell, Kind
from integrators.cells.layout import POINT
from integrators.codegen.compiled import kernel
from integrators.fields.activations import ACTIVATIONS, activate
from integrators.singular_values import spectral_norm
from sensitivity.recurrences.majorants import first_entry, log_of_power
from sensitivity.recurrences.settings import published_start

from .initial import activation_of, as_in_the_paper
from .oscillators import on_grid

__all__ = ["STAGGERED", "staggered"]


@kernel(POINT)
def _drift(constants, v, u, slopes):
    """u = y + ε q: where the force is."""
    for f in range(v.shape[1]):
        u[0, f] = v[1, f] + on_grid(v[3, f] * v[2, f], constants[1])
        slopes[0, 1, f], slopes[0, 2, f] = 1.0, v[3, f]


@kernel(POINT)
def _kick(constants, v, out, slopes):
    activate(int(constants[0]), v[0], out[1], slopes[1, 0])
    for f in range(v.shape[1]):
        h = v[3, f]
        out[0, f] = v[1, f] + on_grid(h * v[2, f], constants[1])
        out[1, f] = v[2, f] + on_grid(h * out[1, f], constants[1])
        slopes[0, 1, f], slopes[0, 2, f] = 1.0, h
        slopes[1, 0, f] *= h
        slopes[1, 2, f] = 1.0


@kernel(POINT)
def _back(constants, v, out, slopes):
    n = v.shape[1]
    force, unused = np.empty(n), np.empty(n)
    activate(int(constants[0]), v[0], force, unused)
    for f in range(n):
        out[1, f] = v[2, f] - on_grid(v[3, f] * force[f], constants[1])
        out[0, f] = v[1, f] - on_grid(v[3, f] * out[1, f], constants[1])


_CONSTANTS = {"activation": ACTIVATIONS["tanh"].code, "grid": 0.0}
_BACK = Kind(
    name="staggered, backwards",
    state=("y", "q"),
    rows=("a",),
    point=_back,
    depends={"y": "a y q", "q": "a q"},
    recurrent=1,
    constants=_CONSTANTS,
    step=0.01,
)


def _inverse(cell: Cell) -> Cell:
    """The force of a step is at the position after it, so that backwards it comes first."""
    p = dict(cell.parameters)
    return _BACK(cell.d, cell.n_inputs, step=cell.step_size, W=p.pop("R"), **p)


def _bound(cell, h, n_steps):
    """The first entry of the N-th power of ((1, 1), (ε²λ, 1 + ε²λ)), λ = sup|σ'| ‖W‖₂: theorem E."""
    slope = activation_of(cell).lipschitz * float(spectral_norm(cell.parameters["R"]))
    one, gain = np.ones(h.shape), h * (h * slope)
    steps = [[one, one], [gain, one + gain]]
    total, log_scale = log_of_power(np.moveaxis(np.array(steps), (0, 1), (-2, -1)), n_steps)
    return first_entry(total, log_scale)


STAGGERED = Kind(
    name="staggered",
    state=("y", "q"),
    rows=(),
    second=("a",),
    hidden={"u": "y q"},
    middle=_drift,
    point=_kick,
    depends={"y": "y q", "q": "a q"},
    recurrent=0,
    constants=_CONSTANTS,
    step=0.01,
    block="y",
    reference="Rusch, Pearson, Zygalakis (2019), eq. (13)",
    bound=_bound,
    inverse=_inverse,
)


@published_start
def staggered(
    d: int,
    n_inputs: int = 0,
    rng: int | np.random.Generator = 0,
    step: float = 0.01,
    activation: str = "tanh",
    grid: float = 0.0,
) -> Cell:
    """y' = y + ε q, q' = q + ε σ(W y' + V x + b), q at half steps; the parameter R is W. det J = 1.

    With q_0 = ẏ_0 + (ε/2) σ(W y_0 + b) the y_i are those of leapfrog, (11). Start: all uniform on (0, 1/d),
    W, then b, then V, as in the paper's Example 1. `grid` as for `unicornn`.
    """
    W, given = as_in_the_paper(d, n_inputs, rng)
    code = ACTIVATIONS[activation].code
    return STAGGERED(d, n_inputs, step=step, R=W, activation=code, grid=grid, **given)
