"""Orthogonal networks: W = (I + A)⁻¹(I − A)S with Aᵀ = −A, S² = I is orthogonal, and modReLU does not expand
if b ≤ 0.

Real modReLU has slopes 0 and 1, so ‖∂h_N/∂h_0‖ ≤ 1 for every bias. Complex modReLU stretches tangentially by
1 + b/|z|, which is ≤ 1 iff b ≤ 0 and unbounded otherwise. At z = 0 both are the identity for b = 0, and zero
around it for b < 0; for b > 0 they jump there.
"""

from __future__ import annotations

import sympy as sp

from proofs import decide
from proofs.decision import Decision
from proofs.kernel.formulas import (
    All,
    AtMost,
    Equal,
    Formula,
    Implies,
    Known,
    all_of,
    at_least_zero,
    claim,
    identities,
    identity,
    procedure,
)
from proofs.kernel.mutants import sharper
from proofs.kernel.norms import D, J, W, norm
from proofs.proposition import Mutant, Proposition, Role, Step, Verdict
from proofs.symbols import dsigma
from proofs.theorems.theorem_b import i, u

ONE = sp.Integer(1)
r, b = sp.Symbol("r", positive=True), sp.Symbol("b", real=True)


@claim
def cayley(transpose_sign: int = -1) -> Formula:
    """Any dimension: A is a commuting variable x, Aᵀ is −x; (1 + x)/(1 − x) · (1 − x)/(1 + x) = 1, then S² =
    I.
    """
    x = sp.Symbol("A")
    transposed = transpose_sign * x
    return identity((1 - transposed) / (1 + transposed) * (1 - x) / (1 + x), 1)


@claim
def cayley_three(symmetric_part: int = 0) -> Formula:
    """The same for d = 3, multiplied out with S = diag(1, 1, −1)."""
    p, q, s = sp.symbols("p q s", real=True)
    A = sp.Matrix([[0, p, q], [-p, 0, s], [-q, -s, 0]]) + symmetric_part * sp.diag(1, 2, 3)
    W = (sp.eye(3) + A).inv() * (sp.eye(3) - A) * sp.diag(1, 1, -1)
    return identity((W.T * W).applyfunc(sp.cancel), sp.eye(3))


@claim
def rotation(half: sp.Expr = sp.Rational(1, 2)) -> Formula:
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


@claim
def directions(tangential: sp.Expr = 1 + b / r) -> Formula:
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


@claim
def contracts(bias_sign: int = -1) -> Formula:
    """b = −β ≤ 0 and |z| + b > 0: 0 ≤ 1 + b/|z| ≤ 1."""
    beta, active = sp.Symbol("beta", nonnegative=True), sp.Symbol("active", positive=True)
    radius = active + beta
    gain = 1 + bias_sign * beta / radius
    return all_of({"≥ 0": at_least_zero(gain), "≤ 1": at_least_zero(1 - gain)})


@procedure
def expands(bias: sp.Expr = ONE) -> Decision:
    """b = 1: the tangential gain 1 + 1/|z| exceeds 1 and tends to ∞ as z → 0."""
    gain = 1 + bias / r
    found = decide.all_of(
        {
            "limit": decide.limit_is(gain.subs(r, 1 / r), r, sp.oo, sp.oo),
            "> 1": decide.fact((gain - 1).is_positive, gain, "gain"),
        }
    )
    example = {"b": bias, "z": "any z ≠ 0", "gain across z": gain}
    return decide.proved(found.computed, found.note, example) if found.proved else found


@claim
def reflection(coefficient: int = 2) -> Formula:
    """I − 2vvᵀ/|v|² is orthogonal (d = 3); with diagonal phases and the Fourier matrix it builds the unitary
    network.
    """
    v = sp.Matrix(sp.symbols("v:3", real=True))
    R = sp.eye(3) - coefficient * v * v.T / v.dot(v)
    return identity((R.T * R).applyfunc(sp.cancel), sp.eye(3))


W_ADJOINT = sp.Symbol("W*", commutative=False)
"""The transpose of a real W, the adjoint of a complex one."""
ORTHOGONAL = Equal(W_ADJOINT * W, 1)
BIAS = Known("b ≤ 0 (complex states)")
SLOPES = AtMost(sp.Abs(dsigma(u)), 1)
"""Real modReLU has slopes 0 and 1 for every b; the slopes of a complex one are its singular values."""
PRODUCT = All({"first": Equal(J(0), 1), "later": Equal(J(i + 1), D(i) * W * J(i))})
NORM_W, NORM_D, NORM_FIRST = AtMost(norm(W), 1), AtMost(norm(D(i)), 1), AtMost(norm(J(0)), 1)
NORM_NEXT = AtMost(norm(J(i + 1)), norm(D(i)) * norm(W) * norm(J(i)))
BOUND = AtMost(norm(J(i)), 1)
INDUCTION = Implies(BOUND, BOUND.at({i: i + 1}))

COMPUTED = (
    Step("cayley", "W = (I + A)⁻¹(I − A)S has WᵀW = I in any dimension, for Aᵀ = −A, S diagonal with "
                   "entries ±1",
         cayley, axioms=("polynomials_commute",)),
    Step("cayley_three", "the same for d = 3, multiplied out", cayley_three),
    Step("rotation", "2×2 blocks with −tan(φ/2) are rotations by φ", rotation, role=Role.REMARK),
    Step("reflection", "Householder reflections are orthogonal (d = 3)", reflection),
    Step("directions", "complex modReLU has singular values 1 (along z) and 1 + b/|z| (across z)", directions,
         axioms=("orthogonal_basis",)),
    Step("contracts", "b ≤ 0 makes both at most 1 on the active set, so that |σ'| ≤ 1", contracts,
         premises=(BIAS,)),
    Step("expands", "b > 0: the gain 1 + b/|z| is unbounded as z → 0", expands, role=Role.NECESSITY,
         condition="b ≤ 0 (complex states)"),
)  # fmt: skip
PARTS = (BOUND, *(step.claim for step in COMPUTED))
STATEMENT = All.of(*PARTS).called(
    "with W orthogonal (unitary) and modReLU, ‖J_N‖ ≤ 1 for J_N = ∂h_N/∂h_0, every N and input"
)
STEPS = (
    *COMPUTED,
    Step("weight", NORM_W, rule="orthogonal", premises=(ORTHOGONAL,), numbers={"pair": [W_ADJOINT, W]}),
    Step("masked", NORM_D, rule="diagonal", premises=(SLOPES,)),
    Step("first", PRODUCT.parts()[0], rule="part", premises=(PRODUCT,)),
    Step("later", PRODUCT.parts()[1], rule="part", premises=(PRODUCT,)),
    Step("norm_first", NORM_FIRST, rule="norm", premises=(PRODUCT.parts()[0],)),
    Step("norm_later", NORM_NEXT, rule="norm", premises=(PRODUCT.parts()[1],)),
    Step("product_step", INDUCTION, rule="linear", premises=(NORM_NEXT, NORM_D, NORM_W),
         numbers={"multipliers": (1, norm(W) * norm(J(i)), norm(J(i)), 1)}),
    Step("product_bound", BOUND, rule="induction", premises=(NORM_FIRST, INDUCTION),
         numbers={"variable": i}),
    Step("conclusion", STATEMENT, rule="conjunction", premises=PARTS),
)  # fmt: skip

PROPOSITION = Proposition(
    name="orthogonal_step",
    title="One step of orthogonal and unitary networks",
    statement=STATEMENT,
    hypotheses={"weight": ORTHOGONAL, "product": PRODUCT, "slopes": SLOPES, "bias": BIAS},
    source="ours; for scoRNN, uRNN and scuRNN",
    expected=Verdict.HOLDS_ONLY_IF,
    steps=STEPS,
    mutants=(
        Mutant("symmetric_generator", "Aᵀ = +A", {"transpose_sign": 1}),
        Mutant("mixed_generator", "A with a symmetric part", {"symmetric_part": 1}),
        Mutant("full_angle", "rotation by 2φ", {"half": ONE}),
        Mutant("projection", "I − vvᵀ/|v|²", {"coefficient": 1}),
        Mutant("wrong_gain", "tangential gain 1 − b/|z|", {"tangential": 1 - b / r}),
        Mutant("positive_bias", "b ≥ 0", {"bias_sign": 1}),
        Mutant("no_bias", "b = 0 as counterexample", {"bias": sp.Integer(0)}),
        *sharper(STEPS),
    ),
)
