"""Any splitting scheme has a majorant made from its own weights.

Run (s, u) → s + |a_s| ε u at a drift and u → u + |b_s| ε L‖W‖ s at a kick, N times from (1, 0). Then
‖∂y_N/∂y_0‖ ≤ s and ‖∂y_N/∂y_0 − I‖ ≤ s − 1, so every singular value is at least 2 − s. For leapfrog these are
the bounds of theorems B and C.
"""

from __future__ import annotations

from collections.abc import Callable

import sympy as sp

from proofs import decide
from proofs.blocks import drift, eps, flows, kick, product, splittings
from proofs.decision import Decision
from proofs.kernel.formulas import (
    All,
    AtMost,
    Equal,
    Formula,
    Implies,
    at_least_zero,
    claim,
    identities,
    identity,
    procedure,
)
from proofs.kernel.mutants import sharper
from proofs.kernel.norms import D, E, P, T, W, force, norm, p, singular, y
from proofs.kernel.rules import SMOOTH
from proofs.majorant import L
from proofs.proposition import Mutant, Proposition, Role, Step
from proofs.theorems.theorem_b import SLOPE, START, i

s, u, size = sp.symbols("s u size", nonnegative=True)
a_s, b_s = sp.symbols("a_s b_s", real=True)
a_11, a_12, a_21, a_22 = sp.symbols("a_11 a_12 a_21 a_22", nonnegative=True)
BLOCKS = sp.symbols("A_11 A_12 A_21 A_22", commutative=False)
FIRST, SECOND, UPPER, LOWER = sp.symbols("x_1 x_2 z_1 z_2", commutative=False)
w = norm(W)
A, B = sp.Abs(a_s) * eps, sp.Abs(b_s) * eps

DRIFT = Equal(y(i + 1), y(i) + a_s * eps * p(i))
KICK = Equal(p(i + 1), p(i) + b_s * eps * force(i))
TANGENT_DRIFT = Equal(T(i + 1), T(i) + a_s * eps * P(i))
TANGENT_KICK = Equal(P(i + 1), P(i) + b_s * eps * D(i) * W * T(i))
DEVIATION = Equal(E(i), T(i) - 1)
DEVIATION_0, DEVIATION_NEXT = DEVIATION.at({i: 0}), DEVIATION.at({i: i + 1})
E_0, E_NEXT = Equal(E(0), 0), Equal(E(i + 1), E(i) + a_s * eps * P(i))
BASE = (AtMost(norm(T(0)), 1), AtMost(norm(P(0)), 0), AtMost(norm(E(0)), 0))
NORM_T = AtMost(norm(T(i + 1)), norm(T(i)) + A * norm(P(i)))
NORM_E = AtMost(norm(E(i + 1)), norm(E(i)) + A * norm(P(i)))
NORM_P = AtMost(norm(P(i + 1)), norm(P(i)) + B * norm(D(i)) * w * norm(T(i)))
NORM_D = AtMost(norm(D(i)), L)
BEFORE = {"position": AtMost(norm(T(i)), s), "momentum": AtMost(norm(P(i)), u)}
DRIFT_STEP = Implies(All(BEFORE), AtMost(norm(T(i + 1)), s + A * u))
KICK_STEP = Implies(All(BEFORE), AtMost(norm(P(i + 1)), u + B * L * w * s))
NEAR_STEP = Implies(
    All({"deviation": AtMost(norm(E(i)), s - 1), "momentum": AtMost(norm(P(i)), u)}),
    AtMost(norm(E(i + 1)), s + A * u - 1),
)
EXPLICIT = All({"drift": DRIFT.at({a_s: 1}), "kick": KICK.at({b_s: 1})})
EXPLICIT_POSITION, EXPLICIT_NEAR = DRIFT_STEP.at({a_s: 1}), NEAR_STEP.at({a_s: 1})
EXPLICIT_MOMENTUM = KICK_STEP.at({b_s: 1})
WEYL = AtMost(1 - norm(E(i)), singular(T(i)))
LOWER_END = Implies(AtMost(norm(E(i)), s - 1), AtMost(2 - s, singular(T(i))))
PRODUCTS = All({"upper": Equal(UPPER, BLOCKS[0] * FIRST + BLOCKS[1] * SECOND),
                "lower": Equal(LOWER, BLOCKS[2] * FIRST + BLOCKS[3] * SECOND)})  # fmt: skip
SIZES = All({str(block): AtMost(norm(block), bound) for block, bound in
             zip(BLOCKS, (a_11, a_12, a_21, a_22), strict=True)})  # fmt: skip
TOP, BOTTOM = (a_11 * norm(FIRST) + a_12 * norm(SECOND), a_21 * norm(FIRST) + a_22 * norm(SECOND))
NORM_UPPER, NORM_LOWER = (
    AtMost(norm(one.left), norm(left) * norm(FIRST) + norm(right) * norm(SECOND))
    for one, left, right in zip(PRODUCTS.parts(), BLOCKS[::2], BLOCKS[1::2], strict=True)
)
UPPER_BOUND, LOWER_BOUND = AtMost(norm(UPPER), TOP), AtMost(norm(LOWER), BOTTOM)
WHOLE = AtMost(norm(UPPER) ** 2 + norm(LOWER) ** 2, TOP**2 + BOTTOM**2)


@procedure
def absolute_weights(absolute: Callable[[sp.Expr], sp.Expr] = sp.Abs) -> Decision:
    """The size used for every weight of every shipped scheme is non-negative and has the weight's square."""
    decisions = {}
    for name in splittings():
        for place, (_, weight) in enumerate(flows(name)):
            size_used = absolute(weight)
            decisions[f"{name}, flow {place}"] = decide.all_of(
                {
                    "sign": decide.fact(size_used.is_nonnegative, size_used, "sign of an exact number"),
                    "square": decide.identity(size_used**2 - weight**2),
                }
            )
    broken = {name: decision for name, decision in decisions.items() if not decision.proved}
    return (
        decide.all_of(broken)
        if broken
        else decide.fact(True, f"{len(decisions)} weights", "|w| ≥ 0 and |w|² = w²")
    )


def _step(scheme: str, rate: sp.Expr, weigh: Callable[[sp.Expr], sp.Expr] = sp.Abs) -> sp.Matrix:
    """Matrix of one step of the majorant; with ``weigh`` the identity, of the tangent for constant slope
    ``rate``.
    """
    stage = {"drift": drift, "kick": lambda weight: kick(weight, rate)}
    return product([stage[kind](weigh(weight)) for kind, weight in flows(scheme)])


@claim
def leapfrog_is_b(equal_to_b: str = "leapfrog") -> Formula:
    """For leapfrog the majorant has s_0 = 1, s_1 = 1 + a/2, trace 2 + a, det 1: s_N = C_N(1 + a/2)."""
    rate = sp.Symbol("rate", nonnegative=True)
    M, a = _step(equal_to_b, rate), eps**2 * rate
    return identities({"s_1": (M[0, 0], 1 + a / 2), "trace": (M.trace(), 2 + a), "det": (M.det(), 1)})


@claim
def attained(positive: str = "mclachlan2") -> Formula:
    """With weights ≥ 0, σ = id, d = 1, W = rate > 0, a tangent step *is* a majorant step."""
    rate = sp.Symbol("rate", nonnegative=True)
    return identity(_step(positive, rate), _step(positive, rate, lambda weight: weight))


@claim
def monotone(gain_sign: int = 1) -> Formula:
    """A larger start (s, u) gives a larger result: a majorant of a majorant is a majorant."""
    more_s, more_u = sp.symbols("more_s more_u", nonnegative=True)
    drifted = (s + more_s) + gain_sign * size * eps * (u + more_u) - (s + gain_sign * size * eps * u)
    return at_least_zero(sp.expand(drifted))


COMPUTED = (
    Step("monotone", "the majorant recursion is monotone", monotone),
    Step("absolute_weights", "absolute values of the shipped weights dominate the weights", absolute_weights),
    Step("leapfrog_is_b", "for leapfrog the majorant is C_N(1 + ε²L‖W‖/2)", leapfrog_is_b),
    Step("attained", "schemes with positive weights, such as mclachlan2, attain it for σ = identity, d = 1, "
         "W > 0", attained, role=Role.REMARK),
)  # fmt: skip
PARTS = (
    *BASE, DRIFT_STEP, KICK_STEP, NEAR_STEP, LOWER_END, EXPLICIT_POSITION, EXPLICIT_MOMENTUM, EXPLICIT_NEAR,
    WHOLE, *(step.claim for step in COMPUTED),
)  # fmt: skip
STATEMENT = All.of(*PARTS).called(
    "with drift weights a_s and kick weights b_s, the recursion (s, u) → s + |a_s|εu, u + |b_s|εL‖W‖s "
    "run for N "
    "steps from (1, 0) bounds ‖∂y_N/∂y_0‖ by s, ‖∂p_N/∂y_0‖ by u and ‖∂y_N/∂y_0 − I‖ by s − 1, so every "
    "singular "
    "value of ∂y_N/∂y_0 lies in [2 − s, s]; run from (0, 1) as well, it bounds the blocks of the "
    "Jacobian of the "
    "whole state, and the norm of the 2×2 matrix of these four bounds bounds its norm; explicit Euler, "
    "drift and "
    "kick from the old state, is bounded likewise"
)
OPERATION = {"weights": (a_s, b_s), "index": i}
STEPS = (
    Step("drift", DRIFT, rule="program", numbers=OPERATION),
    Step("kick", KICK, rule="program", numbers=OPERATION),
    Step("tangent_drift", TANGENT_DRIFT, rule="differentiated", premises=(DRIFT, SMOOTH)),
    Step("tangent_kick", TANGENT_KICK, rule="differentiated", premises=(KICK, SMOOTH)),
    Step("deviation_start", DEVIATION_0, rule="instance", premises=(DEVIATION,), numbers={"values": {i: 0}}),
    Step("deviation_next", DEVIATION_NEXT, rule="instance", premises=(DEVIATION,),
         numbers={"values": {i: i + 1}}),
    Step("start_position", START.parts()[0], rule="part", premises=(START,)),
    Step("start_momentum", START.parts()[1], rule="part", premises=(START,)),
    Step("start_deviation", E_0, rule="linear", premises=(DEVIATION_0, START.parts()[0])),
    Step("recursion", E_NEXT, rule="linear", premises=(DEVIATION_NEXT, DEVIATION, TANGENT_DRIFT),
         numbers={"multipliers": (1, -1, 1)}),
    Step("base_position", BASE[0], rule="norm", premises=(START.parts()[0],)),
    Step("base_momentum", BASE[1], rule="norm", premises=(START.parts()[1],)),
    Step("base_deviation", BASE[2], rule="norm", premises=(E_0,)),
    Step("norm_drift", NORM_T, rule="norm", premises=(TANGENT_DRIFT,)),
    Step("norm_deviation", NORM_E, rule="norm", premises=(E_NEXT,)),
    Step("norm_kick", NORM_P, rule="norm", premises=(TANGENT_KICK,)),
    Step("slopes", NORM_D, rule="diagonal", premises=(SLOPE,)),
    Step("drift_step", DRIFT_STEP, rule="linear", premises=(NORM_T,), numbers={"multipliers": (1, 1, A)}),
    Step("kick_step", KICK_STEP, rule="linear", premises=(NORM_P, NORM_D),
         numbers={"multipliers": (1, B * w * norm(T(i)), B * L * w, 1)}),
    Step("deviation", NEAR_STEP, rule="linear", premises=(NORM_E,), numbers={"multipliers": (1, 1, A)}),
    Step("weyl", WEYL, rule="weyl", premises=(DEVIATION,)),
    Step("lower_end", LOWER_END, rule="linear", premises=(WEYL,)),
    Step("explicit", EXPLICIT, rule="program", numbers={"scheme": "explicit_euler", "index": i}),
    Step("explicit_position", EXPLICIT_POSITION, rule="for_program", premises=(DRIFT_STEP, EXPLICIT),
         numbers={"values": {a_s: 1}, "operation": DRIFT}),
    Step("explicit_momentum", EXPLICIT_MOMENTUM, rule="for_program", premises=(KICK_STEP, EXPLICIT),
         numbers={"values": {b_s: 1}, "operation": KICK}),
    Step("explicit_deviation", EXPLICIT_NEAR, rule="for_program", premises=(NEAR_STEP, EXPLICIT),
         numbers={"values": {a_s: 1}, "operation": DRIFT}),
    Step("upper_product", PRODUCTS.parts()[0], rule="part", premises=(PRODUCTS,)),
    Step("lower_product", PRODUCTS.parts()[1], rule="part", premises=(PRODUCTS,)),
    Step("norm_upper", NORM_UPPER, rule="norm", premises=(PRODUCTS.parts()[0],)),
    Step("norm_lower", NORM_LOWER, rule="norm", premises=(PRODUCTS.parts()[1],)),
    *(Step(f"size_{number}", bound, rule="part", premises=(SIZES,))
      for number, bound in zip(("11", "12", "21", "22"), SIZES.parts(), strict=True)),
    Step("upper_block", UPPER_BOUND, rule="linear", premises=(NORM_UPPER, *SIZES.parts()[:2]),
         numbers={"multipliers": (1, norm(FIRST), norm(SECOND))}),
    Step("lower_block", LOWER_BOUND, rule="linear", premises=(NORM_LOWER, *SIZES.parts()[2:]),
         numbers={"multipliers": (1, norm(FIRST), norm(SECOND))}),
    Step("whole_state", WHOLE, rule="linear", premises=(UPPER_BOUND, LOWER_BOUND),
         numbers={"multipliers": (norm(UPPER) + TOP, norm(LOWER) + BOTTOM)}),
    *COMPUTED,
    Step("conclusion", STATEMENT, rule="conjunction", premises=PARTS, axioms=("induction",)),
)  # fmt: skip

PROPOSITION = Proposition(
    name="theorem_e",
    title="Theorem E: a majorant for every splitting scheme",
    statement=STATEMENT,
    hypotheses={"slope": SLOPE, "smooth": SMOOTH, "start": START, "deviation": DEVIATION, "blocks": PRODUCTS,
                "sizes": SIZES},
    source="ours",
    rests_on=("theorem_b",),
    steps=STEPS,
    mutants=(
        Mutant("subtracted", "majorant with −|a|", {"gain_sign": -1}),
        Mutant("signed_weights", "signed weights instead of absolute values",
               {"absolute": lambda weight: weight}),
        Mutant("other_scheme", "the majorant of mclachlan2 said to be that of leapfrog",
               {"equal_to_b": "mclachlan2"}),
        Mutant("negative_weights", "yoshida4 said to have positive weights", {"positive": "yoshida4"}),
        *sharper(STEPS),
    ),
)  # fmt: skip
