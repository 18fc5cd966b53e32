"""Growth exponents of a recurrence: the Lyapunov spectrum by QR, with its convergence and its error."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from integrators.display import Table
from integrators.engine.column_scale import LOG_2
from integrators.fields.field import Field
from integrators.run.inputs import Inputs
from integrators.run.recurrence import Recurrence, as_recurrence
from integrators.schemes.table import Scheme
from integrators.validation import as_count
from integrators.values import ByValue
from sensitivity.figures.drawn import Drawn
from sensitivity.text import number

from .factoring import DEPENDENT, factor_product, panel_length

__all__ = ["GrowthExponents", "Stops", "first_frame", "growth_exponents"]

Float = NDArray[np.float64]


# Local growth rates are averaged over this many batches to estimate the standard error.
BATCHES = 20
# Growth is summed between so many marks, whatever N; of these the convergence series has some.
MARKS = 1000
SERIES = 200
# A rank correlation of growth with time beyond this is drift.
TREND = 0.8


@dataclass(frozen=True, eq=False)
class GrowthExponents(ByValue, Drawn):
    """Growth exponents λ_1 ≥ … ≥ λ_k: the mean logarithmic growth per step.

    Attributes
    ----------
    exponents : ndarray, shape (*batch, k)
        Natural logarithms, per step. −inf for a direction that some step maps to zero, or of which round-off
        leaves nothing; see `resolved`.
    standard_error : ndarray, shape (*batch, k)
        Standard error of the average over time, from the scatter of 20 consecutive parts of the run. NaN
        where there are too few segments, and for −inf.
    series : ndarray, shape (*batch, points, k)
        The estimate after `series_steps` steps, which shows the convergence.
    series_steps : ndarray of int, shape (points,)
        Numbers of steps.
    per_time : ndarray, shape (*batch, k)
        Exponents divided by the step size ε.
    step : ndarray, shape batch
        ε.
    n_steps, burn_in, qr_every : int
        Steps in all, steps at the beginning that were not counted, most steps between two factorisations.
    resolved : ndarray of bool, shape (*batch, k)
        False where an exponent is −inf because the growth in one single step was below the round-off of that
        step: the step is singular, or so nearly that float64 cannot tell. True for numbers, and for −inf
        where columns became exactly zero.
    drifts : ndarray of bool, shape (*batch, k)
        True where the growth per step still rises or falls along the run, by more than the standard error
        says: the exponent has not converged. Where the gradient grows like a power of n, for instance, the
        exponent is 0 and every estimate of it too high. False where there are too few segments to tell.
    round_off : ndarray, shape (*batch, k)
        An estimate, to first order, of how much round-off can have changed an exponent; NaN for −inf. It is
        not part of the standard error.

    Examples
    --------
    >>> import leapgrad as lg
    >>> line = lg.NeuralField([[-0.5]], [0.0], activation="identity")
    >>> found = lg.growth_exponents(line, "euler", step=1.0, n_steps=100)
    >>> found.exponents.round(6), found.burn_in
    (array([-0.693147]), 10)
    """

    exponents: Float
    standard_error: Float
    series: Float
    series_steps: NDArray[np.int64]
    per_time: Float
    step: Float
    n_steps: int
    burn_in: int
    qr_every: int
    resolved: NDArray[np.bool_]
    drifts: NDArray[np.bool_]
    round_off: Float

    def __array__(self, dtype=None, copy=None) -> NDArray:
        return np.asarray(self.exponents, dtype=dtype)

    def __getitem__(self, index):
        return self.exponents[index]

    def __len__(self) -> int:
        return len(self.exponents)

    def _table(self) -> Table:
        k = self.exponents.shape[-1]
        columns = (self.exponents, self.standard_error, self.drifts)
        rows = zip(*(np.ravel(column) for column in columns), strict=True)
        several = self.exponents.size > k
        shown = (
            (
                *([str(place // k)] if several else []),
                str(place % k + 1),
                number(value),
                "not converged" if drifts else "–" if np.isnan(error) else f"{error:.2g}",
            )
            for place, (value, error, drifts) in enumerate(rows)
        )
        return (*(["member"] if several else []), "i", "λ_i per step", "± standard error"), shown

    def __repr__(self) -> str:
        *batch, k = self.exponents.shape
        if batch:
            first = self.exponents.reshape(-1, k)[:, 0]
            ends = f"from {np.min(first):.6g} to {np.max(first):.6g}" if first.size else "none"
            shown = f"batch of shape {tuple(batch)}, the first of {k} {ends}"
        else:
            parts = zip(self.exponents[:4], self.standard_error[:4], self.drifts[:4], strict=True)
            shown = ", ".join(map(_with_error, *zip(*parts, strict=True))) + (", …" if k > 4 else "")
        lost = np.count_nonzero(~self.resolved)
        below = f"; {lost} below round-off" if lost else ""
        few = np.isnan(self.standard_error[np.isfinite(self.exponents)]).any()
        below += "; too few steps for a standard error" if few else ""
        return f"GrowthExponents({shown} per step; {self.n_steps} steps, burn-in {self.burn_in}{below})"


def _with_error(value: float, error: float, drifts: bool) -> str:
    """An exponent with its standard error, if there is one."""
    if drifts:
        return f"{value:.6g} (not converged)"
    return f"{value:.6g}" if np.isnan(error) else f"{value:.6g} ± {error:.1g}"


class Stops(Sequence[int]):
    """Steps at which to stop: every so many, anew after each of the `marks`, and at the marks themselves.

    A sequence of N/every numbers that takes no memory.
    """

    def __init__(self, marks: Sequence[int], every: int) -> None:
        starts = [0, *marks[:-1]]
        self._parts = [range(a + every, b, every) for a, b in zip(starts, marks, strict=True)]
        self._marks = marks

    def __len__(self) -> int:
        return sum(len(part) + 1 for part in self._parts)

    def __iter__(self) -> Iterator[int]:
        for part, mark in zip(self._parts, self._marks, strict=True):
            yield from part
            yield mark

    def __getitem__(self, index: Any) -> Any:
        return list(self)[index]


class _Sums:
    """Growth of every column between one mark and the next, and what became of the columns.

    Parameters
    ----------
    marks : ndarray of int
    skip : int
        Steps before which nothing counts.
    members, k : int
    """

    def __init__(self, marks: NDArray[np.int64], skip: int, members: int, k: int) -> None:
        self._marks, self._skip = marks, skip
        self.local = np.zeros((marks.size, members, k))
        self.error = np.zeros((members, k))
        self.unresolved = np.zeros((members, k), bool)
        self._tried, self._tried_error = np.zeros((members, k)), np.zeros((members, k))

    def begin(self, members: NDArray[np.intp]) -> None:
        self._tried[members], self._tried_error[members] = 0.0, 0.0

    def take(
        self, members: NDArray[np.intp], factors: Float, powers: NDArray[np.int64], error: Float
    ) -> None:
        with np.errstate(divide="ignore"):
            growth = np.log(np.diagonal(factors, axis1=1, axis2=2))
        self._tried[members] += growth + LOG_2 * powers
        self._tried_error[members] += np.where(np.isfinite(error), error, 0.0)

    def keep(self, members: NDArray[np.intp], stop: int, state: NDArray[np.int64]) -> None:
        if stop > self._skip:
            self.local[np.searchsorted(self._marks, stop), members] += self._tried[members]
            self.error[members] += self._tried_error[members]
            self.unresolved[members] |= state == DEPENDENT


def growth_exponents(
    field: Field | Recurrence,
    scheme: str | Scheme | None = None,
    step: ArrayLike | None = None,
    n_steps: int | None = None,
    y0: ArrayLike | None = None,
    p0: ArrayLike | None = None,
    inputs: Inputs = None,
    *,
    k: int | None = None,
    burn_in: int | None = None,
    qr_every: int | None = None,
    threads: int | None = None,
    progress: bool | None = None,
) -> GrowthExponents:
    """The k largest growth exponents (Lyapunov exponents) of a recurrence, per step.

    Parameters not listed are those of `jacobian`.

    Parameters
    ----------
    k : int, optional
        Number of exponents, at most D, the length of the state; all by default.
    burn_in : int, optional
        Steps at the beginning that are not counted, in which the columns align; a tenth of n_steps by
        default.
    qr_every : int, optional
        The most steps between two QR factorisations, at most 64; up to 16 by default. Where round-off does
        not allow so many, the segment is repeated in smaller parts, down to single steps.

    Returns
    -------
    GrowthExponents
        The exponents with standard errors, their convergence, and an estimate of the round-off.

    Raises
    ------
    ValueError
        If `k` or `burn_in` leave nothing to compute.

    Notes
    -----
    With the factorisation J_n ⋯ J_1 = Q R_n ⋯ R_1 the exponents are λ_i = lim (1/N) Σ_j ln (R_j)_ii (G.
    Benettin et al., *Meccanica* 15 (1980) 9–30; J.-P. Eckmann, D. Ruelle, *Rev. Mod. Phys.* 57 (1985)
    617–656). They are averages over time; for the singular values of the product itself see
    `log_singular_values`.

    A segment is accepted if an error in the last places of its columns can change no R_ii by more than 2^22
    units in the last place. If even one step exceeds that, an R_ii that is no larger than the error counts as
    zero.

    Memory does not grow with N: at most 2000 sums for each batch member and exponent, and the columns.

    Examples
    --------
    >>> import leapgrad as lg
    >>> found = lg.growth_exponents(lg.NeuralField.random(3, rng=0), "leapfrog", step=0.1, n_steps=2000, k=2)
    >>> found.exponents.shape, found.resolved
    ((2,), array([ True,  True]))
    """
    recurrence = as_recurrence(
        field, scheme, step, n_steps, y0, p0, inputs, threads=threads, progress=progress
    )
    plan = _Averaging.of(recurrence, k, burn_in, qr_every)
    sums = _Sums(plan.marks, plan.skip, math.prod(recurrence.shape), plan.k)
    last = factor_product(
        recurrence, first_frame(recurrence.state_size, plan.k), plan.stops, sums, revive_at=plan.skip
    )
    sums.local[:, np.isnan(last).any(axis=(1, 2))] = np.nan
    return _exponents(recurrence, plan, sums)


class _Averaging(NamedTuple):
    """Over which steps growth is averaged.

    Attributes
    ----------
    k : int
        Number of exponents.
    skip : int
        Steps left out at the beginning.
    every, panel : int
        Most steps between two factorisations, as they are reported and as they are made.
    marks : ndarray of int
        Steps between which growth is summed.
    n_steps : int
    """

    k: int
    skip: int
    every: int
    panel: int
    marks: NDArray[np.int64]
    n_steps: int

    @classmethod
    def of(
        cls, recurrence: Recurrence, k: int | None, burn_in: int | None, qr_every: int | None
    ) -> _Averaging:
        """From the arguments of `growth_exponents`, checked."""
        n_steps, size = as_count(recurrence.n_steps, "n_steps", least=1), recurrence.state_size
        count = size if k is None else as_count(k, "k", least=1)
        if count > size:
            raise ValueError(f"k must be at most {size}, the length of the state, got {count}.")
        skip = n_steps // 10 if burn_in is None else as_count(burn_in, "burn_in")
        if skip >= n_steps:
            raise ValueError(f"burn_in must be less than n_steps = {n_steps}, got {skip}.")
        asked = None if qr_every is None else as_count(qr_every, "qr_every", least=1)
        # Short enough that there are marks enough for the standard error.
        panel = panel_length(count, asked, most=max(8, (n_steps - skip) // (2 * BATCHES)))
        every = panel if asked is None else asked
        return cls(count, skip, every, panel, _marks(skip, n_steps, every), n_steps)

    @property
    def stops(self) -> Stops:
        """Last step of every panel."""
        return Stops([*([self.skip] if self.skip else []), *self.marks.tolist()], self.panel)


def first_frame(size: int, k: int) -> Float:
    """Orthonormal columns to start from, shape (D, k).

    All columns: the unit vectors, which are exact for diagonal maps. Fewer: a random frame, because a unit
    vector may lie in an invariant subspace of slower growth.
    """
    if k == size:
        return np.eye(size)
    return np.linalg.qr(np.random.default_rng(0).normal(size=(size, k)))[0]


def _exponents(recurrence: Recurrence, plan: _Averaging, found: _Sums) -> GrowthExponents:
    """Means, errors and the convergence series from the sums of growth at every mark."""
    shape, k, marks = recurrence.shape, plan.k, plan.marks
    sums, steps = np.cumsum(found.local, axis=0), marks - plan.skip
    # A map that does not mix its columns leaves the growth rates in the order of the frame.
    order = np.argsort(-sums[-1], axis=1, kind="stable")
    sums = np.take_along_axis(sums, order[None], axis=2)
    unresolved, error = (np.take_along_axis(a, order, axis=1) for a in (found.unresolved, found.error))
    points = np.unique(np.linspace(0, marks.size - 1, min(SERIES, marks.size)).astype(int))
    exponents = (sums[-1] / steps[-1]).reshape(*shape, k)
    round_off = np.where(np.isfinite(exponents), error.reshape(*shape, k) / steps[-1], np.nan)
    rates = _rates(sums, steps)
    wrong = _standard_error(rates).reshape(*shape, k)
    return GrowthExponents(
        exponents,
        wrong,
        np.moveaxis(sums[points] / steps[points, None, None], 0, 1).reshape(*shape, len(points), k),
        plan.skip + steps[points],
        exponents / recurrence.step[..., None],
        recurrence.step,
        plan.n_steps,
        plan.skip,
        plan.every,
        np.logical_not(unresolved).reshape(*shape, k),
        _drifts(rates, wrong, exponents, round_off),
        round_off,
    )


def _marks(skip: int, n_steps: int, every: int) -> NDArray[np.int64]:
    """Steps between which growth is summed: at most MARKS, evenly spread, the ends of whole segments."""
    segments = -(-(n_steps - skip) // every)
    chosen = np.arange(1, min(MARKS, segments) + 1) * segments // min(MARKS, segments)
    return np.minimum(skip + chosen * every, n_steps)


def _rates(sums: Float, steps: NDArray[np.int64]) -> Float:
    """Growth per step in consecutive parts of the run, shape (BATCHES, members, k); NaN for too few marks."""
    if len(sums) < 2 * BATCHES:
        return np.full((BATCHES, *sums.shape[1:]), np.nan)
    last = np.arange(1, BATCHES + 1) * len(sums) // BATCHES - 1
    with np.errstate(invalid="ignore"):  # columns that vanished have grown by −∞; their error is NaN
        growth, length = (np.diff(part[last], axis=0, prepend=0) for part in (sums, steps))
        return growth / length[:, None, None]


def _standard_error(rates: Float) -> Float:
    """Standard error of the mean growth per step."""
    with np.errstate(invalid="ignore"):
        return rates.std(axis=0, ddof=1) / math.sqrt(BATCHES)


def _drifts(rates: Float, wrong: Float, exponents: Float, round_off: Float) -> NDArray[np.bool_]:
    """Where growth rises or falls along the run: ranks of the rates against time, and a half that differs.

    Spearman's ρ of 20 independent parts exceeds 0.8 with probability 2e-5. The later half must differ from
    the whole by two standard errors besides, and by more than round-off makes of a constant.
    """
    ranks = np.argsort(np.argsort(rates, axis=0, kind="stable"), axis=0, kind="stable")
    time = np.arange(BATCHES)[:, None, None]
    correlation = 1.0 - 6.0 * ((ranks - time) ** 2).sum(axis=0) / (BATCHES * (BATCHES**2 - 1))
    late = rates[BATCHES // 2 :].mean(axis=0).reshape(exponents.shape)
    least = np.maximum(2.0 * wrong, 1e-12 * np.abs(exponents) + 1e-15 + round_off)
    with np.errstate(invalid="ignore"):
        moved = np.abs(late - exponents) > least
    return moved & (np.abs(correlation).reshape(exponents.shape) > TREND)
