"""Pulling cotangents back over a run of any length."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .blocks import Ticker
from .checkpoint import (
    MEMORY_BYTES,
    Cotangents,
    Layout,
    Stretch,
    backwards,
    block_members,
    block_run,
    initial_lanes,
    stretch,
)
from .problem import Columns, Problem
from .schedule import Schedule

__all__ = ["Pulled", "checkpointed_pullback", "pull_stretch"]

Float = NDArray[np.float64]


class Pulled(NamedTuple):
    """Cotangents at the start of a run.

    Attributes
    ----------
    columns : Columns
        (lanes, d, k) each, as from `Problem.backward`.
    gradient : ndarray, shape (lanes, P) or (lanes, 0)
    lost : ndarray of int, shape (lanes,)
        The check at which a lane's state was no longer finite, else −1.
    """

    columns: Columns
    gradient: Float
    lost: NDArray[np.int64]


def pull_stretch(
    problem: Problem, part: Stretch, stations: Float, cotangents: Cotangents, gradient: Float, ticker: Ticker
) -> None:
    """Pull cotangents in place over a stretch; add to the parameter gradient, if its size is not 0."""
    kicks = max(1, part.run.kicks_per_step)
    ticker.in_chunks(
        lambda a, b: problem.retreat(part.run, stations, cotangents, gradient, part.stop - b, part.stop - a),
        part.stop - part.start,
        part.run.step.size,
        problem.seconds(cotangents.y.shape[1]) * kicks * part.run.step.size,
    )


def checkpointed_pullback(
    problem: Problem,
    lam: tuple[Float, Float],
    *,
    gradient: bool = False,
    memory_bytes: int = MEMORY_BYTES,
    threads: int | None = None,
    progress: bool | None = None,
) -> Pulled:
    """Jᵀ Λ, J = ∂(y_N, p_N)/∂(y_0, p_0), and ∂⟨Λ, s_N⟩/∂θ, in bounded memory.

    Parameters
    ----------
    problem : Problem
    lam : pair of arrays, shape (d, k)
        Cotangent columns of y_N and p_N, the same for every lane.
    gradient : bool
        Also the parameter gradient; then the columns are not rescaled.
    memory_bytes : int
        For trajectories. Those that fit are kept whole (8 · kicks · d bytes a lane); others are found
        again, a stretch at a time, for one more sweep of the state. The columns come on top.
    threads : int, optional
    progress : bool, optional

    Returns
    -------
    Pulled
        The same bits for every `memory_bytes` and `threads`.

    Raises
    ------
    ValueError
        If not even the checkpoints of one lane fit.
    """
    m, (d, k) = problem.n_lanes, lam[0].shape
    schedule = Schedule.of(problem.scheme, problem.n_steps)
    layout = Layout.of(problem, schedule, k, threads, memory_bytes)
    columns = Columns.empty(m, d, k)
    gradients = np.zeros((m, problem.theta.size if gradient else 0), problem.dtype)
    lost, none = np.full(m, -1, np.int64), np.zeros(0, problem.dtype)

    def work(block: slice, ticker: Ticker) -> None:
        run = block_run(problem, block, schedule, layout.width, ticker)
        n, members = run.step.size, block.stop - block.start
        # A leaf sums its gradient over lanes, and each lane has one of its own.
        parts = [slice(q, q + 1) for q in range(members)] if gradient else [slice(0, n)]
        runs = [problem.one_lane(run, q) for q in range(members)] if gradient else [run]
        cotangents = [Cotangents.start(problem, lam, own.step.size) for own in runs]
        lanes = initial_lanes(problem, block_members(problem, block, layout.width))
        for start, stop, stations in backwards(problem, run, lanes, layout.length, ticker):
            for q, (part, own, cotangent) in enumerate(zip(parts, runs, cotangents, strict=True)):
                kept = np.ascontiguousarray(stations[:, :, part])
                total = gradients[block.start + q] if gradient else none
                pull_stretch(problem, stretch(own, start, stop), kept, cotangent, total, ticker)
        for part, cotangent in zip(parts, cotangents, strict=True):
            stop = min(block.start + part.stop, block.stop)
            columns.put(block.start + part.start, stop, cotangent)
        lost[block] = lanes.lost[:members]

    layout.blocks(problem, schedule, k, work, "pullback", progress)
    columns.settle()
    return Pulled(columns, gradients, lost)
