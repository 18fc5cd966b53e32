"""One sentence under each figure, made from the data: other data would give another sentence."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby

import numpy as np

from .curves import Curve

__all__ = ["below_from", "end_behaviour", "figure_1", "figure_2", "figure_3", "linear_from", "near_one_until"]

# A local slope within 1 ± this counts as linear.
LINEAR = 0.1
# Norms that change by less than this factor over the last decade of ε saturate.
STEADY = 2.0


# ------------------------------------------------------------------------------------------ tests on data


def linear_from(curve: Curve) -> float | None:
    """The least ε from which on the median local slope stays within 1 ± LINEAR; None if its end does not."""
    return _from_on(curve, np.abs(curve.slope.median - 1.0) <= LINEAR)


def below_from(curve: Curve, other: Curve) -> float | None:
    """The least ε from which on the median norm stays below that of `other`, on the same steps."""
    return _from_on(curve, curve.log.median < other.log.median)


def _from_on(curve: Curve, holds: np.ndarray) -> float | None:
    if not holds[-1]:
        return None
    fails = np.flatnonzero(~holds)
    return float(curve.step[fails[-1] + 1 if fails.size else 0])


def near_one_until(curves: Sequence[Curve], factor: float = 2.0) -> float | None:
    """The largest ε up to which every median norm stays within a factor of 1."""
    reach = []
    for curve in curves:
        fails = np.flatnonzero(np.abs(curve.log.median) > math.log(factor))
        if fails.size and fails[0] == 0:
            return None
        reach.append(float(curve.step[fails[0] - 1 if fails.size else -1]))
    return min(reach)


def end_behaviour(curve: Curve) -> str:
    """How the median norm behaves over the last decade of ε: saturates, decays, power or exponential.

    The latter two differ in whether log‖·‖ is closer to a line in log ε or to a line in ε.
    """
    last = curve.step >= curve.step[-1] / 10.000001
    step, values = curve.step[last], curve.log.median[last]
    change = values[-1] - values[0]
    if abs(change) <= math.log(STEADY):
        return "saturates"
    if change < 0:
        return "decays"
    misfit = {"power": _misfit(np.log(step), values), "exponential": _misfit(step, values)}
    return min(misfit, key=lambda kind: misfit[kind])


def _misfit(x: np.ndarray, y: np.ndarray) -> float:
    line = np.polynomial.Polynomial.fit(x, y, 1)
    return float(np.sum((y - line(x)) ** 2))


# ---------------------------------------------------------------------------------------------- sentences


def figure_1(curves: Sequence[Curve]) -> str:
    """Is the norm of the Hamiltonian RNN linear in ε?"""
    starts = [linear_from(curve) for curve in curves]
    ends = _each(curves, lambda c: f"{c.slope.median[-1]:.2f}")
    ranges = _each(
        curves,
        lambda c: f"{c.slope.median.min():.2g} … {c.slope.median.max():.2g}, steepest at ε = "
        f"{c.step[np.argmax(c.slope.median)]:.2g}",
    )
    opening = "Hamiltonian RNN (11): ‖∂y_N/∂y_0‖ "
    crooked = [curve for curve, start in zip(curves, starts, strict=True) if start is None]
    if crooked:
        verdict = (
            f"is not linear in ε up to ε = {_number(curves[0].step[-1])} for {_dims(crooked)}, against the "
            f"paper: the local slope ends at {ends} and runs through {ranges}"
        )
    elif all(start == curve.step[0] for curve, start in zip(curves, starts, strict=True)):
        verdict = (
            f"is linear in ε over the whole range, as the paper says: the local slope stays within 1 ± {LINEAR} "
            f"for {_dims(curves)} and ends at {ends}"
        )
    else:
        found = [(c, s) for c, s in zip(curves, starts, strict=True) if s is not None]
        since = _join(f"{_number(start)} (d = {curve.d})" for curve, start in found)
        verdict = (
            f"is linear in ε, as the paper says, only from ε = {since} on, where the local slope stays within "
            f"1 ± {LINEAR} and ends at {ends}; over the whole range it runs through {ranges}"
        )
    return f"{opening}{verdict}; {_bounded(curves)}."


def figure_2(euler: Sequence[Curve], hamiltonian: Sequence[Curve]) -> str:
    """Does the norm of the Euler RNN blow up exponentially, and how does it compare?"""
    kinds = {curve.d: end_behaviour(curve) for curve in euler}
    exploding = [curve for curve in euler if kinds[curve.d] == "exponential"]
    opening = "Euler RNN (12), same draws: "
    if len(exploding) == len(euler):
        verdict = "the norm blows up exponentially, as the paper says"
    elif exploding:
        verdict = f"the exponential blow-up that the paper reports reproduces for {_dims(exploding)} only"
    else:
        verdict = (
            "the exponential blow-up that the paper reports does not reproduce under its stated set-up"
        )
    described = {
        "saturates": "the norm saturates",
        "decays": "the norm decays",
        "power": "the norm grows like a power of ε",
        "exponential": "the norm grows exponentially",
    }
    clauses = []
    for kind, group in groupby(sorted(euler, key=lambda c: kinds[c.d]), key=lambda c: kinds[c.d]):
        members = sorted(group, key=lambda c: c.d)
        changes = _each(members, lambda c: f"{_last_decade(c):.3g}", inner=True)
        ends = _each(members, lambda c: _number(c.norm.median[-1]), inner=True)
        clauses.append(
            f"for {_dims(members)} {described[kind]}, changing over the last decade of ε by a factor of "
            f"{changes}, to {ends}"
        )
    return f"{opening}{verdict}: {'; '.join(clauses)}; {_compared(euler, hamiltonian)}; {_bounded(euler)}."


def _compared(euler: Sequence[Curve], hamiltonian: Sequence[Curve]) -> str:
    """The Euler norm against the Hamiltonian one at the end of the range, and from where on."""
    pairs = list(zip(euler, hamiltonian, strict=True))
    since = {e.d: below_from(e, h) for e, h in pairs}
    above = [e for e in euler if since[e.d] is None]
    end = _number(euler[0].step[-1])

    def ratio(e: Curve, h: Curve) -> str:
        return _number(math.exp(abs(h.log.median[-1] - e.log.median[-1])))

    if not above:
        starts = _each(euler, lambda c: _number(since[c.d]), inner=True)
        times = _join(ratio(e, h) for e, h in pairs)
        return f"it is smaller than the Hamiltonian norm from ε = {starts} on, {times} times so at ε = {end}"
    times = _join(ratio(e, h) for e, h in pairs if since[e.d] is None)
    text = f"at ε = {end} it exceeds the Hamiltonian norm {times} times for {_dims(above)}"
    below = [(e, h) for e, h in pairs if since[e.d] is not None]
    if below:
        times = _join(ratio(e, h) for e, h in below)
        text += f" and is {times} times smaller for {_dims([e for e, _ in below])}"
    return text


def figure_3(curves: Sequence[Curve]) -> str:
    """What each γ does to the norm of the antisymmetric RNN."""
    parts = []
    ordered = sorted(curves, key=lambda c: (c.gamma or 0.0, c.d))
    for gamma, group in groupby(ordered, key=lambda c: c.gamma or 0.0):
        members = list(group)
        reach = near_one_until(members)
        end = _number(members[0].step[-1])
        if reach == members[0].step[-1]:
            held = f"stays within a factor of 2 of 1 up to ε = {end}"
        elif reach is None:
            held = "is nowhere within a factor of 2 of 1"
        else:
            held = f"leaves the factor 2 around 1 beyond ε = {_number(reach)}"
        ends = _each(members, lambda c: f"{_number(c.norm.median[-1])}{_tendency(c)}", inner=True)
        parts.append(f"for γ = {gamma:g} it {held} and ends at {ends}")
    bounded = _bounded(curves)
    return f"Antisymmetric RNN (Euler, W − Wᵀ − γI), same draws: the norm depends on γ: {'; '.join(parts)}; {bounded}."


def _tendency(curve: Curve) -> str:
    change = curve.log.median[-1]
    if abs(change) <= math.log(STEADY):
        return ""
    return " (grows)" if change > 0 else " (vanishes)"


# ---------------------------------------------------------------------------------------------- wording


def _last_decade(curve: Curve) -> float:
    index = int(np.argmin(np.abs(np.log(curve.step * 10.0 / curve.step[-1]))))
    return math.exp(curve.log.median[-1] - curve.log.median[index])


def _bounded(curves: Sequence[Curve]) -> str:
    total = sum(curve.log_norm.size for curve in curves)
    above = sum(curve.violations for curve in curves)
    theorem = curves[0].theorem
    if above:
        return f"{above} of {total} values lie above bound {theorem}, which must not be"
    return f"all {total} values lie below bound {theorem}"


def _number(value: float | None) -> str:
    if value is None:
        return "none"
    if value == 0.0 or 1e-3 <= abs(value) < 1e4:
        return f"{float(f'{value:.2g}'):g}"
    mantissa, _, exponent = f"{value:.1e}".partition("e")
    return f"{mantissa}·10{str(int(exponent)).translate(_SUPERSCRIPT)}"


_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def _join(parts: Iterable[str]) -> str:
    items = list(parts)
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def _dims(curves: Sequence[Curve]) -> str:
    return f"d = {_join(str(curve.d) for curve in curves)}"


def _each(curves: Sequence[Curve], text: Callable[[Curve], str], inner: bool = False) -> str:
    """The text of each curve; with its d, unless the d are named before (`inner`)."""
    if inner:
        return _join(text(curve) for curve in curves)
    return _join(f"{text(curve)} (d = {curve.d})" for curve in curves)
