"""Figure 4 with its controls, and Figures 6 and 7. Nothing is computed here but axes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from sensitivity.figures.plots import (
    GREY,
    LINES,
    NORM,
    STEP,
    Axes,
    Figure,
    LogFormatter,
    NullFormatter,
    styled,
    wrapped,
)  # fmt: skip
from sensitivity.training.data.tasks import get_task

from .ceiling import plateau, sign_accuracy
from .contest import TableEntry
from .contest_plan import ContestPlan
from .experiment import Experiment, GradientTrace, Scan
from .plan import CONTROL, FROZEN, NORMALISED

__all__ = ["ceilings_figure", "figure_4", "iterations_figure"]

ROOT = r"$N\varepsilon\sqrt{\Vert W\Vert}$ at the start"


@styled
def figure_4(found: Experiment, caption: str) -> Figure:
    """Accuracy over (N, ε) with the optima and the fit; the control; curves over Nε; collapse; gradient."""
    figure = Figure(figsize=(12.5, 8.6))
    grid = figure.subplots(2, 3, gridspec_kw={"left": 0.06, "right": 0.985, "top": 0.95, "bottom": 0.16,
                                              "wspace": 0.27, "hspace": 0.36})  # fmt: skip
    (surface, control, curves), (over_step, collapsed, along) = grid
    _surface(surface, found.main, f"{found.task}: validation accuracy", figure)
    _surface(control, found.control, f"control: {CONTROL}, damped network", figure)
    _curves(curves, found.main, lambda steps, n: n * steps, r"$N\varepsilon$", True)
    curves.axvline(1.0, color="C1", linestyle=":", linewidth=1.2)
    curves.set_title("the same on one variable")
    _legend_below(curves, title="N", ncols=3)
    scaled, weight, n = (
        found.collapse["W and readout scaled"],
        found.collapse_weight,
        found.plan.collapse_length,
    )
    _curves(over_step, scaled, lambda steps, s: steps, STEP, False)
    _curves(collapsed, scaled, lambda steps, s: n * steps * math.sqrt(s * weight), ROOT, False)
    over_step.set_title(f"W and R scaled by s, N = {n}")
    collapsed.set_title("the same on the variable of theorem G")
    _legend_below(over_step, title="s", ncols=3)
    collapsed.set_ylim(over_step.get_ylim())
    for number, trace in enumerate(found.traces):
        _along(along, trace, found.plan.trace_length, number)
    along.set(xlabel="epoch", yscale="log", title=f"along training, N = {found.plan.trace_length}")
    _legend_below(along, ncols=2)
    figure.text(0.02, 0.085, wrapped(caption, 185), fontsize=9, va="top", linespacing=1.25)
    return figure


def _legend_below(axes: Axes, share: float = 0.26, **options: Any) -> None:
    """The legend in room of its own under the curves: a share of the height."""
    scale = axes.yaxis.get_transform()
    low, high = scale.transform(np.array(axes.get_ylim()))
    bottom = low - share / (1.0 - share) * (high - low)
    axes.set_ylim(scale.inverted().transform(np.array([bottom]))[0])
    axes.legend(fontsize=8, loc="lower center", **options)


def _surface(axes: Axes, scan: Scan, title: str, figure: Figure) -> None:
    """Each N a column of its own grid of ε."""
    lengths = np.array(scan.variable)
    edges = np.sqrt(lengths[1:] * lengths[:-1])
    first, last = lengths[0] ** 2 / edges[0], lengths[-1] ** 2 / edges[-1]
    edges = np.concatenate([[first], edges, [last]])
    mesh = None
    for left, right, steps, accuracy in zip(edges[:-1], edges[1:], scan.steps, scan.accuracy, strict=True):
        half = math.sqrt(steps[1] / steps[0])
        borders = np.append(steps / half, steps[-1] * half)
        values = accuracy.mean(axis=1)[:, None]
        mesh = axes.pcolormesh([left, right], borders, values, vmin=0.5, vmax=1.0, cmap="cividis")
    if mesh is not None:
        figure.colorbar(mesh, ax=axes, pad=0.02)
    optima, law = scan.optima, scan.law
    centre = np.array([one.centre for one in optima])
    axes.vlines(
        lengths, [one.low for one in optima], [one.high for one in optima], color="white", linewidth=1.2
    )
    label = r"$\varepsilon^*$, one standard error"
    axes.plot(lengths, centre, "o", color="white", markersize=4, label=label)
    middle = math.exp(np.log(lengths).mean())
    fit = rf"fit, $\alpha$ = {law.exponent:.2f} [{law.interval[0]:.2f}, {law.interval[1]:.2f}]"
    line = law.factor / middle * (lengths / middle) ** law.exponent
    axes.plot(lengths, line, color="C1", label=fit)
    axes.plot(lengths, 1.0 / lengths, color="C2", linestyle=":", label=r"$\varepsilon = 1/N$")
    axes.set(xscale="log", yscale="log", xlabel="N", ylabel=STEP, title=title)
    axes.set_xticks(lengths, [f"{n:g}" for n in lengths], minor=False)
    axes.set_xticks([], minor=True)
    _legend_below(axes, facecolor="#999999")  # what is white needs a ground


@styled
def ceilings_figure(found: Experiment, untrained: Mapping[str, Any]) -> Figure:
    """Why c: what a read-out can know without training, and what training makes of it, over Nε√‖W‖."""
    figure = Figure(figsize=(12.5, 4.6))
    panels = figure.subplots(1, 3, sharey=True, gridspec_kw={"left": 0.055, "right": 0.99, "top": 0.92,
                                                             "bottom": 0.13, "wspace": 0.05})  # fmt: skip
    root, times = math.sqrt(found.collapse_weight), np.array(untrained["c"])
    first, trained, others = panels
    first.plot(times * root, untrained["ceiling"], color="C1", label="linear network, best read-out")
    first.plot(
        times * root, untrained["identity"], color="C2", linestyle=":", label="the same, fitted read-out"
    )
    shades = _shades(len(found.main.variable))
    for shade, (n, values) in zip(shades[::2] or shades, untrained["tanh"].items(), strict=False):
        first.plot(times * root, values, color=shade, label=f"tanh, fitted read-out, N = {n}")
    curves = ((trained, found.main, "N", "-"), (others, found.also[NORMALISED], "normalised, N", "-"),
              (others, found.also[FROZEN], "W = 0, N", "--"))  # fmt: skip
    for panel, scan, name, line in curves:
        ends = (scan.variable[0], scan.variable[-1])
        for shade, n, steps, test in zip(shades, scan.variable, scan.steps, scan.test, strict=True):
            label = f"{name} = {n:g}" if panel is trained or n in ends else None
            panel.plot(n * steps * root, test.mean(axis=1), color=shade, linestyle=line, label=label)
    titles = ("no training", "trained", "trained: normalised read-out; W = 0")
    for panel, title in zip(panels, titles, strict=True):
        panel.axhline(float(sign_accuracy(plateau(1))), color="C3", linewidth=1.0, linestyle="-.")
        panel.set(xscale="log", xlabel=ROOT, title=title, xlim=(0.5, 45.0), ylim=(0.45, 1.0))
        panel.legend(fontsize=8, loc="lower left")
    first.set_ylabel("accuracy")
    first.text(0.55, float(sign_accuracy(plateau(1))) + 0.006, "5/6", color="C3", fontsize=9)
    return figure


def _shades(count: int) -> list[str]:
    """Greys from light to dark."""
    return [str(0.75 - 0.7 * i / max(1, count - 1)) for i in range(count)]


def _curves(axes: Axes, scan: Scan, variable: Callable[..., Any], label: str, shaded: bool) -> None:
    """Mean accuracies over a variable of ε and of N, in shades of grey, or of ε and s, in colours."""
    shades = _shades(len(scan.variable))
    for i, (value, steps, accuracy) in enumerate(zip(scan.variable, scan.steps, scan.accuracy, strict=True)):
        color, line = (shades[i], None) if shaded else (f"C{i}", LINES[i % 4])
        axes.plot(variable(steps, value), accuracy.mean(axis=1), color=color, linestyle=line,
                  linewidth=1.4, label=f"{value:g}")  # fmt: skip
    axes.set(xscale="log", xlabel=label, ylabel="validation accuracy")


def _along(axes: Axes, trace: GradientTrace, n: int, number: int) -> None:
    epochs, line = range(len(trace.norm)), ("-", "--")[number % 2]
    label = rf"$\varepsilon$ = {n * trace.step:.2g}/N"
    axes.plot(epochs, trace.norm, color="C1", linestyle=line, label=f"{NORM}, {label}")
    axes.plot(epochs, trace.weight, color="C2", linestyle=line, label=rf"$\Vert W\Vert$, {label}")
    bound = np.minimum(trace.bound, 1e3 * max(trace.norm))
    axes.plot(epochs, bound, color=GREY, linestyle=line, linewidth=1.0, label=f"bound B, {label}")


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
