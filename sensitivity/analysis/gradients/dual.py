"""Dual numbers that hold many points at once, on which pointwise rules and force callbacks run.

A rule fills the slopes of a step. Run on dual numbers, it gives beside each slope its derivative along the
tangent columns, exactly: a second derivative of the step. The rule that runs is the source of the compiled
one. Where it branches, and the points do not agree on the branch, they are parted and the rule runs for
either part by itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integrators.codegen.compiled import Kernel
from integrators.codegen.primitives import exp_negative
from integrators.fields.activations import ACTIVATIONS, logistic, tanh
from sensitivity.recurrences.other_numbers import Numbers, of_numpy, rule_on

__all__ = ["Duals", "on_points"]

Float = NDArray[np.float64]
Mask = NDArray[np.bool_]


class _Parted(Exception):
    """A comparison whose outcome differs between the points: `where` it holds."""

    def __init__(self, where: Mask) -> None:
        super().__init__("a branch that points do not agree on")
        self.where = where


class Duals:
    """Numbers with their derivatives along some columns.

    Parameters
    ----------
    value : ndarray, shape (n,)
    along : ndarray, shape (k, n), or None
        None where all derivatives are zero.
    """

    __slots__ = ("along", "value")
    __array_ufunc__ = None  # an array leaves its operators to us

    def __init__(self, value: Float, along: Float | None = None) -> None:
        self.value, self.along = value, along

    def __getitem__(self, where: Mask) -> Duals:
        return Duals(self.value[where], None if self.along is None else self.along[:, where])

    def __add__(self, other: Any) -> Duals:
        return Duals(self.value + _value(other), _sum(self.along, _along(other)))

    def __neg__(self) -> Duals:
        return Duals(-self.value, _times(self.along, -1.0))

    def __sub__(self, other: Any) -> Duals:
        return self + (-other)

    def __rsub__(self, other: Any) -> Duals:
        return -self + other

    def __mul__(self, other: Any) -> Duals:
        along = _sum(_times(self.along, _value(other)), _times(_along(other), self.value))
        return Duals(self.value * _value(other), along)

    def __truediv__(self, other: Any) -> Duals:
        below = _value(other)
        ratio = self.value / below
        along = _sum(self.along, _times(_along(other), -ratio))
        return Duals(ratio, None if along is None else along / below)

    def __rtruediv__(self, other: Any) -> Duals:
        return Duals(np.full_like(self.value, other)) / self

    __radd__, __rmul__ = __add__, __mul__

    def __pow__(self, power: Any) -> Duals:
        if isinstance(power, Duals):
            return _exp(power * _log(self))
        if power == 0:
            return Duals(np.ones_like(self.value))
        return Duals(self.value**power, _times(self.along, power * self.value ** (power - 1)))

    def __rpow__(self, base: Any) -> Duals:
        value = np.power(float(base), self.value)
        return Duals(value, _times(self.along, math.log(base) * value))

    def __abs__(self) -> Duals:
        return Duals(np.abs(self.value), _times(self.along, np.sign(self.value)))

    def __lt__(self, other: Any) -> bool:
        return _agreed(self.value < _value(other))

    def __le__(self, other: Any) -> bool:
        return _agreed(self.value <= _value(other))

    def __gt__(self, other: Any) -> bool:
        return _agreed(self.value > _value(other))

    def __ge__(self, other: Any) -> bool:
        return _agreed(self.value >= _value(other))

    def __eq__(self, other: object) -> bool:
        return _agreed(self.value == _value(other))

    def __ne__(self, other: object) -> bool:
        return _agreed(self.value != _value(other))

    __hash__ = None  # type: ignore[assignment]


def _value(x: Any) -> Any:
    return x.value if isinstance(x, Duals) else x


def _along(x: Any) -> Float | None:
    return x.along if isinstance(x, Duals) else None


def _sum(a: Float | None, b: Float | None) -> Float | None:
    return b if a is None else a if b is None else a + b


def _times(along: Float | None, factor: Any) -> Float | None:
    return None if along is None else along * factor


def _agreed(holds: Any) -> bool:
    if holds.all():
        return True
    if holds.any():
        raise _Parted(holds)
    return False


def _function(value: Callable[[Any], Any], slope: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """f for numbers and duals, from f and f'."""

    def at(x: Any) -> Any:
        if not isinstance(x, Duals):
            return float(value(x))
        return Duals(value(x.value), None if x.along is None else x.along * slope(x.value))

    return at


# ------------------------------------------------------------------------------------------- activations

# σ'' from z, σ and σ'; that of relu and of softsign jumps at 0, where the one side is as good as the other.
_SECOND: dict[str, Callable[[Float, Float, Float], Any]] = {
    "tanh": lambda z, s, ds: -2.0 * s * ds,
    "logistic": lambda z, s, ds: ds * (1.0 - 2.0 * s),
    "relu": lambda z, s, ds: 0.0 * z,
    "identity": lambda z, s, ds: 0.0 * z,
    "sin": lambda z, s, ds: -s,
    "arctan": lambda z, s, ds: -2.0 * z * ds * ds,
    "softsign": lambda z, s, ds: -2.0 * np.sign(z) * ds * np.sqrt(ds),
    "erf": lambda z, s, ds: -2.0 * z * ds,
}
_RECORDS = {record.code: record for record in ACTIVATIONS.values()}


def _pair(code: int, x: Any) -> tuple[Any, Any]:
    """σ(x) and σ'(x)."""
    record = _RECORDS[int(code)]
    if not isinstance(x, Duals):
        return tuple(float(part) for part in record.value_and_derivative(x))  # type: ignore[return-value]
    s, ds = record.value_and_derivative(x.value)
    if x.along is None:
        return Duals(s), Duals(ds)
    return Duals(s, x.along * ds), Duals(ds, x.along * _SECOND[record.name](x.value, s, ds))


def _activate(code: int, z: Any, s: Any, ds: Any) -> None:
    for i in range(z.size):
        s[i], ds[i] = _pair(code, z[i])


def _hypot(x: Any, y: Any) -> Any:
    length = np.hypot(_value(x), _value(y))
    if not isinstance(x, Duals) and not isinstance(y, Duals):
        return float(length)
    with np.errstate(invalid="ignore", divide="ignore"):
        parts = [_times(_along(one), np.where(length > 0.0, _value(one) / length, 0.0)) for one in (x, y)]
    return Duals(length, _sum(*parts))


def _copysign(size: Any, sign: Any) -> Any:
    if not isinstance(sign, Duals):
        return abs(size) if math.copysign(1.0, sign) > 0.0 else -abs(size)
    return abs(size) * Duals(np.copysign(1.0, sign.value))


def _power(x: Any, y: Any) -> Any:
    return x**y


def _two_arguments(y: Any, x: Any) -> Any:
    """atan2."""
    a, b = _value(y), _value(x)
    square = a * a + b * b
    return Duals(np.arctan2(a, b), _sum(_times(_along(y), b / square), _times(_along(x), -a / square)))


def _erf(x: Any) -> Any:
    return ACTIVATIONS["erf"](x)


def _erfc(x: Any) -> Any:
    from scipy.special import erfc  # few functions need it

    return erfc(x)


_SQRT = _function(np.sqrt, lambda x: 0.5 / np.sqrt(x))
_exp, _log = _function(np.exp, np.exp), _function(np.log, lambda x: 1.0 / x)
_SLOPE_OF_ERF = 2.0 / math.sqrt(math.pi)
_FUNCTIONS: dict[str, Any] = {
    "sqrt": _SQRT,
    "exp": _exp,
    "log": _log,
    "log1p": _function(np.log1p, lambda x: 1.0 / (1.0 + x)),
    "expm1": _function(np.expm1, np.exp),
    "sin": _function(np.sin, np.cos),
    "cos": _function(np.cos, lambda x: -np.sin(x)),
    "tan": _function(np.tan, lambda x: 1.0 / np.cos(x) ** 2),
    "sinh": _function(np.sinh, np.cosh),
    "cosh": _function(np.cosh, np.sinh),
    "tanh": lambda x: _pair(ACTIVATIONS["tanh"].code, x)[0],
    "asin": _function(np.arcsin, lambda x: 1.0 / np.sqrt(1.0 - x * x)),
    "acos": _function(np.arccos, lambda x: -1.0 / np.sqrt(1.0 - x * x)),
    "atan": _function(np.arctan, lambda x: 1.0 / (1.0 + x * x)),
    "asinh": _function(np.arcsinh, lambda x: 1.0 / np.sqrt(x * x + 1.0)),
    "acosh": _function(np.arccosh, lambda x: 1.0 / np.sqrt(x * x - 1.0)),
    "atanh": _function(np.arctanh, lambda x: 1.0 / (1.0 - x * x)),
    "erf": _function(_erf, lambda x: _SLOPE_OF_ERF * np.exp(-x * x)),
    "erfc": _function(_erfc, lambda x: -_SLOPE_OF_ERF * np.exp(-x * x)),
    "atan2": _two_arguments,
    "hypot": _hypot,
    "copysign": _copysign,
    "pow": _power,
    "fabs": abs,
}
_CONSTANTS = {"nan": math.nan, "inf": math.inf, "pi": math.pi, "e": math.e}
_MATH = SimpleNamespace(**_FUNCTIONS, **_CONSTANTS)


def _empty(shape: Any, *_: Any) -> Any:
    return np.full(shape, math.nan, object)


def _zeros(shape: Any, *_: Any) -> Any:
    return np.full(shape, 0.0, object)


_NUMPY = SimpleNamespace(
    **of_numpy(_FUNCTIONS),
    **_CONSTANTS,
    empty=_empty,
    zeros=_zeros,
    float64=lambda x: x,
)


def _exp_pair(x: Any) -> tuple[Any, Any]:
    """1 − e^x and e^x."""
    return -_MATH.expm1(x), _exp(x)


_DUALS = Numbers(
    _activate,
    _MATH,
    _NUMPY,
    {
        tanh: lambda x: _pair(ACTIVATIONS["tanh"].code, x),
        logistic: lambda x: _pair(ACTIVATIONS["logistic"].code, x),
        exp_negative: _exp_pair,
    },
)


@cache
def _on_duals(kernel: Kernel) -> Callable[..., None]:
    return rule_on(_DUALS, kernel)


def on_points(
    kernel: Kernel, arguments: Sequence[Any], outputs: Sequence[Any], what: str
) -> list[NDArray[Any]]:
    """Run a compiled function's source on many points at once.

    Parameters
    ----------
    kernel : Kernel
    arguments : sequence
        What it reads: object arrays of `Duals` with one common number of points, and anything else.
    outputs : sequence of object arrays
        What it writes, as it begins.
    what : str
        Names the function in messages.

    Returns
    -------
    list of object arrays
        The outputs; entries are `Duals`, or numbers that are the same at all points.

    Raises
    ------
    ValueError
        If the function uses something whose derivative is not known here.
    """
    found = [output.copy() for output in outputs]
    try:
        run: Any = _on_duals(kernel)
        run(*arguments, *found)
    except _Parted as parted:
        parts = [
            on_points(
                kernel, [_chosen(a, where) for a in arguments], [_chosen(o, where) for o in outputs], what
            )
            for where in (parted.where, ~parted.where)
        ]
        return [_joined(yes, no, parted.where) for yes, no in zip(parts[0], parts[1], strict=True)]
    except (AttributeError, TypeError, NotImplementedError) as error:
        raise ValueError(
            f"{what} cannot be differentiated twice: its source does not run on dual numbers ({error}). "
            "Write it with arithmetic and functions of the math module."
        ) from error
    return found


def _chosen(array: Any, where: Mask) -> Any:
    if not isinstance(array, np.ndarray) or array.dtype != object:
        return array
    part = array.copy()
    for index in np.ndindex(*array.shape):
        if isinstance(array[index], Duals):
            part[index] = array[index][where]
    return part


def _joined(yes: NDArray[Any], no: NDArray[Any], where: Mask) -> NDArray[Any]:
    """One array from its values where a branch is taken and where not."""
    joined = yes.copy()
    for index in np.ndindex(*yes.shape):
        parts = yes[index], no[index]
        if not any(isinstance(part, Duals) for part in parts) and (
            parts[0] == parts[1] or all(part != part for part in parts)
        ):
            continue
        k = next((a.shape[0] for part in parts if (a := _along(part)) is not None), 0)
        value, along = np.empty(where.size), np.zeros((k, where.size)) if k else None
        for part, own in zip(parts, (where, ~where), strict=True):
            value[own] = _value(part)
            one = _along(part)
            if along is not None and one is not None:
                along[:, own] = one
        joined[index] = Duals(value, along)
    return joined
