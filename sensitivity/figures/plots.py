"""What every picture is drawn with: Matplotlib, the house style, how a picture is saved, curves and norms.

``MPLBACKEND`` may name a backend that this process does not have, such as that of the notebook which started
it, and Matplotlib then refuses to be imported. Pictures are drawn on figures without a backend and written by
those for files, so that the caller's choice is neither needed nor changed. Nothing is computed here.
"""

# ruff: noqa: E402 - Matplotlib is imported only when the environment cannot end that

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, suppress
from functools import wraps
from pathlib import Path
from typing import BinaryIO, ParamSpec

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sensitivity.files import replacing


def _import_matplotlib() -> None:
    """Import Matplotlib with the backend of the environment if there is such a one, and without otherwise."""
    if "matplotlib" in sys.modules:
        return
    wish = os.environ.pop("MPLBACKEND", None)
    try:
        import matplotlib
    finally:
        if wish is not None:
            os.environ["MPLBACKEND"] = wish
    if wish:
        with suppress(ValueError):  # what Matplotlib itself does with it, but for the refusal
            matplotlib.rcParams["backend"] = wish


_import_matplotlib()

# isort: split
import matplotlib
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import Collection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

# Modules that draw take Matplotlib's names from here.
__all__ = [
    "Axes", "Figure", "FigureCanvasAgg", "LogFormatter", "LogLocator", "MaxNLocator", "NullFormatter",
    "NullLocator", "in_notebook", "norms", "plot_curves", "save", "write_png",
]  # fmt: skip

WRITERS = {".pdf": "pdf", ".svg": "svg", ".ps": "ps", ".eps": "ps"}
"""Suffix → backend that writes it; Agg writes the others."""

P = ParamSpec("P")
LINES = ("-", "--", "-.", ":")
STYLE = Path(__file__).with_name("house.mplstyle")
NORM = r"$\|\partial y_N/\partial y_0\|_2$"
STEP = r"step $\varepsilon$ (dimensionless)"
GREY = "#777777"
# Inches: the line of the setting, what the panels leave below themselves, and the width.
FOOT_LINE, FOOT, WIDTH = 0.175, 0.55, 10.0
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
            settle_colours(figure.findobj())
            return figure

    return inside


def settle_colours(artists: Iterable[Artist]) -> None:
    """Turn "C1" and its like into the house's colours: Matplotlib looks them up anew when it draws."""
    for part in artists:
        if isinstance(part, Line2D):
            part.set_color(to_rgba(part.get_color()))
        elif isinstance(part, Collection) and part.get_array() is None:
            part.set(facecolor=part.get_facecolor(), edgecolor=part.get_edgecolor())


def new_figure(size: tuple[float, float]) -> Figure:
    """A figure of so many inches, which pyplot knows where a script uses pyplot, and in a notebook."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is None and in_notebook():
        from matplotlib import pyplot
    if pyplot is None:
        return Figure(figsize=size, layout="constrained")
    return pyplot.figure(figsize=size, layout="constrained")


def in_notebook() -> bool:
    """Whether a Jupyter kernel runs this process; it shows the figures of pyplot at the end of a cell."""
    interactive = sys.modules.get("IPython")
    shell = interactive and interactive.get_ipython()
    return getattr(shell, "kernel", None) is not None


def write_png(figure: Figure, file: BinaryIO) -> None:
    """Write a figure as a PNG file for the screen."""
    with house():
        figure.savefig(file, format="png", backend="agg", dpi=100)


def save(figure: Figure, path: Path) -> None:
    """Write a picture, whole or not at all; the same one gives the same bytes, so no date goes into it."""
    dated = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}, ".ps": {"CreationDate": None}}
    with house(), replacing(path) as temporary:
        suffix = path.suffix.lower()
        figure.savefig(temporary, metadata=dated.get(suffix), backend=WRITERS.get(suffix, "agg"))


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


@styled
def norms(
    step: NDArray,
    lines: Sequence[tuple[str, NDArray, str, NDArray]],
    *,
    title: str,
    gradient: str = "∂y_N/∂y_0",
    logarithmic: bool = False,
    setting: str = "",
) -> Figure:
    """Norms against the step size, each with its bound.

    Parameters
    ----------
    step : ndarray, shape (n,)
    lines : sequence of (label, norms, label of the bound, bounds)
    title, setting : str
        Above, and small at the very end.
    gradient : str
        What the norms are of.
    logarithmic : bool
        The values are natural logarithms already.
    """
    figure, ((axes,),) = panel_grid(1, 1, setting, heights=(4.2,), width=7.2)
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
    fit_values(axes, [values for _, values, _, _ in lines], logarithmic)
    axes.legend(loc="upper left")
    return figure


# ------------------------------------------------------------------------------------------------- parts


def wrapped(caption: str, characters: int) -> str:
    """A caption in lines; no-break spaces keep a symbol and its value on one."""
    joined = caption.replace(" = ", "\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}")
    return "\n".join(textwrap.wrap(joined, characters))


def panel_grid(
    rows: int, columns: int, setting: str, heights: Sequence[float], width: float = WIDTH
) -> tuple[Figure, Sequence[Sequence[Axes]]]:
    """A figure with panels that share their axes row by row, over one small line that names the setting.

    Captions go as text beside a figure, where they can be read, searched and copied.
    """
    foot, top, gap = FOOT + FOOT_LINE * bool(setting), 0.35, 0.28
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
            "right": 1.0 - 0.22 / width,
            "bottom": foot / height,
            "top": 1.0 - top / height,
            "hspace": gap / (sum(heights) / rows),
            "wspace": 0.17,
            "height_ratios": heights,
        },
    )
    figure.text(0.15 / width, (foot - FOOT + 0.02) / height, setting, fontsize=8, color=GREY, va="top")
    return figure, [list(row) for row in grid]


def fit_values(axes: Axes, values: Sequence[NDArray], logarithmic: bool) -> None:
    """Vertical limits from the norms, so that a bound that explodes does not flatten them."""
    finite = np.concatenate([np.ravel(array) for array in values])
    finite = finite[np.isfinite(finite) & (logarithmic | (finite > 0.0))]
    if finite.size == 0:
        return
    low, high = finite.min(), finite.max()
    if logarithmic:
        room = 0.1 * (high - low) + 0.5
        axes.set_ylim(low - room, high + 4 * room)
    else:
        axes.set_ylim(low / 2.0, high * 20.0)
