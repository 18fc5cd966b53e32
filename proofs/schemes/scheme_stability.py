"""Linear stability interval of every shipped splitting scheme: largest εω up to which ÿ = −ω²y stays bounded.

With z = (εω)² the step matrix has determinant 1 and half trace P(z); powers stay bounded while |P| < 1. The
limit is enclosed: 1 − P² > 0 on the whole interval below it, proved by interval subdivision, and 1 − P² < 0
just above.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import sympy as sp

from integrators.schemes.table import SCHEMES
from proofs import decide
from proofs.balls import Ball
from proofs.blocks import drift, eps, explicit_euler, flows, kick, splittings
from proofs.blocks import product as compose
from proofs.kernel.formulas import Formula, Known, all_of, claim, identities, identity, procedure
from proofs.kernel.mutants import sharper
from proofs.proposition import Decision, Mutant, Proposition, Role, Step, concluded

LIMITS: Mapping[str, str] = {
    "symplectic_euler": "2.000000",
    "symplectic_euler_dk": "2.000000",
    "leapfrog": "2.000000",
    "position_verlet": "2.000000",
    "mclachlan2": "2.553145",
    "yoshida4": "1.573402",
    "suzuki4": "2.720975",
    "blanes_moan4": "3.132823",
    "blanes_moan6": "3.134248",
    "blanes_moan4_rkn": "3.163465",
    "blanes_moan6_rkn": "3.141431",
    "yoshida6": "2.269058",
    "kahan_li6": "2.532627",
    "yoshida8": "3.393234",
    "kahan_li8": "3.096439",
    "sofroniou_spaletta10": "3.141082",
}
"""Claimed limits of εω, to six decimals."""
WIDTH = sp.Rational(1, 10**6)
z = sp.Symbol("z", nonnegative=True)

Polynomial = list[Ball]


@cache
def half_trace(name: str) -> tuple[Ball, ...]:
    """Coefficients of P(z), constant term first, in balls."""

    def times(left: Polynomial, right: Polynomial) -> Polynomial:
        total = [Ball(0) for _ in range(len(left) + len(right) - 1)]
        for i, x in enumerate(left):
            for j, y in enumerate(right):
                total[i + j] = total[i + j] + x * y
        return total

    def plus(left: Polynomial, right: Polynomial) -> Polynomial:
        size = max(len(left), len(right))
        padded = [[*values, *(Ball(0) for _ in range(size - len(values)))] for values in (left, right)]
        return [x + y for x, y in zip(*padded, strict=True)]

    one, zero = [Ball.of(1)], [Ball(0)]
    columns = [(one, zero), (zero, one)]  # images of (y, p) = (1, 0) and (0, 1), momentum scaled by ε
    for kind, weight in flows(name):
        number = Ball.of(weight)
        if kind == "drift":
            columns = [(plus(y, times([number], p)), p) for y, p in columns]
        else:
            force = [Ball(0), Ball(0) - number]
            columns = [(y, plus(p, times(force, y))) for y, p in columns]
    trace = plus(columns[0][0], columns[1][1])
    return tuple(coefficient / 2 for coefficient in trace)


def _value(coefficients: tuple[Ball, ...], at: Ball) -> Ball:
    total = Ball(0)
    for coefficient in reversed(coefficients):
        total = total * at + coefficient
    return total


def _interval(low: Any, high: Any) -> Ball:
    return Ball.of((low + high) / 2, sp.Rational(high - low) / 2)


def stable_up_to(name: str, end: Any, depth: int = 24) -> bool | None:
    """Whether |P| < 1 on (0, end): 1 + P > 0 and (1 − P)/z > 0 on every piece of a subdivision; None if it
    cannot say.
    """
    P = half_trace(name)
    quotient = tuple(Ball(0) - coefficient for coefficient in P[1:])  # (1 − P)/z, since P(0) = 1
    derivative = [tuple(c * Ball.of(n) for n, c in enumerate(Q))[1:] for Q in (P, quotient)]

    def enclosure(Q: tuple[Ball, ...], slope: tuple[Ball, ...], low: Any, high: Any) -> Ball:
        centre, whole = (low + high) / 2, _interval(low, high)
        return _value(Q, Ball.of(centre)) + _value(slope, whole) * Ball.of(0, (high - low) / 2)

    pieces, finished = [(sp.Integer(0), end, 0)], True
    while pieces:
        low, high, level = pieces.pop()
        upper = enclosure(P, derivative[0], low, high) + Ball.of(1)
        lower = enclosure(quotient, derivative[1], low, high)
        if upper.positive() and lower.positive():
            continue
        if upper.negative() or lower.negative():
            return False
        if level == depth:
            finished = False
            continue
        middle = (low + high) / 2
        pieces += [(low, middle, level + 1), (middle, high, level + 1)]
    return True if finished else None


@procedure
def bounded_powers(determinant: int = 1) -> Decision:
    """λ² − 2Pλ + 1 = 0 has |λ|² = P² + (1 − P²) = 1 and two different roots while P² < 1; P² > 1 gives a real
    λ > 1.
    """
    P, more = sp.Symbol("P", real=True), sp.Symbol("more", positive=True)
    root = P + sp.I * sp.sqrt(determinant - P**2)
    outside = (1 + more) + sp.sqrt((1 + more) ** 2 - determinant)
    return decide.all_of(
        {
            "root": decide.identity(sp.expand(root**2 - 2 * P * root + determinant), 0),
            "modulus": decide.identity(sp.expand(P**2 + (determinant - P**2)), 1),
            "outside": decide.fact(sp.expand(outside - 1).is_positive, outside, "P = 1 + more"),
        }
    )


@claim
def leapfrog_exact(limit: int = 4) -> Formula:
    """Leapfrog: P = 1 − z/2, 1 − P² = z(4 − z)/4, so εω < 2."""
    stage = {"drift": lambda w: drift(w, step=1), "kick": lambda w: kick(w, -z, step=1)}
    P = compose([stage[kind](weight) for kind, weight in flows("leapfrog")]).trace() / 2
    return identities({"P": (P, 1 - z / 2), "1 − P²": (1 - P**2, z * (limit - z) / 4)})


@claim
def consistent_start(slope: sp.Expr = -sp.Rational(1, 2)) -> Formula:
    """P(0) = 1 and P'(0) = −½ for every scheme (Σ a = Σ b = 1): stable for small εω."""
    decisions = {}
    for name in splittings():
        a, b = SCHEMES[name].exact()
        P1 = -(sum(a) * sum(b)) / 2
        decisions[name] = identity(sp.radsimp(sp.expand(P1)), slope)
    return all_of(decisions)


@procedure
def tabulated(limits: Mapping[str, str] = LIMITS) -> Decision:
    """Each tabulated limit: proved stable up to limit − 10⁻⁶, proved unstable at limit + 10⁻⁶."""
    decisions = {}
    for name, text in limits.items():
        limit = sp.Rational(text)
        inside = stable_up_to(name, (limit - WIDTH) ** 2)
        P = _value(half_trace(name), Ball.of((limit + WIDTH) ** 2))
        outside = (P - Ball.of(1)).positive() or (P + Ball.of(1)).negative()
        kicks = SCHEMES[name].n_kicks
        summary = {
            "εω": text,
            "per force evaluation": round(float(limit) / kicks, 4),
            "below": inside,
            "above": outside,
        }
        decisions[name] = (
            decide.undecided(summary, "interval subdivision did not finish")
            if inside is None
            else decide.fact(inside and outside, summary, "interval subdivision below, one enclosure above")
        )
    return decide.all_of(decisions)


@procedure
def complete(names: tuple[str, ...] = tuple(LIMITS)) -> Decision:
    """Every shipped splitting scheme has an entry in the table."""
    missing = [name for name in splittings() if name not in names]
    return decide.fact(not missing, missing or len(names), "entries missing from the table")


@procedure
def never_stable(loss: int = 1) -> Decision:
    """Explicit Euler: eigenvalues 1 ± iεω, |λ|² = 1 + ε²ω² > 1 for every ε > 0."""
    w, lam = sp.Symbol("omega", positive=True), sp.Symbol("lambda")
    polynomial = (explicit_euler(-(w**2)) - lam * sp.eye(2)).det()
    return decide.all_of(
        {
            "characteristic polynomial": decide.identity(polynomial, (lam - 1) ** 2 + eps**2 * w**2),
            # The roots are a conjugate pair, so that their product is |λ|².
            "modulus": decide.identity(polynomial.subs(lam, 0), 1 + loss * eps**2 * w**2),
            "modulus above 1": decide.fact(
                (loss * eps**2 * w**2).is_positive, loss * eps**2 * w**2, "|λ|² − 1"
            ),
        }
    )


LINEAR = Known("DF has the eigenvalue −ω² < 0 (σ'(u)W < 0 in one dimension)")
HYPOTHESES = {"linear": LINEAR}
STEPS = (
    Step("bounded_powers", "det = 1: eigenvalues on the unit circle, distinct, iff |P| < 1", bounded_powers),
    Step("consistent_start", "P = 1 − z/2 + …, so every scheme is stable for small εω", consistent_start),
    Step(
        "leapfrog_exact",
        "leapfrog: 1 − P² = z(4 − z)/4, stable iff εω < 2",
        leapfrog_exact,
        premises=(LINEAR,),
    ),
    Step(
        "tabulated",
        "tabulated limits: |P| < 1 on all of (0, limit − 10⁻⁶), |P| > 1 at limit + 10⁻⁶",
        tabulated,
        premises=(LINEAR,),
    ),
    Step("complete", "the table covers every shipped splitting scheme", complete),
    Step(
        "never_stable", "explicit Euler: |λ|² = 1 + ε²ω²", never_stable, role=Role.REMARK, premises=(LINEAR,)
    ),
)
CONCLUSION = concluded(
    STEPS,
    "For ÿ = −ω²y each shipped splitting scheme keeps its powers bounded on 0 < εω < limit, and "
    "not just above it; leapfrog: εω < 2; explicit Euler never.",
)

PROPOSITION = Proposition(
    name="scheme_stability",
    title="Linear stability of the shipped schemes",
    statement=CONCLUSION.claim,
    hypotheses=HYPOTHESES,
    source="ours; coefficients from the references in each row",
    rests_on=("volume_and_reversibility",),
    steps=(*STEPS, CONCLUSION),
    mutants=(
        Mutant("wrong_determinant", "λ² − 2Pλ + 2 = 0", {"determinant": 2}),
        Mutant("full_slope", "P = 1 − z + …", {"slope": sp.Integer(-1)}),
        Mutant("wide_leapfrog", "1 − P² = z(5 − z)/4", {"limit": 5}),
        Mutant("optimistic", "leapfrog stable up to 2.1", {"limits": {"leapfrog": "2.1"}}),
        Mutant("pessimistic", "yoshida4 unstable beyond 1.5", {"limits": {"yoshida4": "1.5"}}),
        Mutant(
            "overlooked_window",
            "order 10 said to be stable up to 5.97, across a narrow unstable window at 3.1411",
            {"limits": {"sofroniou_spaletta10": "5.973667"}},
        ),
        Mutant("missing_row", "a table of one row", {"names": ("leapfrog",)}),
        Mutant("stable_euler", "explicit Euler with |λ|² = 1", {"loss": 0}),
        *sharper((CONCLUSION,)),
    ),
)
