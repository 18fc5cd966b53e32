"""What the experiment on ε ∝ 1/N found, as labelled numbers, and its files."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from sensitivity.papers.kept import committed
from sensitivity.papers.runs import write_files, written_experiment
from sensitivity.text import csv_text, markdown_table

from .ceiling import without_training
from .experiment import Experiment, Scan, run_experiment
from .optimum import PowerLaw
from .plan import CONTROL, DAMPING, FROZEN, FULL, NORMALISED, QUICK, ScanPlan

__all__ = ["findings", "interval", "numbers", "rows", "write_experiment"]

CLAIMED, PREDICTED = -1.0, -0.5
TIMES = (0.6, 1.0, 1.5, 2.5, 4.0, 5.0, 6.0, 8.0, 10.0, 14.0, 20.0, 40.0)
"""c = Nε at which read-outs without training are looked at."""
SHOWN = 3
"""The first findings stand under the figure."""
NOTES = (
    "ε* is the centre of all ε whose mean validation accuracy is within one standard error of the best.",
    "An edge is where three quarters of what the best ε gains over guessing are left. Flatness is the range",
    "of the ε within one standard error, at the N where it is largest.",
)
HEADER = ("scan", "α", "α, lower edge", "α, upper edge", "c = Nε*", "flatness", "test accuracy at ε*")


def findings(found: Experiment) -> dict[str, str]:
    """Exponent, constant, flatness, control, collapse and gradient: what each number is → the number."""
    main, control, plan = found.main, found.control, found.plan
    flat = max(one.high / one.low for one in main.optima)
    allowed = math.acosh(2.0) / math.sqrt(found.collapse_weight)
    said = {
        f"α of ε* = c N^α on {found.task}": f"{interval(main.law)}; −1 is {_where(main)}",
        "c at α = −1": f"{main.law.factor:.2g} [{main.law.factor_interval[0]:.2g}, "
        f"{main.law.factor_interval[1]:.2g}]; theorem C allows {allowed:.2f} at ‖W‖ = "
        f"{found.collapse_weight:.2f}, a factor of {main.law.factor / allowed:.1f} less",
        "ε within one standard error of the best": f"up to a factor of {flat:.1f} apart",
        "α by the single best ε": interval(main.laws["best"]),
        "test accuracy at the best ε": _accuracies(main),
        f"α of the control ({CONTROL}, γ = {DAMPING:g})": f"{interval(control.law)}; −1 is {_where(control)}",
        "test accuracy of the control": _accuracies(control),
    }
    if (kept := _of_the_full_run(found)) is not None:
        said["beside the kept result of --full"] = kept
    for name, scan in found.collapse.items():
        apart, together = found.spread(name)
        said[f"β of ε* ∝ s^β, {name} by s, N = {plan.collapse_length}"] = (
            f"{interval(scan.law)}; theorem G: {PREDICTED:g}; spread of the curves over ε {apart:.3f}, over "
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


def rows(found: Experiment) -> list[tuple[str, ...]]:
    """A row for each scan over N: exponents of ε* and of both edges, c, flatness, and what is reached."""
    scans = {found.task: found.main, f"control ({CONTROL}, γ = {DAMPING:g})": found.control, **found.also}
    return [(f"{name}, {scan.accuracy[0].shape[1]} seeds", *_row(scan)) for name, scan in scans.items()]


def _row(scan: Scan) -> tuple[str, ...]:
    optima, lengths = scan.optima, [f"{n:g}" for n in scan.variable]
    lost = [n for n, one in zip(lengths, optima, strict=True) if not one.learned]
    ends = [n for n, one, steps in zip(lengths, optima, scan.steps, strict=True)
            if one.learned and (one.low <= steps[0] or one.high >= steps[-1])]  # fmt: skip
    alpha = interval(scan.law)
    alpha += f"; nothing is learned at N = {', '.join(lost)}" if lost else ""
    alpha += f"; at the end of the grid for N = {', '.join(ends)}" if ends else ""
    edges = (interval(scan.laws[f"{side} edge"]) for side in ("lower", "upper"))
    law, flat = scan.law, max(one.high / one.low for one in optima)
    c = f"{law.factor:.2g} [{law.factor_interval[0]:.2g}, {law.factor_interval[1]:.2g}]"
    return alpha, *edges, c, f"up to × {flat:.2g}", _accuracies(scan)


def _of_the_full_run(found: Experiment) -> str | None:
    """Whether a smaller plan can tell what the kept one does: for want of seeds and epochs it may not."""
    kept = committed("heuristic", "heuristic.json")
    whole = replace(found.plan, also=FULL.also) == FULL  # it may be without the images
    if kept is None or kept["task"] != found.task or whole:
        return None
    law, mine = kept["main"]["law"], found.main.law
    low, high = law["interval"]
    agree = mine.interval[0] <= high and low <= mine.interval[1]
    word = "the intervals overlap" if agree else "the intervals do not overlap: this smaller run cannot tell"
    return f"α = {law['exponent']:.2f} [{low:.2f}, {high:.2f}]; {word}"


def interval(law: PowerLaw) -> str:
    """An exponent with its interval."""
    if math.isnan(law.exponent):
        return "none in the grid"
    return f"{law.exponent:.2f} [{law.interval[0]:.2f}, {law.interval[1]:.2f}]"


def _where(scan: Scan) -> str:
    return "inside" if scan.law.holds(CLAIMED) else "outside"


def _accuracies(scan: Scan) -> str:
    ends = (f"{100 * scan.reached[i]:.1f} % at N = {scan.variable[i]:g}" for i in (0, -1))
    return ", ".join(ends)


def numbers(found: Experiment) -> dict[str, Any]:
    """Everything for JSON."""

    def of(scan: Scan) -> dict[str, Any]:
        points = zip(scan.variable, scan.optima, scan.reached, strict=True)
        optima = [{"at": v, **asdict(one), "test": test} for v, one, test in points]
        laws = {name: asdict(law) for name, law in scan.laws.items()}
        return {"law": laws["centre"], "best_law": laws["best"], "laws": laws, "optima": optima}

    return {
        "task": found.task,
        "plan": asdict(found.plan),
        "main": of(found.main),
        "control": of(found.control),
        "also": {name: of(scan) for name, scan in found.also.items()},
        "collapse": {
            name: {**of(scan), "spread": found.spread(name)} for name, scan in found.collapse.items()
        },
        "first_weight": found.collapse_weight,
        "traces": [asdict(trace) for trace in found.traces],
        "rows": [dict(zip(HEADER, row, strict=True)) for row in rows(found)],
        "findings": findings(found),
    }


def _to_csv(found: Experiment) -> str:
    """One row a run."""
    scans = {"N": found.main, f"N, {CONTROL}": found.control, **found.also, **found.collapse}
    lines = [
        (name, value, step, found.plan.seed + seed, *one)
        for name, scan in scans.items()
        for value, steps, *both in zip(scan.variable, scan.steps, scan.accuracy, scan.test, strict=True)
        for step, *row in zip(steps.tolist(), *(values.tolist() for values in both), strict=True)
        for seed, one in enumerate(zip(*row, strict=True))
    ]
    return csv_text(("scan", "variable", "step", "seed", "validation", "test"), lines)


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
    from .figure import ceilings_figure, figure_4

    parameters = {"setting": asdict(plan.setting(task)), **asdict(plan)}
    with written_experiment(out, command, parameters, **options) as (folder, runs):
        found = run_experiment(task, plan, runs)
        data, said = numbers(found), [f"{label}: {value}" for label, value in findings(found).items()]
        drawn = figure_4(found, "; ".join(said[:SHOWN]))
        files: dict[str, Any] = {"figure_4.png": drawn, "figure_4.pdf": drawn, "heuristic.json": data}
        if {FROZEN, NORMALISED} <= set(found.also):
            data["without_training"] = without_training(plan.lengths[::2], TIMES, 10, plan.seeds_of()[:3])
            files["ceilings.png"] = ceilings_figure(found, data["without_training"])
        texts = {"accuracy.csv": _to_csv(found), "README.md": _readme(found, said, command)}
        write_files(folder, files | texts)
        seconds = runs.seconds
    return found, data, seconds


def _readme(found: Experiment, said: list[str], command: str) -> str:
    plan, setting = found.plan, found.plan.setting(found.task)
    recipe, hard = setting.recipe, plan.setting("xor")
    ceilings = ["![What a read-out can know, and what training makes of it](ceilings.png)", ""]
    lines = [
        f"# ε ∝ 1/N on {found.task}",
        "",
        f"- command: `{command}`",
        f"- Hamiltonian network, d = {setting.d}",
        f"- sequences: {setting.train} for training, {setting.test} for validation (the choice of ε),",
        f"  {setting.test} for test (looked at once)",
        f"- Adam {recipe.rate:g}, batch {recipe.batch}, {recipe.epochs} epochs; {plan.seeds} seeds, "
        f"{plan.a_decade} values of ε in a decade",
        "",
        "![Figure 4](figure_4.png)",
        "",
        *(ceilings if found.also else ()),
        *markdown_table(HEADER, rows(found)),
        "",
        *NOTES,
        f"On shock and xor there are {hard.train} sequences, Adam has {hard.recipe.rate:g}, and",
        f"gradients are clipped at {hard.recipe.clip}.",
        "",
        *[f"- {one}" for one in said],
        "",
        "`accuracy.csv`: every run; `heuristic.json`: every number; `manifest.json`: versions, settings, "
        "digests.",
        "",
    ]
    return "\n".join(lines)
