"""Which network learns a task in the fewest iterations: a search over its settings, then fresh seeds.

Tables 1 and 2, Figures 6 and 7 of Rusch, Pearson, Zygalakis (2019). As in the paper, training stops at 90 %
test accuracy, and a network is shown at the setting that gets there first. Settings are chosen by runs that
stop at 90 % of *validation* sequences, with seeds of their own. The paper does not print its sizes of data
sets, its grids or its budget: ours are in `ContestPlan`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensitivity.analysis.jacobians import log_jacobian_norm
from sensitivity.papers.runs import TrainingRuns
from sensitivity.recurrences.cell import unroll
from sensitivity.studies.storage.job import Job
from sensitivity.training.data.tasks import get_task
from sensitivity.training.networks.cell_network import CellNetwork
from sensitivity.training.networks.network import Network
from sensitivity.training.networks.ode_network import OdeNetwork
from sensitivity.training.trainer import Diverged, Recipe, Split, train
from sensitivity.training.units import InUnits

from .contest_plan import Candidate, ContestPlan, Entrant

__all__ = ["ContestRun", "RunOutcome", "TableEntry", "median", "run_contest"]

Float = NDArray[np.float64]


@dataclass(frozen=True)
class RunOutcome:
    """One run.

    Attributes
    ----------
    reached : int or None
        Iterations until the first look above the threshold.
    best : float
        The best test accuracy at any look.
    hidden : int
        Free parameters of the hidden-to-hidden map.
    gradient : pair of float, optional
        ln ‖∂h_N/∂h_0‖₂ at the start and at the end of training, along one test sequence; not in a search.
    """

    reached: int | None
    best: float
    hidden: int
    gradient: tuple[float, float] | None = None

    @classmethod
    def of(cls, numbers: Float) -> RunOutcome:
        """From (reached or NaN, best, hidden, gradient at both ends)."""
        reached, best, hidden, first, last = numbers.tolist()
        gradient = None if math.isnan(first) else (first, last)
        return cls(None if math.isnan(reached) else int(reached), best, int(hidden), gradient)


@dataclass(frozen=True)
class TableEntry:
    """An entrant on a task at a length: its chosen setting, and fresh runs with it.

    Attributes
    ----------
    task : str
    n_steps : int
    entrant : str
    setting : Candidate or None
        None where it was not run.
    outcomes : tuple of RunOutcome
    searched : tuple
        (setting, outcomes of the search) for the whole grid.
    """

    task: str
    n_steps: int
    entrant: str
    setting: Candidate | None
    outcomes: tuple[RunOutcome, ...] = ()
    searched: tuple[tuple[Candidate, tuple[RunOutcome, ...]], ...] = ()

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

    def same_but_for_epsilon(self, other: TableEntry) -> bool:
        """Whether the settings differ in c alone."""
        mine, yours = self.setting, other.setting
        place = (self.task, self.n_steps) == (other.task, other.n_steps)
        return place and mine is not None and yours is not None and replace(mine, c=yours.c) == yours

    def data(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "median": self.median, "span": self.span}


def median(outcomes: Sequence[RunOutcome]) -> float | None:
    """Median of the iterations with "not reached" as infinity; None where that is the median."""
    found = [np.inf if one.reached is None else float(one.reached) for one in outcomes]
    middle = float(np.median(found)) if found else np.inf
    return middle if np.isfinite(middle) else None


def _rank(outcomes: Sequence[RunOutcome]) -> tuple[float, float]:
    """Smaller is better: fewest iterations, or else the highest accuracy."""
    middle = median(outcomes)
    return (np.inf if middle is None else middle, -float(np.median([one.best for one in outcomes])))


@dataclass(frozen=True)
class ContestRun(Job):
    """One run, with all that its result depends on; a search looks at validation sequences."""

    task: str
    n_steps: int
    setting: Candidate
    seed: int
    train: int
    test: int
    recipe: Recipe
    validation: bool = False

    def facts(self) -> dict[str, Any]:
        return {"experiment": "contest", **asdict(self)}

    def compute(self) -> dict[str, Float]:
        reached, best, hidden, *gradient = _run(self)
        found = [np.nan if reached is None else reached, best, hidden, *(gradient or (np.nan, np.nan))]
        return {"outcome": np.array(found)}

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"outcome": (5,)}

    @property
    def seconds(self) -> float:
        """Of one core, to the end of the budget: microseconds a step, measured for batches of 100."""
        gated, d = self.setting.model == "lstm", self.setting.d
        a_step = 0.042 * d**2 + 20.0 if gated else 0.013 * d**2 + 2.0
        return 1.5e-6 * a_step * self.n_steps * self.recipe.epochs * (self.train / self.recipe.batch)


def _run(job: ContestRun) -> list[Any]:
    task, setting = get_task(job.task), job.setting
    rng = np.random.default_rng((job.seed, job.n_steps))
    data = Split(task.sample(job.train, job.n_steps, rng), task.sample(job.test, job.n_steps, rng))
    if job.validation:
        data = replace(data, validation=task.sample(job.test, job.n_steps, rng))
    network = setting.network(job.n_steps)
    first = setting.first(network, job.seed)
    try:
        run = train(network, data, job.recipe, first)
    except Diverged:
        return [None, 0.0, network.recurrent_parameters]
    found = [run.reached, run.best_accuracy, network.recurrent_parameters]
    return found if job.validation else found + [_log_norm(network, one, data) for one in (first, run.theta)]


def _log_norm(network: Network, theta: Float, data: Split) -> float:
    """ln of the norm of the last hidden state's derivative by the first, along one test sequence."""
    inputs = data.test.values[:, :, 0]
    if isinstance(network, InUnits):
        theta, network = theta * network.units, network.network
    if isinstance(network, CellNetwork):
        run = unroll(network.with_theta(theta), inputs=inputs, threads=1, progress=False)
        return float(log_jacobian_norm(run))
    assert isinstance(network, OdeNetwork)
    place = network.scheme, network.step, network.n_steps
    field = network.field(theta)
    return float(log_jacobian_norm(field, *place, inputs=inputs, threads=1, progress=False))


Asked = tuple[str, int, Entrant, Candidate]
Key = tuple[str, int, str, Candidate]


def _key(asked: Asked) -> Key:
    task, n, entrant, setting = asked
    return task, n, entrant.name, setting


def run_contest(plan: ContestPlan, runs: TrainingRuns | None = None, **options: Any) -> list[TableEntry]:
    """All cells of the tables.

    Parameters
    ----------
    plan : ContestPlan
    runs : TrainingRuns, optional
        What computes them; made from the options where it is not given.
    **options
        `threads` and `progress` of `TrainingRuns`.
    """
    runs = runs or TrainingRuns(**options)
    places = [(task, n, entrant) for task, lengths in plan.tasks.items() for n in lengths
              for entrant in plan.entrants]  # fmt: skip
    run = [(task, n, entrant) for task, n, entrant in places if n <= entrant.longest]
    searched = _outcomes(
        plan, [(*place, setting) for place in run if place[1] in plan.searched(place[0])
               for setting in place[2].grid],
        lambda *_: plan.search, "search", runs,
    )  # fmt: skip

    def rank(task: str, entrant: Entrant, setting: Candidate) -> tuple[float, float]:
        found = (searched.get((task, n, entrant.name, setting), ()) for n in plan.searched(task))
        return _rank([one for outcomes in found for one in outcomes])

    chosen = {
        (task, n, entrant.name): min(entrant.grid, key=lambda s: rank(task, entrant, s))
        for task, n, entrant in run
    }
    best = [(*place, chosen[place[0], place[1], place[2].name]) for place in run]
    final = _outcomes(plan, best, lambda *at: _majority(plan.fresh(*at)), "fresh seeds", runs)
    open_ = [one for one in best if any(o.reached is not None for o in final[_key(one)])]
    more = _outcomes(
        plan, open_, lambda *at: plan.fresh(*at)[len(_majority(plan.fresh(*at))) :], "more seeds", runs
    )
    cells = []
    for task, n, entrant in places:
        key = task, n, entrant.name
        if key not in chosen:
            cells.append(TableEntry(*key, None))
            continue
        tried = tuple((s, searched[(*key, s)]) for s in entrant.grid if (*key, s) in searched)
        mine = *key, chosen[key]
        cells.append(TableEntry(*mine, final[mine] + more.get(mine, ()), tried))
    return cells


def _majority(seeds: range) -> range:
    """The first of them: where none of these gets there, the others cannot change the median."""
    return seeds[: len(seeds) // 2 + 1]


def _outcomes(
    plan: ContestPlan,
    asked: Sequence[Asked],
    seeds: Callable[[str, int], range],
    label: str,
    runs: TrainingRuns,
) -> dict[Key, tuple[RunOutcome, ...]]:
    """Runs of these settings for all seeds of a task and length."""
    jobs = [
        ContestRun(
            task, n, setting, seed, plan.train, plan.test,
            plan.recipe(setting.rate, seed, task, entrant.most), seed in plan.search,
        )
        for task, n, entrant, setting in asked
        for seed in seeds(task, n)
    ]  # fmt: skip
    found = iter([RunOutcome.of(arrays["outcome"]) for arrays in runs(jobs, label)])
    return {_key(one): tuple(next(found) for _ in seeds(*one[:2])) for one in asked}
