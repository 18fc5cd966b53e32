"""The compiled gradient of a block of sequences: forward through all steps, readout, backward; no Python.

A kick k sees the station Y_k = (y_k; x_k; 1), one row of lanes each, so that z_k = A Y_k with A = [W V b] is
one product and ∂A = Σ_k G_k Y_kᵀ another. Stations and slopes σ'(z_k) are kept; the way back takes no tanh:

    splitting     p += c_k σ(z_k), then y += a_k p      λ_p += a_k λ_y, G = c_k σ' λ_p, λ_y += Wᵀ G
    first order   y += c_k σ(z_k)                       G = c_k σ' λ_y, λ_y += Wᵀ G
    explicit      y += a_k p, then p += c_k σ(z_k)      G = c_k σ' λ_p, λ_p += a_k λ_y, λ_y += Wᵀ G

(y_k on the right of A is that before the kick.) All lanes share the step: a_k and c_k are ε times the weights
of the scheme. Leapfrog gives recursion (13) of Rusch, Pearson, Zygalakis (2019), Euler (12).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import types
from numpy.typing import NDArray

from integrators.codegen.access import flat, get, put
from integrators.codegen.arithmetic import fma
from integrators.codegen.compiled import helper, kernel
from integrators.codegen.simd import WIDTH
from integrators.engine.program import EXPLICIT, FIRST_ORDER
from integrators.fields.activations import activate

from .readout import read_out
from .tile import add_multiplied, add_outer, multiply

__all__ = ["HELD", "Kicks", "Room", "block_gradient", "block_scores"]

Float = NDArray[np.float64]

HELD = 16
"""Kicks whose G is held before it is multiplied into ∂A: enough to pay for loading the sums."""


class Kicks(NamedTuple):
    """The run, the same for every lane."""

    form: int
    activation: int
    kick: Float  # (K,): c_k
    drift: Float  # (K,): a_k, that of the drift after the kick
    rows: NDArray[np.int64]  # (K,): which step's input a kick sees


class Room(NamedTuple):
    """What one block of lanes needs, allocated once; w lanes, a multiple of 8."""

    stations: Float  # (K, d + n_inputs + 1, w); two of them where nothing goes backwards
    slopes: Float  # (K, d, w), likewise
    y: Float  # (d, w), the last state
    p: Float
    z: Float
    s: Float
    lam_y: Float
    lam_p: Float
    held: Float  # (HELD, d·w + 8): G of the last kicks; eight more, or kicks would meet in the cache
    sums: Float  # (d, d + n_inputs + 1, 8)
    scores: Float  # (n_classes, w)


_VECTOR, _MATRIX, _COLUMNS = (types.Array(types.float64, n, "C") for n in (1, 2, 3))
_COUNTS = types.Array(types.int64, 1, "C")
_I = types.int64
KICKS = types.NamedTuple((_I, _I, _VECTOR, _VECTOR, _COUNTS), Kicks)
ROOM = types.NamedTuple((_COLUMNS, _COLUMNS, *[_MATRIX] * 7, _COLUMNS, _MATRIX), Room)


@helper
def place_inputs(stations, start, n_inputs, w, inputs, source, row, lanes):
    """The rows below y: the inputs of these lanes, zeros beside them, and the row of ones."""
    for i in range(n_inputs):
        to, here = start + i * w, source + i * row
        for q in range(lanes):
            put(stations, to + q, get(inputs, here + q))
        for q in range(lanes, w):
            put(stations, to + q, 0.0)
    for q in range(w):
        put(stations, start + n_inputs * w + q, 1.0)


@helper
def axpy(weight, source, a, target, t, base, b, n):
    """target[t + f] = base[b + f] + weight · source[a + f] for f < n; all arrays flat."""
    for f in range(n):
        put(target, t + f, fma(weight, get(source, a + f), get(base, b + f)))


@helper
def kick_drift(c, s, p, a, target, t, base, b, n):
    """p += c s, then target[t + f] = base[b + f] + a · p[f] for f < n: one pass."""
    for f in range(n):
        moved = fma(c, get(s, f), get(p, f))
        put(p, f, moved)
        put(target, t + f, fma(a, moved, get(base, b + f)))


@helper
def forward(program, weights, inputs, first, lanes, room):
    """Run the lanes [first, first + lanes) of `inputs` from y_0 = ẏ_0 = 0; y_N into room.y."""
    stations, slopes = room.stations, room.slopes
    ring, rows, w = stations.shape
    d = slopes.shape[1]
    n, size = d * w, rows * w
    all_stations, y, p, z, s = flat(stations), flat(room.y), flat(room.p), flat(room.z), flat(room.s)
    all_inputs, n_inputs, batch = flat(inputs), inputs.shape[1], inputs.shape[2]
    kicks = program.kick.size
    for f in range(n):
        put(all_stations, (ring - 1) * size + f, 0.0)
        put(p, f, 0.0)
    for k in range(kicks):
        here = ring - 1 - k % ring
        at = here * size
        target, to = (y, 0) if k == kicks - 1 else (all_stations, (ring - 1 - (k + 1) % ring) * size)
        source = program.rows[k] * n_inputs * batch + first
        place_inputs(all_stations, at + n, n_inputs, w, all_inputs, source, batch, lanes)
        multiply(weights, 0, rows, 1, d, rows, all_stations, at, w, z, w)
        activate(program.activation, z, s, flat(slopes[here]))
        c, a = program.kick[k], program.drift[k]
        if program.form == FIRST_ORDER:
            axpy(c, s, 0, target, to, all_stations, at, n)
        elif program.form == EXPLICIT:
            axpy(a, p, 0, target, to, all_stations, at, n)
            axpy(c, s, 0, p, 0, p, 0, n)
        else:
            kick_drift(c, s, p, a, target, to, all_stations, at, n)


@helper
def slope_times(c, slopes, start, lam, held, h, n):
    """held[h + f] = c · slopes[start + f] · lam[f] for f < n."""
    for f in range(n):
        put(held, h + f, (c * get(slopes, start + f)) * get(lam, f))


@helper
def drift_kick_back(a, lam_y, lam_p, c, slopes, start, held, h, n):
    """lam_p += a lam_y, then `slope_times` of it: one pass."""
    for f in range(n):
        moved = fma(a, get(lam_y, f), get(lam_p, f))
        put(lam_p, f, moved)
        put(held, h + f, (c * get(slopes, start + f)) * moved)


@helper
def backward(program, weights, room):
    """From λ_y at the last state to that after the first kick; ∂A is left in room.sums.

    Stations and slopes stand in the order in which they are read here, the last kick's first: what goes
    upwards in memory the processor fetches ahead.
    """
    kicks, rows, w = room.stations.shape
    d = room.slopes.shape[1]
    n, size, place = d * w, rows * w, room.held.shape[1]
    stations, slopes, lam_y, lam_p = (
        flat(room.stations),
        flat(room.slopes),
        flat(room.lam_y),
        flat(room.lam_p),
    )
    held, sums = flat(room.held), flat(room.sums)
    for f in range(n):
        put(lam_p, f, 0.0)
    for f in range(sums.size):
        put(sums, f, 0.0)
    count = 0
    for back in range(kicks):
        k = kicks - 1 - back
        slot = (HELD - 1 - count) * place  # so that the held ones stand in the order of time
        c, a = program.kick[k], program.drift[k]
        if program.form == FIRST_ORDER:
            slope_times(c, slopes, back * n, lam_y, held, slot, n)
        elif program.form == EXPLICIT:
            slope_times(c, slopes, back * n, lam_p, held, slot, n)
            axpy(a, lam_y, 0, lam_p, 0, lam_p, 0, n)
        else:
            drift_kick_back(a, lam_y, lam_p, c, slopes, back * n, held, slot, n)
        count += 1
        if k > 0:
            add_multiplied(weights, 0, 1, rows, d, d, held, slot, w, lam_y, w)
        if count == HELD or k == 0:
            add_outer(held, slot, place, d, stations, back * size, -size, rows, count, w, sums)
            count = 0


@helper
def add_parts(sums, gradient):
    """gradient += the eight parts of every sum, added in pairs."""
    for i in range(gradient.size):
        s = i * WIDTH
        left = (sums[s] + sums[s + 1]) + (sums[s + 2] + sums[s + 3])
        gradient[i] += left + ((sums[s + 4] + sums[s + 5]) + (sums[s + 6] + sums[s + 7]))


@kernel(types.void(KICKS, _VECTOR, _COLUMNS, _COUNTS, _I, _I, _VECTOR, ROOM, _VECTOR, _VECTOR))
def block_gradient(program, theta, inputs, labels, first, lanes, weights, room, gradient, result):
    """Gradient of Σ weights_q · cross-entropy over the lanes q of [first, first + lanes).

    `theta` is A (d, d + n_inputs + 1) row by row, then the readout (n_classes, d + 1). The gradient is
    written, not added to; `result` receives the weighted loss and the number of right answers.
    """
    d, rows = room.slopes.shape[1], room.stations.shape[1]
    forward(program, theta, inputs, first, lanes, room)
    for i in range(gradient.size):
        gradient[i] = 0.0
    read_out(
        theta, d * rows, labels, first, lanes, weights, room.y, room.scores, room.lam_y, gradient, result
    )
    backward(program, theta, room)
    add_parts(flat(room.sums), gradient[: d * rows])


@kernel(types.void(KICKS, _VECTOR, _COLUMNS, _I, _I, ROOM, _MATRIX))
def block_scores(program, theta, inputs, first, lanes, room, scores):
    """Scores R y_N + r of the lanes [first, first + lanes), into the columns of `scores` (n_classes, n)."""
    d, rows = room.slopes.shape[1], room.stations.shape[1]
    forward(program, theta, inputs, first, lanes, room)
    start = d * rows
    for c in range(scores.shape[0]):
        for q in range(lanes):
            total = theta[start + c * (d + 1) + d]
            for i in range(d):
                total = fma(theta[start + c * (d + 1) + i], room.y[i, q], total)
            scores[c, first + q] = total
