"""Claim of the paper: the gradient estimate does not depend on W, b, hence holds throughout training.

Under ẏ(0) > T the bound of Theorem 3.2 can indeed be made free of W. The network starts from ẏ(0) = 0, and
there the gradient is C_N(1 + ε²W/2): unbounded in W. Multiplying W by four does exactly what doubling ε does.
"""

from __future__ import annotations

import sympy as sp

from proofs.blocks import eps
from proofs.decide import all_of, at_least_zero, fact, follows, identities, limit_is, proved
from proofs.majorant import majorant
from proofs.proposition import Decision, Mutant, Proposition, Role, Step, Verdict
from proofs.theorems.theorem_g import quadruple

W = sp.Symbol("W", positive=True)
kappa, sigma0 = sp.Symbol("kappa", positive=True), sp.Symbol("sigma0", nonnegative=True)
more = sp.Symbol("more", positive=True)
"""κ − 1."""


def under_hypothesis(start: sp.Expr = sp.Integer(1)) -> Decision:
    """(κ + 1)(κ − 1 + κ|σ_0|)/(κ(κ − 1)) ≤ (κ + 1)(2κ − 1)/(κ(κ − 1)), from |σ_0| ≤ 1; κ = 1 + more."""
    k = 1 + more
    value = (k + 1) * (k - 1 + k * sigma0) / (k * (k - 1))
    return follows((value, (k + 1) * (k - 1 + start * k) / (k * (k - 1))), [(sigma0, 1)], [(k + 1) / (k - 1)])


def depends_on_weight(steps: int = 5) -> Decision:
    """∂y_N/∂y_0 = C_N(1 + ε²W/2) is a polynomial in W with positive coefficients: it grows with W, to ∞."""
    values = majorant(steps, eps**2 * W)[1:]
    found = all_of(
        {
            **{
                f"depends on W, N = {n}": fact(value.has(W), value, "gradient")
                for n, value in enumerate(values, 1)
            },
            **{f"increases, N = {n}": at_least_zero(sp.diff(value, W)) for n, value in enumerate(values, 1)},
            "unbounded": limit_is(majorant(steps, W)[-1], W, sp.oo, sp.oo),
        }
    )
    if not found.proved:
        return found
    example = {"σ": "tanh", "d": 1, "b": 0, "y_0": 0, "ẏ_0": 0, "∂y_N/∂y_0": "C_N(1 + ε²W/2)",
               "N = 2": majorant(2, eps**2 * W)[2]}  # fmt: skip
    return proved(found.computed, found.note, example)


def training_moves_it(growth_factor: int = 4) -> Decision:
    """ε = 1/10, N = 20: C_N(1 + ε²W/2) at W = 4 is more than twice that at W = 1, in rationals."""
    slope = sp.Rational(1, 100)
    small, large = majorant(20, slope)[-1], majorant(20, growth_factor * slope)[-1]
    return fact(
        bool(large > 2 * small), {"W = 1": sp.N(small, 8), "after": sp.N(large, 8)}, "exact values compared"
    )


def free_motion(weight: sp.Expr = sp.Integer(0)) -> Decision:
    """At W = 0 the gradient is 1 for every N ≤ 4: the constant really moves with W."""
    return identities(
        {f"N = {n}": (value.subs(W, weight), 1) for n, value in enumerate(majorant(4, eps**2 * W))}
    )


PROPOSITION = Proposition(
    name="claim_parameter_free",
    title="Claim: the estimate is independent of the parameters",
    statement="For the network started from rest, the size of ∂y_N/∂y_0 admits a bound that depends on N and "
    "ε but not on W and b, so that it holds throughout training.",
    hypotheses={"network": "σ = tanh, y_0 = ẏ_0 = 0, ε and N fixed"},
    source="remark after Theorem 3.2",
    expected=Verdict.REFUTED,
    rests_on=("claim_linear_growth", "theorem_3_2", "theorem_g"),
    steps=(
        Step("under_hypothesis", "where ẏ(0) = κT, κ > 1, the bound (κ + 1)(2κ − 1)/(κ(κ − 1)) is free of "
             "W and b", under_hypothesis, role=Role.REMARK),
        Step("depends_on_weight", "from rest with b = 0, ∂y_N/∂y_0 = C_N(1 + ε²W/2) increases with W "
             "without bound", depends_on_weight, role=Role.COUNTEREXAMPLE),
        Step("free_motion", "it is 1 at W = 0", free_motion, ("depends_on_weight",), role=Role.REMARK),
        Step("training_moves_it", "ε = 1/10, N = 20: going from W = 1 to W = 4 more than doubles it",
             training_moves_it, ("depends_on_weight",), role=Role.REMARK),
        Step("quadruple", "four times W acts exactly like twice ε (theorem G)", quadruple, role=Role.REMARK),
    ),
    mutants=(
        Mutant("half_sigma", "|σ_0| ≤ 1 used as |σ_0| ≤ ½", {"start": sp.Rational(1, 2)}),
        Mutant("no_steps", "N = 0", {"steps": 0}),
        Mutant("small_weight", "gradient 1 said to hold at W = 1", {"weight": sp.Integer(1)}),
        Mutant("unchanged_weight", "W left at 1", {"growth_factor": 1}),
        Mutant("double", "2W said to act like 2ε", {"factor": 2}),
    ),
)  # fmt: skip
