"""The stage of recurrent cells: one step of every layer, its tangents, and the way back.

A step of layers evaluates one after the other, each on a state of its own. A step of substeps applies them to
one state in turn: what follows calls both a part of the step.

What goes to the tape is the state before the step, D rows. For a cell of one layer it may be more
(`condensed_rows`): also the slopes of all pairs of the layout and the hidden blocks, so that whoever comes
along the tape need not evaluate the step once more. `Work` is the memory of one step.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import types
from numpy.typing import NDArray

from integrators.codegen.array_types import COLUMNS, COUNTS, VECTOR
from integrators.codegen.compiled import Callback, helper, inlined, kernel
from integrators.codegen.primitives import borrowed, copy_into, flat, get, hold, put
from integrators.codegen.simd import WIDTH, register_width
from integrators.engine.drivers import (
    BLOCK,
    CONDENSE,
    NOTHING,
    REPLAY,
    RUN,
    TAPS,
    one_by_one,
    sweep_backward,
    sweep_forward,
)

from .columns import Slopes, Strips, pull, push, strips_for
from .gradient import add_gradient, add_vectors, move_sums, sums_for
from .layout import LAYOUT, POINT, evaluate, layer_of

__all__ = ["Work", "cells_backward", "cells_forward", "layer_input", "lent", "work_for"]

_POINT, _I = Callback(POINT), types.int64


class Work(NamedTuple):
    """Scratch of one block of members; the leading axis of the first four is the layer, or the substep."""

    v: NDArray[np.float64]  # (layers, locals + 1 + clock, d·m)
    u: NDArray[np.float64]  # (layers, hidden, d·m)
    slopes: NDArray[np.float64]  # (layers, states, locals, d·m)
    inner: NDArray[np.float64]  # (layers, hidden, locals, d·m)
    ones: NDArray[np.float64]
    strips: Strips
    z: NDArray[np.float64]  # (rows·d, k, m): cotangents of all pre-activations
    hidden: NDArray[np.float64]  # (hidden·d, k, m): those of u
    kept: NDArray[np.float64]  # room for a tape entry


@helper
def unfilled(layers, blocks, n_locals, n):
    """NaN for slopes, since what no rule fills must not be old memory; a register may read beyond the end."""
    size = layers * blocks * n_locals * n
    return np.full(size + WIDTH, np.nan)[:size].reshape((layers, blocks, n_locals, n))


@helper
def work_for(layout, d, n_in, k, m):
    """Room for d neurons, n_in inputs, k columns of cotangents and m members."""
    rows = layout.first + layout.second
    n_locals = rows + layout.states + layout.vectors
    pairs = layout.out_pairs.shape[0] + layout.hidden_pairs.shape[0]
    n, layers = d * m, layout.layers * layout.substeps
    return Work(
        np.empty((layers, n_locals + 1 + layout.clock, n)),
        np.empty((layers, layout.hidden, n)),
        unfilled(layers, layout.states, n_locals, n),
        unfilled(layers, layout.hidden, n_locals, n),
        np.ones((rows + layout.states + layout.hidden) * d),
        strips_for(layout, d, n_in),
        np.empty((rows * d, k, m)),
        np.empty((layout.hidden * d, k, m)),
        np.empty((layout.states + pairs + layout.hidden) * n + WIDTH),
    )


@helper
def lent(work):
    """The same memory without reference counts, valid while `work` is held."""
    strips = Strips(
        borrowed(work.strips.room),
        borrowed(work.strips.terms),
        borrowed(work.strips.ends),
        borrowed(work.strips.ones),
    )
    return Work(
        borrowed(work.v),
        borrowed(work.u),
        borrowed(work.slopes),
        borrowed(work.inner),
        borrowed(work.ones),
        strips,
        borrowed(work.z),
        borrowed(work.hidden),
        borrowed(work.kept),
    )


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


@inlined
def slopes_of(layout, w, layer, n):
    """The slopes that `evaluate` left, of n neurons and members."""
    n_locals = w.slopes.shape[2]
    own, inner = borrowed(flat(w.slopes[layer])), borrowed(flat(w.inner[layer]))
    return Slopes(own, 0, inner, 0, n_locals * n, n, 0)


@inlined
def slopes_on_tape(layout, kept, D, n):
    """The slopes of a tape entry that has them, after the state."""
    start = layout.states * n
    return Slopes(kept, start, kept, start + layout.out_pairs.shape[0] * n, 0, 0, n)


@inlined
def readable(entry, m, kept):
    """A tape entry, flat; copied where a register may read beyond the end of it."""
    if m > 1 and m % register_width(entry) != 0:
        copy_into(flat(entry), kept[: entry.size])
        return borrowed(kept)
    return borrowed(flat(entry))


@helper
def keep_slopes(layout, w, n, entry):
    """The slopes of all pairs and the hidden blocks to a flat tape entry, below the state."""
    at, n_locals = layout.states * n, w.slopes.shape[2]
    for stage in range(2):
        pairs = layout.out_pairs if stage == 0 else layout.hidden_pairs
        source = flat(w.slopes) if stage == 0 else flat(w.inner)
        for p in range(pairs.shape[0]):
            start = (pairs[p, 0] * n_locals + pairs[p, 1]) * n
            for f in range(n):
                put(entry, at + f, get(source, start + f))
            at += n
    copy_into(flat(w.u), entry[at : at + layout.hidden * n])


@helper
def evaluate_substeps(point, middle, layout, theta, s, x, c, out, w):
    """out = Φ(s, x) where Φ applies substeps in turn, each in place after the first."""
    D = s.shape[0]
    d, n_in = D // layout.states, x.shape[0] - layout.clock
    copy_into(flat(s), flat(out))
    for number in range(layout.substeps):
        parameters = layer_of(layout, theta, d, n_in, number)
        evaluate(point, middle, layout, parameters, out, x, c, out, w.v[number], w.u[number],
                 w.slopes[number], w.inner[number], w.ones)  # fmt: skip


@helper
def evaluate_layers(point, middle, layout, theta, s, x, c, out, own, w):
    """out = Φ(s, x), and the slopes of all layers, from below."""
    if layout.substeps > 1:
        evaluate_substeps(point, middle, layout, theta, s, x, c, out, w)
        return
    size = s.shape[0] // layout.layers
    d, n_in = size // layout.states, x.shape[0] - layout.clock
    for layer in range(layout.layers):
        part = slice(layer * size, (layer + 1) * size)
        parameters = layer_of(layout, theta, d, n_in, layer)
        drive = layer_input(layer, x, out, size, d, layout.clock, own)
        evaluate(point, middle, layout, parameters, s[part], drive, c, out[part], w.v[layer], w.u[layer],
                 w.slopes[layer], w.inner[layer], w.ones)  # fmt: skip


@helper
def push_substeps(layout, theta, n_in, ds, dout, m, w):
    """dout = ∂Φ/∂s ds, substep by substep; a strip of columns is read before it is written."""
    d = ds.shape[0] // layout.states
    copy_into(flat(ds), flat(dout))
    for number in range(layout.substeps):
        parameters = layer_of(layout, theta, d, n_in, number)
        slopes = slopes_of(layout, w, number, d * m)
        push(layout, parameters, n_in, dout, dout[0:0], dout, slopes, w.strips)


@helper
def push_layers(layout, theta, n_in, kept, ds, dout, m, w):
    """dout = ∂Φ/∂s ds, layer by layer, by the slopes on the tape or, with nothing there, by the last ones."""
    if layout.substeps > 1:
        push_substeps(layout, theta, n_in, ds, dout, m, w)
        return
    size = ds.shape[0] // layout.layers
    d = size // layout.states
    for layer in range(layout.layers):
        part = slice(layer * size, (layer + 1) * size)
        if kept.size > 0:
            slopes = slopes_on_tape(layout, kept, size, d * m)
        else:
            slopes = slopes_of(layout, w, layer, d * m)
        parameters = layer_of(layout, theta, d, n_in, layer)
        below = dout[0:0] if layer == 0 else dout[(layer - 1) * size : (layer - 1) * size + d]
        push(layout, parameters, n_in if layer == 0 else d, ds[part], below, dout[part], slopes, w.strips)


@helper
def pull_substeps(layout, theta, x, lam_out, lam_in, lam_x, grad, sums, w):
    """`pull_layers` for substeps, the last first; lam_out is changed.

    The state before a substep lies where its rule has read it.
    """
    D, k, m = lam_out.shape
    d, n_in, wanted = D // layout.states, x.shape[0] - layout.clock, grad.size > 0
    rows = layout.first + layout.second
    passed = np.empty((lam_x.shape[0], k, m), lam_out.dtype)
    lam_z, lam_u = flat(w.z), flat(w.hidden)
    for number in range(layout.substeps - 1, -1, -1):
        parameters, slopes = layer_of(layout, theta, d, n_in, number), slopes_of(layout, w, number, d * m)
        pull(
            layout, parameters, n_in, lam_out, lam_in, passed, slopes, lam_z[: lam_z.size if wanted else 0],
            k * m, lam_u, w.strips,
        )  # fmt: skip
        if wanted:
            before = w.v[number, rows : rows + layout.states].reshape((D, m))
            add_gradient(layout, number, n_in, before, x, flat(w.u[number]), w.z, sums, w.ones)
            total = layer_of(layout, grad, d, n_in, number)
            add_vectors(layout, n_in, lam_out, w.hidden, slopes, total)
        to, from_here = flat(lam_x), flat(passed)
        for f in range(to.size):
            put(to, f, get(from_here, f) + (get(to, f) if number < layout.substeps - 1 else 0.0))
        if number > 0:
            copy_into(flat(lam_in), flat(lam_out))


@helper
def pull_layers(layout, theta, s, x, out, kept, lam_out, lam_in, lam_x, grad, sums, own, w):
    """lam_in = (∂Φ/∂s)ᵀ lam_out, lam_x likewise, sums += (∂Φ/∂θ)ᵀ lam_out, at the step just evaluated.

    Changes lam_out: that of a lower layer also receives what the layer above passes down. Targets of size 0
    are skipped. With slopes on the tape, `kept`, there is one layer.
    """
    if layout.substeps > 1:
        pull_substeps(layout, theta, x, lam_out, lam_in, lam_x, grad, sums, w)
        return
    (D, m), k = s.shape, lam_out.shape[1]
    size, d = D // layout.layers, D // layout.layers // layout.states
    n_in, wanted = x.shape[0] - layout.clock, grad.size > 0
    passed = np.empty((d if layout.layers > 1 else 0, k, m), s.dtype)
    lam_z, lam_u = flat(w.z), flat(w.hidden)
    for layer in range(layout.layers - 1, -1, -1):
        part = slice(layer * size, (layer + 1) * size)
        if kept.size > 0:
            slopes, u = slopes_on_tape(layout, kept, size, d * m), kept
            start = D * m + (layout.out_pairs.shape[0] + layout.hidden_pairs.shape[0]) * d * m
            u = kept[start : start + layout.hidden * d * m]
        else:
            slopes, u = slopes_of(layout, w, layer, d * m), flat(w.u[layer])
        parameters, width = layer_of(layout, theta, d, n_in, layer), n_in if layer == 0 else d
        pull(
            layout, parameters, width, lam_out[part], lam_in[part], lam_x if layer == 0 else passed, slopes,
            lam_z[: lam_z.size if wanted else 0], k * m, lam_u, w.strips,
        )  # fmt: skip
        if wanted:
            drive = layer_input(layer, x, out, size, d, layout.clock, own)
            add_gradient(layout, layer, n_in, s[part], drive, u, w.z, sums, w.ones)
            total = layer_of(layout, grad, d, n_in, layer)
            add_vectors(layout, width, lam_out[part], w.hidden, slopes, total)
        if layer > 0:
            below = flat(lam_out[(layer - 1) * size : (layer - 1) * size + d])
            from_above = flat(passed)
            for f in range(below.size):
                put(below, f, get(below, f) + get(from_above, f))


@inlined
def cell_workspace(layout, form, D, k, m, dtype):
    """A cell writes all rows elsewhere; its memory comes with the layout."""
    none = np.empty(0, dtype)
    return D, none, none


@inlined
def whole(form, state, columns):
    return state, columns


@inlined
def push_cell(point, middle, given, theta, operation, x, c, e, entry, parts, spare, spare_columns, work):
    """s ← Φ(s, x) into the spare arrays; see `drivers`."""
    state, columns = parts
    layout, own, w = given
    D, m = state.shape
    n_in = x.shape[0] - layout.clock
    kept = w.kept[:0]
    if operation.tape == REPLAY and entry.shape[0] > D:
        copy_into(flat(state), flat(spare))
        kept = readable(entry, m, w.kept)
    else:
        at = entry if operation.tape == REPLAY else state
        if operation.tape != NOTHING and operation.tape != REPLAY:
            copy_into(flat(state), flat(entry)[: state.size])
        evaluate_layers(point, middle, layout, theta, at, x, c[:m], spare, own, w)
        if operation.tape == CONDENSE and entry.shape[0] > D:
            keep_slopes(layout, w, D // layout.states * m, flat(entry))
    if columns.shape[1] > 0:
        push_layers(layout, theta, n_in, kept, columns, spare_columns, m, w)
    return True


@inlined
def pull_cell(
    point, middle, given, theta, operation, x, c, e, entry, columns, spare, by_input, gradient, work
):
    """The transposed of `push_cell`, by the slopes on the tape or a step anew; sets by_input."""
    layout, own, out, sums, w = given
    D, m = out.shape
    s, kept = entry[:D], w.kept[:0]
    if entry.shape[0] > D:
        kept = readable(entry, m, w.kept)
    else:
        evaluate_layers(point, middle, layout, theta, s, x, c[:m], out, own, w)
    pull_layers(layout, theta, s, x, out, kept, columns, spare, by_input, gradient, sums, own, w)
    return True


@kernel(types.void(_POINT, _POINT, LAYOUT, VECTOR, RUN, BLOCK, COLUMNS, COLUMNS, _I, _I))
def cells_forward(point, middle, layout, theta, run, block, tape, nodes, start, stop):
    """`sweep_forward` of any cell."""
    D, m = block.state.shape
    d = D // layout.layers // layout.states
    work, own = work_for(layout, d, 0, 0, m), np.empty((d + layout.clock, m))
    given = layout, borrowed(own), lent(work)
    sweep_forward(
        push_cell, one_by_one, whole, cell_workspace, point, middle, given, borrowed(theta), run,
        block, tape, nodes, start, stop,
    )  # fmt: skip
    hold(own)
    hold(work)


@kernel(types.void(_POINT, _POINT, LAYOUT, VECTOR, RUN, COLUMNS, COLUMNS, COUNTS, VECTOR, TAPS, _I, _I))
def cells_backward(point, middle, layout, theta, run, tape, columns, exponent, gradient, taps, start, stop):
    """`sweep_backward` of any cell."""
    D, k, m = columns.shape
    d, n_in = D // layout.layers // layout.states, run.inputs.shape[1] - layout.clock
    work, own, out = work_for(layout, d, n_in, k, m), np.empty((d + layout.clock, m)), np.empty((D, m))
    sums = sums_for(layout, D, n_in, m if gradient.size > 0 else 0)
    if gradient.size > 0:
        move_sums(layout, gradient, sums, D, n_in, False)
    given = layout, borrowed(own), borrowed(out), sums, lent(work)
    sweep_backward(
        pull_cell, cell_workspace, point, middle, given, borrowed(theta), run, tape, columns,
        exponent, gradient, taps, start, stop,
    )  # fmt: skip
    if gradient.size > 0:
        move_sums(layout, gradient, sums, D, n_in, True)
    hold(own)
    hold(out)
    hold(work)
