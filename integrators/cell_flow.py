"""The compiled drivers of recurrent cells: states and tangents forwards, cotangents backwards."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import types
from numpy.typing import NDArray

from .access import flat, get, put
from .cell_algebra import add_gradient, evaluate, pull, push
from .cell_plan import COLUMNS, PLAN, POINT, VECTOR, layer_of, work_for
from .compiled import Leaf, helper, kernel
from .flow import LANES, RECORD, RUN, mark_lost, rescale
from .memory import copy_into, fill_input

__all__ = ["Taps", "advance_cell", "retreat_cell"]

_POINT, _I = Leaf(POINT), types.int64
_COUNTS, _TABLE = (types.Array(types.int64, n, "C") for n in (1, 2))
_STACK = types.Array(types.float64, 4, "C")


class Taps(NamedTuple):
    """What enters and leaves a backward sweep on the way; an array of size 0 is not there.

    Entry j belongs to step start + j, that from state start + j to the next.
    """

    forcing: NDArray[np.float64]  # (steps, D, m): cotangents of the state after each step, added there
    nodes: NDArray[np.float64]  # (steps, D, k, m): receives the cotangent of the state before each step
    inputs: NDArray[np.float64]  # (steps, n_inputs, k, m): receives the cotangent of each step's input
    exponents: NDArray[np.int64]  # (steps, m): powers of two of the two above; as many rows as they have

    @classmethod
    def none(cls) -> Taps:
        nodes, inputs = (np.zeros((0, 0, 0, 0)) for _ in range(2))
        return cls(np.zeros((0, 0, 0)), nodes, inputs, np.zeros((0, 0), np.int64))


TAPS = types.NamedTuple((COLUMNS, _STACK, _STACK, _TABLE), Taps)


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
def step_layers(point, middle, plan, theta, s, x, c, out, ds, dout, w):
    """out = Φ(s, x) and dout = ∂Φ/∂s ds, layer by layer from below."""
    m, k, size = s.shape[1], ds.shape[1], s.shape[0] // plan.layers
    d, n_in = size // plan.states, x.shape[0] - plan.clock
    own = np.empty((d + plan.clock, m), s.dtype)
    for layer in range(plan.layers):
        part = slice(layer * size, (layer + 1) * size)
        values, slopes, inner = w.v[layer], w.slopes[layer], w.inner[layer]
        parameters = layer_of(plan, theta, d, n_in, layer)
        drive = layer_input(layer, x, out, size, d, plan.clock, own)
        evaluate(point, middle, plan, parameters, s[part], drive, c, out[part], values, w.u[layer], slopes,
                 inner, w.ones)  # fmt: skip
        if k > 0:
            below = dout[0:0] if layer == 0 else dout[(layer - 1) * size : (layer - 1) * size + d]
            width = n_in if layer == 0 else d
            push(plan, parameters, width, ds[part], below, dout[part], slopes, inner, w.z, w.hidden, w.ones)


@helper
def pull_layers(plan, theta, s, x, out, lam_out, lam_in, lam_x, grad, w):
    """lam_in = (∂Φ/∂s)ᵀ lam_out, lam_x likewise, grad += (∂Φ/∂θ)ᵀ lam_out, at the step just evaluated.

    Changes lam_out: that of a lower layer also receives what the layer above passes down. Targets of size 0
    are skipped.
    """
    (D, m), k = s.shape, lam_out.shape[1]
    size, d = D // plan.layers, D // plan.layers // plan.states
    n_in = x.shape[0] - plan.clock
    own, passed = np.empty((d + plan.clock, m), s.dtype), np.empty((d, k, m), s.dtype)
    for layer in range(plan.layers - 1, -1, -1):
        part = slice(layer * size, (layer + 1) * size)
        slopes, inner = w.slopes[layer], w.inner[layer]
        parameters = layer_of(plan, theta, d, n_in, layer)
        target = lam_x if layer == 0 else passed
        width = n_in if layer == 0 else d
        pull(
            plan, parameters, width, lam_out[part], lam_in[part], target, slopes, inner, w.z, w.hidden, w.ones
        )
        if grad.size > 0:
            drive = layer_input(layer, x, out, size, d, plan.clock, own)
            total = layer_of(plan, grad, d, n_in, layer)
            add_gradient(plan, s[part], drive, w.u[layer], lam_out[part], w.z, w.hidden, slopes, inner, total,
                         w.ones)  # fmt: skip
        if layer > 0:
            below = flat(lam_out[(layer - 1) * size : (layer - 1) * size + d])
            from_above = flat(passed)
            for f in range(below.size):
                put(below, f, get(below, f) + get(from_above, f))


@kernel(types.void(_POINT, _POINT, PLAN, VECTOR, RUN, LANES, RECORD, _I, _I))
def advance_cell(point, middle, plan, theta, run, lanes, record, start, stop):
    """Steps [start, stop) of the run, in place: the state y and its tangent columns dy.

    In a replay y is scratch, and every step is taken at the state that the record holds.
    """
    (D, m), k = lanes.y.shape, lanes.dy.shape[1]
    y, other, dy, dother = lanes.y, np.empty((D, m)), lanes.dy, np.empty((D, k, m))
    x = np.empty((run.inputs.shape[1], m))
    w = work_for(plan, D // plan.layers // plan.states, k, m)
    keep_stations, keep_nodes = record.stations.size > 0, record.nodes_y.size > 0
    nothing = np.empty(0)
    for i in range(start, stop):
        if keep_stations and not run.replay:
            record.stations[i] = y
        at = record.stations[i] if run.replay else y
        fill_input(run.inputs, run.rows, i, x)
        step_layers(point, middle, plan, theta, at, x, run.step, other, dy, dother, w)
        y, other, dy, dother = other, y, dother, dy
        if keep_nodes:
            record.nodes_y[i + 1] = y
        if (i + 1) % run.check_every == 0 or i == run.n_steps - 1:
            mark_lost(y, i + 1, lanes.lost)
            if k > 0:
                rescale(flat(dy), nothing, lanes.exponent)
    if (stop - start) % 2 == 1:
        copy_into(flat(y), flat(lanes.y))
        copy_into(flat(dy), flat(lanes.dy))


@kernel(types.void(_POINT, _POINT, PLAN, VECTOR, RUN, COLUMNS, COLUMNS, _COUNTS, VECTOR, TAPS, _I, _I))
def retreat_cell(point, middle, plan, theta, run, stations, lam, exponent, grad, taps, start, stop):
    """Steps [start, stop) of the run backwards, in place: transposed one-step Jacobians in reversed order.

    With `grad` (summed over columns and lanes) or with forcing the columns are not rescaled.
    """
    D, k, m = lam.shape
    x, out, other = np.empty((run.inputs.shape[1], m)), np.empty((D, m)), np.empty((D, k, m))
    current = lam
    n_in = run.inputs.shape[1] - plan.clock
    lam_x = np.empty((n_in if taps.inputs.size > 0 else 0, k, m))
    none, nothing = np.empty((D, 0, m)), np.empty(0)
    w = work_for(plan, D // plan.layers // plan.states, k, m)
    forced = taps.forcing.size > 0
    for i in range(stop - 1, start - 1, -1):
        entry = i - start
        if forced:
            for f in range(D):
                for r in range(k):
                    for q in range(m):
                        current[f, r, q] += taps.forcing[entry, f, q]
        fill_input(run.inputs, run.rows, i, x)
        s = stations[i]
        step_layers(point, middle, plan, theta, s, x, run.step, out, none, none, w)
        pull_layers(plan, theta, s, x, out, current, other, lam_x, grad, w)
        current, other = other, current
        if taps.inputs.size > 0:
            taps.inputs[entry] = lam_x
        if taps.nodes.size > 0:
            taps.nodes[entry] = current
        if taps.exponents.size > 0:
            taps.exponents[entry] = exponent
        if grad.size == 0 and not forced and (i % run.check_every == 0 or i == 0):
            rescale(flat(current), nothing, exponent)
    if (stop - start) % 2 == 1:
        copy_into(flat(current), flat(lam))
