"""What survives for every W: the flow and every drift/kick scheme preserve phase-space volume and are
reversible.

No symmetry of D(u)W is needed. Explicit Euler on the same system does neither, so the check can see.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import sympy as sp

from proofs.blocks import block, drift, eps, explicit_euler, flows, kick, product, splittings
from proofs.kernel.formulas import Formula, claim, identities, identity
from proofs.kernel.mutants import sharper
from proofs.kernel.rules import SMOOTH
from proofs.proposition import Mutant, Proposition, Role, Step, concluded
from proofs.symbols import sigma, square, vector

ONE, HALF = sp.Integer(1), sp.Rational(1, 2)
a, b = sp.symbols("a b", real=True)

KICK = partial(kick, b, d=2)


def halving_kick(weight: sp.Expr, slope: sp.Expr) -> sp.Matrix:
    """A kick followed by p ← p/2, which contracts volume; for a mutant."""
    return sp.diag(1, HALF) * kick(weight, slope)


@claim
def divergence(friction: sp.Expr = sp.Integer(0)) -> Formula:
    """The field (p, σ(Wy + b) − γp) has divergence −dγ; here γ = 0."""
    y, p = vector("y", 3), vector("p", 3)
    force = (square("W", 3) * y + vector("b", 3)).applyfunc(sigma) - friction * p
    parts = [sp.diff(p[k], y[k]) + sp.diff(force[k], p[k]) for k in range(3)]
    return identity(sum(parts), 0)


@claim
def flow_reversal(reflection: int = -1) -> Formula:
    """With R(y, p) = (y, −p) and X(y, p) = (p, F(y)): R X = −X R, so R maps solutions to solutions run
    backwards.
    """
    p, F = vector("p", 2), vector("F", 2)
    reflected_field = sp.Matrix([p, reflection * F])
    field_at_reflected = sp.Matrix([reflection * p, F])
    return identity(reflected_field, -field_at_reflected)


@claim
def unipotent(leak: sp.Expr = sp.Integer(0)) -> Formula:
    """Drift − I and kick − I square to zero as 2×2 block matrices, whatever the dimension and whatever G =
    DF.
    """
    nilpotent = {
        "drift": sp.Matrix([[0, a * eps], [0, 0]]),
        "kick": sp.Matrix([[0, leak], [b * eps * block("G"), 0]]),
    }
    return identities({name: (N * N, sp.zeros(2)) for name, N in nilpotent.items()})


@claim
def explicit_two(maker: Callable[[sp.Matrix], sp.Matrix] = KICK) -> Formula:
    """det = 1 of one drift and of one kick in d = 2 with a general 2×2 matrix G, by direct expansion."""
    return identities({"drift": (drift(a, 2).det(), 1), "kick": (maker(square("G", 2)).det(), 1)})


@claim
def shipped(stage: Callable[..., sp.Matrix] = kick) -> Formula:
    """Product of the determinants of the flows of one step, for every shipped splitting scheme."""
    g = sp.Symbol("g", real=True)
    pairs = {}
    for name in splittings():
        matrices = (drift(weight) if kind == "drift" else stage(weight, g) for kind, weight in flows(name))
        pairs[name] = (sp.prod([matrix.det() for matrix in matrices]), 1)
    return identities(pairs)


@claim
def leapfrog_directly(second_kick: sp.Expr = sp.Rational(1, 2)) -> Formula:
    """The matrix of one leapfrog step with different slopes g0, g1 in its two kicks (d = 1), expanded."""
    g = sp.symbols("g0 g1", real=True)
    weights = [weight for kind, weight in flows("leapfrog") if kind == "kick"]
    M = product([kick(weights[0], g[0]), drift(1), kick(second_kick, g[1])])
    closed = sp.Matrix(
        [
            [1 + eps**2 * g[0] / 2, eps],
            [eps / 2 * (g[0] + g[1] * (1 + eps**2 * g[0] / 2)), 1 + eps**2 * g[1] / 2],
        ]
    )
    return identities({"closed form": (M, closed), "determinant": (M.det(), 1)})


@claim
def flow_conjugation(reflected: int = -1) -> Formula:
    """R drift(a) R = drift(−a) and R kick(b) R = kick(−b), for a general force F."""
    y, p = sp.symbols("y p", real=True)
    F = sp.Function("F")
    drifted, kicked = (y + a * eps * (reflected * p), reflected * p), (y, reflected * p + b * eps * F(y))
    pairs = {
        "drift y": (drifted[0], y - a * eps * p),
        "drift p": (reflected * drifted[1], p),
        "kick y": (kicked[0], y),
        "kick p": (reflected * kicked[1], p - b * eps * F(y)),
    }
    return identities(pairs)


@claim
def step_reversal(scheme: str = "leapfrog") -> Formula:
    """Step, reflect, step, reflect returns to the start: exact identity for a general force, d = 1."""
    y, p = sp.symbols("y p", real=True)
    F = sp.Function("F")

    def step(state: tuple[sp.Expr, sp.Expr]) -> tuple[sp.Expr, sp.Expr]:
        position, momentum = state
        for kind, weight in flows(scheme):
            if kind == "drift":
                position = sp.expand(position + weight * eps * momentum)
            else:
                momentum = sp.expand(momentum + weight * eps * F(position))
        return position, momentum

    there = step((y, p))
    back = step((there[0], -there[1]))
    return identities({"y": (back[0], y), "p": (-back[1], p)})


@claim
def control(loss: sp.Expr = eps**2) -> Formula:
    """Explicit Euler: det = 1 − ε² g in d = 1, which differs from 1."""
    g = sp.Symbol("g", real=True)
    return identity(explicit_euler(g).det(), 1 - loss * g)


HYPOTHESES = {"smooth": SMOOTH}
STEPS = (
    Step(
        "divergence",
        "the phase-space field has divergence 0, so the flow preserves volume",
        divergence,
        axioms=("liouville",),
        premises=(SMOOTH,),
    ),
    Step(
        "flow_reversal", "reflecting p reverses time for the flow", flow_reversal, axioms=("picard_unique",)
    ),
    Step(
        "unipotent",
        "(drift − I)² = 0 and (kick − I)² = 0 in any dimension, so both have determinant 1",
        unipotent,
        axioms=("unipotent",),
    ),
    Step(
        "explicit_two",
        "det = 1 for one drift and one kick, d = 2, expanded",
        explicit_two,
        premises=(SMOOTH,),
    ),
    Step(
        "shipped",
        "every shipped splitting scheme has determinant 1",
        shipped,
        axioms=("det_product", "chain_rule"),
        premises=(SMOOTH,),
    ),
    Step(
        "leapfrog_directly",
        "the leapfrog step matrix in closed form, and its determinant 1",
        leapfrog_directly,
    ),
    Step("flow_conjugation", "R drift(a) R = drift(−a) and R kick(b) R = kick(−b)", flow_conjugation),
    Step("step_reversal", "leapfrog: R Φ R Φ = identity, for a general force", step_reversal),
    Step(
        "control",
        "explicit Euler has determinant 1 − ε² g, so the property is not automatic",
        control,
        role=Role.REMARK,
    ),
)
CONCLUSION = concluded(
    STEPS,
    "For every W, b, ε: the flow of ÿ = σ(Wy + b) and every composition of drifts and kicks have "
    "Jacobian determinant 1; the flow and every symmetric composition Φ satisfy R Φ R = Φ⁻¹ with R(y, p) = "
    "(y, −p).",
)

PROPOSITION = Proposition(
    name="volume_and_reversibility",
    title="Volume and reversibility for every W",
    statement=CONCLUSION.claim,
    hypotheses=HYPOTHESES,
    source="ours; corrects the paragraph after equation (4)",
    rests_on=("scheme_symmetry",),
    steps=(*STEPS, CONCLUSION),
    mutants=(
        Mutant("friction", "force with −γp", {"friction": sp.Symbol("gamma", positive=True)}),
        Mutant("no_reflection", "R = identity", {"reflection": 1}),
        Mutant("sheared_both_ways", "kick that also moves y", {"leak": block("H")}),
        Mutant(
            "simultaneous", "drift and kick both from the old state", {"maker": partial(explicit_euler, d=2)}
        ),
        Mutant("contracting_kick", "kick that halves p", {"stage": halving_kick}),
        Mutant("full_second_kick", "second kick of weight 1", {"second_kick": ONE}),
        Mutant("conjugation_without_reflection", "R = identity in the conjugation", {"reflected": 1}),
        Mutant("asymmetric_scheme", "kick, then drift instead of leapfrog", {"scheme": "symplectic_euler"}),
        Mutant("control_blind", "explicit Euler said to preserve volume", {"loss": sp.Integer(0)}),
        *sharper((CONCLUSION,)),
    ),
)
