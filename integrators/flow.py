"""The compiled drivers: one loop reads a scheme's arrays and carries state, tangents or adjoints.

A splitting step is a list of stages, each a drift ``y += a_s ε p`` followed by a kick ``p += b_s ε F(y, x)``.
`advance` plays the list of a `Schedule` forwards, `retreat` plays the transposed factors backwards.

Tangents are scaled by exact powers of two, a lane at a time, whenever they leave 2^±500; the product is
``ldexp(columns, exponent)``.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import types
from numpy.typing import NDArray

from .arithmetic import fma
from .compiled import helper, kernel
from .fields import KICK, KICK_ADJOINT
from .schedule import EXPLICIT, FIRST_ORDER, SPLITTING

__all__ = ["Lanes", "Record", "Run", "advance", "retreat"]

Float = NDArray[np.float64]

# Far from the limits 2^±1022 of float64, so that a whole interval between two checks fits in between.
LARGE = 2.0**500
SMALL = 2.0**-500


_VECTOR, _MATRIX, _COLUMNS = (types.Array(types.float64, n, "C") for n in (1, 2, 3))
_COUNTS = types.Array(types.int64, 1, "C")


class Run(NamedTuple):
    """What the drivers are told about a run: the schedule, the lanes' steps and the inputs."""

    form: int
    drift: Float
    kick: Float
    opening: float
    n_steps: int
    close: bool
    inner_kicks: int
    kicks_per_step: int
    step: Float  # (m,)
    inputs: Float  # (rows, n_inputs, 1 or m)
    rows: NDArray[np.int64]  # input row of every kick; empty without inputs
    check_every: int  # steps between two looks at the range of the columns


class Lanes(NamedTuple):
    """State, tangent columns and book-keeping of one block of lanes; changed in place."""

    y: Float  # (d, m)
    p: Float
    dy: Float  # (d, k, m)
    dp: Float
    exponent: NDArray[np.int64]  # (m,): the tangents are ldexp(columns, exponent)
    lost: NDArray[np.int64]  # (m,): the check at which the state was no longer finite, else -1


class Record(NamedTuple):
    """What to keep of the trajectory; an array of size 0 keeps nothing."""

    stations: Float  # (kicks, d, m): y at every kick
    nodes_y: Float  # (n_steps + 1, d, m)
    nodes_p: Float  # p before the kick at the node; `solve` adds the node's own share


_I, _F = types.int64, types.float64
RUN = types.NamedTuple(
    (_I, _VECTOR, _VECTOR, _F, _I, types.boolean, _I, _I, _VECTOR, _COLUMNS, _COUNTS, _I), Run
)
LANES = types.NamedTuple((_MATRIX, _MATRIX, _COLUMNS, _COLUMNS, _COUNTS, _COUNTS), Lanes)
RECORD = types.NamedUniTuple(_COLUMNS, 3, Record)


@helper
def fill_input(inputs, rows, number, x):
    """x ← the input of kick `number`, for every lane."""
    if x.shape[0] == 0:
        return
    row = inputs[rows[number]]
    shared = row.shape[1] == 1
    for i in range(x.shape[0]):
        for q in range(x.shape[1]):
            x[i, q] = row[i, 0 if shared else q]


@helper
def drift(weight, h, p, y):
    """y += weight h p for the flattened columns p, y of shape (d, k·m), lanes last."""
    rows, n = y.shape
    m = h.size
    if m == 1:
        c = weight * h[0]
        for i in range(rows):
            for q in range(n):
                y[i, q] = fma(c, p[i, q], y[i, q])
        return
    for i in range(rows):
        for r in range(n // m):
            start = r * m
            for q in range(m):
                y[i, start + q] = fma(weight * h[q], p[i, start + q], y[i, start + q])


@helper
def copy_into(source, target):
    """target ← source for flat arrays."""
    for i in range(source.size):
        target[i] = source[i]


@helper
def largest_by_lane(columns, biggest):
    """biggest[q] ← max(biggest[q], |columns[:, :, q]|)."""
    d, k, m = columns.shape
    for i in range(d):
        for r in range(k):
            for q in range(m):
                value = abs(columns[i, r, q])
                biggest[q] = value if value > biggest[q] else biggest[q]


@helper
def scale_lane(columns, lane, factor):
    for i in range(columns.shape[0]):
        for r in range(columns.shape[1]):
            columns[i, r, lane] *= factor


@helper
def rescale(first, second, exponent):
    """Bring lanes of both column blocks back into range by powers of two, counted in `exponent`."""
    m = exponent.size
    biggest = np.zeros(m)
    largest_by_lane(first, biggest)
    largest_by_lane(second, biggest)
    for q in range(m):
        if (biggest[q] > LARGE or biggest[q] < SMALL) and biggest[q] != 0.0 and biggest[q] < np.inf:
            shift = int(math.frexp(biggest[q])[1])
            # Two factors: 2^-shift alone may not be representable.
            half = shift // 2
            for part in (half, shift - half):
                factor = math.ldexp(1.0, -part)
                scale_lane(first, q, factor)
                scale_lane(second, q, factor)
            exponent[q] += shift


@helper
def mark_lost(y, step, lost):
    """lost[q] ← step for every lane whose state is no longer finite, unless it was marked before."""
    d, m = y.shape
    total = np.zeros(m)
    for i in range(d):
        for q in range(m):
            total[q] += y[i, q] * 0.0
    for q in range(m):
        if total[q] != 0.0 and lost[q] < 0:  # 0·inf and 0·nan are nan, which differs from 0
            lost[q] = step


@kernel(types.void(types.FunctionType(KICK), _VECTOR, RUN, LANES, RECORD, _I, _I))
def advance(kick, theta, run, lanes, record, start, stop):
    """Steps [start, stop) of the run, in place: state (y, p) and its tangent columns (dy, dp)."""
    y, p, dy, dp, h = lanes.y, lanes.p, lanes.dy, lanes.dp, run.step
    a, b, opening = run.drift, run.kick, run.opening
    d, m = y.shape
    k = dy.shape[1]
    flat_dy, flat_dp = dy.reshape(d, k * m), dp.reshape(d, k * m)
    x, c = np.empty((run.inputs.shape[1], m)), np.empty(m)
    keep_stations, keep_nodes = record.stations.size > 0, record.nodes_y.size > 0
    first, last = 0, run.n_steps - 1
    stages = a.size
    old, old_columns = np.empty((d, m)), np.empty((d, k, m))
    number = start * run.kicks_per_step + (1 if opening != 0.0 and start > first else 0)

    for i in range(start, stop):
        # Stage -1 is the kick before the first drift of the whole run.
        for s in range(-1 if i == first else 0, stages):
            if s == -1:
                weight = opening
            else:
                weight = b[s]
                if run.form == SPLITTING and a[s] != 0.0:
                    drift(a[s], h, p, y)
                    drift(a[s], h, flat_dp, flat_dy)
                if s == stages - 1 and run.form == SPLITTING:
                    if keep_nodes:
                        record.nodes_y[i + 1] = y
                        record.nodes_p[i + 1] = p
                    if i < last:
                        weight += opening
                    elif not run.close:
                        weight = 0.0
            if weight == 0.0:
                continue
            if keep_stations:
                record.stations[number] = y
            fill_input(run.inputs, run.rows, number, x)
            number += 1
            for q in range(m):
                c[q] = weight * h[q]
            if run.form == SPLITTING:
                kick(theta, y, x, c, p, dy, dp)
            elif run.form == FIRST_ORDER:
                copy_into(y.reshape(d * m), old.reshape(d * m))
                copy_into(dy.reshape(d * k * m), old_columns.reshape(d * k * m))
                kick(theta, old, x, c, y, old_columns, dy)
            else:
                copy_into(p.reshape(d * m), old.reshape(d * m))
                copy_into(dp.reshape(d * k * m), old_columns.reshape(d * k * m))
                kick(theta, y, x, c, p, dy, dp)
                drift(a[s], h, old, y)
                drift(a[s], h, old_columns.reshape(d, k * m), flat_dy)
        if run.form != SPLITTING and keep_nodes:
            record.nodes_y[i + 1] = y
            record.nodes_p[i + 1] = p
        if (i + 1) % run.check_every == 0 or i == last:
            mark_lost(y, i + 1, lanes.lost)
            mark_lost(p, i + 1, lanes.lost)
            if k > 0:
                rescale(dy, dp, lanes.exponent)


@kernel(
    types.void(
        types.FunctionType(KICK_ADJOINT), _VECTOR, RUN, _COLUMNS, _COLUMNS, _COLUMNS, _COUNTS, _VECTOR, _I, _I
    )
)
def retreat(kick_adjoint, theta, run, stations, lam_y, lam_p, exponent, grad_theta, start, stop):
    """Steps [start, stop) of the run backwards, in place: the transposed factors in reversed order.

    (lam_y, lam_p) enter as the cotangent of (y, p) at step `stop` and leave as that at step `start`.
    With `grad_theta` the columns are not rescaled, because it sums over lanes.
    """
    a, b, opening, h = run.drift, run.kick, run.opening, run.step
    d, k, m = lam_y.shape
    flat_y, flat_p = lam_y.reshape(d, k * m), lam_p.reshape(d, k * m)
    x, c = np.empty((run.inputs.shape[1], m)), np.empty(m)
    first, last = 0, run.n_steps - 1
    stages = a.size
    old = np.empty((d, k, m))
    number = stop * run.kicks_per_step + (0 if opening == 0.0 else 1) - 1
    if stop == run.n_steps and run.form == SPLITTING and run.kicks_per_step > run.inner_kicks:
        number -= 0 if run.close and b[stages - 1] != 0.0 else 1

    for back in range(stop - start):
        i = stop - 1 - back
        for turn in range(stages + 1 if i == first else stages):
            s = stages - 1 - turn
            weight = opening if s == -1 else b[s]
            if s == stages - 1 and run.form == SPLITTING:
                if i < last:
                    weight += opening
                elif not run.close:
                    weight = 0.0
            if weight != 0.0:
                fill_input(run.inputs, run.rows, number, x)
                for q in range(m):
                    c[q] = weight * h[q]
                if run.form == SPLITTING:
                    kick_adjoint(theta, stations[number], x, c, lam_p, lam_y, grad_theta)
                else:
                    copy_into(lam_y.reshape(d * k * m), old.reshape(d * k * m))
                    source = old if run.form == FIRST_ORDER else lam_p
                    kick_adjoint(theta, stations[number], x, c, source, lam_y, grad_theta)
                    if run.form == EXPLICIT:
                        drift(a[s], h, old.reshape(d, k * m), flat_p)
                number -= 1
            if s >= 0 and run.form == SPLITTING and a[s] != 0.0:
                drift(a[s], h, flat_y, flat_p)
        if grad_theta.size == 0 and (i % run.check_every == 0 or i == first):
            rescale(lam_y, lam_p, exponent)
