"""Which network learns a task in the fewest iterations: a search over its settings, then fresh seeds.

Tables 1 and 2, Figures 6 and 7 of Rusch, Pearson, Zygalakis (2019). As in the paper, training stops at 90 %
test accuracy, and a network is shown at the setting that gets there first. The paper does not print its sizes
of data sets, its grids or its budget: ours are in `Plan`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .kept import Kept
from .models import Shape, make_network
from .scan import run_all
from .start import Start
from .tasks import get_task
from .trainer import Diverged, Recipe, Split, train

__all__ = ["Cell", "Entrant", "Outcome", "Plan", "Setting", "run_contest"]


READOUT = 3.0


@dataclass(frozen=True)
class Setting:
    """One point of an entrant's grid.

    Attributes
    ----------
    model : str
    d : int
    rate : float
    c : float, optional
        ε = c/N.
    step : float, optional
        ε itself, the same for every N. y_N is then of the size of (Nε)², and the readout with its rate is
        divided by that. Gated networks have neither.
    gamma : float, optional
        Of the antisymmetric network.
    """

    model: str
    d: int
    rate: float
    c: float | None = None
    gamma: float | None = None
    step: float | None = None

    def epsilon(self, n_steps: int) -> float | None:
        return self.c / n_steps if self.c is not None else self.step

    def readout(self, n_steps: int) -> float:
        """Factor on the first R and on its rate."""
        return 1.0 if self.step is None else READOUT / (n_steps * self.step) ** 2

    def text(self) -> str:
        parts = [f"d = {self.d}", f"rate {self.rate:g}"]
        parts += [f"ε = {self.c:g}/N"] if self.c is not None else []
        parts += [f"ε = {self.step:g}"] if self.step is not None else []
        parts += [f"γ = {self.gamma:g}"] if self.gamma is not None else []
        return ", ".join(parts)


@dataclass(frozen=True)
class Entrant:
    """A column of a table: a network and the settings it may choose from.

    Attributes
    ----------
    name : str
    grid : tuple of Setting
    longest : int
        Not run on longer sequences; the table says so.
    """

    name: str
    grid: tuple[Setting, ...]
    longest: int = 10**9


@dataclass(frozen=True)
class Plan:
    """How much to run.

    Attributes
    ----------
    tasks : mapping
        Task → lengths.
    entrants : tuple of Entrant
    seeds : int
        Fresh ones for what is shown; the search has seeds of its own.
    search_seeds : int
    iterations : int
        Budget of one run.
    train, test : int
        Number of sequences.
    every : int
        Iterations between two looks at the test accuracy.
    threshold, clip, batch : float
    """

    tasks: Mapping[str, tuple[int, ...]]
    entrants: tuple[Entrant, ...]
    seeds: int
    search_seeds: int
    iterations: int
    train: int = 4000
    test: int = 1000
    every: int = 20
    threshold: float = 0.9
    clip: float = 1.0
    batch: int = 100

    def recipe(self, setting: Setting, n_steps: int, seed: int) -> Recipe:
        epochs = -(-self.iterations // (self.train // self.batch))
        factors = {} if setting.step is None else {"R": setting.readout(n_steps)}
        return Recipe(
            setting.rate, self.batch, epochs, seed, self.clip, self.threshold, self.every, factors=factors
        )


@dataclass(frozen=True)
class Outcome:
    """One run.

    Attributes
    ----------
    reached : int or None
        Iterations until the first look above the threshold.
    best : float
        The best test accuracy at any look.
    hidden : int
        Free parameters of the hidden-to-hidden map.
    """

    reached: int | None
    best: float
    hidden: int


@dataclass(frozen=True)
class Cell:
    """An entrant on a task at a length: its chosen setting, and fresh runs with it.

    Attributes
    ----------
    task : str
    n_steps : int
    entrant : str
    setting : Setting or None
        None where it was not run.
    outcomes : tuple of Outcome
    searched : tuple
        (setting, outcomes of the search) for the whole grid.
    """

    task: str
    n_steps: int
    entrant: str
    setting: Setting | None
    outcomes: tuple[Outcome, ...] = ()
    searched: tuple[tuple[Setting, tuple[Outcome, ...]], ...] = ()

    @property
    def successes(self) -> int:
        return sum(one.reached is not None for one in self.outcomes)

    @property
    def median(self) -> float | None:
        """Median number of iterations, where most runs reached the threshold."""
        return median(self.outcomes)

    @property
    def span(self) -> tuple[int, int] | None:
        """The fewest and the most iterations among the runs that reached the threshold."""
        found = [one.reached for one in self.outcomes if one.reached is not None]
        return (min(found), max(found)) if found else None

    def data(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "median": self.median, "span": self.span}


def median(outcomes: Sequence[Outcome]) -> float | None:
    """Median of the iterations with "not reached" as infinity; None where that is the median."""
    found = [np.inf if one.reached is None else float(one.reached) for one in outcomes]
    middle = float(np.median(found)) if found else np.inf
    return middle if np.isfinite(middle) else None


def _rank(outcomes: Sequence[Outcome]) -> tuple[float, float]:
    """Smaller is better: fewest iterations, or else the highest accuracy."""
    middle = median(outcomes)
    return (np.inf if middle is None else middle, -float(np.median([one.best for one in outcomes])))


@dataclass(frozen=True)
class _Job:
    """One run, with all that its result depends on."""

    task: str
    n_steps: int
    setting: Setting
    seed: int
    train: int
    test: int
    recipe: Recipe


def _run(job: _Job) -> list[Any]:
    task, setting = get_task(job.task), job.setting
    rng = np.random.default_rng((job.seed, job.n_steps))
    data = Split(task.sample(job.train, job.n_steps, rng), task.sample(job.test, job.n_steps, rng))
    shape = Shape(setting.d, job.n_steps, threads=1)
    network = make_network(setting.model, shape, step=setting.epsilon(job.n_steps), gamma=setting.gamma)
    theta = Start(readout_scale=setting.readout(job.n_steps)).draw(network, job.seed)
    try:
        run = train(network, data, job.recipe, theta)
    except Diverged:
        return [None, 0.0, network.recurrent_parameters]
    return [run.reached, run.best_accuracy, network.recurrent_parameters]


Asked = tuple[str, int, Entrant, Setting]


def run_contest(plan: Plan, *, kept: Kept | None = None, **options: Any) -> list[Cell]:
    """All cells of the tables.

    Parameters
    ----------
    plan : Plan
    kept : Kept, optional
    **options
        `threads` and `progress` of `run_all`.
    """
    places = [(task, n, entrant) for task, lengths in plan.tasks.items() for n in lengths
              for entrant in plan.entrants]  # fmt: skip
    run = [(task, n, entrant) for task, n, entrant in places if n <= entrant.longest]
    searched = _outcomes(
        plan, [(*place, setting) for place in run for setting in place[2].grid],
        range(plan.seeds, plan.seeds + plan.search_seeds), "search", kept, **options,
    )  # fmt: skip
    chosen = {
        (task, n, entrant.name): min(entrant.grid, key=lambda s: _rank(searched[task, n, entrant.name, s]))
        for task, n, entrant in run
    }
    final = _outcomes(
        plan, [(*place, chosen[place[0], place[1], place[2].name]) for place in run],
        range(plan.seeds), "fresh seeds", kept, **options,
    )  # fmt: skip
    cells = []
    for task, n, entrant in places:
        key = task, n, entrant.name
        if key not in chosen:
            cells.append(Cell(*key, None))
            continue
        tried = tuple((setting, searched[(*key, setting)]) for setting in entrant.grid)
        cells.append(Cell(*key, chosen[key], final[(*key, chosen[key])], tried))
    return cells


def _outcomes(
    plan: Plan, asked: Sequence[Asked], seeds: range, label: str, kept: Kept | None, **options: Any
) -> dict[tuple[str, int, str, Setting], tuple[Outcome, ...]]:
    """Runs of these settings for all seeds."""
    jobs = [
        _Job(task, n, setting, seed, plan.train, plan.test, plan.recipe(setting, n, seed))
        for task, n, _, setting in asked
        for seed in seeds
    ]

    def cost(job: _Job) -> float:
        width = job.setting.d**2 * (4 if job.setting.model == "lstm" else 1)
        return job.n_steps * (width + 100.0)

    found = run_all(jobs, _run, label=label, cost=cost, kept=kept, **options)
    runs = [Outcome(*one) for one in found]
    return {
        (task, n, entrant.name, setting): tuple(runs[i * len(seeds) : (i + 1) * len(seeds)])
        for i, (task, n, entrant, setting) in enumerate(asked)
    }
