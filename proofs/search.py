"""Exact search for counterexamples: points where an identity fails, or premises hold and a claim does not.

Points are drawn from small rationals with a fixed seed. What is returned has been checked in exact arithmetic
(or to 40 digits where a value is not rational), so it refutes; finding nothing proves nothing.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from fractions import Fraction
from numbers import Number
from typing import Any

import sympy as sp
from sympy.core.function import AppliedUndef

from .symbols import ActivationSymbol, Jet

Expr = Any
Premise = tuple[Expr, Expr]
"""A premise ``(small, large)`` reads small ≤ large."""

_TRIES = 4000
_SLOW_TRIES = 200
_POSITIVE = [
    sp.Rational(1, 4),
    sp.Rational(1, 2),
    sp.Integer(1),
    sp.Integer(2),
    sp.Integer(3),
    sp.Integer(10),
]
_COUNTS = [sp.Integer(n) for n in (1, 2, 3, 5)]


def as_expression(value: object) -> Any:
    """A SymPy object, or a number made one; text is refused, since SymPy would run it as Python code."""
    if not isinstance(value, (sp.Basic, sp.MatrixBase, Number)):
        raise TypeError(f"{value!r} is no SymPy expression and no number.")
    return sp.sympify(value, strict=True)


def violation(expression: Expr, premises: Sequence[Premise]) -> dict[str, Expr] | None:
    """Search, exactly, for a point where every premise holds and ``expression`` is negative."""
    expression = as_expression(expression)
    gaps = [as_expression(large) - small for small, large in premises]
    symbols = sorted(set().union(expression.free_symbols, *(gap.free_symbols for gap in gaps)), key=str)
    order = {symbol: position for position, symbol in enumerate(symbols)}
    fast = all(part.is_rational_function(*symbols) for part in (expression, *gaps))
    screen = sp.lambdify(symbols, [expression, *gaps], modules="math") if fast else None
    tight = [(order[small], sp.lambdify(symbols, large, modules="math")) for small, large in premises
             if fast and isinstance(small, sp.Symbol)]  # fmt: skip
    draw = random.Random(20191105)
    tries = _TRIES if fast else _SLOW_TRIES
    for _ in range(tries if symbols else 1):
        point: list[Any] = [draw.choice(_values(symbol)) for symbol in symbols]
        if screen is not None:
            point = [Fraction(int(value.p), int(value.q)) for value in point]
            try:
                for position, largest in tight:
                    if draw.random() < 0.5:
                        point[position] = Fraction(largest(*point))
                if min(margin := screen(*point)) >= 0 or min(margin[1:], default=0) < 0:
                    continue
            except ZeroDivisionError:
                continue
        exact = {
            s: sp.Rational(*v.as_integer_ratio()) if fast else v for s, v in zip(symbols, point, strict=True)
        }
        allowed = all(v >= 0 or not s.is_nonnegative for s, v in exact.items())
        if (
            allowed
            and all(_sign(gap.subs(exact)) >= 0 for gap in gaps)
            and _sign(expression.subs(exact)) == -1
        ):
            return {str(symbol): value for symbol, value in exact.items()}
    return None


def consistent(inequalities: Sequence[Expr], equalities: Sequence[Expr]) -> bool:
    """Whether a point was found where every inequality is ≥ 0 and every equality is 0.

    Equalities are solved one by one for a symbol in which they are linear. Finding no point proves nothing;
    premises for which none is found are refused all the same.
    """
    gaps = [as_expression(gap) for gap in equalities]
    conditions = [as_expression(gap) for gap in inequalities]
    if _satisfied_somewhere(conditions, gaps, 2):
        return True
    solved: dict[Any, Expr] = {}
    for gap in gaps:
        gap = gap.subs(solved)
        choice = next((s for s in sorted(gap.free_symbols, key=str) if _linear(gap, s)), None)
        if choice is not None:
            value = sp.expand(choice - gap / sp.diff(gap, choice))
            solved = {s: old.subs(choice, value) for s, old in solved.items()} | {choice: value}
    conditions = [condition.subs(solved) for condition in conditions]
    conditions += [value for symbol, value in solved.items() if symbol.is_nonnegative]
    return _satisfied_somewhere(conditions, [gap.subs(solved) for gap in gaps], _SLOW_TRIES)


def _satisfied_somewhere(conditions: Sequence[Expr], equations: Sequence[Expr], tries: int) -> bool:
    """Whether a point is found: the smallest values first, then ones, then any."""
    free = (part.free_symbols for part in (*conditions, *equations))
    symbols = sorted(set().union(*free), key=str)
    draw = random.Random(20191105)
    for attempt in range(tries):
        tried = {s: _values(s)[min(attempt, 1)] if attempt < 2 else draw.choice(_values(s)) for s in symbols}
        if all(_sign(sp.sympify(equation.subs(tried))) == 0 for equation in equations) and all(
            _sign(sp.sympify(condition.subs(tried))) >= 0 for condition in conditions
        ):
            return True
    return False


def _linear(gap: Expr, symbol: sp.Symbol) -> bool:
    slope = sp.diff(gap, symbol)
    return bool(slope != 0 and not slope.has(symbol))


def _values(symbol: sp.Symbol) -> list[Expr]:
    if symbol.is_integer:
        return _COUNTS if symbol.is_positive else [sp.Integer(0), *_COUNTS]
    if symbol.is_positive:
        return _POSITIVE
    if symbol.is_nonnegative:
        return [sp.Integer(0), *_POSITIVE]
    return [sp.Integer(0), *_POSITIVE, *(-value for value in _POSITIVE)]


def _sign(value: Expr) -> int:
    """Sign of a number: exact for rationals, by 40 digits otherwise; −2 (never accepted as ≥ 0) if it is not
    real.
    """
    if value.is_Rational:
        return int(sp.sign(value))
    number = sp.N(value, 40)
    if not number.is_Float or number.has(sp.nan):
        return -2 if number in (sp.nan, sp.zoo) or not number.is_real else int(sp.sign(number))
    return 0 if abs(number) < sp.Float("1e-30") else int(sp.sign(number))


def nonzero_point(residual: Expr) -> dict[str, Expr] | None:
    """Find values of the atoms (symbols, and unknown functions as free values) where the residual is not
    zero.
    """
    if not residual.is_commutative:
        return {"monomials that do not cancel": residual}
    unknowns = residual.atoms(AppliedUndef, ActivationSymbol, Jet, sp.Derivative, sp.Subs, sp.Integral)
    outer = sorted(unknowns, key=lambda atom: -sp.count_ops(atom, visual=False) - len(str(atom)))
    values = {atom: sp.Symbol(f"value{k}", real=True) for k, atom in enumerate(outer)}
    for atom, value in values.items():
        residual = residual.subs(atom, value)
    draw = random.Random(19110535)
    for _ in range(40):
        point = {s: draw.choice(_values(s)) for s in sorted(residual.free_symbols, key=str)}
        value = sp.N(residual.subs(point), 50)
        if value.is_number and value.is_finite and abs(value) > sp.Float("1e-30"):
            names = {value: str(atom) for atom, value in values.items()}
            return {names.get(symbol, str(symbol)): number for symbol, number in point.items()}
    return None
