"""A stored trajectory with which tangents are pushed and cotangents pulled as often as wanted."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .blocks import Ticker, run_blocks
from .column_scale import column_counts
from .flow import Lanes, Record, Run
from .memory import aligned_array
from .problem import Columns, Problem

__all__ = ["Linearisation"]

Float = NDArray[np.float64]


class _Block(NamedTuple):
    lanes: slice
    run: Run
    stations: Float  # (kicks, d, padded lanes)


class Linearisation:
    """The one-step Jacobians of a run, kept as what each kick needs (8 · kicks · d bytes a lane).

    Parameters
    ----------
    problem : Problem
    close : bool
        See `Schedule`: False leaves out the last half kick, which ∂y_N/∂y_0 does not need.
    threads : int, optional
    progress : bool, optional
    """

    def __init__(
        self, problem: Problem, close: bool, threads: int | None = None, progress: bool | None = None
    ) -> None:
        self.problem = problem
        self._threads = threads
        self._progress = progress
        self._blocks: list[_Block] = []
        *_, self.lost = problem.forward(
            close=close,
            keep=self._keep,
            stations=True,
            condensed=problem.field.condense is not None,
            threads=threads,
            progress=progress,
        )
        self._blocks.sort(key=lambda block: block.lanes.start)

    def _keep(self, lanes: slice, run: Run, record: Record, *_: object) -> None:
        self._blocks.append(_Block(lanes, run, record.stations))

    def push(self, dy: Float, dp: Float) -> Columns:
        """J applied to tangent columns dy, dp of shape (lanes, d, k)."""
        return self._sweep(dy, dp, self._push_block)

    def pull(self, lam_y: Float, lam_p: Float) -> Columns:
        """Jᵀ applied to cotangent columns of shape (lanes, d, k)."""
        return self._sweep(lam_y, lam_p, self._pull_block)

    def _sweep(self, first: Float, second: Float, sweep_block) -> Columns:
        m, _, k = first.shape
        n_steps = self.problem.n_steps
        result = Columns.empty(m, first.shape[1], k)
        seconds = self.problem.seconds(k)

        def work(index: slice, ticker: Ticker) -> None:
            for block in self._blocks[index]:
                n = block.run.step.size
                rows = np.minimum(np.arange(block.lanes.start, block.lanes.start + n), m - 1)
                padded = k + -k % self.problem.column_padding(k, n)
                columns = [
                    aligned_array((part.shape[1], padded, n), self.problem.dtype) for part in (first, second)
                ]
                for target, part in zip(columns, (first, second), strict=True):
                    target[:, :k] = part[rows].transpose(1, 2, 0)
                    target[:, k:] = 0.0
                exponent = column_counts(padded, n)
                call = sweep_block(block, *columns, exponent)
                ticker.in_chunks(call, n_steps, n, seconds * n)
                result.put(block.lanes.start, block.lanes.stop, (*columns, exponent))

        run_blocks(
            len(self._blocks),
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

    def _push_block(self, block: _Block, dy: Float, dp: Float, exponent: NDArray[np.int64]):
        problem = self.problem
        d, _, n = dy.shape
        run = block.run._replace(replay=True, condensed=False)
        state = [np.zeros((d, n), problem.dtype) for _ in range(2)]
        scratch = Lanes(state[0], state[1], dy, dp, exponent, np.zeros(n, np.int64))
        record = Record(block.stations, block.stations[:0], block.stations[:0])
        return lambda start, stop: problem.advance(run, scratch, record, start, stop, "push")

    def _pull_block(self, block: _Block, lam_y: Float, lam_p: Float, exponent: NDArray[np.int64]):
        problem, run = self.problem, block.run
        none = np.zeros(0, problem.dtype)
        return lambda start, stop: problem.retreat(
            run, block.stations, (lam_y, lam_p, exponent), none,
            problem.n_steps - stop, problem.n_steps - start, "pull",
        )  # fmt: skip
