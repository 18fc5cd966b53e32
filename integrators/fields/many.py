"""Forward sweeps of many fields of one shape, which differ in their parameters, in one compiled call."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import types
from numpy.typing import NDArray

from integrators.codegen.array_types import COUNTS, MATRIX, STACK, TABLE
from integrators.codegen.compiled import Callback, kernel
from integrators.engine.drivers import RUN, Block, Run

from .field import FORWARD, KICK, Field

__all__ = ["ManyBlocks", "forward_many"]

Float = NDArray[np.float64]
Counts = NDArray[np.int64]
FORWARD_MANY = types.void(
    Callback(FORWARD), Callback(KICK), MATRIX, MATRIX, RUN, COUNTS, STACK, COUNTS, MATRIX,
    types.Array(types.float64, 3, "C"), STACK, TABLE, TABLE,
)  # fmt: skip


class ManyBlocks(NamedTuple):
    """`engine.drivers.Block` of many runs, one after the other; changed in place.

    Attributes
    ----------
    state : ndarray, shape (runs, D, m)
    columns : ndarray, shape (runs, D, k, m)
    exponent : ndarray of int, shape (runs, k m)
    overflowed : ndarray of int, shape (runs, m)
    """

    state: Float
    columns: Float
    exponent: Counts
    overflowed: Counts


@kernel(FORWARD_MANY)
def sweep_many(
    driver, kick, thetas, transposed, run, check_every, inputs, field_of, steps, state, columns, exponent,
    overflowed,
):  # fmt: skip
    """``driver(kick, theta, transposed, run, block, …)`` over all steps of every run."""
    nothing = columns[0][:0]
    for i in range(state.shape[0]):
        which = field_of[i]
        own = Run(
            run.form, run.body, run.first, run.closing, run.n_steps, run.base, steps[i],
            inputs[which if inputs.shape[0] > 1 else 0], run.rows, check_every[i], run.range_bits, run.tape,
        )  # fmt: skip
        block = Block(state[i], columns[i], exponent[i], overflowed[i])
        driver(kick, thetas[which], transposed[which], own, block, nothing, nothing, 0, run.n_steps)


def forward_many(
    field: Field,
    thetas: Float,
    transposed: Float,
    run: Run,
    check_every: Counts,
    inputs: Float,
    field_of: Counts,
    steps: Float,
    blocks: ManyBlocks,
) -> None:
    """Run many fields of the kind of `field` from their initial states to the end, in place.

    Every number has the bits that `Field.forward` gives for the field alone.

    Parameters
    ----------
    field : Field
        One of them.
    thetas, transposed : ndarray, shape (fields, numbers)
        The vectors ``field.packed`` and ``field.transposed`` of each.
    run : Run
        What their runs have in common, without a tape.
    check_every : ndarray of int, shape (runs,)
        In place of that of `run`.
    inputs : ndarray, shape (fields or 1, rows, n_inputs, 1)
        Likewise; one sequence may serve all fields.
    field_of : ndarray of int, shape (runs,)
        Which field each run belongs to.
    steps : ndarray, shape (runs, m)
        The step sizes of the batch members of each run.
    blocks : ManyBlocks
    """
    driver: Any = field.driver_forward
    kick = field.kick if field.calls_kicks else 0
    sweep_many(driver.pointer, kick, thetas, transposed, run, check_every, inputs, field_of, steps, *blocks)
