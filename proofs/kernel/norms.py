"""Norms of matrices of any dimension: what the triangle inequality and submultiplicativity give.

A family is a sequence of matrices or vectors that do not commute, T_0, T_1, …; an expression in them is
differentiated term by term. That is how the tangent of a program is obtained from its states.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import sympy as sp

from integrators.engine.program import Program
from integrators.schemes.table import SCHEMES
from proofs.blocks import eps
from proofs.decide import normal_form


class norm(sp.Function):
    """Spectral norm of a matrix."""

    nargs = 1
    is_commutative = True
    is_real = True
    is_nonnegative = True


class singular(sp.Function):
    """Any singular value of a matrix."""

    nargs = 1
    is_commutative = True
    is_real = True
    is_nonnegative = True


class Family(sp.Function):
    """A sequence of matrices or of vectors, by its index."""

    nargs = 1
    is_commutative = False
    is_family = True
    letter: ClassVar[str] = ""


class y(Family):
    """State."""

    letter = "y"


class p(Family):
    """Velocity, or momentum."""

    letter = "p"


class T(Family):
    """∂y/∂y_0."""

    letter = "T"


class P(Family):
    """∂p/∂y_0."""

    letter = "P"


class D(Family):
    """diag σ'(Wy + Vx + b): the slopes met."""

    letter = "D"


class E(Family):
    """T_i − I."""

    letter = "E"


class G(Family):
    """D_i W."""

    letter = "G"


class Acceleration(Family):
    """ÿ."""

    letter = "ÿ"


class Curvature(Family):
    """∂ÿ/∂y_0, the second derivative of T in time."""

    letter = "C"


class Source(Family):
    """Derivative of Wy + v by a parameter, at fixed y."""

    letter = "r"


class S(Family):
    """Jacobian of one step."""

    letter = "S"


class Z(Family):
    """P T_i P⁻¹."""

    letter = "Z"


class R(Family):
    """P S_i P⁻¹."""

    letter = "R"


class X(Family):
    """A block of a product of steps."""

    letter = "X"


class J(Family):
    """Product of the Jacobians of all steps so far."""

    letter = "J"


class Input(Family):
    """Vx + b, which does not depend on y_0."""

    letter = "v"


class act(sp.Function):
    """σ applied to the entries of a vector."""

    nargs = 1
    is_commutative = False


W = sp.Symbol("W", commutative=False)
"""Recurrent weight of any dimension."""


def terms(polynomial: Any) -> Iterator[tuple[Any, list[Any]]]:
    """Coefficient and factors of every term of a polynomial in things that do not commute."""
    for term in sp.Add.make_args(sp.expand(polynomial)):
        commuting, factors = term.args_cnc()
        yield sp.Mul(*commuting), factors


def bound(polynomial: Any) -> Any:
    """Σ |c| ∏ ‖factor‖ over the terms of a polynomial: triangle inequality, ‖AB‖ ≤ ‖A‖‖B‖, ‖I‖ = 1."""
    total = sp.Integer(0)
    for coefficient, factors in terms(polynomial):
        total += sp.Abs(coefficient) * sp.Mul(*(_norm(factor) for factor in factors))
    return total


def _norm(factor: Any) -> Any:
    base, power = factor.as_base_exp()
    if not (power.is_Integer and power.is_positive):
        raise ValueError(f"no rule bounds the norm of {factor}")
    return norm(base) ** power


def tangent(vector: Any, source: Any = 0) -> Any:
    """∂/∂y_0 of an expression in vectors: sums, constant factors, the chain rule for σ(Wy + v).

    With a source, a family, the derivative is by a parameter, and the source is that of Wy + v at fixed y.
    """
    total = sp.Integer(0)
    for coefficient, factors in terms(vector):
        if not factors:
            raise ValueError(f"{coefficient} is no vector")
        *front, last = factors
        total += coefficient * sp.Mul(*front) * _derivative(last, source)
    return sp.expand(total)


def _derivative(vector: Any, source: Any) -> Any:
    if isinstance(vector, y):
        return T(*vector.args)
    if isinstance(vector, p):
        return P(*vector.args)
    if isinstance(vector, Acceleration):
        return Curvature(*vector.args)
    if isinstance(vector, Input):
        return source(*vector.args) if source else sp.Integer(0)
    if isinstance(vector, act):
        (u,) = vector.args
        slopes = {inner.args[0] for inner in u.atoms(y)}
        if len(slopes) != 1:
            raise ValueError(f"{vector}: one state is expected inside σ")
        return D(*slopes) * tangent(u, source)
    raise ValueError(f"no rule differentiates {vector}")


def force(index: Any) -> Any:
    """σ(W y_i + v_i)."""
    return act(sp.expand(W * y(index) + Input(index)))


def operations(scheme: str, index: Any) -> tuple[list[tuple[Any, Any]], list[tuple[Any, Any]]]:
    """Equations between the states in the first step of a run, and in step index + 1.

    The scheme is a shipped one with one evaluation of the force in a step. y_k is the state after k drifts,
    p_k the velocity after k kicks, where the kicks that meet between two steps are one, as in the program
    that runs.
    """
    record = SCHEMES[scheme]
    whole = Program.unrolled(record.form, *record.exact(), n_steps=3)
    found: tuple[list[tuple[Any, Any]], list[tuple[Any, Any]]] = ([], [])
    for number, position in ((0, sp.Integer(0)), (1, index)):
        for kind, weight, *_ in whole.step(number):
            here = position + number
            if kind == "kick":
                found[number].append((p(here + 1), p(here) + weight * eps * force(here)))
            elif kind == "drift":
                found[number].append((y(here + 1), y(here) + weight * eps * p(here + 1)))
            elif kind == "explicit":  # a drift and a kick, both from the old state
                found[number].append((y(here + 1), y(here) + weight * eps * p(here)))
                found[number].append((p(here + 1), p(here) + weight * eps * force(here)))
            else:
                found[number].append((y(here + 1), y(here) + weight * eps * force(here)))
    return found


def single_operations(weights: tuple[Any, Any], index: Any) -> list[tuple[Any, Any]]:
    """Equations of a drift and of a kick with these weights, each from the state `index` to the next one."""
    a, b = weights
    whole = Program.unrolled("splitting", [a], [b], n_steps=1)
    found = []
    for kind, weight, *_ in whole:
        after, before, change = {
            "drift": (y(index + 1), y(index), p(index)),
            "kick": (p(index + 1), p(index), force(index)),
        }[kind]
        found.append((after, before + weight * eps * change))
    return found


def same(left: Any, right: Any) -> bool:
    """Whether two expressions are the same, by reducing their difference to zero."""
    return normal_form(sp.sympify(left) - right) == 0
