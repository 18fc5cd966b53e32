"""A curve: one quantity of several random draws against the step size, with its median, range and slope."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from integrators.values import ByValue

__all__ = ["Band", "Curve"]

Float = NDArray[np.float64]


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


def _exp(values: Float) -> Float:
    with np.errstate(over="ignore", under="ignore"):
        return np.exp(values)
