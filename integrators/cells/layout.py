"""What compiled code is told about a kind of cell, and the algebra that recurrent cells share.

One step of nearly every recurrent cell, with d neurons and B state blocks s = (s_1, …, s_B), is affine rows
and a pointwise rule,

    z = (W s_src + V x + b)               first pre-activations, rows of d
    u = μ(z, s)                           hidden blocks (two-stage cells only), neuron by neuron
    z₂ = R u + V₂ x + b₂                  second pre-activations (two-stage cells only)
    s' = φ(z, z₂, s, e, h)                neuron by neuron; e are vectors of parameters, h the step size

so a cell is a `Layout` (which rows exist, what depends on what, where the parameters lie) and one or two
pointwise kernels that fill values and the *local* slopes ∂φ_b/∂v_l. Tangent, adjoint and every parameter
gradient follow from those by

    dz = W ds_src,   ds'_b = Σ_l slope_{bl} ∘ dv_l,      and transposed backwards.

`evaluate` is the step, `columns` has tangents and cotangents, `gradient` the parameter gradients. All are
compiled once for all cells. Layers of one kind may be stacked: the input of a layer is the first state block
of the layer below, after its step.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import types
from numpy.typing import NDArray

from integrators.codegen.array_types import COLUMNS, MATRIX, TABLE, VECTOR
from integrators.codegen.compiled import helper, kernel
from integrators.codegen.primitives import copy_into, flat, put
from integrators.codegen.product import add_matrix, add_transposed

__all__ = [
    "LAYOUT",
    "POINT",
    "Layout",
    "evaluate",
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


@helper
def evaluate(point, middle, layout, theta, s, x, c, out, v, u, slopes, inner, ones):
    """out = Φ(s, x) for one layer, and the local slopes on the way."""
    m = s.shape[1]
    d = s.shape[0] // layout.states
    n = d * m
    n_in = x.shape[0] - layout.clock
    at_v, at_b, at_r, at_e, at_c, end = places(layout, d, n_in)
    rows = layout.first + layout.second
    z = flat(v)
    for g in range(rows):
        biased = layout.bias_from <= g and g < layout.bias_to
        for i in range(d):
            value = theta[at_b + (g - layout.bias_from) * d + i] if biased else 0.0
            for q in range(m):
                put(z, (g * d + i) * m + q, value)
    add_matrix(theta, 0, layout.recurrent * d, layout.source * d, flat(s), z, m, ones)
    if n_in > 0:
        driven = flat(v[layout.input_from : layout.input_to])
        add_matrix(theta, at_v, (layout.input_to - layout.input_from) * d, n_in, flat(x), driven, m, ones)
    copy_into(flat(s), flat(v[rows : rows + layout.states]))
    place = (rows + layout.states) * n
    for e in range(layout.vectors):
        for i in range(d):
            for q in range(m):
                put(z, place + i * m + q, theta[at_e + e * d + i])
        place += n
    for i in range(d):
        for q in range(m):
            put(z, place + i * m + q, c[q])
    for t in range(layout.clock):
        place += n
        for i in range(d):
            for q in range(m):
                put(z, place + i * m + q, x[n_in + t, q])
    constants = theta[at_c:end]
    if layout.second > 0:
        middle(constants, v, u, inner)
        target = flat(v[layout.first : rows])
        if layout.tied:
            add_transposed(theta, 0, layout.recurrent * d, layout.source * d, flat(u), target, m, ones)
        else:
            add_matrix(theta, at_r, layout.second * d, layout.hidden * d, flat(u), target, m, ones)
    point(constants, v, out.reshape(layout.states, n), slopes)
