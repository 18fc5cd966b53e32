"""What the experiment on ε ∝ 1/N says, in sentences made from its numbers, and its files."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sensitivity.files import replacing_folder
from sensitivity.manifest import manifest
from sensitivity.training.report import write_json

from .experiment import Experiment, Scan, run_experiment
from .kept import Kept
from .optimum import PowerLaw
from .plan import CONTROL, DAMPING, QUICK, Plan

__all__ = ["numbers", "sentences", "write_experiment"]

UNFINISHED = "unfinished.jsonl"
"""Runs that are done, as long as others are not."""
CLAIMED, PREDICTED = -1.0, -0.5


def sentences(found: Experiment) -> list[str]:
    """Exponent, constant, flatness, control, collapse and gradient, one sentence each."""
    main, control, plan = found.main, found.control, found.plan
    optima = main.optima
    widest = max(optima, key=lambda one: one.high / one.low)
    allowed = math.acosh(2.0) / math.sqrt(found.collapse_weight)
    said = [
        f"{found.task}: the best step is ε* = c N^α with {_law(main)}; α = −1 is "
        f"{_where(main)} the interval. With α = −1, c = "
        f"{main.law.factor:.2g} [{main.law.factor_interval[0]:.2g}, {main.law.factor_interval[1]:.2g}].",
        f"By the single best ε of each N, α = {_interval(main.best_law)}.",
        f"The optimum is flat: within one standard error of the best lie ε a factor of up to "
        f"{widest.high / widest.low:.1f} apart; best accuracies go from {100 * optima[0].accuracy:.1f} % at "
        f"N = {main.variable[0]:g} to {100 * optima[-1].accuracy:.1f} % at N = {main.variable[-1]:g}.",
        f"Beside theorem C: at the first weights, ‖W‖ = {found.collapse_weight:.2f}, every singular value of "
        f"∂y_N/∂y_0 is sure to be in [0, 2] up to c = {allowed:.2f}; the best c is "
        f"{main.law.factor / allowed:.1f} times that.",
        f"Control ({CONTROL}, whose answer is in the last ten inputs, by Euler's method on W − Wᵀ − γ I with "
        f"γ = {DAMPING:g}, whose memory does not grow with N): {_law(control)}; α = −1 is {_where(control)} "
        f"the interval. Best ε {control.optima[0].centre:.2g} at N = {control.variable[0]:g}, "
        f"{control.optima[-1].centre:.2g} at N = {control.variable[-1]:g}; best accuracies "
        f"{100 * control.optima[0].accuracy:.1f} % … {100 * control.optima[-1].accuracy:.1f} %.",
    ]
    for name, scan in found.collapse.items():
        apart, together = found.spread(name)
        closer = "come closer" if together < apart else "do not collapse"
        said.append(
            f"{name} by s at N = {plan.collapse_length}: ε* moves as s^β with β = {_interval(scan.law)}, "
            f"theorem G says {PREDICTED:g}; on Nε√‖W‖ the curves "
            f"{'collapse' if together < 0.5 * apart else closer} "
            f"(spread {together:.3f}, against {apart:.3f} over ε)."
        )
    for story in found.stories:
        first, last = (
            (story.weight[i], story.norm[i], story.bound[i], 100 * story.accuracy[i]) for i in (0, -1)
        )
        said.append(
            f"Along training at ε = {story.step:.3g}, N = {plan.story_length}: ‖W‖ {first[0]:.2f} → "
            f"{last[0]:.2f}, ‖∂y_N/∂y_0‖ {first[1]:.3g} → {last[1]:.3g}, bound B {first[2]:.3g} → "
            f"{last[2]:.3g}, accuracy {first[3]:.0f} → {last[3]:.0f} %."
        )
    return said


def _law(scan: Scan) -> str:
    return f"α = {_interval(scan.law)}"


def _interval(law: PowerLaw) -> str:
    return f"{law.exponent:.2f}, 95 % interval [{law.interval[0]:.2f}, {law.interval[1]:.2f}]"


def _where(scan: Scan) -> str:
    return "inside" if scan.law.interval[0] <= CLAIMED <= scan.law.interval[1] else "outside"


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
        "stories": [asdict(story) for story in found.stories],
        "sentences": sentences(found),
    }


def _to_csv(found: Experiment) -> str:
    """One row a run."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("scan", "variable", "step", "seed", "accuracy"))
    for name, scan in {"N": found.main, f"N, {CONTROL}": found.control, **found.collapse}.items():
        for value, steps, accuracy in zip(scan.variable, scan.steps, scan.accuracy, strict=True):
            for step, row in zip(steps.tolist(), accuracy.tolist(), strict=True):
                for seed, one in enumerate(row):
                    writer.writerow((name, repr(value), repr(step), seed, repr(one)))
    return text.getvalue()


def write_experiment(
    out: str | Path, task: str = "gaussian_mean", plan: Plan = QUICK, *, command: str = "", **options: Any
) -> tuple[Experiment, Mapping[str, Any], float]:
    """Run the experiment; write Figure 4, accuracies, numbers, README and manifest, all at the end or none.

    Interrupted, it goes on from the runs that were finished when it is called again.

    Returns
    -------
    tuple
        The experiment, its numbers and the seconds it took.
    """
    from sensitivity.figures.plots import save

    from .figure import figure_4

    with replacing_folder(out) as folder:
        kept = Kept(Path(out) / UNFINISHED)
        found = run_experiment(task, plan, kept=kept, **options)
        said, data = sentences(found), numbers(found)
        drawn = figure_4(found, " ".join(said[:3]))
        for suffix in ("png", "pdf"):
            save(drawn, folder / f"figure_4.{suffix}")
        (folder / "accuracy.csv").write_text(_to_csv(found), encoding="utf-8", newline="")
        write_json(folder / "heuristic.json", data)
        (folder / "README.md").write_text(_readme(found, said, command), encoding="utf-8")
        seconds = kept.seconds
        files = {path.name: path for path in folder.iterdir()}
        setting = asdict(plan.setting(task))
        write_json(
            folder / "manifest.json", manifest(command, {"setting": setting, **asdict(plan)}, seconds, files)
        )
    kept.remove()
    return found, data, seconds


def _readme(found: Experiment, said: list[str], command: str) -> str:
    plan, recipe = found.plan, found.plan.setting(found.task).recipe
    sizes = found.plan.setting(found.task)
    return "\n".join(
        [
            f"# ε ∝ 1/N on {found.task}",
            "",
            f"Made by `{command}`." if command else "",
            f"Hamiltonian network, d = {sizes.d}, {sizes.train} training and {sizes.test} test sequences,",
            f"Adam {recipe.rate:g}, batch {recipe.batch}, {recipe.epochs} epochs, {plan.seeds} seeds, "
            f"{plan.a_decade} values of ε in a decade; data,",
            "first weights and order of the batches depend on the seed alone.",
            "",
            "![Figure 4](figure_4.png)",
            "",
            *[f"- {sentence}" for sentence in said],
            "",
            "`accuracy.csv` has every run, `heuristic.json` every number above, `manifest.json`",
            "versions, settings and digests.",
            "The paper's own grid, ε in [0.01, 1], leaves out ε = 1/N for every N above 100.",
            "",
        ]
    )
