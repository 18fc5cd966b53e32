"""No vanishing in phase space: with s ≥ ‖∂(y_N, p_N)/∂(y_0, p_0)‖ by theorem E, every singular value of that
matrix is at least 1/s, and the largest is at least 1. Its position block alone can be zero.
"""

from __future__ import annotations

import sympy as sp

from proofs.blocks import block, drift, eps, kick, omega
from proofs.decide import all_of, follows, identities, identity
from proofs.proposition import Decision, Mutant, Proposition, Role, Step

ONE = sp.Integer(1)
weight = sp.Symbol("a", real=True)
T, U, T_new, U_new, s, u, size, lam = sp.symbols("T U T_new U_new s u size lambda", nonnegative=True)


def undone(sign: int = -1) -> Decision:
    """A drift by −a undoes a drift by a, and a kick by −b at the same place a kick by b; any d."""
    G = block("G")
    one = sp.Integer(1)
    forth, back = (
        sp.Matrix([[one, weight * eps], [0, one]]),
        sp.Matrix([[one, sign * weight * eps], [0, one]]),
    )
    kicked = sp.Matrix([[one, 0], [weight * eps * G, one]])
    unkicked = sp.Matrix([[one, 0], [sign * weight * eps * G, one]])
    return identities({"drift": (back * forth, sp.eye(2)), "kick": (unkicked * kicked, sp.eye(2))})


def same_majorant(modulus: sp.Expr = size) -> Decision:
    """|−a| = |a|: a step of the inverse has the majorant of theorem E."""
    premises = [(T_new, T + size * eps * U), (U_new, U + size * eps * lam * T), (T, s), (U, u)]
    return all_of(
        {
            "drift": follows((T_new, s + modulus * eps * u), premises, [ONE, 0, ONE, size * eps]),
            "kick": follows((U_new, u + modulus * eps * lam * s), premises, [0, ONE, size * eps * lam, ONE]),
        }
    )


def reciprocal(product: sp.Expr = ONE) -> Decision:
    """σ_min(M) ‖M⁻¹‖ = 1 and ‖M⁻¹‖ ≤ s give σ_min s ≥ 1: with ‖M⁻¹‖ = n, σ_min = 1/n, s = n + slack."""
    n, slack = sp.Symbol("n", positive=True), sp.Symbol("slack", nonnegative=True)
    return follows((product, (n + slack) / n), [(0, slack)], [1 / n])


def largest(determinant: sp.Expr = ONE) -> Decision:
    """det = 1 makes the product of the 2d singular values 1, so that not all of them are below 1.

    Drifts and kicks have the determinant 1 (d = 2, general DF).
    """
    G = sp.Matrix(2, 2, sp.symbols("g11 g12 g21 g22"))
    return identities(
        {"drift": (drift(weight, 2).det(), determinant), "kick": (kick(weight, G, 2).det(), determinant)}
    )


def pairs(factor: int = -1) -> Decision:
    """MᵀΩM = Ω gives M⁻¹ = −Ω MᵀΩ, with the singular values of M: they come in pairs σ, 1/σ (d = 1)."""
    g = sp.Symbol("g", real=True)
    M = kick(weight, sp.Matrix([[g]])) * drift(weight)
    return identity(factor * omega() * M.T * omega() * M, sp.eye(2))


def position_vanishes(angle: sp.Expr = sp.pi / 2) -> Decision:
    """σ = id, W = −1: ∂y_N/∂y_0 = cos Nθ solves t_{i+1} = (2 − ε²) t_i − t_{i−1}, t_0 = 1, t_1 = 1 − ε²/2.

    Here ε² = 2 − 2 cos θ; Nθ = π/2 makes it 0.
    """
    theta, i = sp.Symbol("theta", positive=True), sp.Symbol("i", integer=True, positive=True)
    square = 2 - 2 * sp.cos(theta)
    return identities(
        {
            "start": (sp.cos(theta), 1 - square / 2),
            "recursion": (
                sp.cos((i + 1) * theta),
                (2 - square) * sp.cos(i * theta) - sp.cos((i - 1) * theta),
            ),
            "zero": (sp.cos(angle), 0),
        }
    )


PROPOSITION = Proposition(
    name="theorem_i",
    title="Theorem I: the phase space does not vanish",
    statement="For every composition of drifts and kicks every singular value of ∂(y_N, p_N)/∂(y_0, p_0) is "
    "at least 1/s, where s is the bound of theorem E on its norm, and the largest is at least 1.",
    hypotheses={"slope": "‖DF‖ ≤ λ", "splitting": "the scheme consists of drifts and kicks"},
    source="ours",
    rests_on=("theorem_e", "volume_and_reversibility"),
    steps=(
        Step("undone", "drifts and kicks are undone by those of the opposite weight", undone),
        Step("same_majorant", "the inverse has the majorant of theorem E", same_majorant, ("undone",),
             ("triangle", "submultiplicative", "induction")),
        Step("reciprocal", "σ_min = 1/‖M⁻¹‖ ≥ 1/s", reciprocal, ("same_majorant",)),
        Step("largest", "det = 1, hence not every singular value is below 1 (d = 2)", largest, (),
             ("det_product",)),
        Step("pairs", "symplectic: M⁻¹ = −ΩMᵀΩ, hence singular values σ, 1/σ", pairs, (), (), Role.REMARK),
        Step("position_vanishes", "the position block is cos Nθ for σ = id, W = −1, and 0 for Nθ = π/2",
             position_vanishes, (), ("induction",), Role.REMARK),
    ),
    mutants=(
        Mutant("same_sign", "undone by the same weight", {"sign": 1}),
        Mutant("half_weight", "majorant with half the weight", {"modulus": size / 2}),
        Mutant("two_over_s", "σ_min ≥ 2/s", {"product": sp.Integer(2)}),
        Mutant("determinant_two", "det = 2", {"determinant": sp.Integer(2)}),
        Mutant("plus_omega", "M⁻¹ = +ΩMᵀΩ", {"factor": 1}),
        Mutant("other_angle", "zero at Nθ = π/3", {"angle": sp.pi / 3}),
    ),
)  # fmt: skip
