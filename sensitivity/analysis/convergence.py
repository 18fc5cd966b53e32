"""Measured orders and energy errors of schemes on a field."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from integrators import Field, integrate
from integrators.display import Displayed, Table
from integrators.fields.textbook import ConservativeField
from integrators.naming import shown
from integrators.run.solve import Trajectory
from integrators.schemes.table import Scheme, get_scheme
from integrators.validation import as_count, as_number
from integrators.values import ByValue

__all__ = ["Convergence", "convergence", "energy_error"]

Float = NDArray[np.float64]

REFERENCE = "kahan_li8"
# Errors within this factor of the smallest are at the round-off floor and say nothing about the order.
FLOOR = 1e-13


@dataclass(frozen=True, eq=False)
class Convergence(ByValue, Displayed):
    """Errors at the end of a run against the number of force evaluations.

    Attributes
    ----------
    scheme : Scheme
    step : ndarray, shape (n,)
        ε, decreasing.
    kicks : ndarray, shape (n,)
        Force evaluations of the whole run.
    error : ndarray, shape (n,)
        ‖(y, p) − reference‖₂ at the end.

    Examples
    --------
    >>> import leapgrad as lg
    >>> (found,) = lg.convergence(lg.pendulum(), ["leapfrog"], [1.0], [0.0], 2.0, (20, 40, 80))
    >>> found
    <Convergence leapfrog: claimed 2, measured 2.00>
    """

    scheme: Scheme
    step: Float
    kicks: Float
    error: Float

    @property
    def order(self) -> float:
        """Slope of log error against log ε above the round-off floor; NaN with fewer than two such points."""
        use = self.error > FLOOR
        if np.count_nonzero(use) < 2:
            return float("nan")
        return float(np.polyfit(np.log(self.step[use]), np.log(self.error[use]), 1)[0])

    def _table(self) -> Table:
        rows = zip(self.step, self.kicks, self.error, strict=True)
        header = ("step ε", "force evaluations", "error")
        return header, [(f"{step:.6g}", f"{kicks:.0f}", f"{error:.3g}") for step, kicks, error in rows]

    def __repr__(self) -> str:
        return f"<Convergence {self.scheme.name}: claimed {self.scheme.order}, measured {self.order:.2f}>"


def convergence(
    field: Field,
    schemes: Sequence[str | Scheme],
    y0: ArrayLike,
    p0: ArrayLike,
    time: float,
    n_steps: Sequence[int],
) -> list[Convergence]:
    """Errors of several second-order schemes at T for several numbers of steps, and so their orders.

    Parameters
    ----------
    field : Field
        Undriven.
    schemes : sequence of str or Scheme
        Not of the first-order form, whose equation is another one.
    y0, p0 : array_like, shape (d,)
    time : float
        T = Nε > 0.
    n_steps : sequence of int
        Numbers of steps N, increasing.

    Returns
    -------
    list of Convergence

    Raises
    ------
    ValueError
        For a first-order scheme, or a time that is not positive.

    Notes
    -----
    The reference is the order-8 scheme of Kahan and Li (1997) with four times the largest N.

    Examples
    --------
    >>> import leapgrad as lg
    >>> schemes, n_steps = ["leapfrog", "yoshida4"], (40, 80, 160)
    >>> found = lg.convergence(lg.henon_heiles(), schemes, [0.3, 0.1], [0.0, 0.2], 4.0, n_steps)
    >>> [round(one.order) for one in found]
    [2, 4]
    """
    if isinstance(schemes, (str, Scheme)) or not isinstance(schemes, Sequence):
        raise TypeError(f"schemes must be a list of names or of Scheme records, got {shown(schemes)}.")
    if not isinstance(n_steps, Sequence) or not n_steps:
        raise TypeError(f"n_steps must be a list of numbers of steps, got {shown(n_steps)}.")
    if not all(isinstance(scheme, (str, Scheme)) for scheme in schemes):
        raise TypeError(f"schemes must hold names or Scheme records only, got {shown(schemes)}.")
    records = [get_scheme(scheme) for scheme in schemes]
    for record in records:
        if record.form == "first_order":
            raise ValueError(f"schemes holds {record.name!r}, which solves ẏ = F, not ÿ = F; leave it out.")
    as_number(time, "time", 0.0, math.inf)
    counts = [as_count(n, "n_steps", least=1) for n in n_steps]

    def end(record: str | Scheme, n: int) -> Float:
        run = integrate(field, record, y0, p0, time / n, n, progress=False)
        return np.concatenate([run.y[-1], run.p[-1]])

    exact = end(REFERENCE, 4 * max(counts))
    kicks = np.array(counts, dtype=np.float64)
    return [
        Convergence(
            record,
            time / kicks,
            kicks * record.n_kicks,
            np.array([float(np.linalg.norm(end(record, n) - exact)) for n in counts]),
        )
        for record in records
    ]


def energy_error(field: ConservativeField, trajectory: Trajectory) -> Float:
    """The relative error of the energy along a trajectory, (H_i − H_0)/|H_0| with H = |p|²/2 + U(y).

    Parameters
    ----------
    field : ConservativeField
        A field with an energy, such as ``pendulum()``.
    trajectory : Trajectory
        The result of `integrate` for this field.

    Returns
    -------
    ndarray, shape (*step.shape, n_steps + 1)

    Raises
    ------
    TypeError
        If the field has no energy, or `trajectory` is not a trajectory.

    Examples
    --------
    >>> import leapgrad as lg
    >>> run = lg.integrate(lg.pendulum(), "leapfrog", [1.0], [0.0], step=0.1, n_steps=300)
    >>> bool(abs(lg.energy_error(lg.pendulum(), run)).max() < 0.01)
    True
    """
    if not isinstance(field, ConservativeField):
        raise TypeError(f"field {field!r} has no energy; the textbook fields have one.")
    if not isinstance(trajectory, Trajectory):
        raise TypeError(f"trajectory must be what integrate() returns, got {shown(trajectory)}.")
    energy = field.energy(trajectory.y, trajectory.p)
    first = energy[..., :1]
    return (energy - first) / np.abs(first)
