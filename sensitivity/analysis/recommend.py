"""Which step keeps the gradient alive: the largest ε = c/N that theorem C guarantees, and the one seen."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from integrators.display import Table
from integrators.fields.field import Field
from integrators.run.inputs import Inputs
from integrators.schemes.table import Scheme, get_scheme
from integrators.singular_values import singular_values
from integrators.validation import as_count, as_number
from integrators.values import ByValue
from sensitivity import bounds
from sensitivity.bounds.table import finite_lipschitz
from sensitivity.figures.drawn import Drawn
from sensitivity.recurrences.arguments import needs_field
from sensitivity.text import number

from .jacobians import jacobian

__all__ = ["StepRecommendation", "recommend_step"]

Float = NDArray[np.float64]
# Steps beyond this multiple of the guaranteed one are not looked at.
REACH = 1e6
PER_DECADE = 24
MEMBERS = 32
RELATIVE_TOLERANCE = 1e-10
LARGEST = float(np.finfo(np.float64).max)


@dataclass(frozen=True, repr=False, eq=False)
class StepRecommendation(ByValue, Drawn):
    """The step size that is proved to keep every singular value in [lo, hi], and the one that was found.

    Attributes
    ----------
    guaranteed : float
        The largest ε for which theorem C proves it; inf if it proves it for all.
    observed : float
        The ε at which a computed singular value first leaves the range; inf if none was found.
    leaves : {"norm", "smallest", ""}
        Whether the largest or the smallest singular value leaves the range at `observed`.
    lo, hi : float
        The range.
    n_steps : int
        N.
    scheme : str
    lipschitz : float
        λ ≥ sup ‖DF‖.
    steps, largest, smallest : ndarray
        The step sizes that were computed, with the extreme singular values; `plot` shows them.

    Examples
    --------
    >>> import leapgrad as lg
    >>> found = lg.recommend_step(lg.NeuralField.random(4, rng=0), n_steps=100)
    >>> sorted(found.to_dict())
    ['c', 'c_observed', 'guaranteed', 'hi', 'leaves', 'lipschitz', 'lo', 'n_steps', 'observed', 'scheme']
    """

    guaranteed: float
    observed: float
    leaves: Literal["norm", "smallest", ""]
    lo: float
    hi: float
    n_steps: int
    scheme: str
    lipschitz: float
    steps: Float = field(compare=False)
    largest: Float = field(compare=False)
    smallest: Float = field(compare=False)

    @property
    def c(self) -> float:
        """c of ε = c/N for the guaranteed step."""
        return self.guaranteed * self.n_steps

    @property
    def c_observed(self) -> float:
        """c of ε = c/N for the observed step."""
        return self.observed * self.n_steps

    def __repr__(self) -> str:
        seen = f"the {self.leaves} leaves the band at ε = {self.observed:.6g} = {self.c_observed:.6g}/N"
        return (
            f"<StepRecommendation {self.scheme}, N = {self.n_steps}, singular values in [{self.lo:g}, "
            f"{self.hi:g}]: guaranteed for ε ≤ {self.guaranteed:.6g} = {self.c:.6g}/N (theorem C, λ = "
            f"{self.lipschitz:.4g}); computed: {seen if self.leaves else 'nothing leaves the band'}>"
        )

    def _table(self) -> Table:
        proved = ("guaranteed (theorem C)", number(self.guaranteed), number(self.c))
        seen = ("computed", number(self.observed), number(self.c_observed))
        return ("", "step ε", "c of ε = c/N"), [proved, seen]

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings."""
        names = ("guaranteed", "observed", "leaves", "lo", "hi", "n_steps", "scheme", "lipschitz")
        return {name: getattr(self, name) for name in names} | {"c": self.c, "c_observed": self.c_observed}


@needs_field
def recommend_step(
    field: Field,
    n_steps: int,
    lo: float = 0.5,
    hi: float = 2.0,
    scheme: str | Scheme = "leapfrog",
    y0: ArrayLike | None = None,
    p0: ArrayLike | None = None,
    inputs: Inputs = None,
) -> StepRecommendation:
    """The largest step size ε for which all singular values of ∂y_N/∂y_0 are proved to lie in [lo, hi].

    Parameters
    ----------
    field : Field
        With a finite ``lipschitz`` λ.
    n_steps : int
        N ≥ 1.
    lo, hi : float
        The range, 0 ≤ lo < 1 < hi.
    scheme : str or Scheme
    y0, p0, inputs
        As for `jacobian`. They matter to the computed singular values only; the guarantee holds for all of
        them.

    Returns
    -------
    StepRecommendation

    Raises
    ------
    ValueError
        If 1 does not lie inside the range, or the field has no λ.

    Notes
    -----
    By theorem C all singular values lie in [2 − s_N, s_N], where s_N is the majorant of the scheme. Hence s_N
    ≤ m = min(hi, 2 − lo) is enough. For leapfrog s_N = C_N(1 + ε²λ/2), which gives ε ≤ 2
    sinh(arccosh(m)/(2N))/√λ ≈ arccosh(m)/(N√λ): the heuristic ε ∝ 1/N, equation (14) of Rusch, Pearson,
    Zygalakis (2019), with its constant. `observed` is found on a grid of 24 step sizes a decade, refined by
    bisection.

    Examples
    --------
    >>> import leapgrad as lg
    >>> found = lg.recommend_step(lg.NeuralField.random(4, rng=0), n_steps=100, lo=0.5, hi=2.0)
    >>> round(found.guaranteed, 5), round(found.c, 3)
    (0.01283, 1.283)
    """
    n_steps = as_count(n_steps, "n_steps", least=1)
    lo, hi = _band(lo, hi)
    record, lipschitz = get_scheme(scheme), finite_lipschitz(field)
    guaranteed = _guaranteed(field, record, n_steps, min(hi, 2.0 - lo))

    def extremes(step: Float) -> tuple[Float, Float]:
        values = singular_values(jacobian(field, record, step, n_steps, y0, p0, inputs, progress=False))
        return np.where(np.isnan(values[:, 0]), np.inf, values[:, 0]), values[:, -1]

    empty = np.zeros(0)
    scan = (math.inf, "", empty, empty, empty)
    if math.isfinite(guaranteed):
        scan = _first_outside(extremes, guaranteed, lo, hi)
    return StepRecommendation(guaranteed, *scan[:2], lo, hi, n_steps, record.name, lipschitz, *scan[2:])


def _band(lo: float, hi: float) -> tuple[float, float]:
    """The band of singular values, checked."""
    lo, hi = as_number(lo, "lo"), as_number(hi, "hi")
    if not 0.0 <= lo < 1.0 < hi:
        raise ValueError(f"the band [lo, hi] = [{lo:g}, {hi:g}] must hold 1 inside: 0 ≤ lo < 1 < hi.")
    return lo, hi


def _guaranteed(field: Field, scheme: Scheme, n_steps: int, most: float) -> float:
    """The largest ε with majorant(ε) ≤ most, by bisection on the bound itself, which rounds outwards."""

    def holds(step: float) -> bool:
        return bool(bounds.majorant(field, scheme, step, n_steps) <= most)

    if field.lipschitz == 0.0:
        return math.inf
    low, high = 0.0, math.acosh(most) / n_steps
    while holds(high):
        low, high = high, 2.0 * high
        if math.isinf(high):
            return high  # every step that float64 has
    while high - low > RELATIVE_TOLERANCE * high:
        middle = 0.5 * (low + high)
        low, high = (middle, high) if holds(middle) else (low, middle)
        if high < 1e-300:
            raise ValueError(
                f"no step is guaranteed: 1 + {most - 1.0:.3g} is within the rounding of {n_steps} steps of "
                f"{scheme.name!r}; take a wider band [lo, hi] or fewer steps."
            )
    return low


def _first_outside(
    extremes: Any, start: float, lo: float, hi: float
) -> tuple[float, Literal["norm", "smallest", ""], Float, Float, Float]:
    """The ε at which a singular value first leaves [lo, hi], which one it is, and the curve up to there."""
    seen: list[tuple[Float, Float, Float]] = []
    ratio = 10.0 ** (1.0 / PER_DECADE)
    end = start * min(REACH, LARGEST / ratio ** (2 * MEMBERS) / start)  # the last grid stays within float64
    grid, before = start * ratio ** np.arange(MEMBERS), start
    while grid[0] < end:
        largest, smallest = extremes(grid)
        seen.append((grid, largest, smallest))
        outside = ~((largest <= hi) & (smallest >= lo))
        if outside.any():
            first = int(np.argmax(outside))
            step, leaves = _refine(extremes, grid[first - 1] if first else before, grid[first], lo, hi)
            return step, leaves, *_joined(seen)
        before, grid = grid[-1], grid * ratio**MEMBERS
    return math.inf, "", *_joined(seen)


def _refine(extremes: Any, inside: float, outside: float, lo: float, hi: float) -> tuple[float, Any]:
    """Sections of 32 at a time between a step inside the band and one outside."""
    leaves = "norm"
    while True:
        grid = np.linspace(inside, outside, MEMBERS + 1)[1:]
        largest, smallest = extremes(grid)
        first = int(np.argmax(~((largest <= hi) & (smallest >= lo))))
        leaves = "norm" if not largest[first] <= hi else "smallest"
        inside, outside = (grid[first - 1] if first else inside), grid[first]
        if outside - inside <= RELATIVE_TOLERANCE * outside or MEMBERS * (outside - inside) < np.spacing(
            outside
        ):
            return float(outside), leaves


def _joined(seen: list[tuple[Float, Float, Float]]) -> tuple[Float, Float, Float]:
    steps, largest, smallest = (np.concatenate(parts) for parts in zip(*seen, strict=True))
    return steps, largest, smallest
