"""The compiled drivers: one loop reads a scheme's arrays and carries state, tangents or adjoints.

A splitting step is a list of stages, each a drift ``y += a_s ε p`` followed by a kick ``p += b_s ε F(y, x)``.
`advance` plays the list of a `Schedule` forwards, `retreat` plays the transposed factors backwards.

Tangents are scaled by exact powers of two, each column by itself, whenever they leave 2^±300; the product is
``ldexp(columns, exponent)``.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import types
from numpy.typing import NDArray

from .access import borrowed, flat, get, hold, put
from .arithmetic import fma
from .compiled import Leaf, helper, inlined, kernel
from .fields import KICK, KICK_ADJOINT
from .memory import aligned_empty, copy_into, fill_input
from .schedule import EXPLICIT, FIRST_ORDER, SPLITTING

__all__ = ["ADVANCE", "Lanes", "Record", "Run", "advance", "play", "retreat"]

Float = NDArray[np.float64]

# Far from the limits 2^±1022 of float64 and 2^±126 of float32, so that a whole interval between two checks
# fits in between, or one step of a cell that multiplies by 2^±700.
LARGE = 2.0**300
LARGE_32 = 2.0**50
# Where entries of a column part by more powers of two than this, its largest is not brought to one, but only
# as far down as leaves the small ones in range, and at most up to LARGE.
GRADED, GRADED_32 = 300, 50


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
    replay: bool  # tangents only, each kick at a kept station instead of the running state
    # Stations keep at once what a replay reads there, for a field whose own driver does that.
    condensed: bool = False


class Lanes(NamedTuple):
    """State, tangent columns and book-keeping of one block of lanes; changed in place."""

    y: Float  # (d, m)
    p: Float
    dy: Float  # (d, k, m)
    dp: Float
    # (k m,) as in `column_scale`, or (m,) where one for all columns will do: the tangents are
    # ldexp(columns, exponent).
    exponent: NDArray[np.int64]
    lost: NDArray[np.int64]  # (m,): the check at which the state was no longer finite, else -1


class Record(NamedTuple):
    """What to keep of the trajectory; an array of size 0 keeps nothing."""

    stations: Float  # (kicks, d, m): y at every kick
    nodes_y: Float  # (n_steps + 1, d, m)
    nodes_p: Float  # p before the kick at the node; `solve` adds the node's own share


_I, _F = types.int64, types.float64
RUN = types.NamedTuple(
    (
        _I, _VECTOR, _VECTOR, _F, _I, types.boolean, _I, _I, _VECTOR, _COLUMNS, _COUNTS, _I, types.boolean,
        types.boolean,
    ),
    Run,
)  # fmt: skip
LANES = types.NamedTuple((_MATRIX, _MATRIX, _COLUMNS, _COLUMNS, _COUNTS, _COUNTS), Lanes)
RECORD = types.NamedUniTuple(_COLUMNS, 3, Record)


@helper
def lane_factors(h):
    """Room for one factor per lane, repeated so that the loops over it are long enough to pay."""
    return aligned_empty(h.size * max(1, 128 // h.size), h.dtype)


@helper
def times(weight, h, c):
    """c ← weight h, over and over."""
    m = h.size
    for start in range(0, c.size, m):
        for q in range(m):
            put(c, start + q, weight * h[q])


@inlined
def times_anew(weight, before, h, c):
    """`times`, unless c holds the factors of this weight already; the weight."""
    if weight != before:
        times(weight, h, c)
    return weight


@helper
def drift(c, p, y):
    """y += c p for flat columns, lanes last; c as filled by `times`."""
    width = c.size
    whole = y.size - y.size % width
    for start in range(0, whole, width):
        for q in range(width):
            put(y, start + q, fma(c[q], get(p, start + q), get(y, start + q)))
    for q in range(y.size - whole):
        put(y, whole + q, fma(c[q], get(p, whole + q), get(y, whole + q)))


@helper
def largest_by_lane(columns, m, biggest):
    """biggest[q % m] ← max(biggest[q % m], |columns|) for flat columns; biggest is a multiple of m long.

    A running maximum in one variable would not vectorise; one per position does.
    """
    width = biggest.size
    whole = columns.size - columns.size % width
    for start in range(0, whole, width):
        for q in range(width):
            value = abs(get(columns, start + q))
            biggest[q] = value if value > biggest[q] else biggest[q]
    for f in range(whole, columns.size):
        value = abs(columns[f])
        q = f % m
        biggest[q] = value if value > biggest[q] else biggest[q]


@helper
def scale_lane(columns, m, lane, factor):
    for f in range(lane, columns.size, m):
        columns[f] *= factor


@helper
def graded_shift(columns, m, position, shift):
    """The part of `shift` by which a column can be brought down without losing its small entries.

    A column of 2^600 and 2^-600 is as exact as any other, but no longer once it is divided by 2^600.
    """
    least = np.inf
    for f in range(position, columns.size, m):
        value = abs(columns[f])
        if value < least and value > 0.0:
            least = value
    # One more step of this kind has to fit in.
    most = min(GRADED, max(0, 1000 - shift)) if columns.itemsize == 8 else min(GRADED_32, max(0, 120 - shift))
    if least == np.inf or shift - int(math.frexp(least)[1]) <= most:
        return shift
    return max((shift + int(math.frexp(least)[1])) // 2, shift - most)


@helper
def outside(biggest, large):
    """How many of some non-negative numbers lie beyond `large` or below 1/large; zeros do not."""
    found = 0
    for q in range(biggest.size):
        value = biggest[q]
        found += int(value > large) | (int(value < 1.0 / large) & int(value != 0.0))
    return found


@helper
def rescale(first, second, exponent):
    """Bring columns of two flat blocks back into range by powers of two, counted in `exponent`.

    There is one exponent for each column of each member, flat like a row of the blocks, or one for each
    member, which then holds for all of its columns.
    """
    m = exponent.size
    repeats = max(1, 64 // m)
    large = LARGE if first.itemsize == 8 else LARGE_32
    biggest = np.zeros(repeats * m, first.dtype)
    largest_by_lane(first, m, biggest)
    largest_by_lane(second, m, biggest)
    if outside(biggest, large) == 0:
        return
    for q in range(m):
        top = biggest[q]
        for r in range(1, repeats):
            top = max(top, biggest[r * m + q])
        if (top > large or top < 1.0 / large) and top != 0.0 and top < np.inf:
            shift = int(math.frexp(top)[1])
            if shift > 0:
                shift = min(graded_shift(first, m, q, shift), graded_shift(second, m, q, shift))
            if shift != 0:
                # Two factors: 2^-shift alone may not be representable.
                half = shift // 2
                for part in (half, shift - half):
                    factor = math.ldexp(1.0, -part)
                    scale_lane(first, m, q, factor)
                    scale_lane(second, m, q, factor)
                exponent[q] += shift


@helper
def mark_lost(y, step, lost):
    """lost[q] ← step for every lane whose state is no longer finite, unless it was marked before."""
    d, m = y.shape
    total = np.zeros(m, y.dtype)
    for i in range(d):
        for q in range(m):
            total[q] += y[i, q] * 0.0
    for q in range(m):
        if total[q] != 0.0 and lost[q] < 0:  # 0·inf and 0·nan are nan, which differs from 0
            lost[q] = step


@inlined
def kick_and_drift(kick, theta, at, condensed, x, c, e, y, p, dy, dp, work):
    """A kick by any field's leaf, then the drift by factors e, if any."""
    kick(theta, at, x, c[: y.shape[1]], p, dy, dp)
    if e.size > 0:
        drift(e, flat(p), flat(y))
        drift(e, flat(dp), flat(dy))


@inlined
def kick_in_place(kick, theta, at, condensed, x, c, y, dy, work):
    """A kick of y by a force at y itself: explicit Euler on ẏ = F(y, x)."""
    old, old_columns = at.copy(), dy.copy()
    kick(theta, old, x, c[: y.shape[1]], y, old_columns, dy)


@inlined
def no_workspace(d, m, dtype):
    return np.empty((3, 0), dtype)


@inlined
def play(forward, in_place, workspace, kick, theta, run, lanes, record, start, stop):
    """Steps [start, stop) of the run, in place: state (y, p) and its tangent columns (dy, dp).

    In a replay (y, p) are scratch and the kicks take what the record's stations hold, which is y or
    whatever a field's own `push` leaf reads there.

    Parameters
    ----------
    forward, in_place, workspace : compiled functions
        `kick_and_drift`, `kick_in_place` and the maker of their workspace; a field may have faster ones.
        With `run.condensed` they find y at the station and leave there what a replay wants.
    """
    y, p, dy, dp = borrowed(lanes.y), borrowed(lanes.p), borrowed(lanes.dy), borrowed(lanes.dp)
    a, b, h, opening = borrowed(run.drift), borrowed(run.kick), borrowed(run.step), run.opening
    inputs, rows = borrowed(run.inputs), borrowed(run.rows)
    stations, nodes_y, nodes_p = borrowed(record.stations), borrowed(record.nodes_y), borrowed(record.nodes_p)
    d, m = y.shape
    k = dy.shape[1]
    flat_y, flat_p, flat_dy, flat_dp = flat(y), flat(p), flat(dy), flat(dp)
    own_x, own_work = np.empty((run.inputs.shape[1], m), h.dtype), workspace(d, m, h.dtype)
    own_c, own_e = lane_factors(h), lane_factors(h)
    x, work, c, e = borrowed(own_x), borrowed(own_work), borrowed(own_c), borrowed(own_e)
    keep_stations, keep_nodes = stations.size > 0, nodes_y.size > 0
    first, last = 0, run.n_steps - 1
    stages = a.size
    explicit = run.form == EXPLICIT
    old, old_columns = (
        np.empty((d if explicit else 0, m), h.dtype),
        np.empty((d if explicit else 0, k, m), h.dtype),
    )
    number = start * run.kicks_per_step + (1 if opening != 0.0 and start > first else 0)
    drifted = False
    weight_c = weight_e = np.nan  # of the factors that c and e hold: most schemes have few different ones

    for i in range(start, stop):
        checked = (i + 1) % run.check_every == 0 or i == last
        # Stage -1 is the kick before the first drift of the whole run.
        for s in range(-1 if i == first else 0, stages):
            if s == -1:
                weight = opening
            else:
                weight = b[s]
                if run.form == SPLITTING and a[s] != 0.0 and not drifted:
                    weight_e = times_anew(a[s], weight_e, h, e)
                    drift(e, flat_p, flat_y)
                    drift(e, flat_dp, flat_dy)
                drifted = False
                if s == stages - 1 and run.form == SPLITTING:
                    if keep_nodes:
                        nodes_y[i + 1] = y
                        nodes_p[i + 1] = p
                    if i < last:
                        weight += opening
                    elif not run.close:
                        weight = 0.0
            if weight == 0.0:
                continue
            if keep_stations and not run.replay:
                stations[number] = y
            at = stations[number] if run.replay or run.condensed else y
            fill_input(inputs, rows, number, x)
            number += 1
            weight_c = times_anew(weight, weight_c, h, c)
            if run.form == SPLITTING:
                # A kick takes the drift after it along, unless somebody looks at the state in between.
                following = a[s + 1] if s + 1 < stages else a[0]
                drifted = following != 0.0 and (s + 1 < stages or (i + 1 < stop and not checked))
                if drifted:
                    weight_e = times_anew(following, weight_e, h, e)
                forward(kick, theta, at, run.condensed, x, c, e if drifted else e[:0], y, p, dy, dp, work)
            elif run.form == FIRST_ORDER:
                in_place(kick, theta, at, run.condensed, x, c, y, dy, work)
            else:
                copy_into(flat_p, flat(old))
                copy_into(flat_dp, flat(old_columns))
                forward(kick, theta, at, run.condensed, x, c, e[:0], y, p, dy, dp, work)
                weight_e = times_anew(a[s], weight_e, h, e)
                drift(e, flat(old), flat_y)
                drift(e, flat(old_columns), flat_dy)
        if run.form != SPLITTING and keep_nodes:
            nodes_y[i + 1] = y
            nodes_p[i + 1] = p
        if checked:
            mark_lost(y, i + 1, lanes.lost)
            mark_lost(p, i + 1, lanes.lost)
            if k > 0:
                rescale(flat_dy, flat_dp, lanes.exponent)
    hold(own_x)
    hold(own_work)
    hold(own_c)
    hold(own_e)


ADVANCE = types.void(Leaf(KICK), _VECTOR, RUN, LANES, RECORD, _I, _I)


@kernel(ADVANCE)
def advance(kick, theta, run, lanes, record, start, stop):
    """`play` for any field."""
    play(kick_and_drift, kick_in_place, no_workspace, kick, theta, run, lanes, record, start, stop)


@kernel(types.void(Leaf(KICK_ADJOINT), _VECTOR, RUN, _COLUMNS, _COLUMNS, _COLUMNS, _COUNTS, _VECTOR, _I, _I))
def retreat(kick_adjoint, theta, run, stations, lam_y, lam_p, exponent, grad_theta, start, stop):
    """Steps [start, stop) of the run backwards, in place: the transposed factors in reversed order.

    (lam_y, lam_p) enter as the cotangent of (y, p) at step `stop` and leave as that at step `start`.
    With `grad_theta` the columns are not rescaled, because it sums over lanes.
    """
    a, b, h, opening = borrowed(run.drift), borrowed(run.kick), borrowed(run.step), run.opening
    inputs, rows = borrowed(run.inputs), borrowed(run.rows)
    stations, lam_y, lam_p = borrowed(stations), borrowed(lam_y), borrowed(lam_p)
    d, k, m = lam_y.shape
    flat_y, flat_p = flat(lam_y), flat(lam_p)
    own_x, own_c, own_factors = np.empty((inputs.shape[1], m), h.dtype), np.empty(m, h.dtype), lane_factors(h)
    x, c, factors = borrowed(own_x), borrowed(own_c), borrowed(own_factors)
    first, last = 0, run.n_steps - 1
    stages = a.size
    old = np.empty((d, k, m), h.dtype)
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
                fill_input(inputs, rows, number, x)
                times(weight, h, c)
                if run.form == SPLITTING:
                    kick_adjoint(theta, stations[number], x, c, lam_p, lam_y, grad_theta)
                else:
                    copy_into(flat_y, flat(old))
                    source = old if run.form == FIRST_ORDER else lam_p
                    kick_adjoint(theta, stations[number], x, c, source, lam_y, grad_theta)
                    if run.form == EXPLICIT:
                        times(a[s], h, factors)
                        drift(factors, flat(old), flat_p)
                number -= 1
            if s >= 0 and run.form == SPLITTING and a[s] != 0.0:
                times(a[s], h, factors)
                drift(factors, flat_y, flat_p)
        if grad_theta.size == 0 and (i % run.check_every == 0 or i == first):
            rescale(flat_y, flat_p, exponent)
    hold(own_x)
    hold(own_c)
    hold(own_factors)
