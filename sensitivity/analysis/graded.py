"""All singular values of a product of many Jacobians, however far they lie apart.

The product is factored by QR on the way, J = Q R_n … R_1, and the triangular product is kept with one power
of two for every row. Its rows then fall off like the singular values, and a few QR iterations on the scaled
matrix bring it to diagonal form without ever adding numbers of very different size (G. W. Stewart, *SIAM J.
Matrix Anal. Appl.* 16 (1995) 1–15; R. Mathias, G. W. Stewart, *Linear Algebra Appl.* 182 (1993) 91–100).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from integrators.engine.blocks import Ticker, one_blas_thread, run_blocks
from integrators.engine.column_scale import log_scaled
from integrators.fields.field import Field
from integrators.run.inputs import Inputs
from integrators.run.recurrence import Recurrence, as_recurrence
from integrators.schemes.table import Scheme
from integrators.singular_values import singular_values
from integrators.validation import as_count

from .factoring import factor_product, panel_length
from .growth import Stops
from .neurons import told_apart
from .singular import block_of, blocks_of_neurons

__all__ = ["RowScaled", "graded_singular_values", "log_singular_values"]

Float = NDArray[np.float64]
Counts = NDArray[np.int64]

# About what a member takes at the end, over the cube of its dimension.
GRADED_SECONDS = 2e-8
# Coupling falls by the squared ratio of two values in a sweep: what still couples after so many lies within
# a tenth, and is finished by an ordinary SVD.
SWEEPS = 100
# The square of a relative off-diagonal entry is what it moves a singular value by.
DECOUPLED = 1e-10


def log_singular_values(
    field: Field | Recurrence,
    scheme: str | Scheme | None = None,
    step: ArrayLike | None = None,
    n_steps: int | None = None,
    y0: ArrayLike | None = None,
    p0: ArrayLike | None = None,
    inputs: Inputs = None,
    block: str | None = None,
    *,
    qr_every: int | None = None,
    threads: int | None = None,
    progress: bool | None = None,
) -> Float:
    """Natural logarithms of all singular values of ∂y_N/∂y_0, in descending order.

    Parameters not listed are those of `jacobian`.

    Parameters
    ----------
    qr_every : int, optional
        The most steps between two QR factorisations; see `growth_exponents`.

    Returns
    -------
    ndarray, shape (*step.shape, d)
        −inf for a singular value that is zero, or that one single step makes smaller than the round-off of
        that step.

    Notes
    -----
    Singular values that differ by factors of 10^300 and more keep their relative accuracy, while those of
    `singular_values` lose it below 2^-53 ‖J‖. Memory does not depend on N.

    Examples
    --------
    >>> import leapgrad as lg
    >>> field = lg.NeuralField([[0.0, 1.0], [0.0, -0.9]], [0.0, 0.0], activation="identity")
    >>> lg.log_singular_values(field, "euler", step=1.0, n_steps=100).round(2)
    array([   0.4 , -230.66])
    """
    recurrence = as_recurrence(
        field, scheme, step, n_steps, y0, p0, inputs, threads=threads, progress=progress
    )
    part, rows = block_of(recurrence, block)
    width, members = part.stop - part.start, math.prod(recurrence.shape)
    if recurrence.n_steps == 0 or members == 0:
        return np.zeros((*recurrence.shape, width))
    if recurrence.system.decoupled and qr_every is None and told_apart(recurrence, part):
        return blocks_of_neurons(recurrence, part).logs().reshape(*recurrence.shape, width)
    every = panel_length(width, None if qr_every is None else as_count(qr_every, "qr_every", least=1))
    product, stops = RowScaled(members, width), Stops([recurrence.n_steps], every)
    q = factor_product(recurrence, np.eye(recurrence.state_size)[:, part], stops, product, rows=rows)
    logs = _logarithms(q[:, part], product, recurrence.threads, recurrence.progress)
    return logs.reshape(*recurrence.shape, width)


def _logarithms(q: Float, product: RowScaled, threads: int | None, progress: bool | None) -> Float:
    """log σ of Q times the triangular product of every batch member; NaN where it overflowed."""
    members, width = product.exponent.shape
    logs = np.full((members, width), np.nan)

    def finish(block: slice, ticker: Ticker) -> None:
        for i in range(members)[block]:
            if np.isfinite(product.mantissa[i]).all() and np.isfinite(q[i]).all():
                logs[i] = graded_singular_values(q[i], product.mantissa[i], product.exponent[i])
            ticker()

    with one_blas_thread():
        run_blocks(
            members,
            1,
            finish,
            total=members,
            seconds=members * (1e-4 + GRADED_SECONDS * width**3),
            label="singular values",
            threads=threads,
            progress=progress,
        )
    return logs


class RowScaled:
    """A product of upper triangular matrices, row i being mantissa[i] · 2^exponent[i]."""

    def __init__(self, members: int, width: int) -> None:
        self.mantissa = np.broadcast_to(np.eye(width), (members, width, width)).copy()
        self.exponent = np.zeros((members, width), np.int64)
        self._tried = self.mantissa.copy(), self.exponent.copy()

    def begin(self, members: NDArray[np.intp]) -> None:
        """Start from what is kept, for some members."""
        for tried, kept in zip(self._tried, (self.mantissa, self.exponent), strict=True):
            tried[members] = kept[members]

    def keep(self, members: NDArray[np.intp], stop: int, state: Counts) -> None:
        """What was tried counts."""
        for tried, kept in zip(self._tried, (self.mantissa, self.exponent), strict=True):
            kept[members] = tried[members]

    def take(self, members: NDArray[np.intp], factors: Float, powers: Counts, error: Float) -> None:
        """product ← factors · diag(2^powers) · product, for some members."""
        mantissa, exponents = self._tried
        old, exponent = mantissa[members], exponents[members] + powers
        # Row i of the new product mixes the old rows j ≥ i; their weights relative to the largest of them.
        # (Where the diagonal is zero the row may be dominated by a later one.)
        nonzero = np.where(factors != 0.0, exponent[:, None, :], np.iinfo(np.int64).min // 4)
        top = nonzero.max(axis=2)
        top = np.where(top < np.iinfo(np.int64).min // 8, 0, top)
        relative = np.clip(exponent[:, None, :] - top[:, :, None], -2000, 0)
        new = np.ldexp(factors, relative) @ old
        _, shift = np.frexp(np.abs(new).max(axis=2))
        mantissa[members] = np.ldexp(new, -shift[:, :, None])
        exponents[members] = top + shift


def graded_singular_values(q: Float, mantissa: Float, exponent: Counts) -> Float:
    """log σ of q · diag(2^exponent) · mantissa, descending; q (r, n), the rest (n, n) and (n,)."""
    rows = (mantissa != 0.0).any(axis=1)
    if not rows.all():  # as many singular values are zero
        zeros = np.full(rows.size - np.count_nonzero(rows), -math.inf)
        if not rows.any():
            return zeros
        return np.append(graded_singular_values(q[:, rows], mantissa[rows], exponent[rows]), zeros)
    order = np.argsort(-exponent, kind="stable")
    left, right, scale = q[:, order], mantissa[order], exponent[order].astype(np.int64)
    for _ in range(SWEEPS):
        # Transposing turns the row scale into a column scale, which QR leaves alone: with rightᵀ = Q₁R₁,
        # left · D · right = left · (D R₁ᵀ D⁻¹) · D · Q₁ᵀ, and the first two factors are of one size.
        lower = _conjugate(_triangular(right.T).T, scale)
        right = _conjugate(_triangular(left @ lower), -scale)
        _, shift = np.frexp(np.abs(right).max(axis=1))
        right, scale = np.ldexp(right, -shift[:, None]), scale + shift
        order = np.argsort(-scale, kind="stable")
        left, right, scale = np.eye(scale.size), right[order], scale[order]
        if (np.diff(order) > 0).all() and not _coupled(right).any():
            break
    return _finish(right, scale)


def _coupled(right: Float) -> NDArray[np.bool_]:
    """Entries above the diagonal that still matter beside it; below there is nothing but sorted-in rows."""
    diagonal = np.abs(np.diagonal(right))[:, None]
    off = np.abs(right - np.diag(np.diagonal(right)))
    return off > DECOUPLED * diagonal


def _triangular(matrix: Float) -> Float:
    """R of matrix = Q R."""
    return np.asarray(np.linalg.qr(matrix, mode="r"))


def _conjugate(matrix: Float, scale: Counts) -> Float:
    """D M D⁻¹ with D = diag(2^scale)."""
    return np.ldexp(matrix, np.clip(scale[:, None] - scale[None, :], -2000, 2000))


def _finish(right: Float, scale: Counts) -> Float:
    """log σ of diag(2^scale) · right, group by group of rows that still couple."""
    n = scale.size
    coupled = _coupled(right)
    coupled |= coupled.T
    logs: list[float] = []
    start = 0
    while start < n:
        stop = start + 1
        while coupled[start:stop, stop:].any():
            stop += 1
        part = np.ldexp(right[start:stop, start:stop], (scale[start:stop] - scale[start])[:, None])
        logs.extend(log_scaled(singular_values(part), scale[start]))
        start = stop
    return np.array(sorted(logs, reverse=True))
