"""When ÿ = σ(Wy + b) is Hamiltonian: exactly when D(u)W = diag(σ'(Wy + b)) W is symmetric for every y.

That holds for d = 1 and for diagonal W. It fails for general W, already 2×2, and even for most symmetric W.
The system ÿ = −Wᵀσ(Wy + b) is Hamiltonian for every W.
"""

from __future__ import annotations

import sympy as sp

from integrators.fields.activations import ACTIVATIONS
from proofs import decide
from proofs.kernel.formulas import Formula, Known, claim, identities, identity, procedure
from proofs.kernel.mutants import sharper
from proofs.kernel.rules import SMOOTH
from proofs.proposition import Decision, Mutant, Proposition, Role, Step, Verdict, concluded
from proofs.symbols import dsigma, primitive, sigma, square, vector

t, s = sp.symbols("t s", real=True)
ROTATION, EXCHANGE = sp.Matrix([[0, 1], [-1, 0]]), sp.Matrix([[0, 1], [1, 0]])


def _setting(d: int, diagonal: bool = False) -> tuple[sp.Matrix, sp.Matrix, sp.Matrix]:
    """Symbols y, W and the pre-activation u = Wy + b in d dimensions."""
    y, W = vector("y", d), square("W", d)
    W = sp.diag(*W.diagonal()) if diagonal else W
    return y, W, W * y + vector("b", d)


@claim
def potential_gives_symmetry(last: int = 1) -> Formula:
    """If F = −∇f then ∂F_0/∂y_1 = ∂F_1/∂y_0; any pair of coordinates is this pair."""
    y = sp.symbols("y:2", real=True)
    f = sp.Function("f")(*y)
    force = [-sp.diff(f, y[0]), -last * sp.diff(f, y[1])]
    return identity(sp.diff(force[0], y[1]), sp.diff(force[1], y[0]))


@claim
def symmetry_gives_potential(symmetric: bool = True) -> Formula:
    """f(y) = −∫_0^1 y·F(sy) ds has ∂_i f = −∫ d/ds (s F_i(sy)) ds = −F_i, when the derivatives J of F are
    symmetric.
    """
    d = 3
    y, F = sp.symbols("y:3", real=True), sp.symbols("F:3", real=True)
    J = sp.Matrix(
        d, d, lambda i, j: sp.Symbol(f"J{min(i, j)}{max(i, j)}" if symmetric else f"J{i}{j}", real=True)
    )
    pairs = {}
    for i in range(d):
        gradient = F[i] + s * sum(y[j] * J[j, i] for j in range(d))
        exact = F[i] + s * sum(J[i, j] * y[j] for j in range(d))
        pairs[f"component {i}"] = (gradient, exact)
    return identities(pairs)


@claim
def jacobian(transpose: bool = False) -> Formula:
    """The derivative of y ↦ σ(Wy + b) is D(u) W."""
    y, W, u = _setting(3)
    D = sp.diag(*u.applyfunc(dsigma))
    return identity(u.applyfunc(sigma).jacobian(y), D * (W.T if transpose else W))


def _work(W: sp.Matrix) -> sp.Expr:
    """Work of F(y) = tanh(Wy) along the square (0,0) → (1,0) → (1,1) → (0,1) → (0,0)."""
    tanh = ACTIVATIONS["tanh"].symbolic

    def force(x: sp.Expr, y: sp.Expr) -> sp.Matrix:
        return (W * sp.Matrix([x, y])).applyfunc(tanh)

    there = force(s, 0)[0] + force(1, s)[1]
    back = force(1 - s, 1)[0] + force(0, 1 - s)[1]
    return sp.simplify(sp.integrate(sp.expand(there - back), (s, 0, 1)))


def _asymmetry(W: sp.Matrix, point: tuple[sp.Expr, sp.Expr]) -> Decision:
    """Decide that D(u)W is not symmetric at ``point`` for σ = tanh, b = 0."""
    x = sp.Dummy("x", real=True)
    slope = sp.diff(ACTIVATIONS["tanh"].symbolic(x), x)
    u = W * sp.Matrix(point)
    DW = sp.diag(*[slope.subs(x, entry) for entry in u]) * W
    defect = sp.simplify((DW[0, 1] - DW[1, 0]).rewrite(sp.exp))
    example = {
        "σ": "tanh",
        "b": [0, 0],
        "W": W.tolist(),
        "y": list(point),
        "D(u)W": DW.tolist(),
        "(D(u)W)_01 − (D(u)W)_10": defect,
    }
    return decide.fact(defect != 0 and abs(sp.N(defect, 30)) > 0, defect, "(D(u)W)_01 − (D(u)W)_10", example)


@procedure
def general_weight(rotation: sp.Matrix = ROTATION) -> Decision:
    """W = ((0, 1), (−1, 0)): D(u)W is not symmetric, and a closed loop does work."""
    symmetric = _asymmetry(rotation, (sp.Integer(0), sp.Integer(0)))
    work = _work(rotation)
    combined = decide.all_of(
        {
            "D(u)W": symmetric,
            "work around a square": decide.fact(work != 0, work, "work around a closed loop"),
        }
    )
    if not combined.proved:
        return combined
    return decide.proved(
        combined.computed, combined.note, {**symmetric.counterexample, "work around the unit square": work}
    )


@procedure
def symmetric_weight(exchange: sp.Matrix = EXCHANGE) -> Decision:
    """W = ((0, 1), (1, 0)) is symmetric, D(u)W is not: σ' is taken at two different points."""
    return _asymmetry(exchange, (sp.Integer(1), sp.Integer(0)))


@claim
def diagonal(diagonal_weight: bool = True) -> Formula:
    """For diagonal W, D(u)W is diagonal, hence symmetric."""
    y, _, u = _setting(3, diagonal_weight)
    DF = u.applyfunc(sigma).jacobian(y)
    return identity(DF, DF.T)


@claim
def scalar(sign: int = -1) -> Formula:
    """d = 1: ½ẏ² + f(y), f' = −σ(W· + b), is constant; this is the H of (4)."""
    W, b = sp.symbols("W b", real=True)
    y, f = sp.Function("y", real=True)(t), sp.Function("f", real=True)
    force = sigma(W * y + b)
    rate = sp.diff(sp.diff(y, t) ** 2 / 2 + f(y), t)
    return identity(rate.subs({sp.diff(y, t, 2): force, sp.diff(f(y), y): sign * force}), 0)


@claim
def repair(transposed: bool = True) -> Formula:
    """f(y) = Σ_i Σ(u_i) with Σ' = σ has ∇f = Wᵀσ(Wy + b), for every W."""
    y, W, u = _setting(3)
    potential = sum(primitive(entry) for entry in u)
    gradient = sp.Matrix([sp.diff(potential, entry) for entry in y])
    return identity(gradient, (W.T if transposed else W) * u.applyfunc(sigma))


SYMMETRIC = Known("D(u)W is symmetric for every y")
"""Here u = Wy + b and D(u) = diag σ'(u)."""
HYPOTHESES = {"smooth": SMOOTH, "symmetric": SYMMETRIC}
STEPS = (
    Step(
        "potential_gives_symmetry",
        "F = −∇f implies that DF is symmetric",
        potential_gives_symmetry,
        axioms=("mixed_partials",),
    ),
    Step(
        "symmetry_gives_potential",
        "DF symmetric implies F = −∇f with f(y) = −∫_0^1 y·F(sy) ds",
        symmetry_gives_potential,
        axioms=("fundamental_theorem",),
        premises=(SYMMETRIC,),
    ),
    Step(
        "jacobian", "DF = D(u)W (entry by entry, d = 3)", jacobian, axioms=("chain_rule",), premises=(SMOOTH,)
    ),
    Step(
        "general_weight",
        "W = ((0, 1), (−1, 0)), σ = tanh: D(u)W is not symmetric and energy can be drawn from a closed loop",
        general_weight,
        role=Role.NECESSITY,
        condition="D(u)W is symmetric for every y",
    ),
    Step(
        "symmetric_weight",
        "a symmetric W is not enough: W = ((0, 1), (1, 0)), σ = tanh, y = (1, 0)",
        symmetric_weight,
        role=Role.NECESSITY,
        condition="D(u)W is symmetric for every y",
    ),
    Step("diagonal", "diagonal W qualifies", diagonal, role=Role.REMARK, premises=(SMOOTH,)),
    Step("scalar", "d = 1 qualifies, with H = ½ẏ² − ∫σ", scalar, role=Role.REMARK),
    Step(
        "repair",
        "ÿ = −Wᵀσ(Wy + b) is Hamiltonian for every W, with potential Σ_i ∫σ(u_i)",
        repair,
        axioms=("chain_rule",),
        role=Role.REMARK,
    ),
)
CONCLUSION = concluded(STEPS, "ÿ = F(y), F(y) = σ(Wy + b), has the form ẏ = p, ṗ = −∇f(y).")

PROPOSITION = Proposition(
    name="hamiltonian",
    title="When the second-order network is Hamiltonian",
    statement=CONCLUSION.claim,
    hypotheses=HYPOTHESES,
    source="equation (4) and the paragraph after it",
    expected=Verdict.HOLDS_ONLY_IF,
    steps=(*STEPS, CONCLUSION),
    mutants=(
        Mutant("two_potentials", "second component of F from the potential 2f", {"last": 2}),
        Mutant("asymmetric_derivative", "DF not symmetric", {"symmetric": False}),
        Mutant("transposed_weight", "DF = D(u)Wᵀ", {"transpose": True}),
        Mutant("diagonal_as_general", "diagonal W offered as counterexample", {"rotation": sp.diag(1, -1)}),
        Mutant(
            "diagonal_as_exchange", "diagonal W offered as second counterexample", {"exchange": sp.diag(1, 2)}
        ),
        Mutant("full_weight", "diagonal case with a full W", {"diagonal_weight": False}),
        Mutant("plus_potential", "H = ½ẏ² + ∫σ", {"sign": 1}),
        Mutant("plain_weight", "gradient Wσ(Wy + b)", {"transposed": False}),
        *sharper((CONCLUSION,)),
    ),
)
