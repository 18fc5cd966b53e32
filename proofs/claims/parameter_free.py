"""Claim of the paper: the gradient estimate does not depend on W, b, hence holds throughout training.

Under ẏ(0) > T the bound of Theorem 3.2 can indeed be made free of W. The network starts from ẏ(0) = 0, and
there the gradient is C_N(1 + ε²W/2): unbounded in W. Multiplying W by four does exactly what doubling ε does.
"""

from __future__ import annotations

import sympy as sp

from proofs import decide
from proofs.blocks import eps
from proofs.decision import Decision
from proofs.kernel.formulas import (
    AtMost,
    Bounded,
    Formula,
    Known,
    Not,
    all_of,
    at_least_zero,
    claim,
    identities,
    procedure,
)
from proofs.kernel.mutants import sharper
from proofs.majorant import majorant
from proofs.proposition import Mutant, Proposition, Role, Step, Verdict, concluded
from proofs.theorems.theorem_g import quadruple

W = sp.Symbol("W", positive=True)
kappa, sigma0 = sp.Symbol("kappa", positive=True), sp.Symbol("sigma0", nonnegative=True)
more = sp.Symbol("more", positive=True)
"""κ − 1."""


@claim
def increases(steps: int = 5, sign: int = 1) -> Formula:
    """∂y_N/∂y_0 = C_N(1 + ε²W/2) is a polynomial in W with positive coefficients: it grows with W."""
    values = majorant(steps, eps**2 * W)[1:]
    return all_of({f"N = {n}": at_least_zero(sign * sp.diff(value, W)) for n, value in enumerate(values, 1)})


@procedure
def training_moves_it(growth_factor: int = 4) -> Decision:
    """ε = 1/10, N = 20: C_N(1 + ε²W/2) at W = 4 is more than twice that at W = 1, in rationals."""
    slope = sp.Rational(1, 100)
    small, large = majorant(20, slope)[-1], majorant(20, growth_factor * slope)[-1]
    return decide.fact(
        bool(large > 2 * small), {"W = 1": sp.N(small, 8), "after": sp.N(large, 8)}, "exact values compared"
    )


@claim
def free_motion(weight: sp.Expr = sp.Integer(0)) -> Formula:
    """At W = 0 the gradient is 1 for every N ≤ 4: the constant really moves with W."""
    return identities(
        {f"N = {n}": (value.subs(W, weight), 1) for n, value in enumerate(majorant(4, eps**2 * W))}
    )


NETWORK = Known("σ = tanh, d = 1, b = 0, y_0 = ẏ_0 = 0, N = 5, ε fixed")
STATEMENT = Bounded(majorant(5, eps**2 * W)[-1], W).called(
    "∂y_N/∂y_0 of the network started from rest, here C_5(1 + ε²W/2), has a bound that depends on N and "
    "ε but not "
    "on W and b, so that it holds throughout training"
)
FAILS = Not(STATEMENT, needs=(NETWORK,), example={
    "σ": "tanh", "d": 1, "b": 0, "y_0": 0, "ẏ_0": 0, "∂y_N/∂y_0": "C_N(1 + ε²W/2)",
    "N = 2": majorant(2, eps**2 * W)[2],
})  # fmt: skip
SIGMA = AtMost(sigma0, 1)
UNDER = AtMost(
    (2 + more) * (more + (1 + more) * sigma0) / ((1 + more) * more),
    (2 + more) * (1 + 2 * more) / ((1 + more) * more),
).called("where ẏ(0) = κT, κ = 1 + more > 1, the bound of Theorem 3.2 is at most one free of W and b")
STEPS = (
    Step("under_hypothesis", UNDER, rule="linear", premises=(SIGMA,), role=Role.REMARK,
         numbers={"multipliers": ((2 + more) / more,)}),
    Step("increases", "from rest with b = 0, ∂y_N/∂y_0 = C_N(1 + ε²W/2) increases with W", increases),
    Step("not_bounded", FAILS, premises=(NETWORK,)),
    Step("free_motion", "it is 1 at W = 0", free_motion, role=Role.REMARK),
    Step("training_moves_it", "ε = 1/10, N = 20: going from W = 1 to W = 4 more than doubles it",
         training_moves_it, role=Role.REMARK),
    Step("quadruple", "four times W acts exactly like twice ε (theorem G)", quadruple, role=Role.REMARK),
)  # fmt: skip
CONCLUSION = concluded(STEPS, role=Role.COUNTEREXAMPLE)

PROPOSITION = Proposition(
    name="claim_parameter_free",
    title="Claim: the estimate is independent of the parameters",
    statement=STATEMENT,
    hypotheses={"network": NETWORK, "bounded": SIGMA},
    source="remark after Theorem 3.2",
    expected=Verdict.REFUTED,
    rests_on=("claim_linear_growth", "theorem_3_2", "theorem_g"),
    steps=(*STEPS, CONCLUSION),
    mutants=(
        Mutant("decreasing", "the gradient said to decrease with W", {"sign": -1}),
        Mutant("small_weight", "gradient 1 said to hold at W = 1", {"weight": sp.Integer(1)}),
        Mutant("unchanged_weight", "W left at 1", {"growth_factor": 1}),
        Mutant("double", "2W said to act like 2ε", {"factor": 2}),
        *sharper((*STEPS, CONCLUSION)),
    ),
)
