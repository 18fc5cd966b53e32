"""Pictures of what `sensitivity.analysis` finds: exponents, profiles, comparisons, orders; and of bounds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sensitivity.text import evenly_spread

from .memory import PICTURES
from .plots import (
    GREY,
    LINES,
    STEP,
    Axes,
    Figure,
    MaxNLocator,
    NullFormatter,
    NullLocator,
    fit_values,
    house,
    new_figure,
    settle_colours,
    styled,
)

if TYPE_CHECKING:
    from sensitivity.analysis.comparison import Comparison
    from sensitivity.analysis.convergence import Convergence
    from sensitivity.analysis.growth import GrowthExponents
    from sensitivity.analysis.profile import GradientProfile
    from sensitivity.analysis.recommend import StepRecommendation
    from sensitivity.figures.drawn import Drawn
    from sensitivity.papers.hamiltonian.funnel import Funnel

__all__ = ["DRAWINGS", "Drawing", "draw", "figure_of", "member_labels", "plot_convergence", "plot_funnel"]

MOST_MEMBERS, MOST_EXPONENTS = 3, 4
MARKERS = "osD"
# A bound takes 0.15 ms a point, and is smooth.
BOUND_POINTS = 80
MOST_CURVES = 8
COLORS = ("#000000", "#004488", "#BB5566", "#DDAA33", "#117733", "#882255", "#66AACC", "#888888")
DASHES = ("-", "--", "-.", ":", (0, (1, 1)), (0, (5, 1, 1, 1, 1, 1)))
# Inches a row of the list of models takes, and the least height of the figure.
ROW, LEAST_HEIGHT = 0.19, 4.4
# Where a line that falls or rises without end is cut: natural logarithms.
LOWEST, HIGHEST = -80.0, 80.0
LABELS = {"step": STEP, "length": r"length $N$, with $\varepsilon = T/N$"}


@dataclass(frozen=True)
class Drawing:
    """How one kind of result is drawn.

    Attributes
    ----------
    draw : callable
        Takes the result, an array of axes, and a title, which may be empty.
    size : callable
        Takes the result; width and height in inches.
    ratios : tuple of float
        Widths of the panels.
    rows : int
        Over how many rows the panels are spread.
    """

    draw: Callable[[Any, NDArray, str], None]
    size: Callable[[Any], tuple[float, float]]
    ratios: tuple[float, ...] = (1.0,)
    rows: int = 1


def draw(found: Drawn, ax: Any = None, title: str = "") -> Any:
    """Draw a result into the given axes or into a new figure; see `Drawn.plot`."""
    picture = DRAWINGS[type(found).__name__]
    with house():
        if ax is None:
            axes = _panels(new_figure(picture.size(found)), picture)
        else:
            axes = _given(ax, len(picture.ratios))
        before = {id(part) for one in axes for part in one.findobj()}
        picture.draw(found, axes, title)
        settle_colours(part for one in axes for part in one.findobj() if id(part) not in before)
    if ax is not None:
        return ax
    return axes if len(axes) > 1 else axes[0]


def figure_of(found: Drawn, title: str = "") -> Figure:
    """A result on a figure of its own, which pyplot does not know."""
    picture = DRAWINGS[type(found).__name__]
    with house():
        figure = Figure(figsize=picture.size(found), layout="constrained")
        draw(found, _panels(figure, picture), title)
    return figure


def _panels(figure: Figure, picture: Drawing) -> NDArray:
    columns = len(picture.ratios) // picture.rows
    widths = picture.ratios[:columns]
    return figure.subplots(picture.rows, columns, width_ratios=widths, squeeze=False).ravel()


def _given(ax: Any, count: int) -> NDArray:
    """The axes of a caller as an array."""
    axes = np.array([ax] if isinstance(ax, Axes) else list(np.ravel(ax)), dtype=object)
    if not all(isinstance(one, Axes) for one in axes):
        raise TypeError(f"ax must be Matplotlib axes, such as those of plt.subplots(1, {count}); got {ax!r}.")
    if len(axes) != count:
        raise ValueError(f"ax must hold {count} axes, as many as there are panels; got {len(axes)}.")
    return axes


def member_labels(step: NDArray) -> list[str]:
    """What tells the members of a batch apart: their step sizes, or else their numbers."""
    steps = np.ravel(step)
    if steps.size == 1 or np.unique(steps).size == steps.size:
        return [rf"$\varepsilon$ = {value:.3g}" for value in steps]
    several = np.unique(steps).size > 1
    return [
        f"member {number}" + (rf", $\varepsilon$ = {value:.3g}" if several else "")
        for number, value in enumerate(steps)
    ]


def _draw_growth(found: GrowthExponents, axes: NDArray, title: str) -> None:
    """Exponents against their number for at most three batch members; some of the first against N."""
    spectrum, convergence = axes
    k = found.exponents.shape[-1]
    exponents, errors = (part.reshape(-1, k) for part in (found.exponents, found.standard_error))
    labels = member_labels(found.step)
    members = evenly_spread(len(exponents), MOST_MEMBERS)
    index = np.arange(1, k + 1)
    for number, member in enumerate(members):
        spectrum.errorbar(
            index + 0.12 * (number - (len(members) - 1) / 2),
            exponents[member],
            np.nan_to_num(errors[member]),
            color=f"C{number + 1}",
            linestyle="none",
            marker=MARKERS[number],
            fillstyle="full" if number == 0 else "none",
            capsize=2,
            elinewidth=1.0,
            label=labels[member],
        )
    spectrum.axhline(0.0, color=GREY, linewidth=0.8)
    spectrum.xaxis.set_major_locator(MaxNLocator(integer=True))
    spectrum.xaxis.set_minor_locator(NullLocator())
    spectrum.set_xlabel("number $i$")
    spectrum.set_ylabel(r"exponent $\lambda_i$ (per step)")
    spectrum.legend(loc="best")
    series = found.series.reshape(-1, len(found.series_steps), k)
    for i in evenly_spread(k, MOST_EXPONENTS):
        convergence.plot(found.series_steps, series[members[0], :, i], label=rf"$\lambda_{{{i + 1}}}$")
    convergence.set_xlabel("steps $n$")
    convergence.set_ylabel("estimate after $n$ steps")
    convergence.set_title(rf"{labels[members[0]]}, burn-in {found.burn_in}")
    convergence.legend(loc="best", ncols=2)
    spectrum.set_title(title or f"N = {found.n_steps}")


def _draw_profile(profile: GradientProfile, axes: NDArray, title: str) -> None:
    """ln of the norms and of the bound against i, one look for each of at most eight batch members.

    Natural logarithms, so that gradients outside float64 can be seen as well; zero norms leave a gap.
    """
    (panel,) = axes
    logs = profile.log_norms.reshape(profile.step.size, -1)
    chosen = evenly_spread(profile.step.size, MOST_CURVES)
    labels = member_labels(profile.step)
    some = profile.index[:: max(1, profile.index.size // BOUND_POINTS)]
    bounds = None if profile.bound is None else profile.log_bounds(some).reshape(profile.step.size, -1)
    for number, member in enumerate(chosen, start=1):
        values = np.where(np.isfinite(logs[member]), logs[member], np.nan)
        # The house has four colours; more curves than that take the longer list of the comparisons.
        look = {"color": f"C{number}"} if chosen.size <= len(LINES) else _look(number)
        panel.plot(profile.index, values, **look, label=labels[member])
        if bounds is not None and profile.bound is not None:
            look = {"color": look["color"], "linestyle": ":", "linewidth": 1.5}
            panel.plot(some, bounds[member], **look, label=f"its bound {profile.bound.theorem}")
    fit_values(panel, [logs[chosen]], logarithmic=True)
    of = "input" if "x_i" in profile.quantity else "state"
    panel.set_xlabel(f"index $i$ of the {of} (steps)")
    panel.set_ylabel(rf"$\ln$ {_formula(profile.quantity)} (natural logarithm)")
    panel.set_title(title or profile.setting)
    if chosen.size > 1 or bounds is not None:
        panel.legend(loc="best")


def _formula(quantity: str) -> str:
    """‖∂y_N/∂y_i‖ as mathematics."""
    inside = quantity.strip("‖").replace("∂", r"\partial ")
    return rf"$\|{inside}\|_2$"


def _look(number: int) -> dict[str, Any]:
    """Colour and line style of a model: both change with each, and together they tell forty-eight apart."""
    dashes = DASHES[(number + number // 24) % len(DASHES)]
    return {"color": COLORS[number % len(COLORS)], "linestyle": dashes}


def _size_of_comparison(found: Comparison) -> tuple[float, float]:
    return 13.5, max(LEAST_HEIGHT, ROW * len(found.models) + 1.2)


def _draw_comparison(found: Comparison, axes: NDArray, title: str) -> None:
    """ln ‖∂h_n/∂h_0‖, ln ‖∂h_N/∂h_i‖ and the largest exponents; models in the order of their last norm."""
    last = [np.nan_to_num(model.log_norms[-1], nan=np.inf) for model in found.models]
    models = [found.models[i] for i in np.argsort(last, kind="stable")[::-1]]
    norms, profiles, exponents = axes
    for number, model in enumerate(models):
        look = _look(number)
        norms.plot(found.steps, _cut(model.log_norms), **look, linewidth=1.3)
        profiles.plot(found.index, _cut(model.log_profile), **look, linewidth=1.3)
        for panel, places, band in (
            (norms, found.steps, model.bands.get("log_norms")),
            (profiles, found.index, model.bands.get("log_profile")),
        ):
            if band is not None:
                panel.fill_between(places, *map(_cut, band), color=look["color"], alpha=0.15, linewidth=0)
        band = model.bands.get("exponents")
        wrong = model.errors if band is None else np.abs(band - model.exponents)
        places = np.full(model.exponents.size, number)
        shown = np.isfinite(model.exponents)
        exponents.errorbar(
            model.exponents[shown],
            places[shown],
            xerr=np.nan_to_num(wrong[..., shown], posinf=0.0, neginf=0.0),
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
    norms.set(
        xscale="log", xlabel="steps $n$", ylabel=r"$\ln\ \|\partial h_n/\partial h_0\|_2$ (natural log)"
    )
    profiles.set(
        xlabel="index $i$ of the state (steps)",
        ylabel=r"$\ln\ \|\partial h_N/\partial h_i\|_2$ (natural log)",
    )
    for panel in (norms, profiles):
        panel.axhline(0.0, color="#999999", linewidth=0.8, linestyle="-", zorder=0)
        _limits(panel, [m.log_norms if panel is norms else m.log_profile for m in models])
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


def _label(name: str, block: str) -> str:
    return name if block == "state" else f"{name} ({block})"


def _draw_recommendation(found: StepRecommendation, axes: NDArray, title: str) -> None:
    """The extreme singular values against ε, the band and the two steps."""
    (panel,) = axes
    panel.plot(found.steps, found.largest, color="C1", label="largest singular value")
    panel.plot(found.steps, found.smallest, color="C2", label="smallest")
    panel.axhspan(found.lo, found.hi, alpha=0.15, label=f"[{found.lo:g}, {found.hi:g}]")
    for name, style in (("guaranteed", "-"), ("observed", "--")):
        value = getattr(found, name)
        if math.isfinite(value):
            label = f"{name}: {value * found.n_steps:.3g}/N"
            panel.axvline(value, color="black", linestyle=style, label=label)
    panel.set(xscale="log", yscale="log", xlabel="step ε", ylabel="singular values of ∂y_N/∂y_0")
    panel.set_title(title or f"{found.scheme}, N = {found.n_steps}")
    panel.legend()


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


DRAWINGS = {
    "Comparison": Drawing(_draw_comparison, _size_of_comparison, (1.15, 1.15, 1.0)),
    "GradientProfile": Drawing(_draw_profile, lambda _: (7.2, 4.4)),
    "GrowthExponents": Drawing(_draw_growth, lambda _: (9.6, 3.9), (1.0, 1.0)),
    "StepRecommendation": Drawing(_draw_recommendation, lambda _: (7.2, 4.4)),
}
"""Class of a result → how it is drawn."""


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
    for set_formatter in (room.yaxis.set_major_formatter, room.yaxis.set_minor_formatter):
        set_formatter("{x:g}")  # plain numbers where the whole axis spans less than a decade
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


DRAWINGS |= {name: Drawing(*picture) for name, picture in PICTURES.items()}
