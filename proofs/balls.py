"""Fixed-point numbers with a rigorous radius, for weights that are published as decimals."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import sympy as sp

BITS = 320
ONE = 1 << BITS


class Ball:
    """The interval (mid ± rad)·2^−BITS; every operation encloses the true result.

    Parameters
    ----------
    mid, rad : int
        Scaled centre and radius.
    """

    __slots__ = ("mid", "rad")

    def __init__(self, mid: int, rad: int = 0) -> None:
        self.mid, self.rad = mid, rad

    @classmethod
    def of(cls, value: Any, radius: Any = 0) -> Ball:
        """Enclose a rational or an algebraic number, widened by ``radius``."""
        slack = 2  # one for the truncation of the centre, one for that of the radius
        if isinstance(value, sp.Basic) and not value.is_Rational:
            value = sp.Rational(sp.N(value, 110))
            slack += 1 + abs(int(value * ONE)) // 10**105  # what 110 digits leave open
        exact = Fraction(int(value.p), int(value.q)) if isinstance(value, sp.Rational) else Fraction(value)
        return cls(int(exact * ONE), int(Fraction(radius) * ONE) + slack)

    def __add__(self, other: Ball) -> Ball:
        return Ball(self.mid + other.mid, self.rad + other.rad)

    def __sub__(self, other: Ball) -> Ball:
        return Ball(self.mid - other.mid, self.rad + other.rad)

    def __mul__(self, other: Ball) -> Ball:
        spread = abs(self.mid) * other.rad + abs(other.mid) * self.rad + self.rad * other.rad
        return Ball((self.mid * other.mid) >> BITS, (spread >> BITS) + 2)

    def __truediv__(self, count: int) -> Ball:
        # The quotient of the radius is rounded up, and that of the centre is off by less than one.
        return Ball(self.mid // count, -(-self.rad // abs(count)) + 1)

    @property
    def contains_zero(self) -> bool:
        return abs(self.mid) <= self.rad

    @property
    def magnitude(self) -> float:
        """Absolute value of the centre, as a float."""
        return float(Fraction(abs(self.mid), ONE))

    @property
    def radius(self) -> float:
        """Radius, as a float."""
        return float(Fraction(self.rad, ONE))

    def positive(self) -> bool:
        """Whether the whole interval is positive."""
        return self.mid > self.rad

    def negative(self) -> bool:
        """Whether the whole interval is negative."""
        return self.mid < -self.rad
