"""The verdict on a gradient, computed from its norms: vanishes, holds or explodes, with its length scale."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from integrators.values import ByValue
from sensitivity.analysis.memory.quantiles import quantiles
from sensitivity.text import from_log, number

__all__ = ["GradientVerdict", "verdict_of"]

Float = NDArray[np.float64]

HOLDS_WITHIN = math.log(100.0)
"""A gradient holds if its norm over the whole run lies within a factor of 100 of one."""


@dataclass(frozen=True)
class GradientVerdict(ByValue):
    """What the norms say.

    Attributes
    ----------
    word : {"vanishes", "holds", "explodes", "overflows"}
    log_norm : float
        ln ‖∂h_N/∂h_0‖, the median over the batch.
    rate : float
        Natural logarithm of the growth per step after the first quarter of the run, negative for decay.
    """

    word: str
    log_norm: float
    rate: float

    @property
    def length(self) -> float:
        """Steps in which the norm changes by a factor of e; inf where it does not change."""
        return math.inf if self.rate == 0.0 else 1.0 / abs(self.rate)

    def sentence(self, n_steps: int, members: int, low: float, high: float, symbol: str = "h") -> str:
        """The verdict in words, on the part of the state that `symbol` stands for.

        `low` and `high` are quantiles of ln ‖∂h_N/∂h_0‖ over the batch.
        """
        if self.word == "overflows":
            return f"The state leaves float64 within {n_steps} steps: there is no gradient to speak of."
        of = "" if members == 1 else f" in the median of {members} members"
        spread = "" if members == 1 else f" (5 % to 95 %: {from_log(low, 3)} to {from_log(high, 3)})"
        norm = f"‖∂{symbol}_N/∂{symbol}_0‖ = {from_log(self.log_norm, 3)}"
        head = f"The gradient {self.word}: {norm}{of}{spread} over {n_steps} steps"
        if self.word == "holds":
            return f"{head}."
        how = "falls" if self.rate < 0.0 else "grows"
        if self.rate == -math.inf:
            return f"{head}; it is exactly zero from some step on."
        return f"{head}; it {how} by a factor of e every {number(self.length, 3)} steps."


def verdict_of(steps: NDArray[np.int64], log_norms: Float) -> GradientVerdict:
    """The verdict on norms at some numbers of steps: (members, points)."""
    with np.errstate(invalid="ignore"):
        alive = log_norms[~np.isnan(log_norms).any(axis=1)]
    if not len(alive):
        return GradientVerdict("overflows", math.nan, math.nan)
    _, middle, _ = quantiles(alive)
    last, N = float(middle[-1]), int(steps[-1])
    early = int(np.searchsorted(steps, max(1, N // 4)))
    early = min(early, max(0, len(steps) - 2))
    if last == -math.inf:
        rate = -math.inf
    elif len(steps) > 1 and N > steps[early]:
        rate = (last - float(middle[early])) / (N - int(steps[early]))
    else:
        rate = last / max(1, N)
    word = "vanishes" if last < -HOLDS_WITHIN else "explodes" if last > HOLDS_WITHIN else "holds"
    if word != "holds" and (rate > 0.0) != (last > 0.0):
        rate = last / max(1, N)  # the change happened early on
    return GradientVerdict(word, last, rate)
