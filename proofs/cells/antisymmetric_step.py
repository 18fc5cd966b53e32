"""Antisymmetric network, one Euler step: with constant slopes (D = I) it does not expand iff ε(γ² + ω²) ≤ 2γ.

M = S − γI, S = −Sᵀ with largest frequency ω: I + εM is normal with eigenvalues 1 − εγ ± iεω. The rule gives a
value for γ where the paper says there is no heuristic: γ ≈ εω²/2. For general slopes D no such rule can hold.
"""

from __future__ import annotations

import sympy as sp

from proofs import decide
from proofs.blocks import block, eps
from proofs.kernel.formulas import Formula, Known, at_least_zero, claim, identities, identity, procedure
from proofs.kernel.mutants import sharper
from proofs.proposition import Decision, Mutant, Proposition, Role, Step, Verdict, concluded

gamma, omega = sp.Symbol("gamma", positive=True), sp.Symbol("omega", nonnegative=True)
EXCESS = (1 - eps * gamma) ** 2 + eps**2 * omega**2 - 1


@claim
def normal(transpose_sign: int = -1) -> Formula:
    """(I + ε(S − γI))ᵀ commutes with it when Sᵀ = −S; blocks of any dimension."""
    S = block("S")
    M, Mt = 1 + eps * (S - gamma), 1 + eps * (transpose_sign * S - gamma)
    commutator = sp.expand(M * Mt - Mt * M)
    square = sp.expand(Mt * M - ((1 - eps * gamma) ** 2 - eps**2 * S**2))
    return identities({"normal": (commutator, 0), "MᵀM = (1 − εγ)² − ε²S²": (square, 0)})


@claim
def eigenvalues(frequency: sp.Expr = omega) -> Formula:
    """On a plane where S acts as ω((0, 1), (−1, 0)): characteristic polynomial (λ − 1 + εγ)² + ε²ω²."""
    lam = sp.Symbol("lambda")
    block2 = sp.eye(2) + eps * (omega * sp.Matrix([[0, 1], [-1, 0]]) - gamma * sp.eye(2))
    return identity((block2 - lam * sp.eye(2)).det(), (lam - 1 + eps * gamma) ** 2 + eps**2 * frequency**2)


@claim
def modulus(damping_factor: int = 2) -> Formula:
    """|λ|² − 1 = ε(ε(γ² + ω²) − 2γ)."""
    return identity(EXCESS, eps * (eps * (gamma**2 + omega**2) - damping_factor * gamma))


@claim
def sufficient(margin: int = 2) -> Formula:
    """2γ = ε(γ² + ω²) + slack, slack ≥ 0, gives 1 − |λ'|² ≥ 0 for every frequency ω' ≤ ω."""
    slack, lower, more = sp.symbols("slack lower more", nonnegative=True)
    top = lower + more
    square = (
        1
        - eps * (eps * (gamma**2 + top**2) + slack) * sp.Rational(2, margin)
        + eps**2 * (gamma**2 + lower**2)
    )
    return at_least_zero(1 - square)


@procedure
def necessary(rule: sp.Expr = sp.Integer(2)) -> Decision:
    """ε(γ² + ω²) = 2γ + excess, excess > 0, gives |λ|² − 1 = ε·excess > 0."""
    excess = sp.Symbol("excess", positive=True)
    square_sum = (rule * gamma + excess) / eps
    growth = eps**2 * square_sum - 2 * eps * gamma
    return decide.all_of(
        {
            "value": decide.identity(growth, eps * excess),
            "positive": decide.fact((eps * excess).is_positive, eps * excess, "ε·excess"),
        }
    )


@claim
def starting_value(factor: sp.Expr = sp.Rational(1, 2)) -> Formula:
    """γ = (1 − √(1 − ε²ω²))/ε is the smallest damping allowed; its series in ε starts with εω²/2."""
    w = sp.Symbol("w", positive=True)
    smallest = (1 - sp.sqrt(1 - eps**2 * w**2)) / eps
    equation = eps * (smallest**2 + w**2) - 2 * smallest
    leading = sp.limit(smallest / eps, eps, 0, "+")
    return identities(
        {"equality in the rule": (sp.expand(equation), 0), "leading term": (leading, factor * w**2)}
    )


@claim
def undamped(damping: sp.Expr = sp.Integer(0)) -> Formula:
    """γ = 0: |λ|² = 1 + ε²ω² > 1: explicit Euler amplifies every oscillation."""
    w = sp.Symbol("w", positive=True)
    return identity(EXCESS.subs({gamma: damping, omega: w}), eps**2 * w**2)


@claim
def imaginary(power: sp.Expr = sp.Rational(1, 2)) -> Formula:
    """D > 0 diagonal: D^{−½}(DS)D^{½} = D^{½}SD^{½} is antisymmetric, so DS has a purely imaginary spectrum
    (d = 3).
    """
    d = sp.symbols("d:3", positive=True)
    a, b, c = sp.symbols("a b c", real=True)
    S = sp.Matrix([[0, a, b], [-a, 0, c], [-b, -c, 0]])
    D, root = sp.diag(*d), sp.diag(*[entry**power for entry in d])
    similar = (root.inv() * D * S * root).applyfunc(sp.powsimp)
    return identity(similar + similar.T, sp.zeros(3))


@procedure
def slopes_must_agree(slope: sp.Expr = sp.Integer(0)) -> Decision:
    """D = diag(1, 0), ω = 1, γ = 1, ε = 1 obeys the rule, and a unit vector is stretched by √2."""
    M = sp.Matrix([[-1, 1], [-1, -1]])
    J = sp.eye(2) + sp.diag(1, slope) * M
    image = J * sp.Matrix([0, 1])
    length = image.dot(image)
    example = {
        "ε": 1,
        "γ": 1,
        "ω": 1,
        "D": f"diag(1, {slope})",
        "J": J.tolist(),
        "v": [0, 1],
        "|Jv|²": length,
    }
    found = decide.fact(bool(length > 1), length, "|Jv|² for |v| = 1, while ε(γ² + ω²) = 2γ")
    return decide.proved(found.computed, found.note, example) if found.proved else found


EQUAL_SLOPES = Known("D = I (equal slopes)")
"""For D = cI, replace ε by cε."""
ANTISYMMETRIC = Known("S = W − Wᵀ")
HYPOTHESES = {"slopes": EQUAL_SLOPES, "antisymmetric": ANTISYMMETRIC}
STEPS = (
    Step(
        "normal",
        "I + ε(S − γI) is normal, with MᵀM = (1 − εγ)²I − ε²S², in any dimension",
        normal,
        premises=(
            EQUAL_SLOPES,
            ANTISYMMETRIC,
        ),
    ),
    Step(
        "eigenvalues",
        "its eigenvalues are 1 − εγ ± iεω_j",
        eigenvalues,
        axioms=("spectral_real",),
        premises=(
            EQUAL_SLOPES,
            ANTISYMMETRIC,
        ),
    ),
    Step("modulus", "|λ|² − 1 = ε(ε(γ² + ω²) − 2γ)", modulus),
    Step(
        "sufficient",
        "the rule makes |λ| ≤ 1 for every frequency up to ω",
        sufficient,
        axioms=("normal_norm",),
        premises=(EQUAL_SLOPES,),
    ),
    Step(
        "necessary",
        "breaking the rule makes |λ| > 1 at the largest frequency",
        necessary,
        axioms=("normal_norm",),
        premises=(EQUAL_SLOPES,),
    ),
    Step(
        "starting_value",
        "smallest damping γ = (1 − √(1 − ε²ω²))/ε = εω²/2 + …",
        starting_value,
        role=Role.REMARK,
    ),
    Step("undamped", "γ = 0 amplifies: |λ|² = 1 + ε²ω²", undamped, role=Role.REMARK),
    Step(
        "imaginary",
        "D(W − Wᵀ) has a purely imaginary spectrum for D > 0 (d = 3)",
        imaginary,
        role=Role.REMARK,
        premises=(ANTISYMMETRIC,),
    ),
    Step(
        "slopes_must_agree",
        "D = diag(1, 0) obeys the rule and expands",
        slopes_must_agree,
        role=Role.NECESSITY,
        condition="D = I (equal slopes)",
    ),
)
CONCLUSION = concluded(
    STEPS, "‖I + εD(W − Wᵀ − γI)‖ ≤ 1 iff ε(γ² + ω²) ≤ 2γ, where ω is the spectral radius of W − Wᵀ."
)

PROPOSITION = Proposition(
    name="antisymmetric_step",
    title="One Euler step of the antisymmetric network",
    statement=CONCLUSION.claim,
    hypotheses=HYPOTHESES,
    source="ours; for the antisymmetric network and the remark that no heuristic for γ is known",
    expected=Verdict.HOLDS_ONLY_IF,
    steps=(*STEPS, CONCLUSION),
    mutants=(
        Mutant("symmetric", "Sᵀ = +S", {"transpose_sign": 1}),
        Mutant("double_frequency", "eigenvalues 1 − εγ ± 2iεω", {"frequency": 2 * omega}),
        Mutant("single_damping", "|λ|² − 1 = ε(ε(γ² + ω²) − γ)", {"damping_factor": 1}),
        Mutant("loose_rule", "rule ε(γ² + ω²) ≤ 4γ", {"margin": 4}),
        Mutant("tight_rule", "rule ε(γ² + ω²) ≤ γ said to be necessary", {"rule": sp.Integer(1)}),
        Mutant("full_leading_term", "γ ≈ εω²", {"factor": sp.Integer(1)}),
        Mutant("damped", "γ = 1 said to amplify as γ = 0", {"damping": sp.Integer(1)}),
        Mutant("no_similarity", "D^{−1}(DS)D", {"power": sp.Integer(1)}),
        Mutant("equal_slopes", "D = I as the counterexample", {"slope": sp.Integer(1)}),
        *sharper((CONCLUSION,)),
    ),
)
