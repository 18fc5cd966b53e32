"""A-posteriori sharpening: the slopes σ' met along the computed trajectory may replace the global L in B, D
and E.

With L_i = max over the units of |σ'| at step i, the same recursions with ε²L_i‖W‖ bound the gradient, and
they never exceed the a-priori ones.
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
met, slope = sp.symbols("L_i slope", nonnegative=True)
"""L_i and one |σ'(u_j)| at step i."""


def slopes_met(factor: sp.Expr = ONE) -> Decision:
    """‖D_i W‖ ≤ L_i‖W‖, where L_i is the largest |σ'| at the pre-activations of step i."""
    norm_G, norm_D = sp.symbols("norm_G norm_D", nonnegative=True)
    return follows((norm_G, factor * met * w), [(norm_G, norm_D * w), (norm_D, met)], [ONE, w])


def leapfrog(kick_factor: sp.Expr = ONE) -> Decision:
    """Theorem B's induction step with L_i: δ_i = δ_{i−1} + ε²L_i‖W‖ t_i, t_{i+1} = t_i + δ_i."""
    gain = eps**2 * met * w
    delta_new = delta + kick_factor * gain * t
    premises = [(T_new, T + D_new), (D_new, D + gain * T), (D, delta), (T, t)]
    return follows((T_new, t + delta_new), premises, [ONE, ONE, ONE, 1 + gain])


def euler(rate: sp.Expr = 1 + eps * met * w) -> Decision:
    """Theorem D's induction step with L_i: the bound is the product of 1 + εL_i‖W‖."""
    return follows((T_new, rate * t), [(T_new, (1 + eps * met * w) * T), (T, t)], [ONE, 1 + eps * met * w])


def splitting(gain: sp.Expr = size * met * w) -> Decision:
    """Theorem E's kick with L_i: u ← u + |b|εL_i‖W‖ s."""
    premises = [(P_new, P + size * eps * met * w * T), (T, s), (P, u)]
    return follows((P_new, u + gain * eps * s), premises, [ONE, size * eps * met * w, ONE])


def never_worse(order: int = 1) -> Decision:
    """L_i ≤ L and t_i ≤ t'_i, δ ≤ δ' imply that the sharpened majorant stays below the a-priori one."""
    t_far, delta_far = sp.symbols("t_far delta_far", nonnegative=True)
    sharp = delta + eps**2 * met * w * t
    far = delta_far + eps**2 * L * w * t_far
    small, large = (sharp, far)[::order]
    return follows(
        (small, large),
        [(delta, delta_far), (met, L), (t, t_far)],
        [ONE, eps**2 * w * t, eps**2 * L * w],
    )


def saturation(saturated_slope: sp.Expr = sp.Integer(0)) -> Decision:
    """Where every unit is saturated (L_i = 0) the increment is constant: the gradient then grows linearly in
    i.
    """
    i = sp.Symbol("i", integer=True, nonnegative=True)
    linear = t + i * delta
    increment = delta + eps**2 * saturated_slope * w * linear
    return all_of({"linear": identity(linear.subs(i, i + 1) - linear, increment)})


PROPOSITION = Proposition(
    name="theorem_f",
    title="Theorem F: bounds from the slopes actually met",
    statement="Theorems B, D and E hold with L replaced, step by step, by L_i = max_j |σ'(u_j)| at the "
    "pre-activations of step i, and the bounds so obtained never exceed those with L.",
    hypotheses={"slopes": "L_i = max_j |σ'((Wy_i + Vx_{i+1} + b)_j)|"},
    source="ours",
    rests_on=("theorem_b", "theorem_d", "theorem_e"),
    steps=(
        Step("slopes_met", "‖D_i W‖ ≤ L_i‖W‖", slopes_met, (), ("submultiplicative", "diagonal_norm")),
        Step("leapfrog", "B: δ_i = δ_{i−1} + ε²L_i‖W‖ t_i, t_{i+1} = t_i + δ_i majorises", leapfrog,
             ("slopes_met",), ("triangle", "submultiplicative", "induction")),
        Step("euler", "D: the product of 1 + εL_i‖W‖ majorises", euler, ("slopes_met",),
             ("triangle", "induction")),
        Step("splitting", "E: kicks with L_i majorise", splitting, ("slopes_met",),
             ("triangle", "induction")),
        Step("never_worse", "the sharpened majorant stays below the a-priori one", never_worse, (),
             ("induction",)),
        Step("saturation", "with L_i = 0 from some step on, the bound is linear in i, as in Figure 1",
             saturation, ("leapfrog",), ("induction",), Role.REMARK),
    ),
    mutants=(
        Mutant("half_slope", "‖D_i W‖ ≤ L_i‖W‖/2", {"factor": sp.Rational(1, 2)}),
        Mutant("half_kick", "increment ε²L_i‖W‖ t_i/2", {"kick_factor": sp.Rational(1, 2)}),
        Mutant("constant_product", "D with factor 1", {"rate": ONE}),
        Mutant("no_weight", "E with L_i instead of L_i‖W‖", {"gain": size * met}),
        Mutant("reversed_order", "the a-priori majorant said to be the smaller one", {"order": -1}),
        Mutant("unsaturated", "linear growth with L_i = 1", {"saturated_slope": ONE}),
    ),
)  # fmt: skip
