"""LinOSS with A = 0: both steps are the shear ((1, 0), (Δ, 1)), and ‖Mᴺ‖ grows like NΔ although |λ| = 1.

A = max(0, Â), a common parametrisation, gives exactly this wherever Â is negative.
"""

from __future__ import annotations

import sympy as sp

from proofs.kernel.formulas import All, AtMost, Equal, Formula, Implies, claim, identities
from proofs.kernel.mutants import sharper
from proofs.oscillators import SQUARE, N, Y, Z, dt, i, squared, step_matrix, x
from proofs.proposition import Mutant, Proposition, Step


@claim
def shear(stiffness: sp.Expr = sp.Integer(0)) -> Formula:
    """M = ((1, 0), (Δ, 1)) at A = 0, for both steps."""
    expected = sp.Matrix([[1, 0], [dt, 1]])
    return identities({name: (step_matrix(name, stiffness), expected) for name in ("im", "imex")})


STEP = All({"velocity": Equal(Z(i + 1), Z(i)), "position": Equal(Y(i + 1), Y(i) + dt * Z(i + 1))})


def after(index: sp.Expr) -> All:
    """The velocity stays, the position is Y(0) + iΔ Z(0)."""
    return All({"velocity": Equal(Z(index), Z(0)), "position": Equal(Y(index), Y(0) + index * dt * Z(0))})


INDUCTION = Implies(after(i), after(i + 1))
LOWER = Implies(Equal(Y(0), 0), Equal(squared(N), (1 + N**2 * dt**2) * squared(0)))
UPPER = AtMost(squared(N), (1 + N * dt) ** 2 * squared(0))
COMPUTED = (Step("shear", "at A = 0 the steps of LinOSS-IM and LinOSS-IMEX are ((1, 0), (Δ, 1))", shear),)
PARTS = (*(step.claim for step in COMPUTED), LOWER, UPPER)
STATEMENT = All.of(*PARTS).called(
    "√(1 + N²Δ²) ≤ ‖Mᴺ‖ ≤ 1 + NΔ for LinOSS-IM and LinOSS-IMEX at A = 0, whose eigenvalues are 1"
)
APART = SQUARE.at({x: Y(0) - Z(0)})
STEPS = (
    *COMPUTED,
    Step("start", after(sp.Integer(0))),
    Step("induction", INDUCTION, rule="linear", premises=(STEP,),
         numbers={"velocity": {"use": (0, 2), "multipliers": (1, 1)},
                  "position": {"use": (0, 1, 2, 3), "multipliers": (dt, 1, dt, 1)}}),
    Step("every_step", after(i), rule="induction", premises=(after(sp.Integer(0)), INDUCTION),
         numbers={"variable": i}),
    Step("at_N", after(N), rule="instance", premises=(after(i),), numbers={"values": {i: N}}),
    Step("lower", LOWER, rule="linear", premises=(after(N),), axioms=("largest_stretch",),
         numbers={"multipliers": (Z(N) + Z(0), Y(N) + Y(0) + N * dt * Z(0),
                                  2 * N * dt * Z(0) + Y(0) - (1 + N**2 * dt**2) * Y(0))}),
    Step("square", SQUARE),
    Step("apart", APART, rule="instance", premises=(SQUARE,), numbers={"values": {x: Y(0) - Z(0)}}),
    Step("upper", UPPER, rule="linear", premises=(after(N), APART), axioms=("largest_stretch",),
         numbers={"multipliers": (-(Z(N) + Z(0)), -(Y(N) + Y(0) + N * dt * Z(0)), N * dt),
                  "slack": N * dt * squared(0) + N**2 * dt**2 * Y(0) ** 2}),
    Step("conclusion", STATEMENT, rule="conjunction", premises=PARTS),
)  # fmt: skip

PROPOSITION = Proposition(
    name="linoss_shear",
    title="LinOSS at A = 0: linear growth",
    statement=STATEMENT,
    hypotheses={"step": STEP},
    source="ours; for Oscillatory State-Space Models, Rusch and Rus 2025, after Proposition 3.1",
    steps=STEPS,
    mutants=(Mutant("stiff", "A = 1", {"stiffness": sp.Integer(1)}), *sharper(STEPS)),
)
