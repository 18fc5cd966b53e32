"""The stage of a stack: one step of its cells and of what lies between them, its tangents, and the way back.

What goes to the tape is the state before the step; the way back evaluates the step once more.
"""

from __future__ import annotations

import numpy as np
from numba import types

from integrators.cells.columns import push
from integrators.cells.gradient import Sums, move_sums, sums_for
from integrators.cells.layout import POINT, layer_of
from integrators.cells.stage import (
    Work,
    cell_workspace,
    evaluate_layers,
    lent,
    pull_layers,
    slopes_of,
    whole,
    work_for,
)
from integrators.codegen.array_types import COLUMNS, COUNTS, VECTOR
from integrators.codegen.compiled import Callback, helper, inlined, kernel
from integrators.codegen.primitives import borrowed, clear, copy_into, flat, get, hold, put
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

from .operations import operate, pull_operation, push_operation
from .wiring import CELL, OUTPUT, STACKED, Stacked

__all__ = ["stacks_backward", "stacks_forward"]

_POINT, _I = Callback(POINT), types.int64


@helper
def unowned(t):
    """The same stack without reference counts, valid while the arrays are held."""
    return Stacked(
        t.layout, t.every, t.d, t.longest, t.rows, t.kept, t.clock, borrowed(t.cells),
        borrowed(t.operations), borrowed(t.numbers),
    )  # fmt: skip


@helper
def work_of(layout, number, w):
    """The part of the workspace that belongs to one cell."""
    first, last = number * layout.substeps, (number + 1) * layout.substeps
    return Work(
        w.v[first:last], w.u[first:last], w.slopes[first:last], w.inner[first:last], w.ones, w.strips, w.z,
        w.hidden, w.kept,
    )  # fmt: skip


@helper
def theta_of(t, number, theta):
    """The parameters of one cell; nothing of an empty array."""
    start, size = t.cells[number, 1], t.cells[number, 2]
    return theta[start : start + size] if theta.size > 0 else theta


@helper
def rows_of(array, start, count, m):
    """Rows of a flat array of signals as (count, m)."""
    return array[start * m : (start + count) * m].reshape((count, m))


@helper
def evaluate_stack(point, middle, t, theta, s, x, c, out, own, signals, slopes, factors, w):
    """out = Φ(s, x), and what the derivatives need."""
    m, size = s.shape[1], t.layout.states * t.d
    n_in = x.shape[0] - t.clock
    copy_into(flat(x)[: n_in * m], signals[: n_in * m])
    for number in range(t.operations.shape[0]):
        row = t.operations[number]
        if row[0] == CELL:
            part = slice(row[7] * size, (row[7] + 1) * size)
            drive = rows_of(signals, row[3], row[5], m)
            evaluate_layers(
                point, middle, t.layout, theta_of(t, row[7], theta), s[part], drive, c, out[part], own,
                work_of(t.layout, row[7], w),
            )  # fmt: skip
            copy_into(flat(out[part]), signals[row[1] * m : (row[1] + size) * m])
        elif row[0] == OUTPUT:
            for i in range(row[2]):
                for q in range(m):
                    value = get(signals, (row[3] + i) * m + q)
                    at = s.shape[0] - t.kept + i
                    out[at, q] = s[at, q] + x[n_in, q] * value if row[7] else value
        else:
            operate(row, t.numbers[number], theta, signals, slopes, factors[number], m, w.ones)


@helper
def push_cell(layout, theta, n_in, ds, dx, dout, m, w):
    """dout = ∂Φ/∂s ds + ∂Φ/∂x dx for one cell, substep by substep where it has some."""
    d = ds.shape[0] // layout.states
    if layout.substeps == 1:
        push(layout, theta, n_in, ds, dx, dout, slopes_of(layout, w, 0, d * m), w.strips)
        return
    copy_into(flat(ds), flat(dout))
    for number in range(layout.substeps):
        parameters = layer_of(layout, theta, d, n_in, number)
        push(layout, parameters, n_in, dout, dx, dout, slopes_of(layout, w, number, d * m), w.strips)


@helper
def push_all(t, theta, x, ds, dout, signals, slopes, factors, tangents, w):
    """dout = ∂Φ/∂s ds at the step just evaluated; tangents of what does not depend on the state are zero."""
    D, k, m = ds.shape
    n, size = k * m, t.layout.states * t.d
    for number in range(t.operations.shape[0]):
        row = t.operations[number]
        if row[8] == 0:
            continue
        if row[0] == CELL:
            part = slice(row[7] * size, (row[7] + 1) * size)
            given = row[5] if row[3] >= x.shape[0] - t.clock else 0
            dx = tangents[row[3] * n : (row[3] + given) * n].reshape((given, k, m))
            push_cell(
                t.layout, theta_of(t, row[7], theta), row[5], ds[part], dx, dout[part], m,
                work_of(t.layout, row[7], w),
            )  # fmt: skip
            copy_into(flat(dout[part]), tangents[row[1] * n : (row[1] + size) * n])
        elif row[0] == OUTPUT:
            for i in range(row[2]):
                at = D - t.kept + i
                for r in range(k):
                    for q in range(m):
                        value = get(tangents, ((row[3] + i) * k + r) * m + q)
                        dout[at, r, q] = ds[at, r, q] + x[x.shape[0] - 1, q] * value if row[7] else value
        else:
            push_operation(
                row, t.numbers[number], theta, signals, slopes, factors[number], tangents, k, m, w.ones
            )


@helper
def pull_output(t, row, x, lam_out, lam_in, cotangents):
    """Cotangents of the output to its signal and to what was kept before."""
    D, k, m = lam_out.shape
    for i in range(row[2]):
        at = D - t.kept + i
        for r in range(k):
            for q in range(m):
                lam, place = lam_out[at, r, q], ((row[3] + i) * k + r) * m + q
                lam_in[at, r, q] = lam if row[7] else 0.0
                weight = x[x.shape[0] - 1, q] if row[7] else 1.0
                put(cotangents, place, get(cotangents, place) + weight * lam)


@helper
def pull_of_cell(t, row, theta, s, out, own, signals, cotangents, lam_out, lam_in, passed, grad, sums, w):
    """The way back through one cell: to its old state, and to its input unless that has no cotangent."""
    k, m = lam_out.shape[1], lam_out.shape[2]
    n, size = k * m, t.layout.states * t.d
    number, n_in = row[7], row[5]
    part = slice(number * size, (number + 1) * size)
    lam = flat(lam_out[part])
    for f in range(lam.size):
        put(lam, f, get(lam, f) + get(cotangents, row[1] * n + f))
    values = sums.values[number * (sums.values.size // t.cells.shape[0]) :]
    pull_layers(
        t.layout, theta_of(t, number, theta), s[part], rows_of(signals, row[3], n_in, m), out[part],
        w.kept[:0], lam_out[part], lam_in[part], passed[:n_in], theta_of(t, number, grad),
        Sums(values, sums.turned), own, work_of(t.layout, number, w),
    )  # fmt: skip
    for f in range(n_in * n if passed.size > 0 else 0):
        place = row[3] * n + f
        put(cotangents, place, get(cotangents, place) + get(flat(passed), f))


@helper
def pull_all(
    t, theta, s, x, out, own, signals, slopes, factors, cotangents, lam_out, lam_in, by_input, grad, passed,
    sums, w,
):  # fmt: skip
    """lam_in = (∂Φ/∂s)ᵀ lam_out, by_input likewise, gradients += …, at the step just evaluated."""
    k, m = lam_out.shape[1], lam_out.shape[2]
    clear(cotangents)
    everything = grad.size > 0 or by_input.size > 0
    for number in range(t.operations.shape[0] - 1, -1, -1):
        row = t.operations[number]
        if row[0] == CELL:
            pull_of_cell(
                t, row, theta, s, out, own, signals, cotangents, lam_out, lam_in, passed, grad, sums, w
            )
        elif row[0] == OUTPUT:
            pull_output(t, row, x, lam_out, lam_in, cotangents)
        elif row[8] or everything:
            pull_operation(
                row, t.numbers[number], theta, signals, slopes, factors[number], cotangents, grad, k, m,
                w.ones,
            )  # fmt: skip
    target = flat(by_input)
    for f in range(min(target.size, (x.shape[0] - t.clock) * k * m)):
        put(target, f, get(cotangents, f))


@inlined
def push_stack(point, middle, given, theta, operation, x, c, e, entry, parts, spare, spare_columns, work):
    """s ← Φ(s, x) into the spare arrays; see `drivers`."""
    state, columns = parts
    t, own, signals, slopes, factors, tangents, w = given
    m = state.shape[1]
    at = entry if operation.tape == REPLAY else state
    if operation.tape != NOTHING and operation.tape != REPLAY:
        copy_into(flat(state), flat(entry))
    evaluate_stack(point, middle, t, theta, at, x, c[:m], spare, own, signals, slopes, factors, w)
    if columns.shape[1] > 0:
        push_all(t, theta, x, columns, spare_columns, signals, slopes, factors, tangents, w)
    return True


@inlined
def pull_stack(
    point, middle, given, theta, operation, x, c, e, entry, columns, spare, by_input, gradient, work
):
    """The transposed of `push_stack`, by a step anew; sets by_input."""
    t, own, out, signals, slopes, factors, cotangents, passed, sums, w = given
    m = out.shape[1]
    evaluate_stack(point, middle, t, theta, entry, x, c[:m], out, own, signals, slopes, factors, w)
    pull_all(
        t, theta, entry, x, out, own, signals, slopes, factors, cotangents, columns, spare, by_input,
        gradient, passed, sums, w,
    )  # fmt: skip
    return True


@helper
def rooms(t, m):
    """Memory of the signals, of what their derivatives need, and of the factors of normalisations."""
    return np.zeros(t.rows * m), np.zeros(t.rows * m), np.zeros((t.operations.shape[0], m))


@helper
def ones_for(t):
    """As many ones as an operation has rows, for products without scales."""
    most = (t.layout.first + t.layout.second + t.layout.states + t.layout.hidden) * t.d
    for row in t.operations:
        most = max(most, row[2], row[5])
    return np.ones(most)


@helper
def with_ones(w, ones):
    """The workspace with another array of ones."""
    return Work(w.v, w.u, w.slopes, w.inner, borrowed(ones), w.strips, w.z, w.hidden, w.kept)


@kernel(types.void(_POINT, _POINT, STACKED, VECTOR, RUN, BLOCK, COLUMNS, COLUMNS, _I, _I))
def stacks_forward(point, middle, stacked, theta, run, block, tape, nodes, start, stop):
    """`sweep_forward` of any stack."""
    m, k = block.state.shape[1], block.columns.shape[1]
    t, ones = unowned(stacked), ones_for(stacked)
    work, own = work_for(t.every, t.d, t.longest, 0, m), np.empty((t.d, m))
    signals, slopes, factors = rooms(t, m)
    tangents = np.zeros(t.rows * k * m)
    given = (
        t, borrowed(own), borrowed(signals), borrowed(slopes), borrowed(factors), borrowed(tangents),
        with_ones(lent(work), ones),
    )  # fmt: skip
    sweep_forward(
        push_stack, one_by_one, whole, cell_workspace, point, middle, given, borrowed(theta), run,
        block, tape, nodes, start, stop,
    )  # fmt: skip
    hold(own)
    hold(signals)
    hold(slopes)
    hold(factors)
    hold(tangents)
    hold(ones)
    hold(work)


@kernel(types.void(_POINT, _POINT, STACKED, VECTOR, RUN, COLUMNS, COLUMNS, COUNTS, VECTOR, TAPS, _I, _I))
def stacks_backward(point, middle, stacked, theta, run, tape, columns, exponent, gradient, taps, start, stop):
    """`sweep_backward` of any stack."""
    D, k, m = columns.shape
    t, ones, count = unowned(stacked), ones_for(stacked), stacked.cells.shape[0]
    size = t.layout.states * t.d
    work, own, out = work_for(t.every, t.d, t.longest, k, m), np.empty((t.d, m)), np.empty((D, m))
    signals, slopes, factors = rooms(t, m)
    cotangents, passed = np.zeros(t.rows * k * m), np.zeros((t.longest, k, m))
    one = sums_for(t.layout, size, t.longest, m if gradient.size > 0 else 0)
    values = np.zeros(count * one.values.size)
    if gradient.size > 0:
        for number in range(count):
            sums = Sums(values[number * one.values.size :], one.turned)
            move_sums(t.layout, theta_of(t, number, gradient), sums, size, t.cells[number, 0], False)
    given = (
        t, borrowed(own), borrowed(out), borrowed(signals), borrowed(slopes), borrowed(factors),
        borrowed(cotangents), borrowed(passed), Sums(borrowed(values), borrowed(one.turned)),
        with_ones(lent(work), ones),
    )  # fmt: skip
    sweep_backward(
        pull_stack, cell_workspace, point, middle, given, borrowed(theta), run, tape, columns,
        exponent, gradient, taps, start, stop,
    )  # fmt: skip
    if gradient.size > 0:
        for number in range(count):
            sums = Sums(values[number * one.values.size :], one.turned)
            move_sums(t.layout, theta_of(t, number, gradient), sums, size, t.cells[number, 0], True)
    hold(own)
    hold(out)
    hold(signals)
    hold(slopes)
    hold(factors)
    hold(cotangents)
    hold(passed)
    hold(values)
    hold(ones)
    hold(work)
