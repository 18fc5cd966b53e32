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

from .decision import Decision, Outcome
from .search import Premise, as_expression, consistent, nonzero_point, violation

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
    """A decision with the outcome proved.

    Parameters
    ----------
    computed : object
        What was computed.
    note : str
        How it was decided, in a few words.
    counterexample : object, optional
        The object found by a step that looks for a counterexample.

    Examples
    --------
    >>> from proofs import decide
    >>> decide.proved(0, "the residual is zero").proved
    True
    """
    return Decision(Outcome.PROVED, computed, note, counterexample)


def refuted(computed: object, note: str, counterexample: object = None) -> Decision:
    """A decision with the outcome refuted.

    Parameters
    ----------
    computed : object
        What was computed.
    note : str
        How it was decided, in a few words.
    counterexample : object, optional
        The object that shows the failure.

    Examples
    --------
    >>> from proofs import decide
    >>> decide.refuted(1, "the residual is one").refuted
    True
    """
    return Decision(Outcome.REFUTED, computed, note, counterexample)


def undecided(computed: object, note: str) -> Decision:
    """A decision with the outcome undecided: neither a proof nor a counterexample was found.

    Parameters
    ----------
    computed : object
        What was computed.
    note : str
        What was missing, in a few words.

    Examples
    --------
    >>> from proofs import decide
    >>> found = decide.undecided(None, "no rule applies")
    >>> found.proved, found.refuted
    (False, False)
    """
    return Decision(Outcome.UNDECIDED, computed, note)


def fact(true: object, computed: object, note: str, counterexample: object = None) -> Decision:
    """Turn an exact truth value into a decision: proved, refuted, or undecided for anything else.

    Parameters
    ----------
    true : bool or SymPy truth value
    computed : object
        What was computed.
    note : str
        How it was decided, in a few words.
    counterexample : object, optional
        Kept with the decision if it is proved.

    Examples
    --------
    >>> from proofs import decide
    >>> str(decide.fact(2 > 1, "2 > 1", "compared").outcome)
    'proved'
    """
    if true in (True, sp.true):
        return proved(computed, note, counterexample)
    if true in (False, sp.false):
        return refuted(computed, note, computed)
    return undecided(computed, note)


def all_of(decisions: Mapping[str, Decision]) -> Decision:
    """Combine named decisions: refuted if one is refuted, else undecided if one is undecided, else proved.

    Parameters
    ----------
    decisions : mapping of str to Decision

    Returns
    -------
    Decision
        Undecided where there are no decisions at all.

    Examples
    --------
    >>> from proofs import decide
    >>> both = {"first": decide.proved(1, "given"), "second": decide.undecided(2, "open")}
    >>> str(decide.all_of(both).outcome)
    'undecided'
    """
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
    """Write an expression as a ratio of polynomials in independent atoms; it is 0 if the expression is.

    Parameters
    ----------
    expression : SymPy expression

    Examples
    --------
    >>> import sympy
    >>> from proofs import decide
    >>> x = sympy.Symbol("x")
    >>> decide.normal_form((x**2 - 1) / (x - 1) - x - 1)
    0
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
    """Decide left = right by reducing the difference to the number zero.

    Parameters
    ----------
    left, right : SymPy expression or matrix
        Two of the same shape; the right side is zero by default.

    Returns
    -------
    Decision
        Refuted with a point at which the two sides differ; undecided where neither is found.

    Examples
    --------
    >>> import sympy
    >>> from proofs import decide
    >>> x = sympy.Symbol("x")
    >>> str(decide.identity(sympy.cosh(x) ** 2 - sympy.sinh(x) ** 2, 1).outcome)
    'proved'
    >>> str(decide.identity(sympy.cosh(x), 1).outcome)
    'refuted'
    """
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
    """Decide several named identities together.

    Parameters
    ----------
    pairs : mapping
        Name → (left, right).

    Examples
    --------
    >>> import sympy
    >>> from proofs import decide
    >>> x = sympy.Symbol("x")
    >>> str(decide.identities({"square": ((x + 1) ** 2, x**2 + 2 * x + 1), "sum": (x + x, 2 * x)}).outcome)
    'proved'
    """
    return all_of({name: identity(left, right) for name, (left, right) in pairs.items()})


def certificate(expression: Expr) -> Expr | None:
    """A form of an expression in which every term is non-negative, or None if no such form was found.

    Numerator and denominator are expanded to sums of terms. Each term must be a non-negative number times
    even powers of real symbols and any powers of non-negative symbols, by the assumptions that SymPy has
    about them.

    Parameters
    ----------
    expression : SymPy expression

    Examples
    --------
    >>> import sympy
    >>> from proofs import decide
    >>> x = sympy.Symbol("x", real=True)
    >>> decide.certificate(x**2 + 1), decide.certificate(x)
    (x**2 + 1, None)
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
    """Decide expression ≥ 0, given premises small_k ≤ large_k.

    It is proved if expression − Σ m_k (large_k − small_k) and all multipliers m_k have a `certificate`, and a
    point is known that satisfies all premises: from premises that contradict each other nothing is concluded.

    Parameters
    ----------
    expression : SymPy expression
    premises : sequence of pairs
        (small_k, large_k).
    multipliers : sequence of SymPy expressions
        m_k, one for each premise.

    Examples
    --------
    >>> import sympy
    >>> from proofs import decide
    >>> x = sympy.Symbol("x", real=True)
    >>> str(decide.at_least_zero(x**2 + 1).outcome), str(decide.at_least_zero(x**2 - 1).outcome)
    ('proved', 'refuted')
    >>> str(decide.at_least_zero(x - 1, premises=[(2, x)], multipliers=[1]).outcome)
    'proved'
    """
    if len(multipliers) != len(premises):
        return undecided(expression, "one multiplier is needed for each premise")
    rest = as_expression(expression)
    for (small, large), multiplier in zip(premises, multipliers, strict=True):
        rest -= multiplier * (large - small)
    certified = [certificate(part) for part in (rest, *multipliers)]
    if all(part is not None for part in certified):
        if premises and not consistent([as_expression(large) - small for small, large in premises], ()):
            return undecided(rest, "no point was found that satisfies all premises")
        return proved(certified[0], "non-negative term by term after subtracting multiples of the premises")
    point = violation(expression, premises)
    if point is not None:
        return refuted(rest, "a point satisfies the premises and breaks the claim", point)
    return undecided(rest, "no certificate and no counterexample")


def follows(claim: Premise, premises: Sequence[Premise] = (), multipliers: Sequence[Expr] = ()) -> Decision:
    """Decide that small ≤ large follows from premises with given multipliers; see `at_least_zero`.

    Parameters
    ----------
    claim : pair
        (small, large).
    premises : sequence of pairs
        (small_k, large_k).
    multipliers : sequence of SymPy expressions
        m_k, one for each premise.

    Examples
    --------
    >>> import sympy
    >>> from proofs import decide
    >>> a, b = sympy.symbols("a b", nonnegative=True)
    >>> str(decide.follows((a, b + 1), premises=[(a, b)], multipliers=[1]).outcome)
    'proved'
    >>> str(decide.follows((1, 0), premises=[(1, a), (a, 0)], multipliers=[1, 1]).outcome)
    'undecided'
    """
    return at_least_zero(as_expression(claim[1]) - claim[0], premises, multipliers)


def nonnegative_from(function: Expr, variable: sp.Symbol, start: Expr = 0, order: int = 1) -> Decision:
    """Decide function ≥ 0 for all variable ≥ start, by derivatives.

    The function and its first ``order − 1`` derivatives are certified to be non-negative at `start`, and the
    derivative of that order everywhere beyond. Integrating ``order`` times gives the claim.

    Parameters
    ----------
    function : SymPy expression
    variable : Symbol
    start : SymPy expression
    order : int
        Which derivative is looked at beyond `start`.

    Examples
    --------
    >>> import sympy
    >>> from proofs import decide
    >>> x = sympy.Symbol("x", real=True)
    >>> str(decide.nonnegative_from(sympy.exp(x) - 1 - x, x, order=2).outcome)
    'proved'
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
    """Decide that an expression has the given limit, from below or at infinity, as SymPy computes it.

    Parameters
    ----------
    expression : SymPy expression
    variable : Symbol
    point : SymPy expression
        Where the limit is taken; ``sympy.oo`` for infinity.
    value : SymPy expression
        The limit that is claimed.

    Examples
    --------
    >>> import sympy
    >>> from proofs import decide
    >>> x = sympy.Symbol("x", positive=True)
    >>> str(decide.limit_is(sympy.tanh(x), x, sympy.oo, 1).outcome)
    'proved'
    """
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
