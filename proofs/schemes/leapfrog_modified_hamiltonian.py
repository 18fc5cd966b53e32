"""Leapfrog conserves H̃ = H + ε²H_2 + ε⁴H_4 to O(ε⁷) per step, for H = ½|p|² + U(q) and the kick–drift–kick
form, with

    H_2 = U''(p, p)/12 − |∇U|²/24
    H_4 = −U''''(p, p, p, p)/720 + U'''(p, p, ∇U)/120 + |U''p|²/60 − U''(∇U, ∇U)/240.

H itself changes by O(ε³) in a step. For σ = identity the expansion agrees with the exact invariant of the
linear map.
"""

from __future__ import annotations

from functools import cache
from itertools import combinations_with_replacement, product
from math import factorial
from typing import Any

import sympy as sp

from proofs import decide
from proofs.blocks import drift, eps, flows, kick
from proofs.blocks import product as compose
from proofs.kernel.formulas import Formula, Known, claim, identities, identity, procedure
from proofs.kernel.mutants import sharper
from proofs.kernel.rules import SMOOTH
from proofs.proposition import Decision, Mutant, Proposition, Role, Step, concluded
from proofs.symbols import dsigma, primitive, sigma

Q = sp.Rational
H2 = (Q(1, 12), Q(-1, 24))
"""Coefficients of U''(p, p) and |∇U|²."""
H4 = (Q(-1, 720), Q(1, 120), Q(1, 60), Q(-1, 240))
"""Coefficients of U''''(p, p, p, p), U'''(p, p, ∇U), |U''p|² and U''(∇U, ∇U)."""
Series = list[Any]
"""Coefficients of ε⁰, ε¹, …, each a polynomial in the momenta and the derivatives of U at q."""


class Jets:
    """One leapfrog step as a power series in ε; the derivatives of an unspecified U at q are free symbols.

    Parameters
    ----------
    d, order : int
        Dimension; last power of ε kept.
    """

    def __init__(self, d: int, order: int) -> None:
        self.d, self.order = d, order
        indices = [index for n in range(1, order + 3) for index in combinations_with_replacement(range(d), n)]
        names = [f"p{k}" for k in range(d)] + ["U" + "".join(map(str, index)) for index in indices]
        self.ring, *generators = sp.ring(names, sp.QQ)
        self.p, self.jet = generators[:d], dict(zip(indices, generators[d:], strict=True))
        kicks = [weight for kind, weight in flows("leapfrog") if kind == "kick"]
        half = [sp.QQ(weight.p, weight.q) for weight in kicks]
        self.move = [self.series({1: self.p[k], 2: -half[0] * self.jet[k,]}) for k in range(d)]
        self.momentum = []
        for k in range(d):
            late = [-half[1] * term for term in [self.ring.zero, *self.shifted((k,))[:-1]]]
            early = self.series({0: self.p[k], 1: -half[0] * self.jet[k,]})
            self.momentum.append([x + y for x, y in zip(early, late, strict=True)])

    def series(self, terms: dict[int, Any]) -> Series:
        """Return a truncated series from its non-zero coefficients."""
        return [terms.get(n, self.ring.zero) for n in range(self.order + 1)]

    def times(self, left: Series, right: Series) -> Series:
        """Truncated product."""
        total = [self.ring.zero] * (self.order + 1)
        for i, x in enumerate(left):
            if x:
                for j in range(self.order + 1 - i):
                    if right[j]:
                        total[i + j] += x * right[j]
        return total

    @cache  # noqa: B019  (a handful of instances, each cached below)
    def power(self, index: tuple[int, ...]) -> Series:
        """Product of the displacements listed in ``index``."""
        if not index:
            return self.series({0: self.ring.one})
        return self.times(self.power(index[:-1]), self.move[index[-1]])

    @cache  # noqa: B019
    def shifted(self, index: tuple[int, ...]) -> Series:
        """Derivative of U at the new position, Taylor expanded; U(q) itself is counted from its old value."""
        total = [self.ring.zero] * (self.order + 1)
        for n in range(self.order + 1):
            for extra in combinations_with_replacement(range(self.d), n):
                key = tuple(sorted(index + extra))
                if key and len(key) <= self.order + 2:
                    count = sp.prod(factorial(extra.count(k)) for k in range(self.d))
                    factor = self.jet[key] * sp.QQ(1, int(count))
                    total = [x + factor * y for x, y in zip(total, self.power(extra), strict=True)]
        return total


def _energy(jets: Jets, p: list[Series], u: Any, h2: tuple[Any, ...], h4: tuple[Any, ...]) -> Series:
    """H̃ as a series, from the momenta and a function that returns derivatives of U as series."""

    def contract(count: int, momenta: int, *shapes: tuple[int, ...]) -> Series:
        """Sum over all index values of the product of p's and derivatives; shapes say which slots each one
        takes.
        """
        total = jets.series({})
        for values in product(range(jets.d), repeat=count):
            term = jets.series({0: jets.ring.one})
            for slot in range(momenta):
                term = jets.times(term, p[values[slot]])
            for shape in shapes:
                term = jets.times(term, u(tuple(sorted(values[slot] for slot in shape))))
            total = [x + y for x, y in zip(total, term, strict=True)]
        return total

    def rational(value: Any) -> Any:
        return sp.QQ(int(sp.Rational(value).p), int(sp.Rational(value).q))

    kinetic = contract(1, 0)
    kinetic = [sum((x[n] for x in (jets.times(p[k], p[k]) for k in range(jets.d))), jets.ring.zero) for n in
               range(jets.order + 1)]  # fmt: skip
    parts = [(0, Q(1, 2), kinetic), (0, 1, u(()))]
    parts += [(2, h2[0], contract(2, 2, (0, 1))), (2, h2[1], contract(1, 0, (0,), (0,)))]
    if any(h4):
        parts += [
            (4, h4[0], contract(4, 4, (0, 1, 2, 3))),
            (4, h4[1], contract(3, 2, (0, 1, 2), (2,))),
            (4, h4[2], contract(3, 2, (0, 2), (1, 2))),
            (4, h4[3], contract(2, 0, (0, 1), (0,), (1,))),
        ]
    total = jets.series({})
    for shift, factor, values in parts:
        for n in range(jets.order + 1 - shift):
            total[n + shift] += rational(factor) * values[n]
    return total


@cache
def _jets(d: int, order: int) -> Jets:
    return Jets(d, order)


def change(d: int, order: int, h2: tuple[Any, ...], h4: tuple[Any, ...]) -> Series:
    """H̃ after one step minus H̃ before, as a series in ε."""
    jets = _jets(d, order)
    before_u = {index: jets.series({0: value}) for index, value in jets.jet.items()} | {(): jets.series({})}
    before = _energy(jets, [jets.series({0: x}) for x in jets.p], before_u.__getitem__, h2, h4)
    after = _energy(jets, jets.momentum, jets.shifted, h2, h4)
    return [x - y for x, y in zip(after, before, strict=True)]


def _vanishes(series: Series) -> Decision:
    left = {f"ε^{n}": str(value)[:200] for n, value in enumerate(series) if value}
    return decide.fact(
        not left,
        left or 0,
        f"coefficients of ε⁰ … ε^{len(series) - 1} as polynomials in p and the derivatives of U",
    )


@procedure
def second_order(h2: tuple[Any, ...] = H2) -> Decision:
    """H + ε²H_2 changes by O(ε⁵) in a step, d = 3."""
    return _vanishes(change(3, 4, h2, (0, 0, 0, 0)))


@procedure
def fourth_order_scalar(h4_scalar: tuple[Any, ...] = H4) -> Decision:
    """H + ε²H_2 + ε⁴H_4 changes by O(ε⁷), d = 1."""
    return _vanishes(change(1, 6, H2, h4_scalar))


@procedure
def fourth_order_plane(h4_plane: tuple[Any, ...] = H4) -> Decision:
    """The same for d = 2, where the contractions matter."""
    return _vanishes(change(2, 6, H2, h4_plane))


@procedure
def energy_itself(first_power: int = 3) -> Decision:
    """Without corrections the change of H starts at ε³."""
    series = change(1, 3, (0, 0), (0, 0, 0, 0))
    powers = [n for n, value in enumerate(series) if value]
    return decide.fact(
        powers[:1] == [first_power], {f"ε^{n}": str(series[n]) for n in powers}, "first non-zero coefficient"
    )


@claim
def network_form(sign: int = -1) -> Formula:
    """U = −∫σ(Wy + b) dy: U' = −σ(u), U'' = −Wσ'(u), so H_2 = −p²Wσ'(u)/12 − σ(u)²/24 (d = 1)."""
    y, p, b = sp.symbols("y p b", real=True)
    W = sp.Symbol("W", nonzero=True, real=True)
    u = W * y + b
    U = -primitive(u) / W
    correction = H2[0] * p**2 * sp.diff(U, y, 2) + H2[1] * sp.diff(U, y) ** 2
    return identity(correction, sign * p**2 * W * dsigma(u) / 12 - sigma(u) ** 2 / 24)


@claim
def harmonic(divisor: int = 4) -> Formula:
    """U = ω²q²/2: p² + ω²q²(1 − ε²ω²/4) is exactly invariant, and H̃ is a multiple of it up to ε⁴."""
    q, p, w = sp.symbols("q p omega", real=True)
    stage = {"drift": drift, "kick": lambda weight: kick(weight, -(w**2))}
    image = compose([stage[kind](weight) for kind, weight in flows("leapfrog")]) * sp.Matrix([q, p])

    def invariant(position: sp.Expr, momentum: sp.Expr) -> sp.Expr:
        return momentum**2 + w**2 * position**2 * (1 - eps**2 * w**2 / divisor)

    momentum_part = Q(1, 2) + eps**2 * H2[0] * w**2 + eps**4 * H4[2] * w**4
    position_part = w**2 / 2 + eps**2 * H2[1] * w**4 + eps**4 * H4[3] * w**6
    gap = sp.expand(position_part - momentum_part * w**2 * (1 - eps**2 * w**2 / divisor))
    return identities(
        {
            "exact invariant": (invariant(*image), invariant(q, p)),
            **{f"ε^{n}": (gap.coeff(eps, n), 0) for n in range(6)},
        }
    )


POTENTIAL = Known("F = −∇U, with U eight times continuously differentiable")
HYPOTHESES = {"potential": POTENTIAL, "smooth": SMOOTH}
STEPS = (
    Step(
        "energy_itself",
        "H changes by O(ε³), and not less, in one step (d = 1)",
        energy_itself,
        premises=(POTENTIAL,),
    ),
    Step(
        "second_order",
        "H + ε²H_2 changes by O(ε⁵) (d = 3, unspecified U)",
        second_order,
        premises=(POTENTIAL,),
    ),
    Step(
        "fourth_order_scalar",
        "H + ε²H_2 + ε⁴H_4 changes by O(ε⁷) (d = 1)",
        fourth_order_scalar,
        premises=(POTENTIAL,),
    ),
    Step("fourth_order_plane", "the same for d = 2", fourth_order_plane, premises=(POTENTIAL,)),
    Step(
        "network_form",
        "for ÿ = σ(Wy + b), d = 1: H_2 = −p²Wσ'(u)/12 − σ(u)²/24",
        network_form,
        axioms=("chain_rule",),
        role=Role.REMARK,
        premises=(SMOOTH,),
    ),
    Step(
        "harmonic",
        "U = ω²q²/2: H̃ is a multiple of the exact invariant p² + ω²q²(1 − ε²ω²/4) up to ε⁴",
        harmonic,
        role=Role.REMARK,
        premises=(POTENTIAL,),
    ),
)
CONCLUSION = concluded(
    STEPS,
    "For F = −∇U the shipped leapfrog conserves H + ε²H_2 + ε⁴H_4 up to O(ε⁷) in a step, for d = 1 and 2, "
    "and H + ε²H_2 up to O(ε⁵), for d = 3, with H_2 "
    "= U''(p, p)/12 − |∇U|²/24 and H_4 = −U''''(p, p, p, p)/720 + U'''(p, p, ∇U)/120 + |U''p|²/60 − U''(∇U, "
    "∇U)/240.",
)

PROPOSITION = Proposition(
    name="leapfrog_modified_hamiltonian",
    title="Modified energy of leapfrog",
    statement=CONCLUSION.claim,
    hypotheses=HYPOTHESES,
    source="ours; makes precise that leapfrog nearly conserves H",
    rests_on=("hamiltonian",),
    steps=(*STEPS, CONCLUSION),
    mutants=(
        Mutant("conserved_energy", "change of H said to start at ε⁵", {"first_power": 5}),
        Mutant("wrong_second", "H_2 with +|∇U|²/24", {"h2": (H2[0], -H2[1])}),
        Mutant("wrong_quartic", "H_4 with +U''''pppp/720", {"h4_scalar": (-H4[0], *H4[1:])}),
        Mutant("wrong_contraction", "H_4 with |U''p|²/30", {"h4_plane": (*H4[:2], Q(1, 30), H4[3])}),
        Mutant("wrong_sign", "H_2 with +p²Wσ'/12", {"sign": 1}),
        Mutant("other_invariant", "invariant with 1 − ε²ω²/2", {"divisor": 2}),
        *sharper((CONCLUSION,)),
    ),
)
