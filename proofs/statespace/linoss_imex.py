"""LinOSS with the symplectic step: ‖Mᴺ‖ ≤ √κ(Q) for every N while Δ²A < 4, where MᵀQM = Q.

Q = ((1, −ΔA/2), (−ΔA/2, A)) has the eigenvalues 1 − μ² and 1 + ν², where A = 1 − μ² + ν² and ΔA = 2μν. The
rate does not depend on A, the constant does: it tends to ∞ as A → 0 and as Δ²A → 4.
"""

from __future__ import annotations

import sympy as sp

from proofs.kernel.formulas import All, AtMost, Equal, Formula, Implies, claim, identities
from proofs.kernel.mutants import sharper
from proofs.oscillators import SQUARE, A, N, Y, Z, dt, i, squared, step_matrix, x
from proofs.proposition import Mutant, Proposition, Role, Step

mu, nu, gap = sp.symbols("mu nu gap", positive=True)
CROSS = -dt * A / 2


def energy(index: sp.Expr) -> sp.Expr:
    """Z² − ΔA Z Y + A Y² after that many steps."""
    return Z(index) ** 2 - dt * A * Z(index) * Y(index) + A * Y(index) ** 2


@claim
def invariant(cross: sp.Expr = CROSS) -> Formula:
    """MᵀQM = Q and det M = 1."""
    M, Q = step_matrix("imex"), sp.Matrix([[1, cross], [cross, A]])
    return identities({"form": (M.T * Q * M, Q), "det": (M.det(), 1), "trace": (M.trace(), 2 - dt**2 * A)})


@claim
def jordan_block(limit: int = 4) -> Formula:
    """At Δ²A = 4, (M + I)² = 0 and M + I is not 0: ‖Mᴺ‖ grows like N."""
    M = step_matrix("imex", stiffness=limit / dt**2) + sp.eye(2)
    return identities({"square": (M * M, sp.zeros(2)), "not zero": (M[1, 0], dt)})


STEP = All({"velocity": Equal(Z(i + 1), Z(i) - dt * A * Y(i)),
            "position": Equal(Y(i + 1), Y(i) + dt * Z(i + 1))})  # fmt: skip
ROOTS = All({"sum": Equal(A, 1 - mu**2 + nu**2), "product": Equal(dt * A, 2 * mu * nu)}).called(
    "1 − μ² and 1 + ν² are the eigenvalues of Q"
)
LIMIT = Equal(dt**2 * A, 4 - gap).called("Δ²A < 4")
ONCE = Equal(energy(i + 1), energy(i))


def after(index: sp.Expr) -> Equal:
    """The energy after i steps is that at the start."""
    return Equal(energy(index), energy(0))


INDUCTION = Implies(after(i), after(i + 1))
DETERMINANT = Equal((1 - mu**2) * (1 + nu**2), A * gap / 4)
DIFFERENCE = Equal((mu**2 + nu**2) ** 2, (1 - A) ** 2 + dt**2 * A**2)
LOWER = AtMost((1 - mu**2) * squared(N), energy(N))
UPPER = AtMost(energy(0), (1 + nu**2) * squared(0))
STRETCH = AtMost((1 - mu**2) * squared(N), (1 + nu**2) * squared(0))
BOUND = AtMost(A * gap / 4 * squared(N), (1 + nu**2) ** 2 * squared(0))
AFTER, BEFORE = mu * Z(N) - nu * Y(N), nu * Z(0) + mu * Y(0)
COMPUTED = (
    Step("invariant", "MᵀQM = Q with Q = ((1, −ΔA/2), (−ΔA/2, A))", invariant),
    Step("jordan_block", "at Δ²A = 4, M is a Jordan block of −1", jordan_block, role=Role.REMARK),
)
PARTS = (*(step.claim for step in COMPUTED), STRETCH, DETERMINANT, DIFFERENCE, BOUND)
STATEMENT = All.of(*PARTS).called(
    "‖Mᴺ‖ ≤ √κ(Q) for LinOSS-IMEX with Δ²A < 4, for every N: with the eigenvalues 1 − μ² and 1 + ν² of Q, "
    "whose product is A(4 − Δ²A)/4 and whose difference is r = √((1 − A)² + Δ²A²), κ(Q) = (1 + ν²)/(1 − μ²) "
    "= ((1 + A) + r)/((1 + A) − r)"
)
STEPS = (
    *COMPUTED,
    Step("once", ONCE, rule="linear", premises=(STEP,),
         numbers={"multipliers": (Z(i + 1) + Z(i), A * (Y(i + 1) + Y(i)))}),
    Step("start", after(sp.Integer(0))),
    Step("induction", INDUCTION, rule="linear", premises=(ONCE,), numbers={"multipliers": (1, 1)}),
    Step("every_step", after(i), rule="induction", premises=(after(sp.Integer(0)), INDUCTION),
         numbers={"variable": i}),
    Step("at_N", after(N), rule="instance", premises=(after(i),), numbers={"values": {i: N}}),
    Step("determinant", DETERMINANT, rule="linear", premises=(ROOTS, LIMIT),
         numbers={"multipliers": (-1, (dt * A + 2 * mu * nu) / 4, -A / 4)}),
    Step("difference", DIFFERENCE, rule="linear", premises=(ROOTS,),
         numbers={"multipliers": (1 - A + mu**2 - nu**2, -(dt * A + 2 * mu * nu))}),
    Step("square", SQUARE),
    Step("square_after", SQUARE.at({x: AFTER}), rule="instance", premises=(SQUARE,),
         numbers={"values": {x: AFTER}}),
    Step("square_before", SQUARE.at({x: BEFORE}), rule="instance", premises=(SQUARE,),
         numbers={"values": {x: BEFORE}}),
    Step("lower", LOWER, rule="linear", premises=(ROOTS, SQUARE.at({x: AFTER})),
         numbers={"multipliers": (Y(N) ** 2, -Z(N) * Y(N), 1)}),
    Step("upper", UPPER, rule="linear", premises=(ROOTS, SQUARE.at({x: BEFORE})),
         numbers={"multipliers": (-(Y(0) ** 2), Z(0) * Y(0), 1)}),
    Step("stretch", STRETCH, rule="linear", axioms=("largest_stretch",), premises=(LOWER, after(N), UPPER),
         numbers={"multipliers": (1, -1, 1)}),
    Step("bound", BOUND, rule="linear", premises=(STRETCH, DETERMINANT),
         numbers={"multipliers": (1 + nu**2, squared(N))}),
    Step("conclusion", STATEMENT, rule="conjunction", premises=PARTS),
)  # fmt: skip

PROPOSITION = Proposition(
    name="linoss_imex",
    title="LinOSS, symplectic step: a bounded norm with its constant",
    statement=STATEMENT,
    hypotheses={"step": STEP, "roots": ROOTS, "limit": LIMIT},
    source="ours; for Oscillatory State-Space Models, Rusch and Rus 2025, Proposition E.1",
    steps=STEPS,
    mutants=(
        Mutant("no_cross_term", "Q = diag(1, A)", {"cross": sp.Integer(0)}),
        Mutant("limit_three", "a Jordan block at Δ²A = 3", {"limit": 3}),
        *sharper(STEPS),
    ),
)
