"""Flow, any dimension, any initial value, any forcing: ‖∂y(t)/∂y(0)‖ ≤ cosh(√(L‖W‖) t), where L = sup|σ'|.

Proof by Picard iteration of the variational equation; equality for σ = identity, d = 1, W > 0.
"""

from __future__ import annotations

import sympy as sp

from integrators.fields.activations import ACTIVATIONS
from proofs.decide import all_of, fact, follows, identities, identity, limit_is
from proofs.proposition import Decision, Mutant, Proposition, Role, Step
from proofs.symbols import dsigma, sigma

t, r, omega = sp.symbols("t r omega", positive=True)
k = sp.Symbol("k", integer=True, nonnegative=True)
W, b, V = sp.symbols("W b V", real=True)


def forcing(input_slope: int = 0) -> Decision:
    """∂/∂y_0 of σ(Wy + Vx(t) + b) is Wσ'(u) ∂y/∂y_0: the input does not appear, except inside u."""
    y0 = sp.Symbol("y0", real=True)
    y, x = sp.Function("y", real=True)(t, y0), sp.Function("x", real=True)(t)
    u = W * y + V * x + b
    return identity(sp.diff(sigma(u), y0), W * dsigma(u) * sp.diff(y, y0) + input_slope * V * dsigma(u))


def integral_form(kernel_power: int = 1) -> Decision:
    """S = 1 + ∫_0^t (t − r) A(r) S(r) dr has S'' = A S, S(0) = 1, S'(0) = 0 (entry by entry in any
    dimension).
    """
    A, S = sp.Function("A"), sp.Function("S")
    whole = 1 + sp.Integral((t - r) ** kernel_power * A(r) * S(r), (r, 0, t))
    first = sp.diff(whole, t)
    return identities(
        {
            "S''": (sp.diff(first, t), A(t) * S(t)),
            "S(0)": (whole.subs(t, 0).doit(), 1),
            "S'(0)": (first.subs(t, 0).doit(), 0),
        }
    )


def coefficient(lipschitz_power: int = 1) -> Decision:
    """‖D(u)W‖ ≤ ‖D(u)‖ ‖W‖ ≤ L‖W‖."""
    L, norm_W, norm_D, norm_A = sp.symbols("L norm_W norm_D norm_A", nonnegative=True)
    return follows(
        (norm_A, L**lipschitz_power * norm_W),
        [(norm_A, norm_D * norm_W), (norm_D, L)],
        [sp.Integer(1), norm_W],
    )


def _term(index: sp.Expr) -> sp.Expr:
    return (omega * r) ** (2 * index) / sp.factorial(2 * index)


def base(start: sp.Expr = sp.Integer(1)) -> Decision:
    """The zeroth iterate is I, of norm 1 = (ωt)⁰/0!."""
    return identity(_term(k).subs(k, 0), start)


def step(divisor: sp.Expr = (2 * k + 1) * (2 * k + 2)) -> Decision:
    """ω² ∫_0^t (t − r)(ωr)^{2k}/(2k)! dr = (ωt)^{2k+2}/(2k + 2)!."""
    n = sp.Symbol("n", positive=True)
    primitive = t * r ** (n + 1) / (n + 1) - r ** (n + 2) / (n + 2)
    area = (primitive - primitive.subs(r, 0)).subs(r, t).subs(n, 2 * k)
    ratio = sp.combsimp(sp.factorial(2 * k + 2) / sp.factorial(2 * k))
    return identities(
        {
            "primitive": (sp.powsimp(sp.expand(sp.diff(primitive, r) - (t - r) * r**n)), 0),
            "area": (sp.powsimp(sp.simplify(area * divisor / t ** (2 * k + 2))), 1),
            "factorials": (sp.expand(ratio), sp.expand((2 * k + 1) * (2 * k + 2))),
        }
    )


def sum_is_cosh(function: type[sp.Function] = sp.cosh) -> Decision:
    """Σ_k (ωt)^{2k}/(2k)! = cosh(ωt)."""
    x = sp.Symbol("x", positive=True)
    total = sp.summation(x ** (2 * k) / sp.factorial(2 * k), (k, 0, sp.oo))
    return identity(total.rewrite(sp.exp), function(x).rewrite(sp.exp))


def attained(activation: str = "identity") -> Decision:
    """σ = id, d = 1, W = ω² > 0: S = cosh(ωt) solves S'' = WS, and L‖W‖ = ω² from the shipped record."""
    record = ACTIVATIONS[activation]
    z = sp.Symbol("z", real=True)
    slope = sp.diff(record.symbolic(z), z)
    S = sp.cosh(omega * t)
    return all_of(
        {
            "L": identity(sp.nsimplify(record.lipschitz), 1),
            "S'' = W σ' S": identity(sp.diff(S, t, 2), omega**2 * slope * S),
            "S(0)": identity(S.subs(t, 0), 1),
            "S'(0)": identity(sp.diff(S, t).subs(t, 0), 0),
        }
    )


def exponential(rate: sp.Expr = omega) -> Decision:
    """e^{−ωt} cosh(ωt) → ½: the bound grows like e^{√(L‖W‖) t}/2, no faster."""
    scaled = (sp.cosh(omega * t) * sp.exp(-rate * t)).rewrite(sp.exp).expand()
    return all_of(
        {
            "limit": limit_is(scaled.subs(omega, 1), t, sp.oo, sp.Rational(1, 2)),
            "depends on ωt only": fact(not scaled.subs(t, r / omega).has(omega), scaled, "substituted"),
        }
    )


PROPOSITION = Proposition(
    name="theorem_a",
    title="Theorem A: growth of the flow's sensitivity",
    statement="‖∂y(t)/∂y(0)‖ ≤ cosh(√(L‖W‖) t) for ÿ = σ(Wy + Vx(t) + b), any d, W, b, input and initial "
    "value.",
    hypotheses={"slope": "|σ'| ≤ L", "input": "x continuous"},
    source="ours; replaces Theorem 3.2",
    steps=(
        Step("forcing", "S = ∂y/∂y_0 satisfies S'' = D(u)W S whatever the input", forcing,
             axioms=("chain_rule",)),
        Step("integral_form", "S = I + ∫_0^t (t − r) D(u(r))W S(r) dr", integral_form, ("forcing",),
             ("fundamental_theorem", "picard_unique")),
        Step("coefficient", "‖D(u)W‖ ≤ L‖W‖ = ω²", coefficient, (), ("submultiplicative", "diagonal_norm")),
        Step("base", "the zeroth Picard iterate has norm 1", base, (), ("identity_norm",)),
        Step("step", "an iterate of norm ≤ (ωr)^{2k}/(2k)! is followed by one of norm ≤ (ωt)^{2k+2}/(2k + "
             "2)!", step, ("integral_form", "coefficient", "base"),
             ("integral_norm", "induction", "submultiplicative")),
        Step("sum_is_cosh", "the sum of the bounds is cosh(ωt)", sum_is_cosh, ("step",),
             ("picard", "triangle")),
        Step("attained", "σ = identity, d = 1, W > 0 attains it", attained, ("integral_form",),
             role=Role.REMARK),
        Step("exponential", "the bound is asymptotically e^{√(L‖W‖) t}/2", exponential, ("sum_is_cosh",),
             role=Role.REMARK),
    ),
    mutants=(
        Mutant("input_in_tangent", "tangent with an input term", {"input_slope": 1}),
        Mutant("quadratic_kernel", "kernel (t − r)²", {"kernel_power": 2}),
        Mutant("no_lipschitz", "‖D(u)W‖ ≤ ‖W‖ without L", {"lipschitz_power": 0}),
        Mutant("half_start", "S(0) = I/2", {"start": sp.Rational(1, 2)}),
        Mutant("wrong_factorial", "(2k + 1)² instead of (2k + 1)(2k + 2)", {"divisor": (2 * k + 1) ** 2}),
        Mutant("cosine", "cos instead of cosh", {"function": sp.cos}),
        Mutant("tanh_attains", "σ = tanh said to attain the bound at every y", {"activation": "tanh"}),
        Mutant("double_rate", "growth e^{2ωt}/2", {"rate": 2 * omega}),
    ),
)  # fmt: skip
