"""A curve: one quantity of several random draws against the step size, with its median, range and slope."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from integrators.values import ByValue

__all__ = ["Band", "Curve", "below_from", "decade_before_end", "end_behaviour", "linear_from",
           "near_one_until"]  # fmt: skip

Float = NDArray[np.float64]

# A local slope within 1 ± this counts as linear.
LINEAR = 0.1
# Norms that change by less than this factor over the last decade of ε saturate.
STEADY = 2.0


@dataclass(frozen=True, eq=False)
class Band(ByValue):
    """Median and range over draws, each of shape (steps,)."""

    low: Float
    median: Float
    high: Float

    @classmethod
    def of(cls, draws: Float) -> Band:
        """From an array of shape (draws, steps)."""
        return cls(draws.min(axis=0), np.median(draws, axis=0), draws.max(axis=0))


@dataclass(frozen=True, eq=False)
class Curve(ByValue):
    """Norms ‖∂y_N/∂y_0‖ and their bounds, for several draws of the weights.

    Attributes
    ----------
    d : int
    step : ndarray, shape (n,)
        ε, increasing.
    norms, bounds : ndarray, shape (draws, n)
        0 or inf where they leave float64.
    log_norms, log_bounds : ndarray, shape (draws, n)
        Their natural logarithms, which do not.
    seeds : tuple of int
        One per draw.
    gamma : float, optional
        Of the antisymmetric field.
    theorem : str
        The theorem that gives the bound.
    """

    d: int
    step: Float
    norms: Float
    log_norms: Float
    bounds: Float
    log_bounds: Float
    seeds: tuple[int, ...]
    gamma: float | None = None
    theorem: str = "B"

    def alone(self) -> Iterator[Curve]:
        """The curve of every draw by itself."""
        for k, seed in enumerate(self.seeds):
            part = slice(k, k + 1)
            yield replace(
                self, norms=self.norms[part], log_norms=self.log_norms[part], bounds=self.bounds[part],
                log_bounds=self.log_bounds[part], seeds=(seed,),
            )  # fmt: skip

    @cached_property
    def local_slope(self) -> Float:
        """d log‖∂y_N/∂y_0‖ / d log ε by second-order differences, shape (draws, n)."""
        if self.step.size < 2:
            return np.full_like(self.log_norms, np.nan)
        order = 2 if self.step.size > 2 else 1
        return np.gradient(self.log_norms, np.log(self.step), axis=1, edge_order=order)

    @cached_property
    def log(self) -> Band:
        """Natural logarithm of the norm over draws."""
        return Band.of(self.log_norms)

    @cached_property
    def norm(self) -> Band:
        """The norm over draws; 0 or inf outside float64."""
        return Band(*(_exp(part) for part in (self.log.low, self.log.median, self.log.high)))

    @cached_property
    def bound(self) -> Band:
        """The bound over draws; inf beyond float64."""
        log = Band.of(self.log_bounds)
        return Band(*(_exp(part) for part in (log.low, log.median, log.high)))

    @cached_property
    def slope(self) -> Band:
        """The local slope over draws."""
        return Band.of(self.local_slope)

    @property
    def violations(self) -> int:
        """Number of norms above their bound. There are none, unless something is wrong."""
        return int(np.count_nonzero(~(self.log_norms <= self.log_bounds)))


def linear_from(curve: Curve) -> float | None:
    """The least ε from which on the median local slope stays within 1 ± LINEAR; None if its end does not."""
    return _from_on(curve, np.abs(curve.slope.median - 1.0) <= LINEAR)


def below_from(curve: Curve, other: Curve) -> float | None:
    """The least ε from which on the median norm stays below that of `other`, on the same steps."""
    return _from_on(curve, curve.log.median < other.log.median)


def _from_on(curve: Curve, holds: NDArray[np.bool_]) -> float | None:
    if not holds[-1]:
        return None
    fails = np.flatnonzero(~holds)
    return float(curve.step[fails[-1] + 1 if fails.size else 0])


def near_one_until(curves: Sequence[Curve], factor: float = 2.0) -> float | None:
    """The largest ε up to which every median norm stays within a factor of 1."""
    reach = []
    for curve in curves:
        fails = np.flatnonzero(np.abs(curve.log.median) > math.log(factor))
        if fails.size and fails[0] == 0:
            return None
        reach.append(float(curve.step[fails[0] - 1 if fails.size else -1]))
    return min(reach)


def end_behaviour(curve: Curve) -> str:
    """How the median norm behaves over the last decade of ε: saturates, decays, power or exponential.

    The latter two differ in whether log‖·‖ is closer to a line in log ε or to a line in ε.
    """
    first = decade_before_end(curve)
    step, values = curve.step[first:], curve.log.median[first:]
    change = float(values[-1] - values[0])
    if abs(change) <= math.log(STEADY):
        return "saturates"
    if change < 0:
        return "decays"
    misfit = {"power": _misfit(np.log(step), values), "exponential": _misfit(step, values)}
    return min(misfit, key=lambda kind: misfit[kind])


def _misfit(x: Float, y: Float) -> float:
    line = np.polynomial.Polynomial.fit(x, y, 1)
    return float(np.sum((y - line(x)) ** 2))


def decade_before_end(curve: Curve) -> int:
    """Index of the step size nearest to a tenth of the last one."""
    return int(np.argmin(np.abs(np.log(curve.step * 10.0 / curve.step[-1]))))


def _exp(values: Float) -> Float:
    with np.errstate(over="ignore", under="ignore"):
        return np.exp(values)
