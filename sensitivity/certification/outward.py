"""From balls to float64 without losing what was proved: every conversion is rounded outwards."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from flint import arb

__all__ = ["down", "log_interval", "lower", "times_power_of_two", "up", "upper"]


def down(value: float) -> float:
    """The next float64 below."""
    return math.nextafter(value, -math.inf) if math.isfinite(value) else value


def up(value: float) -> float:
    """The next float64 above."""
    return math.nextafter(value, math.inf) if math.isfinite(value) else value


def times_power_of_two(value: float, exponent: int) -> float:
    """value · 2^exponent as `math.ldexp` rounds it, inf where that is too large."""
    try:
        return math.ldexp(value, exponent)
    except OverflowError:
        return math.inf


def lower(ball: arb) -> float:
    """A float64 below every number in the ball."""
    value = float(ball.lower())
    if value == math.inf:
        return float(np.finfo(float).max)
    return 0.0 if ball.lower().is_zero() else down(value)


def upper(ball: arb) -> float:
    """A float64 (or inf) above every number in the ball."""
    value = float(ball.upper())
    return 0.0 if ball.upper().is_zero() else up(value)


def log_interval(ball: arb) -> tuple[float, float]:
    """Float64 numbers around the logarithms of the positive numbers in the ball; −inf for 0."""
    low, high = ball.lower(), ball.upper()
    return (
        lower(low.log()) if low > 0 else -math.inf,
        upper(high.log()) if high > 0 else -math.inf,
    )
