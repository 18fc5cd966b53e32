"""The memory of one step of a cell, for a block of batch members."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from integrators.codegen.access import borrowed
from integrators.codegen.compiled import helper
from integrators.codegen.simd import WIDTH

from .columns import Strips, strips_for

__all__ = ["Work", "lent", "work_for"]


class Work(NamedTuple):
    """Scratch of one block of members; the leading axis of the first four is the layer, or the substep."""

    v: NDArray[np.float64]  # (layers, locals + 1 + clock, d·m)
    u: NDArray[np.float64]  # (layers, hidden, d·m)
    slopes: NDArray[np.float64]  # (layers, states, locals, d·m)
    inner: NDArray[np.float64]  # (layers, hidden, locals, d·m)
    ones: NDArray[np.float64]
    strips: Strips
    z: NDArray[np.float64]  # (rows·d, k, m): cotangents of all pre-activations
    hidden: NDArray[np.float64]  # (hidden·d, k, m): those of u
    kept: NDArray[np.float64]  # room for a tape entry


@helper
def unfilled(layers, blocks, n_locals, n):
    """NaN for slopes, since what no rule fills must not be old memory; a register may read beyond the end."""
    size = layers * blocks * n_locals * n
    return np.full(size + WIDTH, np.nan)[:size].reshape((layers, blocks, n_locals, n))


@helper
def work_for(layout, d, n_in, k, m):
    """Room for d neurons, n_in inputs, k columns of cotangents and m members."""
    rows = layout.first + layout.second
    n_locals = rows + layout.states + layout.vectors
    pairs = layout.out_pairs.shape[0] + layout.hidden_pairs.shape[0]
    n, layers = d * m, layout.layers * layout.substeps
    return Work(
        np.empty((layers, n_locals + 1 + layout.clock, n)),
        np.empty((layers, layout.hidden, n)),
        unfilled(layers, layout.states, n_locals, n),
        unfilled(layers, layout.hidden, n_locals, n),
        np.ones((rows + layout.states + layout.hidden) * d),
        strips_for(layout, d, n_in),
        np.empty((rows * d, k, m)),
        np.empty((layout.hidden * d, k, m)),
        np.empty((layout.states + pairs + layout.hidden) * n + WIDTH),
    )


@helper
def lent(work):
    """The same memory without reference counts, valid while `work` is held."""
    strips = Strips(
        borrowed(work.strips.room),
        borrowed(work.strips.terms),
        borrowed(work.strips.ends),
        borrowed(work.strips.ones),
    )
    return Work(
        borrowed(work.v),
        borrowed(work.u),
        borrowed(work.slopes),
        borrowed(work.inner),
        borrowed(work.ones),
        strips,
        borrowed(work.z),
        borrowed(work.hidden),
        borrowed(work.kept),
    )
