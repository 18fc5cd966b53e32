"""The stage of any field: kicks by its callback, and the drifts after them.

The state of a splitting, and of the explicit form, is (y, p) with d components each; that of a first-order
scheme is y. What goes to the tape is y at the kick, d rows.
"""

from __future__ import annotations

import numpy as np
from numba import types

from integrators.codegen.access import flat, get, put
from integrators.codegen.arithmetic import fma
from integrators.codegen.array_types import COLUMNS, COUNTS, MATRIX, VECTOR
from integrators.codegen.compiled import Callback, helper, inlined, kernel
from integrators.codegen.memory import copy_into
from integrators.engine.drivers import (
    BLOCK,
    KEEP,
    REPLAY,
    RUN,
    TAPS,
    one_by_one,
    sweep_backward,
    sweep_forward,
)
from integrators.engine.program import FIRST_ORDER, SPLITTING

__all__ = [
    "BACKWARD",
    "FORWARD",
    "KICK",
    "KICK_ADJOINT",
    "drift",
    "kicks_backward",
    "kicks_forward",
    "spare_rows",
]

_I = types.int64
KICK = types.void(VECTOR, MATRIX, MATRIX, VECTOR, MATRIX, COLUMNS, COLUMNS)
KICK_ADJOINT = types.void(VECTOR, MATRIX, MATRIX, VECTOR, COLUMNS, COLUMNS, VECTOR)
FORWARD = types.void(Callback(KICK), VECTOR, VECTOR, RUN, BLOCK, COLUMNS, COLUMNS, _I, _I)
BACKWARD = types.void(
    Callback(KICK_ADJOINT), VECTOR, VECTOR, RUN, COLUMNS, COLUMNS, COUNTS, VECTOR, TAPS, _I, _I
)


@helper
def drift(c, p, y):
    """y += c p for flat columns, members last; c as filled by `drivers.times`."""
    width = c.size
    whole = y.size - y.size % width
    for start in range(0, whole, width):
        for q in range(width):
            put(y, start + q, fma(c[q], get(p, start + q), get(y, start + q)))
    for q in range(y.size - whole):
        put(y, whole + q, fma(c[q], get(p, whole + q), get(y, whole + q)))


@inlined
def no_workspace(layout, form, D, k, m, dtype):
    none = np.empty(0, dtype)
    return none, none


@inlined
def spare_rows(form, D):
    """A splitting acts in place; the other forms need the old state, or its half p."""
    return 0 if form == SPLITTING else D if form == FIRST_ORDER else D // 2


@inlined
def halves(form, state, columns):
    """(y, p, dy, dp); nothing in p and dp where the state is y alone."""
    d = state.shape[0] if form == FIRST_ORDER else state.shape[0] // 2
    return state[:d], state[d:], columns[:d], columns[d:]


@inlined
def push_kick(callback, second, layout, theta, operation, x, c, e, entry, parts, spare, spare_columns, work):
    """See `drivers`."""
    y, p, dy, dp = parts
    m = y.shape[1]
    if operation.weight != 0.0 and operation.tape == KEEP:
        copy_into(flat(y), flat(entry))
    replayed = operation.tape == REPLAY
    if operation.form == SPLITTING:
        if operation.weight != 0.0:
            callback(theta, entry if replayed else y, x, c[:m], p, dy, dp)
        if operation.drift != 0.0:
            drift(e, flat(p), flat(y))
            drift(e, flat(dp), flat(dy))
    elif operation.form == FIRST_ORDER:
        copy_into(flat(y), flat(spare))
        copy_into(flat(dy), flat(spare_columns))
        callback(theta, entry if replayed else spare, x, c[:m], y, spare_columns, dy)
    else:
        copy_into(flat(p), flat(spare))
        copy_into(flat(dp), flat(spare_columns))
        callback(theta, entry if replayed else y, x, c[:m], p, dy, dp)
        drift(e, flat(spare), flat(y))
        drift(e, flat(spare_columns), flat(dy))
    return False


@inlined
def pull_kick(
    callback, second, layout, theta, operation, x, c, e, entry, columns, spare, by_input, gradient, work
):
    """See `drivers`; the callback has no derivative by the input."""
    m = columns.shape[2]
    d = columns.shape[0] if operation.form == FIRST_ORDER else columns.shape[0] // 2
    lam_y, lam_p = columns[:d], columns[d:]
    if operation.form == SPLITTING:
        if operation.drift != 0.0:
            drift(e, flat(lam_y), flat(lam_p))
        if operation.weight != 0.0:
            callback(theta, entry, x, c[:m], lam_p, lam_y, gradient)
    elif operation.form == FIRST_ORDER:
        copy_into(flat(columns), flat(spare))
        callback(theta, entry, x, c[:m], spare, columns, gradient)
    else:
        copy_into(flat(lam_y), flat(spare))
        callback(theta, entry, x, c[:m], lam_p, lam_y, gradient)
        drift(e, flat(spare), flat(lam_p))
    return False


@kernel(FORWARD)
def kicks_forward(kick, theta, transposed, run, block, tape, nodes, start, stop):
    """`sweep_forward` of any field."""
    sweep_forward(
        push_kick, one_by_one, halves, no_workspace, spare_rows, kick, 0, 0, theta, run, block, tape, nodes,
        start, stop,
    )  # fmt: skip


@kernel(BACKWARD)
def kicks_backward(
    kick_adjoint, theta, transposed, run, tape, columns, exponent, gradient, taps, start, stop
):
    """`sweep_backward` of any field."""
    sweep_backward(
        pull_kick, no_workspace, spare_rows, kick_adjoint, 0, 0, theta, run, tape, columns, exponent,
        gradient, taps, start, stop,
    )  # fmt: skip
