"""Pulling cotangents back without a stored trajectory: a reversible scheme finds its own way back.

A drift y += a ε p and a kick p += b ε F(y, x) are undone by the same one with −ε, so the whole run is undone
by its stages in reversed order. Only round-off separates the reconstructed states from the true ones; it
grows like the perturbations of the reversed trajectory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .blocks import Ticker
from .cell_problem import CellProblem
from .cell_reversed import check_reversible, reconstructed_cell
from .checkpoint import (
    MEMORY_BYTES,
    Cotangents,
    Layout,
    block_members,
    block_run,
    initial_lanes,
    play,
    stretch,
)
from .column_scale import aligned
from .flow import Lanes, Run
from .problem import Columns, Problem
from .pullback import checkpointed_pullback, pull_stretch
from .schedule import Schedule

__all__ = ["ReversedSweep", "reversed_pullback"]

Float = NDArray[np.float64]

# Steps that are reconstructed at a time: long enough to make calls cheap, short enough to be O(d).
STRETCH = 256


@dataclass(frozen=True, repr=False)
class ReversedSweep:
    """Cotangents at the start of a run whose trajectory was reconstructed, and what that cost in accuracy.

    Attributes
    ----------
    columns : Columns
        As from `checkpointed_pullback`.
    gradient : ndarray, shape (lanes, P) or (lanes, 0)
    lost : ndarray of int, shape (lanes,)
        The check at which a lane's state was no longer finite, else −1.
    start_error : ndarray, shape (lanes,)
        ‖(ŷ_0, p̂_0) − (y_0, p_0)‖₂ of the reconstructed initial value (ŷ_0, p̂_0).
    deviation : ndarray, shape (lanes,), or None
        ‖Λ̂ − Λ‖_F / ‖Λ‖_F against the checkpointed sweep; None if that was not asked for.
    """

    columns: Columns
    gradient: Float
    lost: NDArray[np.int64]
    start_error: Float
    deviation: Float | None

    def __repr__(self) -> str:
        shown = f"start off by {_largest(self.start_error)}"
        if self.deviation is not None:
            shown += f", cotangent by {_largest(self.deviation)} of its size"
        return f"<ReversedSweep of {self.lost.size} lane{'s' if self.lost.size != 1 else ''}: {shown}>"


def _largest(errors: Float) -> str:
    return f"{errors.max(initial=0.0):.2g}"


def reversed_pullback(
    problem: Problem,
    lam: tuple[Float, Float],
    *,
    gradient: bool = False,
    compare: bool = True,
    threads: int | None = None,
    progress: bool | None = None,
) -> ReversedSweep:
    """Jᵀ Λ, J = ∂(y_N, p_N)/∂(y_0, p_0), and ∂⟨Λ, s_N⟩/∂θ, in O(d) memory whatever N is.

    Parameters
    ----------
    problem : Problem
        With a symmetric scheme; or of a cell with an inverse, which may also be exact (see `cell_reversed`).
    lam : pair of arrays, shape (d, k)
        Cotangent columns of y_N and p_N, the same for every lane.
    gradient : bool
        Also the parameter gradient; then the columns are not rescaled.
    compare : bool
        Also run `checkpointed_pullback` and report how far the cotangents differ.
    threads : int, optional
    progress : bool, optional

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
    if isinstance(problem, CellProblem):
        check_reversible(problem)
        way_back = reconstructed_cell
    elif not problem.scheme.is_symmetric:
        raise ValueError(
            "the reversed sweep needs a symmetric scheme, whose step with −ε undoes the step with ε; "
            f"{problem.scheme.name!r} is not symmetric: take checkpointed_pullback or 'leapfrog'."
        )
    m, (d, k) = problem.n_lanes, lam[0].shape
    schedule = Schedule.of(problem.scheme, problem.n_steps)
    layout = Layout.of(problem, schedule, k, threads, MEMORY_BYTES)
    columns = Columns.empty(m, d, k)
    gradients = np.zeros((m, problem.theta.size if gradient else 0), problem.dtype)
    lost, start_error = np.full(m, -1, np.int64), np.zeros(m)

    def work(block: slice, ticker: Ticker) -> None:
        run = block_run(problem, block, schedule, layout.width, ticker)
        n, members = run.step.size, block.stop - block.start
        state = initial_lanes(problem, block_members(problem, block, layout.width))
        beginning = state.y.copy(), state.p.copy()
        play(problem, run, state, None, 0, run.n_steps, ticker)
        lost[block] = state.lost[:members]
        # A leaf sums its gradient over lanes, and each lane has one of its own.
        parts = [slice(q, q + 1) for q in range(members)] if gradient else [slice(0, n)]
        runs = [problem.one_lane(run, q) for q in range(members)] if gradient else [run]
        cotangents = [Cotangents.start(problem, lam, own.step.size) for own in runs]
        none = np.zeros(0, problem.dtype)
        for start, stop, stations in way_back(problem, run, schedule.n_kicks, state, ticker):
            for q, (part, own, cotangent) in enumerate(zip(parts, runs, cotangents, strict=True)):
                kept = np.ascontiguousarray(stations[:, :, part])
                total = gradients[block.start + q] if gradient else none
                pull_stretch(problem, stretch(own, start, stop), kept, cotangent, total, ticker)
        for part, cotangent in zip(parts, cotangents, strict=True):
            columns.put(block.start + part.start, min(block.start + part.stop, block.stop), cotangent)
        error = np.concatenate([state.y - beginning[0], state.p - beginning[1]])
        start_error[block] = np.linalg.norm(error, axis=0)[:members]

    layout.blocks(problem, schedule, k, work, "reversed sweep", progress)
    columns.settle()
    deviation = None
    if compare:
        true = checkpointed_pullback(problem, lam, gradient=gradient, threads=threads, progress=progress)
        deviation = _deviation(columns, true.columns)
    return ReversedSweep(columns, gradients, lost, start_error, deviation)


def undone(run: Run) -> Run:
    """The run that undoes `run`: its stages in reversed order, with −ε."""
    dtype = run.kick.dtype
    return run._replace(
        drift=run.drift[::-1].copy(),
        kick=np.append(run.kick[:-1][::-1], run.opening).astype(dtype, copy=False),
        opening=float(run.kick[-1]),
        step=-run.step,
        rows=run.rows[::-1].copy(),
    )


def _reconstructed(
    problem: Problem, run: Run, n_kicks: int, state: Lanes, ticker: Ticker
) -> Iterator[tuple[int, int, Float]]:
    """Stretches of a run with their stations, the last first, while `state` goes back from end to start."""
    back, kicks = undone(run), run.kicks_per_step
    length = -(-STRETCH // run.check_every) * run.check_every
    shape = (problem.field.dim, run.step.size)
    found = np.empty(((length + run.check_every) * kicks + 1, *shape), problem.dtype)
    stations = np.empty_like(found)
    for start in reversed(range(0, run.n_steps, length)):
        stop = min(start + length, run.n_steps)
        # No columns go along on the way back, so that it may be cut anywhere.
        there, here = stretch(run, start, stop), stretch(back, run.n_steps - stop, run.n_steps - start)
        if back.opening != 0.0 and here.start > 0:
            # The kick at node `stop` is the last one that was undone before.
            found[here.start * kicks] = state.y
        play(problem, here.run, state, found, here.start, here.stop, ticker)
        # Kick number f of the run is number n_kicks − 1 − f of the run that undoes it.
        first = there.start * kicks + (run.opening != 0.0 and start > 0)
        offset = start - there.start + (run.n_steps - stop) - here.start
        beyond = n_kicks - (start - there.start) * kicks
        last = min(there.stop * kicks + (run.opening != 0.0), beyond)
        top = n_kicks - 1 - offset * kicks - first
        stations[first:last] = found[top - (last - first) + 1 : top + 1][::-1]
        yield start, stop, stations


def _deviation(found: Columns, true: Columns) -> Float:
    """Relative distance of cotangents, lane by lane, in the Frobenius norm."""
    (found_parts, found_exponent), (true_parts, true_exponent) = (
        aligned((c.y, c.p), c.exponent, c.apart) for c in (found, true)
    )
    shift = (found_exponent - true_exponent)[:, None, None]
    with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
        pairs = [(np.ldexp(f, shift) - t, t) for f, t in zip(found_parts, true_parts, strict=True)]
        error, size = (np.sqrt(sum(np.sum(np.square(p[i]), axis=(1, 2)) for p in pairs)) for i in (0, 1))
        return np.where(error == 0.0, 0.0, error / size)
