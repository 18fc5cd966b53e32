"""Certificates of regions: what holds for all initial values in a ball and all inputs in a box."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from integrators.display import Displayed
from integrators.engine.blocks import one_blas_thread
from integrators.engine.column_scale import LOG_2
from integrators.naming import shown
from integrators.run.recurrence import Recurrence
from integrators.validation import as_array
from integrators.values import ByValue
from sensitivity.analysis.singular import block_of
from sensitivity.text import from_log

from .certificate import as_cell_run
from .extra import require_flint
from .outward import down, times_power_of_two, up

if TYPE_CHECKING:
    from .region import RegionRun

__all__ = ["RegionCertificate", "certify_region"]

LARGEST = float(np.finfo(np.float64).max)


@dataclass(frozen=True, repr=False, eq=False)
class RegionCertificate(ByValue, Displayed):
    """An enclosure of ‖∂s_N/∂s_0‖₂ for every initial value and input of a region.

    Attributes
    ----------
    lower, upper : float
        lower ≤ ‖J‖₂ ≤ upper, for each of them.
    log_norm : tuple of float
        The logarithms of both; −inf for a lower end of 0.
    n_steps : int
        N.
    useful_steps : int
        The largest number of steps, N at most, after which the upper end is at most `ratio` times the lower.
    radius : float
    input_radius : ndarray, shape (n_inputs,)

    Examples
    --------
    >>> import leapgrad as lg
    >>> found = lg.certify_region(lg.unroll(lg.cell("vanilla", 3), n_steps=10), radius=0.01)
    >>> found.lower < found.upper, found.useful_steps
    (True, 10)
    """

    lower: float
    upper: float
    log_norm: tuple[float, float]
    n_steps: int
    useful_steps: int
    radius: float
    input_radius: np.ndarray

    def __repr__(self) -> str:
        ends = " ≤ ‖J‖₂ ≤ ".join(from_log(end) for end in self.log_norm)
        return (
            f"<RegionCertificate {ends} for all initial values within {self.radius:g} and all inputs within "
            f"{float(self.input_radius.max(initial=0.0)):g}; N = {self.n_steps}>"
        )


def certify_region(
    recurrence: Recurrence,
    radius: float,
    input_radius: ArrayLike = 0.0,
    block: str | None = None,
    *,
    ratio: float = 2.0,
) -> RegionCertificate:
    """Enclose ‖∂s_N/∂s_0‖₂ for all initial values in a ball and all inputs in a box.

    Parameters
    ----------
    recurrence : Recurrence
        Of a cell with one layer, with one batch member. Its initial state and its inputs are the centre.
    radius : float
        Euclidean radius of the ball of initial states s_0, ≥ 0.
    input_radius : float or array_like, shape (n_inputs,)
        By how much each component of each input may differ, ≥ 0.
    block : str, optional
        As for `jacobian`.
    ratio : float
        An enclosure is refused if its upper end is more than so many times its lower end; inf accepts every
        finite upper end, also where the lower one is 0.

    Returns
    -------
    RegionCertificate

    Raises
    ------
    ImportError
        Without python-flint (extra ``certify``).
    TypeError, ValueError
        If this is no recurrence of a cell with one layer and one batch member, or for a radius below 0.
    ArithmeticError
        If the enclosure has grown too wide before the last step. The message says for how many steps it is
        useful.

    Notes
    -----
    One-step Jacobians over the region are enclosed by their midpoints and the norm of what these leave out,
    with slopes from ball arithmetic. The enclosure widens by the norms of the steps, so that it lasts long
    where steps contract, and as long as radius · Π ‖J_n‖ is small where they do not.

    Examples
    --------
    >>> import numpy as np
    >>> import leapgrad as lg
    >>> run = lg.unroll(lg.cell("lstm", 4, 1), inputs=np.zeros((5, 1)))
    >>> found = lg.certify_region(run, radius=0.01, input_radius=0.01)
    >>> bool(found.lower <= lg.jacobian_norm(run) <= found.upper)
    True
    """
    require_flint()
    from .region import run_region

    alone = as_cell_run(recurrence)
    if alone.cell.layout.layers > 1:
        raise ValueError(f"certify_region takes cells of one layer; this has {alone.cell.layout.layers}.")
    part, size = block_of(alone, block)[0], float(as_array(radius, "radius", 0))
    box, n_inputs = as_array(input_radius, "input_radius", (0, 1)), alone.cell.n_inputs
    if box.shape not in ((), (n_inputs,)):
        raise ValueError(
            f"input_radius has shape {box.shape}; it must be a number or have shape ({n_inputs},)."
        )
    box = np.broadcast_to(box, (n_inputs,)).copy()
    if isinstance(ratio, bool) or not isinstance(ratio, Real) or not ratio > 1.0:
        raise ValueError(f"ratio must be a number above 1, got {shown(ratio)}.")
    for name, least in (("radius", size), ("input_radius", float(box.min(initial=0.0)))):
        if least < 0.0:
            raise ValueError(f"{name} must be ≥ 0, got {least:g}.")
    seen = [(0, (1.0, 1.0), 0)]
    useful = [0]

    def visit(n: int, run: RegionRun | None) -> bool:
        ends = (0.0, math.inf) if run is None else run.norms(part)
        seen.append((n, ends, 0 if run is None else run.exponent))
        if math.isfinite(ends[1]) and (ratio == math.inf or ends[1] <= ratio * ends[0]):
            useful[0] = n
        return run is None or not math.isfinite(ends[1])

    with one_blas_thread():
        run_region(alone, size, box, visit)
    n, ends, exponent = seen[-1]
    low, high = _logs(ends, exponent)
    if useful[0] < alone.n_steps:
        fewer = f"n_steps = {useful[0]}, up to which it is useful, " if useful[0] else ""
        raise ArithmeticError(
            f"the enclosure over this region has grown too wide: after {n} steps ‖J‖₂ lies between "
            f"{from_log(low, 3)} and {from_log(high, 3)}. Take {fewer}smaller radii, or a larger ratio."
        )
    least, most = (times_power_of_two(end, exponent) for end in ends)
    ends = max(0.0, down(min(least, LARGEST))), up(most)
    return RegionCertificate(*ends, (low, high), alone.n_steps, useful[0], size, box)


def _logs(ends: tuple[float, float], exponent: int) -> tuple[float, float]:
    """ln (end · 2^exponent) of both ends, rounded outwards."""
    low, high = (math.log(end) if end > 0.0 else -math.inf for end in ends)
    # Of the logarithm itself, of LOG_2, of the product and of the sum.
    room = [
        4.0 * 2.0**-53 * (abs(exponent) + abs(end) + 1.0) if math.isfinite(end) else 0.0
        for end in (low, high)
    ]
    return down(low + exponent * LOG_2 - room[0]), up(high + exponent * LOG_2 + room[1])
