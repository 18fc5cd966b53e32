"""Any splitting scheme has a majorant made from its own weights.

Run (s, u) → s + |a_s| ε u at a drift and u → u + |b_s| ε L‖W‖ s at a kick, N times from (1, 0). Then
‖∂y_N/∂y_0‖ ≤ s and ‖∂y_N/∂y_0 − I‖ ≤ s − 1, so every singular value is at least 2 − s. For leapfrog these are
the bounds of theorems B and C.
"""

from __future__ import annotations

from collections.abc import Callable

import sympy as sp

from proofs.blocks import block, drift, eps, flows, kick, product, splittings
from proofs.decide import all_of, certificate, fact, follows, identities, identity
from proofs.majorant import L, w
from proofs.proposition import Decision, Mutant, Proposition, Role, Step

ONE = sp.Integer(1)
T, P, T_new, P_new, s, u = sp.symbols("T P T_new P_new s u", nonnegative=True)
size = sp.Symbol("size", nonnegative=True)
"""|a_s| or |b_s|."""


def tangents(coupling: int = 1) -> Decision:
    """For blocks of any dimension: drift T ← T + aεP; kick P ← P + bεG T."""
    weight = sp.Symbol("weight", real=True)
    top, bottom, G = block("T"), block("P"), block("G")
    drifted = sp.Matrix([[1, weight * eps], [0, 1]]) * sp.Matrix([top, bottom])
    kicked = sp.Matrix([[1, 0], [weight * eps * G, 1]]) * sp.Matrix([top, bottom])
    return identities(
        {
            "drift": (drifted, sp.Matrix([top + coupling * weight * eps * bottom, bottom])),
            "kick": (kicked, sp.Matrix([top, bottom + coupling * weight * eps * G * top])),
        }
    )


def base(start: tuple[int, int] = (1, 0)) -> Decision:
    """(‖∂y_0/∂y_0‖, ‖∂p_0/∂y_0‖) = (1, 0)."""
    return identities({"position": (ONE, start[0]), "momentum": (sp.Integer(0), start[1])})


def drift_step(drift_gain: sp.Expr = size) -> Decision:
    """‖T‖ ≤ s, ‖P‖ ≤ u imply ‖T + aεP‖ ≤ s + |a|εu."""
    premises = [(T_new, T + size * eps * P), (T, s), (P, u)]
    return follows((T_new, s + drift_gain * eps * u), premises, [ONE, ONE, size * eps])


def kick_step(kick_gain: sp.Expr = size * L * w) -> Decision:
    """‖T‖ ≤ s, ‖P‖ ≤ u imply ‖P + bεGT‖ ≤ u + |b|εL‖W‖ s."""
    premises = [(P_new, P + size * eps * L * w * T), (T, s), (P, u)]
    return follows((P_new, u + kick_gain * eps * s), premises, [ONE, size * eps * L * w, ONE])


def deviation(offset: int = 1) -> Decision:
    """‖T − I‖ ≤ s − 1 and ‖P‖ ≤ u imply ‖T + aεP − I‖ ≤ s + |a|εu − 1; at first both sides are 0."""
    E, E_new = sp.symbols("E E_new", nonnegative=True)
    premises = [(E_new, E + size * eps * P), (E, s - 1), (P, u)]
    weight, top, bottom = sp.Symbol("weight", real=True), block("T"), block("P")
    return all_of(
        {
            "split": identity((top + weight * eps * bottom) - 1, (top - 1) + weight * eps * bottom),
            "drift": follows((E_new, s + size * eps * u - offset), premises, [ONE, ONE, size * eps]),
        }
    )


def lower_end(lowest: int = 2) -> Decision:
    """Every singular value is ≥ 1 − ‖T − I‖ ≥ 1 − (s − 1) = 2 − s."""
    E, value = sp.symbols("E value", nonnegative=True)
    return follows((lowest - s, value), [(1 - E, value), (E, s - 1)], [ONE, ONE])


def both_at_once(old_state: int = 1) -> Decision:
    """Drift and kick both from the old state (explicit Euler): T + aεP and P + bεG T, by the old (s, u)."""
    more = old_state * s + (1 - old_state) * (s - eps * size * u)
    return all_of(
        {
            "position": follows(
                (T_new, s + size * eps * u),
                [(T_new, T + size * eps * P), (T, s), (P, u)],
                [ONE, ONE, size * eps],
            ),
            "momentum": follows(
                (P_new, u + size * eps * L * w * more),
                [(P_new, P + size * eps * L * w * T), (T, s), (P, u)],
                [ONE, size * eps * L * w, ONE],
            ),
        }
    )


def whole_state(share: int = 1) -> Decision:
    """Blocks of norms ≤ a, b, c, d: |(A x + B y, C x + D y)|² ≤ (a|x| + b|y|)² + (c|x| + d|y|)²."""
    a, b, c, d, x, y, X, Y = sp.symbols("a b c d x y X Y", nonnegative=True)
    top, bottom = a * x + b * y, c * x + d * y
    return follows((X**2 + Y**2, top**2 + share * bottom**2), [(X, top), (Y, bottom)], [X + top, Y + bottom])


def absolute_weights(absolute: Callable[[sp.Expr], sp.Expr] = sp.Abs) -> Decision:
    """The size used for every weight of every shipped scheme is non-negative and has the weight's square."""
    decisions = {}
    for name in splittings():
        for place, (_, weight) in enumerate(flows(name)):
            size_used = absolute(weight)
            decisions[f"{name}, flow {place}"] = all_of(
                {
                    "sign": fact(size_used.is_nonnegative, size_used, "sign of an exact number"),
                    "square": identity(size_used**2 - weight**2),
                }
            )
    broken = {name: decision for name, decision in decisions.items() if not decision.proved}
    return all_of(broken) if broken else fact(True, f"{len(decisions)} weights", "|w| ≥ 0 and |w|² = w²")


def _step(scheme: str, rate: sp.Expr, weigh: Callable[[sp.Expr], sp.Expr] = sp.Abs) -> sp.Matrix:
    """Matrix of one step of the majorant; with ``weigh`` the identity, of the tangent for constant slope
    ``rate``.
    """
    stage = {"drift": drift, "kick": lambda weight: kick(weight, rate)}
    return product([stage[kind](weigh(weight)) for kind, weight in flows(scheme)])


def leapfrog_is_b(equal_to_b: str = "leapfrog") -> Decision:
    """For leapfrog the majorant has s_0 = 1, s_1 = 1 + a/2, trace 2 + a, det 1: s_N = C_N(1 + a/2)."""
    rate = sp.Symbol("rate", nonnegative=True)
    M, a = _step(equal_to_b, rate), eps**2 * rate
    return identities({"s_1": (M[0, 0], 1 + a / 2), "trace": (M.trace(), 2 + a), "det": (M.det(), 1)})


def attained(positive: str = "mclachlan2") -> Decision:
    """With weights ≥ 0, σ = id, d = 1, W = rate > 0, a tangent step *is* a majorant step."""
    rate = sp.Symbol("rate", nonnegative=True)
    return identity(_step(positive, rate), _step(positive, rate, lambda weight: weight))


def monotone(gain_sign: int = 1) -> Decision:
    """A larger start (s, u) gives a larger result: a majorant of a majorant is a majorant."""
    more_s, more_u = sp.symbols("more_s more_u", nonnegative=True)
    drifted = (s + more_s) + gain_sign * size * eps * (u + more_u) - (s + gain_sign * size * eps * u)
    return fact(certificate(drifted) is not None, drifted, "difference of the two results, term by term")


PROPOSITION = Proposition(
    name="theorem_e",
    title="Theorem E: a majorant for every splitting scheme",
    statement="With drift weights a_s and kick weights b_s, the recursion (s, u) → s + |a_s|εu, u + "
    "|b_s|εL‖W‖s run for N steps from (1, 0) bounds ‖∂y_N/∂y_0‖ by s, ‖∂p_N/∂y_0‖ by u and ‖∂y_N/∂y_0 − I‖ "
    "by s − 1, so every singular value of ∂y_N/∂y_0 lies in [2 − s, s]; run from (0, 1) as well, it bounds "
    "the blocks of the Jacobian of the whole state, and the norm of the 2×2 matrix of these four bounds "
    "bounds its norm.",
    hypotheses={"slope": "|σ'| ≤ L"},
    source="ours",
    rests_on=("theorem_b",),
    steps=(
        Step("tangents", "tangent of a drift and of a kick, any dimension", tangents, axioms=("chain_rule",)),
        Step("base", "the tangent starts from (I, 0)", base, (), ("identity_norm",)),
        Step("drift_step", "the majorant survives a drift", drift_step, ("tangents", "base"),
             ("triangle", "submultiplicative")),
        Step("kick_step", "the majorant survives a kick", kick_step, ("tangents", "base"),
             ("triangle", "submultiplicative", "diagonal_norm", "induction")),
        Step("deviation", "‖T − I‖ ≤ s − 1 survives a drift; a kick leaves T alone", deviation,
             ("tangents", "base"), ("triangle", "submultiplicative", "induction")),
        Step("lower_end", "every singular value is ≥ 2 − s", lower_end, ("deviation",), ("weyl",)),
        Step("both_at_once", "explicit Euler, drift and kick from the old state, is majorised likewise",
             both_at_once, ("base",), ("triangle", "submultiplicative", "diagonal_norm", "induction")),
        Step("whole_state", "the norm of a block matrix is at most that of the matrix of its blocks' bounds",
             whole_state, (), ("triangle", "submultiplicative")),
        Step("monotone", "the majorant recursion is monotone", monotone),
        Step("absolute_weights", "absolute values of the shipped weights dominate the weights",
             absolute_weights),
        Step("leapfrog_is_b", "for leapfrog the majorant is C_N(1 + ε²L‖W‖/2)", leapfrog_is_b,
             ("drift_step", "kick_step")),
        Step("attained", "schemes with positive weights, such as mclachlan2, attain it for σ = identity, d "
             "= 1, W > 0", attained, ("tangents",), role=Role.REMARK),
    ),
    mutants=(
        Mutant("double_coupling", "tangents with twice the weight", {"coupling": 2}),
        Mutant("momentum_start", "start from (1, 1)", {"start": (1, 1)}),
        Mutant("half_drift", "drift gain |a|/2", {"drift_gain": size / 2}),
        Mutant("no_lipschitz", "kick gain |b|L without ‖W‖", {"kick_gain": size * L}),
        Mutant("undiminished", "‖T − I‖ ≤ s − 2", {"offset": 2}),
        Mutant("three_minus", "singular values ≥ 3 − s", {"lowest": 3}),
        Mutant("newer_state", "explicit Euler with less than the old s in the kick", {"old_state": 0}),
        Mutant("first_row", "the second row of blocks left out", {"share": 0}),
        Mutant("subtracted", "majorant with −|a|", {"gain_sign": -1}),
        Mutant("signed_weights", "signed weights instead of absolute values",
               {"absolute": lambda weight: weight}),
        Mutant("other_scheme", "the majorant of mclachlan2 said to be that of leapfrog",
               {"equal_to_b": "mclachlan2"}),
        Mutant("negative_weights", "yoshida4 said to have positive weights", {"positive": "yoshida4"}),
    ),
)  # fmt: skip
