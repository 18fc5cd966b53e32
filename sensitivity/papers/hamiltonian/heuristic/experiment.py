"""Does the best step follow ε ∝ 1/N? The experiment of section 4 and Figure 4, with controls.

Rusch, Pearson, Zygalakis (2019), equation (14). One network is trained for every ε on a grid, everything else
fixed; ε*(N) is the ε of the best test accuracy. What the experiment adds: the whole set of ε within one
standard error of the best, an interval for the exponent, a control for which nothing speaks for 1/N, the
gradient along training, and the scan repeated with W scaled (theorem G).

The control has a memory that does not grow with N: the answer is in the last ten inputs, and the network
W − Wᵀ − γ I by Euler's method forgets after a time 1/γ. What counts is 10 ε γ, in which no N appears.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensitivity.analysis.jacobians import jacobian_norm
from sensitivity.training.ode_network import OdeNetwork
from sensitivity.training.start import Start
from sensitivity.training.trainer import Diverged, train

from .optimum import Optimum, PowerLaw, fit_power_law, optimum
from .plan import QUICK, Plan
from .scan import Setting, final_accuracy, run_all

__all__ = ["Experiment", "Scan", "Story", "run_experiment"]

Float = NDArray[np.float64]

SEQUENCES = 5
"""Test sequences along which the gradient norm is computed; its median is kept."""


@dataclass(frozen=True)
class Scan:
    """Accuracies over ε for several values of a variable (N, or the scale of W).

    Attributes
    ----------
    variable : tuple of float
    steps, accuracy : list of ndarray
        For each value: ε (points,) and test accuracies (points, seeds).
    law, best_law : PowerLaw
        Through the centres of the sets within one standard error, and through the single best values.
    """

    variable: tuple[float, ...]
    steps: list[Float]
    accuracy: list[Float]
    law: PowerLaw
    best_law: PowerLaw

    @classmethod
    def of(cls, variable: Sequence[float], steps: list[Float], accuracy: list[Float]) -> Scan:
        laws = [fit_power_law(variable, steps, accuracy, centre=centre) for centre in (True, False)]
        return cls(tuple(variable), steps, accuracy, *laws)

    @property
    def optima(self) -> list[Optimum]:
        return [optimum(steps, values) for steps, values in zip(self.steps, self.accuracy, strict=True)]


@dataclass(frozen=True)
class Story:
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
    """

    step: float
    norm: list[float] = field(default_factory=list)
    weight: list[float] = field(default_factory=list)
    bound: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Experiment:
    """Everything that was found.

    Attributes
    ----------
    task : str
    plan : Plan
    main, control : Scan
        Over N, for the task and for the control.
    collapse : dict
        "W scaled", "W and readout scaled" → a scan over the scale s of W.
    collapse_weight : float
        Mean of ‖W‖₂ at s = 1.
    stories : list of Story
        At ε = 1/N, and at the best ε that was found.
    """

    task: str
    plan: Plan
    main: Scan
    control: Scan
    collapse: dict[str, Scan]
    collapse_weight: float
    stories: list[Story]

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
class _Job:
    setting: Setting
    n_steps: int
    step: float
    seed: int


def _scan(
    label: str,
    settings: Sequence[Setting],
    lengths: Sequence[int],
    grids: list[Float],
    seeds: int,
    **options: Any,
) -> list[Float]:
    """Accuracies (points, seeds) for each pair of a setting and a length with its grid."""
    jobs = [
        _Job(setting, n, step, seed)
        for setting, n, grid in zip(settings, lengths, grids, strict=True)
        for step in grid.tolist()
        for seed in range(seeds)
    ]
    splits = {
        (s.task, n, seed): s.split(n, seed)
        for s, n in zip(settings, lengths, strict=True)
        for seed in range(seeds)
    }

    def work(job: _Job) -> float:
        network = job.setting.network(job.n_steps, job.step)
        return final_accuracy(job.setting, network, splits[job.setting.task, job.n_steps, job.seed], job.seed)

    found = np.array(run_all(jobs, work, label=label, cost=lambda job: job.n_steps + 50.0, **options))
    ends = np.cumsum([grid.size * seeds for grid in grids])
    return [part.reshape(-1, seeds) for part in np.split(found, ends[:-1])]


def run_experiment(task: str = "gaussian_mean", plan: Plan = QUICK, **options: Any) -> Experiment:
    """Run it all.

    Parameters
    ----------
    task : str
        A name of `TASKS`.
    plan : Plan
    **options
        `threads`, `progress` and `kept` of `run_all`.
    """
    setting = plan.setting(task)
    main = _over_lengths(setting, plan.lengths, [plan.grid(n) for n in plan.lengths], plan, **options)
    same = [plan.control_grid()] * len(plan.control_lengths)
    control = _over_lengths(plan.control_setting(), plan.control_lengths, same, plan, **options)
    collapse = {
        "W scaled": _collapse(setting, plan, False, **options),
        "W and readout scaled": _collapse(setting, plan, True, **options),
    }
    network = setting.network(plan.collapse_length, 1.0)
    norms = [
        np.linalg.norm(network.weights(setting.start.draw(network, seed)), 2) for seed in range(plan.seeds)
    ]
    best = _best_step(main, plan.story_length)
    options.pop("kept", None)
    stories = run_all(
        [1.0 / plan.story_length, best],
        lambda step: tell(setting, plan, step),
        label="gradient along training",
        **options,
    )
    return Experiment(task, plan, main, control, collapse, float(np.mean(norms)), stories)


def _over_lengths(
    setting: Setting, lengths: tuple[int, ...], grids: list[Float], plan: Plan, **options: Any
) -> Scan:
    found = _scan(setting.task, [setting] * len(lengths), lengths, grids, plan.seeds, **options)
    return Scan.of(lengths, grids, found)


def _best_step(scan: Scan, n: int) -> float:
    """ε* at the length nearest to n, moved to n by 1/N."""
    at = int(np.argmin(np.abs(np.log(np.array(scan.variable) / n))))
    return scan.optima[at].centre * scan.variable[at] / n


def _collapse(setting: Setting, plan: Plan, readout: bool, **options: Any) -> Scan:
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
    found = _scan("collapse", settings, [n] * len(settings), grids, plan.seeds, **options)
    return Scan.of(plan.scales, grids, found)


def tell(setting: Setting, plan: Plan, step: float) -> Story:
    """Follow the gradient along one run of seed 0."""
    n = plan.story_length
    data, network, story = setting.split(n, 0), setting.network(n, step), Story(step)
    recipe = setting.recipe

    def watch(theta: Float) -> dict[str, Any]:
        field_, weight = network.field(theta), float(np.linalg.norm(network.weights(theta), 2))
        norms = [_norm(network, field_, data.test.values[:, :, q]) for q in range(SEQUENCES)]
        story.norm.append(float(np.median(norms)))
        story.weight.append(weight)
        exponent = n * step * math.sqrt(weight)
        story.bound.append(math.cosh(exponent) if exponent < 700.0 else math.inf)
        return {}

    try:
        run = train(network, data, recipe, setting.start.draw(network, 0), watch=watch)
        story.accuracy.extend(run.trace.accuracy)
    except Diverged:
        story.accuracy.extend([math.nan] * len(story.norm))
    return story


def _norm(network: OdeNetwork, field_: Any, inputs: Float) -> float:
    scheme, n = network.scheme, network.n_steps
    return float(jacobian_norm(field_, scheme, network.step, n, inputs=inputs, threads=1, progress=False))
