"""The quantities that a study can compute: a table with their variables and the bounds that must hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensitivity.recurrences.case import ModelCase

__all__ = ["QUANTITIES", "Arrays", "Float", "Quantity", "Variable", "checked"]

Float = NDArray[np.float64]
Arrays = Mapping[str, Float]


@dataclass(frozen=True)
class Variable:
    """A labelled array of a cell, shape (members,) or (members, size of `dim`).

    Attributes
    ----------
    name, meaning : str
        The meaning has symbol and unit.
    dim : str
        Name of the second dimension, if there is one.
    first : int
        Its first label.
    """

    name: str
    meaning: str
    dim: str = ""
    first: int = 1


@dataclass(frozen=True)
class Quantity:
    """A row of the table.

    Attributes
    ----------
    name : str
    variables : tuple of Variable
    compute : callable
        ModelCase → one array for each variable.
    violations : callable
        ``violations(case, arrays)`` yields a sentence for every number that breaks a proved bound.
    least_steps : int
        The shortest run for which it is defined.
    """

    name: str
    variables: tuple[Variable, ...]
    compute: Callable[[ModelCase], tuple[Float, ...]]
    violations: Callable[[ModelCase, Arrays], Iterator[str]]
    least_steps: int = 0


def _norm(case: ModelCase) -> tuple[Float, ...]:
    norm, exponent = case.norm()
    with np.errstate(over="ignore", under="ignore"):
        return (np.ldexp(norm, exponent),)


def _log_norm(case: ModelCase) -> tuple[Float, ...]:
    norm, exponent = case.norm()
    with np.errstate(divide="ignore"):
        return (np.asarray(np.log(norm) + math.log(2.0) * exponent, dtype=np.float64),)


def _exponents(case: ModelCase) -> tuple[Float, ...]:
    found = case.exponents()
    return found.exponents, found.standard_error


def _bounds(case: ModelCase) -> tuple[Float, ...]:
    return case.log_bound(), case.least_singular_value()


# ------------------------------------------------------------------------------------------------- checks


def _none(case: ModelCase, arrays: Arrays) -> Iterator[str]:
    """Nothing is proved of it."""
    yield from ()


def _above(values: Float, limit: Float, what: str) -> Iterator[str]:
    """Members whose value is above the limit. NaN (overflowed, or no bound is known) is above no limit."""
    for member in np.flatnonzero(values > limit):
        yield f"{what}: {float(values[member])!r} > {float(limit[member])!r} in batch member {member}"


def _norm_kept(case: ModelCase, arrays: Arrays) -> Iterator[str]:
    with np.errstate(over="ignore"):
        yield from _above(arrays["norm"], np.exp(case.log_bound()), "norm above its bound")


def _log_norm_kept(case: ModelCase, arrays: Arrays) -> Iterator[str]:
    yield from _above(arrays["log_norm"], case.log_bound(), "log_norm above its bound")


def _singular_values_kept(case: ModelCase, arrays: Arrays) -> Iterator[str]:
    values, lower = arrays["log_singular_value"], case.least_singular_value()
    yield from _above(values[:, 0], case.log_bound(), "largest log singular value above its bound")
    positive = lower > 0.0  # elsewhere the theorem says nothing
    floor = np.where(positive, np.log(np.where(positive, lower, 1.0)), np.nan)
    yield from _above(floor, values[:, -1], "lower bound above the smallest log singular value")


def _profile_kept(case: ModelCase, arrays: Arrays) -> Iterator[str]:
    values = arrays["log_profile"]
    for i in range(values.shape[1]):
        limit = case.log_bound(values.shape[1] - 1 - i)
        yield from _above(values[:, i], limit, f"log_profile at i = {i} above its bound")


def _bounds_kept(case: ModelCase, arrays: Arrays) -> Iterator[str]:
    """The stored bounds are the ones that hold now."""
    again = dict(zip(("log_bound", "least_singular_value"), _bounds(case), strict=True))
    for name, values in again.items():
        if not np.array_equal(values, arrays[name], equal_nan=True):
            yield f"{name} as stored differs from {name} computed again"


_NORM = "‖∂y_N/∂y_0‖₂"
QUANTITIES = {
    quantity.name: quantity
    for quantity in (
        Quantity("norm", (Variable("norm", f"{_NORM} (0 or inf beyond float64)"),), _norm, _norm_kept),
        Quantity("log_norm", (Variable("log_norm", f"ln {_NORM}"),), _log_norm, _log_norm_kept),
        Quantity(
            "singular_values",
            (Variable("log_singular_value", "ln σ of ∂y_N/∂y_0, descending", "rank"),),
            lambda case: (case.log_singular_values(),),
            _singular_values_kept,
        ),
        Quantity(
            "exponents",
            (
                Variable("exponent", "growth exponent λ of the full state, per step", "number"),
                Variable("exponent_error", "standard error of λ, per step", "number"),
            ),
            _exponents,
            _none,
            least_steps=1,
        ),
        Quantity(
            "profile",
            (Variable("log_profile", "ln ‖∂y_N/∂y_i‖₂", "index", first=0),),
            lambda case: (case.log_profile(),),
            _profile_kept,
        ),
        Quantity(
            "bounds",
            (
                Variable("log_bound", f"ln of the proved bound on {_NORM} (theorems B, D, E)"),
                Variable("least_singular_value", "proved lower bound on every σ of ∂y_N/∂y_0 (theorem C)"),
            ),
            _bounds,
            _bounds_kept,
        ),
    )
}
"""Every quantity by name."""


def checked(names: tuple[str, ...]) -> list[Quantity]:
    """The rows of some names, in the order of the table."""
    return [quantity for name, quantity in QUANTITIES.items() if name in names]
