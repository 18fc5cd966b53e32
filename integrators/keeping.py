"""Compiled backward sweeps that keep the cotangent on the way: at every node, or at every kick."""

from __future__ import annotations

import numpy as np
from numba import types

from .access import flat
from .compiled import Leaf, helper, kernel
from .fields import KICK_ADJOINT
from .flow import RUN, rescale, retreat, times
from .memory import copy_into, fill_input
from .neural import neural_pull

__all__ = ["neural_pull_keeping", "retreat_keeping_kicks", "retreat_keeping_nodes"]

_VECTOR, _COLUMNS, _STACK = (types.Array(types.float64, n, "C") for n in (1, 3, 4))
_COUNTS, _TABLE = (types.Array(types.int64, n, "C") for n in (1, 2))
_PULL, _I = Leaf(KICK_ADJOINT), types.int64

_retreat, _neural_pull = helper(retreat.function), helper(neural_pull.function)


@kernel(types.void(_PULL, _VECTOR, RUN, _COLUMNS, _COLUMNS, _COLUMNS, _COUNTS, _STACK, _TABLE, _I, _I))
def retreat_keeping_nodes(pull, theta, run, stations, lam_y, lam_p, exponent, kept, exponents, start, stop):
    """`retreat`, with the cotangent of y_i at fixed p_i in ``kept[i - start] · 2^exponents[i - start]``.

    Between steps the drivers hold p after the merged kick at the node, and (lam_y, lam_p) belong to that p.
    The part of the kick that opens step i is a function of y_i: lam_y += opening h DF(y_i)ᵀ lam_p.
    """
    h = run.step
    x, c, none = (
        np.empty((run.inputs.shape[1], h.size), h.dtype),
        np.empty(h.size, h.dtype),
        np.empty(0, h.dtype),
    )
    times(run.opening, h, c)
    for i in range(stop - 1, start - 1, -1):
        _retreat(pull, theta, run, stations, lam_y, lam_p, exponent, none, i, i + 1)
        node = kept[i - start]
        copy_into(flat(lam_y), flat(node))
        exponents[i - start] = exponent
        # The opening of the first step is a kick of its own, and has been undone already.
        if run.opening != 0.0 and i > 0:
            number = i * run.kicks_per_step
            fill_input(run.inputs, run.rows, number, x)
            pull(theta, stations[number], x, c, lam_p, node, none)


@kernel(KICK_ADJOINT)
def neural_pull_keeping(theta, slopes, x, c, lam_p, lam_y, kept):
    """`neural_pull`, and c lam_p appended to `kept`, whose last entry counts how much it holds."""
    d, k, m = lam_p.shape
    filled = int(kept[kept.size - 1])
    for i in range(d):
        for r in range(k):
            for q in range(m):
                kept[filled] = c[q] * lam_p[i, r, q]
                filled += 1
    kept[kept.size - 1] = filled
    _neural_pull(theta, slopes, x, c, lam_p, lam_y, kept)


@kernel(types.void(_PULL, _VECTOR, RUN, _COLUMNS, _COLUMNS, _COLUMNS, _COUNTS, _VECTOR, _TABLE, _I, _I))
def retreat_keeping_kicks(pull, theta, run, stations, lam_y, lam_p, exponent, kept, exponents, start, stop):
    """`retreat` with a leaf that appends to `kept`, as `neural_pull_keeping` does: one entry for every kick.

    ``exponents[j]`` are the powers of two that belong to the j-th entry, the last kick being the first.
    """
    size = lam_y.size
    number = 0
    for i in range(stop - 1, start - 1, -1):
        _retreat(pull, theta, run, stations, lam_y, lam_p, exponent, kept, i, i + 1)
        while number * size < int(kept[kept.size - 1]):
            exponents[number] = exponent
            number += 1
        # A leaf that keeps looks to `retreat` like one with a parameter gradient, which must not be rescaled.
        if i % run.check_every == 0:
            rescale(flat(lam_y), flat(lam_p), exponent)
