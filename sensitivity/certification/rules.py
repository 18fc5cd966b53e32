"""The pointwise rules of cells on balls: the compiled program itself, its branches decided or refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
from flint import arb
from numpy.typing import NDArray

from integrators.codegen.compiled import Kernel
from integrators.codegen.primitives import exp_negative
from integrators.fields.activations import ACTIVATIONS as RECORDS
from integrators.fields.activations import tanh
from sensitivity.recurrences.other_numbers import Numbers, of_numpy, rule_on

from .balls import ACTIVATIONS, Undecided

__all__ = ["DecidedBall", "arb_of", "balls_of", "rule_on_balls"]

Objects = NDArray[np.object_]
_BY_CODE = {record.code: ACTIVATIONS[name] for name, record in RECORDS.items()}


class DecidedBall:
    """An arb whose comparisons are decided or raise `Undecided`, so that no branch is taken by mistake."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value if isinstance(value, arb) else arb(float(value))

    def __add__(self, other: Any) -> DecidedBall:
        return DecidedBall(self.value + arb_of(other))

    def __sub__(self, other: Any) -> DecidedBall:
        return DecidedBall(self.value - arb_of(other))

    def __rsub__(self, other: Any) -> DecidedBall:
        return DecidedBall(arb_of(other) - self.value)

    def __mul__(self, other: Any) -> DecidedBall:
        return DecidedBall(self.value * arb_of(other))

    def __truediv__(self, other: Any) -> DecidedBall:
        return DecidedBall(self.value / arb_of(other))

    def __rtruediv__(self, other: Any) -> DecidedBall:
        return DecidedBall(arb_of(other) / self.value)

    __radd__, __rmul__ = __add__, __mul__

    def __pow__(self, power: Any) -> DecidedBall:
        return DecidedBall(self.value ** (power if isinstance(power, int) else arb_of(power)))

    def __rpow__(self, base: Any) -> DecidedBall:
        return DecidedBall(arb_of(base) ** self.value)

    def __neg__(self) -> DecidedBall:
        return DecidedBall(-self.value)

    def __abs__(self) -> DecidedBall:
        return DecidedBall(abs(self.value))

    def _decided(self, yes: bool, no: bool) -> bool:
        if yes == no:
            raise Undecided(f"a comparison of {self.value.str(5)} is undecided")
        return yes

    def __lt__(self, other: Any) -> bool:
        return self._decided(self.value < arb_of(other), self.value >= arb_of(other))

    def __le__(self, other: Any) -> bool:
        return self._decided(self.value <= arb_of(other), self.value > arb_of(other))

    def __gt__(self, other: Any) -> bool:
        return not self.__le__(other)

    def __ge__(self, other: Any) -> bool:
        return not self.__lt__(other)

    def __eq__(self, other: object) -> bool:
        return self._decided(self.value == arb_of(other), self.value != arb_of(other))

    def __ne__(self, other: object) -> bool:
        return not self.__eq__(other)

    __hash__ = None  # type: ignore[assignment]

    def __int__(self) -> int:
        """A code or a count among the constants of a kind."""
        return int(float(self.value.mid()))


def arb_of(value: Any) -> arb:
    """The arb of a ball, or of a float64 number."""
    return value.value if isinstance(value, DecidedBall) else arb(float(value))


def balls_of(values: Any) -> Objects:
    """Float64 numbers, or arb entries, as an array of balls of the same shape."""
    given = np.asarray(values, dtype=object)
    found = np.empty(given.shape, object)
    for index in np.ndindex(given.shape):
        found[index] = DecidedBall(given[index])
    return found


def _activate(code: int, z: Objects, s: Objects, ds: Objects) -> None:
    """`activate` by the exact functions."""
    for i in range(z.size):
        value, slope = _BY_CODE[int(code)](z[i].value)
        s[i], ds[i] = DecidedBall(value), DecidedBall(slope)


def _copysign(size: Any, sign: Any) -> DecidedBall:
    return (
        abs(DecidedBall(arb_of(size)))
        if DecidedBall(arb_of(sign)) >= 0.0
        else -abs(DecidedBall(arb_of(size)))
    )


def _no_grid(*_: Any) -> Any:
    raise ValueError("certificates are of maps without rounding to a grid: make the cell with grid = 0.")


def _one(name: str) -> Callable[[Any], DecidedBall]:
    """A function of one argument, by arb's method of this name."""
    return lambda x: DecidedBall(getattr(arb_of(x), name)())


class _Module(SimpleNamespace):
    """What stands in the place of `math` and `numpy`."""

    @property
    def pi(self) -> DecidedBall:
        """π to the precision at hand: with its float64 value 2/√π would not be the slope of erf."""
        return DecidedBall(arb.pi())

    def __getattr__(self, name: str) -> Any:
        raise ValueError(
            f"ball arithmetic has no {name!r}, which the rule of this cell calls; known are "
            f"{', '.join(sorted(vars(self)))}."
        )


_FUNCTIONS: dict[str, Any] = {
    name: _one(name)
    for name in (
        "sqrt", "exp", "log", "log1p", "expm1", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh",
        "tanh", "asinh", "acosh", "atanh", "erf", "erfc",
    )
} | {
    "atan2": lambda y, x: DecidedBall(arb.atan2(arb_of(y), arb_of(x))),
    "hypot": lambda x, y: DecidedBall((arb_of(x) ** 2 + arb_of(y) ** 2).sqrt()),
    "pow": lambda x, power: DecidedBall(arb_of(x) ** arb_of(power)),
    "fabs": lambda x: abs(DecidedBall(arb_of(x))),
    "copysign": _copysign,
    "nan": math.nan,
    "inf": math.inf,
}  # fmt: skip
_MATH = _Module(**_FUNCTIONS)
_NUMPY = _Module(
    **of_numpy(_FUNCTIONS),
    empty=lambda shape, *_: np.full(shape, DecidedBall(math.nan), object),
    zeros=lambda shape, *_: balls_of(np.zeros(shape)),
    rint=_no_grid,
)


def _both(activation: Callable[[arb], tuple[arb, arb]]) -> Callable[[Any], tuple[DecidedBall, DecidedBall]]:
    """A helper of one number that gives value and slope."""

    def exact(x: Any) -> tuple[DecidedBall, DecidedBall]:
        value, slope = activation(arb_of(x))
        return DecidedBall(value), DecidedBall(slope)

    return exact


_EXACT: dict[Any, Any] = {
    tanh: _both(ACTIVATIONS["tanh"]),
    exp_negative: _both(lambda u: (-u.expm1(), u.exp())),
}


_BALLS = Numbers(_activate, _MATH, _NUMPY, _EXACT)


@cache
def rule_on_balls(rule: Kernel) -> Callable[..., None]:
    """The pointwise rule as a function of arrays of balls.

    Parameters
    ----------
    rule : Kernel
        With the signature `POINT`.
    """
    return rule_on(_BALLS, rule)
