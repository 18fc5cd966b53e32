"""Coefficients as expressions, which can be evaluated with any type of number.

A coefficient may be a plain number, a decimal string, or a function of a *number constructor* ``R``, as in
``lambda R: 1 / (2 - R(2) ** (R(1) / 3))``. With ``R = decimal.Decimal`` it gives the digits that are rounded,
once, to float64; with ``R = sympy.Rational`` the exact number a proof needs; with ``R = mpmath.mpf`` any
precision in between.

A whole scheme may be one function of ``R`` that returns ``(a, b)``, the drift and the kick weights. The
helpers below build such pairs from the free coefficients alone: what symmetry and consistency determine is
computed, so that a method which breaks either cannot be written with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any, Literal, TypeAlias

__all__ = ["Coefficient", "Definition", "Weights", "composition", "convert", "palindrome", "symmetric"]

Constructor: TypeAlias = Callable[[Any], Any]
"""Makes a number from an int, float or decimal string: Decimal, Fraction, mpmath.mpf, sympy.Rational …"""

Coefficient: TypeAlias = "int | float | Fraction | Decimal | str | Callable[[Constructor], Any] | Any"
"""What a user may write as one weight. Any stands for SymPy numbers: SymPy is not imported here."""

Weights: TypeAlias = tuple[Sequence[Any], Sequence[Any]]
"""Drift weights a and kick weights b, of equal length; stage s is drift(a_s), then kick(b_s)."""

Definition: TypeAlias = Callable[[Constructor], Weights]
"""A whole scheme as one function of the number constructor."""

# SymPy numbers reach other number types through a decimal string of this length.
SYMBOLIC_DIGITS = 100


def convert(coefficient: Coefficient, R: Constructor) -> Any:
    """Evaluate one coefficient in the number type made by `R`.

    Parameters
    ----------
    coefficient : Coefficient
        A number, a decimal string or "p/q", a SymPy number, or a function of `R`. A float stands for the
        binary number it is.
    R : callable
        Number constructor.

    Returns
    -------
    number
        Of the type `R` makes; a SymPy number stays as it is when `R` makes SymPy numbers.

    Raises
    ------
    TypeError
        If the coefficient is complex, or is not a number at all.
    """
    value: Any = coefficient(R) if callable(coefficient) else coefficient
    if isinstance(value, bool):
        raise TypeError(f"a coefficient must be a number, got {value}.")
    if isinstance(value, type(R(0))):
        return value
    if hasattr(value, "evalf") and hasattr(value, "free_symbols"):
        return _convert_symbolic(value, R)
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        value = value.item()  # a NumPy scalar
    if isinstance(value, str) and "/" in value:
        value = Fraction(value)
    if isinstance(value, Fraction):
        return R(value.numerator) / R(value.denominator)
    if isinstance(value, Decimal):
        return R(str(value))
    if isinstance(value, int | float | str):
        return R(value)
    if isinstance(value, complex):
        raise TypeError(f"a coefficient must be real, got the complex number {value}.")
    raise TypeError(
        "a coefficient must be an int, float, Fraction, Decimal, decimal string, SymPy number or a function "
        f"of the number constructor R, got {value!r} of type {type(value).__name__}."
    )


def _convert_symbolic(value: Any, R: Constructor) -> Any:
    if value.free_symbols:
        raise TypeError(f"a coefficient must be a number, got the expression {value}.")
    if value.is_real is False and value.is_infinite is not True:
        raise TypeError(f"a coefficient must be real, got the complex number {value}.")
    if hasattr(R(0), "free_symbols"):
        return value
    return R(str(value.evalf(SYMBOLIC_DIGITS)))


def palindrome(*outer: Any) -> tuple[Any, ...]:
    """Return γ_1, …, γ_m, 1 − 2 Σγ, γ_m, …, γ_1: a symmetric list of step fractions that sums to one.

    Parameters
    ----------
    *outer : number
        The free fractions γ_1, …, γ_m, outermost first.

    Examples
    --------
    >>> from fractions import Fraction
    >>> from integrators import palindrome
    >>> print(*palindrome(Fraction(2, 5), Fraction(1, 5)))
    2/5 1/5 -1/5 1/5 2/5
    """
    return (*outer, _middle(outer), *reversed(outer))


def composition(
    fractions: Sequence[Any], base: Literal["leapfrog", "position_verlet"] = "leapfrog"
) -> Weights:
    """Compose second-order steps of sizes γ_1 ε, …, γ_s ε, merging the half kicks (half drifts) that meet.

    Φ_ε = Φ²_{γ_s ε} ∘ … ∘ Φ²_{γ_1 ε} [1]_. On leapfrog the drifts are γ_i and the kicks
    γ_1/2, (γ_1 + γ_2)/2, …, γ_s/2; on position Verlet the two change places.

    Parameters
    ----------
    fractions : sequence of numbers, length s
        The step fractions γ_1, …, γ_s. Consistency asks for Σγ_i = 1, which `palindrome` sees to.
    base : {"leapfrog", "position_verlet"}
        The second-order step that is composed.

    Returns
    -------
    Weights
        Drift and kick weights, each of length s + 1.

    References
    ----------
    .. [1] E. Hairer, C. Lubich, G. Wanner, *Geometric Numerical Integration*, 2nd ed., Springer (2006),
       Sect. II.4.

    Examples
    --------
    >>> from fractions import Fraction
    >>> from integrators import composition
    >>> drifts, kicks = composition([Fraction(1, 2), Fraction(1, 2)])
    >>> print(*drifts, "|", *kicks)
    0 1/2 1/2 | 1/4 1/2 1/4
    """
    gammas = _numbers(fractions, "fractions")
    if not gammas:
        raise ValueError("fractions is empty; composition needs at least one step fraction.")
    halves = (gammas[0] / 2, *((left + right) / 2 for left, right in pairwise(gammas)), gammas[-1] / 2)
    if base == "leapfrog":
        return (0, *gammas), halves
    if base == "position_verlet":
        return halves, (*gammas, 0)
    raise ValueError(f"base must be 'leapfrog' or 'position_verlet', got {base!r}.")


def symmetric(
    kicks: Sequence[Any] = (), drifts: Sequence[Any] = (), first: Literal["kick", "drift"] = "kick"
) -> Weights:
    """Complete a palindrome of alternating kicks and drifts from its free weights.

    Of each kind, the free weights are given in order of application up to the middle. The two that are left,
    one of either kind, follow from the consistency sums: the one that occurs twice is 1/2 − Σ, the middle one
    1 − 2 Σ. With no free weight at all this is leapfrog (first="kick") or position Verlet (first="drift").

    Parameters
    ----------
    kicks, drifts : sequence of numbers
        Free weights. The kind that comes first has as many as the other, or one more.
    first : {"kick", "drift"}
        The flow that opens, and so closes, the step.

    Returns
    -------
    Weights
        Drift and kick weights of equal length, padded with one zero.

    Raises
    ------
    ValueError
        If the two lengths do not interleave.

    Examples
    --------
    >>> from integrators import symmetric
    >>> drifts, kicks = symmetric()
    >>> print(*drifts, "|", *kicks)
    0 1 | 1/2 1/2
    """
    if first not in ("kick", "drift"):
        raise ValueError(f"first must be 'kick' or 'drift', got {first!r}.")
    kicks, drifts = _numbers(kicks, "kicks"), _numbers(drifts, "drifts")
    outer, inner = (kicks, drifts) if first == "kick" else (drifts, kicks)
    if len(outer) - len(inner) not in (0, 1):
        raise ValueError(
            f"a palindrome that opens with a {first} has as many free {first}s as other weights, or one "
            f"more; got {len(kicks)} kicks and {len(drifts)} drifts."
        )
    if len(outer) == len(inner):
        outer = (*outer, _paired(outer))
        full_outer, full_inner = (*outer, *reversed(outer)), palindrome(*inner)
    else:
        inner = (*inner, _paired(inner))
        full_outer, full_inner = palindrome(*outer), (*inner, *reversed(inner))
    return ((0, *full_inner), full_outer) if first == "kick" else (full_outer, (*full_inner, 0))


def _numbers(weights: Any, argument: str) -> tuple[Any, ...]:
    """The weights as a tuple, or a TypeError if they are not a sequence."""
    if isinstance(weights, str | bytes) or not isinstance(weights, Iterable):
        raise TypeError(f"{argument} must be a sequence of numbers, got {weights!r}.")
    return tuple(weights)


def _middle(outer: Sequence[Any]) -> Any:
    return 1 - 2 * sum(outer)


def _paired(outer: Sequence[Any]) -> Any:
    # Fraction and Decimal do not mix, so the half is spelled out only where no weight fixes the number type.
    return _middle(outer) / 2 if outer else Fraction(1, 2)
