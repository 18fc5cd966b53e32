"""Rounding outwards, so that a bound stays one after it was computed."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["EPS", "log_upward", "upward"]

Float = NDArray[np.float64]
EPS = float(np.finfo(np.float64).eps)


def upward(values: Float) -> Float:
    """Four units up, for the roundings that follow the last product; a scalar for a 0-d array.

    A bound of exactly 1 is that of no step at all, and stays.
    """
    with np.errstate(over="ignore"):
        return np.where(values == 1.0, values, values * (1.0 + 4.0 * EPS))[()]


def log_upward(values: Float, slack: float) -> Float:
    """A logarithm moved up by log(1 + slack), and by four units of its own."""
    return (values + math.log1p(slack) + 4.0 * EPS * np.abs(values))[()]
