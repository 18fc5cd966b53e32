"""Backward sweeps that keep the cotangent on the way: at every node, or at every kick."""

from __future__ import annotations

import numpy as np
from numba import types

from .compiled import helper, kernel
from .fields import KICK_ADJOINT
from .flow import RUN, rescale, retreat, times
from .memory import copy_into, fill_input
from .neural import neural_pull
from .simd import flat

__all__ = ["neural_pull_keeping", "retreat_keeping_kicks", "retreat_keeping_nodes"]

_VECTOR, _COLUMNS, _STACK = (types.Array(types.float64, n, "C") for n in (1, 3, 4))
_COUNTS, _TABLE = (types.Array(types.int64, n, "C") for n in (1, 2))
_PULL, _I = types.FunctionType(KICK_ADJOINT), types.int64

_retreat, _neural_pull = helper(retreat.function), helper(neural_pull.function)


@kernel(types.void(_PULL, _VECTOR, RUN, _COLUMNS, _COLUMNS, _COLUMNS, _COUNTS, _STACK, _TABLE, _I, _I))
def retreat_keeping_nodes(pull, theta, run, stations, lam_y, lam_p, exponent, kept, exponents, start, stop):
    """`retreat`, with the cotangent of y_i at fixed p_i in ``kept[i - start]``, times 2^``exponents[i - start]``.

    Between steps the drivers hold p after the merged kick at the node, and (lam_y, lam_p) belong to that p.
    The part of the kick that opens step i is a function of y_i: lam_y += opening h DF(y_i)ᵀ lam_p.
    """
    x, c, none = np.empty((run.inputs.shape[1], run.step.size)), np.empty(run.step.size), np.empty(0)
    times(run.opening, run.step, c)
    for i in range(stop - 1, start - 1, -1):
        _retreat(pull, theta, run, stations, lam_y, lam_p, exponent, none, i, i + 1)
        node = kept[i - start]
        copy_into(flat(lam_y), flat(node))
        exponents[i - start] = exponent
        # The opening of the first step is a kick of its own, and has been undone already.
        if run.opening != 0.0 and i > 0:
            number = i * run.kicks_per_step
            fill_input(run.inputs, run.rows, number, x)
            pull(theta, stations[number], x, c, lam_p, node, none)


@kernel(KICK_ADJOINT)
def neural_pull_keeping(theta, slopes, x, c, lam_p, lam_y, kept):
    """`neural_pull`, and c lam_p appended to `kept`, whose last entry counts how much it holds."""
    d, k, m = lam_p.shape
    filled = int(kept[kept.size - 1])
    for i in range(d):
        for r in range(k):
            for q in range(m):
                kept[filled] = c[q] * lam_p[i, r, q]
                filled += 1
    kept[kept.size - 1] = filled
    _neural_pull(theta, slopes, x, c, lam_p, lam_y, kept)


@kernel(types.void(_PULL, _VECTOR, RUN, _COLUMNS, _COLUMNS, _COLUMNS, _COUNTS, _VECTOR, _TABLE, _I, _I))
def retreat_keeping_kicks(pull, theta, run, stations, lam_y, lam_p, exponent, kept, exponents, start, stop):
    """`retreat` with a leaf that appends to `kept`, as `neural_pull_keeping` does: one entry for every kick.

    ``exponents[j]`` are the powers of two that belong to the j-th entry, the last kick being the first.
    """
    size = lam_y.size
    number = 0
    for i in range(stop - 1, start - 1, -1):
        _retreat(pull, theta, run, stations, lam_y, lam_p, exponent, kept, i, i + 1)
        while number * size < int(kept[kept.size - 1]):
            exponents[number] = exponent
            number += 1
        # A leaf that keeps looks to `retreat` like one with a parameter gradient, which must not be rescaled.
        if i % run.check_every == 0:
            rescale(flat(lam_y), flat(lam_p), exponent)


class Kept(NamedTuple):
    """Cotangent columns of consecutive indices of one block of lanes: ``values · 2^exponents``.

    Attributes
    ----------
    lanes : slice
    first : int
        i of the first entry.
    values : ndarray, shape (entries, rows, k, lanes)
    exponents : ndarray of int, shape (entries, lanes)
    """

    lanes: slice
    first: int
    values: Float
    exponents: NDArray[np.int64]


class KeepingSweep:
    """Pull the cotangent columns of y_N back over a run, handing out those of every y_i or x_i on the way.

    Parameters
    ----------
    problem : Problem
    columns : ndarray, shape (d, k)
        Cotangents of y_N.
    consume : callable
        Receives a `Kept` at a time, i descending; called from the worker threads, each with lanes of its own.
    memory_bytes, threads, progress
        As for `checkpointed_pullback`.
    """

    def __init__(
        self,
        problem: Problem,
        columns: Float,
        consume: Callable[[Kept], None],
        *,
        memory_bytes: int = MEMORY_BYTES,
        threads: int | None = None,
        progress: bool | None = None,
    ) -> None:
        self._problem, self._columns, self._consume = problem, columns, consume
        # ∂y_N does without the last half kick.
        self._schedule = Schedule.of(problem.scheme, problem.n_steps, close=False)
        self._memory_bytes, self._threads, self._progress = memory_bytes, threads, progress
        self.lost = np.full(problem.n_lanes, -1, np.int64)

    def states(self) -> None:
        """The cotangents of y_N, …, y_0, each at fixed p_i; d rows."""
        self._run(self._block_states)

    def inputs(self) -> None:
        """The cotangents of the input rows x_N, …, x_1 (first = i − 1); n_inputs rows.

        Raises
        ------
        ValueError
            If the field is not a `NeuralField` with input weights, or the inputs are a function of time.
        """
        field = self._problem.field
        if not isinstance(field, NeuralField) or field.n_inputs == 0:
            raise ValueError("∂y_N/∂x_i needs a NeuralField with input weights V; this field has none.")
        if callable(self._problem.inputs):
            raise ValueError("∂y_N/∂x_i needs inputs of shape (n_steps, n_inputs), not a function of time.")
        self._run(self._block_inputs)

    def _run(self, pull: Callable[[_Block], None]) -> None:
        problem, schedule, k = self._problem, self._schedule, self._columns.shape[1]
        layout = Layout.of(problem, schedule, k, self._threads, self._memory_bytes)

        def work(lanes: slice, ticker: Ticker) -> None:
            run = block_run(problem, lanes, schedule, layout.width)
            lam = self._columns, np.zeros_like(self._columns)
            cotangents, state = Cotangents.start(problem, lam, run.step.size), initial_lanes(problem, run.step.size)
            block = _Block(lanes, cotangents, ticker)
            for block.start, block.stop, block.stations in backwards(problem, run, state, layout.length, ticker):
                block.part = segment(run, block.start, block.stop)
                self._condense(block)
                pull(block)
            self.lost[lanes] = state.lost[: lanes.stop - lanes.start]

        layout.blocks(problem, schedule, k, work, "profile", self._progress)

    def _condense(self, block: _Block) -> None:
        """Turn the stations of a segment into what the field's `pull` reads there."""
        field, run, part = self._problem.field, block.part.run, block.part
        if field.condense is None:
            return
        kicks, opened = run.kicks_per_step, run.opening != 0.0
        # With an opening kick the station of the kick at node `start` is there as well.
        first = part.start * kicks
        stop = min(part.stop * kicks + opened, self._schedule.n_kicks - (block.start - part.start) * kicks)
        block.ticker.in_chunks(
            lambda a, b: field.condense(field.packed, run.inputs, run.rows, block.stations, first + a, first + b),
            stop - first,
            0,
            self._problem.seconds(0) * run.step.size,
        )

    def _chunks(self, block: _Block, rows_per_step: int) -> Iterator[tuple[int, int]]:
        """Local steps [a, b) of a segment, the last first, for which KEPT_BYTES hold what is kept."""
        size = max(1, KEPT_BYTES // (8 * block.cotangents.y.size * max(1, rows_per_step)))
        for b in range(block.part.stop, block.part.start, -size):
            yield max(b - size, block.part.start), b

    def _pull_states(self, block: _Block) -> None:
        field, part, cotangents = self._problem.field, block.part, block.cotangents
        offset = block.start - part.start
        if block.stop == self._problem.n_steps:
            self._hand_out(block, self._problem.n_steps, cotangents.y[None], cotangents.exponent[None])
        for a, b in self._chunks(block, 1):
            kept = np.empty((b - a, *cotangents.y.shape))
            exponents = np.empty((b - a, cotangents.exponent.size), np.int64)
            block.ticker()
            retreat_keeping_nodes(
                field.pull, field.packed, part.run, block.stations, *cotangents, kept, exponents, a, b
            )
            self._hand_out(block, a + offset, kept, exponents)

    def _pull_inputs(self, block: _Block) -> None:
        field, part, cotangents = self._problem.field, block.part, block.cotangents
