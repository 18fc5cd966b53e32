"""The picture of a gradient profile: ln ‖∂y_N/∂y_i‖ against i, with the bound."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .drawing import Figure
from .plots import styled

if TYPE_CHECKING:
    from sensitivity.analysis.profile import GradientProfile

__all__ = ["plot_profile"]

# A bound takes 0.15 ms a point, and is smooth.
BOUND_POINTS = 80
MOST_CURVES = 8


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
    for number, lane in enumerate(chosen, start=1):
        values = np.where(np.isfinite(logs[lane]), logs[lane], np.nan)
        axes.plot(profile.index, values, color=f"C{number}", label=rf"$\varepsilon$ = {steps[lane]:.3g}")
        if bounds is not None and profile.bound is not None:
            label = f"its bound {profile.bound.theorem}"
            axes.plot(some, bounds[lane], color=f"C{number}", linestyle=":", linewidth=1.5, label=label)
    shown = logs[chosen][np.isfinite(logs[chosen])]
    if shown.size:
        # A bound that explodes must not flatten the norms.
        room = 0.1 * float(np.ptp(shown)) + 0.5
        axes.set_ylim(shown.min() - room, shown.max() + 4 * room)
    axes.set_xlabel("index $i$")
    axes.set_ylabel(rf"$\ln$ {_formula(profile.quantity)}")
    axes.set_title(title or f"{profile.scheme.name}, d = {profile.field.dim}, N = {profile.n_steps}")
    if chosen.size:
        axes.legend(loc="best")
    return figure


def _formula(quantity: str) -> str:
    """‖∂y_N/∂y_i‖ as mathematics."""
    inside = quantity.strip("‖").replace("∂", r"\partial ")
    return rf"$\|{inside}\|_2$"
