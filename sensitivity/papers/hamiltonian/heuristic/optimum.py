"""Where an accuracy curve has its optimum, how flat it is, and the power law through the optima."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Optimum", "PowerLaw", "fit_power_law", "optimum"]

Float = NDArray[np.float64]

RESAMPLES = 2000


@dataclass(frozen=True)
class Optimum:
    """The best ε of a curve of mean accuracies.

    Attributes
    ----------
    best : float
        ε of the largest mean accuracy (the geometric mean of several).
    low, high : float
        The ends of the set of ε whose mean accuracy is within one standard error of the best.
    centre : float
        The geometric mean of that set.
    accuracy, error : float
        The largest mean accuracy, and its standard error over seeds.
    """

    best: float
    low: float
    high: float
    centre: float
    accuracy: float
    error: float


def optimum(steps: Float, accuracy: Float) -> Optimum:
    """The optimum of accuracies of shape (steps, seeds)."""
    mean = accuracy.mean(axis=1)
    top = int(mean.argmax())
    seeds = accuracy.shape[1]
    error = float(accuracy[top].std(ddof=1) / np.sqrt(seeds)) if seeds > 1 else 0.0
    inside = steps[mean >= mean[top] - error]
    best = steps[mean == mean[top]]
    centre, top_step = (float(np.exp(np.log(part).mean())) for part in (inside, best))
    return Optimum(top_step, float(inside[0]), float(inside[-1]), centre, float(mean[top]), error)


@dataclass(frozen=True)
class PowerLaw:
    """ε* = c N^α (or of another variable in place of N), with 95 % intervals.

    Attributes
    ----------
    exponent : float
    interval : pair of float
        Percentiles 2.5 and 97.5 over resampled seeds.
    factor : float
        c at exponent −1: the geometric mean of N ε*.
    factor_interval : pair of float
    """

    exponent: float
    interval: tuple[float, float]
    factor: float
    factor_interval: tuple[float, float]


def fit_power_law(
    variable: Sequence[float], steps: Sequence[Float], accuracy: Sequence[Float], *, centre: bool = True
) -> PowerLaw:
    """Least squares of log ε* on log of `variable`; the interval resamples seeds, for all lengths at once.

    Parameters
    ----------
    variable : sequence of float
        N, or the scale s of W.
    steps, accuracy : sequence of ndarray
        For each N: ε (points,), and accuracies (points, seeds).
    centre : bool
        ε* is the centre of the set within one standard error; else the single best.
    """
    x = np.log(np.asarray(variable, dtype=float))
    seeds = accuracy[0].shape[1]

    def fitted(chosen: NDArray[np.intp]) -> tuple[float, float]:
        found = [optimum(grid, values[:, chosen]) for grid, values in zip(steps, accuracy, strict=True)]
        y = np.log([one.centre if centre else one.best for one in found])
        return float(np.polyfit(x, y, 1)[0]), float(np.exp((x + y).mean()))

    exponent, factor = fitted(np.arange(seeds))
    rng = np.random.default_rng(0)
    drawn = np.array([fitted(rng.integers(0, seeds, seeds)) for _ in range(RESAMPLES)])
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0).tolist()
    return PowerLaw(exponent, (low[0], high[0]), factor, (low[1], high[1]))
