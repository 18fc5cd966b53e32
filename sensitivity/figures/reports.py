"""The one picture of a report on a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sensitivity.text import evenly_spread

from .plots import GREY

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sensitivity.reports.practitioner import NetworkReport

__all__ = ["draw_report", "in_formula"]

MOST_CURVES = 8
LOWEST, HIGHEST = -80.0, 80.0


def in_formula(symbol: str) -> str:
    """The name of a block in mathematics: one letter is slanted, several stand upright."""
    return symbol if len(symbol) == 1 else rf"\mathrm{{{symbol}}}"


def draw_report(found: NetworkReport, axes: NDArray, title: str) -> None:
    """Norm against n with its bound, profile, exponents with errors, and what the gradient is made of."""
    norms, profile, exponents, shares = axes
    members = evenly_spread(len(found.log_norms), MOST_CURVES)
    for number, member in enumerate(members):
        look = {"color": f"C{number % 8}", "linestyle": "-", "linewidth": 1.1}
        norms.plot(found.steps, _cut(found.log_norms[member]), **look)
        profile.plot(found.index, _cut(found.log_profile[member]), **look)
    h = in_formula(found.symbol)
    norms.set(xlabel="steps $n$", ylabel=rf"$\ln\ \|\partial {h}_n/\partial {h}_0\|_2$ (natural log)")
    profile.set(
        xlabel="index $i$ of the state (steps)",
        ylabel=rf"$\ln\ \|\partial {h}_N/\partial {h}_i\|_2$ (natural log)",
    )
    for panel, curves in ((norms, found.log_norms), (profile, found.log_profile)):
        panel.axhline(0.0, color=GREY, linewidth=0.8, linestyle="-")
        finite = curves[np.isfinite(curves)]
        if finite.size:
            low, high = max(finite.min(), LOWEST), min(finite.max(), HIGHEST)
            panel.set_ylim(low - 0.05 * (high - low) - 0.3, high + 0.05 * (high - low) + 0.3)
    _draw_bound(norms, found)
    places = np.arange(1, found.exponents.shape[1] + 1)
    for number, member in enumerate(members):
        exponents.errorbar(
            places + 0.05 * number, found.exponents[member], np.nan_to_num(found.errors[member]),
            color=f"C{number % 8}", marker="o", linestyle="none", markersize=4, capsize=2,
        )  # fmt: skip
    exponents.axhline(0.0, color=GREY, linewidth=0.8, linestyle="-")
    exponents.set_xticks(places)
    exponents.set(xlabel="number $j$", ylabel=r"growth exponent $\lambda_j$ (per step)")
    largest = sorted(found.shares.items(), key=lambda item: -item[1])[:6]
    bars = [(found.torch_names.get(name, name).replace(" + ", " +\n"), value) for name, value in largest]
    if np.isfinite(found.saturated).all():
        bars.append(("units saturated\n(share of time)", float(found.saturated.mean())))
    shares.barh([name for name, _ in bars][::-1], [100.0 * value for _, value in bars][::-1], color="C0")
    shares.set(
        xlabel=rf"share of $\partial(u^\top {h}_N)/\partial\theta$ by parameter (%)", xlim=(0.0, 100.0)
    )
    norms.set_title(title or f"{found.model}, N = {found.n_steps}: {found.verdict.word}")


def _draw_bound(panel: Axes, found: NetworkReport) -> None:
    """The proved bound, where it comes into the panel after the first step."""
    bound, (_, top) = found.log_bounds[0], panel.get_ylim()
    if (bound[found.steps > 1] <= top).any():
        panel.plot(found.steps, _cut(bound), color=GREY, linestyle=":", label="proved bound")
        panel.legend(loc="best")


def _cut(values: np.ndarray) -> np.ndarray:
    """Infinite logarithms leave a gap."""
    return np.where(np.isfinite(values), values, np.nan)
