"""Claim of the paper: Lemma 3.1 takes σ ∈ L²(ℝ), as a hypothesis its activation is meant to satisfy. tanh
does not.

∫ of tanh² over (−R, R) is 2R − 2 tanh R, which grows without bound; so does the integral of every activation
that has a non-zero limit.
"""

from __future__ import annotations

import sympy as sp

from integrators.fields.activations import ACTIVATIONS
from proofs.kernel.formulas import All, Bounded, Equal, Known, Limit, Not
from proofs.kernel.mutants import sharper
from proofs.proposition import Proposition, Role, Step, Verdict

R, z = sp.Symbol("R", positive=True), sp.Symbol("z", real=True)
level, start = sp.Symbol("level", positive=True), sp.Symbol("z0", nonnegative=True)
MASS = 2 * R - 2 * sp.tanh(R)

SQUARE = sp.Integral(ACTIVATIONS["tanh"].symbolic(z) ** 2, (z, -R, R))

ACTIVATION = Known("σ = tanh, as in the network: bounded by 1, increasing, smooth")
TANH_MASS = Equal(SQUARE, MASS).called("∫ of tanh² over (−R, R) is 2R − 2 tanh R")
GROWS = Limit(MASS, R, sp.oo, sp.oo).given(ACTIVATION)
STATEMENT = Bounded(SQUARE, R).called(
    "the activation of the network satisfies the hypothesis σ ∈ L²(ℝ) of Lemma 3.1"
)
FAILS = Not(STATEMENT, example={"σ": "tanh", "∫_{−R}^{R} σ²": MASS, "limit as R → ∞": sp.oo})
SATURATING = Limit(level**2 * (R - start), R, sp.oo, sp.oo).called(
    "so does ∫σ² for every σ with |σ| ≥ level > 0 from z0 on, where ∫_0^R σ² ≥ level² (R − z0)"
)

STEPS = (
    Step("tanh_mass", TANH_MASS, rule="antiderivative", numbers={"variable": R}),
    Step("diverges", GROWS, premises=(ACTIVATION,)),
    Step("not_bounded", FAILS, rule="unbounded", premises=(TANH_MASS, GROWS)),
    Step("any_saturating", SATURATING, axioms=("integral_monotone",), role=Role.REMARK),
    Step("conclusion", All.of(FAILS, SATURATING), rule="conjunction", premises=(FAILS, SATURATING),
         role=Role.COUNTEREXAMPLE),
)  # fmt: skip

PROPOSITION = Proposition(
    name="claim_square_integrable",
    title="Claim: the activation is square integrable on ℝ",
    statement=STATEMENT,
    hypotheses={"activation": ACTIVATION},
    source="Lemma 3.1, hypothesis",
    expected=Verdict.REFUTED,
    rests_on=("lemma_3_1",),
    steps=STEPS,
    mutants=sharper(STEPS),
)
