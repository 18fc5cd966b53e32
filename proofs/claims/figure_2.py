"""Claim of Figure 2: the Euler network's gradient blows up exponentially. Not so for d = 1 under the stated
set-up.

Set-up: y_0 = 0, W, b ∈ (0, 1), σ bounded by 1 (tanh). Flow: ∂y(t)/∂y_0 ≤ 1/tanh b for every t; recursion:
∂y_N/∂y_0 ≤ (1 + εW)/tanh b for every N and ε.
"""

from __future__ import annotations

import sympy as sp

from integrators.fields.activations import ACTIVATIONS
from proofs.blocks import eps
from proofs.decide import all_of, at_least_zero, fact, follows, identity, proved
from proofs.proposition import Decision, Mutant, Proposition, Role, Step, Verdict
from proofs.schemes.first_order_flow import bounded, concave, euler_bound, euler_factor, sensitivity

b, W, start, t = sp.symbols("b W sigma0 t", positive=True)
c, rate = sp.symbols("c rate", positive=True)


def moving(activation: str = "tanh") -> Decision:
    """b > 0: σ(W·0 + b) = tanh b > 0, so the flow is not started on a zero of σ."""
    u = sp.Symbol("u", positive=True)
    value = ACTIVATIONS[activation].symbolic(b).rewrite(sp.exp).subs(b, sp.log(1 + u))
    return all_of(
        {
            "not negative": at_least_zero(sp.simplify(value)),
            "not zero": fact(
                sp.cancel(value).is_positive, sp.cancel(value), "as a function of e^b = 1 + u > 1"
            ),
            "at most 1": at_least_zero(sp.simplify(1 - value)),
        }
    )


def crossing(prefactor: sp.Expr = c) -> Decision:
    """c e^{λt} passes 1/σ_0 at t = log(1/(cσ_0))/λ: every exponential with λ > 0 outgrows the bound."""
    when = sp.log(1 / (c * start)) / rate
    return identity((prefactor * sp.exp(rate * t)).subs(t, when), 1 / start)


def recursion(slope: sp.Expr = sp.Integer(1)) -> Decision:
    """M = 1, σ'_0 ≤ 1 in (1 + εWσ'_0)M/σ_0: ∂y_N/∂y_0 ≤ (1 + εW)/tanh b, for every N and ε."""
    d0 = sp.Symbol("slope0", nonnegative=True)
    found = follows(((1 + eps * W * d0) / start, (1 + eps * slope * W) / start), [(d0, 1)], [eps * W / start])
    at = {W: sp.Rational(1, 2), b: sp.Rational(1, 2)}
    example = {
        "d": 1, "σ": "tanh", "y_0": 0, "W": at[W], "b": at[b],
        "∂y_N/∂y_0 at ε = 1, every N": f"≤ {sp.N(((1 + W) / sp.tanh(b)).subs(at), 6)}",
    }  # fmt: skip
    return proved(found.computed, found.note, example) if found.proved else found


PROPOSITION = Proposition(
    name="claim_figure_2",
    title="Claim: Figure 2, exponential growth of the Euler gradient",
    statement="With W, b drawn from (0, 1), y_0 = 0 and σ = tanh, the Euler network's ∂y_N/∂y_0 grows "
    "exponentially in Nε (here d = 1; d = 10 and 100 are measured, not proved).",
    hypotheses={"set-up": "Example 2 with d = 1; the paper does not print σ, tanh fits its description"},
    source="Example 2 and Figure 2",
    expected=Verdict.NOT_REPRODUCED,
    rests_on=("first_order_flow", "activation_bounds"),
    steps=(
        Step("moving", "0 < tanh b ≤ 1 for b > 0: the start is not a fixed point", moving),
        Step("sensitivity", "flow: ∂y(t)/∂y_0 = σ(u(t))/σ(u_0)", sensitivity, axioms=("picard_unique",)),
        Step("bounded", "flow: |∂y(t)/∂y_0| ≤ 1/tanh b for every t", bounded, ("moving", "sensitivity")),
        Step("crossing", "every c e^{λt}, λ > 0, exceeds that bound from an explicit time on", crossing,
             ("bounded",), role=Role.FIGURE),
        Step("concave", "tanh is concave on [0, ∞)", concave),
        Step("euler_factor", "recursion: 1 + εWσ'(u_i) ≤ σ_i/σ_{i−1}", euler_factor, ("concave",),
             ("mean_value",)),
        Step("euler_bound", "recursion: ∂y_N/∂y_0 ≤ (1 + εWσ'_0)/σ_0", euler_bound, ("euler_factor",),
             ("induction",)),
        Step("recursion", "recursion: ∂y_N/∂y_0 ≤ (1 + εW)/tanh b for every N and ε", recursion,
             ("moving", "euler_bound"), role=Role.FIGURE),
    ),
    mutants=(
        Mutant("unbounded", "σ = identity", {"activation": "identity"}),
        Mutant("slope_ratio", "S = σ'(u)/σ'(u_0)", {"numerator": sp.Function("tau", real=True)}),
        Mutant("squared_start", "|S| ≤ M/|σ_0|²", {"power": 2}),
        Mutant("late_crossing", "c² e^{λt}", {"prefactor": c**2}),
        Mutant("convex_side", "tanh concave on (−∞, 0]", {"side": -1}),
        Mutant("convex_factor", "σ'(ξ) ≤ σ'(u_i) instead of ≥", {"later": 0}),
        Mutant("no_first_factor", "bound without 1 + εWσ'_0", {"first_factor": 0}),
        Mutant("half_slope", "σ'_0 ≤ ½", {"slope": sp.Rational(1, 2)}),
    ),
)  # fmt: skip
