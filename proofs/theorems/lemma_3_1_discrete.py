"""The recursion obeys the same cone: for (11) with |σ| ≤ 1, |(y_{i+1} − y_i)/ε − ẏ(0)| ≤ (i + ½) ε in each
component.

Here q_i = (y_{i+1} − y_i)/ε is the velocity between two states. The bound is attained by σ ≡ ±1.
"""

from __future__ import annotations

import sympy as sp

from proofs.kernel.formulas import All, AtMost, Equal, Formula, Implies, claim, identities
from proofs.kernel.mutants import sharper
from proofs.proposition import Mutant, Proposition, Role, Step

eps = sp.Symbol("varepsilon", positive=True)
i = sp.Symbol("i", integer=True, nonnegative=True)
y, v0, p, s, s_next = sp.symbols("y v0 p s s_next", real=True)
HALF = sp.Rational(1, 2)
Y, q, force = (sp.Function(name, real=True) for name in ("y", "q", "s"))
"""A component of y_i, its velocity between two states, and σ_i."""

BOUNDED = All({"below": AtMost(-1, force(i)), "above": AtMost(force(i), 1)})
RECURSION = All({"first": Equal(Y(1), Y(0) + eps * v0 + eps**2 / 2 * force(0)),
                 "later": Equal(Y(i + 2), 2 * Y(i + 1) - Y(i) + eps**2 * force(i + 1))})  # fmt: skip
VELOCITY = Equal(q(i), (Y(i + 1) - Y(i)) / eps)
VELOCITY_0, VELOCITY_NEXT = VELOCITY.at({i: 0}), VELOCITY.at({i: i + 1})
BOUNDED_0, BOUNDED_NEXT = BOUNDED.at({i: 0}), BOUNDED.at({i: i + 1})
FIRST = Equal(q(0), v0 + eps / 2 * force(0))
LATER = Equal(q(i + 1), q(i) + eps * force(i + 1))


def cone(index: sp.Expr) -> All:
    """−(i + ½) ε ≤ q_i − ẏ(0) ≤ (i + ½) ε."""
    width = (index + HALF) * eps
    return All({"below": AtMost(-width, q(index) - v0), "above": AtMost(q(index) - v0, width)})


INDUCTION = Implies(cone(i), cone(i + 1))


@claim
def kick_drift_kick(half: sp.Expr = HALF) -> Formula:
    """Half kick, drift, half kick gives both lines of (11): the first step, and the two-step recursion."""
    middle = p + half * eps * s
    y_new = y + eps * middle
    middle_next = middle + half * eps * s_next + half * eps * s_next
    y_newer = y_new + eps * middle_next
    return identities(
        {
            "first step": (y_new, y + eps * p + eps**2 / 2 * s),
            "two-step recursion": (y_newer, 2 * y_new - y + eps**2 * s_next),
        }
    )


@claim
def attained(extreme: tuple[int, int] = (1, -1)) -> Formula:
    """With s ≡ ±1, q_i = ẏ(0) ± (i + ½) ε solves the recursion and starts as it should."""
    pairs = {}
    for value in extreme:
        q = v0 + value * (i + HALF) * eps
        pairs[f"start, s = {value}"] = (q.subs(i, 0), v0 + eps * value / 2)
        pairs[f"recursion, s = {value}"] = (q - q.subs(i, i - 1), eps * value)
        pairs[f"distance, s = {value}"] = (sp.Abs(q - v0), (i + HALF) * eps)
    return identities(pairs)


COMPUTED = (
    Step("kick_drift_kick", "half kick, drift, half kick produces the same y_i as (11)", kick_drift_kick),
    Step("attained", "σ ≡ ±1 gives equality for every i", attained, role=Role.REMARK),
)
PARTS = (cone(i), *(step.claim for step in COMPUTED))
STATEMENT = All.of(*PARTS).called(
    "for (11) and (13) with |σ| ≤ 1, every ε > 0 and every input: |(y_{i+1} − y_i)/ε − ẏ(0)| ≤ (i + ½) "
    "ε in each "
    "component, and σ ≡ ±1 attains it; v0 is ẏ(0)"
)
STEPS = (
    *COMPUTED,
    Step("first_state", RECURSION.parts()[0], rule="part", premises=(RECURSION,)),
    Step("later_state", RECURSION.parts()[1], rule="part", premises=(RECURSION,)),
    Step("velocity_start", VELOCITY_0, rule="instance", premises=(VELOCITY,), numbers={"values": {i: 0}}),
    Step("velocity_next", VELOCITY_NEXT, rule="instance", premises=(VELOCITY,),
         numbers={"values": {i: i + 1}}),
    Step("bounded_start", BOUNDED_0, rule="instance", premises=(BOUNDED,), numbers={"values": {i: 0}}),
    Step("bounded_next", BOUNDED_NEXT, rule="instance", premises=(BOUNDED,), numbers={"values": {i: i + 1}}),
    Step("first_velocity", FIRST, rule="linear", premises=(VELOCITY_0, RECURSION.parts()[0]),
         numbers={"multipliers": (1, 1 / eps)}),
    Step("velocity_recursion", LATER, rule="linear",
         premises=(VELOCITY_NEXT, VELOCITY, RECURSION.parts()[1]), numbers={"multipliers": (1, -1, 1 / eps)}),
    Step("base", cone(sp.Integer(0)), rule="linear", premises=(FIRST, BOUNDED_0),
         numbers={"below": {"use": (0, 1), "multipliers": (1, eps / 2)},
                  "above": {"use": (0, 2), "multipliers": (-1, eps / 2)}}),
    Step("step", INDUCTION, rule="linear", premises=(LATER, BOUNDED_NEXT),
         numbers={"below": {"use": (0, 1, 3), "multipliers": (1, eps, 1)},
                  "above": {"use": (0, 2, 4), "multipliers": (-1, eps, 1)}}),
    Step("every_step", cone(i), rule="induction", premises=(cone(sp.Integer(0)), INDUCTION),
         numbers={"variable": i}),
    Step("conclusion", STATEMENT, rule="conjunction", premises=PARTS),
)  # fmt: skip

PROPOSITION = Proposition(
    name="lemma_3_1_discrete",
    title="Velocity bound for the recursion",
    statement=STATEMENT,
    hypotheses={"bounded": BOUNDED, "recursion": RECURSION, "velocity": VELOCITY},
    source="ours; discrete form of Lemma 3.1 for (11)",
    steps=STEPS,
    mutants=(
        Mutant("full_kicks", "full instead of half kicks", {"half": sp.Integer(1)}),
        Mutant("weak_extreme", "σ ≡ 2/3 said to be extreme", {"extreme": (sp.Rational(2, 3),)}),
        *sharper(STEPS),
    ),
)
