"""Pictures of what a network remembers: windows, gradients in time, kernels of the inputs, directions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .plots import GREY, Figure, styled

if TYPE_CHECKING:
    from sensitivity.analysis.memory.gradient_time import GradientInTime

__all__ = ["plot_gradient_in_time", "plot_windows"]

MOST_CURVES = 8


def _chosen(count: int) -> NDArray[np.int64]:
    """At most `MOST_CURVES` batch members, evenly spread."""
    return np.unique(np.linspace(0, max(count - 1, 0), min(MOST_CURVES, count)).round().astype(int))


def _finite(values: NDArray) -> NDArray:
    return np.where(np.isfinite(values), values, np.nan)


@styled
def plot_gradient_in_time(found: GradientInTime, title: str = "") -> Figure:
    """ln of what each step contributes, and the share that truncation to a window loses."""
    figure = Figure(figsize=(9.6, 3.9), layout="constrained")
    steps, windows = figure.subplots(1, 2)
    logs = found.log_norms.reshape(-1, found.log_norms.shape[-1])
    lost = found.lost.reshape(-1, found.lost.shape[-1])
    for number, member in enumerate(_chosen(len(logs))):
        steps.plot(np.arange(1, logs.shape[1] + 1), _finite(logs[member]), color=f"C{number}")
        share = lost[member, :-1]
        windows.plot(np.arange(share.size), np.where(share > 0.0, share, np.nan), color=f"C{number}")
    steps.set(xlabel="step $i$", ylabel=r"$\ln$ of its part of $\partial C/\partial\theta$")
    windows.axhline(0.01, color=GREY, linewidth=0.8)
    windows.set(yscale="log", xlabel="window $w$", ylabel="share of the gradient that is lost")
    steps.set_title(title)
    return figure


@styled
def plot_windows(log_norms: NDArray, width: int, title: str = "") -> Figure:
    """ln of the norms over windows of `width` steps against the step where a window begins."""
    figure = Figure(figsize=(7.2, 4.0), layout="constrained")
    axes = figure.subplots()
    logs = log_norms.reshape(-1, log_norms.shape[-1])
    for number, member in enumerate(_chosen(len(logs))):
        axes.plot(_finite(logs[member]), color=f"C{number}")
    axes.axhline(0.0, color=GREY, linewidth=0.8)
    axes.set_xlabel("first step $i$")
    axes.set_ylabel(rf"$\ln\ \|\partial s_{{i+{width}}}/\partial s_i\|_2$")
    axes.set_title(title)
    return figure
