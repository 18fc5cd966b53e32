"""One sentence under each figure, made from the data: other data would give another sentence."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from sensitivity.papers.hamiltonian.curves import Curve

__all__ = [
    "below_from",
    "end_behaviour",
    "figure_1",
    "figure_2",
    "figure_3",
    "linear_from",
    "near_one_until",
    "number",
]

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
    first = _decade_before_end(curve)
    step, values = curve.step[first:], curve.log.median[first:]
    change = _last_decade(curve)
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
    slopes = [curve.slope.median for curve in curves]
    ends = _list(f"{slope[-1]:.2f}" for slope in slopes)
    ranges = _list(f"{slope.min():.2f} … {slope.max():.2f}" for slope in slopes)
    steepest = _list(number(c.step[np.argmax(slope)]) for c, slope in zip(curves, slopes, strict=True))
    walk = f"over the whole range the local slope is {ranges}, largest at ε = {steepest}"
    crooked = [curve for curve, start in zip(curves, starts, strict=True) if start is None]
    if crooked:
        verdict = (
            f"the linear growth in ε that the paper reports does not reproduce for {_dims(crooked)}: the "
            f"local slope ends at {ends}; {walk}"
        )
    elif all(start == curve.step[0] for curve, start in zip(curves, starts, strict=True)):
        verdict = (
            "the norm grows linearly in ε over the whole range, as the paper says, with a local slope within "
            f"1 ± {LINEAR} that ends at {ends}"
        )
    else:
        verdict = (
            "the linear growth in ε that the paper reports holds only from ε = "
            f"{_list(map(number, starts))} on (local slope within 1 ± {LINEAR}, {ends} at the end); {walk}"
        )
    return f"Hamiltonian RNN (11), {_dims(curves)}: {verdict}; {_bounded(curves)}."


def figure_2(euler: Sequence[Curve], hamiltonian: Sequence[Curve]) -> str:
    """Does the norm of the Euler RNN blow up exponentially, and how does it compare?"""
    kinds = {curve.d: end_behaviour(curve) for curve in euler}
    exploding = [curve for curve in euler if kinds[curve.d] == "exponential"]
    if len(exploding) == len(euler):
        verdict = "the norm blows up exponentially, as the paper says"
    elif exploding:
        verdict = f"the exponential blow-up that the paper reports reproduces for {_dims(exploding)} only"
    else:
        verdict = "the exponential blow-up that the paper reports does not reproduce under its stated set-up"
    clauses = []
    for kind in dict.fromkeys(kinds.values()):
        members = [curve for curve in euler if kinds[curve.d] == kind]
        changes = _list(number(math.exp(_last_decade(curve))) for curve in members)
        ends = _list(number(curve.norm.median[-1]) for curve in members)
        clauses.append(
            f"for {_dims(members)} the norm {_BEHAVIOUR[kind]} {ends}, changing by a factor of {changes} "
            "over the last decade of ε"
        )
    said = [f"Euler RNN (12), same draws: {verdict}", "; ".join(clauses), _compared(euler, hamiltonian)]
    return "; ".join([*said, _bounded(euler)]) + "."


_BEHAVIOUR = {
    "saturates": "saturates at",
    "decays": "decays to",
    "power": "grows like a power of ε to",
    "exponential": "grows exponentially in ε to",
}


def _compared(euler: Sequence[Curve], hamiltonian: Sequence[Curve]) -> str:
    """The Euler norm against the Hamiltonian one, at the end of the range and from where on."""
    pairs = list(zip(euler, hamiltonian, strict=True))
    end = number(euler[0].step[-1])

    def times(chosen: Sequence[tuple[Curve, Curve]]) -> str:
        return _list(number(math.exp(abs(h.log.median[-1] - e.log.median[-1]))) for e, h in chosen)

    below = [(e, h) for e, h in pairs if below_from(e, h) is not None]
    above = [(e, h) for e, h in pairs if below_from(e, h) is None]
    said = []
    if below:
        starts = _list(number(below_from(e, h)) for e, h in below)
        said.append(
            f"from ε = {starts} on it is smaller than the Hamiltonian norm for {_dims([e for e, _ in below])}"
            f", by a factor of {times(below)} at ε = {end}"
        )
    if above:
        said.append(
            f"at ε = {end} it is larger than the Hamiltonian norm for {_dims([e for e, _ in above])}, by a "
            f"factor of {times(above)}"
        )
    return " and ".join(said)


def figure_3(curves: Sequence[Curve]) -> str:
    """What each γ does to the norm of the antisymmetric RNN."""
    gammas = dict.fromkeys(curve.gamma for curve in curves)
    groups = {gamma: [curve for curve in curves if curve.gamma == gamma] for gamma in gammas}
    dims = _dims(next(iter(groups.values())))
    end = float(curves[0].step[-1])
    ends, held, left = [], [], []
    for gamma, members in groups.items():
        ends.append(f"{_list(number(curve.norm.median[-1]) for curve in members)} for γ = {gamma:g}")
        reach = near_one_until(members)
        if reach == end:
            held.append(f"γ = {gamma:g}")
        elif reach is None:
            left.append(f"nowhere (γ = {gamma:g})")
        else:
            left.append(f"up to ε = {number(reach)} (γ = {gamma:g})")
    values = "; ".join(ends)
    said = [f"Antisymmetric RNN (Euler, W − Wᵀ − γI), {dims}: at ε = {number(end)} the norm is {values}"]
    if held:
        said.append(f"it stays within a factor of 2 of 1 over the whole range for {_join(held)}")
    if left:
        said.append(f"it is within a factor of 2 of 1 for every d only {_join(left)}")
    return "; ".join([*said, _bounded(curves)]) + "."


# ------------------------------------------------------------------------------------------------ wording


def _last_decade(curve: Curve) -> float:
    """Change of the logarithm of the median norm over the last decade of ε."""
    return float(curve.log.median[-1] - curve.log.median[_decade_before_end(curve)])


def _decade_before_end(curve: Curve) -> int:
    return int(np.argmin(np.abs(np.log(curve.step * 10.0 / curve.step[-1]))))


def _bounded(curves: Sequence[Curve]) -> str:
    total = sum(curve.log_norms.size for curve in curves)
    above = sum(curve.violations for curve in curves)
    theorem = curves[0].theorem
    if above:
        return f"{above} of {total} values lie above bound {theorem}, which is proved and must not be"
    return f"all {total} values lie below bound {theorem}"


_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float | None) -> str:
    """Two significant digits, as one writes them."""
    if value is None:
        return "none"
    if value == 0.0 or not math.isfinite(value) or 1e-3 <= abs(value) < 1e4:
        return f"{float(f'{value:.2g}'):g}"
    mantissa, _, exponent = f"{value:.1e}".partition("e")
    return f"{mantissa}·10{str(int(exponent)).translate(_SUPERSCRIPT)}"


def _join(parts: Iterable[str]) -> str:
    items = list(parts)
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def _list(parts: Iterable[str]) -> str:
    """One text for each d, or the one that they share."""
    items = list(parts)
    return items[0] if len(set(items)) == 1 else _join(items)


def _dims(curves: Sequence[Curve]) -> str:
    return f"d = {_join(str(curve.d) for curve in curves)}"
