"""The pictures of bounds that close on what they bound, of orders, and of several curves over one axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from .drawing import Axes, Figure, NullFormatter
from .plots import GREY, STEP, styled

if TYPE_CHECKING:
    from sensitivity.analysis.convergence import Convergence
    from sensitivity.papers.hamiltonian.funnel import Funnel

__all__ = ["plot_convergence", "plot_curves", "plot_funnel"]

LABELS = {"step": STEP, "length": r"length $N$, with $\varepsilon = T/N$"}
LINES = ("-", "--", "-.", ":")


@styled
def plot_funnel(found: Funnel, title: str = "") -> Figure:
    """Singular values inside the funnel of theorems C and E, and how much room the bounds leave."""
    figure = Figure(figsize=(9.6, 4.0), layout="constrained")
    values, room = figure.subplots(1, 2, width_ratios=(1.6, 1.0))
    low = np.maximum(found.lower, 0.0)
    values.fill_between(found.x, low, found.upper, color="C1", alpha=0.15, linewidth=0, label="proved")
    values.plot(found.x, found.upper, color="C1", linestyle="-", linewidth=1.2, label="bounds E and C")
    values.plot(found.x, low, color="C1", linestyle="-", linewidth=1.2)
    values.plot(found.x, found.met, color="C3", linestyle="--", linewidth=1.4, label="bound F")
    for column, line in enumerate(found.values.T):
        values.plot(found.x, line, color="C0", linestyle="-", linewidth=0.9,
                    label="singular values" if column == 0 else None)  # fmt: skip
    values.set_ylim(0.0, 1.6 * float(found.values.max()))
    values.set(xscale="log", xlabel=LABELS[found.variable])
    values.set_title(title or f"singular values of $\\partial y_N/\\partial y_0$, {found.scheme}")
    values.legend(loc="upper left")
    norm = found.values[:, 0]
    room.plot(found.x, found.upper / norm, color="C1", linestyle="-", label="bound E ÷ norm")
    room.plot(found.x, found.met / norm, color="C3", linestyle="--", label="bound F ÷ norm")
    room.axhline(1.0, color=GREY, linewidth=1.0)
    room.set(xscale="log", yscale="log", xlabel=LABELS[found.variable], title="how tight")
    _few_ticks(room)
    room.legend(loc="best")
    return figure


@styled
def plot_convergence(found: Sequence[Convergence]) -> Figure:
    """Error against the step, and against the force evaluations it cost."""
    figure = Figure(figsize=(9.6, 4.0), layout="constrained")
    by_step, by_work = figure.subplots(1, 2, sharey=True)
    for number, one in enumerate(found):
        style = {"color": f"C{number % 4}", "linestyle": LINES[number % 4], "marker": "osDv^<>p"[number % 8]}
        by_step.plot(one.step, one.error, label=f"{one.scheme.name}: {one.order:.2f}", **style)
        by_work.plot(one.kicks, one.error, **style)
    by_step.set(xscale="log", yscale="log", xlabel=STEP, ylabel=r"error of $(y, p)$ at the end")
    by_step.xaxis.set_minor_formatter(NullFormatter())
    by_step.legend(title="measured order", loc="best")
    by_work.set(xscale="log", xlabel="force evaluations")
    return figure


@styled
def plot_curves(
    x: ArrayLike,
    curves: Sequence[tuple[str, ArrayLike]],
    *,
    xlabel: str,
    ylabel: str,
    title: str = "",
    xscale: str = "linear",
    yscale: str = "linear",
) -> Figure:
    """Several curves over one axis, each (label, values), in the house style."""
    figure = Figure(figsize=(7.2, 3.8), layout="constrained")
    axes = figure.subplots()
    for number, (label, values) in enumerate(curves):
        axes.plot(x, values, color=f"C{number % 4}", linestyle=LINES[(number + number // 4) % 4], label=label)
    axes.set(xscale=xscale, yscale=yscale, xlabel=xlabel, ylabel=ylabel, title=title)
    axes.legend(loc="best")
    return figure


def _few_ticks(axes: Axes) -> None:
    """Plain numbers where the whole axis spans less than a decade."""
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("{x:g}")
