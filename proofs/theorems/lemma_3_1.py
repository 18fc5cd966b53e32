"""Velocity stays in a cone: if |σ| ≤ 1 and ÿ = σ(Wy + b) then ẏ(0) − t ≤ ẏ(t) ≤ ẏ(0) + t, in every component.

Both sides are attained, by σ ≡ −1 and σ ≡ 1. Only |σ| ≤ 1 and continuity are used; that σ be square
integrable on the whole line is not used, and tanh is not.
"""

from __future__ import annotations

import sympy as sp

from integrators.fields.activations import ACTIVATIONS
from proofs.kernel.formulas import (
    All,
    AtMost,
    Formula,
    Known,
    all_of,
    at_least_zero,
    claim,
    identities,
    identity,
    limit_is,
)
from proofs.kernel.mutants import sharper
from proofs.proposition import Mutant, Proposition, Role, Step

t, r = sp.symbols("t r", nonnegative=True)
v0, z = sp.symbols("v0 z", real=True)
force = sp.Function("s", real=True)
VELOCITY = v0 + sp.Integral(force(r), (r, 0, t))

BOUNDED = All({"below": AtMost(-1, force(r)), "above": AtMost(force(r), 1)})
CONTINUOUS = Known("σ is continuous (measurable is enough), so that s(t) = σ(Wy(t) + b) can be integrated")


@claim
def integral_form(rate: int = 1) -> Formula:
    """ẏ = ẏ(0) + ∫ s solves ẏ' = s and starts at ẏ(0)."""
    velocity = v0 + rate * sp.Integral(force(r), (r, 0, t))
    return identities(
        {"derivative": (sp.diff(velocity, t), force(t)), "initial value": (velocity.subs(t, 0).doit(), v0)}
    )


@claim
def attained_above(above: sp.Expr = sp.Integer(1)) -> Formula:
    """With σ ≡ 1 the velocity is the upper bound."""
    return identity((v0 + sp.Integral(above, (r, 0, t))).doit(), v0 + t)


@claim
def attained_below(below: sp.Expr = sp.Integer(-1)) -> Formula:
    """With σ ≡ −1 the velocity is the lower bound."""
    return identity((v0 + sp.Integral(below, (r, 0, t))).doit(), v0 - t)


@claim
def hypothesis_met(activation: str = "tanh") -> Formula:
    """1 − σ² is positive: with e = exp(z) > 0 it is a quotient of sums of positive terms."""
    sigma = ACTIVATIONS[activation].symbolic(z)
    return at_least_zero(1 - sigma.rewrite(sp.exp) ** 2)


@claim
def not_square_integrable(power: int = 2) -> Formula:
    """∫ from −R to R of tanh² is 2R − 2 tanh R, which has no finite limit."""
    R = sp.Symbol("R", positive=True)
    tanh = ACTIVATIONS["tanh"].symbolic
    integrand = tanh(z) ** 2 if power == 2 else 1 - tanh(z) ** 2
    mass = 2 * R - 2 * tanh(R)
    return all_of(
        {
            "both halves": identity(integrand.subs(z, R) + integrand.subs(z, -R), sp.diff(mass, R)),
            "empty interval": identity(mass.subs(R, 0), 0),
            "diverges": limit_is(mass, R, sp.oo, sp.oo),
        }
    )


INTEGRAL_FORM = Step("integral_form", "ẏ(t) = ẏ(0) + ∫_0^t s solves ẏ' = s", integral_form,
                     axioms=("fundamental_theorem", "picard_unique"), premises=(CONTINUOUS,))  # fmt: skip
BELOW, ABOVE = BOUNDED.parts()
LOW_AREA, HIGH_AREA = (
    AtMost(-t, sp.Integral(force(r), (r, 0, t))),
    AtMost(sp.Integral(force(r), (r, 0, t)), t),
)
LOWER, UPPER = AtMost(v0 - t, VELOCITY), AtMost(VELOCITY, v0 + t)
COMPUTED = (
    Step("attained_above", "σ ≡ 1 attains the upper bound", attained_above),
    Step("attained_below", "σ ≡ −1 attains the lower bound", attained_below),
    Step("hypothesis_met", "tanh satisfies |σ| ≤ 1", hypothesis_met),
    Step("not_square_integrable",
         "∫ of tanh² over (−R, R) is 2R − 2 tanh R and diverges: tanh is not in L²(ℝ)", not_square_integrable,
         axioms=("fundamental_theorem",), role=Role.REMARK),
)  # fmt: skip
PARTS = (INTEGRAL_FORM.claim, LOWER, UPPER, *(step.claim for step in COMPUTED))
STATEMENT = All.of(*PARTS).called(
    "if ÿ = s(t) with |s(t)| ≤ 1, then ẏ(0) − t ≤ ẏ(t) ≤ ẏ(0) + t for t ≥ 0; both sides are attained; "
    "v0 is ẏ(0)"
)
UNDER_INTEGRAL = {"variable": r, "end": t}
STEPS = (
    INTEGRAL_FORM,
    Step("bounded_below", BELOW, rule="part", premises=(BOUNDED,)),
    Step("bounded_above", ABOVE, rule="part", premises=(BOUNDED,)),
    Step("integral_below", LOW_AREA, rule="integrated", premises=(BELOW,), numbers=UNDER_INTEGRAL),
    Step("integral_above", HIGH_AREA, rule="integrated", premises=(ABOVE,), numbers=UNDER_INTEGRAL),
    Step("lower", LOWER, rule="linear", premises=(LOW_AREA,)),
    Step("upper", UPPER, rule="linear", premises=(HIGH_AREA,)),
    *COMPUTED,
    Step("conclusion", STATEMENT, rule="conjunction", premises=PARTS),
)

PROPOSITION = Proposition(
    name="lemma_3_1",
    title="Velocity bound",
    statement=STATEMENT,
    hypotheses={"bounded": BOUNDED, "continuous": CONTINUOUS},
    source="Lemma 3.1",
    steps=STEPS,
    mutants=(
        Mutant("flipped_force", "ẏ = ẏ(0) − ∫ s", {"rate": -1}),
        Mutant("weak_force_above", "σ ≡ 1/2 said to attain the upper bound", {"above": sp.Rational(1, 2)}),
        Mutant("wrong_sign_below", "σ ≡ 1 said to attain the lower bound", {"below": sp.Integer(1)}),
        Mutant("identity_bounded", "σ = identity said to be bounded by 1", {"activation": "identity"}),
        Mutant("sech_mass", "∫ of 1 − tanh² said to be 2R − 2 tanh R", {"power": 0}),
        *sharper(STEPS),
    ),
)
