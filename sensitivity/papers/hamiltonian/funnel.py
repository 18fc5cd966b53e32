"""All singular values of ∂y_N/∂y_0 between their two proved bounds, which close on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from integrators import Field
from integrators.schemes.table import Scheme, get_scheme
from integrators.validation import as_array, as_count
from integrators.values import ByValue
from sensitivity import bounds
from sensitivity.analysis.jacobians import singular_values

__all__ = ["Funnel", "funnel_in_length", "funnel_in_step"]

Float = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Funnel(ByValue):
    """Singular values with what is proved about them, against the step or the length.

    Attributes
    ----------
    variable : {"step", "length"}
        What changes: ε at fixed N, or N at fixed Nε.
    x : ndarray, shape (n,)
        Its values.
    values : ndarray, shape (n, d)
        Singular values, descending.
    upper, lower : ndarray, shape (n,)
        Theorem E (B for leapfrog, D for Euler) and theorem C.
    met : ndarray, shape (n,)
        Theorem F: the upper bound from the slopes met along the trajectory.
    scheme : str
    """

    variable: str
    x: Float
    values: Float
    upper: Float
    lower: Float
    met: Float
    scheme: str

    @property
    def tightness(self) -> Float:
        """Upper bound ÷ norm, shape (n,): 1 where the bound is attained."""
        return self.upper / self.values[:, 0]

    @property
    def violations(self) -> int:
        """Singular values outside their bounds."""
        top = np.minimum(self.upper, self.met)
        return int(np.count_nonzero((self.values > top[:, None]) | (self.values < self.lower[:, None])))

    def __repr__(self) -> str:
        return (
            f"<Funnel {self.scheme}: {self.values.shape[1]} singular values at {len(self.x)} of the "
            f"{self.variable}, {self.violations} outside>"
        )


def funnel_in_step(
    field: Field, scheme: str | Scheme, step: ArrayLike, n_steps: int, y0: ArrayLike | None = None
) -> Funnel:
    """Singular values and bounds for many step sizes ε, shape (n,), at fixed N; it closes as ε → 0.

    Raises
    ------
    ValueError
        As `jacobian` and `bounds.majorant`.
    """
    steps, record = as_array(step, "step", 1), get_scheme(scheme)
    values = singular_values(field, record, steps, n_steps, y0).unscaled()
    return Funnel(
        "step",
        steps,
        values,
        bounds.majorant(field, record, steps, n_steps),
        bounds.no_vanishing(field, steps, n_steps, record),
        bounds.aposteriori(field, record, steps, n_steps, y0),
        record.name,
    )


def funnel_in_length(
    field: Field, scheme: str | Scheme, time: float, lengths: Sequence[int], y0: ArrayLike | None = None
) -> Funnel:
    """The same for many lengths N with ε = time/N, the heuristic (14): it stays as wide as it is.

    Raises
    ------
    ValueError
        As `funnel_in_step`; and for a time that is not positive.
    """
    if not time > 0.0:
        raise ValueError(f"time = Nε must be positive, got {time!r}.")
    counts = [as_count(n, "lengths", least=1) for n in lengths]
    parts = [funnel_in_step(field, scheme, [time / n], n, y0) for n in counts]
    rows = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("values", "upper", "lower", "met")
    }
    return Funnel("length", np.array(counts, dtype=np.float64), **rows, scheme=get_scheme(scheme).name)
