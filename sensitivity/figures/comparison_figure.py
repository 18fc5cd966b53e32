"""The picture of a comparison: norms against n, profiles against i, growth exponents; one line a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .drawing import Figure
from .plots import styled

if TYPE_CHECKING:
    from sensitivity.analysis.comparison import Comparison

__all__ = ["plot_comparison"]

COLORS = ("#000000", "#004488", "#BB5566", "#DDAA33", "#117733", "#882255", "#66AACC", "#888888")
LINES = ("-", "--", "-.", ":", (0, (1, 1)), (0, (5, 1, 1, 1, 1, 1)))
# Inches a row of the list of models takes, and the least height of the figure.
ROW, LEAST_HEIGHT = 0.19, 4.4
# Where a line that falls or rises without end is cut: natural logarithms.
LOWEST, HIGHEST = -80.0, 80.0


def _look(number: int) -> dict[str, Any]:
    """Colour and line style of a model: together they tell forty-eight apart."""
    return {"color": COLORS[number % len(COLORS)], "linestyle": LINES[number // len(COLORS) % len(LINES)]}


@styled
def plot_comparison(found: Comparison, title: str = "") -> Figure:
    """ln ‖∂h_n/∂h_0‖, ln ‖∂h_N/∂h_i‖ and the largest exponents; models in the order of their last norm."""
    last = [np.nan_to_num(model.log_norms[-1], nan=np.inf) for model in found.models]
    models = [found.models[i] for i in np.argsort(last, kind="stable")[::-1]]
    height = max(LEAST_HEIGHT, ROW * len(models) + 1.2)
    figure = Figure(figsize=(13.5, height), layout="constrained")
    norms, profiles, exponents = figure.subplots(1, 3, width_ratios=(1.15, 1.15, 1.0))
    for number, model in enumerate(models):
        look = _look(number)
        norms.plot(found.steps, _cut(model.log_norms), **look, linewidth=1.3)
        profiles.plot(found.index, _cut(model.log_profile), **look, linewidth=1.3)
        places = np.full(model.exponents.size, number)
        shown = np.isfinite(model.exponents)
        exponents.errorbar(
            model.exponents[shown],
            places[shown],
            xerr=np.nan_to_num(model.errors[shown]),
            color=look["color"],
            linestyle="none",
            marker="o",
            markersize=3.5,
            capsize=2,
            elinewidth=0.9,
        )
        # The sample of the line stands beside the name, so that the list is the key of all three panels.
        beside = exponents.get_yaxis_transform()
        exponents.plot([-0.075, -0.015], [number] * 2, transform=beside, clip_on=False, linewidth=1.6, **look)
    norms.set(xscale="log", xlabel="$n$", ylabel=r"$\ln\ \|\partial h_n/\partial h_0\|_2$")
    profiles.set(xlabel="$i$", ylabel=r"$\ln\ \|\partial h_N/\partial h_i\|_2$")
    for axes in (norms, profiles):
        axes.axhline(0.0, color="#999999", linewidth=0.8, linestyle="-", zorder=0)
        _limits(axes, [m.log_norms if axes is norms else m.log_profile for m in models])
    exponents.axvline(0.0, color="#999999", linewidth=0.8, linestyle="-", zorder=0)
    exponents.set_xscale("symlog", linthresh=1e-3)
    exponents.set_xticks([-1.0, -0.1, -0.01, 0.0, 0.01, 0.1], ["−1", "−0.1", "−0.01", "0", "0.01", "0.1"])
    exponents.set_xticks([], minor=True)
    exponents.set_xlabel(r"growth exponents $\lambda_1, \lambda_2, \lambda_3$ (per step)")
    exponents.set_ylim(len(models) - 0.4, -0.6)
    exponents.set_yticks(range(len(models)), [_label(m.name, m.block) for m in models], fontsize=8)
    exponents.tick_params(axis="y", length=0, pad=26)
    exponents.tick_params(axis="x", labelsize=8)
    norms.set_title(title or f"N = {found.n_steps}")
    return figure


def _label(name: str, block: str) -> str:
    return name if block == "state" else f"{name} ({block})"


def _cut(values: NDArray) -> NDArray:
    """Infinite logarithms leave a gap."""
    return np.where(np.isfinite(values), values, np.nan)


def _limits(axes: Any, curves: list[NDArray]) -> None:
    """Show what lies within [LOWEST, HIGHEST]; lines that go on leave through the frame."""
    values = np.concatenate([curve[np.isfinite(curve)] for curve in curves]) if curves else np.zeros(0)
    if values.size:
        low, high = max(values.min(), LOWEST), min(values.max(), HIGHEST)
        room = 0.05 * (high - low) + 0.2
        axes.set_ylim(low - room, high + room)
