"""Figures 6 and 7: iterations to the threshold over N. Nothing is computed here but axes."""

from __future__ import annotations

from collections.abc import Sequence

from sensitivity.figures.plots import GREY, LINES, Figure, LogFormatter, NullFormatter, styled, wrapped
from sensitivity.training.data.tasks import get_task

from .contest import TableEntry
from .contest_plan import ContestPlan

__all__ = ["iterations_figure"]


@styled
def iterations_figure(cells: Sequence[TableEntry], plan: ContestPlan, number: int) -> Figure:
    """Median and range over seeds for each network; what did not get there stands above the budget."""
    figure = Figure(figsize=(7.5, 5.8))
    axes = figure.add_axes((0.11, 0.34, 0.86, 0.59))
    names = list(dict.fromkeys(cell.entrant for cell in cells))
    lengths = sorted({cell.n_steps for cell in cells})
    budget = plan.budget(cells[0].task)
    failed = 1.6 * budget
    for i, name in enumerate(names):
        # Side by side: several networks often need the same number.
        shift = 1.0 + 0.05 * (i - 0.5 * (len(names) - 1))
        mine = [cell for cell in cells if cell.entrant == name and cell.setting is not None]
        there = [(cell.n_steps * shift, cell.median, *cell.span) for cell in mine
                 if cell.median is not None and cell.span is not None]  # fmt: skip
        # The cycle of the style is four long; further networks differ by line and marker.
        color, marker = f"C{i % 4}", "os^DvP<>X"[i % 9]
        axes.plot(
            [x for x, *_ in there], [m for _, m, *_ in there], color=color, marker=marker, label=name,
            linestyle=LINES[i // 4 % 4],
        )  # fmt: skip
        for x, _, low, high in there:
            axes.vlines(x, low, high, color=color, linewidth=1.2)
        for cell in mine:
            if cell.median is None:
                axes.plot(cell.n_steps * shift, failed, marker=marker, color=color, fillstyle="none")
    axes.axhline(budget, color=GREY, linestyle=":", linewidth=1.0)
    axes.set(xscale="log", yscale="log", xlabel="N", ylabel=f"iterations to {100 * plan.threshold:g} %")
    axes.set_title(f"Figure {number}: {get_task(cells[0].task).about}", fontsize=10)
    # Not by the data: there are none yet where nothing has been run.
    axes.set(xlim=(lengths[0] / 1.25, lengths[-1] * 1.25), ylim=(0.7 * plan.every, 2.2 * budget))
    axes.set_xticks(lengths, [f"{n}" for n in lengths])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(LogFormatter())
    axes.yaxis.set_minor_formatter(LogFormatter())
    figure.legend(fontsize=8, loc="lower left", bbox_to_anchor=(0.09, 0.12), ncols=2)
    caption = (
        f"Median over {plan.seeds} fresh seeds, bars from the fewest to the most iterations of runs that got "
        f"there; hollow above the dotted line: most runs did not within {budget} iterations. Each "
        "network at the setting that was best at the shortest lengths."
    )
    figure.text(0.02, 0.105, wrapped(caption, 105), fontsize=9, va="top", linespacing=1.25)
    return figure
