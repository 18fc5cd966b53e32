"""Segments: the product of several steps in place of one factor of theorem H, with what a computed product
may have lost.

K_m is the product of the Jacobians of m steps after step i. A program computes Q_m in place of it, from steps
C_m that are off by H_m, with the rounding F_m of each product.
"""

from __future__ import annotations

import sympy as sp

from proofs.kernel.formulas import All, AtMost, Equal, Implies
from proofs.kernel.mutants import sharper
from proofs.kernel.norms import E, Family, S, T, norm
from proofs.proposition import Mutant, Proposition, Step
from proofs.theorems.theorem_b import i

from .theorem_h import PRODUCT


class K(Family):
    """Product of the Jacobians of m steps."""

    letter = "K"


class Q(Family):
    """The computed K."""

    letter = "Q"


class C(Family):
    """The computed Jacobian of a step."""

    letter = "C"


class H(Family):
    """What the computed Jacobian of a step lacks."""

    letter = "H"


class F(Family):
    """What the rounding of a product of two matrices adds."""

    letter = "F"


m = sp.Symbol("m", integer=True, nonnegative=True)
size, off, so_far = (sp.Function(name, nonnegative=True) for name in ("s", "delta", "k"))
g, e, longest = (sp.Symbol(name, nonnegative=True) for name in ("g", "e", "pi_"))
"""g: relative rounding of a product of two matrices. e: error so far. π: product of the norms so far."""

BEGINS = Equal(1, K(0)).called("K_0 = I")
SEGMENT = Equal(K(m + 1), S(i + m + 1) * K(m)).called("K_m is the product of m steps after step i")
COMPUTED_BEGINS = Equal(Q(0), 1)
COMPUTED = Equal(Q(m + 1), C(m + 1) * Q(m) + F(m + 1)).called("the product that is computed")
STEP_ERROR = Equal(S(i + m + 1), C(m + 1) + H(m + 1))
ERROR = Equal(E(m), Q(m) - K(m))
SIZE, OFF = AtMost(norm(C(m + 1)), size(m + 1)), AtMost(norm(H(m + 1)), off(m + 1))
SO_FAR = AtMost(norm(Q(m)), so_far(m))
ROUNDED = AtMost(norm(F(m + 1)), g * norm(C(m + 1)) * norm(Q(m)))

NEXT = PRODUCT.at({i: i + m}).called("")
APPLIED = Equal(K(m + 1) * T(i), S(i + m + 1) * K(m) * T(i))
GROUPED = Equal(T(i + m), K(m) * T(i))
GROUPED_NEXT = Implies(GROUPED, Equal(T(i + m + 1), K(m + 1) * T(i)))
GROUPED_START = Equal(T(i), K(0) * T(i))

ERROR_START = Equal(E(0), 0)
ERROR_ZERO, ERROR_NEXT = ERROR.at({m: 0}), ERROR.at({m: m + 1})
SPLIT = Equal(S(i + m + 1) * K(m), C(m + 1) * K(m) + H(m + 1) * K(m))
RECURSION = Equal(E(m + 1), F(m + 1) + C(m + 1) * E(m) - H(m + 1) * Q(m) + H(m + 1) * E(m))
NORM = AtMost(
    norm(E(m + 1)),
    norm(F(m + 1)) + norm(C(m + 1)) * norm(E(m)) + norm(H(m + 1)) * norm(Q(m)) + norm(H(m + 1)) * norm(E(m)),
)
GROWN = (size(m + 1) + off(m + 1)) * e + (off(m + 1) + g * size(m + 1)) * so_far(m)
GROWTH = Implies(AtMost(norm(E(m)), e), AtMost(norm(E(m + 1)), GROWN))

EXACT = Equal(K(m), Q(m) - E(m))
NORM_EXACT = AtMost(norm(K(m)), norm(Q(m)) + norm(E(m)))
BOUND = Implies(AtMost(norm(E(m)), e), AtMost(norm(K(m)), norm(Q(m)) + e))

NORM_STEP = AtMost(norm(S(i + m + 1)), norm(C(m + 1)) + norm(H(m + 1)))
NORM_SEGMENT = AtMost(norm(K(m + 1)), norm(S(i + m + 1)) * norm(K(m)))
NEVER_WORSE = Implies(
    AtMost(norm(K(m)), longest), AtMost(norm(K(m + 1)), (size(m + 1) + off(m + 1)) * longest)
)

PARTS = (GROUPED, ERROR_START, GROWTH, BOUND, NEVER_WORSE)
STATEMENT = All.of(*PARTS).called(
    "J_N ⋯ J_1 is the product of its segments K, so that theorem H holds with segments in place of steps; "
    "‖K‖ ≤ ‖Q‖ + e for the computed product Q, where e is 0 at first and grows to (s + δ) e + (δ + g s) k in "
    "a step, s and δ the norm and the error of the computed Jacobian of the step, k ≥ ‖Q‖ before it; and "
    "‖K‖ is at most the product of the s + δ"
)
ABSORBED = -(C(m + 1) + H(m + 1))
STEPS = (
    Step("next", NEXT, rule="instance", premises=(PRODUCT,), numbers={"values": {i: i + m}}),
    Step("applied", APPLIED, rule="multiplied", premises=(SEGMENT,), numbers={"left": 1, "right": T(i)}),
    Step("grouped_next", GROUPED_NEXT, rule="linear", premises=(NEXT, APPLIED),
         numbers={"multipliers": (1, -1, S(i + m + 1))}),
    Step("grouped_start", GROUPED_START, rule="multiplied", premises=(BEGINS,),
         numbers={"left": 1, "right": T(i)}),
    Step("grouped", GROUPED, rule="induction", premises=(GROUPED_START, GROUPED_NEXT),
         numbers={"variable": m}),
    Step("error_zero", ERROR_ZERO, rule="instance", premises=(ERROR,), numbers={"values": {m: 0}}),
    Step("error_start", ERROR_START, rule="linear", premises=(ERROR_ZERO, COMPUTED_BEGINS, BEGINS),
         numbers={"multipliers": (1, 1, 1)}),
    Step("error_next", ERROR_NEXT, rule="instance", premises=(ERROR,), numbers={"values": {m: m + 1}}),
    Step("split", SPLIT, rule="multiplied", premises=(STEP_ERROR,), numbers={"left": 1, "right": K(m)}),
    Step("recursion", RECURSION, rule="linear", premises=(ERROR_NEXT, COMPUTED, SEGMENT, SPLIT, ERROR),
         numbers={"multipliers": (1, 1, -1, -1, ABSORBED)}),
    Step("norm", NORM, rule="norm", premises=(RECURSION,)),
    Step("growth", GROWTH, rule="linear", premises=(NORM, ROUNDED, SIZE, OFF, SO_FAR),
         numbers={"multipliers": (1, 1, norm(E(m)) + g * norm(Q(m)), norm(E(m)) + norm(Q(m)),
                                  off(m + 1) + g * size(m + 1), size(m + 1) + off(m + 1))}),
    Step("exact", EXACT, rule="linear", premises=(ERROR,), numbers={"multipliers": (1,)}),
    Step("norm_exact", NORM_EXACT, rule="norm", premises=(EXACT,)),
    Step("bound", BOUND, rule="linear", premises=(NORM_EXACT,), numbers={"multipliers": (1, 1)}),
    Step("norm_step", NORM_STEP, rule="norm", premises=(STEP_ERROR,)),
    Step("norm_segment", NORM_SEGMENT, rule="norm", premises=(SEGMENT,)),
    Step("never_worse", NEVER_WORSE, rule="linear", premises=(NORM_SEGMENT, NORM_STEP, SIZE, OFF),
         numbers={"multipliers": (1, norm(K(m)), norm(K(m)), norm(K(m)), size(m + 1) + off(m + 1))}),
    Step("conclusion", STATEMENT, rule="conjunction", premises=PARTS),
)  # fmt: skip

PROPOSITION = Proposition(
    name="theorem_k",
    title="Theorem K: products of segments of steps, as computed",
    statement=STATEMENT,
    hypotheses={"product": PRODUCT, "begins": BEGINS, "segment": SEGMENT, "computed_begins": COMPUTED_BEGINS,
                "computed": COMPUTED, "step_error": STEP_ERROR, "error": ERROR, "size": SIZE, "off": OFF,
                "so_far": SO_FAR, "rounded": ROUNDED},
    source="ours",
    rests_on=("theorem_h",),
    steps=STEPS,
    mutants=(
        Mutant("no_own_error", "the error of the step left out of the growth of e", {
            "growth": Implies(AtMost(norm(E(m)), e), AtMost(
                norm(E(m + 1)), GROWN - off(m + 1) * so_far(m)))}),
        Mutant("no_rounding", "the rounding of the product left out", {
            "growth": Implies(AtMost(norm(E(m)), e), AtMost(
                norm(E(m + 1)), GROWN - g * size(m + 1) * so_far(m)))}),
        Mutant("error_not_carried", "the error so far does not grow with the step", {
            "growth": Implies(AtMost(norm(E(m)), e), AtMost(
                norm(E(m + 1)), GROWN - size(m + 1) * e + e))}),
        *sharper(STEPS),
    ),
)  # fmt: skip
