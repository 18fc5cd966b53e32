"""Shared parts of the discrete bounds: the two-step majorant, the Chebyshev closed form, and ‖·‖ symbols.

With a = ε²L‖W‖ the majorant of leapfrog is t_0 = 1, δ_0 = a/2, t_{i+1} = t_i + δ_i, δ_i = δ_{i−1} + a t_i.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

a = sp.Symbol("a", nonnegative=True)
i, N = sp.symbols("i N", integer=True, positive=True)
theta = sp.Symbol("theta", positive=True)
L, w = sp.symbols("L w", nonnegative=True)
"""sup|σ'| and ‖W‖."""


def chebyshev(index: Any) -> Any:
    """Return C_index(cosh θ) = cosh(index θ)."""
    return sp.cosh(index * theta)


def growth() -> Any:
    """Return the value of a for which 1 + a/2 = cosh θ."""
    return 2 * sp.cosh(theta) - 2


def majorant(steps: int, slope: Any = a) -> list[Any]:
    """Return t_0, …, t_steps of the leapfrog majorant as polynomials in the slope."""
    position, increment = sp.Integer(1), slope / 2
    values = [position]
    for _ in range(steps):
        position = sp.expand(position + increment)
        increment = sp.expand(increment + slope * position)
        values.append(position)
    return values
