"""Pulling cotangents back over a run of any length."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from integrators.engine.blocks import IDLE, Ticker
from integrators.engine.column_scale import ZERO, Scaled, bits_of_shift, members_first, scaled_in_place
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

__all__ = ["MOST_STEPS", "MemberSweep", "Pulled", "SweepRow", "checkpointed_pullback", "scaled_gradient"]

Float = NDArray[np.float64]

# Cotangents are brought near one where they leave 2^±FAR; steps that they go between two looks at that.
FAR, FIRST_STEPS, MOST_STEPS = 300, 16, 64


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
        self._columns = np.empty((m, recurrence.state_size, k))
        self._exponents = np.zeros((m, k), np.int64)
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
            own = slice(members.start + part.start, min(members.start + part.stop, members.stop))
            found = members_first(*cotangent, own.stop - own.start, self._lam.shape[1])
            self._columns[own], self._exponents[own] = found
        self._overflowed[members] = block.overflowed[:real]

    def result(self) -> Pulled:
        columns = scaled_in_place(self._columns, self._exponents)
        return Pulled(columns, self._gradients, self._overflowed)


class SweepRow:
    """The cotangent of one component on its way back, scaled by a power of two.

    Parameters
    ----------
    recurrence : Recurrence
    lam : ndarray, shape (D,)
        The cotangent of s_N.
    """

    def __init__(self, recurrence: Recurrence, lam: Float) -> None:
        self._recurrence = recurrence
        self._cotangents = Cotangents.start(recurrence, lam[:, None], 1)
        self.exponent, self._size = 0, FIRST_STEPS

    def pieces(self, run: Run, segment: Segment, tape: Float, most: int) -> Iterator[tuple[int, Float, int]]:
        """Pull over a segment, the last steps first: where each piece starts, its gradient and exponent.

        A piece has at most `most` steps, and fewer where the cotangent leaves 2^±FAR within it.
        """
        recurrence, stop = self._recurrence, segment.stop
        while stop > segment.start:
            start = max(stop - min(self._size, most), segment.start)
            columns, counts = self._cotangents.columns.copy(), self._cotangents.exponent.copy()
            gradient = np.zeros(recurrence.theta.size)
            recurrence.backward_sweep(run, tape, (columns, counts), gradient, start, stop)
            top = float(np.abs(columns).max())
            calm = 2.0**-FAR < top < 2.0**FAR and bool(np.isfinite(gradient).all())
            calm = calm or not self._cotangents.columns.any()
            if not calm and (self._bring_near_one() or stop - start > 1):
                self._size = max(1, (stop - start) // 2)
                continue
            yield start, gradient, self.exponent
            self._cotangents, stop = Cotangents(columns, counts), start
            self._size = min(2 * self._size, MOST_STEPS)

    def _bring_near_one(self) -> bool:
        """Take a power of two out of the cotangent; False where there is none to take."""
        columns, counts = self._cotangents
        top = float(np.abs(columns).max())
        shift = math.frexp(top)[1] if 0.0 < top < math.inf else 0
        if shift:
            with np.errstate(under="ignore"):
                self._cotangents = Cotangents(np.ldexp(columns, -shift), counts)
            self.exponent += shift
        return shift != 0


def scaled_gradient(recurrence: Recurrence, lam: Float) -> Float:
    """∂⟨λ, s_N⟩/∂θ of one member, also where cotangents leave float64 on their way: (P,).

    An entry is inf where it does not fit itself; it does not matter what became of others.
    """
    program = recurrence.program()
    segmentation = Segmentation.of(recurrence, program, 1, MEMORY_BYTES)
    whole = slice(0, 1)
    run = block_run(recurrence, whole, program, segmentation.width, IDLE)
    block = recurrence.block(block_members(recurrence, whole, segmentation.width))
    row, size = SweepRow(recurrence, lam[:, 0]), recurrence.theta.size
    mantissas, exponents = np.zeros(size), np.full(size, ZERO)
    for segment in backwards(recurrence, run, block, segmentation.length, IDLE):
        tape = np.ascontiguousarray(segment.tape[:, :, whole])
        for _, piece, exponent in row.pieces(member_run(segment.run, 0), segment, tape, MOST_STEPS):
            new, own = np.frexp(piece)
            own = np.where(new != 0.0, own + exponent, ZERO)
            top = np.maximum(exponents, own)
            with np.errstate(under="ignore"):
                total = _moved(mantissas, exponents - top) + _moved(new, own - top)
            mantissas, shift = np.frexp(total)
            exponents = np.where(mantissas != 0.0, top + shift, ZERO)
    with np.errstate(over="ignore", under="ignore"):
        return _moved(mantissas, exponents)


def _moved(values: Float, shift: NDArray[np.int64]) -> Float:
    return np.ldexp(values, bits_of_shift(shift))
