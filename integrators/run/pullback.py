"""Pulling cotangents back over a run of any length."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from integrators.engine.blocks import Ticker
from integrators.engine.drivers import Block, Run

from .checkpoint import MEMORY_BYTES, Cotangents, Layout, Segment, backwards, block_members, block_run
from .problem import Columns, Problem

__all__ = ["MemberSweep", "Pulled", "checkpointed_pullback"]

Float = NDArray[np.float64]


class Pulled(NamedTuple):
    """Cotangents at the start of a run.

    Attributes
    ----------
    columns : Columns
        (members, D, k).
    gradient : ndarray, shape (lanes, P) or (lanes, 0)
    overflowed : ndarray of int, shape (lanes,)
        The check at which a lane's state was no longer finite, else −1.
    """

    columns: Columns
    gradient: Float
    overflowed: NDArray[np.int64]


def pull_segment(
    problem: Problem,
    run: Run,
    segment: Segment,
    tape: NDArray,
    cotangents: Cotangents,
    gradient: NDArray,
    ticker: Ticker,
) -> None:
    """Pull cotangents in place over a segment; add to the parameter gradient, if its size is not 0."""
    first, last = segment.start, segment.stop
    ticker.in_chunks(
        lambda a, b: problem.retreat(run, tape, cotangents, gradient, last - b, last - a),
        last - first,
        run.step.size,
        problem.seconds(cotangents.columns.shape[1]) * max(1, run.body.shape[0]) * run.step.size,
    )


def checkpointed_pullback(
    problem: Problem,
    lam: Float,
    *,
    gradient: bool = False,
    memory_bytes: int = MEMORY_BYTES,
    threads: int | None = None,
    progress: bool | None = None,
) -> Pulled:
    """Jᵀ Λ, J = ∂s_N/∂s_0, and ∂⟨Λ, s_N⟩/∂θ, in bounded memory.

    Parameters
    ----------
    problem : Problem
    lam : ndarray, shape (D, k)
        Cotangent columns of s_N, the same for every member.
    gradient : bool
        Also the parameter gradient; then the columns are not rescaled.
    memory_bytes : int
        For trajectories. Those that fit are kept whole (8 · evaluations · d bytes a member); others are found
        again, a segment at a time, for one more sweep of the state. The columns come on top.
    threads : int, optional
    progress : bool, optional

    Returns
    -------
    Pulled
        The same bits for every `memory_bytes` and `threads`.

    Raises
    ------
    ValueError
        If not even the checkpoints of one member fit.
    """
    program, k = problem.program(), lam.shape[1]
    layout = Layout.of(problem, program, k, threads, memory_bytes)
    sweep = MemberSweep(problem, lam, gradient)

    def work(members: slice, ticker: Ticker) -> None:
        run = block_run(problem, members, program, layout.width, ticker)
        block = problem.block(block_members(problem, members, layout.width))
        sweep.over(members, run, block, backwards(problem, run, block, layout.length, ticker), ticker)

    layout.blocks(problem, program, k, work, "pullback", progress)
    return sweep.result()


class MemberSweep:
    """Cotangents of all members on their way back, and what they leave at the start of the run.

    Parameters
    ----------
    problem, lam, gradient
        As for `checkpointed_pullback`.
    """

    def __init__(self, problem: Problem, lam: Float, gradient: bool) -> None:
        m, k = problem.n_lanes, lam.shape[1]
        self._problem, self._lam, self._wanted = problem, lam, gradient
        self._columns = Columns.empty(m, problem.dim, k)
        self._gradients = np.zeros((m, problem.theta.size if gradient else 0), problem.dtype)
        self._overflowed = np.full(m, -1, np.int64)

    def over(
        self, members: slice, run: Run, block: Block, segments: Iterable[Segment], ticker: Ticker
    ) -> None:
        """Pull the cotangents of a block of members over the segments of their run, the last first."""
        problem, n, real = self._problem, run.step.size, members.stop - members.start
        # A stage sums its gradient over members, and each member has one of its own.
        parts = [slice(q, q + 1) for q in range(real)] if self._wanted else [slice(0, n)]
        cotangents = [Cotangents.start(problem, self._lam, part.stop - part.start) for part in parts]
        none = np.zeros(0, problem.dtype)
        for segment in segments:
            for q, (part, cotangent) in enumerate(zip(parts, cotangents, strict=True)):
                own = problem.one_lane(segment.run, q) if self._wanted else segment.run
                tape = np.ascontiguousarray(segment.tape[:, :, part])
                total = self._gradients[members.start + q] if self._wanted else none
                pull_segment(problem, own, segment, tape, cotangent, total, ticker)
        for part, cotangent in zip(parts, cotangents, strict=True):
            stop = min(members.start + part.stop, members.stop)
            self._columns.put(members.start + part.start, stop, *cotangent)
        self._overflowed[members] = block.overflowed[:real]

    def result(self) -> Pulled:
        self._columns.settle()
        return Pulled(self._columns, self._gradients, self._overflowed)
