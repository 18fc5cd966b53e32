"""The propagated tangent is the derivative of the step that runs: stage by stage, for the composed step, in
every form.

Also: the two-step, the staggered and the kick–drift–kick form of the recursion have the same ∂y_N/∂y_0.
"""

from __future__ import annotations

import sympy as sp

from proofs.blocks import block, drift, eps, flows, kick, product
from proofs.decide import identities, identity
from proofs.proposition import Decision, Mutant, Proposition, Step
from proofs.symbols import dsigma, sigma, square, vector

HALF = sp.Rational(1, 2)


def one_drift(weight_power: int = 1) -> Decision:
    """∂(y + aεp, p)/∂(y, p), d = 2."""
    a = sp.Symbol("a", real=True)
    y, p = vector("y", 2), vector("p", 2)
    state = sp.Matrix([*(y + a * eps * p), *p])
    return identity(state.jacobian([*y, *p]), drift(a**weight_power, 2))


def one_kick(transpose: bool = False) -> Decision:
    """∂(y, p + bεσ(Wy + x))/∂(y, p) with DF = D(u)W, d = 2, general W and drive x."""
    b = sp.Symbol("b", real=True)
    y, p, W = vector("y", 2), vector("p", 2), square("W", 2)
    u = W * y + vector("x", 2)
    state = sp.Matrix([*y, *(p + b * eps * u.applyfunc(sigma))])
    DF = sp.diag(*u.applyfunc(dsigma)) * (W.T if transpose else W)
    return identity(state.jacobian([*y, *p]), kick(b, DF, 2))


def composed_step(order: int = 1) -> Decision:
    """Three drifts and three kicks with arbitrary weights, each kick with its own drive, d = 1."""
    y, p, W = sp.symbols("y p W", real=True)
    position, momentum, matrices = y, p, []
    for stage in range(3):
        a, b, x = sp.symbols(f"a{stage} b{stage} x{stage}", real=True)
        position = position + a * eps * momentum
        matrices.append(drift(a))
        u = W * position + x
        momentum = momentum + b * eps * sigma(u)
        matrices.append(kick(b, W * dsigma(u)))
    total = sp.eye(2)
    for matrix in matrices[::order]:
        total = matrix * total
    return identity(sp.Matrix([position, momentum]).jacobian([y, p]), total)


def leapfrog_step(reuse_slope: bool = False) -> Decision:
    """The shipped leapfrog, d = 2: derivative of the composed map against the closed form."""
    y, p, W, x = vector("y", 2), vector("p", 2), square("W", 2), vector("x", 2)
    position, momentum, slopes = y, p, []
    for kind, weight in flows("leapfrog"):
        if kind == "drift":
            position = position + weight * eps * momentum
        else:
            u = W * position + x
            slopes.append(sp.diag(*u.applyfunc(dsigma)) * W)
            momentum = momentum + weight * eps * u.applyfunc(sigma)
    G0, G1 = slopes[0], slopes[0] if reuse_slope else slopes[1]
    eye = sp.eye(2)
    first = eye + eps**2 / 2 * G0
    closed = sp.Matrix(
        sp.BlockMatrix([[first, eps * eye], [eps / 2 * (G0 + G1 * first), eye + eps**2 / 2 * G1]])
    )
    return identity(sp.Matrix([*position, *momentum]).jacobian([*y, *p]), closed)


def same_gradient(start: sp.Expr = HALF, steps: int = 4) -> Decision:
    """∂y_n/∂y_0 for n ≤ 4 from the two-step, the staggered and the kick–drift–kick form; blocks of any
    dimension.
    """
    G = [block(f"G{n}") for n in range(steps + 1)]
    two_step = [sp.Integer(1), 1 + HALF * eps**2 * G[0]]
    P, Q = two_step[1], start * eps * G[0]
    T, M = sp.Integer(1), sp.Integer(0)
    staggered, verlet = [sp.Integer(1), P], [sp.Integer(1)]
    for n in range(1, steps):
        two_step.append(sp.expand(2 * two_step[n] - two_step[n - 1] + eps**2 * G[n] * two_step[n]))
        Q = sp.expand(Q + eps * G[n] * P)
        P = sp.expand(P + eps * Q)
        staggered.append(P)
    for n in range(steps):
        M = sp.expand(M + HALF * eps * G[n] * T)
        T = sp.expand(T + eps * M)
        M = sp.expand(M + HALF * eps * G[n + 1] * T)
        verlet.append(T)
    pairs = {f"staggered, n = {n}": (staggered[n], two_step[n]) for n in range(1, steps + 1)}
    pairs |= {f"kick–drift–kick, n = {n}": (verlet[n], two_step[n]) for n in range(1, steps + 1)}
    return identities(pairs)


def determinants(corner: int = -1) -> Decision:
    """Two-step and staggered one-step matrices have determinant 1 (d = 2, general G)."""
    G, eye = square("G", 2), sp.eye(2)
    two_step = sp.Matrix(sp.BlockMatrix([[2 * eye + eps**2 * G, corner * eye], [eye, sp.zeros(2)]]))
    staggered = product([kick(1, G, 2), drift(1, 2)])
    return identities(
        {"two-step": (sp.expand(two_step.det()), 1), "staggered": (sp.expand(staggered.det()), 1)}
    )


def adjoint(adjoint_order: int = -1) -> Decision:
    """⟨λ, J v⟩ = ⟨Jᵀλ, v⟩ for J = J_3 J_2 J_1: the transposed factors act in reverse order."""
    factors = [square(name, 2) for name in ("A", "B", "C")]
    lam, v = vector("lambda", 2), vector("v", 2)
    forward, backward = v, lam
    for J in factors:
        forward = J * forward
    for J in factors[::adjoint_order]:
        backward = J.T * backward
    return identity(lam.dot(forward), backward.dot(v))


PROPOSITION = Proposition(
    name="tangent_is_derivative",
    title="The tangent map is the derivative of the step",
    statement="Carrying T ← T + aεP at drifts and P ← P + bεD(u)W T at kicks, at the states the step itself "
    "visits, yields the derivative of the step; the two-step, staggered and kick–drift–kick forms of "
    "(11)/(13) agree on ∂y_N/∂y_0.",
    hypotheses={"smooth": "σ differentiable at the pre-activations met"},
    source="ours; for (11) and (13)",
    steps=(
        Step("one_drift", "derivative of a drift (d = 2)", one_drift),
        Step("one_kick", "derivative of a kick is bεD(u)W in the lower left block (d = 2, general W, drive)",
             one_kick),
        Step("composed_step", "three drifts and three kicks with arbitrary weights and drives: the "
             "derivative of the composed map is the product of the stage matrices at the stage states (d = "
             "1)", composed_step, ("one_drift", "one_kick"), ("chain_rule",)),
        Step("leapfrog_step", "the shipped leapfrog, d = 2: derivative of the map = closed form with D_0, "
             "D_1", leapfrog_step, ("one_drift", "one_kick")),
        Step("same_gradient", "three forms of the recursion, one ∂y_n/∂y_0 (any dimension, n ≤ 4)",
             same_gradient),
        Step("determinants", "two-step and staggered matrices have determinant 1 (d = 2)", determinants),
        Step("adjoint", "⟨λ, Jv⟩ = ⟨Jᵀλ, v⟩ with the factors transposed in reverse order", adjoint),
    ),
    mutants=(
        Mutant("squared_weight", "drift tangent with a²", {"weight_power": 2}),
        Mutant("transposed_weight", "kick tangent with D(u)Wᵀ", {"transpose": True}),
        Mutant("reversed_stages", "stage matrices multiplied in reverse order", {"order": -1}),
        Mutant("stale_slope", "second kick with the slope of the first", {"reuse_slope": True}),
        Mutant("full_start", "staggered form started with a full kick", {"start": sp.Integer(1)}),
        Mutant("plus_corner", "two-step matrix with 2I in place of −I", {"corner": 2}),
        Mutant("forward_adjoint", "adjoint factors in forward order", {"adjoint_order": 1}),
    ),
)  # fmt: skip
