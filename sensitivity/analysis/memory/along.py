"""‖∂h_n/∂h_0‖ for many n of one run."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from integrators.engine.column_scale import LOG_2, Scaled
from integrators.run.recurrence import Recurrence
from sensitivity.analysis.norms import spectral_norms
from sensitivity.analysis.singular import block_of

__all__ = ["log_norms_along"]

Float = NDArray[np.float64]


def log_norms_along(run: Recurrence, steps: NDArray[np.int64], block: str | None = None) -> Float:
    """ln ‖∂h_n/∂h_0‖₂ after each of some numbers of steps, from one sweep: shape (members, points)."""
    (part, rows), norms = block_of(run, block), np.full((run.members, steps.size), -np.inf)

    def visit(members: slice, step: int, columns: Scaled) -> None:
        mantissa, exponent = spectral_norms(replace(columns, values=columns.values[:, part]))
        place = np.searchsorted(steps, step)
        for member, (value, power) in enumerate(zip(mantissa, exponent, strict=True), start=members.start):
            if not value <= 0.0:
                norms[member, place] = math.log(value) + LOG_2 * power

    overflowed = run.propagate(np.eye(run.state_size)[:, part], steps.tolist(), visit, rows=rows)
    norms[overflowed] = np.nan
    return norms
