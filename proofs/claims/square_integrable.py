"""Claim of the paper: Lemma 3.1 takes σ ∈ L²(ℝ), as a hypothesis its activation is meant to satisfy. tanh
does not.

∫ of tanh² over (−R, R) is 2R − 2 tanh R, which grows without bound; so does the integral of every activation
that has a non-zero limit.
"""

from __future__ import annotations

import sympy as sp

from integrators.fields.activations import ACTIVATIONS
from proofs.decide import all_of, identity, limit_is, proved
from proofs.proposition import Decision, Mutant, Proposition, Role, Step, Verdict

R, z = sp.Symbol("R", positive=True), sp.Symbol("z", real=True)


def tanh_mass(power: int = 2) -> Decision:
    """d/dR (2R − 2 tanh R) = tanh²(R) + tanh²(−R), value 0 at R = 0, limit ∞."""
    square = ACTIVATIONS["tanh"].symbolic(z) ** power
    mass = 2 * R - 2 * sp.tanh(R)
    found = all_of(
        {
            "derivative": identity(sp.diff(mass, R), square.subs(z, R) + square.subs(z, -R)),
            "at 0": identity(mass.subs(R, 0), 0),
            "limit": limit_is(mass, R, sp.oo, sp.oo),
        }
    )
    example = {"σ": "tanh", "∫_{−R}^{R} σ²": mass, "limit as R → ∞": sp.oo}
    return proved(found.computed, found.note, example) if found.proved else found


def any_saturating(level: sp.Expr = sp.Rational(1, 2)) -> Decision:
    """|σ| ≥ level > 0 beyond some z_0 gives ∫_0^R σ² ≥ level²(R − z_0) → ∞."""
    z0 = sp.Symbol("z0", nonnegative=True)
    return limit_is(level**2 * (R - z0), R, sp.oo, sp.oo)


PROPOSITION = Proposition(
    name="claim_square_integrable",
    title="Claim: the activation is square integrable on ℝ",
    statement="The activation of the network (tanh) satisfies the hypothesis σ ∈ L²(ℝ) of Lemma 3.1.",
    hypotheses={"activation": "σ = tanh: bounded by 1, increasing, smooth"},
    source="Lemma 3.1, hypothesis",
    expected=Verdict.REFUTED,
    rests_on=("lemma_3_1",),
    steps=(
        Step("tanh_mass", "∫ of tanh² over (−R, R) is 2R − 2 tanh R and diverges", tanh_mass,
             axioms=("fundamental_theorem",), role=Role.COUNTEREXAMPLE),
        Step("any_saturating", "so does ∫σ² for every σ with |σ| ≥ ½ from some point on", any_saturating,
             axioms=("integral_monotone",), role=Role.REMARK),
    ),
    mutants=(
        Mutant("first_power", "∫ tanh instead of ∫ tanh²", {"power": 1}),
        Mutant("vanishing_activation", "an activation that tends to 0", {"level": sp.Integer(0)}),
    ),
)  # fmt: skip
