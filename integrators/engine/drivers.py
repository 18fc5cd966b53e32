"""The two compiled loops: a program forwards, with tangent columns, and backwards, with cotangent columns.

They know the program's operations, the tape, the range of the columns, overflow and the inputs; what an
operation does to state and columns is a *stage*. A stage is a pair of compiled functions,

``push(callback, second, layout, theta, operation, x, c, e, entry, parts, spare, spare_columns, work)``
    s ← stage(s), and every tangent column ← ∂stage · column, in place; or into the spare arrays, and then it
    returns True and the driver goes on with those. What the way back needs goes into the tape entry.
``pull(callback, second, layout, theta, operation, x, c, e, entry,
columns, spare, by_input, gradient, work)``
    every cotangent column ← (∂stage)ᵀ · column, likewise; and by_input += (∂stage/∂x)ᵀ · column, gradient +=
    (∂stage/∂θ)ᵀ · column where these are not empty.

A stage may do many steps at a time where nothing is to be looked at between them, by

``push_steps(second, theta, form, weights, factors, parts, work, steps)``
    All operations of so many steps in place, without inputs; returns False where it has no faster way. With
    `one_by_one` a stage has none.

The loops are templates, compiled once for each built-in sort of recurrence (`kicks` for any field, `neural`,
`cell_stage`) with its stage inside: a call through an address for every operation would take as long as the
step of a small network.

Columns are scaled by exact powers of two whenever they leave 2^±300, each by itself; the product is
``ldexp(columns, exponent)``.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import types
from numpy.typing import NDArray

from integrators.codegen.array_types import COLUMNS, COUNTS, MATRIX, STACK, TABLE, VECTOR
from integrators.codegen.compiled import helper, inlined
from integrators.codegen.primitives import aligned_empty, borrowed, clear, copy_into, flat, get, hold, put

__all__ = [
    "BLOCK",
    "CONDENSE",
    "KEEP",
    "NOTHING",
    "REPLAY",
    "RUN",
    "TAPS",
    "Block",
    "Run",
    "StageCall",
    "Taps",
    "input_of",
    "mark_overflow",
    "one_by_one",
    "rescale",
    "sweep_backward",
    "sweep_forward",
]

Float = NDArray[np.float64]

NOTHING, KEEP, CONDENSE, REPLAY = range(4)
"""What a forward sweep does with the tape: nothing; keep what each stage saw; keep what a replay or a pull
reads there, where a stage has something cheaper; push columns alone, along what is kept."""

_I, _F, _B = types.int64, types.float64, types.boolean


class Run(NamedTuple):
    """A program and what it acts on, as the drivers read it."""

    form: int  # of the program: a stage may act in several ways
    body: Float  # (operations, 2), see `Program`
    first: float
    closing: float
    n_steps: int
    base: int  # the step whose first operation has tape entry 0
    step: Float  # (m,)
    inputs: Float  # (rows, n_inputs, 1 or m)
    rows: NDArray[np.int64]  # input row of every tape entry of the whole run; empty without inputs
    check_every: int  # steps between two looks at the range of the columns
    range_bits: int  # which is from 2^-range_bits to 2^range_bits
    tape: int  # NOTHING, KEEP, CONDENSE or REPLAY


class Block(NamedTuple):
    """State, tangent columns and book-keeping of a block of batch members; changed in place."""

    state: Float  # (D, m)
    columns: Float  # (D, k, m)
    exponent: NDArray[np.int64]  # (k m,), see `column_scale`
    overflowed: NDArray[np.int64]  # (m,): the check at which the state was no longer finite, else −1


class Taps(NamedTuple):
    """What enters and leaves a backward sweep on the way; an array of size 0 is not there.

    Entry j belongs to step start + j, that from state start + j to the next.
    """

    forcing: Float  # (steps, D, m): cotangents of the state after each step, added there
    nodes: (
        Float  # (steps, rows, k, m): receives the cotangent of the state before each step, as if it were s_0
    )
    inputs: Float  # (steps, n_inputs, k, m): receives the cotangent of each step's input
    exponents: NDArray[np.int64]  # (steps, k m): powers of two of the two above; as many rows as they have

    @classmethod
    def none(cls, dtype: Any = np.float64) -> Taps:
        nodes, inputs = (np.zeros((0, 0, 0, 0), dtype) for _ in range(2))
        return cls(np.zeros((0, 0, 0), dtype), nodes, inputs, np.zeros((0, 0), np.int64))


class StageCall(NamedTuple):
    """What a stage is told about the operation at hand."""

    form: int
    weight: float  # of the evaluation; c holds weight · h for every member
    drift: float  # of the drift after it; e holds drift · h
    tape: int


RUN = types.NamedTuple((_I, MATRIX, _F, _F, _I, _I, VECTOR, COLUMNS, COUNTS, _I, _I, _I), Run)
BLOCK = types.NamedTuple((MATRIX, COLUMNS, COUNTS, COUNTS), Block)
TAPS = types.NamedTuple((COLUMNS, STACK, STACK, TABLE), Taps)


@helper
def weights_and_factors(run):
    """Weight and drift of every row of the body, then of the first and of the closing operation; times h.

    A factor a member, repeated so that the loops over it are long enough to pay: (rows, 2, repeats · m).
    """
    h, operations = run.step, run.body.shape[0]
    weights = np.zeros((operations + 2, 2))
    copy_into(flat(run.body), flat(weights))
    weights[operations, 0], weights[operations, 1] = run.first, run.body[0, 1]
    weights[operations + 1, 0] = run.closing
    m, repeats = h.size, max(1, 128 // h.size)
    factors = aligned_empty((operations + 2) * 2 * repeats * m, h.dtype)
    for row in range((operations + 2) * 2):
        weight = weights[row // 2, row % 2]
        for start in range(row * repeats * m, (row + 1) * repeats * m, m):
            for q in range(m):
                put(factors, start + q, weight * h[q])
    return weights, factors.reshape((operations + 2, 2, repeats * m))


@inlined
def one_by_one(second, theta, form, weights, factors, parts, work, steps):
    """No faster way to do several steps."""
    return False


@inlined
def input_of(inputs, rows, number, own):
    """The input of an operation, (n_inputs, m): a view of `inputs`, or `own` filled with what all share."""
    if own.shape[0] == 0:
        return own
    row = inputs[rows[number]]
    if row.shape[1] == own.shape[1]:
        return row
    for i in range(own.shape[0]):
        for q in range(own.shape[1]):
            own[i, q] = row[i, 0]
    return own


@helper
def scale_member(columns, m, member, factor):
    for f in range(member, columns.size, m):
        columns[f] *= factor


@helper
def graded_shift(columns, m, position, shift, bits):
    """The part of `shift` by which a column can be brought down without losing its small entries.

    A column of 2^600 and 2^-600 is as exact as any other, but no longer once it is divided by 2^600. Where
    its entries part by more powers of two than `bits`, the largest is not brought to one, but only as far
    down as leaves the small ones in range, and at most up to 2^bits.
    """
    least = np.inf
    for f in range(position, columns.size, m):
        value = abs(columns[f])
        if value < least and value > 0.0:
            least = value
    # One more step of this kind has to fit in.
    most = min(bits, max(0, (1000 if columns.itemsize == 8 else 120) - shift))
    if least == np.inf or shift - int(math.frexp(least)[1]) <= most:
        return shift
    return max((shift + int(math.frexp(least)[1])) // 2, shift - most)


@helper
def rescale(columns, exponent, bits):
    """Bring flat columns back between 2^-bits and 2^bits by powers of two, counted in `exponent`.

    There is one exponent for each column of each member, flat like a row of the columns, or one for each
    member, which then holds for all of its columns.
    """
    m = exponent.size
    repeats = max(1, 64 // m)
    large = math.ldexp(1.0, bits)
    # A running maximum in one variable would not vectorise; one per position does.
    biggest = np.zeros(repeats * m, columns.dtype)
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
    outside = 0
    for q in range(width):
        value = biggest[q]
        outside += int(value > large) | (int(value < 1.0 / large) & int(value != 0.0))
    if outside == 0:
        return
    for q in range(m):
        top = biggest[q]
        for r in range(1, repeats):
            top = max(top, biggest[r * m + q])
        if (top > large or top < 1.0 / large) and top != 0.0 and top < np.inf:
            shift = int(math.frexp(top)[1])
            if shift > 0:
                shift = graded_shift(columns, m, q, shift, bits)
            if shift != 0:
                # Two factors: 2^-shift alone may not be representable.
                half = shift // 2
                for part in (half, shift - half):
                    scale_member(columns, m, q, math.ldexp(1.0, -part))
                exponent[q] += shift


@helper
def mark_overflow(state, step, overflowed):
    """overflowed[q] ← step for every member whose state is no longer finite, unless it was marked before."""
    d, m = state.shape
    total = np.zeros(m, state.dtype)
    for i in range(d):
        for q in range(m):
            total[q] += state[i, q] * 0.0
    for q in range(m):
        if total[q] != 0.0 and overflowed[q] < 0:  # 0·inf and 0·nan are nan, which differs from 0
            overflowed[q] = step


@inlined
def sweep_forward(
    push, push_steps, view, workspace, callback, second, layout, theta, run, block, tape, nodes,
    start, stop,
):  # fmt: skip
    """Steps [start, stop) of the run, in place; the closing operation too, if `stop` is the end.

    Parameters
    ----------
    push, push_steps, view, workspace : compiled functions
        Of the stage: `push_steps` does several whole steps if it can, `view` makes of state and columns the
        parts that these two work on, and `workspace` says how many rows of the state `push` writes elsewhere,
        with an owner of memory and what they see of it.
    tape : float64[:, :, ::1]
        Entries from step ``run.base`` on; of size 0 with ``run.tape == NOTHING``.
    nodes : float64[:, :, ::1]
        Receives the state after step i in ``nodes[i + 1]``, unless its size is 0.
    """
    state, columns = borrowed(block.state), borrowed(block.columns)
    h, inputs, input_rows = borrowed(run.step), borrowed(run.inputs), borrowed(run.rows)
    tape, nodes = borrowed(tape), borrowed(nodes)
    D, m, k = state.shape[0], state.shape[1], columns.shape[1]
    rows, own_work, work = workspace(layout, run.form, D, k, m, h.dtype)
    own_spare, own_columns = np.empty((rows, m), h.dtype), np.empty((rows, k, m), h.dtype)
    spare, spare_columns = borrowed(own_spare), borrowed(own_columns)
    x_memory = np.empty((inputs.shape[1], m), h.dtype)
    own_x = borrowed(x_memory)
    x = own_x
    own_weights, own_factors = weights_and_factors(run)
    weights, factors = borrowed(own_weights), borrowed(own_factors)
    parts = view(run.form, state, columns)
    operations, swapped = weights.shape[0] - 2, False
    kept, keep_nodes = run.tape != NOTHING, nodes.size > 0
    plain, reached = not kept and not keep_nodes and inputs.shape[1] == 0, start

    for i in range(start, stop):
        last = i + 1 == run.n_steps
        if plain and i > 0 and i >= reached:
            until = min(stop, i + run.check_every - i % run.check_every)
            if push_steps(second, theta, run.form, weights, factors, parts, work, until - i):
                reached = until
        for j in range(operations if i < reached else 0, operations + 1):
            closing = j == operations
            if closing and keep_nodes:
                copy_into(flat(state), flat(nodes[i + 1]))
            if closing and not (last and run.closing != 0.0):
                continue
            row = operations + 1 if closing else operations if i == 0 and j == 0 else j
            weight, drift = weights[row, 0], weights[row, 1]
            if weight != 0.0:
                x = input_of(inputs, input_rows, i * operations + j, own_x)
            c, e = factors[row, 0], factors[row, 1]
            entry = tape[(i - run.base) * operations + j] if kept else state[:0]
            operation = StageCall(run.form, weight, drift, run.tape)
            if push(
                callback, second, layout, theta, operation, x, c, e, entry, parts, spare, spare_columns, work
            ):
                state, spare, columns, spare_columns = spare, state, spare_columns, columns
                parts = view(run.form, state, columns)
                swapped = not swapped
        if (i + 1) % run.check_every == 0 or last:
            mark_overflow(state, i + 1, block.overflowed)
            if k > 0:
                rescale(flat(columns), block.exponent, run.range_bits)
    if swapped:
        copy_into(flat(state), flat(block.state))
        copy_into(flat(columns), flat(block.columns))
    hold(own_spare)
    hold(own_columns)
    hold(x_memory)
    hold(own_weights)
    hold(own_factors)
    hold(own_work)


@helper
def add_forcing(forcing, columns):
    """Every column += the cotangent (D, m) of the state after the step."""
    D, k, m = columns.shape
    for f in range(D):
        for r in range(k):
            for q in range(m):
                columns[f, r, q] += forcing[f, q]


@helper
def hand_out(inputs, nodes, exponents, at, node, by_input, exponent):
    """Entry `at` of the taps that are asked for; what was summed for the input begins anew."""
    if inputs.size > 0:
        copy_into(flat(by_input), flat(inputs[at]))
        clear(flat(by_input))
    if nodes.size > 0:
        copy_into(flat(node[: nodes.shape[1]]), flat(nodes[at]))
    if exponents.size > 0:
        copy_into(exponent, exponents[at])


@inlined
def sweep_backward(
    pull, workspace, callback, second, layout, theta, run, tape, columns, exponent, gradient,
    taps, start, stop,
):  # fmt: skip
    """Steps [start, stop) of the run backwards, in place: the transposed factors in reversed order.

    The columns enter as cotangents of the state after step stop − 1 (after the closing operation, if that
    is the last) and leave as those of the state before step `start`. With `gradient`, which is summed over
    columns and members, or with forcing they are not rescaled.
    """
    given, tape = borrowed(columns), borrowed(tape)
    h, inputs, input_rows = borrowed(run.step), borrowed(run.inputs), borrowed(run.rows)
    columns, (D, k, m) = given, given.shape
    rows, own_work, work = workspace(layout, run.form, D, k, m, h.dtype)
    own_spare = np.empty((rows, k, m), h.dtype)
    x_memory = np.empty((inputs.shape[1], m), h.dtype)
    spare, own_x = borrowed(own_spare), borrowed(x_memory)
    own_weights, own_factors = weights_and_factors(run)
    weights, factors = borrowed(own_weights), borrowed(own_factors)
    to_inputs, to_nodes = borrowed(taps.inputs), borrowed(taps.nodes)
    to_exponents, forcing = borrowed(taps.exponents), borrowed(taps.forcing)
    tapped, forced = to_inputs.size + to_nodes.size + to_exponents.size > 0, forcing.size > 0
    by_input = np.zeros((to_inputs.shape[1] if to_inputs.size > 0 else 0, k, m), h.dtype)
    operations, swapped, x = weights.shape[0] - 2, False, own_x
    # The cotangent of a node belongs to a run that begins there: with the first weight, not the merged one.
    apart = to_nodes.size > 0 and run.first != weights[0, 0]
    node = np.empty((D if apart else 0, k, m), h.dtype)

    for i in range(stop - 1, start - 1, -1):
        at = i - start
        if forced:
            add_forcing(forcing[at], columns)
        for turn in range(operations + 1):
            j = operations - turn
            if j == operations and (i + 1 < run.n_steps or run.closing == 0.0):
                continue
            row = operations + 1 if j == operations else operations if i == 0 and j == 0 else j
            if weights[row, 0] != 0.0:
                x = input_of(inputs, input_rows, i * operations + j, own_x)
            entry, twice = tape[(i - run.base) * operations + j], apart and j == 0 and i > 0
            if twice:
                copy_into(flat(columns), flat(node))
            for again in range(2 if twice else 1):
                # First the node's own cotangent, then that of the run.
                aside = twice and again == 0
                own = operations if aside else row
                operation = StageCall(run.form, weights[own, 0], weights[own, 1], run.tape)
                if pull(
                    callback, second, layout, theta, operation, x, factors[own, 0], factors[own, 1], entry,
                    node if aside else columns, spare, by_input[: 0 if aside else by_input.shape[0]],
                    gradient[: 0 if aside else gradient.size], work,
                ):  # fmt: skip
                    columns, spare = spare, columns
                    swapped = not swapped
        if tapped:
            source = node if apart and i > 0 else columns
            hand_out(to_inputs, to_nodes, to_exponents, at, source, by_input, exponent)
        if gradient.size == 0 and not forced and (i % run.check_every == 0 or i == 0):
            rescale(flat(columns), exponent, run.range_bits)
    if swapped:
        copy_into(flat(columns), flat(given))
    hold(own_spare)
    hold(x_memory)
    hold(own_weights)
    hold(own_factors)
    hold(own_work)
