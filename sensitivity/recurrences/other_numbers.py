"""The pointwise rules of cells, run on other numbers than float64: the source of the compiled program itself.

A rule is a Python function before it is compiled. Here its names are bound anew: `activate` to activations of
the other numbers, `math` and `np` to the few functions that rules use, helpers to themselves bound likewise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from types import CellType, CodeType, FunctionType
from typing import Any, NamedTuple

import numpy as np

from integrators.codegen.compiled import Kernel
from integrators.codegen.primitives import borrowed, flat, fma, get, put
from integrators.fields.activations import activate

__all__ = ["Numbers", "of_numpy", "rule_on"]


class Numbers(NamedTuple):
    """What a rule needs to know of the numbers that it is run on."""

    activate: Callable[..., None]  # (code, z, s, ds) as `activate`, on arrays of these numbers
    math: Any  # in place of the module
    numpy: Any  # in place of the module
    exact: Mapping[Any, Callable[..., Any]]  # compiled helper → what to call in its place


_NAMES = {"arcsin": "asin", "arccos": "acos", "arctan": "atan", "arctan2": "atan2", "arcsinh": "asinh",
          "arccosh": "acosh", "arctanh": "atanh", "abs": "fabs", "power": "pow"}  # fmt: skip
"""Functions that `numpy` calls otherwise than `math`."""
_CHOOSING: dict[str, Callable[..., Any]] = {
    "sign": lambda x: 1.0 if x > 0.0 else -1.0 if x < 0.0 else 0.0,
    "maximum": lambda x, y: x if x >= y else y,
    "minimum": lambda x, y: x if x <= y else y,
}
"""Functions of `numpy` that choose by a comparison."""


def of_numpy(functions: Mapping[str, Any]) -> dict[str, Any]:
    """What stands in `math`, by the names of `numpy`: functions take arrays, too, and constants stay."""

    def over(function: Callable[..., Any]) -> Callable[..., Any]:
        def each(*given: Any) -> Any:
            if any(isinstance(one, np.ndarray) for one in given):
                return np.frompyfunc(function, len(given), 1)(*given)
            return function(*given)

        return each

    every = {**functions, **{name: functions[of] for name, of in _NAMES.items()}, **_CHOOSING}
    return {name: over(value) if callable(value) else value for name, value in every.items()}


def rule_on(numbers: Numbers, rule: Kernel) -> Callable[..., None]:
    """The pointwise rule as a function of arrays of these numbers.

    Parameters
    ----------
    numbers : Numbers
    rule : Kernel
        With the signature `POINT`.
    """
    return _bound_anew(rule.function, numbers, {})


def _bound_anew(function: Any, numbers: Numbers, known: dict[Any, Any]) -> Any:
    """A Python function with other globals; helpers that it calls likewise."""
    if function in known:
        return known[function]
    found: dict[str, Any] = {"__builtins__": __builtins__}
    closed = tuple(CellType() for _ in function.__closure__ or ())
    own = FunctionType(function.__code__, found, function.__name__, function.__defaults__, closed)
    known[function] = own
    for name in set(_names(function.__code__)) & set(function.__globals__):
        found[name] = _replaced(function.__globals__[name], numbers, known)
    for cell, before in zip(closed, function.__closure__ or (), strict=True):
        cell.cell_contents = _replaced(before.cell_contents, numbers, known)
    return own


def _replaced(value: Any, numbers: Numbers, known: dict[Any, Any]) -> Any:
    """What stands in the place of a global name or of a variable that a function closes over."""
    if value is activate:
        return numbers.activate
    if value is math:
        return numbers.math
    if value is np:
        return numbers.numpy
    if hasattr(value, "py_func"):
        return numbers.exact.get(value) or _bound_anew(value.py_func, numbers, known)
    return next((own for helper, own in _IN_PYTHON if value is helper), value)


def _multiply_add(x: Any, y: Any, z: Any) -> Any:
    return x * y + z


# Helpers that are machine code, as functions of any numbers and of arrays of them.
_IN_PYTHON: tuple[tuple[Any, Callable[..., Any]], ...] = (
    (fma, _multiply_add),
    (flat, lambda array: array.reshape(-1)),
    (borrowed, lambda array: array),
    (get, lambda array, index: array[index]),
    (put, lambda array, index, value: array.__setitem__(index, value)),
)


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
