"""What a scheme does to the phase plane: the area of a set of states, and the sensitivity ellipse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from integrators import Field, integrate
from integrators.fields.field import as_field
from integrators.schemes.table import Scheme, get_scheme
from integrators.singular_values import singular_values
from integrators.validation import as_array, as_count, as_vector
from integrators.values import ByValue
from sensitivity.analysis.jacobians import jacobian

__all__ = ["PhaseArea", "SensitivityEllipses", "phase_area", "sensitivity_ellipses"]

Float = NDArray[np.float64]

CIRCLE = 120
"""Points on the outline of an ellipse."""


@dataclass(frozen=True, eq=False)
class PhaseArea(ByValue):
    """The outline of a set of states in the phase plane, carried along.

    Attributes
    ----------
    outlines : ndarray, shape (n_steps + 1, points, 2)
        (y_i, p_i) of each point of the outline, in the order of the polygon.
    areas : ndarray, shape (n_steps + 1,)
        Enclosed area, that of the first polygon first; unit: y times p.
    step : float
        ε.
    scheme : str
    """

    outlines: Float
    areas: Float
    step: float
    scheme: str

    @property
    def ratio(self) -> float:
        """Last area ÷ first; 1 for a map that preserves area, up to the polygon's own error."""
        return float(self.areas[-1] / self.areas[0])

    def __repr__(self) -> str:
        return f"<PhaseArea {self.scheme}: {len(self.areas) - 1} steps, area × {self.ratio:.6g}>"


def phase_area(
    field: Field,
    scheme: str | Scheme,
    step: float,
    n_steps: int,
    centre: ArrayLike = (0.0, 0.0),
    radius: float = 0.5,
    points: int = 240,
) -> PhaseArea:
    """Carry a disc of initial states (y_0, p_0) along, and measure its area after every step.

    Parameters
    ----------
    field : Field
        With d = 1 and no inputs.
    scheme : str or Scheme
        A second-order one.
    step, n_steps
        ε > 0, N ≥ 0.
    centre : array_like, shape (2,)
        (y_0, p_0) of the middle.
    radius : float
        Of the disc.
    points : int
        Corners of the polygon that stands for its rim, at least 3.

    Returns
    -------
    PhaseArea

    Raises
    ------
    ValueError
        For a field that is driven or has d ≠ 1, a first-order scheme, or a radius that is not positive.

    Notes
    -----
    The polygon's area is ½ |Σ (y_j p_{j+1} − y_{j+1} p_j)|. A splitting scheme preserves the area of the set
    for every F (`proofs`: volume_and_reversibility); the polygon misses what lies between its chords and the
    rim, a relative 2π²/(3 points²) for a circle.
    """
    record = _plane(field, scheme)
    if not radius > 0.0:
        raise ValueError(f"radius must be positive, got {radius!r}.")
    angle = np.arange(as_count(points, "points", least=3)) * (2.0 * np.pi / points)
    middle = as_vector(centre, "centre", 2)
    rim = middle + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    runs = [integrate(field, record, [y], [p], step, n_steps, threads=1, progress=False) for y, p in rim]
    outlines = np.stack([np.concatenate([run.y, run.p], axis=1) for run in runs], axis=1)
    after = np.roll(outlines, -1, axis=1)
    areas = 0.5 * np.abs(np.sum(outlines[..., 0] * after[..., 1] - after[..., 0] * outlines[..., 1], axis=1))
    return PhaseArea(outlines, areas, float(step), record.name)


@dataclass(frozen=True, eq=False)
class SensitivityEllipses(ByValue):
    """Images of a small circle of perturbations of s_0 = (y_0, p_0), along the trajectory.

    Attributes
    ----------
    steps : ndarray of int, shape (frames,)
        i, increasing.
    states : ndarray, shape (n_steps + 1, 2)
        The trajectory (y_i, p_i).
    jacobians : ndarray, shape (frames, 2, 2)
        ∂(y_i, p_i)/∂(y_0, p_0).
    step : float
        ε.
    scheme : str
    """

    steps: NDArray[np.int64]
    states: Float
    jacobians: Float
    step: float
    scheme: str

    @property
    def axes(self) -> Float:
        """Half axes per unit of the circle's radius, the singular values; shape (frames, 2), descending."""
        return singular_values(self.jacobians)

    @property
    def areas(self) -> Float:
        """Area of each ellipse ÷ that of the circle, |det|; shape (frames,)."""
        return np.asarray(np.abs(np.linalg.det(self.jacobians)), dtype=np.float64)

    def outlines(self, radius: float) -> Float:
        """Each ellipse around its state, for a circle of this radius: shape (frames, points, 2)."""
        angle = np.linspace(0.0, 2.0 * np.pi, CIRCLE)
        circle = radius * np.stack([np.cos(angle), np.sin(angle)])
        return self.states[self.steps][:, None, :] + (self.jacobians @ circle).transpose(0, 2, 1)

    def __repr__(self) -> str:
        longer, shorter = self.axes[-1]
        frames = f"{len(self.steps)} frames"
        return f"<SensitivityEllipses {self.scheme}: {frames}, last half axes {longer:.4g}, {shorter:.4g}>"


def sensitivity_ellipses(
    field: Field,
    scheme: str | Scheme,
    step: float,
    n_steps: int,
    y0: ArrayLike | None = None,
    p0: ArrayLike | None = None,
    frames: int | Sequence[int] = 60,
) -> SensitivityEllipses:
    """∂(y_i, p_i)/∂(y_0, p_0) at many i: how a circle of perturbations turns and stretches along the way.

    Parameters
    ----------
    field, scheme, step, n_steps
        As for `phase_area`.
    y0, p0 : array_like, shape (1,), optional
        Zero by default.
    frames : int or sequence of int
        How many i, spread evenly from 0 to N; or which.

    Returns
    -------
    SensitivityEllipses

    Raises
    ------
    ValueError
        As `phase_area`; and for frames outside 0 … N.
    """
    record, n_steps = _plane(field, scheme), as_count(n_steps, "n_steps")
    which: Any = frames
    if np.ndim(frames) == 0:
        count = min(as_count(which, "frames", least=1), n_steps + 1)
        which = np.linspace(0, n_steps, count).round()
    steps = as_array(which, "frames", 1).astype(np.int64)
    if steps.size == 0 or steps.min() < 0 or steps.max() > n_steps:
        raise ValueError(f"frames must lie between 0 and n_steps = {n_steps}, got {frames!r}.")
    run = integrate(field, record, y0, p0, step, n_steps, progress=False)
    matrices = [
        jacobian(field, record, step, int(i), y0, p0, block="phase", threads=1, progress=False) for i in steps
    ]
    states = np.concatenate([run.y, run.p], axis=1)
    return SensitivityEllipses(steps, states, np.stack(matrices), float(step), record.name)


def _plane(field: Field, scheme: str | Scheme) -> Scheme:
    """The scheme, if it moves an undriven field in the phase plane."""
    record = get_scheme(scheme)
    if as_field(field).dim != 1 or field.n_inputs:
        raise ValueError(
            f"a phase plane needs d = 1 and no inputs; the field has d = {field.dim} and "
            f"{field.n_inputs} inputs."
        )
    if record.form == "first_order":
        raise ValueError(
            f"scheme {record.name!r} has no velocity, so no phase plane; take leapfrog or explicit_euler."
        )
    return record
