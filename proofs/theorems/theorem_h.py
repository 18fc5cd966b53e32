"""Products of the norms of single steps, also in a weighted norm: ‖E_a J_N ⋯ J_1 E_b‖ ≤
‖E_a P⁻¹‖ Π ‖P J_n P⁻¹‖ ‖P E_b‖ for every invertible P.

For a first-order network J_n = I + ε D_n W, and the product with P = I never exceeds that of theorem F.
"""

from __future__ import annotations

import sympy as sp

from proofs.blocks import block, eps
from proofs.decide import all_of, follows, identity
from proofs.proposition import Decision, Mutant, Proposition, Role, Step
from proofs.symbols import dsigma, sigma, square, vector

ONE = sp.Integer(1)
T, T_new, rate, product = sp.symbols("T T_new rate product", nonnegative=True)
left, right, middle, whole = sp.symbols("left right middle whole", nonnegative=True)


def telescopes(between: int = 1) -> Decision:
    """E_a J_2 J_1 E_b = (E_a P⁻¹)(P J_2 P⁻¹)(P J_1 P⁻¹)(P E_b), blocks of every dimension."""
    P, first, second, a, b = (block(name) for name in ("P", "J_1", "J_2", "E_a", "E_b"))
    inverse = P**-1
    weighted = (a * inverse) * (P * second * inverse) * P ** (between - 1) * (P * first * inverse) * (P * b)
    return identity(weighted, a * second * first * b)


def induction(factor: sp.Expr = rate) -> Decision:
    """‖P T_n P⁻¹‖ ≤ π_n and ‖P J P⁻¹‖ ≤ r imply ‖P T_{n+1} P⁻¹‖ ≤ r π_n."""
    return follows((T_new, factor * product), [(T_new, rate * T), (T, product)], [ONE, rate])


def ends(price: sp.Expr = left * right) -> Decision:
    """‖E_a T E_b‖ ≤ ‖E_a P⁻¹‖ ‖P T P⁻¹‖ ‖P E_b‖, and ‖P T P⁻¹‖ ≤ π."""
    return follows((whole, price * product), [(whole, left * middle * right), (middle, product)],
                   [ONE, left * right])  # fmt: skip


def euler_step(step_power: int = 1) -> Decision:
    """(12) differentiated, d = 2: J_n = I + ε D_n W."""
    d = 2
    y, W, drive = vector("y", d), square("W", d), vector("x", d)
    u = W * sp.Matrix(y) + drive
    new = sp.Matrix(y) + eps * u.applyfunc(sigma)
    return identity(new.jacobian(y), sp.eye(d) + eps**step_power * sp.diag(*u.applyfunc(dsigma)) * W)


def never_worse(share: sp.Expr = ONE) -> Decision:
    """‖J_n‖ ≤ 1 + ε‖D_n W‖ ≤ 1 + ελ_n, the factor of theorem F."""
    size, norm_G, slope = sp.symbols("size norm_G lambda_n", nonnegative=True)
    return follows((size, 1 + share * eps * slope), [(size, 1 + eps * norm_G), (norm_G, slope)], [ONE, eps])


def block_weights(own: int = 1) -> Decision:
    """P = diag(ω I, I) costs nothing for the block of y: E P⁻¹ = E/ω and P E = ω E."""
    omega = sp.Symbol("omega", positive=True)
    P = sp.diag(omega, 1)
    E = sp.Matrix([1, 0])
    return all_of(
        {
            "left": identity(E.T * P.inv() * omega**own, E.T),
            "right": identity(P * E / omega**own, E),
        }
    )


PROPOSITION = Proposition(
    name="theorem_h",
    title="Theorem H: products of steps in a weighted norm",
    statement="‖E_a J_N ⋯ J_1 E_b‖ ≤ ‖E_a P⁻¹‖ Π ‖P J_n P⁻¹‖ ‖P E_b‖ for all matrices J_n, E_a, E_b and "
    "every invertible P; for a first-order network and P = I it is at most the bound of theorem F.",
    hypotheses={"invertible": "P is invertible", "slopes": "‖D_n W‖ ≤ λ_n"},
    source="ours",
    rests_on=("theorem_f",),
    steps=(
        Step("telescopes", "E_a J_2 J_1 E_b = (E_a P⁻¹)(P J_2 P⁻¹)(P J_1 P⁻¹)(P E_b)", telescopes),
        Step("induction", "‖P T_n P⁻¹‖ ≤ π_n implies ‖P T_{n+1} P⁻¹‖ ≤ ‖P J_{n+1} P⁻¹‖ π_n", induction,
             ("telescopes",), ("submultiplicative", "identity_norm", "induction")),
        Step("ends", "‖E_a T E_b‖ ≤ ‖E_a P⁻¹‖ ‖P T P⁻¹‖ ‖P E_b‖", ends, ("telescopes", "induction"),
             ("submultiplicative",)),
        Step("euler_step", "J_n = I + ε D_n W (d = 2, general σ, W, input)", euler_step,
             axioms=("chain_rule",)),
        Step("never_worse", "‖J_n‖ ≤ 1 + ελ_n, the factor of theorem F", never_worse, ("euler_step",),
             ("triangle", "submultiplicative", "identity_norm")),
        Step("block_weights", "P = diag(ωI, I): E P⁻¹ = E/ω and P E = ωE for the block of y", block_weights,
             ("ends",), (), Role.REMARK),
    ),
    mutants=(
        Mutant("no_inverse", "P left out between the steps", {"between": 0}),
        Mutant("half_rate", "π_{n+1} = r π_n/2", {"factor": rate / 2}),
        Mutant("one_end", "‖E_a P⁻¹‖ alone", {"price": left}),
        Mutant("second_power", "J_n with ε²", {"step_power": 2}),
        Mutant("half_slope", "‖J_n‖ ≤ 1 + ελ_n/2", {"share": sp.Rational(1, 2)}),
        Mutant("square_weight", "E P⁻¹ = E/ω²", {"own": 2}),
    ),
)  # fmt: skip
