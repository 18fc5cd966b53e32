"""Every picture. Nothing is computed here: curves come with their medians, ranges, slopes and bounds."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import wraps
from pathlib import Path
from typing import ParamSpec

from numpy.typing import NDArray

from sensitivity.files import replacing
from sensitivity.papers.hamiltonian.curves import Band, Curve

from .drawing import (
    WRITERS,
    Axes,
    Collection,
    Figure,
    Line2D,
    LogLocator,
    NullFormatter,
    NullLocator,
    matplotlib,
    to_rgba,
)

__all__ = ["figure_1", "figure_2", "figure_3", "norms", "save"]

P = ParamSpec("P")
STYLE = Path(__file__).with_name("house.mplstyle")
NORM = r"$\|\partial y_N/\partial y_0\|_2$"
STEP = r"step $\varepsilon$ (dimensionless)"
SLOPE = "local slope\n" r"$\mathrm{d}\log\|\cdot\|/\mathrm{d}\log\varepsilon$"
GREY = "#777777"
# Inches: one line of the caption, and what the panels leave around themselves.
CAPTION_LINE, CAPTION_TOP, WIDTH = 0.175, 0.62, 10.0
CHARACTERS = 148
# Where a bound that explodes is cut: far outside every panel, and inside float64 with its margins.
OFF_SCALE = 1e200


def house() -> AbstractContextManager[None]:
    """The house style, for the time of a ``with`` block."""
    return matplotlib.rc_context(fname=STYLE)


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    @wraps(draw)
    def inside(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with house():
            figure = draw(*args, **kwargs)
            _settle_colours(figure)
            return figure

    return inside


def _settle_colours(figure: Figure) -> None:
    """Turn "C1" and its like into the house's colours: Matplotlib looks them up anew when it draws."""
    for line in figure.findobj(Line2D):
        assert isinstance(line, Line2D)
        line.set_color(to_rgba(line.get_color()))
    for part in figure.findobj(Collection):
        assert isinstance(part, Collection)
        if part.get_array() is None:
            part.set(facecolor=part.get_facecolor(), edgecolor=part.get_edgecolor())


def save(figure: Figure, path: Path) -> None:
    """Write a picture, whole or not at all; the same one gives the same bytes, so no date goes into it."""
    dated = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}, ".ps": {"CreationDate": None}}
    with house(), replacing(path) as temporary:
        suffix = path.suffix.lower()
        figure.savefig(temporary, metadata=dated.get(suffix), backend=WRITERS.get(suffix, "agg"))


@styled
def figure_1(curves: Sequence[Curve], caption: str, setting: str) -> Figure:
    """The Hamiltonian RNN: norm and bound B above, local slope below."""
    figure, ((*top,), (*bottom,)) = _panels(2, len(curves), caption, setting, heights=(3.3, 1.7))
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
def figure_2(euler: Sequence[Curve], hamiltonian: Sequence[Curve], caption: str, setting: str) -> Figure:
    """The Euler RNN with bound D, and the Hamiltonian RNN's median for comparison."""
    figure, ((*panels,),) = _panels(1, len(euler), caption, setting, heights=(3.5,))
    for axes, curve, other in zip(panels, euler, hamiltonian, strict=True):
        axes.plot(other.step, other.norm.median, color="C1", linestyle="-.", label="Hamiltonian RNN (11)")
        _norm_with_range(axes, curve, "C2", "-", "Euler RNN (12)")
        _bound(axes, curve)
        axes.set_title(_title(curve))
        axes.set_xlabel(STEP)
    _limits(panels, [*euler, *hamiltonian])
    panels[0].set_ylabel(NORM)
    panels[-1].legend(loc="lower right")
    return figure


@styled
def figure_3(curves: Sequence[Curve], caption: str, setting: str) -> Figure:
    """The antisymmetric RNN, one line for each γ."""
    dims = list(dict.fromkeys(curve.d for curve in curves))
    figure, ((*panels,),) = _panels(1, len(dims), caption, setting, heights=(3.5,))
    for axes, d in zip(panels, dims, strict=True):
        members = [curve for curve in curves if curve.d == d]
        for number, curve in enumerate(members):
            color, line = f"C{number}", ("-", "--", "-.", ":")[number % 4]
            _norm_with_range(axes, curve, color, line, rf"$\gamma$ = {curve.gamma:g}")
        _bound(axes, members[0], rf"bound D, $\gamma$ = {members[0].gamma:g}", color=GREY)
        axes.set_title(_title(members[0]))
        axes.set_xlabel(STEP)
    _limits(panels, curves, floor=1e-8)
    panels[0].set_ylabel(NORM)
    panels[0].legend(loc="lower left")
    return figure


@styled
def norms(
    step: NDArray,
    lines: Sequence[tuple[str, NDArray, str, NDArray]],
    *,
    title: str,
    gradient: str = "∂y_N/∂y_0",
    logarithmic: bool = False,
    caption: str = "",
    setting: str = "",
) -> Figure:
    """Norms against the step size, each with its bound.

    Parameters
    ----------
    step : ndarray, shape (n,)
    lines : sequence of (label, norms, label of the bound, bounds)
    title, caption, setting : str
        Above, below, and small at the very end.
    gradient : str
        What the norms are of.
    logarithmic : bool
        The values are natural logarithms already.
    """
    figure, ((axes,),) = _panels(1, 1, caption, setting, heights=(4.2,), width=7.2)
    marker = "o" if step.size < 40 else None
    styles = (("-", "--"), ("-.", ":"))
    for number, (label, values, bound_label, bound) in enumerate(lines, start=1):
        color, (solid, broken) = f"C{number}", styles[(number - 1) % len(styles)]
        axes.plot(step, values, color=color, linestyle=solid, marker=marker, label=label)
        bound = bound.clip(max=OFF_SCALE)
        axes.plot(step, bound, color=color, linestyle=broken, linewidth=1.2, label=bound_label)
    axes.set(xscale="log", xlabel=STEP, title=title)
    norm = r"$\|" + gradient.replace("∂", r"\partial ") + r"\|_2$"
    axes.set_ylabel(rf"$\ln$ {norm}" if logarithmic else norm)
    axes.set_yscale("linear" if logarithmic else "log")
    _fit_values(axes, [values for _, values, _, _ in lines], logarithmic)
    axes.legend(loc="upper left")
    return figure


# ------------------------------------------------------------------------------------------------- parts


def wrapped(caption: str, characters: int) -> str:
    """A caption in lines; no-break spaces keep a symbol and its value on one."""
    joined = caption.replace(" = ", "\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}")
    return "\n".join(textwrap.wrap(joined, characters))


def _panels(
    rows: int, columns: int, caption: str, setting: str, heights: Sequence[float], width: float = WIDTH
) -> tuple[Figure, Sequence[Sequence[Axes]]]:
    """A figure with panels that share their axes row by row, and room below for the caption."""
    characters = int(CHARACTERS * width / WIDTH)
    lines = wrapped(caption, characters).splitlines()
    foot = CAPTION_TOP + CAPTION_LINE * (len(lines) + bool(setting))
    top, gap = 0.35, 0.28
    height = foot + sum(heights) + gap * (rows - 1) + top
    figure = Figure(figsize=(width, height))
    grid = figure.subplots(
        rows,
        columns,
        sharex=True,
        sharey="row",
        squeeze=False,
        gridspec_kw={
            "left": 0.78 / width,
            "right": 1.0 - 0.15 / width,
            "bottom": foot / height,
            "top": 1.0 - top / height,
            "hspace": gap / (sum(heights) / rows),
            "wspace": 0.13,
            "height_ratios": heights,
        },
    )
    place = {"x": 0.15 / width, "va": "top", "linespacing": 1.25}
    y = (foot - CAPTION_TOP + 0.06) / height
    figure.text(y=y, s="\n".join(lines), fontsize=9, **place)
    y -= CAPTION_LINE * len(lines) / height
    figure.text(y=y, s=setting, fontsize=8, color=GREY, **place)
    return figure, [list(row) for row in grid]


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


def _fit_values(axes: Axes, values: Sequence[NDArray], logarithmic: bool) -> None:
    """Vertical limits from the norms, so that a bound that explodes does not flatten them."""
    finite = [number for array in values for number in array.tolist() if 0 <= abs(number) < float("inf")]
    if not logarithmic:
        finite = [number for number in finite if number > 0]
    if not finite:
        return
    low, high = min(finite), max(finite)
    if logarithmic:
        room = 0.1 * (high - low) + 0.5
        axes.set_ylim(low - room, high + 4 * room)
    else:
        axes.set_ylim(low / 2.0, high * 20.0)


def _title(curve: Curve) -> str:
    draws = len(curve.seeds)
    return f"d = {curve.d} ({draws} draw{'s' if draws > 1 else ''})"
