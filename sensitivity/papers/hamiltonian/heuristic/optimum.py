"""Where an accuracy curve has its optimum, how flat it is, and the power law through the optima."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["LAWS", "Optimum", "PowerLaw", "optimum", "power_laws"]

Float = NDArray[np.float64]

RESAMPLES = 1000
GUESSING, LEARNED = 0.5, 0.1
"""Accuracy of guessing one of two classes. A curve that nowhere exceeds it by the second number has no
optimum worth the name."""
LAWS = ("centre", "best", "lower edge", "upper edge")
"""What a power law can go through."""


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
    edges : pair of float
        Where the curve crosses three quarters of the way from guessing up to its maximum, below and above it;
        NaN where it does not within the grid.
    guess : float
        The accuracy of guessing.
    """

    best: float
    low: float
    high: float
    centre: float
    accuracy: float
    error: float
    edges: tuple[float, float] = (math.nan, math.nan)
    guess: float = GUESSING

    @property
    def learned(self) -> bool:
        """Whether the best accuracy is visibly better than guessing."""
        return self.accuracy >= self.guess + LEARNED

    def through(self, law: str) -> float:
        """The ε that a law of `LAWS` goes through; NaN where there is none."""
        points = (self.centre, self.best, *self.edges)
        return points[LAWS.index(law)] if self.learned else math.nan


def optimum(steps: Float, accuracy: Float, guess: float = GUESSING) -> Optimum:
    """The optimum of accuracies of shape (steps, seeds), where guessing has the accuracy `guess`."""
    mean = accuracy.mean(axis=1)
    top = int(mean.argmax())
    seeds = accuracy.shape[1]
    error = float(accuracy[top].std(ddof=1) / np.sqrt(seeds)) if seeds > 1 else 0.0
    inside = steps[mean >= mean[top] - error]
    best = steps[mean == mean[top]]
    centre, top_step = (float(np.exp(np.log(part).mean())) for part in (inside, best))
    level = mean[top] - 0.25 * (mean[top] - guess)
    edges = _crossing(steps, mean, top, -1, level), _crossing(steps, mean, top, 1, level)
    return Optimum(
        top_step, float(inside[0]), float(inside[-1]), centre, float(mean[top]), error, edges, guess
    )


def _crossing(steps: Float, mean: Float, top: int, way: int, level: float) -> float:
    """Where the curve first falls to a level on the way from its maximum, linear in log ε between points."""
    i = top
    while 0 <= i + way < steps.size:
        if mean[i + way] < level:
            share = (mean[i] - level) / (mean[i] - mean[i + way])
            return float(steps[i] * (steps[i + way] / steps[i]) ** share)
        i += way
    return math.nan


@dataclass(frozen=True)
class PowerLaw:
    """ε* = c N^α (or of another variable in place of N), with 95 % intervals; NaN where there is no law.

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

    def holds(self, exponent: float) -> bool:
        """Whether an exponent lies in the interval."""
        return self.interval[0] <= exponent <= self.interval[1]


def power_laws(
    variable: Sequence[float], steps: Sequence[Float], accuracy: Sequence[Float], guess: float = GUESSING
) -> Mapping[str, PowerLaw]:
    """Least squares of log ε on log of `variable` for each of `LAWS`; intervals resample seeds, at all
    lengths together.

    Lengths at which nothing is learned, or the edge is outside the grid, are left out; a law needs two of
    them.

    Parameters
    ----------
    variable : sequence of float
        N, or the scale s of W.
    steps, accuracy : sequence of ndarray
        For each N: ε (points,), and accuracies (points, seeds).
    guess : float
        The accuracy of guessing.
    """
    x = np.log(np.asarray(variable, dtype=float))
    seeds = accuracy[0].shape[1]

    def fitted(chosen: NDArray[np.intp]) -> list[tuple[float, float]]:
        curves = zip(steps, accuracy, strict=True)
        found = [optimum(grid, values[:, chosen], guess) for grid, values in curves]
        return [_line(x, np.log([one.through(law) for one in found])) for law in LAWS]

    rng = np.random.default_rng(0)
    whole = fitted(np.arange(seeds))
    drawn = np.array([fitted(rng.integers(0, seeds, seeds)) for _ in range(RESAMPLES)])
    laws = {}
    for number, (law, (exponent, factor)) in enumerate(zip(LAWS, whole, strict=True)):
        known = drawn[:, number][~np.isnan(drawn[:, number, 0])]
        if known.size == 0 or math.isnan(exponent):
            known = np.full((1, 2), math.nan)
        low, high = np.percentile(known, [2.5, 97.5], axis=0).tolist()
        laws[law] = PowerLaw(exponent, (low[0], high[0]), factor, (low[1], high[1]))
    return laws


def _line(x: Float, y: Float) -> tuple[float, float]:
    """Slope, and exp of the mean of x + y, over the points that there are."""
    there = np.isfinite(y)
    if there.sum() < 2:
        return math.nan, math.nan
    slope = np.polyfit(x[there], y[there], 1)[0]
    return float(slope), float(np.exp((x + y)[there].mean()))
