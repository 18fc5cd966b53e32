"""A bound held against an enclosure: proved, refused, or undecided."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from integrators.values import ByValue
from sensitivity.text import from_log

from .outward import down, up

__all__ = ["CheckedBound", "Side", "checked"]

Side = Literal["upper", "lower"]
Verdict = Literal["PROVED", "VACUOUS", "REFUSED", "UNDECIDED"]


@dataclass(frozen=True, repr=False, eq=False)
class CheckedBound(ByValue):
    """A bound held against the enclosure.

    Attributes
    ----------
    name : str
        Of the function in `sensitivity.bounds`, or your own.
    log_value : float
        Natural logarithm of the bound (−inf for a bound that is not positive).
    side : {"upper", "lower"}
        Whether it bounds the norm from above or the smallest singular value from below.
    log_margin : tuple of float
        Encloses log(bound) − log(norm), or log(smallest) − log(bound): how far it is from being crossed.
    verdict : {"PROVED", "VACUOUS", "REFUSED", "UNDECIDED"}
        REFUSED if the enclosure proves that the bound is crossed; VACUOUS for a lower bound that is not
        positive, which holds and says nothing.
    """

    name: str
    log_value: float
    side: Side
    log_margin: tuple[float, float]
    verdict: Verdict

    @property
    def holds(self) -> bool:
        return self.verdict in ("PROVED", "VACUOUS")

    def __repr__(self) -> str:
        sign, of = ("≤", "norm") if self.side == "upper" else ("≥", "smallest singular value")
        return f"<{self.verdict}: {of} {sign} {self.name} = {from_log(self.log_value)}; {self._ratio}>"

    @property
    def _ratio(self) -> str:
        """By which factor the bound is kept, or crossed."""
        if math.isinf(self.log_margin[0]):
            return "nothing to prove" if self.holds else "not positive"
        least, most = (from_log(abs(margin)) for margin in self.log_margin)
        if self.verdict == "UNDECIDED":
            return "the enclosure is too wide"
        return (
            f"kept by a factor of {least} or more" if self.holds else f"crossed by a factor of {most} or more"
        )


def checked(log_bound: float, name: str, side: Side, enclosure: tuple[float, float]) -> CheckedBound:
    """Compare the logarithm of a bound with an enclosure of what it bounds, both as logarithms."""
    low, high = enclosure
    if log_bound == -math.inf:  # not positive: nothing to prove from below, and J = 0 from above
        proved = side == "lower" or high == -math.inf
        margin = (math.inf, math.inf) if proved else (-math.inf, -math.inf)
    elif side == "upper":
        margin = (_difference(log_bound, high, down), _difference(log_bound, low, up))
    else:
        margin = (_difference(low, log_bound, down), _difference(high, log_bound, up))
    if side == "lower" and log_bound == -math.inf:
        return CheckedBound(name, log_bound, side, margin, "VACUOUS")
    verdict = "PROVED" if margin[0] >= 0.0 else "REFUSED" if margin[1] < 0.0 else "UNDECIDED"
    return CheckedBound(name, log_bound, side, margin, verdict)


def _difference(left: float, right: float, outwards: Callable[[float], float]) -> float:
    """left − right, rounded outwards; equal numbers differ by nothing."""
    return 0.0 if left == right else outwards(left - right)
