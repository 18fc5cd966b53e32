"""Orthogonal networks: W = (I + A)⁻¹(I − A)S with Aᵀ = −A, S² = I is orthogonal, and modReLU does not expand
if b ≤ 0.

Real modReLU has slopes 0 and 1, so ‖∂h_N/∂h_0‖ ≤ 1 for every bias. Complex modReLU stretches tangentially by
1 + b/|z|, which is ≤ 1 iff b ≤ 0 and unbounded otherwise. At z = 0 both are the identity for b = 0, and zero
around it for b < 0; for b > 0 they jump there.
"""

from __future__ import annotations

import sympy as sp

from proofs.decide import all_of, at_least_zero, fact, follows, identities, identity, limit_is, proved
from proofs.proposition import Decision, Mutant, Proposition, Role, Step, Verdict

ONE = sp.Integer(1)
r, b = sp.Symbol("r", positive=True), sp.Symbol("b", real=True)


def cayley(transpose_sign: int = -1) -> Decision:
    """Any dimension: A is a commuting variable x, Aᵀ is −x; (1 + x)/(1 − x) · (1 − x)/(1 + x) = 1, then S² =
    I.
    """
    x = sp.Symbol("A")
    transposed = transpose_sign * x
    return identity((1 - transposed) / (1 + transposed) * (1 - x) / (1 + x), 1)


def cayley_three(symmetric_part: int = 0) -> Decision:
    """The same for d = 3, multiplied out with S = diag(1, 1, −1)."""
    p, q, s = sp.symbols("p q s", real=True)
    A = sp.Matrix([[0, p, q], [-p, 0, s], [-q, -s, 0]]) + symmetric_part * sp.diag(1, 2, 3)
    W = (sp.eye(3) + A).inv() * (sp.eye(3) - A) * sp.diag(1, 1, -1)
    return identity((W.T * W).applyfunc(sp.cancel), sp.eye(3))


def rotation(half: sp.Expr = sp.Rational(1, 2)) -> Decision:
    """A = ((0, s), (−s, 0)) with s = −tan(φ/2) gives the rotation by φ: the initialisation of scoRNN."""
    phi, tau = sp.symbols("phi tau", real=True)
    A = sp.Matrix([[0, -tau], [tau, 0]])
    W = (sp.eye(2) + A).inv() * (sp.eye(2) - A)
    double = {"cos": (1 - tau**2) / (1 + tau**2), "sin": 2 * tau / (1 + tau**2)}
    angle = 2 * half * phi
    pairs = {
        "W": (W, sp.Matrix([[double["cos"], double["sin"]], [-double["sin"], double["cos"]]])),
        "tan half angle": (sp.simplify(double["sin"].subs(tau, sp.tan(phi / 2)) - sp.sin(angle)), 0),
    }
    return identities(pairs)


def masked(largest_slope: int = 1) -> Decision:
    """D = diag(d_i), d_i² ≤ 1: |Dv|² ≤ |v|², component by component."""
    squares, v = sp.symbols("d_i_squared v_squared", nonnegative=True)
    return follows((squares * v, v), [(squares, largest_slope)], [v])


def product_bound(growth: sp.Expr = ONE) -> Decision:
    """‖J_{N−1} ⋯ J_0‖ ≤ 1 and ‖J_N‖ ≤ ‖D‖‖W‖ ≤ 1 give ‖J_N ⋯ J_0‖ ≤ 1."""
    total, new, factor = sp.symbols("total new factor", nonnegative=True)
    return follows((new, ONE), [(new, factor * total), (factor, growth), (total, 1)], [ONE, total, ONE])


def _modrelu() -> tuple[sp.Matrix, sp.Matrix, sp.Matrix]:
    """Derivative of z (|z| + b)/|z| on its active set, as a real 2×2 matrix, with z = r(c, s), and both
    directions.
    """
    x, y = sp.symbols("x y", real=True)
    radius = sp.sqrt(x**2 + y**2)
    value = sp.Matrix([x, y]) * (radius + b) / radius
    c, s = sp.symbols("c s", real=True)
    matrix = value.jacobian([x, y]).subs({x: r * c, y: r * s}, simultaneous=True)
    matrix = matrix.applyfunc(lambda e: sp.simplify(e.subs(sp.sqrt(c**2 * r**2 + s**2 * r**2), r)))
    matrix = matrix.subs(sp.sqrt(c**2 + s**2), 1).subs(c**2 + s**2, 1)
    return matrix, sp.Matrix([c, s]), sp.Matrix([-s, c])


def directions(tangential: sp.Expr = 1 + b / r) -> Decision:
    """Complex modReLU: eigenvalue 1 along z, 1 + b/|z| across it; the two directions are orthogonal."""
    matrix, along, across = _modrelu()
    on_circle = {sp.Symbol("s", real=True): sp.sqrt(1 - sp.Symbol("c", real=True) ** 2)}
    return identities(
        {
            "radial": ((matrix * along - along).subs(on_circle), sp.zeros(2, 1)),
            "tangential": ((matrix * across - tangential * across).subs(on_circle), sp.zeros(2, 1)),
            "orthogonal": (along.dot(across), 0),
            "symmetric": (matrix - matrix.T, sp.zeros(2)),
        }
    )


def contracts(bias_sign: int = -1) -> Decision:
    """b = −β ≤ 0 and |z| + b > 0: 0 ≤ 1 + b/|z| ≤ 1."""
    beta, active = sp.Symbol("beta", nonnegative=True), sp.Symbol("active", positive=True)
    radius = active + beta
    gain = 1 + bias_sign * beta / radius
    return all_of({"≥ 0": at_least_zero(gain), "≤ 1": at_least_zero(1 - gain)})


def expands(bias: sp.Expr = ONE) -> Decision:
    """b = 1: the tangential gain 1 + 1/|z| exceeds 1 and tends to ∞ as z → 0."""
    gain = 1 + bias / r
    found = all_of(
        {
            "limit": limit_is(gain.subs(r, 1 / r), r, sp.oo, sp.oo),
            "> 1": fact((gain - 1).is_positive, gain, "gain"),
        }
    )
    example = {"b": bias, "z": "any z ≠ 0", "gain across z": gain}
    return proved(found.computed, found.note, example) if found.proved else found


def reflection(coefficient: int = 2) -> Decision:
    """I − 2vvᵀ/|v|² is orthogonal (d = 3); with diagonal phases and the Fourier matrix it builds the unitary
    network.
    """
    v = sp.Matrix(sp.symbols("v:3", real=True))
    R = sp.eye(3) - coefficient * v * v.T / v.dot(v)
    return identity((R.T * R).applyfunc(sp.cancel), sp.eye(3))


PROPOSITION = Proposition(
    name="orthogonal_step",
    title="One step of orthogonal and unitary networks",
    statement="With W orthogonal (unitary) and modReLU, ‖∂h_N/∂h_0‖ ≤ 1 for every N and input.",
    hypotheses={
        "weight": "W = (I + A)⁻¹(I − A)S, A antisymmetric, S diagonal with entries ±1; or a product of "
        "reflections",
        "bias": "b ≤ 0 (needed for complex states only; real modReLU has slopes 0 and 1 for every b)",
    },
    source="ours; for scoRNN, uRNN and scuRNN",
    expected=Verdict.HOLDS_ONLY_IF,
    steps=(
        Step("cayley", "WᵀW = I in any dimension", cayley, axioms=("polynomials_commute",)),
        Step("cayley_three", "WᵀW = I for d = 3, multiplied out", cayley_three),
        Step("rotation", "2×2 blocks with −tan(φ/2) are rotations by φ", rotation, role=Role.REMARK),
        Step("reflection", "Householder reflections are orthogonal (d = 3)", reflection),
        Step("masked", "slopes 0 and 1 do not expand: ‖DW‖ ≤ 1", masked, ("cayley",)),
        Step("product_bound", "‖J_N ⋯ J_0‖ ≤ 1", product_bound, ("masked",),
             ("submultiplicative", "induction")),
        Step("directions", "complex modReLU has singular values 1 (along z) and 1 + b/|z| (across z)",
             directions, axioms=("orthogonal_basis",)),
        Step("contracts", "b ≤ 0 makes both at most 1 on the active set", contracts, ("directions",)),
        Step("expands", "b > 0: the gain 1 + b/|z| is unbounded as z → 0", expands, ("directions",), (),
             Role.NECESSITY, "b ≤ 0 (complex states)"),
    ),
    mutants=(
        Mutant("symmetric_generator", "Aᵀ = +A", {"transpose_sign": 1}),
        Mutant("mixed_generator", "A with a symmetric part", {"symmetric_part": 1}),
        Mutant("full_angle", "rotation by 2φ", {"half": ONE}),
        Mutant("projection", "I − vvᵀ/|v|²", {"coefficient": 1}),
        Mutant("steep", "slopes up to √2", {"largest_slope": 2}),
        Mutant("growing_factor", "‖J‖ ≤ 2", {"growth": sp.Integer(2)}),
        Mutant("wrong_gain", "tangential gain 1 − b/|z|", {"tangential": 1 - b / r}),
        Mutant("positive_bias", "b ≥ 0", {"bias_sign": 1}),
        Mutant("no_bias", "b = 0 as counterexample", {"bias": sp.Integer(0)}),
    ),
)  # fmt: skip
