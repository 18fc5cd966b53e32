"""How much the experiment on ε ∝ 1/N computes, and the control: the same for every task."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from sensitivity.training.data.tasks import get_task
from sensitivity.training.networks.ode_network import OdeNetwork
from sensitivity.training.start import Start
from sensitivity.training.trainer import Recipe, Split

__all__ = ["CONTROL", "DAMPING", "FULL", "QUICK", "ScanPlan", "TaskSetting"]

Float = NDArray[np.float64]

CONTROL = "recent_mean"
DAMPING = 1.0
"""γ of the control's network: only a scale of ε."""


@dataclass(frozen=True)
class TaskSetting:
    """What all runs of an experiment share.

    Attributes
    ----------
    task : str
        A name of `TASKS`.
    d : int
    recipe : Recipe
        Its seed is replaced by the run's.
    train, test : int
        Number of sequences.
    scheme : str
    start : Start
    gamma : float, optional
        Damping: W − Wᵀ − γ I in place of W.
    """

    task: str
    d: int = 10
    recipe: Recipe = field(default_factory=Recipe)
    train: int = 1000
    test: int = 2000
    scheme: str = "leapfrog"
    start: Start = field(default_factory=Start)
    gamma: float | None = None

    def split(self, n_steps: int, seed: int) -> Split:
        """Fresh training and test sequences for a length and a seed."""
        task, rng = get_task(self.task), np.random.default_rng((seed, n_steps))
        return Split(task.sample(self.train, n_steps, rng), task.sample(self.test, n_steps, rng))

    def network(self, n_steps: int, step: float) -> OdeNetwork:
        return OdeNetwork(self.d, n_steps, step, scheme=self.scheme, gamma=self.gamma, threads=1)


@dataclass(frozen=True)
class ScanPlan:
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
    collapse_length, trace_length : int
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
    trace_length: int = 80
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

    def setting(self, task: str) -> TaskSetting:
        return TaskSetting(task, recipe=Recipe(rate=3e-3, batch=100, epochs=self.epochs, clip=None))

    def control_setting(self) -> TaskSetting:
        return replace(self.setting(CONTROL), scheme="euler", gamma=DAMPING)


LENGTHS, SCALES = (10, 20, 40, 80, 160, 320), (1 / 16, 1.0, 16.0)
QUICK = ScanPlan(LENGTHS, (20, 80, 320), 3, 4, (0.25, 40.0), 15, SCALES, 20)
FULL = ScanPlan(LENGTHS, LENGTHS, 8, 6, (0.6, 40.0), 40, SCALES, 40)
