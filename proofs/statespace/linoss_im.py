"""LinOSS with the implicit step: ‖Mᴺ‖ ≤ (1 + Δ²A)^(−N/2) max(√A, 1/√A).

The energy Z² + A Y² is divided by 1 + Δ²A in every step. Eigenvalues alone, of modulus (1 + Δ²A)^(−1/2), do
not say how far a norm may grow before it falls; the second factor does.
"""

from __future__ import annotations

import sympy as sp

from proofs.kernel.formulas import All, AtMost, Equal, Formula, Implies, claim, identities
from proofs.kernel.mutants import sharper
from proofs.oscillators import A, N, Y, Z, dt, i, squared, step_matrix
from proofs.proposition import Mutant, Proposition, Step

S, low, high = sp.symbols("S low high", positive=True)


def energy(index: sp.Expr) -> sp.Expr:
    """Z² + A Y² after that many steps."""
    return Z(index) ** 2 + A * Y(index) ** 2


@claim
def invariant(weight: sp.Expr = A) -> Formula:
    """MᵀQM = det(M) Q for Q = diag(1, A), and det M = 1/(1 + Δ²A)."""
    M, Q = step_matrix("im"), sp.diag(1, weight)
    return identities({"form": (M.T * Q * M, M.det() * Q), "det": (M.det(), 1 / (1 + dt**2 * A))})


STEP = All({"velocity": Equal(Z(i + 1), Z(i) - dt * A * Y(i + 1)),
            "position": Equal(Y(i + 1), Y(i) + dt * Z(i + 1))})  # fmt: skip
SIZE = Equal(S, 1 + dt**2 * A)
LOW, HIGH = All.of(AtMost(low, 1), AtMost(low, A)), All.of(AtMost(1, high), AtMost(A, high))
ONCE = Equal(S * energy(i + 1), energy(i))


def after(index: sp.Expr) -> Equal:
    """Sⁱ times the energy after i steps is the energy at the start."""
    return Equal(S**index * energy(index), energy(0))


INDUCTION = Implies(after(i), after(i + 1))
BOUND = AtMost(low * squared(N), high * S**-N * squared(0))
COMPUTED = (Step("invariant", "MᵀQM = det(M) Q with Q = diag(1, A), det M = 1/(1 + Δ²A)", invariant),)
PARTS = (*(step.claim for step in COMPUTED), BOUND)
STATEMENT = All.of(*PARTS).called(
    "‖Mᴺ‖ ≤ (1 + Δ²A)^(−N/2) max(√A, 1/√A) for LinOSS-IM: the squared length after N steps, from any start, "
    "with low = min(1, A) and high = max(1, A), whose quotient is max(A, 1/A)"
)
STEPS = (
    *COMPUTED,
    Step("once", ONCE, rule="linear", premises=(STEP, SIZE),
         numbers={"multipliers": (Z(i + 1) + dt * A * Y(i + 1) + Z(i), A * (Y(i + 1) - dt * Z(i + 1) + Y(i)),
                                  energy(i + 1))}),
    Step("start", after(sp.Integer(0))),
    Step("induction", INDUCTION, rule="linear", premises=(ONCE,), numbers={"multipliers": (S**i, 1)}),
    Step("every_step", after(i), rule="induction", premises=(after(sp.Integer(0)), INDUCTION),
         numbers={"variable": i}),
    Step("at_N", after(N), rule="instance", premises=(after(i),), numbers={"values": {i: N}}),
    Step("bound", BOUND, rule="linear", premises=(after(N), LOW, HIGH), axioms=("largest_stretch",),
         numbers={"multipliers": (-(S**-N), Z(N) ** 2, Y(N) ** 2, S**-N * Z(0) ** 2, S**-N * Y(0) ** 2)}),
    Step("conclusion", STATEMENT, rule="conjunction", premises=PARTS),
)  # fmt: skip

PROPOSITION = Proposition(
    name="linoss_im",
    title="LinOSS, implicit step: a norm with its constant",
    statement=STATEMENT,
    hypotheses={"step": STEP, "size": SIZE, "low": LOW, "high": HIGH},
    source="ours; for Oscillatory State-Space Models, Rusch and Rus 2025, Proposition 3.1",
    steps=STEPS,
    mutants=(Mutant("unweighted", "Q = I", {"weight": sp.Integer(1)}), *sharper(STEPS)),
)
