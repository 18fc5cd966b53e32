"""The picture of growth exponents: the spectrum with its standard errors, and how it converged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .drawing import Figure, MaxNLocator, NullLocator
from .plots import styled

if TYPE_CHECKING:
    from sensitivity.analysis.growth import GrowthExponents

__all__ = ["plot_growth"]

MOST_LANES, MOST_EXPONENTS = 3, 4
MARKERS = "osD"


@styled
def plot_growth(found: GrowthExponents, title: str = "") -> Figure:
    """Exponents against their number for at most three step sizes; some of the first against N."""
    figure = Figure(figsize=(9.6, 3.9), layout="constrained")
    spectrum, convergence = figure.subplots(1, 2)
    k = found.exponents.shape[-1]
    exponents, errors = (part.reshape(-1, k) for part in (found.exponents, found.standard_error))
    steps = found.step.reshape(-1)
    lanes = np.unique(np.linspace(0, len(exponents) - 1, min(MOST_LANES, len(exponents))).round().astype(int))
    index = np.arange(1, k + 1)
    for number, lane in enumerate(lanes):
        spectrum.errorbar(
            index + 0.12 * (number - (len(lanes) - 1) / 2),
            exponents[lane],
            np.nan_to_num(errors[lane]),
            color=f"C{number + 1}",
            linestyle="none",
            marker=MARKERS[number],
            fillstyle="full" if number == 0 else "none",
            capsize=2,
            elinewidth=1.0,
            label=rf"$\varepsilon$ = {steps[lane]:.3g}",
        )
    spectrum.axhline(0.0, color="#777777", linewidth=0.8)
    spectrum.xaxis.set_major_locator(MaxNLocator(integer=True))
    spectrum.xaxis.set_minor_locator(NullLocator())
    spectrum.set_xlabel("number $i$")
    spectrum.set_ylabel(r"exponent $\lambda_i$ (per step)")
    spectrum.legend(loc="best")
    series = found.series.reshape(-1, len(found.series_steps), k)
    for i in np.unique(np.linspace(0, k - 1, min(MOST_EXPONENTS, k)).round().astype(int)):
        convergence.plot(found.series_steps, series[lanes[0], :, i], label=rf"$\lambda_{{{i + 1}}}$")
    convergence.set_xlabel("steps $n$")
    convergence.set_ylabel("estimate after $n$ steps")
    convergence.set_title(rf"$\varepsilon$ = {steps[lanes[0]]:.3g}, burn-in {found.burn_in}")
    convergence.legend(loc="best", ncols=2)
    spectrum.set_title(title or f"N = {found.n_steps}")
    return figure
