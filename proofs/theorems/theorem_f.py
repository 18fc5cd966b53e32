"""A-posteriori sharpening: the slopes σ' met along the computed trajectory may replace the global L in B, D
and E.

With λ_i ≥ ‖D_i W‖ at step i, for example ‖D_i W‖ itself or L_i‖W‖, L_i the largest |σ'| met there, the same
recursions with λ_i in place of L‖W‖ bound the gradient; they never exceed the a-priori ones.
"""

from __future__ import annotations

import sympy as sp

from proofs.blocks import eps
from proofs.decide import all_of, follows, identity
from proofs.majorant import L, w
from proofs.proposition import Decision, Mutant, Proposition, Role, Step

ONE = sp.Integer(1)
T, D, T_new, D_new, P, P_new = sp.symbols("T D T_new D_new P P_new", nonnegative=True)
t, delta, s, u, size = sp.symbols("t delta s u size", nonnegative=True)
met, rate = sp.symbols("L_i lambda_i", nonnegative=True)
"""The largest |σ'| at step i, and λ_i ≥ ‖D_i W‖."""


def slopes_met(factor: sp.Expr = ONE) -> Decision:
    """‖D_i W‖ ≤ L_i‖W‖, where L_i is the largest |σ'| at the pre-activations of step i."""
    norm_G, norm_D = sp.symbols("norm_G norm_D", nonnegative=True)
    return follows((norm_G, factor * met * w), [(norm_G, norm_D * w), (norm_D, met)], [ONE, w])


def leapfrog(kick_factor: sp.Expr = ONE) -> Decision:
    """Theorem B's induction step with λ_i: δ_i = δ_{i−1} + ε²λ_i t_i, t_{i+1} = t_i + δ_i."""
    gain = eps**2 * rate
    delta_new = delta + kick_factor * gain * t
    premises = [(T_new, T + D_new), (D_new, D + gain * T), (D, delta), (T, t)]
    return follows((T_new, t + delta_new), premises, [ONE, ONE, ONE, 1 + gain])


def euler(factor_met: sp.Expr = 1 + eps * rate) -> Decision:
    """Theorem D's induction step with λ_i: the bound is the product of 1 + ελ_i."""
    return follows((T_new, factor_met * t), [(T_new, (1 + eps * rate) * T), (T, t)], [ONE, 1 + eps * rate])


def splitting(gain: sp.Expr = size * rate) -> Decision:
    """Theorem E's kick with λ_i: u ← u + |b|ελ_i s."""
    premises = [(P_new, P + size * eps * rate * T), (T, s), (P, u)]
    return follows((P_new, u + gain * eps * s), premises, [ONE, size * eps * rate, ONE])


def never_worse(order: int = 1) -> Decision:
    """λ_i ≤ L‖W‖ and t_i ≤ t'_i, δ ≤ δ' imply that the sharpened majorant stays below the a-priori one."""
    t_far, delta_far = sp.symbols("t_far delta_far", nonnegative=True)
    sharp = delta + eps**2 * rate * t
    far = delta_far + eps**2 * L * w * t_far
    small, large = (sharp, far)[::order]
    return follows(
        (small, large),
        [(delta, delta_far), (rate, L * w), (t, t_far)],
        [ONE, eps**2 * t, eps**2 * L * w],
    )


def saturation(saturated_slope: sp.Expr = sp.Integer(0)) -> Decision:
    """Where every unit is saturated (λ_i = 0) the increment is constant: the gradient then grows linearly in
    i.
    """
    i = sp.Symbol("i", integer=True, nonnegative=True)
    linear = t + i * delta
    increment = delta + eps**2 * saturated_slope * linear
    return all_of({"linear": identity(linear.subs(i, i + 1) - linear, increment)})


PROPOSITION = Proposition(
    name="theorem_f",
    title="Theorem F: bounds from the slopes actually met",
    statement="Theorems B, D and E hold with L‖W‖ replaced, kick by kick, by any λ_i ≥ ‖D_i W‖ at the state "
    "met there: by ‖D_i W‖ itself, or by L_i‖W‖, L_i = max_j |σ'(u_j)|; the bounds so obtained never exceed "
    "those with L.",
    hypotheses={"slopes": "D_i = diag σ'(Wy_i + Vx_{i+1} + b), ‖D_i W‖ ≤ λ_i ≤ L‖W‖"},
    source="ours",
    rests_on=("theorem_b", "theorem_d", "theorem_e"),
    steps=(
        Step("slopes_met", "‖D_i W‖ ≤ L_i‖W‖, so λ_i = L_i‖W‖ may be taken", slopes_met, (),
             ("submultiplicative", "diagonal_norm")),
        Step("leapfrog", "B: δ_i = δ_{i−1} + ε²λ_i t_i, t_{i+1} = t_i + δ_i majorises", leapfrog,
             (), ("triangle", "submultiplicative", "induction")),
        Step("euler", "D: the product of 1 + ελ_i majorises", euler, (),
             ("triangle", "induction")),
        Step("splitting", "E: kicks with λ_i majorise", splitting, (),
             ("triangle", "induction")),
        Step("never_worse", "the sharpened majorant stays below the a-priori one", never_worse, (),
             ("induction",)),
        Step("saturation", "with λ_i = 0 from some step on, the bound is linear in i, as in Figure 1",
             saturation, ("leapfrog",), ("induction",), Role.REMARK),
    ),
    mutants=(
        Mutant("half_slope", "‖D_i W‖ ≤ L_i‖W‖/2", {"factor": sp.Rational(1, 2)}),
        Mutant("half_kick", "increment ε²λ_i t_i/2", {"kick_factor": sp.Rational(1, 2)}),
        Mutant("constant_product", "D with factor 1", {"factor_met": ONE}),
        Mutant("no_slope", "E with |b| in place of |b|λ_i", {"gain": size}),
        Mutant("reversed_order", "the a-priori majorant said to be the smaller one", {"order": -1}),
        Mutant("unsaturated", "linear growth with λ_i = 1", {"saturated_slope": ONE}),
    ),
)  # fmt: skip
