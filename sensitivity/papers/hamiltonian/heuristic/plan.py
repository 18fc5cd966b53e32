"""What the experiment on ε ∝ 1/N computes: tasks, networks, controls, and how much of each."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from sensitivity.training.data.tasks import get_task
from sensitivity.training.networks.network import Network
from sensitivity.training.networks.ode_network import OdeNetwork
from sensitivity.training.start import Start
from sensitivity.training.trainer import Recipe, Split
from sensitivity.training.units import InUnits

from .images import DIGITS, PIXELS, digits_in_steps

__all__ = [
    "ALSO",
    "CONTROL",
    "DAMPING",
    "FROZEN",
    "FULL",
    "IMAGES",
    "NORMALISED",
    "PAPER",
    "QUICK",
    "ScanPlan",
    "TaskSetting",
]

Float = NDArray[np.float64]

CONTROL = "recent_mean"
DAMPING = 1.0
"""γ of the control's network: only a scale of ε."""
FROZEN, NORMALISED, ANTISYMMETRIC = "W = 0", "normalised read-out", "antisymmetric, γ = 0"
SAME, PAPER = f"{CONTROL}, same network", "the paper's set-up"
IMAGES, IMAGE_LENGTHS = "MNIST, some pixels a step", (14, 28, 56, 112, 196)
"""Handwritten digits, whose 784 pixels are read in so many steps: with 28 row by row."""
ALSO = (FROZEN, NORMALISED, ANTISYMMETRIC, SAME, PAPER, "shock", "xor", IMAGES)
"""Further scans, beside the task's own: networks on the same task, a control, other tasks."""
WIDE = ("shock", "shock_std", "xor", SAME, IMAGES)
"""Scans over the same ε at every N. Their best ε is not known to follow 1/N."""
SEEDS = {"shock": 8, "shock_std": 4, "xor": 2}
"""Further scan → factor on the number of seeds. XOR has no optimum that more of them would find."""
FINER = {"shock": 2}
"""Further scan → factor on the number of ε in a decade, where the distance of two ε is what limits α."""


@dataclass(frozen=True)
class TaskSetting:
    """What all runs of a scan share.

    Attributes
    ----------
    task : str
        A name of `TASKS`.
    d : int
    recipe : Recipe
        Its seed is replaced by the run's.
    train, test : int
        Number of sequences. There are as many for validation, by which ε is chosen, as for test.
    scheme : str
    start : Start
    gamma : float, optional
        Damping: W − Wᵀ − γ I in place of W.
    normalised : bool
        Measure R in a unit for which the scores have root mean square one at the start.
    """

    task: str
    d: int = 10
    recipe: Recipe = field(default_factory=Recipe)
    train: int = 1000
    test: int = 2000
    scheme: str = "leapfrog"
    start: Start = field(default_factory=Start)
    gamma: float | None = None
    normalised: bool = False

    def split(self, n_steps: int, seed: int) -> Split:
        """Fresh sequences for training, test and validation, for a length and a seed."""
        if self.task == IMAGES:
            return digits_in_steps(n_steps, seed, self.train, self.test)
        task, rng = get_task(self.task), np.random.default_rng((seed, n_steps))
        train, test, validation = (task.sample(n, n_steps, rng) for n in (self.train, self.test, self.test))
        return Split(train, test, validation)

    @property
    def classes(self) -> int:
        return DIGITS if self.task == IMAGES else 2

    def network(self, n_steps: int, step: float) -> OdeNetwork:
        n_inputs = PIXELS // n_steps if self.task == IMAGES else 1
        return OdeNetwork(
            self.d, n_steps, step, n_inputs=n_inputs, n_classes=self.classes, scheme=self.scheme,
            gamma=self.gamma, threads=1,
        )  # fmt: skip

    def begun(self, n_steps: int, step: float, seed: int, data: Split) -> tuple[Network, Float]:
        """The network of a run and its first parameters."""
        own = self.network(n_steps, step)
        theta = self.start.draw(own, seed)
        if not self.normalised:
            return own, theta
        scores = own.scores(theta, data.train.batch(slice(0, 200))[0])
        size = float(np.sqrt((scores**2).mean()))
        # Only where the state has left float64 is there no such unit; such a run is lost in any units.
        measured = InUnits(own, {"R": 1.0 / size if 0.0 < size < math.inf else 1.0})
        return measured, self.start.draw(measured, seed)


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
    wide_window : pair of float
        The same for tasks and controls whose best ε is not known to follow 1/N.
    also : tuple of str
        Which of `ALSO` are run.
    seed : int
        The first seed; the others follow.
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
    wide_window: tuple[float, float] = (0.01, 2.6)
    also: tuple[str, ...] = ()
    seed: int = 0

    def seeds_of(self, name: str = "") -> range:
        """The seeds of a scan: two for the paper's hundred ε, which cost ten times as much as the others, and
        several times as many as usual for tasks on which runs differ most."""
        count = min(2, self.seeds) if name == PAPER else self.seeds * SEEDS.get(name, 1)
        return range(self.seed, self.seed + count)

    def lengths_of(self, name: str) -> tuple[int, ...]:
        """The N of a scan; an image has a number of pixels that most lengths do not divide."""
        return IMAGE_LENGTHS if name == IMAGES else self.lengths

    def grid(self, n: int, shift: float = 1.0) -> Float:
        """ε on the common grid 10^(j/a_decade) with N ε · √s in the window."""
        low, high = self.window
        return self._between(low / (n * shift), high / (n * shift))

    def control_grid(self) -> Float:
        """ε of the same common grid in the control's window."""
        return self._between(*self.control_window)

    def _between(self, *edges: float, finer: int = 1) -> Float:
        a_decade = self.a_decade * finer
        low, high = (math.log10(edge) * a_decade for edge in edges)
        return 10.0 ** (np.arange(math.ceil(low - 1e-9), math.floor(high + 1e-9) + 1) / a_decade)

    def grids(self, name: str) -> list[Float]:
        """The ε of a scan over N, by the name of its task or by its name in `ALSO`."""
        if name == PAPER:
            return [np.linspace(0.01, 1.0, 100)] * len(self.lengths)
        if name in WIDE:
            finer = FINER.get(name, 1)
            return [self._between(*self.wide_window, finer=finer)] * len(self.lengths_of(name))
        return [self.grid(n) for n in self.lengths]

    def setting(self, task: str) -> TaskSetting:
        """A task with the paper's network. On shock preservation and XOR a thousand sequences are learned by
        heart: there are four thousand, for as many iterations."""
        recipe = Recipe(rate=3e-3, batch=100, epochs=self.epochs, clip=None)
        if task in WIDE:
            recipe = replace(recipe, rate=1e-2, epochs=max(1, self.epochs // 4), clip=0.1)
            return TaskSetting(task, recipe=recipe, train=4000)
        return TaskSetting(task, recipe=recipe)

    def control_setting(self) -> TaskSetting:
        return replace(self.setting(CONTROL), scheme="euler", gamma=DAMPING)

    def further(self, name: str, task: str) -> TaskSetting:
        """What a scan of `ALSO` trains, beside the task of the experiment."""
        own = self.setting(task)
        if name == FROZEN:  # a factor on the rate is positive; with this one W stays below 1e-12
            kept = replace(own.recipe, factors={"W": 1e-12})
            return replace(own, start=replace(own.start, weight_scale=0.0), recipe=kept)
        if name == ANTISYMMETRIC:
            return replace(own, scheme="euler", gamma=0.0)
        if name == NORMALISED:
            return replace(own, normalised=True)
        if name == PAPER:
            return replace(own, test=1000, recipe=replace(own.recipe, rate=1e-3))
        return self.setting(CONTROL if name == SAME else name)


LENGTHS, SCALES = (10, 20, 40, 80, 160, 320), (1 / 16, 1.0, 16.0)
QUICK = ScanPlan(LENGTHS, (20, 80, 320), 3, 4, (0.25, 40.0), 15, SCALES, 20)
FULL = ScanPlan(LENGTHS, LENGTHS, 5, 5, (0.6, 40.0), 40, SCALES, 40, also=ALSO)
