"""What the same processor time buys on sequential MNIST: a search on few images, then fresh runs on all.

Every network has as many seconds of one core, whatever its step costs. Its setting is the one whose trials
have the best accuracy on images that are set aside from the training images; the test images are looked at
once, at the end of a run with the setting that was chosen. A run that is stopped goes on from its last epoch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensitivity.papers.runs import TrainingJob, TrainingRuns, write_files, written_experiment
from sensitivity.text import markdown_table
from sensitivity.training.data.sequences import Sequences, some_of
from sensitivity.training.models import Shape, make_network
from sensitivity.training.networks.network import Network
from sensitivity.training.start import Start
from sensitivity.training.trainer import Diverged, Recipe, Split, accuracy, train

from .images import PIXELS, VALIDATION, digits

__all__ = ["BUDGET", "Bought", "BudgetPlan", "Contender", "ImageRun", "Setup", "run_budget", "write_budget"]

Float = NDArray[np.float64]

BATCH = 32
"""Sequences in a batch. A step of four times as many takes four times as long (3.5 times for LSTM, coRNN and
LEM), and in the same processor time the Hamiltonian network learns less from them: 91.1 % of validation
images after 10 epochs on 10 000 images, where 32 give 92.5 % and 16 give 92.3 %."""
TRAINING = 60000
"""Images for training and validation together."""


def _epoch_seconds(microseconds: float, images: int) -> float:
    """Of one core, where a step of `BATCH` sequences takes so many microseconds."""
    return 1e-6 * microseconds * PIXELS * images / BATCH


@dataclass(frozen=True)
class Setup:
    """One setting of a network.

    Attributes
    ----------
    model : str
        A name of `sensitivity.training.models.MODELS`.
    d : int
    rate : float
        Of Adam; it falls along half a cosine.
    settings : mapping
        Of the model.
    start : Start
    factors : mapping
        Name of a parameter → factor on its rate.
    """

    model: str
    d: int
    rate: float
    settings: Mapping[str, float] = field(default_factory=dict, hash=False)
    start: Start = field(default_factory=Start)
    factors: Mapping[str, float] = field(default_factory=dict, hash=False)

    def network(self, data: Sequences) -> Network:
        shape = Shape(self.d, data.n_steps, data.n_inputs, data.n_classes, threads=1)
        return make_network(self.model, shape, **self.settings)

    def text(self) -> str:
        parts = [f"d = {self.d}", f"rate {self.rate:g}"]
        parts += [f"{name} = {value:.4g}" for name, value in self.settings.items()]
        parts += [f"rate of {name} × {factor:g}" for name, factor in self.factors.items()]
        return ", ".join([*parts, f"start {self.start.kind}"])


@dataclass(frozen=True)
class Contender:
    """A network and the settings it may choose from.

    Attributes
    ----------
    name : str
    microseconds : float
        A step of `BATCH` sequences with its gradient takes so long, measured on one core.
    setups : tuple of Setup
        All of one cost.
    """

    name: str
    microseconds: float
    setups: tuple[Setup, ...]


@dataclass(frozen=True)
class BudgetPlan:
    """How much to run.

    Attributes
    ----------
    contenders : tuple of Contender
    hours : float
        Of one core, for one run on all images; epochs follow from it and from what a step takes.
    seeds, seed : int
        Fresh runs, and the first of their seeds; trials have the seed after the last.
    trial, trial_epochs : int
        Images and epochs of a trial.
    validation : int
        Images that are set aside.
    batch : int
    tasks : tuple of str
        "mnist", and "pmnist" with the pixels in another order.
    """

    contenders: tuple[Contender, ...]
    hours: float = 0.5
    seeds: int = 3
    seed: int = 0
    trial: int = 10000
    trial_epochs: int = 3
    validation: int = VALIDATION
    batch: int = BATCH
    tasks: tuple[str, ...] = ("mnist", "pmnist")

    def epochs(self, contender: Contender) -> int:
        """As many as the budget pays for."""
        seconds = _epoch_seconds(contender.microseconds, TRAINING - self.validation)
        return max(1, int(3600.0 * self.hours / seconds))

    def recipe(self, setup: Setup, epochs: int, seed: int) -> Recipe:
        return Recipe(setup.rate, self.batch, epochs, seed, cosine=True, factors=setup.factors)


@dataclass(frozen=True)
class ImageRun(TrainingJob):
    """One run; a trial is one on fewer images.

    Attributes
    ----------
    images : int
        Number of training images, 0 for all that are left.
    data, place : str, optional
        Where the images are, and where a checkpoint may be; no number depends on them.
    """

    experiment, result = "images", ("outcome", 3)
    task: str
    setup: Setup
    recipe: Recipe
    validation: int
    images: int = 0
    microseconds: float = field(default=100.0, compare=False)
    data: str | None = field(default=None, compare=False)
    place: str | None = field(default=None, compare=False)

    def compute(self) -> dict[str, Float]:
        split = digits(self.data, self.task, self.validation)
        train_on = some_of(split.train, self.images, 0, "images") if self.images else split.train
        network = self.setup.network(train_on)
        theta, checkpoint = self.setup.start.draw(network, self.recipe.seed), None
        if self.place is not None and not self.images:
            checkpoint = Path(self.place) / f"{self.address[:16]}.npz"
        try:
            run = train(
                network, Split(train_on, split.test, blind=True), self.recipe, theta, checkpoint=checkpoint
            )
            theta = run.theta
        except Diverged as stopped:  # what counts are the last good parameters
            theta = stopped.theta
        assert split.validation is not None
        found = [accuracy(network, theta, split.validation)]
        found.append(np.nan if self.images else accuracy(network, theta, split.test))
        if checkpoint is not None:
            checkpoint.unlink(missing_ok=True)
        return {"outcome": np.array([*found, network.recurrent_parameters])}

    @property
    def seconds(self) -> float:
        images = self.images or TRAINING - self.validation
        return self.recipe.epochs * _epoch_seconds(self.microseconds, images)


@dataclass(frozen=True)
class Bought:
    """A network on a task.

    Attributes
    ----------
    contender, task : str
    epochs : int
    trials : tuple of (Setup, float)
        Settings and the accuracy of their trials on validation images.
    setup : Setup or None
        The one that was chosen, by the trials on the task "mnist"; None where there are no runs yet.
    hidden : int
        Free parameters of the hidden-to-hidden map.
    validation, test : tuple of float
        Accuracies of the fresh runs.
    """

    contender: str
    task: str
    epochs: int
    trials: tuple[tuple[Setup, float], ...] = ()
    setup: Setup | None = None
    hidden: int = 0
    validation: tuple[float, ...] = ()
    test: tuple[float, ...] = ()

    def with_run(self, validation: float, test: float, hidden: float) -> Bought:
        """The same with one more run."""
        more = {"validation": (*self.validation, validation), "test": (*self.test, test)}
        return replace(self, hidden=int(hidden), **more)

    def data(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def text(self) -> str:
        """Mean test accuracy and its range."""
        if not self.test:
            return "not run"
        low, high = 100 * min(self.test), 100 * max(self.test)
        runs = f"{low:.2f}–{high:.2f}, {len(self.test)} runs" if len(self.test) > 1 else "1 run"
        return f"{100 * float(np.mean(self.test)):.2f} % ({runs})"


def run_budget(
    plan: BudgetPlan, runs: TrainingRuns | None = None, *, data: str | None = None, **options: Any
) -> list[Bought]:
    """Every network on every task: its trials, then fresh runs, the first task and the first seeds first.

    Parameters
    ----------
    plan : BudgetPlan
    runs : TrainingRuns, optional
        What computes them; made from the options where it is not given. Where it is to compute nothing,
        networks whose runs are not kept have none.
    data : str, optional
        The folder of the images; `LEAPGRAD_DATA` where it is not given.
    **options
        `threads` and `progress` of `TrainingRuns`.
    """
    runs = runs or TrainingRuns(**options)
    place = None if runs.folder is None else str(runs.folder)
    search = plan.seed + plan.seeds

    def job(contender: Contender, task: str, setup: Setup, seed: int, images: int = 0) -> ImageRun:
        recipe = plan.recipe(setup, plan.trial_epochs if images else plan.epochs(contender), seed)
        return ImageRun(task, setup, recipe, plan.validation, images, contender.microseconds, data, place)

    found = {(one.name, task): Bought(one.name, task, plan.epochs(one))
             for one in plan.contenders for task in plan.tasks}  # fmt: skip
    for one in plan.contenders:
        tried = runs.each([job(one, "mnist", setup, search, plan.trial) for setup in one.setups],
                          f"{one.name}: trials")  # fmt: skip
        pairs = zip(one.setups, tried, strict=True)
        trials = tuple((setup, float(arrays["outcome"][0])) for setup, arrays in pairs if arrays is not None)
        if len(trials) == len(tried):
            best = max(trials, key=lambda trial: trial[1])[0]
            for task in plan.tasks:
                found[one.name, task] = replace(found[one.name, task], trials=trials, setup=best)
    for task, seed in product(plan.tasks, range(plan.seed, search)):
        asked = [
            (one, own.setup) for one in plan.contenders if (own := found[one.name, task]).setup is not None
        ]
        jobs = [job(one, task, setup, seed) for one, setup in asked if setup is not None]
        for (one, _), arrays in zip(asked, runs.each(jobs, f"{task}, seed {seed}"), strict=True):
            if arrays is not None:
                found[one.name, task] = found[one.name, task].with_run(*arrays["outcome"].tolist())
    return list(found.values())


def page(bought: Sequence[Bought], plan: BudgetPlan, command: str) -> str:
    """README.md: set-up, and the table."""
    by_place = {(one.contender, one.task): one for one in bought}
    rows = []
    for one in plan.contenders:
        mine = [by_place[one.name, task] for task in plan.tasks]
        first, found = mine[0], [each.text() for each in mine]
        setting = first.setup.text() if first.setup is not None else "not searched"
        rows.append((one.name, setting, len(one.setups), first.hidden or "", first.epochs, *found))
    header = ("network", "setting", "of so many", "hidden parameters", "epochs", *plan.tasks)
    planned = len(plan.contenders) * len(plan.tasks) * plan.seeds
    waiting = planned - sum(len(one.test) for one in bought)
    lines = [
        "# What the same processor time buys on sequential MNIST",
        "",
        f"- command: `{command}`",
        *[f"- so far: {waiting} of {planned} runs are not done yet; the same command goes on"]
        * (waiting > 0),
        f"- {plan.hours:g} hours of one core for a run; epochs by what a step takes",
        f"- Adam, batch {plan.batch}, gradients clipped at 1, the rate falls along half a cosine",
        f"- {TRAINING - plan.validation} images for training, {plan.validation} for validation",
        f"- setting: the best on validation images after {plan.trial_epochs} epochs on {plan.trial} images",
        f"- {plan.seeds} fresh seeds; the test images are looked at once, at the end of a run",
        "- pmnist: the same images with their pixels in another order, and the setting found for mnist",
        "",
        *markdown_table(header, rows),
    ]
    return "\n".join([*lines, ""])


def write_budget(
    out: str | Path, plan: BudgetPlan, *, command: str = "", data: str | None = None, **options: Any
) -> tuple[list[Bought], float]:
    """Run it and write README.md, budget.json and the manifest; interrupted, it goes on when called again.

    Returns
    -------
    tuple
        What was bought, and the seconds it took, in all processes together.
    """
    with written_experiment(out, command, asdict(plan), **options) as (folder, runs):
        bought = run_budget(plan, runs, data=data)
        found = {"bought": [one.data() for one in bought]}
        write_files(folder, {"budget.json": found, "README.md": page(bought, plan, command)})
        seconds = runs.seconds
    return bought, seconds


def _pick(
    model: str, d: int, rates: Sequence[float], start: Start | None = None, **more: Any
) -> tuple[Setup, ...]:
    """The same setting with several rates."""
    return tuple(Setup(model, d, rate, start=start or Start(), **more) for rate in rates)


_ROWS = Start("oscillators", input_scale=0.05, turns=(8.0, 35.0), coupling=0.0, rows=28, harmonics=3)
BUDGET = BudgetPlan(
    (
        Contender("Hamiltonian", 24.0, _pick(
            "hamiltonian", 96, (0.005, 0.01), _ROWS, settings={"step": 176 / PIXELS},
            factors={"W": 0.01, "V": 0.1, "b": 0.1},
        )),
        Contender("antisymmetric", 42.0, _pick(
            "antisymmetric", 137, (0.005, 0.01), Start("uniform", input_scale=1.0),
            settings={"step": 16 / PIXELS, "gamma": 0.01},
        )),
        Contender("LSTM, open gates", 64.0, _pick("lstm", 64, (0.002, 0.005, 0.01), Start("chrono"))),
        Contender("coRNN", 66.0, _pick(
            "cornn", 96, (0.002, 0.005, 0.01), settings={"step": 0.042, "gamma": 2.7, "epsilon": 4.7}
        )),
        Contender("LEM", 74.0, _pick("lem", 64, (0.002, 0.005), settings={"step": 0.2})),
        Contender("UnICORNN", 71.0, _pick(
            "unicornn", 64, (0.002, 0.005), settings={"layers": 2, "step": 0.2}
        )),
        Contender("LinOSS, one layer", 40.0, _pick("linoss_im", 64, (0.003, 0.01))),
        Contender("LRU, one layer", 298.0, _pick("lru", 128, (0.003, 0.01))),
    )
)  # fmt: skip
"""Widths for which a step takes about as long, and the settings of the publications.

With 0.03 for W the Hamiltonian network leads in its trials (89.1 against 88.3 %); on all images it diverges.
"""
