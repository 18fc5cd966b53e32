"""The tables as files: a page, every run, Figures 6 and 7, and a manifest."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from sensitivity.papers.hamiltonian import MNIST
from sensitivity.papers.kept import committed
from sensitivity.papers.runs import write_files, written_experiment
from sensitivity.text import csv_text, markdown_table
from sensitivity.training.data.tasks import get_task

from .contest import TableEntry, run_contest
from .contest_plan import FIGURES, QUICK, TABLES, THRESHOLDS, Candidate, ContestPlan

__all__ = ["equal_pairs", "page", "reached", "table", "write_tables"]


def of_task(cells: Sequence[TableEntry], task: str) -> list[TableEntry]:
    return [cell for cell in cells if cell.task == task]


def shown(cell: TableEntry) -> str:
    """Iterations and hidden parameters of a cell, as the tables print them."""
    if cell.setting is None:
        return "not run"
    hidden, runs = cell.outcomes[0].hidden, len(cell.outcomes)
    if cell.median is None or cell.span is None:
        best = max(one.best for one in cell.outcomes)
        budget = f", {cell.iterations} iterations" if cell.iterations is not None else ""
        return f"/ ({cell.successes} of {runs}, best {100 * best:.0f} %{budget})"
    low, high = cell.span
    few = f", {cell.successes} of {runs}" if cell.successes < runs else ""
    within = "" if cell.interval is None else "; median {:g}–{:g}".format(*cell.interval).replace("inf", "∞")
    return f"{hidden} in {cell.median:g} ({low}–{high}{few}{within})"


def gradients(cell: TableEntry) -> str:
    """The gradient of a cell at the start and at the end of training."""
    found = [one.gradient for one in cell.outcomes if one.gradient is not None]
    return " → ".join(f"{median:.1f}" for median in np.median(found, axis=0)) if found else ""


def table(cells: Sequence[TableEntry], text: Callable[[TableEntry], str] = shown) -> list[str]:
    """One task as Markdown: a row for each length, a column for each network, with the text of a cell."""
    names = list(dict.fromkeys(cell.entrant for cell in cells))
    by_place = {(cell.n_steps, cell.entrant): cell for cell in cells}
    lengths = sorted({cell.n_steps for cell in cells})
    return markdown_table(("N", *names), [(n, *(text(by_place[n, name]) for name in names)) for n in lengths])


def page(cells: Sequence[TableEntry], plan: ContestPlan, command: str) -> str:
    """README.md: set-up, what was found, tables, figures, settings."""
    budgets = ", ".join(f"{plan.budget(task)} ({task})" for task in plan.tasks)
    longest = {entrant.name: entrant.longest for entrant in plan.entrants}
    planned = [cell for cell in cells if cell.n_steps <= longest[cell.entrant]]
    waiting = sum(cell.setting is None for cell in planned)
    firsts = sorted({len(plan.first(task, n)) for task, lengths in plan.tasks.items() for n in lengths})
    limit = [] if plan.run_hours is None else [
        f"- at most {plan.run_hours:g} hour of one core for a run; where this is fewer iterations,",
        "  the entry has their number",
    ]  # fmt: skip
    lines = [
        "# Iterations to 90 %: Tables 1 and 2, Figures 6 and 7",
        "",
        f"- command: `{command}`",
        f"- runs with fresh seeds: {sum(len(cell.outcomes) for cell in cells)}",
        *[f"- so far: {waiting} of {len(planned)} entries have not been run yet; the same command goes on"]
        * (waiting > 0),
        f"- sequences: {plan.train} for training, {plan.test} for test",
        f"- Adam, batch {plan.batch:g}, gradients clipped at {plan.clip:g}",
        f"- at most {budgets} iterations",
        *limit,
        f"- stop: {100 * plan.threshold:g} % test accuracy, the paper's own rule, looked at every",
        f"  {plan.every} iterations, and more rarely from {100 * plan.every} on",
        f"- setting of a column: best of its grid at the {plan.search_lengths} shortest lengths, on",
        f"  validation sequences, {plan.search_seeds} other seeds, {plan.search_iterations} iterations each",
        *["  (until one gets there, the better half goes on with four times as many)"]
        * (plan.search_rounds > 1),
        f"- seeds: {plan.seeds}, at the shortest length {max(plan.seeds, plan.more_seeds)}; where none of",
        f"  the first {' or '.join(map(str, firsts))} gets there, the others are left out",
        "- entry: hidden parameters, median iterations (fewest–most, successes of seeds; 95 % interval of",
        "  the median, from six seeds on); / where most seeds were stopped by the budget, or diverged",
        "- near the threshold round-off decides: another processor may move single seeds across it",
        "",
        *columns(cells, plan),
    ]
    if (found := equal_pairs(cells, plan)) is not None:
        equal, pairs, values = found
        lines += [
            "",
            f"Theorem G, columns with thresholds that differ in c alone: {equal} of {pairs} pairs of runs "
            f"needed the same number of iterations; wε² = {', '.join(f'{value:.2g}' for value in values)}.",
        ]
    for task in plan.tasks:
        best = get_task(task).best(max(plan.tasks[task]))
        lines += ["", f"## {TABLES[task]}: {get_task(task).about}", ""]
        lines += [f"Best accuracy possible: {100 * best:.1f} %.", "", *table(of_task(cells, task))]
        lines += ["", "ln ‖∂h_N/∂h_0‖₂ at the start → at the end, medians over seeds:", ""]
        lines += table(of_task(cells, task), gradients)
        if task in FIGURES:
            lines += ["", f"![Figure {FIGURES[task]}](figure_{FIGURES[task]}.png)"]
    return "\n".join([*lines, "", "## Sequential MNIST", "", *mnist(), ""])


def columns(cells: Sequence[TableEntry], plan: ContestPlan) -> list[str]:
    """A table of the networks: start, settings tried, lengths, rows that got there, settings chosen."""
    rows = []
    most = max(plan.budget(task) for task in plan.tasks)
    longest = max(n for lengths in plan.tasks.values() for n in lengths)
    for entrant in plan.entrants:
        first, start = entrant.grid[0], f"{entrant.grid[0].start}, all weights on ±1/√d"
        if first.growth is not None:
            start = f"w = 4 sinh²(growth/2)/ε², V on ±{THRESHOLDS.input_scale:g}"
        mine = [cell for cell in cells if cell.entrant == entrant.name and cell.setting is not None]
        chosen = dict.fromkeys(f"{c.task}: {c.setting.text()}" for c in mine if c.setting is not None)
        limits = min(entrant.longest, longest), min(entrant.most, most)
        rows.append((entrant.name, first.d, start, len(entrant.grid), *limits,
                     reached(cells, entrant.name), "; ".join(chosen)))  # fmt: skip
    header = ("network", "d", "start", "settings tried", "longest N", "budget", "reached", "chosen")
    return markdown_table(header, rows)


def reached(cells: Sequence[TableEntry], entrant: str) -> str:
    """In how many rows most runs of a network got there, and in how many iterations."""
    mine = [cell for cell in cells if cell.entrant == entrant and cell.setting is not None]
    there = [cell.median for cell in mine if cell.median is not None]
    took = f", medians {min(there):g} to {max(there):g}" if there else ""
    return f"{len(there)} of {len(mine)} rows{took}"


def equal_pairs(cells: Sequence[TableEntry], plan: ContestPlan) -> tuple[int, int, list[float]] | None:
    """Theorem G, by the runs of two columns with thresholds that differ in c alone.

    Returns
    -------
    tuple or None
        Pairs that needed the same number of iterations, all pairs, and the values of wε² that were chosen;
        None where there are not two such columns.
    """
    names = [entrant.name for entrant in plan.entrants if entrant.grid[0].growth is not None]
    if len(names) != 2:
        return None
    first, second = ([c for c in cells if c.entrant == name and c.setting is not None] for name in names)
    both = [(a.outcomes, b.outcomes) for a in first for b in second if a.same_but_for_epsilon(b)]
    pairs = [(one.reached, other.reached) for a, b in both for one, other in zip(a, b, strict=False)]
    growths = sorted({cell.setting.growth or 0.0 for cell in first if cell.setting is not None})
    values = [4.0 * math.sinh(0.5 * growth) ** 2 for growth in growths]
    return sum(one == other for one, other in pairs), len(pairs), values


def mnist() -> list[str]:
    """The kept runs on sequential MNIST beside the paper's accuracies."""
    rows = []
    for model, printed in MNIST.items():
        kept = committed(f"mnist-{model}", "run.json")
        found = "not run", ""
        if kept is not None:
            found = f"{100 * kept['accuracy'][-1]:.2f} %", f"`{kept['manifest']['command']}`"
        rows.append((model, f"{100 * printed:.0f} %", *found))
    return markdown_table(("network", "the paper", "here, at the end", "command"), rows)


def to_csv(cells: Sequence[TableEntry], plan: ContestPlan) -> str:
    """One row a run, of the search and of the fresh seeds."""
    parts = [
        (cell, part, setting, outcomes, first)
        for cell in cells
        for part, first, pairs in (
            ("search", plan.search.start, cell.searched),
            ("fresh", plan.seed, [(cell.setting, cell.outcomes)]),
        )
        for setting, outcomes in pairs
        if setting is not None
    ]  # fmt: skip
    rows = [
        (cell.task, cell.n_steps, cell.entrant, part, seed, *asdict(setting).values(), one.hidden,
         one.reached, one.best, *(one.gradient or (None, None)))
        for cell, part, setting, outcomes, first in parts
        for seed, one in enumerate(outcomes, start=first)
    ]  # fmt: skip
    header = ("task", "n_steps", "entrant", "part", "seed", *(one.name for one in fields(Candidate)),
              "hidden", "reached", "best_accuracy", "log_gradient_first", "log_gradient_last")  # fmt: skip
    return csv_text(header, rows)


def write_tables(
    out: str | Path, plan: ContestPlan = QUICK, *, command: str = "", **options: Any
) -> tuple[list[TableEntry], float]:
    """Run the contest and write its files, all at the end or none; interrupted, it goes on when called again.

    Returns
    -------
    tuple
        The cells and the seconds it took, in all processes together.
    """
    from .figure import iterations_figure

    with written_experiment(out, command, asdict(plan), **options) as (folder, runs):
        cells = run_contest(plan, runs)
        drawn = {number: iterations_figure(of_task(cells, task), plan, number)
                 for task, number in FIGURES.items() if task in plan.tasks}  # fmt: skip
        figures = {f"figure_{n}.{end}": one for n, one in drawn.items() for end in ("png", "pdf")}
        data = {"cells": [cell.data() for cell in cells]}
        texts = {"runs.csv": to_csv(cells, plan), "README.md": page(cells, plan, command)}
        write_files(folder, {**figures, **texts, "tables.json": data})
        seconds = runs.seconds
    return cells, seconds
