"""The recursion obeys the same cone: for (11) with |σ| ≤ 1, |(y_{i+1} − y_i)/ε − ẏ(0)| ≤ (i + ½) ε in each
component.

Here q_i = (y_{i+1} − y_i)/ε is the velocity between two states. The bound is attained by σ ≡ ±1.
"""

from __future__ import annotations

import sympy as sp

from proofs.decide import follows, identities, identity
from proofs.proposition import Decision, Mutant, Proposition, Role, Step

eps = sp.Symbol("varepsilon", positive=True)
i = sp.Symbol("i", integer=True, positive=True)
y, y_old, v0, p, s, s_next = sp.symbols("y y_old v0 p s s_next", real=True)
HALF = sp.Rational(1, 2)


def velocity_recursion(curvature: int = 2) -> Decision:
    """(y_{i+1} − y_i)/ε − (y_i − y_{i−1})/ε = ε s_i for the two-step recursion."""
    y_new = curvature * y - y_old + eps**2 * s
    return identity((y_new - y) / eps - (y - y_old) / eps, eps * s)


def kick_drift_kick(half: sp.Expr = HALF) -> Decision:
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


def base(start_weight: sp.Expr = HALF) -> Decision:
    """|q_0 − ẏ(0)| = (ε/2)|s_0| ≤ ε/2."""
    magnitude = sp.Symbol("abs_s0", nonnegative=True)
    return follows((HALF * eps * magnitude, start_weight * eps), [(magnitude, 1)], [HALF * eps])


def step(growth: sp.Expr = sp.Integer(1)) -> Decision:
    """|q_i − ẏ(0)| ≤ |q_{i−1} − ẏ(0)| + ε|s_i| ≤ (i − ½) ε + ε."""
    before, after, magnitude = sp.symbols("before after abs_si", nonnegative=True)
    return follows(
        (after, growth * i * eps + HALF * eps),
        [(after, before + eps * magnitude), (before, growth * (i - 1) * eps + HALF * eps), (magnitude, 1)],
        [sp.Integer(1), sp.Integer(1), eps],
    )


def attained(extreme: tuple[int, int] = (1, -1)) -> Decision:
    """With s ≡ ±1, q_i = ẏ(0) ± (i + ½) ε solves the recursion and starts as it should."""
    pairs = {}
    for value in extreme:
        q = v0 + value * (i + HALF) * eps
        pairs[f"start, s = {value}"] = (q.subs(i, 0), v0 + eps * value / 2)
        pairs[f"recursion, s = {value}"] = (q - q.subs(i, i - 1), eps * value)
        pairs[f"distance, s = {value}"] = (sp.Abs(q - v0), (i + HALF) * eps)
    return identities(pairs)


PROPOSITION = Proposition(
    name="lemma_3_1_discrete",
    title="Velocity bound for the recursion",
    statement="For (11) and (13) with |σ| ≤ 1, every ε > 0 and every input: |(y_{i+1} − y_i)/ε − ẏ(0)| ≤ (i "
    "+ ½) ε, and σ ≡ ±1 attains it.",
    hypotheses={"bounded": "|σ| ≤ 1", "step": "ε > 0"},
    source="ours; discrete form of Lemma 3.1 for (11)",
    steps=(
        Step("velocity_recursion", "q_i = q_{i−1} + ε s_i", velocity_recursion),
        Step("kick_drift_kick", "half kick, drift, half kick produces the same y_i as (11)", kick_drift_kick),
        Step("base", "|q_0 − ẏ(0)| ≤ ε/2", base, ("kick_drift_kick",)),
        Step(
            "step",
            "|q_{i−1} − ẏ(0)| ≤ (i − ½) ε implies |q_i − ẏ(0)| ≤ (i + ½) ε",
            step,
            ("velocity_recursion", "base"),
            ("triangle", "induction"),
        ),
        Step(
            "attained",
            "σ ≡ ±1 gives equality for every i",
            attained,
            ("velocity_recursion",),
            role=Role.REMARK,
        ),
    ),
    mutants=(
        Mutant("first_difference", "y_{i+1} = y_i − y_{i−1} + ε² s_i", {"curvature": 1}),
        Mutant("full_kicks", "full instead of half kicks", {"half": sp.Integer(1)}),
        Mutant("quarter_start", "|q_0 − ẏ(0)| ≤ ε/4", {"start_weight": sp.Rational(1, 4)}),
        Mutant("half_growth", "bound (i/2 + ½) ε", {"growth": HALF}),
        Mutant("weak_extreme", "σ ≡ 2/3 said to be extreme", {"extreme": (sp.Rational(2, 3),)}),
    ),
)
