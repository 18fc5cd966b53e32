"""Step size and weight scale are one parameter.

Replacing (ε, W) by (ε/κ, κ²W), with y_0/κ² and ẏ_0/κ, replaces y_i by y_i/κ² in (11)/(13) and in every
drift/kick scheme, and leaves every pre-activation and every ∂y_N/∂y_0 unchanged. For Euler: (ε/κ, κW) and
y_i/κ.
"""

from __future__ import annotations

import sympy as sp

from proofs.blocks import drift, eps, flows, kick, splittings
from proofs.kernel.formulas import Below, Formula, claim, identities, identity
from proofs.kernel.mutants import sharper
from proofs.proposition import Mutant, Proposition, Role, Step, concluded
from proofs.symbols import sigma, square

kappa = sp.Symbol("kappa", positive=True)
W, x, b, y, y_old, p, a_s, b_s = sp.symbols("W x b y y_old p a_s b_s", real=True)


def _scaled(value: sp.Expr, power: int, weight_power: int = 2) -> sp.Expr:
    """Express ``value``, a formula in the new variables, through the old ones; y-like symbols scale by
    κ^power.
    """
    scale = {y: y / kappa**power, y_old: y_old / kappa**power, p: p / kappa, W: kappa**weight_power * W}
    return value.subs({**scale, eps: eps / kappa}, simultaneous=True)


@claim
def preactivation(weight_power: int = 2) -> Formula:
    """W'y' + Vx + b = Wy + Vx + b."""
    u = W * y + x + b
    return identity(_scaled(u, 2, weight_power), u)


@claim
def two_step(state_power: int = 2) -> Formula:
    """The new recursion, run on y/κ², produces the old one divided by κ²."""
    new = 2 * y - y_old + eps**2 * sigma(W * y + x + b)
    return identity(_scaled(new, state_power), new / kappa**2)


@claim
def first_step(velocity_power: int = 1) -> Formula:
    """y_1 = y_0 + εẏ_0 + (ε²/2)σ_0 scales by κ⁻² when ẏ_0 scales by κ⁻¹."""
    first = y + eps * p * kappa ** (1 - velocity_power) + eps**2 / 2 * sigma(W * y + x + b)
    plain = y + eps * p + eps**2 / 2 * sigma(W * y + x + b)
    return identity(_scaled(first, 2), plain / kappa**2)


@claim
def flows_scale(momentum_power: int = 1) -> Formula:
    """Drift and kick with arbitrary weights commute with (y, p) ↦ (y/κ², p/κ): so does every splitting
    scheme.
    """
    drifted, kicked = y + a_s * eps * p, p + b_s * eps * sigma(W * y + x + b)
    return identities(
        {
            "drift": (_scaled(drifted, 2), drifted / kappa**2),
            "kick": (_scaled(kicked, 2), kicked / kappa**momentum_power),
        }
    )


@claim
def tangents(scale_power: int = 2) -> Formula:
    """∂(y_N/κ²)/∂(y_0/κ²) = ∂y_N/∂y_0, for an arbitrary map y_0 ↦ y_N."""
    y0, z0 = sp.symbols("y0 z0", real=True)
    g = sp.Function("g", real=True)
    new = g(kappa**2 * z0) / kappa**scale_power
    derivative = sp.diff(new, z0).doit()
    at = derivative.subs(z0, y0 / kappa**2).doit()
    return identity(at, sp.diff(g(y0), y0))


@claim
def one_parameter(step_power: int = 2) -> Formula:
    """The tangent recursion sees ε and W only through ε²W, which the exchange leaves unchanged."""
    T, T_old, slope = sp.symbols("T T_old slope", real=True)
    tangent = 2 * T - T_old + eps**step_power * slope * W * T
    return identity(_scaled(tangent, 2), tangent)


@claim
def every_scheme(swapped_power: int = 1) -> Formula:
    """K M(ε, W) K⁻¹ = M(ε/κ, κ²W), K = diag(κ⁻², κ⁻¹), for every flow of every shipped scheme, exact weights,
    slope W; so the products, the steps, have one upper left entry.
    """
    K = sp.diag(kappa**-2, kappa**-swapped_power)
    pairs = {}
    for name in splittings():
        for place, (kind, weight) in enumerate(flows(name)):
            if kind == "drift":
                old, new = drift(weight), drift(weight, step=eps / kappa)
            else:
                old, new = kick(weight, W), kick(weight, kappa**2 * W, step=eps / kappa)
            pairs[f"{name}, flow {place}: {kind}"] = (K * old * K.inv(), new)
    pairs["upper left entry is kept"] = ((K * square("M", 2) * K.inv())[0, 0], square("M", 2)[0, 0])
    return identities(pairs)


@claim
def euler(euler_weight_power: int = 1) -> Formula:
    """Euler: (ε/κ, κW), y/κ."""
    new = y + eps * sigma(W * y + x + b)
    scaled = new.subs({y: y / kappa, eps: eps / kappa, W: kappa**euler_weight_power * W}, simultaneous=True)
    return identity(scaled, new / kappa)


@claim
def quadruple(factor: int = 4) -> Formula:
    """κ = ½: (ε, 4W) is equivalent to (2ε, W)."""
    pair = (eps / kappa, kappa**2 * factor * W)
    half = {kappa: sp.Rational(1, 2)}
    return identities({"step": (pair[0].subs(half), 2 * eps), "weight": (pair[1].subs(half), W)})


POSITIVE = Below(0, kappa)
HYPOTHESES = {"scale": POSITIVE}
STEPS = (
    Step("preactivation", "pre-activations are unchanged", preactivation, premises=(POSITIVE,)),
    Step(
        "two_step",
        "y_{i+1} of the new recursion is y_{i+1}/κ²",
        two_step,
        axioms=("induction",),
        premises=(POSITIVE,),
    ),
    Step("first_step", "so is y_1, with ẏ_0/κ", first_step, premises=(POSITIVE,)),
    Step(
        "flows_scale",
        "a drift and a kick of any weights scale by κ⁻² and κ⁻¹",
        flows_scale,
        premises=(POSITIVE,),
    ),
    Step(
        "every_scheme",
        "hence every shipped splitting scheme, flow by flow",
        every_scheme,
        axioms=("induction",),
        premises=(POSITIVE,),
    ),
    Step("tangents", "∂y_N/∂y_0 is unchanged", tangents, axioms=("chain_rule",)),
    Step(
        "one_parameter",
        "the tangent recursion depends on ε and W through ε²W alone",
        one_parameter,
        premises=(POSITIVE,),
    ),
    Step("euler", "Euler scales with κW and y/κ", euler, premises=(POSITIVE,)),
    Step("quadruple", "four times W does exactly what twice ε does", quadruple, role=Role.REMARK),
)
CONCLUSION = concluded(
    STEPS,
    "(ε, W, y_0, ẏ_0) → (ε/κ, κ²W, y_0/κ², ẏ_0/κ) maps (11), (13) and every drift/kick scheme to "
    "themselves with y_i → y_i/κ² and leaves all pre-activations and all ∂y_N/∂y_0 unchanged; Euler: (ε/κ, "
    "κW, y_0/κ).",
)

PROPOSITION = Proposition(
    name="theorem_g",
    title="Theorem G: step size and weight scale are one parameter",
    statement=CONCLUSION.claim,
    hypotheses=HYPOTHESES,
    source="ours; for recursions (11), (12) and (13)",
    steps=(*STEPS, CONCLUSION),
    mutants=(
        Mutant("linear_weight", "κW in the pre-activation", {"weight_power": 1}),
        Mutant("linear_state", "y/κ in (11)", {"state_power": 1}),
        Mutant("fixed_velocity", "ẏ_0 not scaled", {"velocity_power": 0}),
        Mutant("momentum_like_state", "p/κ² in the kick", {"momentum_power": 2}),
        Mutant("rescaled_tangent", "y_N/κ with y_0/κ²", {"scale_power": 1}),
        Mutant("first_order_tangent", "tangent recursion with ε instead of ε²", {"step_power": 1}),
        Mutant("kick_like_drift", "velocities scaling by κ⁻²", {"swapped_power": 2}),
        Mutant("euler_square", "Euler with κ²W", {"euler_weight_power": 2}),
        Mutant("double", "2W said to do what 2ε does", {"factor": 2}),
        *sharper((CONCLUSION,)),
    ),
)
