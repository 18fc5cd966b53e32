"""Pictures of what `sensitivity.analysis` finds: exponents, profiles, comparisons, orders; and of bounds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .plots import GREY, LINES, STEP, Figure, MaxNLocator, NullFormatter, NullLocator, fit_values, styled

if TYPE_CHECKING:
    from sensitivity.analysis.comparison import Comparison
    from sensitivity.analysis.convergence import Convergence
    from sensitivity.analysis.growth import GrowthExponents
    from sensitivity.analysis.profile import GradientProfile
    from sensitivity.papers.hamiltonian.funnel import Funnel

__all__ = ["plot_comparison", "plot_convergence", "plot_funnel", "plot_growth", "plot_profile"]

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


@styled
def plot_growth(found: GrowthExponents, title: str = "") -> Figure:
    """Exponents against their number for at most three step sizes; some of the first against N."""
    figure = Figure(figsize=(9.6, 3.9), layout="constrained")
    spectrum, convergence = figure.subplots(1, 2)
    k = found.exponents.shape[-1]
    exponents, errors = (part.reshape(-1, k) for part in (found.exponents, found.standard_error))
    steps = found.step.reshape(-1)
    members = np.unique(
        np.linspace(0, len(exponents) - 1, min(MOST_MEMBERS, len(exponents))).round().astype(int)
    )
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
            label=rf"$\varepsilon$ = {steps[member]:.3g}",
        )
    spectrum.axhline(0.0, color=GREY, linewidth=0.8)
    spectrum.xaxis.set_major_locator(MaxNLocator(integer=True))
    spectrum.xaxis.set_minor_locator(NullLocator())
    spectrum.set_xlabel("number $i$")
    spectrum.set_ylabel(r"exponent $\lambda_i$ (per step)")
    spectrum.legend(loc="best")
    series = found.series.reshape(-1, len(found.series_steps), k)
    for i in np.unique(np.linspace(0, k - 1, min(MOST_EXPONENTS, k)).round().astype(int)):
        convergence.plot(found.series_steps, series[members[0], :, i], label=rf"$\lambda_{{{i + 1}}}$")
    convergence.set_xlabel("steps $n$")
    convergence.set_ylabel("estimate after $n$ steps")
    convergence.set_title(rf"$\varepsilon$ = {steps[members[0]]:.3g}, burn-in {found.burn_in}")
    convergence.legend(loc="best", ncols=2)
    spectrum.set_title(title or f"N = {found.n_steps}")
    return figure


@styled
def plot_profile(profile: GradientProfile, title: str = "") -> Figure:
    """ln of the norms and of the bound against i, one colour for each of at most eight step sizes.

    Natural logarithms, so that gradients outside float64 can be seen as well; zero norms leave a gap.
    """
    figure = Figure(figsize=(7.2, 4.4), layout="constrained")
    axes = figure.subplots()
    steps = profile.step.reshape(-1)
    logs = profile.log_norms.reshape(steps.size, -1)
    chosen = np.unique(
        np.linspace(0, max(steps.size - 1, 0), min(MOST_CURVES, steps.size)).round().astype(int)
    )
    some = profile.index[:: max(1, profile.index.size // BOUND_POINTS)]
    bounds = None
    if profile.bound is not None:
        bounds = profile.log_bounds(some).reshape(steps.size, -1)
    for number, member in enumerate(chosen, start=1):
        values = np.where(np.isfinite(logs[member]), logs[member], np.nan)
        axes.plot(profile.index, values, color=f"C{number}", label=rf"$\varepsilon$ = {steps[member]:.3g}")
        if bounds is not None and profile.bound is not None:
            label = f"its bound {profile.bound.theorem}"
            axes.plot(some, bounds[member], color=f"C{number}", linestyle=":", linewidth=1.5, label=label)
    fit_values(axes, [logs[chosen]], logarithmic=True)
    axes.set_xlabel("index $i$")
    axes.set_ylabel(rf"$\ln$ {_formula(profile.quantity)}")
    axes.set_title(title or f"{profile.model}, d = {profile.field.dim}, N = {profile.n_steps}")
    if chosen.size:
        axes.legend(loc="best")
    return figure


def _formula(quantity: str) -> str:
    """‖∂y_N/∂y_i‖ as mathematics."""
    inside = quantity.strip("‖").replace("∂", r"\partial ")
    return rf"$\|{inside}\|_2$"


def _look(number: int) -> dict[str, Any]:
    """Colour and line style of a model: together they tell forty-eight apart."""
    return {"color": COLORS[number % len(COLORS)], "linestyle": DASHES[number // len(COLORS) % len(DASHES)]}


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
