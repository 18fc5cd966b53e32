"""The tangent product of a run as Q R_n … R_1, with as many steps to a factor as round-off allows.

Pushed columns turn towards the direction of fastest growth, and what tells them apart drowns in round-off.
How soon is not known beforehand. So a run is taken panel by panel, and each panel in 1, 2, 4, … segments of
one length. A segment that lost too much is taken back and its panel is cut finer, for that batch member
alone; after a panel that lost little the next one is cut half as fine. Every member decides by its own
columns, so that results do not depend on which others share its block.

A single step cannot be cut. Where it loses too much, its Jacobian itself is looked at: the round-off of its
entries says what noise a pushed column holds, and a factor that is no larger than its noise counts as zero.
Its column *depends* on the ones before it, and is left out from there on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from integrators.codegen.orthogonalise import BARRED, DEPENDENT, FRESH, orthogonalise
from integrators.codegen.threads import interruptible
from integrators.engine.blocks import one_blas_thread
from integrators.run.recurrence import Recurrence
from integrators.run.walk import BlockWalk

__all__ = ["DEPENDENT", "Factors", "factor_product", "panel_length"]

Float = NDArray[np.float64]
Counts = NDArray[np.int64]
Frames = Callable[[NDArray[np.intp], int, Float], None]

# Steps of a panel: a factorisation costs no more than a few steps then, and what turns round within a panel
# has had no time to fall below round-off and come back.
PANEL, LONGEST_PANEL = 16, 64
# Noise of every pushed column, in units of the last place of the largest, and the bits of a diagonal factor
# that may be lost to it in one segment; where only half of them are, the next panel is cut half as fine.
NOISE, BITS_LOST = 4.0, 20
# float32 has fewer to lose.
BITS_LOST_32 = 9
# Noise in the entries of a single pushed column, in units of the last place of |J| |q|.
NOISE_OF_A_STEP = 8.0
# A factor that noise may change by this fraction is no number.
UNRESOLVED = 0.25
# Dependent columns of one step that are looked for one after the other.
ONE_BY_ONE = 32
# Operations of one factorisation that Ctrl-C need not cut short.
INTERRUPTED_FROM = 5e7


class Factors(Protocol):
    """What receives the factors: tried first, and kept or forgotten with their panel."""

    def begin(self, members: NDArray[np.intp]) -> None:
        """The panel starts, or starts anew, for some members."""
        ...

    def take(self, members: NDArray[np.intp], factors: Float, powers: Counts, error: Float) -> None:
        """Factors R · diag(2^powers) of members, (n, k, k) and (n, k); relative errors of R_ii, (n, k)."""
        ...

    def keep(self, members: NDArray[np.intp], stop: int, state: Counts) -> None:
        """What was taken since `begin` counts; the panel ended at `stop`, its columns in `state`, (n, k)."""
        ...


def panel_length(k: int, qr_every: int | None, most: int = LONGEST_PANEL) -> int:
    """Steps between two factorisations, at most; by default no more than `most`."""
    if qr_every is None:
        return min(most, LONGEST_PANEL if k == 1 else PANEL)  # a single column has nothing to lose
    return min(qr_every, LONGEST_PANEL)


def factor_product(
    recurrence: Recurrence,
    columns: Float,
    panels: Iterable[int],
    factors: Factors,
    *,
    rows: str | None = None,
    revive_at: int = 0,
    frames: Frames | None = None,
) -> Float:
    """Factor the tangent product; returns Q, (members, D, k), NaN in members whose trajectory overflowed.

    Parameters
    ----------
    columns : ndarray, shape (D, k)
        Orthonormal initial columns.
    panels : iterable of int
        Last step of every panel, see `panel_length`; walked once for every block.
    factors : Factors
        Called from several threads, for different members.
    rows : str, optional
        See `Recurrence.pushforward`.
    revive_at : int
        The end of a panel after which columns that were left out take part again, in directions of their own.
    frames : callable, optional
        ``frames(members, stop, Q)`` receives the orthonormal columns, (n, D, k), at the end of every panel.
    """
    if recurrence.dtype != np.float64:
        raise ValueError(
            "growth exponents and singular values of long products are computed in float64, and the run "
            f"has dtype = {recurrence.dtype}; leave out dtype."
        )
    last = np.zeros((int(np.prod(recurrence.shape)), *columns.shape))

    intervals = recurrence.qr_interval

    def follow(block: BlockWalk) -> None:
        walk = _Walk(block, columns, factors, intervals[block.members], frames)
        start = 0
        for stop in panels:
            walk.panel(start, stop)
            if stop == revive_at:
                walk.revive()
            start = stop
        last[block.members] = walk.frame

    with one_blas_thread():
        lost = recurrence.walk(columns, follow, rows=rows)
    last[lost] = np.nan
    return last


class _Walk:
    """One block of members on its way."""

    def __init__(
        self, block: BlockWalk, columns: Float, factors: Factors, safe: Counts, frames: Frames | None
    ) -> None:
        self.block, self.factors, self.frames = block, factors, frames
        n, k = block.count, columns.shape[1]
        self.frame = np.broadcast_to(columns, (n, *columns.shape)).copy()
        self.state = np.zeros((n, k), np.int64)
        self.first = block.members.start
        self.safe = safe
        self.levels = np.full(n, -1)
        double = block.eps < 1e-10
        self.noise = NOISE * block.eps
        self.limit = self.noise * 2.0 ** (BITS_LOST if double else BITS_LOST_32)
        self.calm = self.noise * 2.0 ** ((BITS_LOST if double else BITS_LOST_32) / 2)

    def panel(self, start: int, stop: int) -> None:
        """Steps from `start` to `stop`, for every member as fine as it needs."""
        length = stop - start
        if start == 0:  # fine enough whatever comes
            self.levels[:] = [_halvings(length / min(safe, length)) for safe in self.safe.tolist()]
        levels = np.minimum(self.levels, _halvings(length))
        mark, frame, state = self.block.mark(), self.frame, self.state
        self.frame, self.state = frame.copy(), state.copy()
        pending = np.ones(self.block.count, bool)
        while True:
            level = int(levels[pending].min())
            chosen = np.flatnonzero(pending & (levels == level))
            done, ends, states, worst = self._cut(start, stop, level, frame, state.copy(), chosen)
            self.factors.keep(self.first + done, stop, states[done])
            self.frame[done], self.state[done] = ends[done], states[done]
            if self.frames is not None:
                self.frames(self.first + done, stop, ends[done])
            self.levels[done] = np.where(worst[done] <= self.calm, max(level - 1, 0), level)
            levels[chosen] += 1
            pending[done] = False
            if not pending.any():
                return
            self.block.back_to(mark)

    def _cut(
        self, start: int, stop: int, level: int, frame: Float, state: Counts, chosen: NDArray[np.intp]
    ) -> tuple[NDArray[np.intp], Float, Counts, Float]:
        """A panel in 2^level segments: the members that got through, frames, states and worst errors."""
        worst = np.zeros(self.block.count)
        self.factors.begin(self.first + chosen)
        self.block.replace(frame)
        length, pieces = stop - start, 1 << level
        cuts = sorted({start + (length * i) // pieces for i in range(pieces + 1)})
        for a, b in pairwise(cuts):
            one = b - a == 1
            mark = self.block.mark() if one else None
            self.block.go(a, b)
            columns, powers = self.block.columns()
            given = [part.copy() for part in (columns, powers, state)] if one else []
            factors, error, largest = self._factor(columns, powers, state)
            bad = chosen[largest[chosen] > self.limit]
            if bad.size and one:
                entries = self._entries(frame, mark, a)
                found = self._resolved([part[bad] for part in given], [part[bad] for part in entries])
                columns[bad], powers[bad], state[bad], factors[bad], error[bad] = found
            elif bad.size:
                chosen = np.setdiff1d(chosen, bad, assume_unique=True)
                if not chosen.size:
                    break
            np.maximum(worst, largest, out=worst)
            whole = chosen.size == len(worst)
            part = (factors, powers, error) if whole else (factors[chosen], powers[chosen], error[chosen])
            self.factors.take(self.first + chosen, *part)
            frame = columns
            self.block.replace(frame)
        return chosen, frame, state, worst

    def _factor(self, columns: Float, powers: Counts, state: Counts) -> tuple[Float, Float, Float]:
        """`orthogonalise` in place: factors, their relative errors, and the largest of these."""
        n, size, k = columns.shape
        factors, error, worst = np.empty((n, k, k)), np.empty((n, k)), np.empty(n)
        arguments = columns, powers, state, self.noise, factors, error, worst
        if 4.0 * n * size * k * k > INTERRUPTED_FROM:
            interruptible(lambda: orthogonalise(*arguments))
        else:
            orthogonalise(*arguments)
        return factors, error, worst

    def _entries(self, frame: Float, mark: Float | None, start: int) -> tuple[Float, Counts]:
        """|J| |Q| of one step, as values · 2^powers with one power for each member."""
        assert mark is not None  # it is, where a panel is one step long
        values, powers = self.block.jacobian(mark, start)
        top = powers.max(axis=1)
        with np.errstate(under="ignore"):
            whole = np.ldexp(np.abs(values), (powers - top[:, None])[:, None, :])
            return whole @ np.abs(frame), top

    def _resolved(
        self, given: Sequence[NDArray], entries: Sequence[NDArray]
    ) -> tuple[Float, Counts, Counts, Float, Float]:
        """Factor the columns of one step without those that are noise.

        Returns columns, powers, state, factors and their relative errors.
        """
        barred = np.zeros(given[2].shape, bool)
        unit = NOISE_OF_A_STEP * self.block.eps
        while True:
            columns, powers, state = (part.copy() for part in given)
            # How large each row is beside the columns' own size: Householder's own error.
            _, own = np.frexp(np.abs(columns).max(axis=1))
            rows = np.ldexp(np.abs(columns), -own[:, None, :]).max(axis=2)
            state[barred] = BARRED
            factors, *_ = self._factor(columns, powers, state)
            shift = np.clip(entries[1][:, None] - powers, -2100, 2100)
            with np.errstate(over="ignore", under="ignore", invalid="ignore"):
                noise = rows[:, :, None] + np.ldexp(entries[0], shift[:, None, :])
                along = np.abs(columns).transpose(0, 2, 1) @ noise  # of column i along q_j, at [j, i]
                error = unit * _relative(along, factors)
            state[barred] = DEPENDENT
            finite: Any = np.isfinite(factors).all(axis=(1, 2))
            lost: Any = finite[:, None] & (state == FRESH) & ~(error <= UNRESOLVED)
            if not lost.any():
                return columns, powers, state, factors, np.where(state == FRESH, error, 0.0)
            # A column that comes after a lost one was made orthogonal to noise: it is looked at anew.
            many = barred.sum(axis=1, keepdims=True) >= ONE_BY_ONE
            barred |= lost & ((np.cumsum(lost, axis=1) == 1) | many)

    def revive(self) -> None:
        """Columns that were left out go on in directions of their own, orthogonal to all others."""
        for q in np.flatnonzero((self.state != FRESH).any(axis=1)):
            frame = self.frame[q]
            if not np.isfinite(frame).all():
                continue
            for j in np.flatnonzero(self.state[q] != FRESH):
                new = np.zeros(len(frame))
                new[np.argmin((frame**2).sum(axis=1))] = 1.0
                for _ in range(2):
                    new -= frame @ (frame.T @ new)
                frame[:, j] = new / np.linalg.norm(new)
            self.state[q] = FRESH


def _relative(along: Float, factors: Float) -> Float:
    """Σ_i along_ji |R⁻¹_ij|: what noise in the columns changes R_jj by, relative to it; inf for R_jj = 0."""
    n, k, _ = factors.shape
    found = np.zeros((n, k))
    for q in range(n):
        diagonal = np.diagonal(factors[q])
        live = np.flatnonzero(diagonal != 0.0)
        inverse = solve_triangular(factors[q][np.ix_(live, live)], np.eye(live.size), check_finite=False)
        found[q] = np.inf
        found[q, live] = np.einsum("ji,ij->j", along[q][np.ix_(live, live)], np.abs(inverse))
    return found


def _halvings(ratio: float) -> int:
    """How often to halve for what is `ratio` times smaller."""
    return max(0, math.ceil(math.log2(ratio)))
