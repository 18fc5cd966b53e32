"""How the cost grows with d, N and the number of step sizes: measured, fitted, drawn."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

__all__ = ["Curve", "Fit", "draw", "fit", "measure"]

# What stands still while one of the three grows.
DIMS, STEPS, MEMBERS = (
    (1, 2, 4, 8, 16, 32, 64, 128, 256),
    tuple(10**e for e in range(1, 6)),
    tuple(4**e for e in range(7)),
)
AT_DIM, AT_STEPS, AT_MEMBERS = 10, 200, 32
# Runs are repeated for this long, and at least three times.
SECONDS = 0.1


@dataclass(frozen=True)
class Curve:
    """Seconds of a whole Jacobian against one of its sizes.

    Attributes
    ----------
    symbol, name : str
        Of the size that grows.
    held : str
        The other two.
    expected : float
        The exponent that the operation count has for large sizes.
    sizes : tuple of int
    seconds : tuple of float
        Medians.
    """

    symbol: str
    name: str
    held: str
    expected: float
    sizes: tuple[int, ...]
    seconds: tuple[float, ...]


@dataclass(frozen=True)
class Fit:
    """seconds ≈ factor · size^exponent from `first` on.

    Attributes
    ----------
    first : int
        Index of the first point of the fit.
    local : tuple of float
        Exponents between neighbouring points, over the whole curve.
    """

    exponent: float
    factor: float
    first: int
    local: tuple[float, ...]


def fit(sizes: Sequence[float], seconds: Sequence[float]) -> Fit:
    """Least squares in logarithms over the upper half of the points, at least three: fixed costs are small.

    Raises
    ------
    ValueError
        For fewer than three points, or a size or time that is not positive.
    """
    if len(sizes) != len(seconds) or len(sizes) < 3:
        raise ValueError(
            f"a fit needs three sizes or more, each with its time; got {len(sizes)} and {len(seconds)}."
        )
    if not all(value > 0.0 for value in (*sizes, *seconds)):
        raise ValueError("sizes and seconds must be positive.")
    x, y = np.log(np.asarray(sizes, dtype=float)), np.log(np.asarray(seconds, dtype=float))
    first = min(len(x) // 2, len(x) - 3)
    exponent, constant = np.polyfit(x[first:], y[first:], 1)
    local = tuple(float(slope) for slope in np.diff(y) / np.diff(x))
    return Fit(float(exponent), math.exp(constant), first, local)


def measure(cores: int, largest_dim: int = DIMS[-1]) -> list[Curve]:
    """Time the leapfrog Jacobian of the paper's weights along the three axes."""
    dims = tuple(d for d in DIMS if d <= largest_dim)
    held = {"d": f"d = {AT_DIM}", "N": f"N = {AT_STEPS}", "m": f"{AT_MEMBERS} step sizes"}
    curves = []
    for symbol, name, sizes, expected in (
        ("d", "dimension d", dims, 3.0),
        ("N", "steps N", STEPS, 1.0),
        ("m", "step sizes", MEMBERS, 1.0),
    ):
        seconds = []
        for size in sizes:
            shape = {"d": AT_DIM, "N": AT_STEPS, "m": AT_MEMBERS, symbol: size}
            seconds.append(_seconds(shape["d"], shape["N"], shape["m"], cores))
        others = ", ".join(text for key, text in held.items() if key != symbol)
        curves.append(Curve(symbol, name, others, expected, sizes, tuple(seconds)))
    return curves


def _seconds(d: int, n_steps: int, members: int, cores: int) -> float:
    from integrators import NeuralField
    from sensitivity import jacobian

    field, steps, spans = NeuralField.random(d), np.geomspace(1e-3, 1.0, members), []
    until = time.perf_counter() + SECONDS
    jacobian(field, "leapfrog", steps, n_steps, threads=cores, progress=False)
    while len(spans) < 3 or time.perf_counter() < until:
        began = time.perf_counter()
        jacobian(field, "leapfrog", steps, n_steps, threads=cores, progress=False)
        spans.append(time.perf_counter() - began)
    return median(spans)


def draw(curves: Sequence[Curve], path: Path) -> None:
    """Write the three curves with their fitted lines; filled points took part in the fit."""
    import matplotlib
    from matplotlib.figure import Figure

    import sensitivity

    with matplotlib.rc_context(fname=Path(str(sensitivity.__file__)).parent / "figures" / "house.mplstyle"):
        figure = Figure(figsize=(10.0, 3.4), layout="constrained")
        for number, (axes, curve) in enumerate(zip(figure.subplots(1, len(curves)), curves, strict=True), 1):
            found, sizes, color = (
                fit(curve.sizes, curve.seconds),
                np.asarray(curve.sizes, dtype=float),
                f"C{number}",
            )
            axes.loglog(sizes, curve.seconds, color=color, linestyle="none", marker="o", fillstyle="none")
            axes.loglog(
                sizes[found.first :], curve.seconds[found.first :], color=color, linestyle="none", marker="o"
            )
            line = found.factor * sizes[found.first :] ** found.exponent
            label = f"exponent {found.exponent:.2f} (operations: {curve.expected:g})"
            axes.loglog(sizes[found.first :], line, color=color, linestyle="-", label=label)
            axes.set_xlabel(curve.name)
            axes.set_title(curve.held)
            axes.legend(loc="upper left")
            if number == 1:
                axes.set_ylabel("seconds for ∂y_N/∂y_0")
        figure.savefig(path)
