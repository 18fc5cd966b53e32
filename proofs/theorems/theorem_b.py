"""Recursion (11)/(13), any step, dimension, input: ‖∂y_N/∂y_0‖ ≤ C_N(1 + a/2) ≤ cosh(Nε√(L‖W‖)), a = ε²L‖W‖.

C_N is the Chebyshev polynomial of the first kind. Attained by σ = identity, d = 1, W > 0, so the bound is
sharp.
"""

from __future__ import annotations

import sympy as sp

from integrators.fields.activations import ACTIVATIONS
from proofs.blocks import block, drift, eps, flows, kick, product
from proofs.decide import all_of, at_least_zero, follows, identities, identity, nonnegative_from
from proofs.majorant import L, a, chebyshev, growth, i, majorant, w
from proofs.proposition import Decision, Mutant, Proposition, Role, Step
from proofs.symbols import dsigma, sigma, square, vector

HALF = sp.Rational(1, 2)
ONE = sp.Integer(1)


def tangent(weight_power: int = 2) -> Decision:
    """(13) differentiated in y_0, d = 2: T_{i+1} = 2T_i − T_{i−1} + ε² D_i W T_i, whatever the input."""
    d = 2
    y0, W, drive = vector("y", d), square("W", d), vector("x", d)
    now = sp.Matrix([sp.Function(f"now{k}", real=True)(*y0) for k in range(d)])
    old = sp.Matrix([sp.Function(f"old{k}", real=True)(*y0) for k in range(d)])
    u = W * now + drive
    new = 2 * now - old + eps**2 * u.applyfunc(sigma)
    T = now.jacobian(y0)
    expected = 2 * T - old.jacobian(y0) + eps**weight_power * sp.diag(*u.applyfunc(dsigma)) * W * T
    return identity(new.jacobian(y0), expected)


def increments(sign: int = 1) -> Decision:
    """With Δ_i = T_{i+1} − T_i: Δ_i = Δ_{i−1} + ε² G_i T_i, for blocks of any dimension."""
    T, T_old, G = block("T"), block("T_old"), block("G")
    T_new = 2 * T - T_old + eps**2 * G * T
    return identity(T_new - T, (T - T_old) + sign * eps**2 * G * T)


def first_increment(half: sp.Expr = HALF) -> Decision:
    """T_1 = I + (ε²/2) G_0, so ‖Δ_0‖ ≤ (ε²/2)L‖W‖ = a/2 and ‖T_0‖ = 1 = t_0."""
    norm_G = sp.Symbol("norm_G", nonnegative=True)
    return follows((eps**2 / 2 * norm_G, half * eps**2 * L * w), [(norm_G, L * w)], [eps**2 / 2])


def induction(growth_factor: sp.Expr = ONE) -> Decision:
    """‖T_i‖ ≤ t_i and ‖Δ_{i−1}‖ ≤ δ_{i−1} imply ‖Δ_i‖ ≤ δ_i and ‖T_{i+1}‖ ≤ t_{i+1}."""
    T, D, D_new, T_new, t, delta = sp.symbols("T D D_new T_new t delta", nonnegative=True)
    delta_new = delta + growth_factor * a * t
    premises = [(D_new, D + a * T), (D, delta), (T, t)]
    return all_of(
        {
            "increment": follows((D_new, delta_new), premises, [ONE, ONE, a]),
            "position": follows(
                (T_new, t + delta_new), [(T_new, T + D_new), *premises], [ONE, ONE, ONE, 1 + a]
            ),
        }
    )


def two_step(middle: sp.Expr = 2 + a) -> Decision:
    """Eliminating δ: t_{i+1} − t_i = (t_i − t_{i−1}) + a t_i, i.e. t_{i+1} = (2 + a) t_i − t_{i−1}."""
    t, t_old = sp.symbols("t t_old", nonnegative=True)
    return identity(t + (t - t_old) + a * t, middle * t - t_old)


def closed_form(first: sp.Expr = HALF) -> Decision:
    """cosh(iθ) with cosh θ = 1 + a/2 has the recursion and both starting values, so t_i = C_i(1 + a/2)."""
    return identities(
        {
            "recursion": (chebyshev(i + 1), (2 + growth()) * chebyshev(i) - chebyshev(i - 1)),
            "t_0": (chebyshev(0), 1),
            "t_1": (chebyshev(1), 1 + first * growth()),
        }
    )


def polynomials(shift: sp.Expr = a / 2, highest: int = 12) -> Decision:
    """The majorant equals SymPy's Chebyshev polynomials at 1 + a/2, coefficient by coefficient."""
    pairs = {str(n): (value, sp.chebyshevt(n, 1 + shift)) for n, value in enumerate(majorant(highest))}
    return identities(pairs)


def half_angle(divisor: int = 2) -> Decision:
    """1 + a/2 = cosh(2 arcsinh(√a/2)): with x = √a/2, cosh(2 arcsinh x) = 1 + 2x²."""
    x = sp.Symbol("x", positive=True)
    return identity(sp.expand(sp.cosh(2 * sp.asinh(x)), trig=True), 1 + 2 * (2 * x) ** 2 / divisor**2)


def arcsinh_below(slope: sp.Expr = ONE) -> Decision:
    """x − arcsinh x vanishes at 0; its derivative 1 − 1/√(1 + x²) is ≥ 0: with q = √(1 + x²) ≥ 1 it is (q −
    1)/q.
    """
    x, more = sp.symbols("x more", nonnegative=True)
    q = 1 + more
    derivative = slope - sp.diff(sp.asinh(x), x)
    return all_of(
        {
            "at 0": identity((slope * x - sp.asinh(x)).subs(x, 0), 0),
            "derivative": at_least_zero(derivative.subs(sp.sqrt(x**2 + 1), q)),
        }
    )


def cosh_increases(function: type[sp.Function] = sp.cosh) -> Decision:
    """cosh has derivative sinh ≥ 0 on [0, ∞), so Nθ ≤ Nε√(L‖W‖) carries over to cosh."""
    x = sp.Symbol("x", nonnegative=True)
    return nonnegative_from(function(x) - function(sp.Integer(0)), x, order=2)


def attained(steps: int = 7, activation: str = "identity", curvature: int = 1) -> Decision:
    """σ = id, d = 1, W > 0, with the shipped leapfrog weights: ∂y_n/∂y_0 = C_n(1 + ε²W/2), exactly."""
    W, z = sp.Symbol("W", positive=True), sp.Symbol("z", real=True)
    slope = sp.diff(ACTIVATIONS[activation].symbolic(z), z) * W * curvature
    stage = {"drift": drift, "kick": lambda weight: kick(weight, slope)}
    M = product([stage[kind](weight) for kind, weight in flows("leapfrog")])
    state, pairs = sp.Matrix([1, 0]), {}
    for n in range(1, steps + 1):
        state = (M * state).applyfunc(sp.expand)
        pairs[f"N = {n}"] = (state[0], sp.chebyshevt(n, 1 + eps**2 * W / 2))
    pairs["trace, so every N"] = (M.trace(), 2 + eps**2 * W)
    pairs["det, so every N"] = (M.det(), 1)
    return identities(pairs)


PROPOSITION = Proposition(
    name="theorem_b",
    title="Theorem B: growth of the recursion's gradient",
    statement="‖∂y_N/∂y_0‖ ≤ C_N(1 + a/2) ≤ cosh(Nε√(L‖W‖)), a = ε²L‖W‖, for (11) and (13), every ε > 0, d, "
    "W, V, b, input and initial value.",
    hypotheses={"slope": "|σ'| ≤ L"},
    source="ours; for recursions (11) and (13)",
    steps=(
        Step("tangent", "T_{i+1} = 2T_i − T_{i−1} + ε² D_i W T_i (d = 2, general σ, W, input)", tangent,
             axioms=("chain_rule",)),
        Step("increments", "Δ_i = Δ_{i−1} + ε² D_i W T_i, in every dimension", increments, ("tangent",)),
        Step("first_increment", "‖T_0‖ = 1 and ‖Δ_0‖ ≤ a/2", first_increment, (),
             ("submultiplicative", "diagonal_norm", "identity_norm")),
        Step("induction", "‖T_i‖ ≤ t_i, ‖Δ_{i−1}‖ ≤ δ_{i−1} imply the same with i + 1", induction,
             ("increments", "first_increment"), ("triangle", "submultiplicative", "induction")),
        Step("two_step", "t_{i+1} = (2 + a) t_i − t_{i−1}", two_step, ("induction",)),
        Step("closed_form", "t_i = cosh(iθ) = C_i(1 + a/2), cosh θ = 1 + a/2", closed_form, ("two_step",),
             ("induction",)),
        Step("polynomials", "t_i is the Chebyshev polynomial, i ≤ 12, expanded", polynomials, ("two_step",)),
        Step("half_angle", "θ = arccosh(1 + a/2) = 2 arcsinh(√a/2)", half_angle, ("closed_form",)),
        Step("arcsinh_below", "arcsinh x ≤ x for x ≥ 0, so θ ≤ √a = ε√(L‖W‖)", arcsinh_below, ("half_angle",),
             ("monotone",)),
        Step("cosh_increases", "cosh is non-decreasing on [0, ∞)", cosh_increases, ("arcsinh_below",),
             ("monotone",)),
        Step("attained", "σ = identity, d = 1, W > 0 attains C_N(1 + a/2) with the shipped leapfrog",
             attained, ("closed_form",), role=Role.REMARK),
    ),
    mutants=(
        Mutant("first_power", "T_{i+1} with ε instead of ε²", {"weight_power": 1}),
        Mutant("minus", "Δ_i = Δ_{i−1} − ε² D_i W T_i", {"sign": -1}),
        Mutant("quarter", "‖Δ_0‖ ≤ a/4", {"half": sp.Rational(1, 4)}),
        Mutant("slow_majorant", "δ_i = δ_{i−1} + (a/2) t_i", {"growth_factor": HALF}),
        Mutant("wrong_trace", "t_{i+1} = (1 + a) t_i − t_{i−1}", {"middle": 1 + a}),
        Mutant("full_first_step", "t_1 = 1 + a (full first kick)", {"first": ONE}),
        Mutant("unhalved", "C_i(1 + a)", {"shift": a}),
        Mutant("third_angle", "θ = 2 arcsinh(√a/3)", {"divisor": 3}),
        Mutant("below_half", "arcsinh x ≤ x/2", {"slope": HALF}),
        Mutant("cosine", "cos instead of cosh", {"function": sp.cos}),
        Mutant("attracting", "W < 0 said to attain the bound", {"curvature": -1}),
    ),
)  # fmt: skip
