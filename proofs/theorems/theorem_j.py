"""Gradients by parameters: ‖∂y_N/∂b‖ ≤ (s_N − 1)/‖W‖ with the majorant s_N of theorem E, and ‖∂y_N/∂W‖ by the
same majorant with the source ‖y‖ that lemma 3.1 bounds.
"""

from __future__ import annotations

import sympy as sp

from proofs.blocks import eps
from proofs.decide import all_of, follows, identities
from proofs.majorant import L, w
from proofs.proposition import Decision, Mutant, Proposition, Role, Step
from proofs.symbols import dsigma, sigma, square, vector

ONE = sp.Integer(1)
size = sp.Symbol("size", nonnegative=True)
B, P, B_new, P_new, beta, upsilon, radius, Y = sp.symbols(
    "B P B_new P_new beta upsilon r Y", nonnegative=True
)


def source(with_source: int = 1) -> Decision:
    """The kick b ε σ(W y + x + b) by b and by W (d = 2): D (W ∂y + I) and D (W ∂y + y_j e_i)."""
    d = 2
    bias, W, drive = vector("b", d), square("W", d), vector("x", d)
    now = sp.Matrix([sp.Function(f"now{k}", real=True)(*bias) for k in range(d)])
    u = W * now + drive + sp.Matrix(bias)
    D = sp.diag(*u.applyfunc(dsigma))
    by_b = u.applyfunc(sigma).jacobian(bias)
    entry = W[0, 1]
    moved = sp.Matrix([sp.Function(f"y{k}", real=True)(entry) for k in range(d)])
    v = W * moved + drive
    by_entry = v.applyfunc(sigma).diff(entry)
    expected = sp.diag(*v.applyfunc(dsigma)) * (
        W * moved.diff(entry) + with_source * sp.Matrix([moved[1], 0])
    )
    return identities(
        {
            "by b": (by_b, D * (W * now.jacobian(bias) + with_source * sp.eye(d))),
            "by W_01": (by_entry, expected),
        }
    )


def induction(gain: sp.Expr = ONE) -> Decision:
    """β, δ with δ ← δ + |b|ε(L‖W‖β + L r) and β ← β + |a|εδ majorise, where the source is at most r."""
    premises = [
        (P_new, P + size * eps * L * (w * B + Y)), (B_new, B + size * eps * P), (B, beta), (P, upsilon),
        (Y, radius),
    ]  # fmt: skip
    kicked = upsilon + size * eps * L * (w * beta + gain * radius)
    return all_of(
        {
            "kick": follows((P_new, kicked), premises, [ONE, 0, size * eps * L * w, ONE, size * eps * L]),
            "drift": follows((B_new, beta + size * eps * upsilon), premises, [0, ONE, ONE, size * eps, 0]),
        }
    )


def closed_form(offset: sp.Expr = ONE) -> Decision:
    """For r = 1: β = (s − 1)/‖W‖ and δ = u/‖W‖ turn theorem E's recursion into this one, (1, 0) to (0, 0)."""
    s, u = sp.symbols("s u", nonnegative=True)
    weight = sp.Symbol("w", positive=True)
    to_beta = (s - offset) / weight
    return identities(
        {
            "start": (to_beta.subs(s, 1), 0),
            "kick": (
                (u + size * eps * L * weight * s) / weight,
                u / weight + size * eps * L * (weight * to_beta + 1),
            ),
            "drift": ((s + size * eps * u - offset) / weight, to_beta + size * eps * (u / weight)),
        }
    )


def radius_of_y(rate: sp.Expr = ONE) -> Decision:
    """‖y‖ ← ‖y‖ + |a|ε‖p‖, ‖p‖ ← ‖p‖ + |b|ε√d sup|σ|: lemma 3.1 step by step."""
    S, S_new, Q, Q_new, most, rho, pi = sp.symbols("S S_new Q Q_new most rho pi_", nonnegative=True)
    premises = [(S_new, S + size * eps * Q), (Q_new, Q + size * eps * most), (S, rho), (Q, pi)]
    return all_of(
        {
            "drift": follows((S_new, rho + rate * size * eps * pi), premises, [ONE, 0, ONE, size * eps]),
            "kick": follows((Q_new, pi + rate * size * eps * most), premises, [0, ONE, 0, ONE]),
        }
    )


def attained(slope: sp.Expr = ONE) -> Decision:
    """σ = id, d = 1, W > 0: a kick by b is βW + 1 itself, so that both recursions are equalities."""
    weight = sp.Symbol("W", positive=True)
    return identities({"kick": (slope * (weight * beta + 1), weight * beta + 1)})


PROPOSITION = Proposition(
    name="theorem_j",
    title="Theorem J: gradients by b and W",
    statement="For ÿ = σ(W y + V x + b) and every scheme of drifts and kicks ‖∂y_N/∂b‖ ≤ (s_N − 1)/‖W‖, s_N "
    "the majorant of theorem E; ‖∂y_N/∂W‖ ≤ β_N, the same recursion with the source L‖y‖, ‖y‖ by lemma 3.1.",
    hypotheses={"slope": "|σ'| ≤ L", "bounded": "for W: |σ| ≤ sup|σ| < ∞"},
    source="ours",
    rests_on=("theorem_e", "lemma_3_1_discrete"),
    steps=(
        Step("source", "a kick has the derivative D (W ∂y + I) by b, D (W ∂y + y_j e_i) by W (d = 2)", source,
             axioms=("chain_rule",)),
        Step("induction", "β and δ survive a drift and a kick", induction, ("source",),
             ("triangle", "submultiplicative", "diagonal_norm", "identity_norm", "induction")),
        Step("closed_form", "by b: β_N = (s_N − 1)/‖W‖", closed_form, ("induction",), ("induction",)),
        Step("radius_of_y", "by W: ‖y‖ and ‖p‖ survive a drift and a kick", radius_of_y, (),
             ("triangle", "induction")),
        Step("attained", "σ = identity, d = 1, W > 0 attains the bound by b", attained, ("closed_form",),
             role=Role.REMARK),
    ),
    mutants=(
        Mutant("no_source", "no source term", {"with_source": 0}),
        Mutant("half_source", "half the source", {"gain": sp.Rational(1, 2)}),
        Mutant("no_offset", "β = s/‖W‖", {"offset": sp.Integer(0)}),
        Mutant("half_force", "half of sup|σ|", {"rate": sp.Rational(1, 2)}),
        Mutant("half_slope", "σ' = 1/2 said to attain it", {"slope": sp.Rational(1, 2)}),
    ),
)  # fmt: skip
