"""No vanishing either: ‖∂y_N/∂y_0 − I‖ ≤ C_N − 1, so every singular value of ∂y_N/∂y_0 lies in [2 − C_N,
C_N].

With ε = c/N the interval is inside [2 − cosh(c√(L‖W‖)), cosh(c√(L‖W‖))] for every N: the heuristic (14) with
its constants.
"""

from __future__ import annotations

import sympy as sp

from proofs.blocks import eps
from proofs.kernel.formulas import All, AtMost, Equal, Formula, Implies, claim, identity
from proofs.kernel.mutants import sharper
from proofs.kernel.norms import E, P, T, W, norm, singular
from proofs.majorant import L, N, w
from proofs.proposition import Mutant, Proposition, Role, Step
from proofs.theorems.theorem_b import BOTH, BOUND, EXPONENTIAL, START, TANGENT_DRIFT, i, theta
from proofs.theorems.theorem_b import PROPOSITION as THEOREM_B
from proofs.theorems.theorem_b import STEPS as STEPS_B

c = sp.Symbol("c", positive=True)
ARCCOSH_2 = sp.log(2 + sp.sqrt(3))
VALUE = singular(T(N))
TOP, LIMIT = sp.cosh(N * theta), sp.cosh(c * sp.sqrt(L * norm(W)))

DEVIATION = Equal(E(i), T(i) - 1)
STEP_SIZE = Equal(eps, c / N)
DEVIATION_0, DEVIATION_NEXT, DEVIATION_N = (DEVIATION.at({i: value}) for value in (0, i + 1, N))
INCREMENT = BOTH.parts()[1]
E_0 = Equal(E(0), 0)
E_NEXT = Equal(E(i + 1), E(i) + eps * P(i + 1))
NORM_E_0 = AtMost(norm(E(0)), 0)
NORM_E = AtMost(norm(E(i + 1)), norm(E(i)) + eps * norm(P(i + 1)))


def near(index: sp.Expr) -> AtMost:
    """‖T_i − I‖ ≤ cosh(iθ) − 1."""
    return AtMost(norm(E(index)), sp.cosh(index * theta) - 1)


NEAR_NEXT = Implies(near(i), near(i + 1))
WEYL_LOW, WEYL_HIGH = AtMost(1 - norm(E(N)), VALUE), AtMost(VALUE, norm(T(N)))
LOW, HIGH = AtMost(2 - TOP, VALUE), AtMost(VALUE, TOP)
UNIFORM = AtMost(TOP, LIMIT)
LOW_UNIFORM, HIGH_UNIFORM = AtMost(2 - LIMIT, VALUE), AtMost(VALUE, LIMIT)


@claim
def threshold(limit: sp.Expr = ARCCOSH_2) -> Formula:
    """2 − cosh x = 0 at x = log(2 + √3): below it no singular value can vanish, whatever N."""
    return identity(sp.cosh(limit).rewrite(sp.exp), 2)


@claim
def depends_on_weights(exponent: sp.Expr = sp.Rational(1, 2)) -> Formula:
    """The argument √(Lw) doubles when ‖W‖ is multiplied by four: the constant moves with W."""
    positive = {L: sp.Symbol("L", positive=True), w: sp.Symbol("w", positive=True)}
    value = ((L * w) ** exponent).subs(positive)
    return identity(value.subs(positive[w], 4 * positive[w]) / value, 2)


OWN = (
    Step("deviation_start", DEVIATION_0, rule="instance", premises=(DEVIATION,), numbers={"values": {i: 0}}),
    Step("deviation_next", DEVIATION_NEXT, rule="instance", premises=(DEVIATION,),
         numbers={"values": {i: i + 1}}),
    Step("start", E_0, rule="linear", premises=(DEVIATION_0, START.parts()[0])),
    Step("recursion", E_NEXT, rule="linear", premises=(DEVIATION_NEXT, DEVIATION, TANGENT_DRIFT),
         numbers={"multipliers": (1, -1, 1)}),
    Step("norm_deviation_start", NORM_E_0, rule="norm", premises=(E_0,)),
    Step("norm_deviation", NORM_E, rule="norm", premises=(E_NEXT,)),
    Step("increment", INCREMENT, rule="part", premises=(BOTH,)),
    Step("deviation_induction", NEAR_NEXT, rule="linear", premises=(NORM_E, INCREMENT)),
    Step("deviation_every_step", near(i), rule="induction", premises=(NORM_E_0, NEAR_NEXT),
         numbers={"variable": i}),
    Step("deviation_at_N", near(N), rule="instance", premises=(near(i),), numbers={"values": {i: N}}),
    Step("definition_at_N", DEVIATION_N, rule="instance", premises=(DEVIATION,), numbers={"values": {i: N}}),
    Step("weyl_below", WEYL_LOW, rule="weyl", premises=(DEVIATION_N,)),
    Step("weyl_above", WEYL_HIGH, rule="weyl"),
    Step("below", LOW, rule="linear", premises=(WEYL_LOW, near(N))),
    Step("above", HIGH, rule="linear", premises=(WEYL_HIGH, BOUND)),
    Step("uniform", UNIFORM, rule="substituted", premises=(EXPONENTIAL, STEP_SIZE)),
    Step("uniform_below", LOW_UNIFORM, rule="linear", premises=(LOW, UNIFORM)),
    Step("uniform_above", HIGH_UNIFORM, rule="linear", premises=(HIGH, UNIFORM)),
    Step("threshold", "the lower end is positive while c√(L‖W‖) < log(2 + √3) = arccosh 2", threshold,
         axioms=("monotone",), role=Role.REMARK),
    Step("depends_on_weights", "the constant does depend on ‖W‖: four times ‖W‖ is twice the argument",
         depends_on_weights, role=Role.REMARK),
)  # fmt: skip
CHAIN = (*(step for step in STEPS_B if step.name not in ("polynomials", "attained", "conclusion")), *OWN)
PARTS = (LOW, HIGH, LOW_UNIFORM, HIGH_UNIFORM, OWN[-2].claim, OWN[-1].claim)
STATEMENT = All.of(*PARTS).called(
    "every singular value s(T_N) of T_N = ∂y_N/∂y_0 for (11)/(13) lies in [2 − C_N(1 + a/2), C_N(1 + a/2)], "
    "C_N(1 + a/2) = cosh(Nθ); with ε = c/N, in [2 − cosh(c√(L‖W‖)), cosh(c√(L‖W‖))] for every N"
)
CONCLUSION = Step("conclusion", STATEMENT, rule="conjunction", premises=PARTS)

PROPOSITION = Proposition(
    name="theorem_c",
    title="Theorem C: the gradient neither explodes nor vanishes",
    statement=CONCLUSION.claim,
    hypotheses={**THEOREM_B.hypotheses, "deviation": DEVIATION, "step": STEP_SIZE},
    source="ours; proves the heuristic (14)",
    rests_on=("theorem_b",),
    steps=(*CHAIN, CONCLUSION),
    mutants=(
        Mutant("wrong_threshold", "threshold log 2", {"limit": sp.log(2)}),
        Mutant("linear_weight", "argument L‖W‖ without the root", {"exponent": sp.Integer(1)}),
        *sharper((*CHAIN, CONCLUSION)),
    ),
)
