"""A drift/kick scheme is symplectic, MᵀΩM = Ω, exactly when the force derivative DF is symmetric at every
kick.

Drifts always are; a kick is iff its G = DF is symmetric; products of symplectic matrices are symplectic.
Explicit Euler is not, even for a symmetric G.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import sympy as sp

from proofs import decide
from proofs.blocks import block, drift, eps, explicit_euler, flows, kick, omega, product, splittings
from proofs.kernel.formulas import Formula, Known, claim, identity, procedure
from proofs.kernel.mutants import sharper
from proofs.proposition import Decision, Mutant, Proposition, Role, Step, Verdict, concluded
from proofs.symbols import Jet, square, vector

a, b = sp.symbols("a b", real=True)
OMEGA = sp.Matrix([[0, 1], [-1, 0]])
"""Ω in blocks."""


def symmetric(name: str, d: int = 2) -> sp.Matrix:
    """Symmetric matrix of symbols: the Hessian of an unspecified potential at one point."""
    return sp.Matrix(d, d, lambda i, j: sp.Symbol(f"{name}{min(i, j)}{max(i, j)}", real=True))


def _defect(M: sp.Matrix, d: int = 2) -> sp.Matrix:
    return (M.T * omega(d) * M - omega(d)).applyfunc(sp.expand)


@claim
def one_drift(damping: int = 0) -> Formula:
    """((I, aεI), (0, I))ᵀ Ω ((I, aεI), (0, I)) = Ω, in blocks of any dimension."""
    M = sp.Matrix([[1, a * eps], [0, 1 - damping]])
    return identity(M.T * OMEGA * M, OMEGA)


@claim
def one_kick(transpose: str = "G") -> Formula:
    """KᵀΩK − Ω = bε((Gᵀ − G, 0), (0, 0)): zero iff Gᵀ = G; blocks of any dimension."""
    G, Gt = block("G"), block(transpose)
    K = sp.Matrix([[1, 0], [b * eps * G, 1]])
    Kt = sp.Matrix([[1, b * eps * Gt], [0, 1]])
    return identity((Kt * OMEGA * K - OMEGA).applyfunc(sp.expand), sp.zeros(2))


@claim
def kick_defect(order: int = 1) -> Formula:
    """The defect of a kick is bε(G − Gᵀ) and nothing else."""
    G, Gt = block("G"), block("Gt")
    K = sp.Matrix([[1, 0], [b * eps * G, 1]])
    Kt = sp.Matrix([[1, b * eps * Gt], [0, 1]])
    expected = sp.Matrix([[(b * eps) ** order * (G - Gt), 0], [0, 0]])
    return identity((Kt * OMEGA * K - OMEGA).applyfunc(sp.expand), expected.applyfunc(sp.expand))


@claim
def composition(factor: sp.Expr = sp.Integer(1)) -> Formula:
    """(AB)ᵀΩ(AB) = Bᵀ(AᵀΩA)B: with AᵀΩA = Ω and BᵀΩB = Ω it is Ω (replace, then compare)."""
    A, B, At, Bt, form = (block(name) for name in ("A", "B", "At", "Bt", "Omega"))
    whole = Bt * At * form * A * B
    return identity(whole.subs(At * form * A, factor * form).subs(Bt * form * B, form), form)


@procedure
def shipped(stage: Callable[..., sp.Matrix] = kick) -> Decision:
    """Every flow of every shipped splitting scheme, exact weights, symmetric G (d = 2)."""
    G = symmetric("G")
    decisions = {}
    for name in splittings():
        defects = [
            _defect(drift(weight, 2) if kind == "drift" else stage(weight, G, d=2))
            for kind, weight in flows(name)
        ]
        decisions[name] = decide.all_of(
            {str(n): decide.identity(defect, sp.zeros(4)) for n, defect in enumerate(defects)}
        )
    bad = {name: d for name, d in decisions.items() if not d.proved}
    return (
        decide.all_of(bad)
        if bad
        else decide.fact(True, f"{len(decisions)} schemes, flow by flow", "every defect is the zero matrix")
    )


@claim
def composed_map(second_hessian: Callable[[str], sp.Matrix] = symmetric) -> Formula:
    """Kick, drift, kick with arbitrary weights and two different Hessians, d = 2, multiplied out."""
    b1, a1, b2 = sp.symbols("b1 a1 b2", real=True)
    M = product([kick(b1, symmetric("G"), 2), drift(a1, 2), kick(b2, second_hessian("H"), 2)])
    return identity(_defect(M), sp.zeros(4))


@claim
def symbolic_potential(second: tuple[int, int] = (0, 1)) -> Formula:
    """The shipped leapfrog with F = −∇U, U unspecified, d = 2: derivative of the whole map, then MᵀΩM − Ω."""
    y, p = vector("y", 2), vector("p", 2)
    position, momentum = y, p
    for kind, weight in flows("leapfrog"):
        if kind == "drift":
            position = position + weight * eps * momentum
        else:
            gradient = sp.Matrix([Jet(1, 0, *position), Jet(*second, *position)])
            momentum = momentum - weight * eps * gradient
    M = sp.Matrix([*position, *momentum]).jacobian([*y, *p])
    return identity(_defect(M), sp.zeros(4))


@procedure
def nonsymmetric(G: sp.Matrix = OMEGA) -> Decision:
    """One leapfrog step with DF = ((0, 1), (−1, 0)) at both kicks: the defect is not zero, while det = 1."""
    stage = {"drift": lambda w: drift(w, 2), "kick": lambda w: kick(w, G, 2)}
    M = product([stage[kind](weight) for kind, weight in flows("leapfrog")])
    defect = _defect(M)
    found = decide.all_of(
        {
            "defect": decide.fact(defect != sp.zeros(4), defect, "MᵀΩM − Ω"),
            "determinant": decide.identity(M.det(), 1),
        }
    )
    example = {"DF": G.tolist(), "scheme": "leapfrog", "MᵀΩM − Ω": defect.tolist()}
    return decide.proved(found.computed, found.note, example) if found.proved else found


@claim
def control(loss: sp.Expr = eps**2) -> Formula:
    """Explicit Euler, symmetric G, d = 1: MᵀΩM = (1 − ε²g)Ω."""
    g = sp.Symbol("g", real=True)
    M = explicit_euler(g)
    return identity(M.T * omega() * M, (1 - loss * g) * omega())


SYMMETRIC = Known("DF is symmetric at every kick")
"""So it is where F = −∇f."""
HYPOTHESES = {"symmetric": SYMMETRIC}
STEPS = (
    Step("one_drift", "a drift is symplectic, in any dimension", one_drift),
    Step("kick_defect", "the defect of a kick is bε(G − Gᵀ) in one block, zero elsewhere", kick_defect),
    Step("one_kick", "a kick with Gᵀ = G is symplectic, in any dimension", one_kick, premises=(SYMMETRIC,)),
    Step("composition", "products of symplectic matrices are symplectic", composition),
    Step(
        "shipped",
        "every flow of every shipped splitting scheme is symplectic (d = 2, exact weights)",
        shipped,
        axioms=("chain_rule",),
        premises=(SYMMETRIC,),
    ),
    Step(
        "composed_map",
        "kick–drift–kick with two different Hessians, d = 2, multiplied out",
        composed_map,
        premises=(SYMMETRIC,),
    ),
    Step(
        "symbolic_potential",
        "the shipped leapfrog with an unspecified potential, d = 2: the "
        "derivative of the whole step is symplectic",
        symbolic_potential,
        premises=(SYMMETRIC,),
    ),
    Step(
        "nonsymmetric",
        "DF = ((0, 1), (−1, 0)): leapfrog preserves volume but not Ω",
        nonsymmetric,
        role=Role.NECESSITY,
        condition="DF is symmetric at every kick",
    ),
    Step("control", "explicit Euler multiplies Ω by 1 − ε²g (d = 1)", control, role=Role.REMARK),
)
CONCLUSION = concluded(STEPS, "The step matrix M of every shipped splitting scheme satisfies MᵀΩM = Ω.")

PROPOSITION = Proposition(
    name="scheme_symplecticity",
    title="Symplecticity of the shipped schemes",
    statement=CONCLUSION.claim,
    hypotheses=HYPOTHESES,
    source="ours; bears on equation (11)",
    expected=Verdict.HOLDS_ONLY_IF,
    rests_on=("tangent_is_derivative", "hamiltonian"),
    steps=(*STEPS, CONCLUSION),
    mutants=(
        Mutant("damped_drift", "drift that also halves p", {"damping": sp.Rational(1, 2)}),
        Mutant("second_order_defect", "defect b²ε²(G − Gᵀ)", {"order": 2}),
        Mutant("general_slope", "Gᵀ different from G", {"transpose": "Gt"}),
        Mutant("conformal", "AᵀΩA = 2Ω", {"factor": sp.Integer(2)}),
        Mutant(
            "simultaneous",
            "kick replaced by drift and kick from the old state",
            {"stage": lambda weight, G, d: explicit_euler(G, d)},
        ),
        Mutant(
            "general_hessian", "second kick with a general matrix", {"second_hessian": partial(square, d=2)}
        ),
        Mutant("not_a_gradient", "force (−∂_1 U, −∂_1∂_2 U)", {"second": (1, 1)}),
        Mutant("symmetric_example", "a symmetric DF as counterexample", {"G": sp.Matrix([[0, 1], [1, 0]])}),
        Mutant("blind_control", "explicit Euler said to be symplectic", {"loss": sp.Integer(0)}),
        *sharper((CONCLUSION,)),
    ),
)
