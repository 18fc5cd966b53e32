"""Scalar first-order flow ẏ = σ(Wy + b): ∂y(t)/∂y(0) = σ(Wy(t) + b)/σ(Wy(0) + b), hence ≤ sup|σ|/|σ(Wy(0) +
b)|.

Bounded for every t, and so is the Euler recursion where σ is concave. Exponential growth needs an unbounded
σ, or a start on a zero of σ(W· + b).
"""

from __future__ import annotations

import sympy as sp

from integrators.fields.activations import ACTIVATIONS
from proofs.blocks import eps
from proofs.decide import all_of, at_least_zero, follows, identities, identity, limit_is
from proofs.proposition import Decision, Mutant, Proposition, Role, Step
from proofs.symbols import dsigma, sigma

t, W, s = sp.symbols("t W s", positive=True)
b, y0 = sp.symbols("b y0", real=True)
ONE = sp.Integer(1)


def sensitivity(numerator: sp.Function = sigma) -> Decision:
    """S = σ(u(t))/σ(u_0) solves S' = Wσ'(u)S, S(0) = 1, along ẏ = σ(u), u = Wy + b."""
    y = sp.Function("y", real=True)
    u = W * y(t) + b
    S = numerator(u) / numerator(W * y0 + b)
    rate = sp.diff(S, t).subs(sp.diff(y(t), t), sigma(u))
    return identities({"S'": (rate, W * dsigma(u) * S), "S(0)": (S.subs(t, 0).subs(y(0), y0), 1)})


def bounded(power: int = 1) -> Decision:
    """|S| |σ_0| = |σ(u(t))| ≤ M gives |S| ≤ M/|σ_0|."""
    S, value, M = sp.symbols("S value M", nonnegative=True)
    start = sp.Symbol("abs_sigma0", positive=True)
    premises = [(S, value / start), (value, M)]
    return follows((S, M / start**power), premises, [ONE, 1 / start])


def tanh_solution(rate: sp.Expr = W) -> Decision:
    """σ = tanh: u' = W tanh u, so sinh u(t) = e^{Wt} sinh u_0."""
    u = sp.Function("u", real=True)(t)
    grown = sp.sinh(u) * sp.exp(-rate * t)
    derivative = sp.diff(grown, t).subs(sp.diff(u, t), W * ACTIVATIONS["tanh"].symbolic(u))
    return identity(derivative.subs(sp.tanh(u), sp.sinh(u) / sp.cosh(u)), 0)


def tanh_saturates(limit: sp.Expr = ONE) -> Decision:
    """With X = e^{Wt} sinh u_0: tanh u = X/√(1 + X²) → 1, so S → 1/tanh u_0."""
    X = sp.Symbol("X", positive=True)
    return all_of(
        {
            "tanh from sinh": identity(sp.tanh(sp.asinh(X)), X / sp.sqrt(1 + X**2)),
            "limit": limit_is(X / sp.sqrt(1 + X**2), X, sp.oo, limit),
        }
    )


def concave(side: int = 1) -> Decision:
    """−tanh'' ≥ 0 on [0, ∞): with e^z = 1 + u, u ≥ 0, it is a quotient of non-negative terms."""
    z, u = sp.Symbol("z", real=True), sp.Symbol("u", nonnegative=True)
    curvature = sp.diff(ACTIVATIONS["tanh"].symbolic(z), z, 2).rewrite(sp.exp)
    return at_least_zero(sp.simplify(-curvature.subs(z, side * sp.log(1 + u))))


def euler_factor(later: int = 1) -> Decision:
    """σ_i = σ_{i−1}(1 + εWσ'(ξ)), ξ ≤ u_i, and concavity give 1 + εWσ'(u_i) ≤ σ_i/σ_{i−1}."""
    slope_i, slope_xi = sp.symbols("slope_i slope_xi", nonnegative=True)
    old = sp.Symbol("old", positive=True)
    new = old + slope_xi * (W * eps * old)
    premise = (slope_i, slope_xi) if later else (slope_xi, slope_i)
    return follows((1 + eps * W * slope_i, new / old), [premise], [eps * W])


def euler_bound(first_factor: int = 1) -> Decision:
    """T_n ≤ c σ_{n−1}/σ_0 implies T_{n+1} ≤ c σ_n/σ_0; c = 1 + εWσ'_0 from T_1, and σ_n ≤ M."""
    T, T_new, factor, M = sp.symbols("T T_new factor M", nonnegative=True)
    start, old, new, slope = sp.symbols("start old new slope", positive=True)
    c = 1 + first_factor * eps * W * slope
    return all_of(
        {
            "T_1": follows((1 + eps * W * slope, c * start / start)),
            "step": follows(
                (T_new, c * new / start),
                [(T_new, factor * T), (factor, new / old), (T, c * old / start)],
                [ONE, T, new / old],
            ),
            "bounded": follows((c * new / start, c * M / start), [(new, M)], [c / start]),
        }
    )


def exponential_cases(activation: str = "identity") -> Decision:
    """σ = id: S = e^{Wt}. Start on a zero of σ: y stays, S = e^{Wσ'(u_0)t}."""
    slope0 = sp.Symbol("slope0", real=True)
    z = sp.Symbol("z", real=True)
    slope = sp.diff(ACTIVATIONS[activation].symbolic(z), z)
    return identities(
        {
            "identity": (sp.diff(sp.exp(W * t), t), W * slope * sp.exp(W * t)),
            "fixed point": (sp.diff(sp.exp(W * slope0 * t), t), W * slope0 * sp.exp(W * slope0 * t)),
            "tanh at 0": (ACTIVATIONS["tanh"].symbolic(sp.Integer(0)), 0),
        }
    )


PROPOSITION = Proposition(
    name="first_order_flow",
    title="Scalar first-order flow",
    statement="For ẏ = σ(Wy + b), d = 1, σ(Wy(0) + b) ≠ 0: ∂y(t)/∂y(0) = σ(Wy(t) + b)/σ(Wy(0) + b), so "
    "|∂y(t)/∂y(0)| ≤ sup|σ|/|σ(Wy(0) + b)| for every t.",
    hypotheses={
        "scalar": "d = 1",
        "moving": "σ(Wy(0) + b) ≠ 0",
        "bounded": "|σ| ≤ M (only for the bound)",
        "concave": "for the Euler recursion: W > 0, u_0 > 0, σ increasing, positive and concave on [0, ∞)",
    },
    source="ours; bears on Example 2",
    steps=(
        Step("sensitivity", "S = σ(u(t))/σ(u_0) solves the variational equation and S(0) = 1", sensitivity,
             axioms=("picard_unique", "chain_rule")),
        Step("bounded", "|S| ≤ M/|σ_0|", bounded, ("sensitivity",)),
        Step("tanh_solution", "for tanh, sinh u(t) = e^{Wt} sinh u_0", tanh_solution, axioms=("chain_rule",)),
        Step("tanh_saturates", "hence S → 1/tanh u_0", tanh_saturates, ("sensitivity", "tanh_solution"),
             role=Role.REMARK),
        Step("concave", "tanh is concave on [0, ∞)", concave),
        Step("euler_factor", "Euler: 1 + εWσ'(u_i) ≤ σ_i/σ_{i−1} for i ≥ 1", euler_factor, (),
             ("mean_value",)),
        Step("euler_bound", "Euler: ∂y_N/∂y_0 ≤ (1 + εWσ'_0) M/σ_0 for every N", euler_bound,
             ("euler_factor",), ("induction",)),
        Step("exponential_cases", "exponential growth does occur for σ = identity and at zeros of σ(W· + b)",
             exponential_cases, role=Role.REMARK),
    ),
    mutants=(
        Mutant("slope_ratio", "S = σ'(u)/σ'(u_0)", {"numerator": dsigma}),
        Mutant("squared_start", "|S| ≤ M/|σ_0|²", {"power": 2}),
        Mutant("half_rate", "sinh u = e^{Wt/2} sinh u_0", {"rate": W / 2}),
        Mutant("double_limit", "tanh u → 2", {"limit": sp.Integer(2)}),
        Mutant("convex_side", "tanh concave on (−∞, 0]", {"side": -1}),
        Mutant("convex_factor", "σ'(ξ) ≤ σ'(u_i) instead of ≥", {"later": 0}),
        Mutant("tanh_exponential", "S = e^{Wt} for σ = tanh away from 0", {"activation": "tanh"}),
        Mutant("no_first_factor", "c = 1", {"first_factor": 0}),
    ),
)  # fmt: skip
