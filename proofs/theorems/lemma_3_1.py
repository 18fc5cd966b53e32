"""Velocity stays in a cone: if |σ| ≤ 1 and ÿ = σ(Wy + b) then ẏ(0) − t ≤ ẏ(t) ≤ ẏ(0) + t, in every component.

Both sides are attained, by σ ≡ −1 and σ ≡ 1. Only |σ| ≤ 1 and continuity are used; that σ be square
integrable on the whole line is not used, and tanh is not.
"""

from __future__ import annotations

import sympy as sp

from integrators.fields.activations import ACTIVATIONS
from proofs.decide import all_of, at_least_zero, follows, identities, identity, limit_is
from proofs.proposition import Decision, Mutant, Proposition, Role, Step

t, r = sp.symbols("t r", nonnegative=True)
v0, z = sp.symbols("v0 z", real=True)
force = sp.Function("s", real=True)


def integral_form(rate: int = 1) -> Decision:
    """ẏ = ẏ(0) + ∫ s solves ẏ' = s and starts at ẏ(0)."""
    velocity = v0 + rate * sp.Integral(force(r), (r, 0, t))
    return identities(
        {"derivative": (sp.diff(velocity, t), force(t)), "initial value": (velocity.subs(t, 0).doit(), v0)}
    )


def upper(upper_slope: sp.Expr = sp.Integer(1)) -> Decision:
    """(ẏ(0) + t) − ẏ(t) starts at 0 and has the derivative 1 − s ≥ 0."""
    s = sp.Symbol("s", real=True)
    return follows((s, upper_slope), premises=[(s, 1)], multipliers=[1])


def lower(lower_slope: sp.Expr = sp.Integer(-1)) -> Decision:
    """ẏ(t) − (ẏ(0) − t) starts at 0 and has the derivative s + 1 ≥ 0."""
    s = sp.Symbol("s", real=True)
    return follows((lower_slope, s), premises=[(-1, s)], multipliers=[1])


def starts_equal(offset: int = 0) -> Decision:
    """At t = 0 both margins vanish, so that their signs are those of their derivatives."""
    margins = {"upper": v0 + t + offset - v0, "lower": v0 - (v0 - t) + offset}
    return identities({name: (margin.subs(t, 0), 0) for name, margin in margins.items()})


def attained_above(above: sp.Expr = sp.Integer(1)) -> Decision:
    """With σ ≡ 1 the velocity is the upper bound."""
    return identity((v0 + sp.Integral(above, (r, 0, t))).doit(), v0 + t)


def attained_below(below: sp.Expr = sp.Integer(-1)) -> Decision:
    """With σ ≡ −1 the velocity is the lower bound."""
    return identity((v0 + sp.Integral(below, (r, 0, t))).doit(), v0 - t)


def hypothesis_met(activation: str = "tanh") -> Decision:
    """1 − σ² is positive: with e = exp(z) > 0 it is a quotient of sums of positive terms."""
    sigma = ACTIVATIONS[activation].symbolic(z)
    return at_least_zero(1 - sigma.rewrite(sp.exp) ** 2)


def not_square_integrable(power: int = 2) -> Decision:
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


PROPOSITION = Proposition(
    name="lemma_3_1",
    title="Velocity bound",
    statement="If ÿ = s(t) with |s(t)| ≤ 1, then ẏ(0) − t ≤ ẏ(t) ≤ ẏ(0) + t for t ≥ 0; both sides are "
    "attained.",
    hypotheses={"bounded": "|σ| ≤ 1", "continuous": "σ continuous (measurable is enough)"},
    source="Lemma 3.1",
    steps=(
        Step(
            "integral_form",
            "ẏ(t) = ẏ(0) + ∫_0^t s",
            integral_form,
            axioms=("fundamental_theorem", "picard_unique"),
        ),
        Step("starts_equal", "at t = 0 both margins are zero", starts_equal),
        Step(
            "upper",
            "s ≤ 1 implies ẏ(t) ≤ ẏ(0) + t",
            upper,
            ("integral_form", "starts_equal"),
            axioms=("integral_monotone",),
        ),
        Step(
            "lower",
            "s ≥ −1 implies ẏ(t) ≥ ẏ(0) − t",
            lower,
            ("integral_form", "starts_equal"),
            axioms=("integral_monotone",),
        ),
        Step("attained_above", "σ ≡ 1 attains the upper bound", attained_above, ("integral_form",)),
        Step("attained_below", "σ ≡ −1 attains the lower bound", attained_below, ("integral_form",)),
        Step("hypothesis_met", "tanh satisfies |σ| ≤ 1", hypothesis_met),
        Step(
            "not_square_integrable",
            "∫ of tanh² over (−R, R) is 2R − 2 tanh R and diverges: tanh is not in L²(ℝ)",
            not_square_integrable,
            axioms=("fundamental_theorem",),
            role=Role.REMARK,
        ),
    ),
    mutants=(
        Mutant("flipped_force", "ẏ = ẏ(0) − ∫ s", {"rate": -1}),
        Mutant("shifted_start", "the margins do not start at zero", {"offset": 1}),
        Mutant("half_slope_above", "upper bound ẏ(0) + t/2", {"upper_slope": sp.Rational(1, 2)}),
        Mutant("half_slope_below", "lower bound ẏ(0) − t/2", {"lower_slope": -sp.Rational(1, 2)}),
        Mutant("weak_force_above", "σ ≡ 1/2 said to attain the upper bound", {"above": sp.Rational(1, 2)}),
        Mutant("wrong_sign_below", "σ ≡ 1 said to attain the lower bound", {"below": sp.Integer(1)}),
        Mutant("identity_bounded", "σ = identity said to be bounded by 1", {"activation": "identity"}),
        Mutant("sech_mass", "∫ of 1 − tanh² said to be 2R − 2 tanh R", {"power": 0}),
    ),
)
