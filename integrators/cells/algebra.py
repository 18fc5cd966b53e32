"""The algebra that recurrent cells share: affine rows, a pointwise rule, and their exact derivatives.

One step of nearly every recurrent cell, with d neurons and B state blocks s = (s_1, …, s_B), is

    z = (W s_src + V x + b)               first pre-activations, rows of d
    u = μ(z, s)                           hidden blocks (two-stage cells only), neuron by neuron
    z₂ = R u + V₂ x + b₂                  second pre-activations (two-stage cells only)
    s' = φ(z, z₂, s, e, h)                neuron by neuron; e are vectors of parameters, h the step size

so a cell is a `Layout` (which rows exist and what depends on what) and one or two pointwise kernels that fill
values and the *local* slopes ∂φ_b/∂v_l. Tangent, adjoint and every parameter gradient follow from those by

    dz = W ds_src,   ds'_b = Σ_l slope_{bl} ∘ dv_l,      and transposed backwards.

`evaluate` is the step, `columns` has tangents and cotangents, `gradient` the parameter gradients. All are
compiled once for all cells. Layers of one kind may be stacked: the input of a layer is the
first state block of the layer below, after its step.
"""

from __future__ import annotations

from integrators.codegen.access import flat, put
from integrators.codegen.compiled import helper
from integrators.codegen.memory import copy_into
from integrators.codegen.product import add_matrix, add_transposed

from .layout import places

__all__ = ["evaluate"]


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
