"""What Figures 1 to 3 claim, decided on their curves; and the captions, which are verdicts and numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from sensitivity.papers.ledger import ClaimVerdict, Finding
from sensitivity.text import from_log, plain

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

__all__ = ["KINDS", "blow_up", "figure_1", "figure_2", "figure_3", "linear_growth", "no_blow_up", "order_one"]

KINDS = {
    "saturates": f"saturates (within a factor of {STEADY:g})",
    "decays": "decays",
    "power": "grows like a power of ε",
    "exponential": "grows exponentially in ε",
}
"""What `end_behaviour` finds, as a label."""


def linear_growth(curve: Curve) -> Finding:
    """Figure 1: does the norm grow linearly in ε, from where on, and what is its local slope?"""
    slope, start = curve.slope.median, linear_from(curve)
    steepest, last = (f"{curve.step[i]:.2g}" for i in (np.argmax(slope), -1))
    said = (
        f"local slope {slope.min():.2f} … {slope.max():.2f} (largest at ε = {steepest})",
        f"{slope[-1]:.2f} at ε = {last}",
    )
    numbers = plain({"step": curve.step, "local_slope": slope, "linear_from": start})
    condition = "" if start is None else f"ε ≥ {start:.2g} (local slope within {LINEAR} of 1)"
    return _held(start, curve.step[0], condition, said, numbers)


def blow_up(euler: Curve, hamiltonian: Curve) -> Finding:
    """Figure 2: does the norm grow exponentially over the last decade, and how does it compare?"""
    kind, log, first = end_behaviour(euler), euler.log.median, decade_before_end(euler)
    start = below_from(euler, hamiltonian)
    below = "nowhere below it" if start is None else f"below it from ε = {start:.2g} on"
    norms = (f"{from_log(log[i], 3)} at ε = {euler.step[i]:.2g}" for i in (first, -1))
    said = (
        KINDS[kind],
        f"norm {', '.join(norms)}",
        f"{from_log(log[-1] - hamiltonian.log.median[-1], 2)} times that of (11), {below}",
    )
    verdict = ClaimVerdict.CONFIRMED if kind == "exponential" else ClaimVerdict.NOT_REPRODUCED
    return Finding(verdict, said, "", plain({"step": euler.step, "log_norm": log, "behaviour": kind}))


def no_blow_up(curves: Sequence[Curve]) -> Finding:
    """Figure 3: is the norm free of exponential growth over the last decade of ε, for every d?"""
    kinds = {curve.d: end_behaviour(curve) for curve in curves}
    last = {curve.d: float(curve.log.median[-1]) for curve in curves}
    said = tuple(
        f"d = {d}: {KINDS[kind]}, norm {from_log(last[d], 3)} at ε = {curves[0].step[-1]:.2g}"
        for d, kind in kinds.items()
    )
    found = "exponential" in kinds.values()
    verdict = ClaimVerdict.NOT_REPRODUCED if found else ClaimVerdict.CONFIRMED
    return Finding(verdict, said, "", {"behaviour": kinds, "log_norm_at_1": last})


def order_one(curves: Sequence[Curve]) -> Finding:
    """Figure 3: up to which ε are the norms of all these curves within a factor of two of one?"""
    reach, end = near_one_until(curves), curves[0].step[-1]
    last = {curve.d: float(curve.log.median[-1]) for curve in curves}
    norms = ", ".join(f"{from_log(log, 3)} (d = {d})" for d, log in last.items())
    numbers = {"near_one_until": reach, "log_norm_at_1": last}
    condition = ""
    if reach is not None:
        condition = f"ε ≤ {reach:.2g} (the largest tried)"
    return _held(reach, end, condition, (f"norm at ε = {end:.2g}: {norms}",), numbers)


def _held(edge: float | None, whole: float, condition: str, said: tuple[str, ...], numbers: dict) -> Finding:
    """Nowhere, over the whole range, or under a condition."""
    if edge is None:
        return Finding(ClaimVerdict.NOT_REPRODUCED, said, "", numbers)
    if edge == whole:
        return Finding(ClaimVerdict.CONFIRMED, said, "", numbers)
    return Finding(ClaimVerdict.HOLDS_ONLY_IF, said, condition, numbers)


def figure_1(curves: Sequence[Curve]) -> str:
    """Verdict and local slope, for every d."""
    rows = [f"d = {curve.d}: {_row(linear_growth(curve))}" for curve in curves]
    return _caption("Hamiltonian RNN (11), norm linear in ε", rows, curves)


def figure_2(euler: Sequence[Curve], hamiltonian: Sequence[Curve]) -> str:
    """Verdict, behaviour and norms, for every d."""
    pairs = zip(euler, hamiltonian, strict=True)
    rows = [f"d = {curve.d}: {_row(blow_up(curve, other))}" for curve, other in pairs]
    return _caption("Euler RNN (12), same draws, norm exponential in ε", rows, euler)


def figure_3(curves: Sequence[Curve]) -> str:
    """Verdict and last norms, for every γ; and up to which ε the norms are of order one."""
    rows = []
    for gamma in dict.fromkeys(curve.gamma for curve in curves):
        chosen = [curve for curve in curves if curve.gamma == gamma]
        near = order_one(chosen)
        reach = f"between ½ and 2 for every d: {near.verdict} {near.condition}".rstrip()
        rows.append(f"γ = {gamma:g}: {_row(no_blow_up(chosen))}; {reach}")
    return _caption("Antisymmetric RNN (Euler, W − Wᵀ − γI), no exponential growth", rows, curves)


def _caption(claim: str, rows: Iterable[str], curves: Sequence[Curve]) -> str:
    total = sum(curve.log_norms.size for curve in curves)
    above = sum(curve.violations for curve in curves)
    return f"{claim}. {'; '.join(rows)}. {above} of {total} values lie above bound {curves[0].theorem}."


def _row(found: Finding) -> str:
    return ", ".join((found.headline, *found.evidence))
