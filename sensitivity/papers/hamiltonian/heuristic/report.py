"""What the experiment on ε ∝ 1/N found, as labelled numbers, and its files."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sensitivity.papers.runs import written_experiment
from sensitivity.text import csv_text, write_json

from .experiment import Experiment, Scan, run_experiment
from .optimum import PowerLaw
from .plan import CONTROL, DAMPING, QUICK, ScanPlan

__all__ = ["findings", "numbers", "write_experiment"]

CLAIMED, PREDICTED = -1.0, -0.5
SHOWN = 3
"""The first findings stand under the figure."""


def findings(found: Experiment) -> dict[str, str]:
    """Exponent, constant, flatness, control, collapse and gradient: what each number is → the number."""
    main, control, plan = found.main, found.control, found.plan
    flat = max(one.high / one.low for one in main.optima)
    allowed = math.acosh(2.0) / math.sqrt(found.collapse_weight)
    said = {
        f"α of ε* = c N^α on {found.task}": f"{_interval(main.law)}; −1 is {_where(main)}",
        "c at α = −1": f"{main.law.factor:.2g} [{main.law.factor_interval[0]:.2g}, "
        f"{main.law.factor_interval[1]:.2g}]; theorem C allows {allowed:.2f} at ‖W‖ = "
        f"{found.collapse_weight:.2f}, a factor of {main.law.factor / allowed:.1f} less",
        "ε within one standard error of the best": f"up to a factor of {flat:.1f} apart",
        "α by the single best ε": _interval(main.best_law),
        "best accuracy": _accuracies(main),
        f"α of the control ({CONTROL}, γ = {DAMPING:g})": (
            f"{_interval(control.law)}; −1 is {_where(control)}"
        ),
        "best accuracy of the control": _accuracies(control),
    }
    for name, scan in found.collapse.items():
        apart, together = found.spread(name)
        said[f"β of ε* ∝ s^β, {name} by s, N = {plan.collapse_length}"] = (
            f"{_interval(scan.law)}; theorem G: {PREDICTED:g}; spread of the curves over ε {apart:.3f}, over "
            f"Nε√‖W‖ {together:.3f}"
        )
    for trace in found.traces:
        first, last = (
            f"‖W‖ {trace.weight[i]:.2f}, ‖∂y_N/∂y_0‖ {trace.norm[i]:.3g}, bound B {trace.bound[i]:.3g}, "
            f"accuracy {100 * trace.accuracy[i]:.0f} %"
            for i in (0, -1)
        )
        said[f"first and last epoch at ε = {trace.step:.3g}, N = {plan.trace_length}"] = f"{first}; {last}"
    return said


def _interval(law: PowerLaw) -> str:
    return f"{law.exponent:.2f} [{law.interval[0]:.2f}, {law.interval[1]:.2f}]"


def _where(scan: Scan) -> str:
    return "inside" if scan.law.interval[0] <= CLAIMED <= scan.law.interval[1] else "outside"


def _accuracies(scan: Scan) -> str:
    ends = (f"{100 * scan.optima[i].accuracy:.1f} % at N = {scan.variable[i]:g}" for i in (0, -1))
    return ", ".join(ends)


def numbers(found: Experiment) -> dict[str, Any]:
    """Everything for JSON."""

    def of(scan: Scan) -> dict[str, Any]:
        optima = [{"at": v, **asdict(one)} for v, one in zip(scan.variable, scan.optima, strict=True)]
        return {"law": asdict(scan.law), "best_law": asdict(scan.best_law), "optima": optima}

    return {
        "task": found.task,
        "plan": asdict(found.plan),
        "main": of(found.main),
        "control": of(found.control),
        "collapse": {
            name: {**of(scan), "spread": found.spread(name)} for name, scan in found.collapse.items()
        },
        "first_weight": found.collapse_weight,
        "traces": [asdict(trace) for trace in found.traces],
        "findings": findings(found),
    }


def _to_csv(found: Experiment) -> str:
    """One row a run."""
    scans = {"N": found.main, f"N, {CONTROL}": found.control, **found.collapse}
    rows = [
        (name, value, step, seed, one)
        for name, scan in scans.items()
        for value, steps, accuracy in zip(scan.variable, scan.steps, scan.accuracy, strict=True)
        for step, row in zip(steps.tolist(), accuracy.tolist(), strict=True)
        for seed, one in enumerate(row)
    ]
    return csv_text(("scan", "variable", "step", "seed", "accuracy"), rows)


def write_experiment(
    out: str | Path, task: str = "gaussian_mean", plan: ScanPlan = QUICK, *, command: str = "", **options: Any
) -> tuple[Experiment, Mapping[str, Any], float]:
    """Run the experiment; write Figure 4, accuracies, numbers, README and manifest, all at the end or none.

    Interrupted, it goes on from the runs that were finished when it is called again.

    Returns
    -------
    tuple
        The experiment, its numbers and the seconds it took, in all processes together.
    """
    from sensitivity.figures.plots import save

    from .figure import figure_4

    parameters = {"setting": asdict(plan.setting(task)), **asdict(plan)}
    with written_experiment(out, command, parameters, **options) as (folder, runs):
        found = run_experiment(task, plan, runs)
        data, said = numbers(found), [f"{label}: {value}" for label, value in findings(found).items()]
        drawn = figure_4(found, "; ".join(said[:SHOWN]))
        for suffix in ("png", "pdf"):
            save(drawn, folder / f"figure_4.{suffix}")
        (folder / "accuracy.csv").write_text(_to_csv(found), encoding="utf-8", newline="")
        write_json(folder / "heuristic.json", data)
        (folder / "README.md").write_text(_readme(found, said, command), encoding="utf-8")
        seconds = runs.seconds
    return found, data, seconds


def _readme(found: Experiment, said: list[str], command: str) -> str:
    plan, setting = found.plan, found.plan.setting(found.task)
    recipe = setting.recipe
    return "\n".join(
        [
            f"# ε ∝ 1/N on {found.task}",
            "",
            f"- command: `{command}`",
            f"- Hamiltonian network, d = {setting.d}",
            f"- sequences: {setting.train} for training, {setting.test} for test",
            f"- Adam {recipe.rate:g}, batch {recipe.batch}, {recipe.epochs} epochs; {plan.seeds} seeds, "
            f"{plan.a_decade} values of ε in a decade",
            "",
            "![Figure 4](figure_4.png)",
            "",
            *[f"- {one}" for one in said],
            "",
            "`accuracy.csv`: every run; `heuristic.json`: every number; `manifest.json`: versions, settings, "
            "digests.",
            "",
        ]
    )
