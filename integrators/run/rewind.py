"""The way back of a cell whose step can be undone: s from Φ(s, x) and x, without a stored trajectory.

In floating point a step and its undoing round differently, so the state found is off by what round-off grows
to. A cell may instead round its *increments* to a grid of multiples of 2^-f (its constant `grid`): state
plus increment is then exact as long as |state| < 2^(52 − f), an increment that depends on nothing it
changes is taken back exactly, and every state is found again bit for bit: a fixed-point state in float64.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numba import types
from numpy.typing import NDArray

from integrators.cells.kind_check import check_inverse
from integrators.cells.layout import LAYOUT, POINT, evaluate, layer_of
from integrators.cells.stage import evaluate_substeps, layer_input, work_for
from integrators.codegen.array_types import COLUMNS, MATRIX, VECTOR
from integrators.codegen.compiled import Callback, kernel
from integrators.codegen.primitives import copy_into, flat
from integrators.engine.blocks import Ticker
from integrators.engine.drivers import KEEP, RUN, Block, Run, input_of

from .checkpoint import Segment

if TYPE_CHECKING:
    from .recurrence import Recurrence

__all__ = ["check_reversible", "reconstructed_cell", "rewind_cell"]

Float = NDArray[np.float64]

_POINT, _I = Callback(POINT), types.int64
# Steps that are found again at a time: long enough to make calls cheap, short enough to be O(d).
SEGMENT = 256


@kernel(types.void(_POINT, _POINT, LAYOUT, VECTOR, RUN, MATRIX, COLUMNS, _I, _I, _I))
def rewind_cell(inverse, middle, layout, theta, run, y, tape, first, start, stop):
    """Undo steps [start, stop) of the run, y in place; tape[first + i − start] = s_i."""
    D, m = y.shape
    size = D // layout.layers
    d, n_in = size // layout.states, run.inputs.shape[1] - layout.clock
    own_x, other, own = np.empty((run.inputs.shape[1], m)), np.empty((D, m)), np.empty((d + layout.clock, m))
    w = work_for(layout, d, 0, 0, m)
    for i in range(stop - 1, start - 1, -1):
        x = input_of(run.inputs, run.rows, i, own_x)
        if layout.substeps > 1:
            evaluate_substeps(inverse, middle, layout, theta, y, x, run.step, other, w)
        for layer in range(layout.layers if layout.substeps == 1 else 0):
            part = slice(layer * size, (layer + 1) * size)
            # The layer below is still after its step, as it was when this layer took its state for input.
            drive = layer_input(layer, x, y, size, d, layout.clock, own)
            parameters = layer_of(layout, theta, d, n_in, layer)
            evaluate(inverse, middle, layout, parameters, y[part], drive, run.step, other[part],
                     w.v[layer], w.u[layer], w.slopes[layer], w.inner[layer], w.ones)  # fmt: skip
        copy_into(flat(other), flat(y))
        tape[first + i - start] = y


def check_reversible(recurrence: Recurrence) -> None:
    """Raise ValueError unless every step of the run can be undone."""
    cell = recurrence.system
    if cell.kind.inverse is None:
        raise ValueError(
            f"the reversed sweep needs a cell whose step can be undone, such as unicornn, staggered or h2; "
            f"{cell.name!r} has no inverse: take pullback, which keeps checkpoints."
        )
    grid = float(cell.parameters.get("grid", np.zeros(())))
    off = recurrence.start if grid == 0.0 else recurrence.start - np.rint(recurrence.start / grid) * grid
    if grid > 0.0 and off.any():
        raise ValueError(f"s0 holds numbers that are no multiples of grid = {grid:g}; round it to the grid.")
    check_inverse(cell)


def reconstructed_cell(recurrence: Recurrence, run: Run, block: Block, ticker: Ticker) -> Iterator[Segment]:
    """Segments of a run with their tapes, the last first, while `block` goes back from end to start."""
    assert recurrence.system.kind.inverse is not None  # `check_reversible`
    inverse = recurrence.system.kind.inverse(recurrence.system)
    point, middle, layout, theta = inverse.kind.point, inverse.kind.middle, inverse.layout, inverse.packed
    n = run.step.size
    tape = np.empty((SEGMENT + 1, recurrence.state_size, n))
    for start in reversed(range(0, run.n_steps, SEGMENT)):
        stop = min(start + SEGMENT, run.n_steps)

        def undo(a: int, b: int, stop: int = stop, start: int = start) -> None:
            lower, upper = stop - b, stop - a
            rewind_cell(point, middle, layout, theta, run, block.state, tape, lower - start, lower, upper)

        ticker.in_chunks(undo, stop - start, n, recurrence.system.seconds(0) * n)
        yield Segment(run._replace(base=start, tape=KEEP), start, stop, tape)
