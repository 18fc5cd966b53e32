"""The tables as files: a page, every run, Figures 6 and 7, and a manifest."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from sensitivity.files import replacing_folder
from sensitivity.manifest import manifest
from sensitivity.papers.hamiltonian.results import MNIST, committed
from sensitivity.training.data.tasks import get_task
from sensitivity.training.report import write_json

from .contest import Cell, Outcome, run_contest
from .contest_plans import FIGURES, QUICK, TABLES
from .entrants import THRESHOLDS, Plan, Setting
from .kept import Kept

__all__ = ["meaning", "page", "sentences", "table", "write_tables"]

UNFINISHED = "unfinished.jsonl"
"""Runs that are done, as long as others are not."""


def of_task(cells: Sequence[Cell], task: str) -> list[Cell]:
    return [cell for cell in cells if cell.task == task]


def shown(cell: Cell) -> str:
    """Iterations and hidden parameters of a cell, as the tables print them."""
    if cell.setting is None:
        return "not run"
    hidden, runs = cell.outcomes[0].hidden, len(cell.outcomes)
    if cell.median is None or cell.span is None:
        best = max(one.best for one in cell.outcomes)
        return f"/ ({cell.successes} of {runs}, best {100 * best:.0f} %)"
    low, high = cell.span
    few = f", {cell.successes} of {runs}" if cell.successes < runs else ""
    return f"{hidden} in {cell.median:g} ({low}–{high}{few})"


def table(cells: Sequence[Cell]) -> list[str]:
    """One task as Markdown: a row for each length, a column for each network."""
    names = list(dict.fromkeys(cell.entrant for cell in cells))
    by_place = {(cell.n_steps, cell.entrant): cell for cell in cells}
    lines = ["| N | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for n in sorted({cell.n_steps for cell in cells}):
        lines.append(f"| {n} | " + " | ".join(shown(by_place[n, name]) for name in names) + " |")
    return lines


def sentences(cells: Sequence[Cell], plan: Plan) -> list[str]:
    """For each task and network: where it got, with which setting."""
    said = []
    for task in plan.tasks:
        mine = of_task(cells, task)
        for name in dict.fromkeys(cell.entrant for cell in mine):
            row = [cell for cell in mine if cell.entrant == name and cell.setting is not None]
            there = sum(cell.median is not None for cell in row)
            chosen = "; ".join(dict.fromkeys(c.setting.text() for c in row if c.setting is not None))
            if row:
                got = f"{100 * plan.threshold:g} % at {there} of {len(row)} lengths"
                said.append(f"{task}, {name}: {got} ({chosen}).")
    return said


def page(cells: Sequence[Cell], plan: Plan, command: str) -> str:
    """README.md: what was found, the set-up, tables, figures, settings."""
    runs = sum(len(cell.outcomes) for cell in cells)
    lines = [
        "# Iterations to 90 %: Tables 1 and 2, Figures 6 and 7",
        "",
        f"Made by `{command}`: {runs} runs with fresh seeds.",
        "",
        *[f"- {one}" for one in meaning(cells, plan)],
        "",
        "## Set-up",
        "",
        f"{plan.train} training and {plan.test} test sequences, Adam, batch {plan.batch:g}, gradients",
        f"clipped at {plan.clip:g}, at most {plan.iterations} iterations; a run stops at",
        f"{100 * plan.threshold:g} % test accuracy, looked at every {plan.every} iterations. The paper",
        "prints none of these, nor how its weights begin. A column has the best setting of its grid at",
        f"the {plan.search_lengths} shortest lengths of a task, by {plan.search_seeds} other seeds and",
        f"{plan.search_iterations} iterations each, and the same one at every length.",
        "",
        *columns(plan),
        "",
        "Thresholds: W begins as w (I + noise) with w > 0 of the order of 1/ε², so that rest is unstable.",
        "The first inputs decide to which side a unit falls; once it is far out σ is flat, and later inputs",
        "no longer count. W and R are then trained in units of 1/ε². The antisymmetric network and the LSTM",
        "were not given a start made for these tasks.",
        "",
        "An entry is hidden parameters, median iterations and (fewest–most) over seeds; / where most seeds",
        f"did not get there. Of {plan.seeds} fresh seeds {plan.majority} are run first, and the others where",
        "one of those gets there: else they could not change the median.",
    ]
    for task in plan.tasks:
        best = get_task(task).best(max(plan.tasks[task]))
        lines += ["", f"## {TABLES[task]}: {get_task(task).about}", ""]
        lines += [
            f"Best accuracy that any rule can have: {100 * best:.1f} %.",
            "",
            *table(of_task(cells, task)),
        ]
        if task in FIGURES:
            lines += ["", f"![Figure {FIGURES[task]}](figure_{FIGURES[task]}.png)"]
        if task == "xor":
            lines += [
                "",
                "The rows of the paper's Table 2 are headed 100 to 5000; its text and Figure 7 say",
                "50 to 500, as here.",
            ]
    lines += ["", "## Sequential MNIST", "", *mnist()]
    lines += ["", "## Settings found by the search", "", *[f"- {one}" for one in sentences(cells, plan)], ""]
    return "\n".join(lines)


def columns(plan: Plan) -> list[str]:
    """What the columns are, as a list: start, settings tried, longest sequences."""
    lines, longest = [], max(n for lengths in plan.tasks.values() for n in lengths)
    for entrant in plan.entrants:
        first = entrant.grid[0]
        start = "all weights on ±1/√d"
        if first.growth is not None:
            start = f"w = 4 sinh²(growth/2)/ε², V on ±{THRESHOLDS.input_scale:g}"
        measured = f"; c = {first.c:.3g}, measured by `leapgrad heuristic`" if "c/N" in entrant.name else ""
        tried = f"{len(entrant.grid)} setting{'s' * (len(entrant.grid) > 1)} tried"
        limit = f"; beyond N = {entrant.longest} not run, for its cost" if entrant.longest < longest else ""
        lines.append(f"- {entrant.name}: d = {first.d}, {start}{measured}; {tried}{limit}.")
    return lines


def meaning(cells: Sequence[Cell], plan: Plan) -> list[str]:
    """ε = 1/N with both scales of W, and the same networks at ε = c/N, in numbers."""
    said, freed = [], []
    for entrant in plan.entrants:
        if entrant.grid[0].model != "hamiltonian":
            continue
        mine = [cell for cell in cells if cell.entrant == entrant.name and cell.setting is not None]
        there = [cell.median for cell in mine if cell.median is not None]
        took = f", in {min(there):g} to {max(there):g} iterations (medians)" if there else ""
        rows = f"{len(there)} of {len(mine)} rows"
        said.append(f"{entrant.name}: {rows} reach {100 * plan.threshold:g} %{took}.")
        freed += [mine] if entrant.grid[0].growth is not None else []
    return [*said, *_equivalence(*freed)] if len(freed) == 2 else said


def _equivalence(first: Sequence[Cell], second: Sequence[Cell]) -> list[str]:
    """Theorem G, by the runs of two columns that differ in c alone."""
    both = [(a.outcomes, b.outcomes) for a in first for b in second if a.same_but_for_epsilon(b)]
    pairs = [(one.reached, other.reached) for a, b in both for one, other in zip(a, b, strict=False)]
    equal = sum(one == other for one, other in pairs)
    growths = sorted({cell.setting.growth or 0.0 for cell in first if cell.setting is not None})
    curves = " and ".join(f"{4.0 * math.sinh(0.5 * growth) ** 2:.2g}" for growth in growths)
    return [
        "With thresholds W is ∝ 1/ε², and by theorem G both columns are one network, trained twice: "
        f"{equal} of {len(pairs)} pairs of runs needed the same number of iterations, and round-off parts "
        "the others (for a c that is a power of two the bits are the same).",
        "So ε = 1/N is a choice of units once W is free. What a task asks for is a value of wε², "
        f"here {curves} by task, whatever N is; with W of order one ε = 1/N makes it of order 1/N².",
    ]


def mnist() -> list[str]:
    """The kept runs on sequential MNIST beside the paper's accuracies."""
    lines = ["| network | the paper | here, at the end | command |", "|---|---|---|---|"]
    for model, printed in MNIST.items():
        kept = committed(f"mnist-{model}", "run.json")
        found = "not run", ""
        if kept is not None:
            found = f"{100 * kept['accuracy'][-1]:.2f} %", f"`{kept['manifest']['command']}`"
        lines.append(f"| {model} | {100 * printed:.0f} % | {found[0]} | {found[1]} |")
    return lines


def to_csv(cells: Sequence[Cell], plan: Plan) -> str:
    """One row a run, of the search and of the fresh seeds."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    header = ("task", "n_steps", "entrant", "part", "seed", *(one.name for one in fields(Setting)))
    writer.writerow((*header, "hidden", "reached", "best_accuracy"))

    def write(cell: Cell, part: str, setting: Setting, outcomes: Sequence[Outcome], first: int) -> None:
        for i, one in enumerate(outcomes):
            where = (cell.task, cell.n_steps, cell.entrant, part, first + i)
            writer.writerow((*where, *asdict(setting).values(), one.hidden, one.reached, repr(one.best)))

    for cell in cells:
        for setting, outcomes in cell.searched:
            write(cell, "search", setting, outcomes, plan.seeds)
        if cell.setting is not None:
            write(cell, "fresh", cell.setting, cell.outcomes, 0)
    return text.getvalue()


def write_tables(
    out: str | Path, plan: Plan = QUICK, *, command: str = "", **options: Any
) -> tuple[list[Cell], float]:
    """Run the contest and write its files, all at the end or none; interrupted, it goes on when called again.

    Returns
    -------
    tuple
        The cells and the seconds it took, in all sessions together.
    """
    from sensitivity.figures.plots import save

    from .contest_figure import iterations_figure

    with replacing_folder(out) as folder:
        kept = Kept(Path(out) / UNFINISHED)
        cells = run_contest(plan, kept=kept, **options)
        for task, number in FIGURES.items():
            if task in plan.tasks:
                drawn = iterations_figure(of_task(cells, task), plan, number)
                for suffix in ("png", "pdf"):
                    save(drawn, folder / f"figure_{number}.{suffix}")
        (folder / "runs.csv").write_text(to_csv(cells, plan), encoding="utf-8", newline="")
        write_json(folder / "tables.json", {"cells": [cell.data() for cell in cells]})
        (folder / "README.md").write_text(page(cells, plan, command), encoding="utf-8")
        seconds = kept.seconds
        files = {path.name: path for path in folder.iterdir()}
        write_json(folder / "manifest.json", manifest(command, asdict(plan), seconds, files))
    kept.remove()
    return cells, seconds
