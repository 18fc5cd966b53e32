"""The 2 × 2 steps of oscillatory state-space models: as SymPy matrices, and as the shipped "
"cells compute them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["STEPS", "A", "G", "agrees_with_cell", "dt", "is_zero", "spectral_radius", "step_of"]

Float = NDArray[np.float64]


def _symbols() -> tuple[Any, Any, Any]:
    from sympy import symbols

    return symbols("A G Delta", positive=True)


A, G, dt = _symbols()
"""Squared frequency, damping and step size of one oscillator, all positive."""


def _steps() -> dict[str, Any]:
    from sympy import Matrix

    S, T = 1 + dt**2 * A, 1 + dt * G
    return {
        "linoss_im": Matrix([[1, -dt * A], [dt, 1]]) / S,
        "linoss_imex": Matrix([[1, -dt * A], [dt, 1 - dt**2 * A]]),
        "dlinoss": Matrix([[1 / T, -dt * A / T], [dt / T, 1 - dt**2 * A / T]]),
    }


STEPS: Mapping[str, Any] = _steps()
"""Model → M of one oscillator on (z, y), as published."""


def is_zero(expression: Any) -> bool:
    """Whether an expression, or every entry of a matrix, simplifies to zero."""
    from sympy import simplify

    entries = list(expression) if hasattr(expression, "shape") else [expression]
    return all(simplify(entry) == 0 for entry in entries)


def step_of(name: str, **parameters: Any) -> Float:
    """M of every oscillator by the shipped cell, shape (d, 2, 2)."""
    from sensitivity.recurrences.registry import make

    d = max(np.size(value) for value in parameters.values())
    J = make(name, d, **parameters).linearise(np.zeros(2 * d))[1]
    return np.array([J[np.ix_([k, d + k], [k, d + k])] for k in range(d)])


def agrees_with_cell(name: str, draws: int = 100) -> bool:
    """Whether the published matrix is that of the shipped cell, at random parameters and to round-off."""
    from sympy import lambdify

    rng = np.random.default_rng(0)
    given = {"A": rng.uniform(0.01, 5.0, draws), "dt": rng.uniform(0.01, 1.0, draws)}
    if name == "dlinoss":
        given["G"] = rng.uniform(0.01, 3.0, draws)
    published = lambdify((A, G, dt), STEPS[name].tolist())
    found = step_of(name, **given)
    expected = [
        published(a, g, h)
        for a, g, h in zip(given["A"], given.get("G", given["A"]), given["dt"], strict=True)
    ]
    return bool(np.abs(found - np.array(expected, dtype=float)).max() <= 1e-14)


def spectral_radius(matrices: Float) -> float:
    """The largest |λ| of some matrices."""
    return float(np.abs(np.linalg.eigvals(matrices)).max())
