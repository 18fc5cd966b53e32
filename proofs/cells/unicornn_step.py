"""UnICORNN: z' = z − s(σ(wy + Vx + b) + αy), y' = y + s z', one oscillator per unit (diagonal recurrent
weight).

Its Jacobian has determinant 1, is symplectic, the step can be undone exactly, and
|∂y_N/∂y_0| ≤ cosh((N + ½)θ)/cosh(θ/2) ≤ e^{(N + ½) s√K} with K = L|w| + α and cosh θ = 1 + s²K/2.
"""

from __future__ import annotations

import sympy as sp

from proofs.blocks import omega
from proofs.decide import all_of, at_least_zero, follows, identities, identity
from proofs.majorant import chebyshev, growth, i
from proofs.proposition import Decision, Mutant, Proposition, Role, Step
from proofs.symbols import dsigma, primitive, sigma

y, z, w, drive = sp.symbols("y z w drive", real=True)
s, alpha, k = sp.Symbol("s", positive=True), sp.Symbol("alpha", nonnegative=True), sp.Symbol("k", real=True)
HALF, ONE = sp.Rational(1, 2), sp.Integer(1)


def _step(position: sp.Expr, momentum: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
    momentum = momentum - s * (sigma(w * position + drive) + alpha * position)
    return position + s * momentum, momentum


def _matrix() -> sp.Matrix:
    return sp.Matrix([[1 - s**2 * k, s], [-s * k, 1]])


def jacobian(constant: sp.Expr = alpha) -> Decision:
    """J = ((1 − s²k, s), (−sk, 1)), k = wσ'(a) + α, is the derivative of the step."""
    found = sp.Matrix(_step(y, z)).jacobian([y, z])
    return identity(found, _matrix().subs(k, w * dsigma(w * y + drive) + constant))


def determinant(corner: int = -1) -> Decision:
    """det J = 1."""
    shear = sp.Matrix([[1 + corner * s**2 * k, s], [-s * k, 1]])
    return identity(shear.det(), 1)


def symplectic(scale: sp.Expr = ONE) -> Decision:
    """JᵀΩJ = Ω (2×2)."""
    J = scale * _matrix()
    return identity(J.T * omega() * J, omega())


def undone(update: int = -1) -> Decision:
    """y = y' − s z', z = z' + s(σ(wy + Vx + b) + αy) gives back (y, z)."""
    new_y, new_z = _step(y, z)
    old_y = new_y + update * s * new_z
    old_z = new_z + s * (sigma(w * sp.expand(old_y) + drive) + alpha * sp.expand(old_y))
    return identities({"y": (old_y, y), "z": (sp.expand(old_z), z)})


def potential(sign: int = 1) -> Decision:
    """Force −(σ(wy + c) + αy) = −∂/∂y (Σ(wy + c)/w + αy²/2), with Σ' = σ."""
    weight = sp.Symbol("w", nonzero=True, real=True)
    energy = primitive(weight * y + drive) / weight + sign * alpha * y**2 / 2
    return identity(sp.diff(energy, y), sigma(weight * y + drive) + alpha * y)


def slope_bound(offset: sp.Expr = alpha) -> Decision:
    """|k| ≤ |w||σ'| + α ≤ L|w| + α = K."""
    size_k, size_w, slope, L = sp.symbols("size_k size_w slope L", nonnegative=True)
    return follows(
        (size_k, L * size_w + offset), [(size_k, size_w * slope + alpha), (slope, L)], [ONE, size_w]
    )


def induction(gain: sp.Expr = ONE) -> Decision:
    """ζ_{i+1} = ζ_i + sK t_i, t_{i+1} = t_i + s ζ_{i+1} majorise |∂z_i/∂y_0| and |∂y_i/∂y_0|."""
    Y, Y_new, Z, Z_new, K, t, zeta = sp.symbols("Y Y_new Z Z_new K t zeta", nonnegative=True)
    premises = [(Z_new, Z + s * K * Y), (Z, zeta), (Y, t)]
    zeta_new = zeta + gain * s * K * t
    return all_of(
        {
            "z": follows((Z_new, zeta_new), premises, [ONE, ONE, s * K]),
            "y": follows(
                (Y_new, t + s * zeta_new), [(Y_new, Y + s * Z_new), *premises], [ONE, s, s, 1 + s**2 * K]
            ),
        }
    )


def closed_form(shift: sp.Expr = HALF) -> Decision:
    """t_i = cosh((i + ½)θ)/cosh(θ/2): t_0 = 1, t_1 = 1 + x, t_{i+1} = (2 + x) t_i − t_{i−1}, x = s²K = 2 cosh
    θ − 2.
    """

    def t(index: sp.Expr) -> sp.Expr:
        return chebyshev(index + shift) / chebyshev(HALF)

    return identities(
        {
            "t_0": (t(sp.Integer(0)), 1),
            "t_1": (t(ONE), 1 + growth()),
            "recursion": (t(i + 1), (2 + growth()) * t(i) - t(i - 1)),
        }
    )


def exponential(halving: int = 1) -> Decision:
    """cosh(x)/cosh(h) ≤ e^x: with X = e^x ≥ 1, H = e^h ≥ 1, cosh x ≤ X and cosh h ≥ 1."""
    more, rest = sp.symbols("more rest", nonnegative=True)
    X, H = 1 + more, 1 + rest
    cosh_X, cosh_H = (X + 1 / X) / 2, (H + 1 / H) / 2
    return all_of(
        {"numerator": at_least_zero(X - halving * cosh_X), "denominator": at_least_zero(cosh_H - 1)}
    )


def elliptic(limit: int = 4) -> Decision:
    """Constant slope: trace 2 − s²k, eigenvalues e^{±iφ} iff 0 < s²k < 4: 4 − trace² = s²k(4 − s²k)."""
    trace = _matrix().trace()
    return identity(4 - trace**2, s**2 * k * (limit - s**2 * k))


PROPOSITION = Proposition(
    name="unicornn_step",
    title="One step of UnICORNN",
    statement="The UnICORNN step has Jacobian determinant 1, is symplectic and exactly invertible, and "
    "|∂y_N/∂y_0| ≤ cosh((N + ½)θ)/cosh(θ/2) ≤ e^{(N + ½)s√K}, K = L|w| + α, cosh θ = 1 + s²K/2.",
    hypotheses={
        "diagonal": "each unit is coupled to itself only",
        "slope": "|σ'| ≤ L",
        "step": "s > 0, α ≥ 0",
    },
    source="ours; UnICORNN, Rusch and Mishra 2021",
    rests_on=("theorem_b",),
    steps=(
        Step("jacobian", "J = ((1 − s²k, s), (−sk, 1)) with k = wσ'(a) + α", jacobian,
             axioms=("chain_rule",)),
        Step("determinant", "det J = 1", determinant, ("jacobian",)),
        Step("symplectic", "JᵀΩJ = Ω", symplectic, ("jacobian",)),
        Step("undone", "the step is inverted by y = y' − s z', z = z' + s(…)", undone),
        Step("potential", "each unit has the potential ∫σ(wy + c) + αy²/2", potential),
        Step("slope_bound", "|k| ≤ L|w| + α = K", slope_bound, (), ("triangle",)),
        Step("induction", "the majorant with K survives a step", induction, ("jacobian", "slope_bound"),
             ("triangle", "induction")),
        Step("closed_form", "the majorant is cosh((i + ½)θ)/cosh(θ/2)", closed_form, ("induction",),
             ("induction",)),
        Step("exponential", "it is at most e^{(N + ½)θ}, and θ ≤ s√K (theorem B)", exponential,
             ("closed_form",)),
        Step("elliptic", "constant slope: bounded powers when 0 < s²k < 4", elliptic, ("determinant",), (),
             Role.REMARK),
    ),
    mutants=(
        Mutant("no_linear_term", "k without α", {"constant": sp.Integer(0)}),
        Mutant("plus", "entry 1 + s²k", {"corner": 1}),
        Mutant("scaled", "2J", {"scale": sp.Integer(2)}),
        Mutant("wrong_inverse", "y = y' + s z'", {"update": 1}),
        Mutant("hill", "potential with −αy²/2", {"sign": -1}),
        Mutant("no_offset", "K = L|w|", {"offset": sp.Integer(0)}),
        Mutant("half_gain", "majorant with K/2", {"gain": HALF}),
        Mutant("no_shift", "cosh(iθ)/cosh(θ/2)", {"shift": sp.Integer(0)}),
        Mutant("double_cosh", "2 cosh x ≤ e^x", {"halving": 2}),
        Mutant("limit_five", "stability limit 5", {"limit": 5}),
    ),
)  # fmt: skip
