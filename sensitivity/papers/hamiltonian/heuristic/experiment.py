"""Does the best step follow ε ∝ 1/N? The experiment of section 4 and Figure 4, with controls.

Rusch, Pearson, Zygalakis (2019), equation (14). One network is trained for every ε on a grid, everything else
fixed. ε*(N) is the ε of the best accuracy on validation sequences; what is reached there is told by test
sequences that were not looked at before. What the experiment adds: the whole set of ε within one standard
error of the best, the edges of the range in which the network learns, intervals for the exponents, networks
and tasks for which nothing speaks for 1/N, the gradient along training, and the scan repeated with W scaled
(theorem G).

A control has a memory that does not grow with N: the answer is in the last ten inputs, and the network
W − Wᵀ − γ I by Euler's method forgets after a time 1/γ. What counts is 10 ε γ, in which no N appears.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integrators.singular_values import spectral_norm
from sensitivity.analysis.jacobians import jacobian_norm
from sensitivity.papers.runs import TrainingJob, TrainingRuns
from sensitivity.studies.storage.job import Arrays
from sensitivity.training.start import Start
from sensitivity.training.trainer import Diverged, accuracy, train

from .optimum import GUESSING, Optimum, PowerLaw, optimum, power_laws
from .plan import QUICK, ScanPlan, TaskSetting

__all__ = ["AccuracyRun", "Experiment", "GradientTrace", "Scan", "TraceRun", "run_experiment"]

Float = NDArray[np.float64]

SEQUENCES = 5
"""Test sequences along which the gradient norm is computed; its median is kept."""


@dataclass(frozen=True)
class Scan:
    """Accuracies over ε for several values of a variable (N, or the scale of W).

    Attributes
    ----------
    variable : tuple of float
    steps, accuracy, test : list of ndarray
        For each value: ε (points,), and accuracies on validation and on test sequences (points, seeds).
    laws : mapping
        Name in `LAWS` → the power law.
    guess : float
        The accuracy of guessing.
    """

    variable: tuple[float, ...]
    steps: list[Float]
    accuracy: list[Float]
    test: list[Float]
    laws: Mapping[str, PowerLaw]
    guess: float = GUESSING

    @classmethod
    def of(
        cls,
        variable: Sequence[float],
        steps: list[Float],
        accuracy: list[Float],
        test: list[Float] | None = None,
        guess: float = GUESSING,
    ) -> Scan:
        laws = power_laws(variable, steps, accuracy, guess)
        return cls(tuple(variable), steps, accuracy, accuracy if test is None else test, laws, guess)

    @property
    def law(self) -> PowerLaw:
        """Through the centres of the sets within one standard error."""
        return self.laws["centre"]

    @property
    def optima(self) -> list[Optimum]:
        curves = zip(self.steps, self.accuracy, strict=True)
        return [optimum(steps, values, self.guess) for steps, values in curves]

    @property
    def reached(self) -> list[float]:
        """Mean test accuracy at the ε that has the best validation accuracy."""
        return [
            float(test[values.mean(axis=1).argmax()].mean())
            for values, test in zip(self.accuracy, self.test, strict=True)
        ]


@dataclass(frozen=True)
class GradientTrace:
    """One run, followed: gradient norm, ‖W‖ and its bound at each epoch.

    Attributes
    ----------
    step : float
    norm : list of float
        Median of ‖∂y_N/∂y_0‖₂ over a few test sequences.
    weight : list of float
        ‖W‖₂.
    bound : list of float
        cosh(Nε√‖W‖) of theorem B.
    accuracy : list of float
        NaN if the run diverged.
    """

    step: float
    norm: list[float]
    weight: list[float]
    bound: list[float]
    accuracy: list[float]


@dataclass(frozen=True)
class Experiment:
    """Everything that was found.

    Attributes
    ----------
    task : str
    plan : ScanPlan
    main, control : Scan
        Over N, for the task and for the control.
    also : dict
        Name in `ALSO` → a further scan over N.
    collapse : dict
        "W scaled", "W and readout scaled" → a scan over the scale s of W.
    collapse_weight : float
        Mean of ‖W‖₂ at s = 1.
    traces : list of GradientTrace
        At ε = 1/N, and at the best ε that was found.
    """

    task: str
    plan: ScanPlan
    main: Scan
    control: Scan
    also: dict[str, Scan]
    collapse: dict[str, Scan]
    collapse_weight: float
    traces: list[GradientTrace]

    def spread(self, name: str) -> tuple[float, float]:
        """How far the curves of a collapse lie apart: over ε, and over Nε√‖W‖.

        Root mean square over a common grid of the deviation of each mean curve from their mean.
        """
        scan, n = self.collapse[name], self.plan.collapse_length
        plain = [np.log(steps) for steps in scan.steps]
        shared = [
            np.log(n * steps * math.sqrt(s)) for s, steps in zip(scan.variable, scan.steps, strict=True)
        ]
        return _spread(plain, scan.accuracy), _spread(shared, scan.accuracy)


def _spread(axes: list[Float], accuracy: list[Float]) -> float:
    """Where all curves are defined; where they have no common range, the ends are continued."""
    low, high = min(x[0] for x in axes), max(x[-1] for x in axes)
    grid = np.linspace(low, high, 60)
    curves = np.array([np.interp(grid, x, a.mean(axis=1)) for x, a in zip(axes, accuracy, strict=True)])
    return float(np.sqrt(((curves - curves.mean(axis=0)) ** 2).mean()))


@dataclass(frozen=True)
class _ScanJob(TrainingJob):
    """Of a network at one ε; data, first weights and order of the batches depend on the seed alone."""

    setting: TaskSetting
    n_steps: int
    step: float
    seed: int


@dataclass(frozen=True)
class AccuracyRun(_ScanJob):
    """Accuracies on validation and test sequences after training."""

    experiment, result = "accuracy", ("accuracy", 2)

    def compute(self) -> dict[str, Float]:
        data = self.setting.split(self.n_steps, self.seed)
        network, theta = self.setting.begun(self.n_steps, self.step, self.seed, data)
        recipe = replace(self.setting.recipe, seed=self.seed, check_every=10**9)
        try:
            theta = train(network, replace(data, validation=None, blind=True), recipe, theta).theta
        except Diverged as stopped:  # the accuracy is that of the last good parameters
            theta = stopped.theta
        assert data.validation is not None
        return {"accuracy": np.array([accuracy(network, theta, one) for one in (data.validation, data.test)])}

    @property
    def seconds(self) -> float:
        return 1e-2 * (self.n_steps + 50.0)


@dataclass(frozen=True)
class TraceRun(_ScanJob):
    """The gradient along one run: norm, weight, bound and accuracy at each look; then NaN."""

    experiment = "trace"

    def compute(self) -> dict[str, Float]:
        n, looks = self.n_steps, []
        data, network = self.setting.split(n, self.seed), self.setting.network(n, self.step)
        place = network.scheme, self.step, n

        def watch(theta: Float) -> dict[str, Any]:
            field, weight = network.field(theta), float(spectral_norm(network.weights(theta)))
            norms = [jacobian_norm(field, *place, inputs=data.test.values[:, :, q], threads=1, progress=False)
                     for q in range(SEQUENCES)]  # fmt: skip
            exponent = n * self.step * math.sqrt(weight)
            bound = math.cosh(exponent) if exponent < 700.0 else math.inf
            looks.append((float(np.median(norms)), weight, bound))
            return {}

        found = np.full(self.shapes()["trace"], np.nan)
        with suppress(Diverged):
            recipe = replace(self.setting.recipe, seed=self.seed)
            run = train(network, data, recipe, self.setting.start.draw(network, self.seed), watch=watch)
            found[3, : len(looks)] = run.trace.accuracy
        found[:3, : len(looks)] = np.reshape(looks, (-1, 3)).T
        return {"trace": found}

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"trace": (4, self.setting.recipe.epochs + 1)}

    @property
    def seconds(self) -> float:
        return 3e-2 * (self.n_steps + 50.0)

    def trace(self, arrays: Arrays) -> GradientTrace:
        """What was found, up to the last look."""
        found = arrays["trace"]
        return GradientTrace(self.step, *found[:, ~np.isnan(found[1])].tolist())


def run_experiment(
    task: str = "gaussian_mean", plan: ScanPlan = QUICK, runs: TrainingRuns | None = None, **options: Any
) -> Experiment:
    """Run it all.

    Parameters
    ----------
    task : str
        A name of `TASKS`.
    plan : ScanPlan
    runs : TrainingRuns, optional
        What computes it; made from the options where it is not given.
    **options
        `threads` and `progress` of `TrainingRuns`.
    """
    runs, setting = runs or TrainingRuns(**options), plan.setting(task)

    def over(own: TaskSetting, lengths: tuple[int, ...], grids: list[Float], name: str = "") -> Scan:
        where = [(own, n, grid) for n, grid in zip(lengths, grids, strict=True)]
        return _scan(name or own.task, lengths, where, plan.seeds_of(name), runs)

    main, same = over(setting, plan.lengths, plan.grids(task)), [plan.control_grid()]
    control = over(plan.control_setting(), plan.control_lengths, same * len(plan.control_lengths), "control")
    also = {
        name: over(plan.further(name, task), plan.lengths_of(name), plan.grids(name), name)
        for name in plan.also
        if name != task
    }
    both = {"W scaled": False, "W and readout scaled": True}
    collapse = {name: _collapse(setting, plan, readout, runs) for name, readout in both.items()}
    network = setting.network(plan.collapse_length, 1.0)
    norms = [spectral_norm(network.weights(setting.start.draw(network, seed))) for seed in plan.seeds_of()]
    steps = (1.0 / plan.trace_length, _best_step(main, plan.trace_length))
    jobs = [TraceRun(setting, plan.trace_length, step, plan.seed) for step in steps]
    found = runs(jobs, "gradient along training")
    traces = [job.trace(arrays) for job, arrays in zip(jobs, found, strict=True)]
    return Experiment(task, plan, main, control, also, collapse, float(np.mean(norms)), traces)


def _scan(
    label: str,
    variable: Sequence[float],
    where: Sequence[tuple[TaskSetting, int, Float]],
    seeds: range,
    runs: TrainingRuns,
) -> Scan:
    """Accuracies for each value of the variable: its setting and length, with its grid of ε."""
    jobs = [AccuracyRun(setting, n, step, seed)
            for setting, n, grid in where for step in grid.tolist() for seed in seeds]  # fmt: skip
    found = iter([arrays["accuracy"] for arrays in runs(jobs, label)])
    grids = [grid for _, _, grid in where]
    parts = [np.array([next(found) for _ in range(grid.size * len(seeds))]).reshape(-1, len(seeds), 2)
             for grid in grids]  # fmt: skip
    validation, test = ([part[:, :, i] for part in parts] for i in (0, 1))
    return Scan.of(variable, grids, validation, test, 1.0 / where[0][0].classes)


def _best_step(scan: Scan, n: int) -> float:
    """ε* at the length nearest to n, moved to n by 1/N."""
    at = int(np.argmin(np.abs(np.log(np.array(scan.variable) / n))))
    return scan.optima[at].centre * scan.variable[at] / n


def _collapse(setting: TaskSetting, plan: ScanPlan, readout: bool, runs: TrainingRuns) -> Scan:
    """The scan over ε for W scaled by s; with `readout`, R too, as theorem G has it."""
    n = plan.collapse_length
    settings = [
        replace(setting, start=Start(weight_scale=s, readout_scale=s if readout else 1.0))
        for s in plan.scales
    ]
    # The predicted optimum is at s^(-1/2), the other possibility at 1: each curve's grid holds both.
    edges = [
        sorted((plan.grid(n), plan.grid(n, math.sqrt(s))), key=lambda grid: grid[0]) for s in plan.scales
    ]
    grids = [np.unique(np.concatenate([low, high]).round(12)) for low, high in edges]
    where = [(one, n, grid) for one, grid in zip(settings, grids, strict=True)]
    return _scan("collapse", plan.scales, where, plan.seeds_of(), runs)
