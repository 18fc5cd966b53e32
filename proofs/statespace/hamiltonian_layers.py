"""Hamiltonian layers: the step of H2 is symplectic, and a symplectic M has ‖M‖ ≥ 1; the step of H1 is not.

H2 moves one half of the state and then the other; each half is a shear with a symmetric matrix h KDKᵀ, for
blocks of any dimension. H1 is explicit Euler for the same equation, and MᵀJM − J = h² SJS.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from proofs import decide
from proofs.blocks import block, omega
from proofs.decision import Decision
from proofs.kernel.formulas import All, AtMost, Equal, Formula, Known, claim, identities, procedure
from proofs.kernel.mutants import sharper
from proofs.kernel.norms import norm
from proofs.kernel.rules import SMOOTH
from proofs.proposition import Mutant, Proposition, Role, Step, Verdict
from proofs.symbols import dsigma, sigma, square, vector

h = sp.Symbol("h", positive=True)
J, M, Mt, F, Ft = (block(name) for name in ("J", "M", "Mt", "F", "Ft"))
ONE = sp.Integer(1)


def _shears(upper: Any, lower: Any) -> tuple[sp.Matrix, sp.Matrix]:
    """The two halves of H2 on (y, z): z += h K₁σ(K₁ᵀy + b₁), then y −= h K₂σ(K₂ᵀz + b₂)."""
    return sp.Matrix([[1, 0], [h * lower, 1]]), sp.Matrix([[1, -h * upper], [0, 1]])


@claim
def slopes(transposed: int = 1) -> Formula:
    """∂/∂y of Kσ(Kᵀy + b) is K D Kᵀ with D = diag σ', which is symmetric (d = 2, with a K of any entries)."""
    K, y, b = square("K", 2), vector("y", 2), vector("b", 2)
    inner = (K.T if transposed else K) * y + b
    found = (K * inner.applyfunc(sigma)).jacobian(y)
    D = sp.diag(*(K.T * y + b).applyfunc(dsigma))
    return identities({"derivative": (found, K * D * K.T), "symmetric": (K * D * K.T, (K * D * K.T).T)})


@claim
def shears(sign: int = 1) -> Formula:
    """FᵀJF = J for both halves, with symmetric blocks S of any dimension, and so for their product."""
    upper, lower = block("Upper"), block("Lower")
    first, second = _shears(upper, lower)
    first_t, second_t = sp.Matrix([[1, h * lower], [0, 1]]), sp.Matrix([[1, 0], [-sign * h * upper, 1]])
    whole, whole_t = second * first, first_t * second_t
    return identities({"first": ((first_t * omega() * first).expand(), omega()),
                       "second": ((second_t * omega() * second).expand(), omega()),
                       "both": ((whole_t * omega() * whole).expand(), omega())})  # fmt: skip


@claim
def defect_of_h1(order: int = 2) -> Formula:
    """M = I + hJS, Mᵀ = I − hSJ: MᵀJM − J = h² SJS, for S = ((a, r), (rᵀ, c)) of blocks of any dimension."""
    a, r, rt, c = (block(name) for name in ("a", "r", "rt", "c"))
    S = sp.Matrix([[a, r], [rt, c]])
    step, step_t = sp.eye(2) + h * omega() * S, sp.eye(2) - h * S * omega()
    return identities({"defect": ((step_t * omega() * step - omega()).expand(),
                                  (h**order * S * omega() * S).expand())})  # fmt: skip


@procedure
def h1_is_not_symplectic(slope: sp.Expr = ONE) -> Decision:
    """h = 1, S = I: MᵀJM − J = J is not 0, and det M = 2."""
    S = slope * sp.eye(2)
    step = sp.eye(2) + omega() * S
    found = step.T * omega() * step - omega()
    example = {"h": 1, "S": S.tolist(), "M": step.tolist(), "MᵀJM − J": found.tolist(), "det M": step.det()}
    answer = decide.fact(found != sp.zeros(2), found, "MᵀJM − J")
    return decide.proved(answer.computed, answer.note, example) if answer.proved else answer


SEMI = Known("the step is that of H2")
SYMPLECTIC = Equal(Mt * J * M, J).called("M is a product of such steps")
TURNED = Equal(J, Mt * J * M)
ANOTHER = Equal(J, Ft * J * F).called("F is one more step")
LONGER = Equal(Mt * J * M, Mt * Ft * J * F * M)
PRODUCT = Equal(J, Mt * Ft * J * F * M)
UNIT = Equal(norm(J), 1).called("JᵀJ = I")
TRANSPOSED = Equal(norm(Mt), norm(M)).called("Mt is the transpose of M")
LENGTH = AtMost(norm(J), norm(Mt) * norm(J) * norm(M))
SQUARED = AtMost(1, norm(M) ** 2)
COMPUTED = (
    Step("slopes", "∂/∂y of Kσ(Kᵀy + b) is KDKᵀ, symmetric", slopes, axioms=("chain_rule",),
         premises=(SMOOTH,)),
    Step("shears", "both halves of H2, and their product, are symplectic", shears, premises=(SEMI,)),
    Step("defect_of_h1", "H1: MᵀJM − J = h² SJS", defect_of_h1, role=Role.REMARK),
    Step("h1_is_not_symplectic", "H1 with h = 1 and S = I is not symplectic", h1_is_not_symplectic,
         role=Role.NECESSITY, condition=str(SEMI)),
)  # fmt: skip
PARTS = (*(step.claim for step in COMPUTED), PRODUCT, SQUARED)
STATEMENT = All.of(*PARTS).called(
    "MᵀJM = J for every product M of steps of H2, with any K, b and h, and hence ‖M‖ ≥ 1: the gradient by "
    "the whole state cannot vanish"
)
STEPS = (
    *COMPUTED,
    Step("longer", LONGER, rule="multiplied", premises=(ANOTHER,), numbers={"left": Mt, "right": M}),
    Step("product", PRODUCT, rule="substituted", premises=(LONGER, SYMPLECTIC),
         axioms=("induction",)),
    Step("turned", TURNED, rule="linear", premises=(SYMPLECTIC,), numbers={"multipliers": (-1,)}),
    Step("length", LENGTH, rule="norm", premises=(TURNED,)),
    Step("squared", SQUARED, rule="linear", premises=(LENGTH, UNIT, TRANSPOSED),
         numbers={"multipliers": (1, 1 - norm(Mt) * norm(M), -norm(M))}),
    Step("conclusion", STATEMENT, rule="conjunction", premises=PARTS),
)  # fmt: skip

PROPOSITION = Proposition(
    name="hamiltonian_layers",
    title="Hamiltonian layers: gradients that cannot vanish",
    statement=STATEMENT,
    hypotheses={
        "smooth": SMOOTH,
        "semi": SEMI,
        "symplectic": SYMPLECTIC,
        "another": ANOTHER,
        "unit": UNIT,
        "transposed": TRANSPOSED,
    },
    source="Hamiltonian Deep Neural Networks, Galimberti et al. 2023, for H2; ours for H1",
    expected=Verdict.HOLDS_ONLY_IF,
    steps=STEPS,
    mutants=(
        Mutant("not_a_gradient", "Kσ(Ky + b)", {"transposed": 0}),
        Mutant("wrong_transpose", "the transpose of the second half with the other sign", {"sign": -1}),
        Mutant("third_order", "h³ SJS", {"order": 3}),
        Mutant("flat", "S = 0 as the counterexample", {"slope": sp.Integer(0)}),
        *sharper(STEPS),
    ),
)
