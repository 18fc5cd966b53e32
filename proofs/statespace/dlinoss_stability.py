"""D-LinOSS: while 1 + ΔG > 0, the step is asymptotically stable iff A > 0, G > 0 and Δ²A < 4 + 2ΔG.

Three numbers decide whether both roots of λ² − tλ + d lie inside the unit circle: 1 − t + d, 1 + t + d and
1 − d must be positive (Jury). For the step they are Δ²A, 4 + 2ΔG − Δ²A and ΔG, each over S = 1 + ΔG. With
S < 0 the signs turn round, and steps are stable that have A < 0 and G < 0.
"""

from __future__ import annotations

import sympy as sp

from proofs import decide
from proofs.decision import Decision
from proofs.kernel.formulas import Formula, Known, all_of, at_least_zero, claim, identities, procedure
from proofs.kernel.mutants import sharper
from proofs.oscillators import dt, step_matrix
from proofs.proposition import Mutant, Proposition, Role, Step, Verdict, concluded

A, S = sp.Symbol("A", real=True), sp.Symbol("S", positive=True)
u, v = sp.symbols("u v", positive=True)
g, h = sp.symbols("g h", nonnegative=True)
ONE = sp.Integer(1)


def _numbers(trace: sp.Expr, det: sp.Expr) -> tuple[sp.Expr, sp.Expr, sp.Expr]:
    return 1 - trace + det, 1 + trace + det, 1 - det


@claim
def numbers(damping_factor: int = 2) -> Formula:
    """With G = (S − 1)/Δ: S(1 − t + d) = Δ²A, S(1 + t + d) = 4 + 2ΔG − Δ²A, S(1 − d) = ΔG."""
    damping = (S - 1) / dt
    M = step_matrix("damped", A, damping)
    one, other, last = _numbers(M.trace(), M.det())
    return identities({"1 − t + d": (S * one, dt**2 * A),
                       "1 + t + d": (S * other, 4 + damping_factor * dt * damping - dt**2 * A),
                       "1 − d": (S * last, dt * damping)})  # fmt: skip


@procedure
def stable_pair(size: sp.Expr = ONE) -> Decision:
    """λ = (u − 1)/(u + 1) and μ = (v − 1)/(v + 1), all of (−1, 1), make the three numbers positive."""
    one, other = ((w - size) / (w + 1) for w in (u, v))
    values = [sp.factor(value) for value in _numbers(one + other, one * other)]
    positive = [decide.fact(bool(value.is_positive), value, "sign of a number of Jury's") for value in values]
    return decide.all_of({str(k): found for k, found in enumerate(positive)})


@claim
def unstable_pair(side_sign: int = 1) -> Formula:
    """Real roots, one of them at ±1 or beyond: one of the three numbers is not positive."""
    found = {}
    for side, place in ((1, 0), (-1, 1)):
        both = (side * (1 + g), side * (1 + h))
        one = (side * (1 + g), side * (1 - h))
        found[f"both, {side}"] = at_least_zero(sp.expand(-side_sign * _numbers(sum(both), sp.Mul(*both))[2]))
        found[f"one, {side}"] = at_least_zero(sp.expand(-side_sign * _numbers(sum(one), sp.Mul(*one))[place]))
    return all_of(found)


@claim
def conjugate_pair(power: int = 2) -> Formula:
    """λ = p ± iq: 1 ∓ t + d = (1 ∓ p)² + q², and d = |λ|², so that 1 − d alone decides."""
    p, q = sp.symbols("p q", real=True)
    one, other, last = _numbers(2 * p, p**2 + q**2)
    return identities({"1 − t + d": (one, (1 - p) ** 2 + q**power), "1 + t + d": (other, (1 + p) ** 2 + q**2),
                       "1 − d": (last, 1 - p**2 - q**2)})  # fmt: skip


@claim
def printed(sign: int = -1) -> Formula:
    """|λ|² = d = 1/S, and t² − 4d = Δ²((G − ΔA)² − 4A)/S²: the published condition makes a conjugate pair."""
    damping = (S - 1) / dt
    M = step_matrix("damped", A, damping)
    gap = dt**2 * ((damping + sign * dt * A) ** 2 - 4 * A) / S**2
    return identities({"determinant": (M.det(), 1 / S), "discriminant": (M.trace() ** 2 - 4 * M.det(), gap)})


@procedure
def negative_size(damping: sp.Expr = sp.Integer(-3), stiffness: sp.Expr = sp.Integer(-1)) -> Decision:
    """Δ = 1, G = −3, A = −1: S = −2, and the step is stable with A < 0 and G < 0."""
    M = step_matrix("damped", stiffness, damping, ONE)
    values = _numbers(M.trace(), M.det())
    stable = all(value.is_positive for value in values)
    example = {"Δ": 1, "G": damping, "A": stiffness, "1 + ΔG": 1 + damping, "M": M.tolist()}
    right = bool(stable and damping < 0 and stiffness < 0)
    found = decide.fact(right, values, "1 − t + d, 1 + t + d, 1 − d")
    return decide.proved(found.computed, found.note, example) if found.proved else found


POSITIVE = Known("1 + ΔG > 0")
STEPS = (
    Step("numbers", "the three numbers of the step are Δ²A/S, (4 + 2ΔG − Δ²A)/S and ΔG/S, S = 1 + ΔG",
         numbers, premises=(POSITIVE,)),
    Step("stable_pair", "real roots inside the unit circle make them positive", stable_pair),
    Step("unstable_pair", "real roots that are not all inside make one of them ≤ 0", unstable_pair),
    Step("conjugate_pair", "for a conjugate pair the first two are positive, and 1 − d = 1 − |λ|²",
         conjugate_pair),
    Step("printed", "(G − ΔA)² ≤ 4A is sufficient for |λ|² = 1/(1 + ΔG)", printed, role=Role.REMARK,
         premises=(POSITIVE,)),
    Step("negative_size", "Δ = 1, G = −3, A = −1 is stable, with 1 + ΔG = −2", negative_size,
         role=Role.NECESSITY, condition=str(POSITIVE)),
)  # fmt: skip
CONCLUSION = concluded(
    STEPS, "The step of D-LinOSS is asymptotically stable iff A > 0, G > 0 and Δ²A < 4 + 2ΔG."
)

PROPOSITION = Proposition(
    name="dlinoss_stability",
    title="D-LinOSS: when a step is stable",
    statement=CONCLUSION.claim,
    hypotheses={"size": POSITIVE},
    source="ours; for Learning to Dissipate Energy in Oscillatory State-Space Models, Proposition 3.2",
    expected=Verdict.HOLDS_ONLY_IF,
    steps=(*STEPS, CONCLUSION),
    mutants=(
        Mutant("single_damping", "4 + ΔG − Δ²A", {"damping_factor": 1}),
        Mutant("larger_circle", "roots (u − 2)/(u + 1), which reach −2", {"size": sp.Integer(2)}),
        Mutant("opposite", "the numbers said to be positive for roots outside", {"side_sign": -1}),
        Mutant("cubed", "q³ in place of q²", {"power": 3}),
        Mutant("wrong_sum", "(G + ΔA)² in the discriminant", {"sign": 1}),
        Mutant("small_damping", "G = −1/2, where 1 + ΔG > 0", {"damping": -sp.Rational(1, 2)}),
        *sharper((CONCLUSION,)),
    ),
)
