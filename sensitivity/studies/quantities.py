"""The quantities that a study can compute: a table with their variables and the bounds that must hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from integrators.engine.column_scale import from_scaled, log_scaled
from sensitivity.recurrences.case import ModelCase

__all__ = ["QUANTITIES", "Arrays", "Float", "Quantity", "Variable", "checked", "telling", "window_widths"]

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
    often_nan : bool
        Whether NaN says that there is no such number, as where no bound is proved, and not that the
        trajectory left float64.
    """

    name: str
    meaning: str
    dim: str = ""
    first: int = 1
    often_nan: bool = False


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
    return (from_scaled(norm, exponent),)


def _log_norm(case: ModelCase) -> tuple[Float, ...]:
    norm, exponent = case.norm()
    return (log_scaled(norm, exponent),)


def _exponents(case: ModelCase) -> tuple[Float, ...]:
    found = case.exponents()
    return found.exponents, found.standard_error


def _bounds(case: ModelCase) -> tuple[Float, ...]:
    return case.log_bound(), case.least_singular_value()


def window_widths(n_steps: int) -> list[int]:
    """1, 2, 4, …, at most N."""
    return [1 << k for k in range(n_steps.bit_length())] if n_steps > 0 else []


def _windows(case: ModelCase) -> tuple[Float, ...]:
    columns = []
    for width in window_widths(case.n_steps):
        logs = case.log_window_norms(width)
        with np.errstate(invalid="ignore"):  # of a window whose Jacobian is zero
            columns.append((logs.max(axis=1), logs.mean(axis=1) / width, logs.std(axis=1) / width))
    return tuple(np.stack(column, axis=1) for column in zip(*columns, strict=True))


SENSITIVE = ("W", "V", "b")


def _sensitivity(case: ModelCase) -> tuple[Float, ...]:
    found = case.log_sensitivities()
    some = [[logs for own, logs in found.items() if own.rstrip("0123456789_") == name] for name in SENSITIVE]
    nothing = np.full(next(iter(found.values())).shape, np.nan) if found else np.zeros(0)
    every = (
        _root_of_squares(list(found.values())) if found else np.full(case.copies or case.steps.size, np.nan)
    )
    return every, *(_root_of_squares(logs) if logs else nothing for logs in some)


def _root_of_squares(logs: list[Float]) -> Float:
    """ln √Σ e^{2x}."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return 0.5 * np.logaddexp.reduce(2.0 * np.stack(logs), axis=0)


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


def _windows_kept(case: ModelCase, arrays: Arrays) -> Iterator[str]:
    """The largest norm of a window against the bound of as many steps, from whatever state they begin."""
    values = arrays["log_window_norm"]
    for column, width in enumerate(window_widths(case.n_steps)):
        limit = case.log_bound(width)
        yield from _above(values[:, column], limit, f"log_window_norm of {width} steps above its bound")


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
                Variable("exponent_error", "standard error of λ, per step", "number", often_nan=True),
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
                Variable(
                    "log_bound", f"ln of the proved bound on {_NORM} (theorems B, D, E)", often_nan=True
                ),
                Variable(
                    "least_singular_value",
                    "proved lower bound on every σ of ∂y_N/∂y_0 (theorem C)",
                    often_nan=True,
                ),
            ),
            _bounds,
            _bounds_kept,
        ),
        Quantity(
            "windows",
            (
                Variable(
                    "log_window_norm", "ln of the largest ‖∂y_{i+w}/∂y_i‖₂, w = 2^doubling", "doubling", 0
                ),
                Variable("finite_time_exponent", "mean over i of (ln ‖∂y_{i+w}/∂y_i‖₂)/w", "doubling", 0),
                Variable(
                    "finite_time_spread", "its standard deviation over i", "doubling", 0, often_nan=True
                ),
            ),
            _windows,
            _windows_kept,
            least_steps=1,
        ),
        Quantity(
            "parameter_sensitivity",
            (
                Variable("log_sensitivity", "ln ‖∂y_N/∂θ‖ in the Frobenius norm, by all parameters θ"),
                *(
                    Variable(
                        f"log_sensitivity_{name}", f"ln ‖∂y_N/∂{name}‖, NaN without {name}", often_nan=True
                    )
                    for name in SENSITIVE
                ),
            ),
            _sensitivity,
            _none,
        ),
        Quantity(
            "truncation",
            (
                Variable(
                    "truncation_window", "steps that hold 99 % of ∂y_N/∂θ, for truncated backpropagation"
                ),
            ),
            lambda case: (case.truncation_windows(0.01),),
            _none,
            least_steps=1,
        ),
        Quantity(
            "memory",
            (
                Variable("memory_capacity", "Jaeger's memory capacity, all delays together", often_nan=True),
                Variable(
                    "mean_correlation", "of the best read-out with the mean of the inputs", often_nan=True
                ),
                Variable(
                    "mean_accuracy", "share of signs that it has right, ½ + arcsin(ρ)/π", often_nan=True
                ),
            ),
            lambda case: case.memory(),
            _none,
            least_steps=1,
        ),
    )
}
"""Every quantity by name."""


def telling(names: tuple[str, ...]) -> list[str]:
    """Variables of some quantities that are NaN where a trajectory left float64, and only there."""
    return [v.name for quantity in checked(names) for v in quantity.variables if not v.often_nan]


def checked(names: tuple[str, ...]) -> list[Quantity]:
    """The rows of some names, in the order of the table."""
    return [quantity for name, quantity in QUANTITIES.items() if name in names]
