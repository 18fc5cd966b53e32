"""How much of Σ x_i a linear read-out of y_N can know, without training: the plateau, and both its ends.

Near rest the recursion is linear, and a read-out sees the inputs through kernels sinh(√λ u)/√λ of the time u
that is left to the end, one for each eigenvalue λ of W. The squared correlation ρ² of the best read-out with
Σ x_i is the share of the constant 1 in the span of the kernels.
"""

from __future__ import annotations

import sympy as sp

from proofs import decide
from proofs.decision import Decision
from proofs.kernel.formulas import Formula, Known, Limit, all_of, claim, identities, identity, procedure
from proofs.kernel.mutants import sharper
from proofs.proposition import Mutant, Proposition, Step, concluded

N = sp.Symbol("N", integer=True, positive=True)
n = sp.Symbol("n", integer=True, positive=True)
u, kappa = sp.symbols("u kappa", positive=True)
lam = sp.symbols("lambda_1:4", positive=True)
rates = sp.symbols("p_1:4", positive=True)
ORDERS = range(5)
PLATEAUS = tuple(map(sp.Rational, ("3/4", "55/64", "231/256", "15159/16384", "61567/65536")))
"""ρ² of one to five kernels."""

NORMAL = Known("the inputs are independent normal variables, and the read-out is linear in y_N")
SHEPPARD = Known(
    "two normal variables with correlation ρ have equal signs with probability ½ + arcsin(ρ)/π "
    "(W. F. Sheppard 1899)"
)


def _legendre(j: int) -> sp.Expr:
    return sp.legendre(2 * j + 1, u)


def _inner(f: sp.Expr, g: sp.Expr | int = 1) -> sp.Expr:
    return sp.integrate(sp.expand(f * g), (u, 0, 1))


@claim
def kernel(curvature: int = 1) -> Formula:
    """k = sinh(√λ u)/√λ solves k'' = λ k with k(0) = 0, k'(0) = 1."""
    root = sp.sqrt(lam[0])
    k = sp.sinh(root * u) / root
    return identities(
        {
            "k'' = λ k": (sp.diff(k, u, 2), curvature * lam[0] * k),
            "k(0)": (k.subs(u, 0), 0),
            "k'(0)": (sp.diff(k, u).subs(u, 0), 1),
        }
    )


@procedure
def odd_powers(same: bool = False) -> Decision:
    """Kernels of three distinct λ, to leading order combinations of u, u³, u⁵, span all three of them.

    The coefficients λ_i^j/(2j + 1)! have a determinant that is a multiple of Π (λ_k − λ_i).
    """
    series = [sp.Matrix(1, 3, lambda _, j, one=one: one**j / sp.factorial(2 * j + 1)) for one in lam]
    determinant = sp.factor(sp.Matrix.vstack(*series).det())
    if same:
        determinant = determinant.subs(lam[1], lam[0])
    differences = (lam[1] - lam[0]) * (lam[2] - lam[0]) * (lam[2] - lam[1])
    factor = sp.cancel(determinant / differences)
    return decide.fact(factor.is_number and factor != 0, determinant, "the determinant of the coefficients")


@claim
def orthogonal(norm: int = 1) -> Formula:
    """∫₀¹ P_{2i+1} P_{2j+1} = δ_ij/(4j + 3): odd Legendre polynomials are orthogonal on [0, 1]."""
    return identities(
        {
            f"{i}, {j}": (_inner(_legendre(i), _legendre(j)), sp.Rational(norm * int(i == j), 4 * j + 3))
            for i in ORDERS
            for j in ORDERS
            if i <= j
        }
    )


@claim
def means(shift: int = 2) -> Formula:
    """∫₀¹ P_{2j+1} = P_{2j}(0)/(2j + 2)."""
    return identities(
        {f"{j}": (_inner(_legendre(j)), sp.legendre(2 * j, 0) / (2 * j + shift)) for j in ORDERS}
    )


@claim
def plateau(weight: int = 3) -> Formula:
    """ρ² = Σ_{j<m} (4j + 3)(∫₀¹ P_{2j+1})² for m = 1 … 5."""
    shares = [(4 * j + weight) * _inner(_legendre(j)) ** 2 for j in ORDERS]
    return identities({f"m = {m + 1}": (sum(shares[: m + 1], sp.Integer(0)), PLATEAUS[m]) for m in ORDERS})


FREE = 3 * N**2 / (4 * N**2 - 3 * N + 2)


@claim
def free_particle(power: int = 2) -> Formula:
    """W = 0: x_1 has the weight N/2, x_i the weight N − i + 1, and ρ² = (Σ u)²/(N Σ u²), whatever ε is."""
    total, squares = (sp.summation(n**k, (n, 1, N - 1)) + (N / 2) ** k for k in (1, 2))
    return identity(sp.expand(total) ** power / (N * sp.expand(squares)), FREE)


@claim
def free_limit(limit: sp.Expr = sp.Rational(3, 4)) -> Formula:
    """3N²/(4N² − 3N + 2) → 3/4, the plateau of one kernel."""
    return Limit(FREE, N, sp.oo, limit)


@claim
def five_sixths(share: sp.Expr = sp.Rational(3, 4)) -> Formula:
    """½ + arcsin(√(3/4))/π = 5/6."""
    return identity(sp.Rational(1, 2) + sp.asin(sp.sqrt(share)) / sp.pi, sp.Rational(5, 6))


@claim
def oscillator(double: int = 2) -> Formula:
    """Kernel sin(κu): ∫₀¹ sin κu = (1 − cos κ)/κ and ∫₀¹ sin² κu = ½ − sin(2κ)/(4κ)."""
    mean, square = (sp.integrate(sp.sin(kappa * u) ** k, (u, 0, 1)) for k in (1, 2))
    return all_of(
        {
            "mean": identity(mean, (1 - sp.cos(kappa)) / kappa),
            "square": identity(sp.expand_trig(square), sp.expand_trig(
                sp.Rational(1, 2) - sp.sin(double * kappa) / (4 * kappa))),
        }
    )  # fmt: skip


@claim
def far(factor: int = 2) -> Formula:
    """Kernels e^(−p_i s) on [0, ∞) hold Σ_ij (1/p_i)(G⁻¹)_ij(1/p_j) = 2 Σ 1/p_i of the constant 1, with
    G_ij = 1/(p_i + p_j).
    """
    pairs = {}
    for m in (1, 2, 3):
        p = rates[:m]
        gram = sp.Matrix(m, m, lambda i, j, p=p: 1 / (p[i] + p[j]))
        mean = sp.Matrix([1 / one for one in p])
        pairs[f"m = {m}"] = (sp.cancel((mean.T * gram.inv() * mean)[0]), factor * sum(1 / one for one in p))
    return identities(pairs)


HYPOTHESES = {"inputs": NORMAL, "sheppard": SHEPPARD}
STEPS = (
    Step("kernel", "x_i acts on y_N through sinh(√λ u)/√λ", kernel, premises=(NORMAL,)),
    Step("odd_powers", "as c√λ → 0, m = 3 kernels span u, u³, u⁵", odd_powers),
    Step("orthogonal", "P₁, P₃, … are an orthogonal basis of that span", orthogonal),
    Step("means", "the constant 1 against them", means),
    Step("plateau", "ρ² = 3/4, 55/64, 231/256, … for m = 1, 2, 3, …", plateau),
    Step("free_particle", "W = 0 has one kernel, for every N and ε", free_particle),
    Step("free_limit", "and tends to the plateau of one kernel", free_limit),
    Step("five_sixths", "its accuracy is 5/6", five_sixths, premises=(SHEPPARD,)),
    Step("oscillator", "one oscillator: ρ² = ((1 − cos κ)/κ)²/(½ − sin(2κ)/(4κ))", oscillator),
    Step("far", "as c√λ → ∞: c ρ² → 2 Σ λ^(−1/2), m = 1, 2, 3", far),
)
CONCLUSION = concluded(
    STEPS,
    "A linear read-out of y_N has with Σ x_i the squared correlation Σ_{j<m}(4j + 3)(∫₀¹P_{2j+1})² for m "
    "kernels as Nε√λ → 0, 3N²/(4N² − 3N + 2) for W = 0, and (2/(Nε)) Σ λ^(−1/2) as Nε√λ → ∞.",
)

PROPOSITION = Proposition(
    name="readout_ceiling",
    title="The ceiling of a linear read-out on the Gaussian mean",
    statement=CONCLUSION.claim,
    hypotheses=HYPOTHESES,
    source="ours; the constant c of ε = c/N",
    steps=(*STEPS, CONCLUSION),
    mutants=(
        Mutant("other_equation", "k'' = 2λ k", {"curvature": 2}),
        Mutant("one_eigenvalue", "two equal eigenvalues", {"same": True}),
        Mutant("half_norm", "∫₀¹ P² = 2/(4j + 3), as on [−1, 1]", {"norm": 2}),
        Mutant("other_mean", "∫₀¹ P_{2j+1} = P_{2j}(0)/(2j + 1)", {"shift": 1}),
        Mutant("even_norm", "(4j + 1) in place of (4j + 3)", {"weight": 1}),
        Mutant("not_squared", "Σ u in place of (Σ u)²", {"power": 1}),
        Mutant("other_limit", "ρ² → 2/3", {"limit": sp.Rational(2, 3)}),
        Mutant("other_share", "ρ² = 2/3", {"share": sp.Rational(2, 3)}),
        Mutant("single_angle", "sin κ in place of sin 2κ", {"double": 1}),
        Mutant("single_rate", "Σ 1/p in place of 2 Σ 1/p", {"factor": 1}),
        *sharper((CONCLUSION,)),
    ),
)
