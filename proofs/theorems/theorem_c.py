"""No vanishing either: ‖∂y_N/∂y_0 − I‖ ≤ C_N − 1, so every singular value of ∂y_N/∂y_0 lies in [2 − C_N,
C_N].

With ε = c/N the interval is inside [2 − cosh(c√(L‖W‖)), cosh(c√(L‖W‖))] for every N: the heuristic (14) with
its constants.
"""

from __future__ import annotations

import sympy as sp

from proofs.blocks import block, eps
from proofs.decide import all_of, follows, identities, identity
from proofs.majorant import L, N, a, majorant, w
from proofs.proposition import Decision, Mutant, Proposition, Role, Step

ONE = sp.Integer(1)
FIRST = majorant(1)[1]
"""t_1."""
ARCCOSH_2 = sp.log(2 + sp.sqrt(3))
E, D, E_new = sp.symbols("E D E_new", nonnegative=True)
t, delta = sp.symbols("t delta", nonnegative=True)
s_low, s_high, bound = sp.symbols("s_low s_high C_N", real=True)


def deviation(shift: int = 1) -> Decision:
    """E_i = T_i − I has E_{i+1} = E_i + Δ_i and E_0 = 0, for blocks of any dimension."""
    T, Delta = block("T"), block("Delta")
    return identities({"recursion": ((T + Delta) - shift, (T - 1) + Delta), "start": (ONE - shift, 0)})


def induction(start: sp.Expr = ONE) -> Decision:
    """‖E_i‖ ≤ t_i − 1 and ‖Δ_i‖ ≤ δ_i imply ‖E_{i+1}‖ ≤ t_{i+1} − 1."""
    return follows((E_new, (t + delta) - start), [(E_new, E + D), (E, t - 1), (D, delta)], [ONE, ONE, ONE])


def base(first: sp.Expr = FIRST) -> Decision:
    """i = 0: ‖E_0‖ = 0 = t_0 − 1; i = 1: ‖E_1‖ = ‖Δ_0‖ ≤ a/2 = t_1 − 1."""
    return identities({"i = 0": (majorant(0)[0] - 1, 0), "i = 1": (first - 1, a / 2)})


def below(lowest: sp.Expr = 2 - bound) -> Decision:
    """s ≥ 1 − ‖E‖ and ‖E‖ ≤ C_N − 1 give s ≥ 2 − C_N."""
    return follows((lowest, s_low), [(1 - E, s_low), (E, bound - 1)], [ONE, ONE])


def above(highest: sp.Expr = bound) -> Decision:
    """s ≤ 1 + ‖E‖ and ‖E‖ ≤ C_N − 1 give s ≤ C_N."""
    return follows((s_high, highest), [(s_high, 1 + E), (E, bound - 1)], [ONE, ONE])


def uniform(power: int = 1) -> Decision:
    """Nε√(L‖W‖) with ε = c/N is c√(L‖W‖)."""
    c, root = sp.symbols("c root", positive=True)
    argument = (N * eps * root).subs(eps, c / N**power)
    return identities({"value": (argument, c * root), "free of N": (sp.diff(argument, N), 0)})


def interval(lower_constant: int = 2) -> Decision:
    """C_N ≤ cosh(c√(L‖W‖)) widens both ends: 2 − C_N ≥ 2 − cosh, C_N ≤ cosh."""
    top = sp.Symbol("cosh", positive=True)
    return all_of(
        {
            "lower": follows((lower_constant - top, 2 - bound), [(bound, top)], [ONE]),
            "upper": follows((bound, top), [(bound, top)], [ONE]),
        }
    )


def threshold(limit: sp.Expr = ARCCOSH_2) -> Decision:
    """2 − cosh x = 0 at x = log(2 + √3): below it no singular value can vanish, whatever N."""
    return identity(sp.cosh(limit).rewrite(sp.exp), 2)


def depends_on_weights(exponent: sp.Expr = sp.Rational(1, 2)) -> Decision:
    """The argument √(Lw) doubles when ‖W‖ is multiplied by four: the constant moves with W."""
    positive = {L: sp.Symbol("L", positive=True), w: sp.Symbol("w", positive=True)}
    value = ((L * w) ** exponent).subs(positive)
    return identity(value.subs(positive[w], 4 * positive[w]) / value, 2)


PROPOSITION = Proposition(
    name="theorem_c",
    title="Theorem C: the gradient neither explodes nor vanishes",
    statement="Every singular value of ∂y_N/∂y_0 for (11)/(13) lies in [2 − C_N(1 + a/2), C_N(1 + a/2)]; "
    "with ε = c/N, in [2 − cosh(c√(L‖W‖)), cosh(c√(L‖W‖))] for every N.",
    hypotheses={"slope": "|σ'| ≤ L"},
    source="ours; proves the heuristic (14)",
    rests_on=("theorem_b",),
    steps=(
        Step("deviation", "E_i = T_i − I has E_0 = 0 and E_{i+1} = E_i + Δ_i", deviation),
        Step("base", "‖E_0‖ = t_0 − 1 = 0 and ‖E_1‖ ≤ t_1 − 1 = a/2", base, ("deviation",),
             ("identity_norm",)),
        Step("induction", "‖E_i‖ ≤ t_i − 1 implies ‖E_{i+1}‖ ≤ t_{i+1} − 1", induction, ("base",),
             ("triangle", "induction")),
        Step("below", "every singular value is ≥ 2 − C_N", below, ("induction",), ("weyl",)),
        Step("above", "every singular value is ≤ C_N", above, ("induction",), ("weyl",)),
        Step("uniform", "ε = c/N makes the argument c√(L‖W‖), free of N", uniform),
        Step("interval", "C_N ≤ cosh(c√(L‖W‖)) gives the interval for every N", interval,
             ("below", "above", "uniform")),
        Step("threshold", "the lower end is positive while c√(L‖W‖) < log(2 + √3) = arccosh 2", threshold,
             ("interval",), ("monotone",), Role.REMARK),
        Step("depends_on_weights", "the constant does depend on ‖W‖: four times ‖W‖ is twice the argument",
             depends_on_weights, ("uniform",), (), Role.REMARK),
    ),
    mutants=(
        Mutant("no_shift", "E_i = T_i", {"shift": 0}),
        Mutant("full_first_step", "t_1 = 1 + a", {"first": 1 + a}),
        Mutant("two_below", "‖E_i‖ ≤ t_i − 2", {"start": sp.Integer(2)}),
        Mutant("three_minus", "singular values ≥ 3 − C_N", {"lowest": 3 - bound}),
        Mutant("half_above", "singular values ≤ C_N/2", {"highest": bound / 2}),
        Mutant("square_root_step", "ε = c/N²", {"power": 2}),
        Mutant("higher_interval", "lower end 3 − cosh", {"lower_constant": 3}),
        Mutant("wrong_threshold", "threshold log 2", {"limit": sp.log(2)}),
        Mutant("linear_weight", "argument L‖W‖ without the root", {"exponent": sp.Integer(1)}),
    ),
)  # fmt: skip
