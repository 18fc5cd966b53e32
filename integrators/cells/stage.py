"""The stage of recurrent cells: one step of every layer, its tangents, and the way back.

What goes to the tape is the state before the step, D rows.
"""

from __future__ import annotations

import numpy as np
from numba import types

from integrators.codegen.access import flat, get, put
from integrators.codegen.array_types import COLUMNS, COUNTS, VECTOR
from integrators.codegen.compiled import Callback, helper, inlined, kernel
from integrators.codegen.memory import copy_into
from integrators.engine.drivers import (
    BLOCK,
    NOTHING,
    REPLAY,
    RUN,
    TAPS,
    one_by_one,
    sweep_backward,
    sweep_forward,
)

from .algebra import add_gradient, evaluate, pull, push
from .layout import LAYOUT, POINT, layer_of, work_for

__all__ = ["cells_backward", "cells_forward", "layer_input"]

_POINT, _I = Callback(POINT), types.int64


@helper
def layer_input(layer, x, out, size, d, clock, own):
    """x of a layer: the network's, or the first block of the layer below and the clock, copied to `own`."""
    if layer == 0:
        return x
    m, n_in = x.shape[1], x.shape[0] - clock
    copy_into(flat(out[(layer - 1) * size : (layer - 1) * size + d]), flat(own))
    for t in range(clock):
        for q in range(m):
            own[d + t, q] = x[n_in + t, q]
    return own


@helper
def step_layers(point, middle, layout, theta, s, x, c, out, ds, dout, w):
    """out = Φ(s, x) and dout = ∂Φ/∂s ds, layer by layer from below."""
    m, k, size = s.shape[1], ds.shape[1], s.shape[0] // layout.layers
    d, n_in = size // layout.states, x.shape[0] - layout.clock
    own = np.empty((d + layout.clock, m), s.dtype)
    for layer in range(layout.layers):
        part = slice(layer * size, (layer + 1) * size)
        values, slopes, inner = w.v[layer], w.slopes[layer], w.inner[layer]
        parameters = layer_of(layout, theta, d, n_in, layer)
        drive = layer_input(layer, x, out, size, d, layout.clock, own)
        evaluate(point, middle, layout, parameters, s[part], drive, c, out[part], values, w.u[layer], slopes,
                 inner, w.ones)  # fmt: skip
        if k > 0:
            below = dout[0:0] if layer == 0 else dout[(layer - 1) * size : (layer - 1) * size + d]
            width = n_in if layer == 0 else d
            push(layout, parameters, width, ds[part], below, dout[part], slopes, inner, w.z, w.hidden, w.ones)


@helper
def pull_layers(layout, theta, s, x, out, lam_out, lam_in, lam_x, grad, w):
    """lam_in = (∂Φ/∂s)ᵀ lam_out, lam_x likewise, grad += (∂Φ/∂θ)ᵀ lam_out, at the step just evaluated.

    Changes lam_out: that of a lower layer also receives what the layer above passes down. Targets of size 0
    are skipped.
    """
    (D, m), k = s.shape, lam_out.shape[1]
    size, d = D // layout.layers, D // layout.layers // layout.states
    n_in = x.shape[0] - layout.clock
    own, passed = np.empty((d + layout.clock, m), s.dtype), np.empty((d, k, m), s.dtype)
    for layer in range(layout.layers - 1, -1, -1):
        part = slice(layer * size, (layer + 1) * size)
        slopes, inner = w.slopes[layer], w.inner[layer]
        parameters = layer_of(layout, theta, d, n_in, layer)
        target = lam_x if layer == 0 else passed
        width = n_in if layer == 0 else d
        pull(
            layout,
            parameters,
            width,
            lam_out[part],
            lam_in[part],
            target,
            slopes,
            inner,
            w.z,
            w.hidden,
            w.ones,
        )
        if grad.size > 0:
            drive = layer_input(layer, x, out, size, d, layout.clock, own)
            total, lam = layer_of(layout, grad, d, n_in, layer), lam_out[part]
            add_gradient(layout, s[part], drive, w.u[layer], lam, w.z, w.hidden, slopes, inner, total, w.ones)
        if layer > 0:
            below = flat(lam_out[(layer - 1) * size : (layer - 1) * size + d])
            from_above = flat(passed)
            for f in range(below.size):
                put(below, f, get(below, f) + get(from_above, f))


@inlined
def all_rows(form, D):
    return D


@inlined
def workspace(layout, form, D, k, m, dtype):
    work = work_for(layout, D // layout.layers // layout.states, k, m)
    return work, work


@inlined
def whole(form, state, columns):
    return state, columns


@inlined
def push_cell(point, middle, layout, theta, operation, x, c, e, entry, parts, spare, spare_columns, work):
    """s ← Φ(s, x) into the spare arrays; see `drivers`."""
    state, columns = parts
    if operation.tape != NOTHING and operation.tape != REPLAY:
        copy_into(flat(state), flat(entry))
    at = entry if operation.tape == REPLAY else state
    step_layers(point, middle, layout, theta, at, x, c[: state.shape[1]], spare, columns, spare_columns, work)
    return True


@inlined
def pull_cell(
    point, middle, layout, theta, operation, x, c, e, entry, columns, spare, by_input, gradient, work
):
    """The transposed of `push_cell`, by a step anew from the state on the tape; sets by_input."""
    D, m = entry.shape
    none, out = np.empty((D, 0, m)), np.empty((D, m))
    step_layers(point, middle, layout, theta, entry, x, c[:m], out, none, none, work)
    pull_layers(layout, theta, entry, x, out, columns, spare, by_input, gradient, work)
    return True


@kernel(types.void(_POINT, _POINT, LAYOUT, VECTOR, RUN, BLOCK, COLUMNS, COLUMNS, _I, _I))
def cells_forward(point, middle, layout, theta, run, block, tape, nodes, start, stop):
    """`sweep_forward` of any cell."""
    sweep_forward(
        push_cell,
        one_by_one,
        whole,
        workspace,
        all_rows,
        point,
        middle,
        layout,
        theta,
        run,
        block,
        tape,
        nodes,
        start,
        stop,
    )


@kernel(types.void(_POINT, _POINT, LAYOUT, VECTOR, RUN, COLUMNS, COLUMNS, COUNTS, VECTOR, TAPS, _I, _I))
def cells_backward(point, middle, layout, theta, run, tape, columns, exponent, gradient, taps, start, stop):
    """`sweep_backward` of any cell."""
    sweep_backward(
        pull_cell, workspace, all_rows, point, middle, layout, theta, run, tape, columns, exponent, gradient,
        taps, start, stop,
    )  # fmt: skip
