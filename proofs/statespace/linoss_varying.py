"""LinOSS with A that changes from step to step: steps that are stable one by one may grow together.

For LinOSS-IMEX, alternating a and b grows exponentially iff P = (2 − Δ²a)(2 − Δ²b) lies outside [0, 4]. For
LinOSS-IM, four steps at A = 0 and one at A = 100 have an eigenvalue below −1 together; n shears and one very
stiff step tend to −n.
"""

from __future__ import annotations

import sympy as sp

from proofs import decide
from proofs.decision import Decision
from proofs.kernel.formulas import Formula, Known, at_least_zero, claim, identities, identity, procedure
from proofs.kernel.mutants import sharper
from proofs.oscillators import dt, step_matrix
from proofs.proposition import Mutant, Proposition, Role, Step, concluded

a, b = sp.symbols("a b", nonnegative=True)
more = sp.Symbol("more", positive=True)
ONE, STIFF = sp.Integer(1), sp.Integer(100)


def _cycle(last: sp.Expr, shears: int = 4) -> sp.Matrix:
    """The implicit step with Δ = 1 at A = 0, several times, and then at A = last."""
    return step_matrix("im", last, size=ONE) * step_matrix("im", sp.Integer(0), size=ONE) ** shears


@claim
def trace(offset: int = 2) -> Formula:
    """tr M(a)M(b) = (2 − Δ²a)(2 − Δ²b) − 2, and the determinant is 1."""
    pair = step_matrix("imex", a) * step_matrix("imex", b)
    product = (2 - dt**2 * a) * (2 - dt**2 * b)
    return identities({"trace": (pair.trace(), product - offset), "determinant": (pair.det(), 1)})


@claim
def discriminant(factor: int = 4) -> Formula:
    """t² − 4 = P(P − 4) for t = P − 2."""
    P = sp.Symbol("P", real=True)
    return identity((P - 2) ** 2 - 4, P * (P - factor))


@procedure
def outside(determinant: int = 1) -> Decision:
    """P = 4 + e or P = −e with e > 0 makes a root of λ² − tλ + 1 larger than 1, or less than −1."""
    found = {}
    for name, sign, P in (("above 4", 1, 4 + more), ("below 0", -1, -more)):
        t = P - 2
        root = (t + sign * sp.sqrt(sp.expand(P * (P - 4)))) / 2
        beyond = sp.expand(sign * root - 1)
        found[name] = decide.all_of(
            {
                "root": decide.identity(sp.expand(root**2 - t * root + determinant), 0),
                "beyond": decide.fact(beyond.is_positive, beyond, "distance of the root from the circle"),
            }
        )
    return decide.all_of(found)


@claim
def inside(scale: int = 2) -> Formula:
    """P = 2 + 2c with c = cos φ and s = sin φ covers [0, 4]: the roots are c ± is, of modulus one."""
    c = sp.Symbol("c", real=True)
    s = sp.sqrt(1 - c**2)
    equation = (c + sp.I * s) ** 2 - (scale + 2 * c - 2) * (c + sp.I * s) + 1
    return identities({"root": (sp.expand(equation), 0), "modulus": (c**2 + s**2, 1)})


@claim
def implicit_cycle(last: sp.Expr = STIFF) -> Formula:
    """A = (0, 0, 0, 0, 100), Δ = 1: trace −398/101 and determinant 1/101."""
    cycle = _cycle(last)
    return identities({"trace": (cycle.trace(), -sp.Rational(398, 101)),
                       "determinant": (cycle.det(), sp.Rational(1, 101))})  # fmt: skip


@claim
def implicit_grows(shears: int = 4) -> Formula:
    """The characteristic polynomial is negative at λ = −1, and tends to +∞ at −∞: a root lies below −1."""
    cycle = _cycle(STIFF, shears)
    return at_least_zero(-1 - (1 + cycle.trace() + cycle.det()))


@claim
def stiff_limit(sign: int = -1) -> Formula:
    """n shears and a step with A → ∞: trace → −n and determinant → 0, for n = 1, …, 6."""
    small = sp.Symbol("c", positive=True)
    pairs = {}
    for n in range(1, 7):
        cycle = _cycle(1 / small, n).applyfunc(sp.cancel)
        pairs[f"trace, n = {n}"] = (sp.limit(cycle.trace(), small, 0), sign * n)
        pairs[f"determinant, n = {n}"] = (sp.limit(cycle.det(), small, 0), 0)
    return identities(pairs)


PERIODIC = Known("the values of A come in turn, over and over")
STEPS = (
    Step("trace", "tr M(a)M(b) = P − 2 with P = (2 − Δ²a)(2 − Δ²b), det = 1", trace, premises=(PERIODIC,)),
    Step("discriminant", "trace² − 4 = P(P − 4)", discriminant),
    Step("outside", "outside [0, 4] a root lies outside the unit circle", outside),
    Step("inside", "inside [0, 4] both roots have modulus one", inside),
    Step("implicit_cycle", "LinOSS-IM, Δ = 1, A = (0, 0, 0, 0, 100): trace −398/101, determinant 1/101",
         implicit_cycle, premises=(PERIODIC,)),
    Step("implicit_grows", "that product has an eigenvalue below −1", implicit_grows),
    Step("stiff_limit", "n shears and one step with A → ∞ have the eigenvalue −n in the limit", stiff_limit,
         role=Role.REMARK),
)  # fmt: skip
CONCLUSION = concluded(
    STEPS,
    "LinOSS-IMEX with A = a and A = b in turn grows exponentially iff (2 − Δ²a)(2 − Δ²b) lies outside "
    "[0, 4], and LinOSS-IM grows exponentially for A = 0, 0, 0, 0, 100 over and over, Δ = 1.",
)

PROPOSITION = Proposition(
    name="linoss_varying",
    title="LinOSS with A that varies in time",
    statement=CONCLUSION.claim,
    hypotheses={"periodic": PERIODIC},
    source="ours; for Oscillatory State-Space Models, Rusch and Rus 2025",
    steps=(*STEPS, CONCLUSION),
    mutants=(
        Mutant("trace_of_one", "tr M(a)M(b) = P − 1", {"offset": 1}),
        Mutant("wide", "t² − 4 = P(P − 5)", {"factor": 5}),
        Mutant("wrong_determinant", "λ² − tλ + 2", {"determinant": 2}),
        Mutant("other_trace", "t = 1 + 2c", {"scale": 3}),
        Mutant("soft", "A = 1 in place of 100", {"last": sp.Integer(1)}),
        Mutant("two_shears", "two steps at A = 0 said to be enough", {"shears": 2}),
        Mutant("positive_limit", "the limit +n", {"sign": 1}),
        *sharper((CONCLUSION,)),
    ),
)
