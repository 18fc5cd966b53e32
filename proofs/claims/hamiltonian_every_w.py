"""Claim of the paper: ÿ = σ(Wy + b), equation (4), is a Hamiltonian system for every W. A 2×2 weight refutes
it.
"""

from __future__ import annotations

import sympy as sp

from integrators.fields.activations import ACTIVATIONS
from proofs import decide
from proofs.decision import Decision
from proofs.kernel.formulas import Equal, Known, Not, procedure
from proofs.kernel.mutants import sharper
from proofs.kernel.rules import SMOOTH
from proofs.proposition import Mutant, Proposition, Role, Step, Verdict, concluded
from proofs.symbols import square, vector
from proofs.theorems.hamiltonian import PROPOSITION as TRUE_STATEMENT
from proofs.theorems.hamiltonian import general_weight, jacobian, potential_gives_symmetry, symmetric_weight

SHARED_MUTANTS = ("two_potentials", "transposed_weight", "diagonal_as_general", "diagonal_as_exchange")
TANH = ACTIVATIONS["tanh"].symbolic
PLANE = vector("y", 2)
FORCE = (square("W", 2) * PLANE).applyfunc(TANH)
ACTIVATION = Known("σ = tanh, b = 0, d = 2, W arbitrary")
STATEMENT = Equal(sp.diff(FORCE[0], PLANE[1]), sp.diff(FORCE[1], PLANE[0])).called(
    "ÿ = σ(Wy + b) is a Hamiltonian system with H = ½|ẏ|² + f(y) for every W, so that the derivative of the "
    "force is symmetric"
)


@procedure
def typical(slopes: tuple[int, ...] = (1, 2, 3)) -> Decision:
    """Weights with symmetric D(u)W for every u satisfy d(d − 1)/2 equations each for two values of D; most W
    do not.

    Two diagonal matrices D = I and D = diag(1, 2, …) already force W_ij = W_ji and i W_ij = j W_ji, so W_ij =
    0 off the diagonal.
    """
    size = len(slopes)
    W = sp.Matrix(size, size, lambda i, j: sp.Symbol(f"W{i}{j}"))
    D = sp.diag(*slopes)
    equations = [*(W - W.T), *(D * W - (D * W).T)]
    solution = sp.solve(equations, list(W), dict=True)[0]
    off_diagonal = [W[i, j].subs(solution) for i in range(size) for j in range(size) if i != j]
    return decide.fact(
        bool(off_diagonal) and all(entry == 0 for entry in off_diagonal),
        off_diagonal,
        "linear equations solved",
    )


GENERAL = Step("general_weight", "W = ((0, 1), (−1, 0)), b = 0: D(u)W is not symmetric at y = 0, and "
                                 "the force "
               "does work around the unit square", general_weight, role=Role.COUNTEREXAMPLE)  # fmt: skip
FAILS = Not(STATEMENT, needs=(ACTIVATION,), example=GENERAL.claim.decision.counterexample)
STEPS = (
    Step("potential_gives_symmetry", "a Hamiltonian force has a symmetric derivative",
         potential_gives_symmetry, axioms=("mixed_partials",)),
    Step("jacobian", "DF = D(u)W", jacobian, axioms=("chain_rule",), premises=(SMOOTH,)),
    GENERAL,
    Step("symmetric_weight", "W = ((0, 1), (1, 0)): symmetric, and still a counterexample, at y = (1, 0)",
         symmetric_weight, role=Role.COUNTEREXAMPLE),
    Step("typical", "if D(u)W is symmetric for all positive diagonal D then W is diagonal (d = 3)", typical,
         role=Role.REMARK),
    Step("not_symmetric", FAILS, premises=(ACTIVATION,)),
)  # fmt: skip
CONCLUSION = concluded(STEPS, role=Role.COUNTEREXAMPLE)

PROPOSITION = Proposition(
    name="claim_hamiltonian_every_w",
    title="Claim: equation (4) is Hamiltonian whatever W",
    statement=STATEMENT,
    hypotheses={"any": ACTIVATION, "smooth": SMOOTH},
    source="equation (4) and the paragraph after it",
    expected=Verdict.REFUTED,
    rests_on=(TRUE_STATEMENT.name,),
    steps=(*STEPS, CONCLUSION),
    mutants=(
        *(mutant for mutant in TRUE_STATEMENT.mutants if mutant.name in SHARED_MUTANTS),
        Mutant("constant_slope", "σ' equal in all units (σ = identity)", {"slopes": (1, 1, 1)}),
        Mutant(
            "same_entry",
            "an entry compared with itself",
            {"not_symmetric": Not(Equal(STATEMENT.left, STATEMENT.left), needs=(ACTIVATION,))},
        ),
        *sharper((CONCLUSION,)),
    ),
)
