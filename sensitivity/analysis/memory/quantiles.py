"""Quantiles over the members of an ensemble, some of whose numbers may be infinite or missing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["QUANTILES", "quantiles"]

QUANTILES = (0.05, 0.5, 0.95)


def quantiles(values: NDArray, axis: int = 0) -> NDArray[np.float64]:
    """5 %, 50 % and 95 % along an axis, each a number that occurs there; the new axis of three is the first.

    NaN, of members that overflowed, are left out; where nothing is left the quantiles are NaN.
    """
    ordered = np.sort(np.moveaxis(np.asarray(values, dtype=np.float64), axis, 0), axis=0)  # NaN come last
    alive = np.count_nonzero(~np.isnan(ordered), axis=0)
    if not len(ordered):
        return np.full((len(QUANTILES), *ordered.shape[1:]), np.nan)
    places = [np.maximum(np.minimum(alive - 1, (q * alive).astype(np.int64)), 0) for q in QUANTILES]
    return np.stack([np.take_along_axis(ordered, place[None], axis=0)[0] for place in places])
