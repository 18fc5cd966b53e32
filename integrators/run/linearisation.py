"""A stored trajectory with which tangents are pushed and cotangents pulled as often as wanted."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from integrators.codegen.memory import aligned_array
from integrators.engine.blocks import Ticker, run_blocks
from integrators.engine.column_scale import column_counts
from integrators.engine.drivers import CONDENSE, KEEP, REPLAY, Block, Run

from .problem import Columns, Problem

__all__ = ["Linearisation"]

Float = NDArray[np.float64]


class _Part(NamedTuple):
    members: slice
    run: Run
    tape: NDArray  # (entries, rows, padded members)


class Linearisation:
    """The one-step Jacobians of a run, kept as what each operation needs (8 · kicks · d bytes a member).

    Parameters
    ----------
    problem : Problem
    close : bool
        See `Program`: False leaves out the last half kick, which ∂y_N/∂y_0 does not need.
    threads : int, optional
    progress : bool, optional
    """

    def __init__(
        self, problem: Problem, close: bool, threads: int | None = None, progress: bool | None = None
    ) -> None:
        self.problem = problem
        self._threads = threads
        self._progress = progress
        self._parts: list[_Part] = []
        *_, self.overflowed = problem.forward(
            close=close,
            keep=self._keep,
            tape=CONDENSE if problem.field.condenses else KEEP,
            threads=threads,
            progress=progress,
        )
        self._parts.sort(key=lambda part: part.members.start)

    def _keep(self, members: slice, run: Run, tape: NDArray, *_: object) -> None:
        self._parts.append(_Part(members, run, tape))

    def push(self, columns: Float) -> Columns:
        """J applied to tangent columns of shape (members, D, k)."""
        return self._sweep(columns, self._push_part)

    def pull(self, columns: Float) -> Columns:
        """Jᵀ applied to cotangent columns of shape (members, D, k)."""
        return self._sweep(columns, self._pull_part)

    def _sweep(self, given: Float, sweep_part: Callable[..., Callable[[int, int], None]]) -> Columns:
        m, D, k = given.shape
        n_steps = self.problem.n_steps
        result = Columns.empty(m, D, k)
        seconds = self.problem.seconds(k)

        def work(index: slice, ticker: Ticker) -> None:
            for part in self._parts[index]:
                n = part.run.step.size
                which = np.minimum(np.arange(part.members.start, part.members.start + n), m - 1)
                padded = k + -k % self.problem.column_padding(k, n)
                columns = aligned_array((D, padded, n), self.problem.dtype)
                columns[:, :k] = given[which].transpose(1, 2, 0)
                columns[:, k:] = 0.0
                exponent = column_counts(padded, n)
                ticker.in_chunks(sweep_part(part, columns, exponent), n_steps, n, seconds * n)
                result.put(part.members.start, part.members.stop, columns, exponent)

        run_blocks(
            len(self._parts),
            1,
            work,
            total=m * n_steps,
            seconds=seconds * m * n_steps,
            label="sweep",
            threads=self._threads,
            progress=self._progress,
        )
        result.settle()
        return result

    def _push_part(
        self, part: _Part, columns: NDArray, exponent: NDArray[np.int64]
    ) -> Callable[[int, int], None]:
        problem, (D, _, n) = self.problem, columns.shape
        run = part.run._replace(tape=REPLAY)
        block = Block(np.zeros((D, n), problem.dtype), columns, exponent, np.zeros(n, np.int64))
        none = part.tape[:0]
        return lambda start, stop: problem.advance(run, block, part.tape, none, start, stop)

    def _pull_part(
        self, part: _Part, columns: NDArray, exponent: NDArray[np.int64]
    ) -> Callable[[int, int], None]:
        problem, n_steps = self.problem, self.problem.n_steps
        none = np.zeros(0, problem.dtype)
        return lambda start, stop: problem.retreat(
            part.run, part.tape, (columns, exponent), none, n_steps - stop, n_steps - start
        )
