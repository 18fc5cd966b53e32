"""Pictures and films of the phase plane: areas and sensitivity ellipses. Nothing is computed here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .film import Film
from .plots import GREY, LINES, Axes, Figure, house, styled

if TYPE_CHECKING:
    from sensitivity.papers.hamiltonian.portraits import PhaseArea, SensitivityEllipses

__all__ = ["ellipse_film", "plot_areas", "plot_ellipses"]

POSITION, VELOCITY = "position $y$ (rad)", "velocity $p$ (rad per unit time)"
SHOWN = 7
"""Outlines of a set drawn into one still picture."""
ELLIPSES = 13


@styled
def plot_areas(found: Sequence[PhaseArea]) -> Figure:
    """The set at a few times, one panel a scheme, and its area over time in the last panel."""
    figure = Figure(figsize=(3.1 * (len(found) + 1), 2.9), layout="constrained")
    panels = figure.subplots(1, len(found) + 1)
    seen = np.concatenate([one.outlines.reshape(-1, 2) for one in found])
    low, high = seen.min(axis=0), seen.max(axis=0)
    room = 0.05 * float((high - low).max())
    for number, (axes, one) in enumerate(zip(panels, found, strict=False), start=1):
        chosen = np.linspace(0, len(one.areas) - 1, SHOWN).round().astype(int)
        for shade, index in enumerate(chosen):
            outline = one.outlines[index]
            axes.fill(*outline.T, color=f"C{number}", linewidth=1.0, linestyle="-",
                      alpha=0.2 + 0.7 * shade / SHOWN)  # fmt: skip
        axes.set_title(f"{one.scheme}: area × {one.ratio:.3g}")
        axes.set_xlabel(POSITION)
        # One range for all schemes: areas are compared by eye.
        axes.set_aspect("equal", adjustable="box")
        axes.set(xlim=(low[0] - room, high[0] + room), ylim=(low[1] - room, high[1] + room))
        panels[-1].plot(np.arange(len(one.areas)) * one.step, one.areas / one.areas[0], color=f"C{number}",
                        linestyle=LINES[number % 4], label=one.scheme)  # fmt: skip
    panels[0].set_ylabel(VELOCITY)
    panels[-1].set(xlabel=r"time $i\varepsilon$", yscale="log", title="area ÷ first area")
    for set_formatter in (panels[-1].yaxis.set_major_formatter, panels[-1].yaxis.set_minor_formatter):
        set_formatter("{x:g}")  # plain numbers, since the axis may span less than a decade
    panels[-1].legend(loc="best")
    return figure


@styled
def plot_ellipses(found: Sequence[SensitivityEllipses], radius: float = 0.15) -> Figure:
    """Ellipses along each trajectory, one panel a scheme; below, their half axes."""
    figure = Figure(figsize=(4.2 * len(found), 5.4), layout="constrained")
    panels = figure.subplots(2, len(found), squeeze=False, sharey="row", height_ratios=(3, 1.6))
    for number, (above, below, one) in enumerate(zip(*panels, found, strict=True), start=1):
        _trajectory(above, one)
        outlines, last = one.outlines(radius), len(one.steps) - 1
        for index in np.linspace(0, last, ELLIPSES).round().astype(int):
            above.fill(*outlines[index].T, color=f"C{number}", linewidth=0.8, linestyle="-",
                       alpha=0.15 + 0.6 * index / max(last, 1))  # fmt: skip
        above.set_title(f"{one.scheme}: last area × {one.areas[-1]:.3g}")
        _half_axes(below, one)
    panels[0][0].set_ylabel(VELOCITY)
    panels[1][0].set_ylabel("half axes ÷ radius")
    panels[1][-1].legend(loc="best")
    return figure


def ellipse_film(found: SensitivityEllipses, radius: float = 0.15) -> Film:
    """The ellipse turning and stretching along the trajectory, one frame for each of its steps."""
    with house():
        return _ellipse_film(found, radius)


def _ellipse_film(found: SensitivityEllipses, radius: float) -> Film:
    figure = Figure(figsize=(7.2, 3.3), layout="constrained", dpi=80)
    left, right = figure.subplots(1, 2, width_ratios=(1.5, 1.0))
    _trajectory(left, found)
    left.set_ylabel(VELOCITY)
    outlines = found.outlines(radius)
    (patch,) = left.fill(*outlines[0].T, facecolor="C2", edgecolor="C2", alpha=0.6)
    (point,) = left.plot([], [], "o", color="C0", markersize=4)
    corners = outlines.reshape(-1, 2)
    low, high = corners.min(axis=0), corners.max(axis=0)
    room = 0.05 * float((high - low).max())
    left.set_aspect("equal", adjustable="box")
    left.set(xlim=(low[0] - room, high[0] + room), ylim=(low[1] - room, high[1] + room))
    _half_axes(right, found, faint=True)
    right.set_title("half axes ÷ radius")
    (mark,) = right.plot([], [], "o", color="C2", markersize=4)

    def draw(frame: int) -> None:
        step, axes, area = found.steps[frame], found.axes[frame], found.areas[frame]
        patch.set_xy(outlines[frame])
        point.set_data(*(found.states[step : step + 1]).T)
        mark.set_data([step * found.step], [axes[0]])
        left.set_title(f"{found.scheme}, t = {step * found.step:.1f}: area × {area:.3f}")

    draw(0)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # found once: the panels stand still, and frames are drawn twice as fast
    return Film(figure, draw, len(found.steps))


def _trajectory(axes: Axes, found: SensitivityEllipses) -> None:
    axes.plot(*found.states.T, color=GREY, linewidth=0.8, linestyle="-")
    axes.set_xlabel(POSITION)
    axes.set_aspect("equal", adjustable="datalim")


def _half_axes(axes: Axes, found: SensitivityEllipses, faint: bool = False) -> None:
    time = found.steps * found.step
    colours = (GREY, GREY) if faint else ("C1", "C2")
    for column, name, line in ((0, "longer", "-"), (1, "shorter", "--")):
        axes.plot(time, found.axes[:, column], color=colours[column], linestyle=line, label=name)
    axes.set(yscale="log", xlabel=r"time $i\varepsilon$")
