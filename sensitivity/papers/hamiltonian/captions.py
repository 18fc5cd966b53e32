"""What Figures 1 to 3 claim, decided on their curves: a verdict for each, and under a figure its numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from sensitivity.papers.ledger import ClaimVerdict
from sensitivity.text import two_digits

from .curves import (
    LINEAR,
    STEADY,
    Curve,
    below_from,
    decade_before_end,
    end_behaviour,
    linear_from,
    near_one_until,
)

__all__ = ["blow_up", "figure_1", "figure_2", "figure_3", "last_decade", "linear_growth", "order_one"]

Judgement = tuple[ClaimVerdict, str]


# --------------------------------------------------------------------------------------------- the verdicts


def linear_growth(curve: Curve) -> Judgement:
    """Figure 1: does the norm grow linearly in ε? Verdict and condition."""
    start = linear_from(curve)
    if start is None:
        return ClaimVerdict.NOT_REPRODUCED, ""
    if start == curve.step[0]:
        return ClaimVerdict.CONFIRMED, ""
    return ClaimVerdict.HOLDS_ONLY_IF, f"ε ≥ {start:.2g} (local slope within {LINEAR} of 1)"


def blow_up(curve: Curve) -> Judgement:
    """Figure 2: does the norm grow exponentially?"""
    exponential = end_behaviour(curve) == "exponential"
    return ClaimVerdict.CONFIRMED if exponential else ClaimVerdict.NOT_REPRODUCED, ""


def order_one(curves: Sequence[Curve]) -> Judgement:
    """Figure 3: does one γ keep the norms of all these curves within a factor of two of one?"""
    reach = near_one_until(curves)
    if reach is None:
        return ClaimVerdict.NOT_REPRODUCED, ""
    if reach == curves[0].step[-1]:
        return ClaimVerdict.CONFIRMED, ""
    return (
        ClaimVerdict.HOLDS_ONLY_IF,
        f"ε ≤ {reach:.2g} (largest tried with a norm between ½ and 2 for every d)",
    )


def last_decade(curve: Curve) -> float:
    """Change of the logarithm of the median norm over the last decade of ε."""
    return float(curve.log.median[-1] - curve.log.median[decade_before_end(curve)])


# --------------------------------------------------------------------------------------------- the captions


def figure_1(curves: Sequence[Curve]) -> str:
    """Verdict, range of the local slope and its end, for every d."""
    rows = []
    for curve in curves:
        slope = curve.slope.median
        steepest, last = (two_digits(curve.step[i]) for i in (np.argmax(slope), -1))
        rows.append(
            f"d = {curve.d}: {_said(linear_growth(curve))}, local slope {slope.min():.2f} … "
            f"{slope.max():.2f} (largest at ε = {steepest}), {slope[-1]:.2f} at ε = {last}"
        )
    return _caption("Hamiltonian RNN (11), norm linear in ε", rows, curves)


def figure_2(euler: Sequence[Curve], hamiltonian: Sequence[Curve]) -> str:
    """Verdict, behaviour and last norm, also against the Hamiltonian network, for every d."""
    rows = []
    for curve, other in zip(euler, hamiltonian, strict=True):
        ratio, start = math.exp(curve.log.median[-1] - other.log.median[-1]), below_from(curve, other)
        rows.append(
            f"d = {curve.d}: {_said(blow_up(curve))}, {KINDS[end_behaviour(curve)]}, norm × "
            f"{two_digits(math.exp(last_decade(curve)))} over the last decade of ε to "
            f"{two_digits(curve.norm.median[-1])}, × {two_digits(ratio)} that of (11) at "
            f"ε = {two_digits(curve.step[-1])}"
            + ("" if start is None else f", below it from ε = {two_digits(start)} on")
        )
    return _caption("Euler RNN (12), same draws, norm exponential in ε", rows, euler)


KINDS = {
    "saturates": f"saturates (within a factor of {STEADY:g})",
    "decays": "decays",
    "power": "power of ε",
    "exponential": "exponential in ε",
}
"""What `end_behaviour` finds, as a label."""


def figure_3(curves: Sequence[Curve]) -> str:
    """Verdict and last norms, for every γ."""
    rows = []
    for gamma in dict.fromkeys(curve.gamma for curve in curves):
        members = [curve for curve in curves if curve.gamma == gamma]
        norms = ", ".join(two_digits(curve.norm.median[-1]) for curve in members)
        end = two_digits(members[0].step[-1])
        rows.append(f"γ = {gamma:g}: {_said(order_one(members))}, norm at ε = {end}: {norms}")
    dims = ", ".join(dict.fromkeys(f"{curve.d}" for curve in curves))
    return _caption(f"Antisymmetric RNN (Euler, W − Wᵀ − γI), d = {dims}, norm of order one", rows, curves)


def _caption(claim: str, rows: Iterable[str], curves: Sequence[Curve]) -> str:
    total = sum(curve.log_norms.size for curve in curves)
    above = sum(curve.violations for curve in curves)
    bounded = f"{above} of {total} values lie above bound {curves[0].theorem}"
    return f"{claim}. {'; '.join(rows)}. {bounded}."


def _said(judgement: Judgement) -> str:
    return " ".join(map(str, judgement)).strip()
