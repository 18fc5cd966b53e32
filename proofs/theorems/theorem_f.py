"""A-posteriori sharpening: the slopes σ' met along the computed trajectory may replace the global L in B, D
and E.

With λ_i ≥ ‖D_i W‖ at step i, for example ‖D_i W‖ itself or L_i‖W‖, L_i the largest |σ'| met there, the same
recursions with λ_i in place of L‖W‖ bound the gradient; they never exceed the a-priori ones.
"""

from __future__ import annotations

import sympy as sp

from proofs.blocks import eps
from proofs.kernel.formulas import All, AtMost, Equal, Formula, Implies, claim, identity
from proofs.kernel.mutants import sharper
from proofs.kernel.norms import D, G, P, T, W, force, norm, p
from proofs.kernel.rules import SMOOTH
from proofs.majorant import L
from proofs.proposition import Mutant, Proposition, Role, Step
from proofs.theorems.theorem_b import DRIFT, KICK, TANGENT_DRIFT, TANGENT_KICK, i
from proofs.theorems.theorem_d import EULER
from proofs.theorems.theorem_d import TANGENT as TANGENT_EULER

t, delta, s, u = sp.symbols("t delta s u", nonnegative=True)
t_far, delta_far, s_far, u_far = sp.symbols("t_far delta_far s_far u_far", nonnegative=True)
a_s, b_s = sp.symbols("a_s b_s", real=True)
met = sp.Function("L_met", nonnegative=True)
"""The largest |σ'| at step i."""
rate = sp.Function("lam", nonnegative=True)
"""λ_i ≥ ‖D_i W‖."""
w = norm(W)

MET = AtMost(norm(D(i)), met(i))
RATE = AtMost(norm(G(i)), rate(i))
BELOW = AtMost(rate(i), L * w)
PRODUCT, PRODUCT_NEXT = Equal(D(i) * W, G(i)), Equal(D(i + 1) * W, G(i + 1))
DEFINITION = Equal(G(i), D(i) * W)
SPLIT = AtMost(norm(G(i)), norm(D(i)) * w)
SLOPES_MET = AtMost(norm(G(i)), met(i) * w)
RATE_NEXT, BELOW_NEXT = RATE.at({i: i + 1}), BELOW.at({i: i + 1})
KICKED = Equal(P(i + 2), P(i + 1) + eps * G(i + 1) * T(i + 1))
NORM_DRIFT = AtMost(norm(T(i + 1)), norm(T(i)) + eps * norm(P(i + 1)))
NORM_KICK = AtMost(norm(P(i + 2)), norm(P(i + 1)) + eps * norm(G(i + 1)) * norm(T(i + 1)))
LEAPFROG = Implies(
    All({"position": AtMost(norm(T(i)), t), "increment": AtMost(eps * norm(P(i + 1)), delta)}),
    All({"position": AtMost(norm(T(i + 1)), t + delta),
         "increment": AtMost(eps * norm(P(i + 2)), delta + eps**2 * rate(i + 1) * (t + delta))}),
)  # fmt: skip
EULER_STEP = Equal(T(i + 1), T(i) + eps * G(i) * T(i))
NORM_EULER = AtMost(norm(T(i + 1)), norm(T(i)) + eps * norm(G(i)) * norm(T(i)))
EULER_BOUND = Implies(AtMost(norm(T(i)), t), AtMost(norm(T(i + 1)), (1 + eps * rate(i)) * t))
ANY_KICK = Equal(p(i + 1), p(i) + b_s * eps * force(i))
ANY_TANGENT = Equal(P(i + 1), P(i) + b_s * eps * D(i) * W * T(i))
ANY_PRODUCT = Equal(P(i + 1), P(i) + b_s * eps * G(i) * T(i))
NORM_ANY = AtMost(norm(P(i + 1)), norm(P(i)) + sp.Abs(b_s) * eps * norm(G(i)) * norm(T(i)))
SPLITTING = Implies(
    All({"position": AtMost(norm(T(i)), s), "momentum": AtMost(norm(P(i)), u)}),
    AtMost(norm(P(i + 1)), u + sp.Abs(b_s) * eps * rate(i) * s),
)
NEVER_LEAPFROG = Implies(
    All({"t": AtMost(t, t_far), "δ": AtMost(delta, delta_far)}),
    All({"position": AtMost(t + delta, t_far + delta_far),
         "increment": AtMost(delta + eps**2 * rate(i + 1) * (t + delta),
                             delta_far + eps**2 * L * w * (t_far + delta_far))}),
)  # fmt: skip
NEVER_EULER = Implies(AtMost(t, t_far), AtMost((1 + eps * rate(i)) * t, (1 + eps * L * w) * t_far))
NEVER_SPLITTING = Implies(
    All({"s": AtMost(s, s_far), "u": AtMost(u, u_far)}),
    All({"drift": AtMost(s + sp.Abs(a_s) * eps * u, s_far + sp.Abs(a_s) * eps * u_far),
         "kick": AtMost(u + sp.Abs(b_s) * eps * rate(i) * s, u_far + sp.Abs(b_s) * eps * L * w * s_far)}),
)  # fmt: skip


@claim
def saturation(saturated_slope: sp.Expr = sp.Integer(0)) -> Formula:
    """Where every unit is saturated (λ_i = 0) the increment is constant: the gradient grows linearly in i."""
    linear = t + i * delta
    increment = delta + eps**2 * saturated_slope * linear
    return identity(linear.subs(i, i + 1) - linear, increment)


KICK_SIZE = sp.Abs(b_s) * eps
GAIN = eps**2 * norm(T(i + 1))
AHEAD = eps**2 * rate(i + 1)
SATURATION = Step("saturation", "with λ_i = 0 from some step on, the bound is linear in i, as in Figure 1",
                  saturation, role=Role.REMARK)  # fmt: skip
PARTS = (
    SLOPES_MET, LEAPFROG, EULER_BOUND, SPLITTING, NEVER_LEAPFROG, NEVER_EULER, NEVER_SPLITTING,
    SATURATION.claim,
)  # fmt: skip
STATEMENT = All.of(*PARTS).called(
    "theorems B, D and E hold with L‖W‖ replaced, kick by kick, by any λ_i ≥ ‖G_i‖, G_i = D_i W, at the "
    "state met "
    "there: by ‖G_i‖ itself, or by L_i‖W‖, L_i = max |σ'(u)|; the bounds so obtained never exceed those "
    "with L"
)
STEPS = (
    Step("drift", DRIFT, rule="program", numbers={"scheme": "leapfrog", "index": i}),
    Step("kick", KICK, rule="program", numbers={"scheme": "leapfrog", "index": i}),
    Step("euler_program", EULER, rule="program", numbers={"scheme": "euler", "index": i}),
    Step("any_kick", ANY_KICK, rule="program", numbers={"weights": (a_s, b_s), "index": i}),
    Step("tangent_drift", TANGENT_DRIFT, rule="differentiated", premises=(DRIFT, SMOOTH)),
    Step("tangent_kick", TANGENT_KICK, rule="differentiated", premises=(KICK, SMOOTH)),
    Step("tangent_euler", TANGENT_EULER, rule="differentiated", premises=(EULER, SMOOTH)),
    Step("tangent_any", ANY_TANGENT, rule="differentiated", premises=(ANY_KICK, SMOOTH)),
    Step("product_next", PRODUCT_NEXT, rule="instance", premises=(PRODUCT,), numbers={"values": {i: i + 1}}),
    Step("kicked", KICKED, rule="substituted", premises=(TANGENT_KICK, PRODUCT_NEXT)),
    Step("euler_step", EULER_STEP, rule="substituted", premises=(TANGENT_EULER, PRODUCT)),
    Step("any_product", ANY_PRODUCT, rule="substituted", premises=(ANY_TANGENT, PRODUCT)),
    Step("definition", DEFINITION, rule="linear", premises=(PRODUCT,), numbers={"multipliers": (-1,)}),
    Step("split", SPLIT, rule="norm", premises=(DEFINITION,)),
    Step("slopes_met", SLOPES_MET, rule="linear", premises=(SPLIT, MET), numbers={"multipliers": (1, w)}),
    Step("norm_drift", NORM_DRIFT, rule="norm", premises=(TANGENT_DRIFT,)),
    Step("norm_kick", NORM_KICK, rule="norm", premises=(KICKED,)),
    Step("norm_euler", NORM_EULER, rule="norm", premises=(EULER_STEP,)),
    Step("norm_any", NORM_ANY, rule="norm", premises=(ANY_PRODUCT,)),
    Step("rate_next", RATE_NEXT, rule="instance", premises=(RATE,), numbers={"values": {i: i + 1}}),
    Step("below_next", BELOW_NEXT, rule="instance", premises=(BELOW,), numbers={"values": {i: i + 1}}),
    Step("leapfrog", LEAPFROG, rule="linear", premises=(NORM_DRIFT, NORM_KICK, RATE_NEXT),
         numbers={"position": {"use": (0, 3, 4), "multipliers": (1, 1, 1)},
                  "increment": {"use": (1, 2, 0, 3, 4),
                                "multipliers": (eps, GAIN, AHEAD, AHEAD, 1 + AHEAD)}}),
    Step("euler", EULER_BOUND, rule="linear", premises=(NORM_EULER, RATE),
         numbers={"multipliers": (1, eps * norm(T(i)), 1 + eps * rate(i))}),
    Step("splitting", SPLITTING, rule="linear", premises=(NORM_ANY, RATE),
         numbers={"multipliers": (1, KICK_SIZE * norm(T(i)), KICK_SIZE * rate(i), 1)}),
    Step("never_worse_leapfrog", NEVER_LEAPFROG, rule="linear", premises=(BELOW_NEXT,),
         numbers={"position": {"use": (1, 2), "multipliers": (1, 1)},
                  "increment": {"use": (0, 1, 2),
                                "multipliers": (eps**2 * (t + delta), eps**2 * L * w, 1 + eps**2 * L * w)}}),
    Step("never_worse_euler", NEVER_EULER, rule="linear", premises=(BELOW,),
         numbers={"multipliers": (eps * t, 1 + eps * L * w)}),
    Step("never_worse_splitting", NEVER_SPLITTING, rule="linear", premises=(BELOW,),
         numbers={"drift": {"use": (1, 2), "multipliers": (1, sp.Abs(a_s) * eps)},
                  "kick": {"use": (0, 1, 2), "multipliers": (KICK_SIZE * s, KICK_SIZE * L * w, 1)}}),
    SATURATION,
    Step("conclusion", STATEMENT, rule="conjunction", premises=PARTS, axioms=("induction",)),
)  # fmt: skip

PROPOSITION = Proposition(
    name="theorem_f",
    title="Theorem F: bounds from the slopes actually met",
    statement=STATEMENT,
    hypotheses={"smooth": SMOOTH, "product": PRODUCT, "met": MET, "rate": RATE, "below": BELOW},
    source="ours",
    rests_on=("theorem_b", "theorem_d", "theorem_e"),
    steps=STEPS,
    mutants=(
        Mutant("unsaturated", "linear growth with λ_i = 1", {"saturated_slope": sp.Integer(1)}),
        *sharper(STEPS),
    ),
)  # fmt: skip
