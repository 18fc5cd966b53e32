"""Pulling cotangents back without a stored trajectory: a reversible scheme is run backwards from s_N.

A drift y += a ε p and a kick p += b ε F(y, x) are undone by the same one with −ε, so the whole run is undone
by its stages in reversed order. Only round-off separates the reconstructed states from the true ones; it
grows like the perturbations of the reversed trajectory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from integrators.engine.blocks import Ticker
from integrators.engine.column_scale import Scaled
from integrators.engine.drivers import KEEP, Block, Run
from integrators.singular_values import frobenius_norm

from .checkpoint import MEMORY_BYTES, Segment, Segmentation, block_members, block_run, replay
from .pullback import MemberSweep, checkpointed_pullback
from .rewind import check_reversible, reconstructed_cell

if TYPE_CHECKING:
    from .recurrence import Recurrence

__all__ = ["ReversedSweep", "reversed_pullback"]

Float = NDArray[np.float64]

# Steps that are reconstructed at a time: long enough to make calls cheap, short enough to be O(d).
SEGMENT = 256


@dataclass(frozen=True, repr=False)
class ReversedSweep:
    """Cotangents at the start of a run whose trajectory was reconstructed, and what that cost in accuracy.

    Attributes
    ----------
    columns : Scaled
        As from `checkpointed_pullback`.
    gradient : ndarray, shape (members, P) or (members, 0)
    overflowed : ndarray of int, shape (members,)
        The check at which a batch member's state was no longer finite, else −1.
    start_error : ndarray, shape (members,)
        ‖(ŷ_0, p̂_0) − (y_0, p_0)‖₂ of the reconstructed initial value (ŷ_0, p̂_0).
    deviation : ndarray, shape (members,), or None
        ‖Λ̂ − Λ‖_F / ‖Λ‖_F against the checkpointed sweep; None if that was not asked for.
    """

    columns: Scaled
    gradient: Float
    overflowed: NDArray[np.int64]
    start_error: Float
    deviation: Float | None

    def __repr__(self) -> str:
        shown = f"start off by {_largest(self.start_error)}"
        if self.deviation is not None:
            shown += f", cotangent by {_largest(self.deviation)} of its size"
        members = self.overflowed.size
        return f"<ReversedSweep of {members} batch member{'s' if members != 1 else ''}: {shown}>"


def _largest(errors: Float) -> str:
    return f"{errors.max(initial=0.0):.2g}"


def reversed_pullback(
    recurrence: Recurrence,
    lam: Float,
    *,
    gradient: bool = False,
    compare: bool = True,
) -> ReversedSweep:
    """Jᵀ Λ, J = ∂(y_N, p_N)/∂(y_0, p_0), and ∂⟨Λ, s_N⟩/∂θ, in O(d) memory for any N.

    Parameters
    ----------
    recurrence : Recurrence
        With a symmetric scheme; or of a cell with an inverse, which may also be exact (see `cell_reversed`).
    lam : ndarray, shape (D, k)
        Cotangent columns of s_N, the same for every member.
    gradient : bool
        Also the parameter gradient; then the columns are not rescaled.
    compare : bool
        Also run `checkpointed_pullback` and report how far the cotangents differ.

    Returns
    -------
    ReversedSweep

    Raises
    ------
    ValueError
        For a scheme that is not symmetric, or a cell without an inverse.

    Notes
    -----
    The kicks that are undone have the same weights and inputs as those that were done, merged ones included,
    and fused multiply-adds round p + c F and its undoing alike to within one unit each.
    """
    way_back: Any = _reconstructed
    if recurrence.scheme is None:
        check_reversible(recurrence)
        way_back = reconstructed_cell
    elif not recurrence.scheme.is_symmetric:
        raise ValueError(
            "the reversed sweep needs a symmetric scheme, whose step with −ε undoes the step with ε; "
            f"{recurrence.scheme.name!r} is not symmetric: take checkpointed_pullback or 'leapfrog'."
        )
    program, k = recurrence.program(), lam.shape[1]
    segmentation = Segmentation.of(recurrence, program, k, MEMORY_BYTES)
    sweep, start_error = MemberSweep(recurrence, lam, gradient), np.zeros(recurrence.members)

    def work(members: slice, ticker: Ticker) -> None:
        run = block_run(recurrence, members, program, segmentation.width, ticker)
        block = recurrence.block(block_members(recurrence, members, segmentation.width))
        beginning = block.state.copy()
        replay(recurrence, run, block, None, 0, run.n_steps, ticker)
        sweep.over(members, run, block, way_back(recurrence, run, block, ticker), ticker)
        error = np.linalg.norm(block.state - beginning, axis=0)
        start_error[members] = error[: members.stop - members.start]

    segmentation.blocks(recurrence, program, k, work, "reversed sweep")
    found, deviation = sweep.result(), None
    if compare:
        true = checkpointed_pullback(recurrence, lam, gradient=gradient)
        deviation = _deviation(found.columns, true.columns)
    return ReversedSweep(found.columns, found.gradient, found.overflowed, start_error, deviation)


def undone(run: Run) -> Run:
    """The run that undoes `run`: its operations in reversed order, with −ε."""
    body, operations = run.body, run.body.shape[0]
    back = np.arange(-operations, 0)[::-1]  # −1, −2, …
    # Evaluation j of a step, undone, comes after the drift before it.
    weights, drifts = np.roll(body[::-1, 0], 1), body[back, 1]
    rows = run.rows[::-1]
    if run.closing == 0.0 and run.rows.size:
        # An entry that is not used stands for the missing closing operation; the first one closes.
        rows = np.concatenate([rows[:1], rows])
    return run._replace(
        body=np.ascontiguousarray(np.stack([weights, drifts], axis=1)),
        first=run.closing,
        closing=run.first,
        step=-run.step,
        rows=np.ascontiguousarray(rows),
    )


def _reconstructed(recurrence: Recurrence, run: Run, block: Block, ticker: Ticker) -> Iterator[Segment]:
    """Segments of a run with their tapes, the last first, while `block` goes back from end to start."""
    back, operations, n_steps = undone(run), run.body.shape[0], run.n_steps
    shape = (recurrence.system.dim, run.step.size)
    tape = np.empty((SEGMENT * operations + 1, *shape), recurrence.dtype)
    found = np.empty_like(tape)
    for start in reversed(range(0, n_steps, SEGMENT)):
        stop = min(start + SEGMENT, n_steps)
        length = stop - start
        here = back._replace(base=n_steps - stop, tape=KEEP)
        replay(recurrence, here, block, found, n_steps - stop, n_steps - start, ticker)
        # Step i was undone as number n_steps − 1 − i. Its later evaluations come first there, but for that at
        # node i, which belongs to the step undone after it and sees the y that the way back has reached.
        seen = found[: length * operations].reshape(length, operations, *shape)[::-1]
        own = tape[: length * operations].reshape(length, operations, *shape)
        own[:, 1:] = seen[:, :0:-1]
        own[1:, 0] = seen[:-1, 0]
        own[0, 0] = block.state[: shape[0]]
        tape[length * operations] = seen[-1, 0]
        yield Segment(run._replace(base=start, tape=KEEP), start, stop, tape)


def _deviation(found: Scaled, true: Scaled) -> Float:
    """Relative distance of cotangents, batch member by batch member, in the Frobenius norm."""
    found, true = found.aligned(), true.aligned()
    shift = (found.exponent - true.exponent)[:, None, None]
    with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
        off = np.ldexp(found.values, shift) - true.values
        error, size = (frobenius_norm(part) for part in (off, true.values))
        return np.where(error == 0.0, 0.0, error / size)
