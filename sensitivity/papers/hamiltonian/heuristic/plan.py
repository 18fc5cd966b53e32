"""How much the experiment on ε ∝ 1/N computes, and the control: the same for every task."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sensitivity.training.trainer import Recipe

from .scan import Setting

__all__ = ["CONTROL", "DAMPING", "FULL", "QUICK", "Plan"]

Float = NDArray[np.float64]

CONTROL = "recent_mean"
DAMPING = 1.0
"""γ of the control's network: only a scale of ε."""


@dataclass(frozen=True)
class Plan:
    """How much to compute.

    Attributes
    ----------
    lengths, control_lengths : tuple of int
    seeds : int
    a_decade : int
        Values of ε in a decade, the same for every N.
    window : pair of float
        Only ε with N ε between these; outside, accuracies are those of guessing.
    epochs : int
    scales : tuple of float
        Factors s on W for the collapse test.
    collapse_length, story_length : int
        N of the collapse test, and of the run whose gradient is followed.
    control_window : pair of float
        The control's ε, the same for every N: its optimum may follow any power of N.
    """

    lengths: tuple[int, ...]
    control_lengths: tuple[int, ...]
    seeds: int
    a_decade: int
    window: tuple[float, float]
    epochs: int
    scales: tuple[float, ...]
    collapse_length: int
    story_length: int = 80
    control_window: tuple[float, float] = (0.01, 1.0)

    def grid(self, n: int, shift: float = 1.0) -> Float:
        """ε on the common grid 10^(j/a_decade) with N ε · √s in the window."""
        low, high = self.window
        return self._between(low / (n * shift), high / (n * shift))

    def control_grid(self) -> Float:
        """ε of the same common grid in the control's window."""
        return self._between(*self.control_window)

    def _between(self, *edges: float) -> Float:
        low, high = (math.log10(edge) * self.a_decade for edge in edges)
        return 10.0 ** (np.arange(math.ceil(low - 1e-9), math.floor(high + 1e-9) + 1) / self.a_decade)

    def setting(self, task: str) -> Setting:
        return Setting(task, recipe=Recipe(rate=3e-3, batch=100, epochs=self.epochs, clip=None))

    def control_setting(self) -> Setting:
        return replace(self.setting(CONTROL), scheme="euler", gamma=DAMPING)


LENGTHS, SCALES = (10, 20, 40, 80, 160, 320), (1 / 16, 1.0, 16.0)
QUICK = Plan(LENGTHS, (20, 80, 320), 3, 4, (0.25, 40.0), 15, SCALES, 20)
FULL = Plan(LENGTHS, LENGTHS, 8, 6, (0.6, 40.0), 40, SCALES, 40)
