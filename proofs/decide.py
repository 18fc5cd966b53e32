"""Exact deciders: each returns a :class:`~proofs.proposition.Decision` and can say no.

*Identities* are proved only by reducing a residual to the literal zero. *Inequalities* are proved only by a
certificate: after subtracting non-negative multiples of the premises, what is left has a form that is
non-negative term by term. Numbers are never sampled to prove anything; they are sampled, exactly, to
*refute*: a point that satisfies every premise and breaks the claim.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sympy as sp

from .proposition import Decision, Outcome
from .search import Premise, as_expression, nonzero_point, violation

__all__ = [
    "all_of",
    "at_least_zero",
    "certificate",
    "fact",
    "follows",
    "identities",
    "identity",
    "limit_is",
    "nonnegative_from",
    "normal_form",
    "proved",
    "refuted",
    "undecided",
]

Expr = Any

SIMPLIFIED = "residual reduces to the literal 0 by known identities of the functions in it"


def proved(computed: object, note: str, counterexample: object = None) -> Decision:
    """Return a proved decision."""
    return Decision(Outcome.PROVED, computed, note, counterexample)


def refuted(computed: object, note: str, counterexample: object = None) -> Decision:
    """Return a refuted decision."""
    return Decision(Outcome.REFUTED, computed, note, counterexample)


def undecided(computed: object, note: str) -> Decision:
    """Return an undecided decision."""
    return Decision(Outcome.UNDECIDED, computed, note)


def fact(true: object, computed: object, note: str, counterexample: object = None) -> Decision:
    """Turn an exact truth value (Python or SymPy) into a decision; anything else is undecided."""
    if true in (True, sp.true):
        return proved(computed, note, counterexample)
    if true in (False, sp.false):
        return refuted(computed, note, computed)
    return undecided(computed, note)


def all_of(decisions: Mapping[str, Decision]) -> Decision:
    """Combine named decisions: refuted if one is, undecided if one is, proved otherwise."""
    if not decisions:
        return undecided({}, "nothing to decide")
    computed = {name: decision.computed for name, decision in decisions.items()}
    for outcome in (Outcome.REFUTED, Outcome.UNDECIDED):
        for name, decision in decisions.items():
            if decision.outcome is outcome:
                return Decision(outcome, computed, f"{name}: {decision.note}", decision.counterexample)
    notes = list(dict.fromkeys(decision.note for decision in decisions.values()))
    witness = next((d.counterexample for d in decisions.values() if d.counterexample is not None), None)
    return proved(computed, "; ".join(notes[:3]), witness)


def normal_form(expression: Expr) -> Expr:
    """Reduce an expression to a ratio of polynomials in independent atoms; the literal 0 means identically
    zero.
    """
    expression = as_expression(expression).doit()
    if not expression.is_commutative:
        return sp.expand(expression)
    if expression.has(sp.cosh, sp.sinh, sp.tanh):
        expression = expression.rewrite(sp.exp)
    numerator, denominator = sp.fraction(sp.together(sp.expand(expression)))
    numerator = sp.expand(sp.powsimp(sp.expand(numerator)))
    if numerator == 0:
        return sp.Integer(0)
    return sp.cancel(numerator / denominator)


def identity(left: Expr, right: Expr = 0) -> Decision:
    """Decide ``left = right`` for expressions or matrices, by reducing the difference to the literal zero."""
    if isinstance(left, sp.MatrixBase):
        target = right if isinstance(right, sp.MatrixBase) else sp.zeros(*left.shape)
        if left.shape != target.shape:
            return refuted((left.shape, target.shape), "shapes differ")
        residual = (left - target).applyfunc(normal_form)
        entries = list(residual)
    else:
        residual = normal_form(as_expression(left) - right)
        entries = [residual]
    open_entries = [entry for entry in entries if entry != 0]
    for entry in open_entries:
        point = nonzero_point(entry)
        if point is not None:
            return refuted(residual, "the residual is not zero", {"residual": entry, "at": point})
    if not open_entries:
        return proved(residual, "residual reduces to the literal 0")
    if all(entry.is_commutative and sp.simplify(entry) == 0 for entry in open_entries):
        return proved(sp.zeros(*left.shape) if isinstance(left, sp.MatrixBase) else sp.Integer(0), SIMPLIFIED)
    return undecided(residual, "the residual neither vanishes nor shows a non-zero value")


def identities(pairs: Mapping[str, tuple[Expr, Expr]]) -> Decision:
    """Decide several named identities together."""
    return all_of({name: identity(left, right) for name, (left, right) in pairs.items()})


def certificate(expression: Expr) -> Expr | None:
    """Return ``expression`` in a form that is visibly non-negative, or None if there is none to be seen.

    Visibly non-negative means: numerator and denominator expand to sums of terms, each a non-negative number
    times even powers of real atoms and any powers of non-negative atoms (SymPy's assumptions say which atoms
    are which).
    """
    numerator, denominator = sp.fraction(sp.cancel(sp.together(as_expression(expression))))
    for sign in (1, -1):
        top, bottom = sp.expand(sign * numerator), sp.expand(sign * denominator)
        if bottom != 0 and _termwise_nonnegative(top) and _termwise_nonnegative(bottom):
            return top / bottom
    return None


def at_least_zero(
    expression: Expr, premises: Sequence[Premise] = (), multipliers: Sequence[Expr] = ()
) -> Decision:
    """Decide ``expression ≥ 0`` from premises: expression − Σ m_k (large_k − small_k) and every m_k
    certified.
    """
    if len(multipliers) != len(premises):
        return undecided(expression, "one multiplier is needed for each premise")
    rest = as_expression(expression)
    for (small, large), multiplier in zip(premises, multipliers, strict=True):
        rest -= multiplier * (large - small)
    certified = [certificate(part) for part in (rest, *multipliers)]
    if all(part is not None for part in certified):
        return proved(certified[0], "non-negative term by term after subtracting multiples of the premises")
    point = violation(expression, premises)
    if point is not None:
        return refuted(rest, "a point satisfies the premises and breaks the claim", point)
    return undecided(rest, "no certificate and no counterexample")


def follows(claim: Premise, premises: Sequence[Premise] = (), multipliers: Sequence[Expr] = ()) -> Decision:
    """Decide that ``claim = (small, large)`` follows from premises with given non-negative multipliers."""
    return at_least_zero(as_expression(claim[1]) - claim[0], premises, multipliers)


def nonnegative_from(function: Expr, variable: sp.Symbol, start: Expr = 0, order: int = 1) -> Decision:
    """Decide ``function ≥ 0`` for ``variable ≥ start`` by derivatives.

    Values of the function and of its first ``order − 1`` derivatives at ``start``, and the ``order``-th
    derivative for every larger argument, are certified non-negative; integrating back ``order`` times gives
    the claim.
    """
    decisions = {}
    beyond = sp.Symbol("u", nonnegative=True)
    derivative = as_expression(function)
    for k in range(order):
        decisions[f"derivative {k} at {start}"] = at_least_zero(sp.simplify(derivative.subs(variable, start)))
        derivative = sp.diff(derivative, variable)
    decisions[f"derivative {order} beyond {start}"] = at_least_zero(
        sp.simplify(derivative.subs(variable, start + beyond).rewrite(sp.exp))
    )
    combined = all_of(decisions)
    if combined.proved:
        return combined
    point = violation(as_expression(function).subs(variable, start + beyond), ())
    return refuted(function, "negative at a point", point) if point else undecided(function, combined.note)


def limit_is(expression: Expr, variable: sp.Symbol, point: Expr, value: Expr) -> Decision:
    """Decide a limit from below (or at infinity) that SymPy computes in closed form."""
    found = sp.limit(expression, variable, point, "-" if point != sp.oo else "+-")
    if isinstance(found, sp.Limit):
        return undecided(found, "SymPy leaves the limit unevaluated")
    same = found == value or sp.simplify(found - value) == 0
    return fact(bool(same), found, f"limit computed: {found}")


def _termwise_nonnegative(expression: Expr) -> bool:
    return all(_term_nonnegative(term) for term in sp.Add.make_args(expression))


def _term_nonnegative(term: Expr) -> bool:
    if term.is_nonnegative:
        return True
    factors: Iterable[Expr] = sp.Mul.make_args(term)
    return all(
        factor.is_nonnegative or (factor.is_Pow and factor.exp.is_even and factor.base.is_real)
        for factor in factors
    )
