"""The constants the bounds rely on: for every shipped activation, sup|σ'| and sup|σ| are what its record
says.

Each inequality is certified on both half lines (with e^z = 1 + u where exponentials occur), and each supremum
is attained or approached.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import sympy as sp

from integrators.fields.activations import ACTIVATIONS
from proofs import decide
from proofs.kernel.formulas import Formula, Known, all_of, at_least_zero, claim, procedure
from proofs.kernel.mutants import sharper
from proofs.proposition import Decision, Mutant, Proposition, Step, concluded

s, u = sp.Symbol("s", positive=True), sp.Symbol("u", positive=True)
z = sp.Symbol("z", real=True)
SLOPE = {"logistic": sp.Rational(1, 4), "erf": 2 / sp.sqrt(sp.pi)}
"""sup|σ'| where it is not 1."""
BOUND = {"relu": sp.oo, "identity": sp.oo, "arctan": sp.pi / 2}
"""sup|σ| where it is not 1."""
PERIODIC = ("sin",)
ONE = sp.Integer(1)


def _branch(name: str, side: int, order: int = 0) -> sp.Expr:
    """σ or a derivative on the half line side·(0, ∞), as an expression in s > 0."""
    return side**order * sp.diff(ACTIVATIONS[name].symbolic(side * s), s, order)


def _visible(expression: sp.Expr) -> sp.Expr:
    """Write growing exponentials as e^{s} = 1 + u or e^{s²} = 1 + u, u > 0, so that signs can be read off."""
    expression = expression.rewrite(sp.exp) if expression.has(sp.tanh) else expression
    gaussian = sp.exp(-(s**2))
    if expression.has(gaussian, gaussian**2):
        return expression.subs({gaussian**2: (1 + u) ** -2, gaussian: 1 / (1 + u)})
    return expression.subs(s, sp.log(1 + u)) if expression.has(sp.exp) else sp.trigsimp(expression)


def _below(name: str, largest: sp.Expr, order: int) -> Formula:
    """largest − |σ^(order)| ≥ 0 on both half lines (through squares, so that signs do not matter)."""
    return all_of(
        {
            f"{name}, {'+' if side > 0 else '−'}": at_least_zero(
                _visible(largest**2 - _branch(name, side, order) ** 2)
            )
            for side in (1, -1)
        }
    )


@claim
def slopes(slope: Callable[[str], sp.Expr] = lambda name: SLOPE.get(name, ONE)) -> Formula:
    """(sup|σ'|)² − σ'² ≥ 0."""
    return all_of({name: _below(name, slope(name), 1) for name in ACTIVATIONS})


@procedure
def slope_reached(factor: sp.Expr = ONE) -> Decision:
    """|σ'| tends to its supremum at 0 from the right, for every shipped activation."""
    decisions = {}
    for name in ACTIVATIONS:
        value = sp.limit(_branch(name, 1, 1), s, 0, "+")
        decisions[name] = decide.fact(
            sp.simplify(value - factor * SLOPE.get(name, ONE)) == 0, value, "limit at 0"
        )
    return decide.all_of(decisions)


@claim
def increasing(direction: int = 1) -> Formula:
    """σ' ≥ 0 on both half lines, for every activation but the periodic one."""
    return all_of(
        {
            f"{name}, {side}": at_least_zero(_visible(direction * _branch(name, side, 1)))
            for name in ACTIVATIONS
            if name not in PERIODIC
            for side in (1, -1)
        }
    )


@procedure
def values(bound: Callable[[str], sp.Expr] = lambda name: BOUND.get(name, ONE)) -> Decision:
    """sup|σ| is the larger of the limits at ±∞ for increasing σ; for sin, 1 − sin² = cos² ≥ 0 and sin(π/2) =
    1.
    """
    decisions = {}
    for name in ACTIVATIONS:
        if name in PERIODIC:
            decisions[name] = _below(name, bound(name), 0).decision
            top = ACTIVATIONS[name].symbolic(sp.pi / 2)
        else:
            top = sp.Max(*(abs(sp.limit(_branch(name, side), s, sp.oo)) for side in (1, -1)))
        decisions[f"sup {name}"] = decide.fact(top == bound(name), top, "computed supremum")
    return decide.all_of(decisions)


@procedure
def records(tolerance: int = 1, rounding: int = 1) -> Decision:
    """0 ≤ float64 − exact < one unit in the last place, for the constants of the records."""
    decisions = {}
    for name, record in ACTIVATIONS.items():
        for label, stored, exact in (
            ("sup|σ'|", record.lipschitz, SLOPE.get(name, ONE)),
            ("sup|σ|", record.bound, BOUND.get(name, ONE)),
        ):
            if exact == sp.oo:
                decisions[f"{name} {label}"] = decide.fact(math.isinf(stored), stored, "infinite")
                continue
            excess = rounding * (sp.Rational(stored) - exact)
            size = sp.Integer(0) if excess == 0 else sp.N(excess, 40)
            decisions[f"{name} {label}"] = decide.all_of(
                {
                    "not below": decide.fact(sp.Ge(excess, 0), size, "sign of float64 − exact"),
                    "within a unit": decide.fact(
                        bool(abs(size) < tolerance * math.ulp(stored)), size, "float64 − exact"
                    ),
                }
            )
    return decide.all_of(decisions)


HALVES = Known("relu and softsign are treated on each half line")
HYPOTHESES = {"kinks": HALVES}
STEPS = (
    Step("slopes", "|σ'| ≤ L", slopes, premises=(HALVES,)),
    Step("slope_reached", "|σ'| → L at 0, so L is the supremum", slope_reached),
    Step("increasing", "σ' ≥ 0 (sin excepted)", increasing, premises=(HALVES,)),
    Step("values", "sup|σ| is as recorded", values, axioms=("monotone",), premises=(HALVES,)),
    Step("records", "the stored float64 values are these numbers, rounded up", records),
)
CONCLUSION = concluded(
    STEPS,
    "For tanh, logistic, relu, identity, sin, arctan, softsign and erf the records hold sup|σ'| and sup|σ|.",
)

PROPOSITION = Proposition(
    name="activation_bounds",
    title="Constants of the shipped activations",
    statement=CONCLUSION.claim,
    hypotheses=HYPOTHESES,
    source="ours; constants used by Lemma 3.1 and theorems A to F",
    steps=(*STEPS, CONCLUSION),
    mutants=(
        Mutant(
            "flat_logistic",
            "L = 1/5 for the logistic function",
            {"slope": lambda name: sp.Rational(1, 5) if name == "logistic" else SLOPE.get(name, ONE)},
        ),
        Mutant("half_supremum", "L/2 said to be the supremum", {"factor": sp.Rational(1, 2)}),
        Mutant("decreasing", "σ' ≤ 0", {"direction": -1}),
        Mutant(
            "low_arctan",
            "sup|arctan| = 1",
            {"bound": lambda name: ONE if name == "arctan" else BOUND.get(name, ONE)},
        ),
        Mutant("no_rounding", "float64 constants said to be exact", {"tolerance": 0}),
        Mutant("rounded_down", "float64 constants said to be rounded down", {"rounding": -1}),
        *sharper((CONCLUSION,)),
    ),
)
