"""Backward sweeps that hand out the cotangent of every y_i, or of every input x_i, on the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from integrators.cells.cell import Cell
from integrators.engine.blocks import Ticker
from integrators.engine.drivers import Taps
from integrators.fields.neural import NeuralField

from .checkpoint import MEMORY_BYTES, Cotangents, Segment, Segmentation, backwards, block_members, block_run

if TYPE_CHECKING:
    from .recurrence import Recurrence

__all__ = ["Handed", "input_cotangents", "node_cotangents"]

Float = NDArray[np.float64]
# What is kept between two calls of a driver: enough nodes for a batch of singular values, and a short call.
KEPT_BYTES = 1 << 24


class Handed(NamedTuple):
    """Cotangent columns of consecutive indices of one block of members: ``values · 2^exponents[:, None]``.

    Attributes
    ----------
    members : slice
        The members.
    first : int
        i of the first entry, for x_i as well.
    values : ndarray, shape (entries, rows, k, members)
    exponents : ndarray of int, shape (entries, k, members)
    """

    members: slice
    first: int
    values: Float
    exponents: NDArray[np.int64]


Consumer = Callable[[Handed], None]


def node_cotangents(
    recurrence: Recurrence,
    columns: Float,
    consume: Consumer,
    *,
    memory_bytes: int = MEMORY_BYTES,
) -> NDArray[np.int64]:
    """Hand out the cotangents of y_N, …, y_0, each at fixed p_i.

    Parameters
    ----------
    recurrence : Recurrence
    columns : ndarray, shape (rows, k)
        Cotangents of y_N, or of s_N of a cell.
    consume : callable
        Receives one `Handed` after another, i descending; called from the worker threads, from each for
        members of its own.
    memory_bytes
        As for `checkpointed_pullback`.

    Returns
    -------
    ndarray of int, shape (members,)
        The check at which a member's state was no longer finite, else −1.
    """
    return _Sweep(recurrence, columns, consume, recurrence.system.dim, 0).run(memory_bytes)


def input_cotangents(
    recurrence: Recurrence,
    columns: Float,
    consume: Consumer,
    *,
    memory_bytes: int = MEMORY_BYTES,
) -> NDArray[np.int64]:
    """Hand out the cotangents of the inputs x_N, …, x_1: n_inputs rows. Otherwise as `node_cotangents`.

    ∂y_N/∂x_i is the sum over the kicks that take x_i, which is Vᵀ D(z) c λ_p each.

    Raises
    ------
    ValueError
        If the field is not a `NeuralField` with input weights, or the inputs are a function of time.
    """
    field = recurrence.system
    if field.n_inputs == 0 or not isinstance(field, (Cell, NeuralField)):
        raise ValueError("the derivative by the inputs needs a NeuralField with input weights V, or a cell.")
    if callable(recurrence.inputs):
        raise ValueError(
            "the derivative by x_i needs inputs of shape (n_steps, n_inputs), not a function of time."
        )
    sweep = _Sweep(recurrence, columns, consume, 0, field.n_inputs)
    return sweep.run(memory_bytes)


class _Sweep:
    """A backward sweep of all members that keeps `nodes` rows of the state or `inputs` rows of each input."""

    def __init__(
        self, recurrence: Recurrence, columns: Float, consume: Consumer, nodes: int, inputs: int
    ) -> None:
        self._recurrence, self._columns, self._consume = recurrence, columns, consume
        self._nodes, self._inputs = nodes, inputs

    def run(self, memory_bytes: int) -> NDArray[np.int64]:
        recurrence, k = self._recurrence, self._columns.shape[1]
        program = recurrence.program(close=False)  # ∂y_N does without the last half kick
        segmentation = Segmentation.of(recurrence, program, k, memory_bytes)
        overflowed = np.full(recurrence.members, -1, np.int64)
        start = np.zeros((recurrence.state_size, k))
        start[: len(self._columns)] = self._columns

        def work(members: slice, ticker: Ticker) -> None:
            run = block_run(recurrence, members, program, segmentation.width, ticker)
            block = recurrence.block(block_members(recurrence, members, segmentation.width))
            cotangents = Cotangents.start(recurrence, start, run.step.size)
            if self._nodes:
                last = cotangents.columns[None, : self._nodes]
                self._hand_out(members, recurrence.n_steps, last, cotangents.exponent[None])
            for segment in backwards(recurrence, run, block, segmentation.length, ticker):
                self._pull(members, segment, cotangents, ticker)
            overflowed[members] = block.overflowed[: members.stop - members.start]

        segmentation.blocks(recurrence, program, k, work, "profile")
        return overflowed

    def _pull(self, members: slice, segment: Segment, cotangents: Cotangents, ticker: Ticker) -> None:
        """Pull over a segment, the last steps first, as many at a time as KEPT_BYTES hold."""
        run, (_, k, n) = segment.run, cotangents.columns.shape
        size = max(1, KEPT_BYTES // (8 * cotangents.columns.size * max(1, len(run.body))))
        none = np.zeros(0)
        for stop in range(segment.stop, segment.start, -size):
            start = max(stop - size, segment.start)
            steps = stop - start
            taps = Taps.none()._replace(
                nodes=np.empty((steps if self._nodes else 0, self._nodes, k, n)),
                inputs=np.empty((steps if self._inputs else 0, self._inputs, k, n)),
                exponents=np.empty((steps, cotangents.exponent.size), np.int64),
            )
            self._recurrence.backward_sweep(run, segment.tape, cotangents, none, start, stop, taps)
            ticker(steps * (members.stop - members.start))
            if self._nodes:
                self._hand_out(members, start, taps.nodes, taps.exponents)
            else:
                self._hand_out(members, start + 1, taps.inputs, taps.exponents)

    def _hand_out(self, members: slice, first: int, values: Float, exponents: NDArray[np.int64]) -> None:
        """`consume` without padded members and columns."""
        m, k = members.stop - members.start, self._columns.shape[1]
        if values.shape[0]:
            powers = exponents.reshape(len(exponents), *values.shape[2:])
            self._consume(Handed(members, first, values[:, :, :k, :m], powers[:, :k, :m]))
