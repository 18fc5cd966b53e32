"""What compiled code is told about a kind of cell: its rows, where its parameters lie, scratch space."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import types
from numpy.typing import NDArray

from integrators.codegen.compiled import helper, kernel

__all__ = [
    "COLUMNS",
    "MATRIX",
    "PLAN",
    "POINT",
    "VECTOR",
    "Plan",
    "Work",
    "layer_of",
    "no_middle",
    "places",
    "work_for",
]

Counts = NDArray[np.int64]

_I, _B = types.int64, types.boolean
VECTOR, MATRIX, COLUMNS = (types.Array(types.float64, n, "C") for n in (1, 2, 3))
_PAIRS = types.Array(types.int64, 2, "C")

POINT = types.void(VECTOR, MATRIX, MATRIX, COLUMNS)
"""The signature of a pointwise rule, ``point(constants, v, out, slopes)``: four arrays of float64.

For every neuron f of every batch member the rule fills out[b, f], the new value of state block b, and
slopes[b, l, f] = ∂out[b, f]/∂v[l, f] for those rows l of v that `Kind.depends` lists for the block. The rows
of v are the pre-activations, the state blocks and the parameter vectors of the kind; after them come the step
size and the clock, which have no slopes.

Examples
--------
>>> from integrators import POINT, TANH, activate, kernel
>>> @kernel(POINT)
... def point(constants, v, out, slopes):
...     activate(TANH, v[0], out[0], slopes[0, 0])
"""


class Plan(NamedTuple):
    """What the compiled code is told about a kind of cell. Row counts are in units of d rows."""

    layers: int
    states: int  # B
    source: int  # leading state blocks that W multiplies
    first: int  # rows of the first stage
    second: int  # rows of the second stage, 0 without one
    recurrent: int  # leading rows that W fills
    tied: bool  # R is Wᵀ and has no entries of its own
    input_from: int  # rows that V fills, [from, to)
    input_to: int
    bias_from: int  # rows that b fills
    bias_to: int
    hidden: int  # hidden blocks u
    vectors: int  # parameter vectors e
    constants: int
    clock: int  # trailing rows of x that are handed to the pointwise rule instead of V
    out_pairs: Counts  # (n, 2): state block b depends on local l
    hidden_pairs: Counts  # (n, 2): hidden block b depends on local l


PLAN = types.NamedTuple((_I,) * 6 + (_B,) + (_I,) * 8 + (_PAIRS, _PAIRS), Plan)


@kernel(POINT)
def no_middle(constants, v, out, slopes):
    """The middle of a one-stage cell: nothing."""


class Work(NamedTuple):
    """Scratch of one block of lanes; the leading axis of the first four is the layer."""

    v: NDArray[np.float64]  # (layers, locals + 1 + clock, d·m)
    u: NDArray[np.float64]  # (layers, hidden, d·m)
    slopes: NDArray[np.float64]  # (layers, states, locals, d·m)
    inner: NDArray[np.float64]  # (layers, hidden, locals, d·m)
    z: NDArray[np.float64]  # (rows·d, k, m): tangents or cotangents of all pre-activations
    hidden: NDArray[np.float64]  # (hidden·d, k, m): those of u
    ones: NDArray[np.float64]


@helper
def work_for(plan, d, k, m):
    """Room for d neurons, k columns and m lanes."""
    rows = plan.first + plan.second
    n_locals = rows + plan.states + plan.vectors
    n = d * m
    kind = np.float64
    return Work(
        np.empty((plan.layers, n_locals + 1 + plan.clock, n), kind),
        np.empty((plan.layers, plan.hidden, n), kind),
        np.full((plan.layers, plan.states, n_locals, n), np.nan, kind),  # what no rule fills is no old memory
        np.full((plan.layers, plan.hidden, n_locals, n), np.nan, kind),
        np.empty((rows * d, k, m), kind),
        np.empty((plan.hidden * d, k, m), kind),
        np.ones((rows + plan.states + plan.hidden) * d, kind),
    )


@helper
def places(plan, d, n_in):
    """Where b, V, R, e and the constants of a layer start, and where it ends; W starts at 0."""
    v = plan.recurrent * plan.source * d * d
    b = v + (plan.input_to - plan.input_from) * d * n_in
    r = b + (plan.bias_to - plan.bias_from) * d
    e = r + (0 if plan.tied else plan.second * plan.hidden * d * d)
    c = e + plan.vectors * d
    return v, b, r, e, c, c + plan.constants


@helper
def layer_of(plan, theta, d, n_in, layer):
    """The parameters of one layer; those above the first take d inputs."""
    start = 0 if layer == 0 else places(plan, d, n_in)[5] + (layer - 1) * places(plan, d, d)[5]
    return theta[start : start + places(plan, d, n_in if layer == 0 else d)[5]]
