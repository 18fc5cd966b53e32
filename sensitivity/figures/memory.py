"""Pictures of what a network remembers: windows, gradients in time, kernels of the inputs, directions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sensitivity.text import evenly_spread

from .plots import GREY, STEP, Figure, NullLocator, styled
from .reports import draw_report, in_formula

if TYPE_CHECKING:
    from sensitivity.analysis.memory.covariant import CovariantVectors
    from sensitivity.analysis.memory.gradient_time import GradientInTime
    from sensitivity.analysis.memory.input_kernels import MemoryKernels, ReadoutCeiling
    from sensitivity.analysis.memory.singular_vectors import SingularDirections

__all__ = ["PICTURES", "plot_windows"]

MOST_CURVES, MOST_NAMES = 8, 20


def _finite(values: NDArray) -> NDArray:
    return np.where(np.isfinite(values), values, np.nan)


def _draw_gradient_in_time(found: GradientInTime, axes: NDArray, title: str) -> None:
    """ln of what each step contributes, and the share that truncation to a window loses."""
    steps, windows = axes
    logs = found.log_norms.reshape(-1, found.log_norms.shape[-1])
    lost = found.lost.reshape(-1, found.lost.shape[-1])
    for number, member in enumerate(evenly_spread(len(logs), MOST_CURVES)):
        steps.plot(np.arange(1, logs.shape[1] + 1), _finite(logs[member]), color=f"C{number}")
        share = lost[member, :-1]
        windows.plot(np.arange(share.size), np.where(share > 0.0, share, np.nan), color=f"C{number}")
    steps.set(xlabel="step $i$", ylabel=r"$\ln$ of its part of $\partial C/\partial\theta$ (natural log)")
    windows.axhline(0.01, color=GREY, linewidth=0.8)
    windows.set(yscale="log", xlabel="last $w$ steps that are kept", ylabel="share of the gradient lost")
    steps.set_title(title)


@styled
def plot_windows(log_norms: NDArray, width: int, title: str = "", symbol: str = "s") -> Figure:
    """ln of the norms over windows of `width` steps against the step where a window begins."""
    figure = Figure(figsize=(7.2, 4.0), layout="constrained")
    axes = figure.subplots()
    logs = log_norms.reshape(-1, log_norms.shape[-1])
    members = evenly_spread(len(logs), MOST_CURVES)
    for number, member in enumerate(members):
        axes.plot(_finite(logs[member]), color=f"C{number}", label=f"member {member}")
    axes.axhline(0.0, color=GREY, linewidth=0.8)
    s = in_formula(symbol)
    axes.set_xlabel("state $i$ at which the window begins (steps)")
    axes.set_ylabel(rf"$\ln\ \|\partial {s}_{{i+{width}}}/\partial {s}_i\|_2$ (natural logarithm)")
    axes.set_title(title)
    if members.size > 1:
        axes.legend(loc="best", ncols=2)
    return figure


def _draw_kernels(found: MemoryKernels, axes: NDArray, title: str) -> None:
    """The kernels of the first batch member over time, each with its largest value as one; the capacity."""
    kernels, capacity = axes
    N, rows, inputs = found.values.shape[-3:]
    values = found.values.reshape(-1, N, rows, inputs)[0]
    index = np.arange(1, N + 1)
    for number, row in enumerate(evenly_spread(rows, MOST_CURVES)):
        curve = values[:, row, 0]
        largest = np.abs(curve).max(initial=0.0)
        kernels.plot(index, curve / (largest if largest > 0.0 else 1.0), color=f"C{number}")
    kernels.axhline(0.0, color=GREY, linewidth=0.8)
    kernels.set(xlabel="index $i$", ylabel=r"$\partial y_N/\partial x_i$, over its largest")
    kernels.set_title(title)
    capacity.plot(np.arange(N), found.capacity.reshape(-1, N)[0], color="C0")
    capacity.set(xlabel="delay $k$", ylabel="capacity for $x_{N-k}$")
    capacity.set_title(f"memory capacity {found.capacity.reshape(-1, N)[0].sum():.3g}")


def _draw_ceiling(found: ReadoutCeiling, axes: NDArray, title: str) -> None:
    """Correlation and accuracy of the best linear read-out against the step size."""
    (axis,) = axes
    step = np.reshape(found.step, -1)
    order = np.argsort(step, kind="stable")
    for values, label, color in (
        (found.correlation, "correlation", "C0"),
        (found.accuracy, "accuracy on signs", "C1"),
    ):
        axis.plot(step[order], np.reshape(values, -1)[order], color=color, label=label)
    if step.size and (step > 0.0).all() and step.max() > 4.0 * step.min():
        axis.set_xscale("log")
    axis.set(xlabel=STEP, ylabel="of the best linear read-out")
    axis.set_title(title)
    axis.legend(loc="best")


def _draw_covariant(found: CovariantVectors, axes: NDArray, title: str) -> None:
    """Local growth of the vectors of the first batch member, and the angles between neighbouring ones."""
    growth, angles = axes
    k = found.vectors.shape[-1]
    local = found.local.reshape(-1, *found.local.shape[-2:])[0]
    between = found.angles().reshape(-1, found.steps.size, k, k)[0]
    for number, j in enumerate(evenly_spread(k, MOST_CURVES)):
        growth.plot(found.steps[1:], _finite(local[:, j]), color=f"C{number}", label=f"$v_{{{j + 1}}}$")
        if j + 1 < k:
            label = f"$v_{{{j + 1}}}, v_{{{j + 2}}}$"
            angles.plot(found.steps, _finite(between[:, j, j + 1]), color=f"C{number}", label=label)
    growth.axhline(0.0, color=GREY, linewidth=0.8)
    growth.set(xlabel="step $i$", ylabel="local growth per step")
    growth.set_title(title)
    growth.legend(loc="best", ncols=2)
    angles.set(xlabel="step $i$", ylabel="angle (radians)", ylim=(0.0, None))
    if k > 1:
        angles.legend(loc="best", ncols=2)


def _draw_singular(found: SingularDirections, axes: NDArray, title: str) -> None:
    """ln σ of the first batch member; its right and left vectors as colours, component by component."""
    values, causes, effects = axes
    logs, right, left = found.first_member()
    if found.by_input:
        index = np.arange(1, len(logs) + 1)
        values.plot(index, _finite(logs), label=[f"$j$ = {j}" for j in range(1, logs.shape[1] + 1)])
        values.set(xlabel="index $i$", ylabel=r"$\ln\ \sigma_j$")
        values.legend(loc="best")
        columns, across = (right[:, :, 0].T, left[:, :, 0].T), "index $i$"
    else:
        index = np.arange(1, logs.size + 1)
        values.plot(index, _finite(logs), marker="o", linestyle="none")
        values.set(xlabel="number $j$", ylabel=r"$\ln\ \sigma_j$", xticks=index)
        columns, across = (right, left), "number $j$"
    values.set_title(title or f"${_as_formula(found.quantity)}$")
    cause = "first right vector" if found.by_input else "right vectors: of $s_0$"
    effect = "first left vector" if found.by_input else "left vectors: of $s_N$"
    for panel, vectors, names, head in (
        (causes, columns[0], found.column_names, cause),
        (effects, columns[1], found.row_names, effect),
    ):
        edges = np.append(index, index[-1] + 1) - 0.5
        image = panel.pcolormesh(
            edges, np.arange(len(names) + 1) - 0.5, vectors, cmap="RdBu_r", vmin=-1.0, vmax=1.0
        )
        shown = [*range(0, len(names), -(-len(names) // MOST_NAMES))]
        shown[-1] = len(names) - 1  # the last row is always named
        panel.set_yticks(shown, [names[i] for i in shown], fontsize=8)
        panel.yaxis.set_minor_locator(NullLocator())
        panel.invert_yaxis()
        panel.set(xlabel=across, title=head)
        if not found.by_input:
            panel.set_xticks(index)
    effects.figure.colorbar(image, ax=effects, label="component")


def _as_formula(quantity: str) -> str:
    return quantity.replace("∂", r"\partial ")


TWO_PANELS, ONE_PANEL = (9.6, 3.9), (7.2, 4.0)
PICTURES: dict[str, tuple[Any, ...]] = {
    "GradientInTime": (_draw_gradient_in_time, lambda found: TWO_PANELS, (1.0, 1.0)),
    "MemoryKernels": (_draw_kernels, lambda found: TWO_PANELS, (1.0, 1.0)),
    "ReadoutCeiling": (_draw_ceiling, lambda found: ONE_PANEL, (1.0,)),
    "CovariantVectors": (_draw_covariant, lambda found: TWO_PANELS, (1.0, 1.0)),
    "SingularDirections": (_draw_singular, lambda found: (12.0, 3.9), (1.0, 1.0, 1.2)),
    "NetworkReport": (draw_report, lambda found: (9.6, 7.2), (1.0, 1.0, 1.0, 1.0), 2),
}
"""Class of a result → how it is drawn, its size, the widths of its panels, rows; see `analysis.Drawing`."""
