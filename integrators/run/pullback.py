"""Pulling cotangents back over a run of any length."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from integrators.engine.blocks import Ticker
from integrators.engine.column_scale import Gathering, Scaled
from integrators.engine.drivers import Block, Run

from .checkpoint import (
    MEMORY_BYTES,
    Cotangents,
    Segment,
    Segmentation,
    backwards,
    block_members,
    block_run,
    member_run,
)

if TYPE_CHECKING:
    from .recurrence import Recurrence

__all__ = ["MemberSweep", "Pulled", "checkpointed_pullback"]

Float = NDArray[np.float64]


class Pulled(NamedTuple):
    """Cotangents at the start of a run.

    Attributes
    ----------
    columns : Scaled
        (members, D, k).
    gradient : ndarray, shape (members, P) or (members, 0)
    overflowed : ndarray of int, shape (members,)
        The check at which a batch member's state was no longer finite, else −1.
    """

    columns: Scaled
    gradient: Float
    overflowed: NDArray[np.int64]


def pull_segment(
    recurrence: Recurrence,
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
        lambda a, b: recurrence.backward_sweep(run, tape, cotangents, gradient, last - b, last - a),
        last - first,
        run.step.size,
        recurrence.system.seconds(cotangents.columns.shape[1]) * max(1, run.body.shape[0]) * run.step.size,
    )


def checkpointed_pullback(
    recurrence: Recurrence,
    lam: Float,
    *,
    gradient: bool = False,
    memory_bytes: int = MEMORY_BYTES,
) -> Pulled:
    """Jᵀ Λ, J = ∂s_N/∂s_0, and ∂⟨Λ, s_N⟩/∂θ, in bounded memory.

    Parameters
    ----------
    recurrence : Recurrence
    lam : ndarray, shape (D, k)
        Cotangent columns of s_N, the same for every member.
    gradient : bool
        Also the parameter gradient; then the columns are not rescaled.
    memory_bytes : int
        For trajectories. Those that fit are kept whole (8 · evaluations · d bytes a member); others are found
        again, a segment at a time, for one more sweep of the state. The columns come on top.

    Returns
    -------
    Pulled
        The same bits for every `memory_bytes`, and for every number of threads of the recurrence.

    Raises
    ------
    ValueError
        If not even the checkpoints of one member fit.
    """
    program, k = recurrence.program(), lam.shape[1]
    segmentation = Segmentation.of(recurrence, program, k, memory_bytes)
    sweep = MemberSweep(recurrence, lam, gradient)

    def work(members: slice, ticker: Ticker) -> None:
        run = block_run(recurrence, members, program, segmentation.width, ticker)
        block = recurrence.block(block_members(recurrence, members, segmentation.width))
        sweep.over(
            members, run, block, backwards(recurrence, run, block, segmentation.length, ticker), ticker
        )

    segmentation.blocks(recurrence, program, k, work, "pullback")
    return sweep.result()


class MemberSweep:
    """Cotangents of all members on their way back, and what they leave at the start of the run.

    Parameters
    ----------
    recurrence, lam, gradient
        As for `checkpointed_pullback`.
    """

    def __init__(self, recurrence: Recurrence, lam: Float, gradient: bool) -> None:
        m, k = recurrence.members, lam.shape[1]
        self._recurrence, self._lam, self._wanted = recurrence, lam, gradient
        self._columns = Gathering(m, recurrence.state_size, k)
        self._gradients = np.zeros((m, recurrence.theta.size if gradient else 0), recurrence.dtype)
        self._overflowed = np.full(m, -1, np.int64)

    def over(
        self, members: slice, run: Run, block: Block, segments: Iterable[Segment], ticker: Ticker
    ) -> None:
        """Pull the cotangents of a block of members over the segments of their run, the last first."""
        recurrence, n, real = self._recurrence, run.step.size, members.stop - members.start
        # A stage sums its gradient over members, and each member has one of its own.
        parts = [slice(q, q + 1) for q in range(real)] if self._wanted else [slice(0, n)]
        cotangents = [Cotangents.start(recurrence, self._lam, part.stop - part.start) for part in parts]
        none = np.zeros(0, recurrence.dtype)
        for segment in segments:
            for q, (part, cotangent) in enumerate(zip(parts, cotangents, strict=True)):
                own = member_run(segment.run, q) if self._wanted else segment.run
                tape = np.ascontiguousarray(segment.tape[:, :, part])
                total = self._gradients[members.start + q] if self._wanted else none
                pull_segment(recurrence, own, segment, tape, cotangent, total, ticker)
        for part, cotangent in zip(parts, cotangents, strict=True):
            stop = min(members.start + part.stop, members.stop)
            self._columns.put(members.start + part.start, stop, *cotangent)
        self._overflowed[members] = block.overflowed[:real]

    def result(self) -> Pulled:
        return Pulled(self._columns.scaled(), self._gradients, self._overflowed)
