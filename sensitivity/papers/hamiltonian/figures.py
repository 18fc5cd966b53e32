"""Figures 1 to 3. Nothing is computed here: curves come with their medians, ranges, slopes and bounds."""

from __future__ import annotations

from collections.abc import Sequence

from numpy.typing import NDArray

from sensitivity.figures.plots import (
    GREY,
    LINES,
    NORM,
    OFF_SCALE,
    STEP,
    Axes,
    Figure,
    LogLocator,
    NullFormatter,
    NullLocator,
    panel_grid,
    styled,
)

from .curves import Band, Curve

__all__ = ["figure_1", "figure_2", "figure_3"]

SLOPE = "local slope\n" r"$\mathrm{d}\log\|\cdot\|/\mathrm{d}\log\varepsilon$"


@styled
def figure_1(curves: Sequence[Curve], setting: str) -> Figure:
    """The Hamiltonian RNN: norm and bound B above, local slope below."""
    figure, ((*top,), (*bottom,)) = panel_grid(2, len(curves), setting, heights=(3.3, 1.7))
    for above, below, curve in zip(top, bottom, curves, strict=True):
        _norm_with_range(above, curve, "C1", "-", "Hamiltonian RNN (11)")
        _bound(above, curve)
        _reference_slope(above, curve)
        _range(below, curve.step, curve.slope, "C1")
        below.plot(curve.step, curve.slope.median, color="C1", linestyle="-")
        below.axhline(1.0, color=GREY, linewidth=1.0, linestyle=(0, (5, 2)))
        above.set_title(_title(curve))
        below.set_xlabel(STEP)
    _limits(top, curves)
    top[0].set_ylabel(NORM)
    bottom[0].set_ylabel(SLOPE)
    bottom[0].set_ylim(0.0, None)
    top[-1].legend(loc="lower right")
    return figure


@styled
def figure_2(euler: Sequence[Curve], hamiltonian: Sequence[Curve], setting: str) -> Figure:
    """The Euler RNN with bound D, and the Hamiltonian RNN's median for comparison."""
    figure, ((*panels,),) = panel_grid(1, len(euler), setting, heights=(3.5,))
    for axes, curve, other in zip(panels, euler, hamiltonian, strict=True):
        axes.plot(other.step, other.norm.median, color="C1", linestyle="-.", label="Hamiltonian RNN (11)")
        _norm_with_range(axes, curve, "C2", "-", "Euler RNN (12)")
        _bound(axes, curve, "bound D, of the Euler RNN")
        axes.set_title(_title(curve))
        axes.set_xlabel(STEP)
    _limits(panels, [*euler, *hamiltonian])
    panels[0].set_ylabel(NORM)
    panels[-1].legend(loc="lower right")
    return figure


@styled
def figure_3(curves: Sequence[Curve], setting: str) -> Figure:
    """The antisymmetric RNN, one line for each γ."""
    dims = list(dict.fromkeys(curve.d for curve in curves))
    figure, ((*panels,),) = panel_grid(1, len(dims), setting, heights=(3.5,))
    for axes, d in zip(panels, dims, strict=True):
        members = [curve for curve in curves if curve.d == d]
        for number, curve in enumerate(members):
            color, line = f"C{number}", LINES[number % 4]
            _norm_with_range(axes, curve, color, line, rf"$\gamma$ = {curve.gamma:g}")
        _bound(axes, members[0], rf"bound D, $\gamma$ = {members[0].gamma:g}", color=GREY)
        axes.set_title(_title(members[0]))
        axes.set_xlabel(STEP)
    _limits(panels, curves, floor=1e-8)
    panels[0].set_ylabel(NORM)
    panels[0].legend(loc="lower left")
    return figure


def _norm_with_range(axes: Axes, curve: Curve, color: str, line: str, label: str) -> None:
    _range(axes, curve.step, curve.norm, color)
    axes.plot(curve.step, curve.norm.median, color=color, linestyle=line, label=label)


def _range(axes: Axes, step: NDArray, band: Band, color: str) -> None:
    axes.fill_between(step, band.low, band.high, color=color, alpha=0.18, linewidth=0)


def _bound(axes: Axes, curve: Curve, label: str = "", color: str = "C0") -> None:
    values = curve.bound.median.clip(max=OFF_SCALE)
    style = (0, (4, 1.5))
    label = label or f"bound {curve.theorem}"
    axes.plot(curve.step, values, color=color, linestyle=style, linewidth=1.2, label=label)


def _reference_slope(axes: Axes, curve: Curve) -> None:
    """The line of slope one through the end of the median."""
    line = curve.norm.median[-1] * curve.step / curve.step[-1]
    axes.plot(curve.step, line, color=GREY, linestyle=":", linewidth=1.3, label=r"$\propto\varepsilon$")


def _limits(panels: Sequence[Axes], curves: Sequence[Curve], floor: float = 0.0) -> None:
    """Log axes that show the norms whole; bounds and references may leave through the frame."""
    low = max(min(curve.norm.low.min() for curve in curves), floor)
    high = max(curve.norm.high.max() for curve in curves)
    for axes in panels:
        axes.set(xscale="log", yscale="log", xlim=(curves[0].step[0], curves[0].step[-1]))
        axes.set_ylim(low / 2.0, high * 4.0)
        axes.yaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_minor_locator(LogLocator(subs="all"))
        axes.xaxis.set_minor_formatter(NullFormatter())


def _title(curve: Curve) -> str:
    draws = len(curve.seeds)
    return f"d = {curve.d} ({draws} draw{'s' if draws > 1 else ''})"
