"""What compiled code is told about a kind of cell: its rows, where its parameters lie."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import types
from numpy.typing import NDArray

from integrators.codegen.array_types import COLUMNS, MATRIX, TABLE, VECTOR
from integrators.codegen.compiled import helper, kernel

__all__ = [
    "LAYOUT",
    "POINT",
    "Layout",
    "layer_of",
    "no_middle",
    "places",
    "width_of",
]

Counts = NDArray[np.int64]

_I, _B = types.int64, types.boolean

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


class Layout(NamedTuple):
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
    substeps: int  # maps of this rule that one step applies in turn, each with parameters of its own
    out_pairs: Counts  # (n, 2): state block b depends on local l
    hidden_pairs: Counts  # (n, 2): hidden block b depends on local l


LAYOUT = types.NamedTuple((_I,) * 6 + (_B,) + (_I,) * 9 + (TABLE, TABLE), Layout)


@kernel(POINT)
def no_middle(constants, v, out, slopes):
    """The middle of a one-stage cell: nothing."""


@helper
def places(layout, d, n_in):
    """Where b, V, R, e and the constants of a layer start, and where it ends; W starts at 0."""
    v = layout.recurrent * layout.source * d * d
    b = v + (layout.input_to - layout.input_from) * d * n_in
    r = b + (layout.bias_to - layout.bias_from) * d
    e = r + (0 if layout.tied else layout.second * layout.hidden * d * d)
    c = e + layout.vectors * d
    return v, b, r, e, c, c + layout.constants


@helper
def width_of(layout, layer, d, n_in):
    """Inputs of a layer: those above the first take the d neurons below; all substeps take the network's."""
    return n_in if layer == 0 or layout.substeps > 1 else d


@helper
def layer_of(layout, theta, d, n_in, layer):
    """The parameters of one layer, or of one substep."""
    width = n_in if layer == 0 or layout.substeps > 1 else d  # as `width_of` has it
    start = 0 if layer == 0 else places(layout, d, n_in)[5] + (layer - 1) * places(layout, d, width)[5]
    return theta[start : start + places(layout, d, width)[5]]
