"""Claim of the paper: the recursion's gradient is O(Nε) = O(T). Started from rest it is C_N(1 + ε²W/2), hence
exponential.

σ = tanh, d = 1, W > 0, b = 0, y_0 = ẏ_0 = 0: y_i = 0 for all i and ∂y_N/∂y_0 = C_N(1 + ε²W/2).
"""

from __future__ import annotations

import sympy as sp

from integrators.fields.activations import ACTIVATIONS
from proofs import decide
from proofs.blocks import eps
from proofs.decision import Decision
from proofs.kernel.formulas import All, Bounded, Equal, Formula, Known, Limit, Not, claim, identity, procedure
from proofs.kernel.mutants import sharper
from proofs.majorant import N, theta
from proofs.proposition import Mutant, Proposition, Role, Step, Verdict, concluded

W = sp.Symbol("W", positive=True)
i = sp.Symbol("i", integer=True, nonnegative=True)
gradient = sp.Function("g", real=True)
"""∂y_N/∂y_0 of the network at rest, by N."""

NETWORK = Known("σ = tanh, d = 1, b = 0, started from y_0 = ẏ_0 = 0")
ANGLE = Equal(W * eps**2, 2 * sp.cosh(theta) - 2)
STATEMENT = Bounded(gradient(N) / (N * eps), N).called(
    "∂y_N/∂y_0 = O(Nε) for the network (11), whatever W, b"
)


def _slope_at_rest(activation: str) -> sp.Expr:
    z = sp.Symbol("z", real=True)
    return sp.diff(ACTIVATIONS[activation].symbolic(z), z).subs(z, 0)


@claim
def stays_at_rest(activation: str = "tanh") -> Formula:
    """y_i = y_{i−1} = 0 gives y_{i+1} = ε²σ(0) = 0."""
    return identity(eps**2 * ACTIVATIONS[activation].symbolic(sp.Integer(0)), 0)


@claim
def slope_at_rest(slope: int = 1) -> Formula:
    """σ'(0) = 1."""
    return identity(_slope_at_rest("tanh"), slope)


@procedure
def numbers(steps: int = 1000) -> Decision:
    """ε = 1, W = 1: C_N(3/2) exceeds 10^400 at N = 1000, while Nε = 1000 (exact integers)."""
    old, new = sp.Integer(1), sp.Rational(3, 2)
    for _ in range(steps - 1):
        old, new = new, 3 * new - old
    digits = len(str(int(new)))
    return decide.fact(digits > 400, digits, "decimal digits of ∂y_N/∂y_0 at ε = W = 1, N = 1000")


POWERS = All.of(
    Equal(gradient(0), 1),
    Equal(gradient(1), 1 + eps**2 * W / 2),
    Equal(gradient(i + 2), (2 + eps**2 * W) * gradient(i + 1) - gradient(i)),
)
CLOSED = Equal(gradient(i), sp.cosh(i * theta))
GRADIENT = Equal(gradient(N), sp.cosh(N * theta))
GROWS = Limit(sp.cosh(N * theta) / (N * eps), N, sp.oo, sp.oo)
FAILS = Not(STATEMENT, example={
    "σ": "tanh", "d": 1, "b": 0, "y_0": 0, "ẏ_0": 0, "W": "any W > 0",
    "∂y_N/∂y_0": "C_N(1 + ε²W/2) = cosh(Nθ)",
})  # fmt: skip

STEPS = (
    Step("stays_at_rest", "b = y_0 = ẏ_0 = 0 gives y_i = 0 for every i", stays_at_rest, axioms=("induction",),
         premises=(NETWORK,)),
    Step("slope_at_rest", "there the slope of tanh is 1", slope_at_rest),
    Step("gradient", POWERS.called("so the shipped leapfrog has"), rule="powers",
         numbers={"scheme": "leapfrog", "slope": W, "sequence": gradient, "index": i}),
    Step("closed_form", CLOSED, rule="recurrence", premises=(POWERS.called("so the shipped leapfrog "
        "has"), ANGLE),
         numbers={"index": i}),
    Step("gradient_at_N", GRADIENT, rule="instance", premises=(CLOSED,), numbers={"values": {i: N}}),
    Step("grows", GROWS),
    Step("not_linear", FAILS, rule="unbounded", premises=(GRADIENT, GROWS)),
    Step("numbers", "ε = W = 1, N = 1000: the gradient has more than 400 decimal digits", numbers,
         role=Role.REMARK),
)  # fmt: skip
CONCLUSION = concluded(STEPS, role=Role.COUNTEREXAMPLE)

PROPOSITION = Proposition(
    name="claim_linear_growth",
    title="Claim: the gradient grows like Nε",
    statement=STATEMENT,
    hypotheses={"network": NETWORK, "angle": ANGLE},
    source="the consequence drawn from Theorem 3.2 for the recursion (11)",
    expected=Verdict.REFUTED,
    rests_on=("theorem_b", "theorem_3_2"),
    steps=(*STEPS, CONCLUSION),
    mutants=(
        Mutant("logistic", "logistic activation, for which rest is not a solution",
               {"activation": "logistic"}),
        Mutant("half_slope", "slope ½ at rest", {"slope": sp.Rational(1, 2)}),
        Mutant("short", "N = 10", {"steps": 10}),
        *sharper((*STEPS, CONCLUSION)),
    ),
)  # fmt: skip
