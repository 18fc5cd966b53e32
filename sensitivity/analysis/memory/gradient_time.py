"""Which steps of a run the gradient by the parameters comes from, and how much of it truncation loses."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from integrators.engine.column_scale import FURTHEST, LOG_2, bits_of_shift
from integrators.run.checkpoint import Segment, member_run
from integrators.run.pullback import SweepRow
from integrators.run.recurrence import Recurrence
from integrators.singular_values import frobenius_norm
from integrators.validation import as_number, as_vector
from integrators.values import ByValue
from sensitivity.analysis.singular import block_of
from sensitivity.figures.drawn import Drawn

from .asked import as_run
from .parameters import for_each_block

__all__ = ["GradientInTime", "gradient_in_time"]

Float = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class GradientInTime(ByValue, Drawn):
    """The gradient by all parameters, step by step: the result of `gradient_in_time`.

    Attributes
    ----------
    log_norms : ndarray, shape (*batch, N)
        ln of the norm of what step i = 1, …, N contributes; −inf for nothing.
    lost : ndarray, shape (*batch, N + 1)
        ‖g − g_w‖/‖g‖ for the windows w = 0, …, N, where g is the gradient and g_w the part of the last w
        steps, which is what truncated backpropagation finds. NaN where g is zero.

    Examples
    --------
    >>> import leapgrad as lg
    >>> cell = lg.cell("vanilla", 1, activation="identity").with_parameters(W=[[0.5]], b=[1.0])
    >>> found = lg.gradient_in_time(lg.unroll(cell, n_steps=60), [1.0])
    >>> found.norms[-3:].round(4), int(found.window(0.01))
    (array([0.559 , 1.118 , 2.2361]), 7)
    """

    log_norms: Float
    lost: Float

    @property
    def norms(self) -> Float:
        """The norms themselves; inf or 0 outside the range of float64."""
        with np.errstate(over="ignore", under="ignore"):
            return np.exp(self.log_norms)

    def window(self, share: float = 0.01) -> NDArray[np.int64]:
        """The least window from which on truncation loses at most this share of the gradient: shape batch.

        Parameters
        ----------
        share : float
            Between 0 and 1.

        Raises
        ------
        TypeError, ValueError
            If `share` is no number between 0 and 1.
        """
        share = as_number(share, "share", 0.0, 1.0)
        above = ~(self.lost <= share)  # NaN needs the whole run, too
        windows = self.lost.shape[-1]
        last = windows - 1 - np.argmax(above[..., ::-1], axis=-1)
        return np.where(above.any(axis=-1), np.minimum(last + 1, windows - 1), 0)[()]

    def __repr__(self) -> str:
        steps = self.log_norms.shape[-1]
        if self.log_norms.ndim > 1:
            return f"<GradientInTime of {steps} steps, batch {self.log_norms.shape[:-1]}>"
        return f"<GradientInTime of {steps} steps: 99 % of it in the last {int(self.window(0.01))}>"


def gradient_in_time(
    run: Recurrence, cotangent: ArrayLike | None = None, *, block: str | None = None
) -> GradientInTime:
    """What each step contributes to the gradient by the parameters, and what truncation would lose of it.

    Parameters
    ----------
    run : Recurrence
        As `unroll` makes it, of a cell or of a field under a scheme.
    cotangent : array_like, shape (rows,), optional
        ∂C/∂s_N of a loss C, for the components of the block. By default the gradients of all components are
        taken together, in the Frobenius norm.
    block : str, optional
        Which block of s_N, as for `jacobian`; by default ``run.default_block``: y of a field, the whole state
        of most cells.

    Returns
    -------
    GradientInTime
        Its method `window` says how long the window of truncated backpropagation has to be.

    Raises
    ------
    TypeError, ValueError
        If `run` is no recurrence, there is no such block, or `cotangent` does not fit.

    Notes
    -----
    ∂s_N/∂θ = Σ_i ∂s_N/∂s_i ∂⁺s_i/∂θ, where ∂⁺ is taken at fixed s_{i−1}. Two backward sweeps for each
    component (one component with `cotangent`), one step at a time, in which powers of two are taken out: some
    10 µs a step, and the time of twice the parameters.

    Examples
    --------
    >>> import numpy as np
    >>> import leapgrad as lg
    >>> run = lg.unroll(lg.cell("gru", 5, 2, rng=0), inputs=np.ones((50, 2)))
    >>> found = lg.gradient_in_time(run, np.ones(5))
    >>> found.log_norms.shape, found.lost.shape
    ((50,), (51,))
    """
    run = as_run(run)
    part, rows = block_of(run, block)
    unit = np.eye(run.state_size)[:, part]
    if cotangent is not None:
        unit = unit @ as_vector(cotangent, "cotangent", unit.shape[1])[:, None]
    N, m = run.n_steps, run.members
    logs, lost = np.full((m, N), -np.inf), np.full((m, N + 1), np.nan)
    totals: list[_Total] = [_Total() for _ in range(m)]
    overflowed = np.full(m, -1, np.int64)

    def first(members: slice, taken: Any, segments: Iterator[Segment]) -> None:
        for member, step, gradients, exponents in _steps(run, unit, members, segments):
            logs[member, step] = totals[member].add(gradients, exponents)
        overflowed[members] = taken.overflowed[: members.stop - members.start]

    def second(members: slice, taken: Any, segments: Iterator[Segment]) -> None:
        for member, step, gradients, exponents in _steps(run, unit, members, segments):
            lost[member, N - step] = totals[member].rest_without(gradients, exponents)

    for follow in (first, second):
        for_each_block(run, rows, follow)
    for member, total in enumerate(totals):
        lost[member, 0], lost[member, N] = (1.0, 0.0) if total.size() else (np.nan, np.nan)
    run.check_overflow(overflowed, logs, lost, of_state=True)
    return GradientInTime(logs.reshape(*run.shape, N), lost.reshape(*run.shape, N + 1))


def _steps(
    run: Recurrence, unit: Float, members: slice, segments: Iterator[Segment]
) -> Iterator[tuple[int, int, Float, NDArray[np.int64]]]:
    """Member, step, and gradients of all components (k, F) with exponents (k,), the last step first."""
    cell = run.cell
    sweeps = [[SweepRow(run, column) for column in unit.T] for _ in range(members.stop - members.start)]
    for segment in segments:
        for q, own in enumerate(sweeps):
            one, tape = member_run(segment.run, q), np.ascontiguousarray(segment.tape[:, :, q : q + 1])
            for pieces in zip(*(sweep.pieces(one, segment, tape, 1) for sweep in own), strict=True):
                gradients = np.array([piece[1] for piece in pieces])
                if cell is not None:
                    gradients = cell.gradient_by_free(gradients)
                yield members.start + q, pieces[0][0], gradients, np.array([piece[2] for piece in pieces])


class _Total:
    """A sum of gradients (k, F) times 2^exponent, and what is left of it as its parts are taken away."""

    def __init__(self) -> None:
        self._sum: Float = np.zeros((1, 1))
        self._exponent = 0

    def add(self, gradients: Float, exponents: NDArray[np.int64]) -> float:
        """Add a part; returns ln of its norm."""
        with np.errstate(under="ignore", divide="ignore"):
            shift = np.frexp(np.abs(gradients).max(axis=-1, initial=0.0))[1]
            top = int(np.where(gradients.any(axis=-1), exponents + shift, -(1 << 60)).max(initial=-(1 << 60)))
            if top == -(1 << 60):
                return -math.inf
            norm = float(frobenius_norm(_shifted(gradients, exponents - top)))
            if not self._sum.any() or top > self._exponent:
                self._sum = np.ldexp(self._sum, int(max(self._exponent - top, -FURTHEST)))
                self._exponent = top
            self._sum = self._sum + _shifted(gradients, exponents - self._exponent)
            return math.log(norm) + LOG_2 * top

    def rest_without(self, gradients: Float, exponents: NDArray[np.int64]) -> float:
        """Take a part away; returns the norm of the rest over that of the whole."""
        size = self.size()
        with np.errstate(under="ignore"):
            self._left = self._left - _shifted(gradients, exponents - self._exponent)
        return float(frobenius_norm(self._left)) / size if size else math.nan

    def size(self) -> float:
        """The norm of the whole, without its power of two."""
        if not hasattr(self, "_left"):
            self._left, self._size = self._sum, float(frobenius_norm(self._sum))
        return self._size


def _shifted(gradients: Float, shift: NDArray[np.int64]) -> Float:
    return np.ldexp(gradients, bits_of_shift(shift)[:, None])
