"""Right singular vectors of ∂s_N/∂s_0, however far its singular values lie apart."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from integrators.engine.blocks import one_blas_thread
from integrators.engine.column_scale import log_scaled
from integrators.run.recurrence import Recurrence
from sensitivity.analysis.factoring import factor_product, panel_length
from sensitivity.analysis.graded import RowScaled
from sensitivity.analysis.growth import Stops

__all__ = ["right_vectors"]

Float = NDArray[np.float64]
Counts = NDArray[np.int64]

SWEEPS = 100
# A relative off-diagonal entry turns a singular vector by as much.
DECOUPLED = 1e-16


def right_vectors(run: Recurrence, part: slice, rows: str | None) -> tuple[list[Float], Float]:
    """Right singular vectors of a block of ∂s_N/∂s_0, and the logarithms of its singular values.

    Parameters
    ----------
    run : Recurrence
    part, rows : slice, str or None
        As `block_of` has them.

    Returns
    -------
    vectors : list of ndarray, shape (n, r)
        For each member, in the order of the singular values; those of zero are left out.
    logs : ndarray, shape (members, n)
        Descending; −inf for zero, NaN where the trajectory overflowed.
    """
    n, members = part.stop - part.start, run.members
    vectors, logs = [np.zeros((n, 0))] * members, np.full((members, n), -math.inf)
    if run.n_steps == 0:
        return [np.eye(n)] * members, np.zeros((members, n))
    product, stops = RowScaled(members, n), Stops([run.n_steps], panel_length(n, None))
    q = factor_product(run, np.eye(run.state_size)[:, part], stops, product, rows=rows)[:, part]
    with one_blas_thread():
        for i in range(members):
            if not (np.isfinite(product.mantissa[i]).all() and np.isfinite(q[i]).all()):
                logs[i] = math.nan
                continue
            own, found = _of_product(q[i], product.mantissa[i], product.exponent[i])
            vectors[i], logs[i, : found.size] = own, found
    return vectors, logs


def _of_product(q: Float, mantissa: Float, exponent: Counts) -> tuple[Float, Float]:
    """Those of q · diag(2^exponent) · mantissa, by QR iterations as `graded_singular_values` has them."""
    rows = (mantissa != 0.0).any(axis=1)
    if not rows.any():
        return np.zeros((len(rows), 0)), np.zeros(0)
    order = np.argsort(-exponent[rows], kind="stable")
    left, right = q[:, rows][:, order], mantissa[rows][order]
    scale = exponent[rows][order].astype(np.int64)
    turned = np.eye(len(mantissa))
    for _ in range(SWEEPS):
        Q, R = np.linalg.qr(right.T)
        turned = turned @ Q
        lower = _conjugate(R.T, scale)
        right = _conjugate(np.asarray(np.linalg.qr(left @ lower, mode="r")), -scale)
        _, shift = np.frexp(np.abs(right).max(axis=1))
        right, scale = np.ldexp(right, -shift[:, None]), scale + shift
        order = np.argsort(-scale, kind="stable")
        left, right, scale = np.eye(scale.size), right[order], scale[order]
        if (np.diff(order) > 0).all() and not _coupled(right).any():
            break
    return _finish(right, scale, turned)


def _conjugate(matrix: Float, scale: Counts) -> Float:
    """D M D⁻¹ with D = diag(2^scale)."""
    return np.ldexp(matrix, np.clip(scale[:, None] - scale[None, :], -2000, 2000).astype(np.int32))


def _coupled(right: Float) -> NDArray[np.bool_]:
    diagonal = np.abs(np.diagonal(right))[:, None]
    return np.abs(right - np.diag(np.diagonal(right))) > DECOUPLED * diagonal


def _finish(right: Float, scale: Counts, turned: Float) -> tuple[Float, Float]:
    """Vectors and logarithms of diag(2^scale) · right · turnedᵀ, group by group of rows that still couple."""
    coupled = _coupled(right)
    coupled |= coupled.T
    vectors, logs, start = [], [], 0
    while start < scale.size:
        stop = start + 1
        while coupled[start:stop, stop:].any():
            stop += 1
        group = slice(start, stop)
        part = np.ldexp(right[group, group], (scale[group] - scale[start])[:, None].astype(np.int32))
        _, values, rows = np.linalg.svd(part)
        vectors.append(turned[:, group] @ rows.T)
        logs.append(log_scaled(values, scale[start]))
        start = stop
    found = np.concatenate(logs)
    order = np.argsort(-found, kind="stable")
    keep = np.isfinite(found[order])
    return np.concatenate(vectors, axis=1)[:, order][:, keep], found[order][keep]
