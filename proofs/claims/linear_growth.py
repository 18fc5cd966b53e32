"""Claim of the paper: the recursion's gradient is O(Nε) = O(T). Started from rest it is C_N(1 + ε²W/2), hence
exponential.

σ = tanh, d = 1, W > 0, b = 0, y_0 = ẏ_0 = 0: y_i = 0 for all i and ∂y_N/∂y_0 = C_N(1 + ε²W/2).
"""

from __future__ import annotations

import sympy as sp

from integrators.fields.activations import ACTIVATIONS
from proofs.blocks import drift, eps, flows, kick, product
from proofs.decide import all_of, fact, identities, identity, limit_is, proved
from proofs.majorant import chebyshev, growth, i
from proofs.proposition import Decision, Mutant, Proposition, Role, Step, Verdict

W, x = sp.Symbol("W", positive=True), sp.Symbol("x", positive=True)


def _slope_at_rest(activation: str) -> sp.Expr:
    z = sp.Symbol("z", real=True)
    return sp.diff(ACTIVATIONS[activation].symbolic(z), z).subs(z, 0)


def stays_at_rest(activation: str = "tanh") -> Decision:
    """y_i = y_{i−1} = 0 gives y_{i+1} = ε²σ(0) = 0."""
    return identity(eps**2 * ACTIVATIONS[activation].symbolic(sp.Integer(0)), 0)


def gradient(curvature: int = 1, highest: int = 6) -> Decision:
    """The shipped leapfrog at y = 0: ∂y_N/∂y_0 = C_N(1 + ε²W/2)."""
    stage = {"drift": drift, "kick": lambda weight: kick(weight, curvature * W * _slope_at_rest("tanh"))}
    M = product([stage[kind](weight) for kind, weight in flows("leapfrog")])
    state, pairs = sp.Matrix([1, 0]), {}
    for n in range(1, highest + 1):
        state = (M * state).applyfunc(sp.expand)
        pairs[f"N = {n}"] = (state[0], sp.chebyshevt(n, 1 + eps**2 * W / 2))
    return identities({**pairs, "trace": (M.trace(), 2 + eps**2 * W), "det": (M.det(), 1)})


def closed_form(trace_offset: int = 2) -> Decision:
    """C_N(cosh θ) = cosh(Nθ)."""
    return identity(chebyshev(i + 1) + chebyshev(i - 1), (trace_offset + growth()) * chebyshev(i))


def not_linear(rate: int = 1) -> Decision:
    """cosh(Nθ)/(Nε) is unbounded in N for every θ > 0 (x = Nθ), so no constant c gives ∂y_N/∂y_0 ≤ c Nε."""
    found = limit_is(sp.cosh(rate * x) / x if rate else 1 / x, x, sp.oo, sp.oo)
    example = {"σ": "tanh", "d": 1, "b": 0, "y_0": 0, "ẏ_0": 0, "W": "any W > 0"}
    example["∂y_N/∂y_0"] = "C_N(1 + ε²W/2) = cosh(Nθ)"
    return proved(found.computed, found.note, example) if found.proved else found


def numbers(steps: int = 1000) -> Decision:
    """ε = 1, W = 1: C_N(3/2) exceeds 10^400 at N = 1000, while Nε = 1000 (exact integers)."""
    old, new = sp.Integer(1), sp.Rational(3, 2)
    for _ in range(steps - 1):
        old, new = new, 3 * new - old
    digits = len(str(int(new)))
    return all_of(
        {"digits": fact(digits > 400, digits, "decimal digits of ∂y_N/∂y_0 at ε = W = 1, N = 1000")}
    )


PROPOSITION = Proposition(
    name="claim_linear_growth",
    title="Claim: the gradient grows like Nε",
    statement="For the network (11), ‖∂y_N/∂y_0‖ = O(Nε) whatever W, b.",
    hypotheses={"network": "σ = tanh, started from y_0 = ẏ_0 = 0"},
    source="the consequence drawn from Theorem 3.2 for the recursion (11)",
    expected=Verdict.REFUTED,
    rests_on=("theorem_b", "theorem_3_2"),
    steps=(
        Step("stays_at_rest", "b = y_0 = ẏ_0 = 0 gives y_i = 0 for every i", stays_at_rest,
             axioms=("induction",)),
        Step("gradient", "there ∂y_N/∂y_0 = C_N(1 + ε²W/2), with the shipped leapfrog", gradient,
             ("stays_at_rest",)),
        Step("closed_form", "C_N(cosh θ) = cosh(Nθ)", closed_form, axioms=("induction",)),
        Step("not_linear", "cosh(Nθ) is not O(Nε)", not_linear, ("gradient", "closed_form"),
             role=Role.COUNTEREXAMPLE),
        Step("numbers", "ε = W = 1, N = 1000: the gradient has more than 400 decimal digits", numbers,
             ("gradient",), role=Role.REMARK),
    ),
    mutants=(
        Mutant("logistic", "logistic activation, for which rest is not a solution",
               {"activation": "logistic"}),
        Mutant("attracting", "W replaced by −W in the tangent", {"curvature": -1}),
        Mutant("wrong_trace", "trace 1 + a", {"trace_offset": 1}),
        Mutant("no_growth", "rate 0", {"rate": 0}),
        Mutant("short", "N = 10", {"steps": 10}),
    ),
)  # fmt: skip
