"""Which network learns a task in the fewest iterations: a search over its settings, then fresh seeds.

Tables 1 and 2, Figures 6 and 7 of Rusch, Pearson, Zygalakis (2019). As in the paper, training stops at 90 %
test accuracy, and a network is shown at the setting that gets there first. Settings are chosen by runs that
stop at 90 % of *validation* sequences, with seeds of their own. The paper does not print its sizes of data
sets, its grids or its budget: ours are in `ContestPlan`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from sensitivity.analysis.jacobians import log_jacobian_norm
from sensitivity.papers.runs import NotRunYet, TrainingJob, TrainingRuns
from sensitivity.recurrences.cell import unroll
from sensitivity.training.data.tasks import get_task
from sensitivity.training.networks.cell_network import CellNetwork
from sensitivity.training.networks.network import Network
from sensitivity.training.networks.ode_network import OdeNetwork
from sensitivity.training.trainer import Diverged, Recipe, Split, train
from sensitivity.training.units import InUnits

from .contest_plan import FIGURES, TABLES, Candidate, ContestPlan, Entrant

__all__ = ["ContestRun", "RunOutcome", "TableEntry", "median", "median_interval", "run_contest"]

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
    iterations : int, optional
        Budget of a run, where its time allows fewer than the plan has.
    """

    task: str
    n_steps: int
    entrant: str
    setting: Candidate | None
    outcomes: tuple[RunOutcome, ...] = ()
    searched: tuple[tuple[Candidate, tuple[RunOutcome, ...]], ...] = ()
    iterations: int | None = None

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

    @property
    def interval(self) -> tuple[float, float] | None:
        """A 95 % interval of the median over all seeds; infinite above where runs did not get there."""
        return median_interval(self.outcomes)

    def same_but_for_epsilon(self, other: TableEntry) -> bool:
        """Whether the settings differ in c alone."""
        mine, yours = self.setting, other.setting
        place = (self.task, self.n_steps) == (other.task, other.n_steps)
        return place and mine is not None and yours is not None and replace(mine, c=yours.c) == yours

    def data(self) -> dict[str, Any]:
        """For JSON."""
        more = {"median": self.median, "span": self.span, "interval": self.interval}
        return {**asdict(self), **more}


def median(outcomes: Sequence[RunOutcome]) -> float | None:
    """Median of the iterations with "not reached" as infinity; None where that is the median."""
    found = [np.inf if one.reached is None else float(one.reached) for one in outcomes]
    middle = float(np.median(found)) if found else np.inf
    return middle if np.isfinite(middle) else None


def median_interval(outcomes: Sequence[RunOutcome]) -> tuple[float, float] | None:
    """The 95 % interval of the median between two order statistics, with "not reached" as infinity.

    It holds for every distribution: so many of n runs are below the median as heads fall in n throws. Fewer
    than six runs have no such interval, since all of them are on one side too often.
    """
    found = sorted(math.inf if one.reached is None else float(one.reached) for one in outcomes)
    outside = int(binom.ppf(0.025, len(found), 0.5)) if found else 0
    return (found[outside - 1], found[-outside]) if outside > 0 else None


def _rank(outcomes: Sequence[RunOutcome]) -> tuple[float, float]:
    """Smaller is better: fewest iterations, or else the highest accuracy."""
    middle = median(outcomes)
    return (np.inf if middle is None else middle, -float(np.median([one.best for one in outcomes])))


@dataclass(frozen=True)
class ContestRun(TrainingJob):
    """One run, with all that its result depends on; a search looks at validation sequences."""

    experiment, result = "contest", ("outcome", 5)

    task: str
    n_steps: int
    setting: Candidate
    seed: int
    train: int
    test: int
    recipe: Recipe
    validation: bool = False

    def compute(self) -> dict[str, Float]:
        reached, best, hidden, *gradient = _run(self)
        found = [np.nan if reached is None else reached, best, hidden, *(gradient or (np.nan, np.nan))]
        return {"outcome": np.array(found)}

    @property
    def seconds(self) -> float:
        """Of one core, to the end of the budget."""
        iterations = self.recipe.epochs * (self.train / self.recipe.batch)
        return self.setting.iteration_seconds(self.n_steps) * iterations


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


Place = tuple[str, int, Entrant]
Tried = dict[tuple[int, Candidate], tuple[RunOutcome, ...]]


def run_contest(plan: ContestPlan, runs: TrainingRuns | None = None, **options: Any) -> list[TableEntry]:
    """All cells of the tables.

    Cells that are expected to take least come first, and tasks of which the paper draws a figure before
    others: wherever the contest is stopped, most cells are there.

    Parameters
    ----------
    plan : ContestPlan
    runs : TrainingRuns, optional
        What computes them; made from the options where it is not given. Where it is to compute nothing, cells
        whose runs are not kept have no setting.
    **options
        `threads` and `progress` of `TrainingRuns`.
    """
    runs = runs or TrainingRuns(**options)
    places = [(task, n, entrant) for task, lengths in plan.tasks.items() for n in lengths
              for entrant in plan.entrants]  # fmt: skip
    waiting = [place for place in places if place[1] <= place[2].longest]
    contest, cells = _Contest(plan, runs), {}
    while waiting:
        place = min(waiting, key=lambda place: (place[0] not in FIGURES, contest.expected(place)))
        waiting.remove(place)
        with suppress(NotRunYet):
            cells[place] = contest.cell(place)
    return [cells.get(place, TableEntry(place[0], place[1], place[2].name, None)) for place in places]


class _Contest:
    """What was found in searches so far, and cells by means of it."""

    def __init__(self, plan: ContestPlan, runs: TrainingRuns) -> None:
        self._plan, self._runs = plan, runs
        self._tried: dict[tuple[str, str], Tried] = {}
        self._best: dict[tuple[str, str], tuple[Candidate, float | None]] = {}

    def cell(self, place: Place) -> TableEntry:
        """A cell: fresh runs with the setting that is best in the search, which is made once a column."""
        task, n, entrant = place
        column = task, entrant.name
        if column not in self._best:
            self._tried[column], self._best[column] = self._search(task, entrant)
        setting = self._best[column][0]
        first, fresh = self._plan.first(task, n), self._plan.fresh(task, n)
        found = self._outcomes(place, {setting: first}, "fresh seeds")[setting]
        if any(one.reached is not None for one in found) and len(fresh) > len(first):
            with suppress(NotRunYet):
                found += self._outcomes(place, {setting: fresh[len(first) :]}, "more seeds")[setting]
        tried = tuple((one, outcomes) for (at, one), outcomes in self._tried[column].items() if at == n)
        limit = self._plan.affordable(setting, n)
        fewer = limit if limit < min(entrant.most, self._plan.budget(task)) else None
        return TableEntry(task, n, entrant.name, setting, found, tried, fewer)

    def _search(self, task: str, entrant: Entrant) -> tuple[Tried, tuple[Candidate, float | None]]:
        """Runs of all settings at the shortest lengths; the best setting with its median.

        Until a setting gets there, the better half of them has a larger budget at the shortest length.
        """
        plan, tried = self._plan, {}
        for n in plan.searched(task):
            if n <= entrant.longest:
                found = self._outcomes((task, n, entrant), dict.fromkeys(entrant.grid, plan.search), "search")
                tried |= {(n, setting): outcomes for setting, outcomes in found.items()}
        judged = {setting: [one for (_, at), outcomes in tried.items() if at == setting for one in outcomes]
                  for setting in entrant.grid}  # fmt: skip
        shortest = (task, plan.searched(task)[0], entrant)
        for turn in range(1, plan.search_rounds):
            order = sorted(judged, key=lambda setting: _rank(judged[setting]))
            if len(order) == 1 or median(judged[order[0]]) is not None:
                break
            left = dict.fromkeys(order[: max(1, len(order) // 2)], plan.search)
            judged = self._outcomes(shortest, left, "search", turn)
            tried |= {(shortest[1], setting): outcomes for setting, outcomes in judged.items()}
        best = min(judged, key=lambda setting: _rank(judged[setting]))
        return tried, (best, median(judged[best]))

    def expected(self, place: Place) -> float:
        """Seconds of one core until a cell is there, by what is known."""
        task, n, entrant = place
        plan, column = self._plan, (task, entrant.name)
        if column in self._best:
            setting, took = self._best[column]
            share = 1.0 if took is None else min(1.0, 4.0 * took / plan.budget(task))
            return share * sum(job.seconds for job in self._jobs(place, {setting: plan.first(task, n)}))
        search = [(task, one, entrant) for one in plan.searched(task) if one <= entrant.longest]
        grid = dict.fromkeys(entrant.grid, plan.search)
        fresh = self._jobs(place, {entrant.grid[-1]: plan.first(task, n)})
        return sum(job.seconds for one in search for job in self._jobs(one, grid)) + sum(
            job.seconds for job in fresh
        )

    def _jobs(self, place: Place, asked: Mapping[Candidate, range], turn: int = 0) -> list[ContestRun]:
        (task, n, entrant), plan = place, self._plan
        most = {setting: min(entrant.most, plan.affordable(setting, n)) for setting in asked}
        return [
            ContestRun(
                task, n, setting, seed, plan.train, plan.test,
                plan.recipe(setting.rate, seed, task, most[setting], turn), seed in plan.search,
            )
            for setting, seeds in asked.items()
            for seed in seeds
        ]  # fmt: skip

    def _outcomes(
        self, place: Place, asked: Mapping[Candidate, range], label: str, turn: int = 0
    ) -> dict[Candidate, tuple[RunOutcome, ...]]:
        """Runs of settings at a place, each for some seeds."""
        task, n, entrant = place
        label = f"{TABLES[task]}, N = {n}, {entrant.name}: {label}"
        found = iter(self._runs(self._jobs(place, asked, turn), label))
        return {setting: tuple(RunOutcome.of(next(found)["outcome"]) for _ in seeds)
                for setting, seeds in asked.items()}  # fmt: skip
