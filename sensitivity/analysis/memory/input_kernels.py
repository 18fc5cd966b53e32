"""How a network weighs its inputs: K = ∂y_N/∂x_i over time, and what a linear read-out can make of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from integrators.engine.blocks import one_blas_thread
from integrators.engine.column_scale import ZERO, bits_of_shift, from_scaled
from integrators.run.recurrence import Recurrence
from integrators.run.sweeps import Handed, input_cotangents
from integrators.singular_values import frobenius_norm, svd
from integrators.validation import as_array
from integrators.values import ByValue
from sensitivity.analysis.singular import block_of
from sensitivity.figures.drawn import Drawn

from .asked import as_run

__all__ = ["MemoryKernels", "ReadoutCeiling", "kernels_by_step", "memory_kernels", "readout_ceiling"]

Float = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class MemoryKernels(ByValue, Drawn):
    """K_i = ∂y_N/∂x_i, i = 1, …, N, as kernels over time: the result of `memory_kernels`.

    Attributes
    ----------
    values : ndarray, shape (*batch, N, rows, n_inputs)
        Entry [i − 1, r] is ∂(y_N)_r/∂x_i divided by 2^exponents[r], so that the largest of a row is near one.
    exponents : ndarray of int, shape (*batch, rows)
    step : ndarray, shape batch
        Step sizes ε.

    Examples
    --------
    >>> import leapgrad as lg
    >>> particle = lg.NeuralField([[0.0]], [0.0], [[1.0]], activation="identity")
    >>> kernels = lg.memory_kernels(lg.unroll(particle, scheme="leapfrog", step=1.0, n_steps=4))
    >>> kernels.unscaled()[:, 0, 0], round(float(kernels.capacity.sum()), 12)
    (array([2., 3., 2., 1.]), 1.0)
    """

    values: Float
    exponents: Counts
    step: Float

    def unscaled(self) -> Float:
        """The kernels in float64: inf or 0 where they do not fit."""
        return from_scaled(self.values, self.exponents[..., None, :, None])

    def __array__(self, dtype=None, copy=None) -> NDArray:
        return np.asarray(self.unscaled(), dtype=dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """That of `values`."""
        return self.values.shape

    @property
    def capacity(self) -> Float:
        """Memory capacity by delay, shape (*batch, N): how well x_{N−k} can be read from y_N, k = 0 … N − 1.

        With several inputs it is summed over them, so that it lies between 0 and n_inputs.

        Notes
        -----
        The squared correlation of x_{N−k} with the best linear read-out, for small independent inputs about
        the run at hand (H. Jaeger, *Short term memory in echo state networks*, GMD Report 152, 2001). Its sum
        over all delays is Jaeger's memory capacity; it is the rank of K, at most the number of rows.
        """
        basis, batch = _orthonormal(self), self.values.shape[:-3]
        n, inputs = self.values.shape[-3], self.values.shape[-1]
        squares = (basis**2).sum(axis=-1).reshape(*batch, n, inputs).sum(axis=-1)
        return squares[..., ::-1]

    def __repr__(self) -> str:
        *batch, n, rows, inputs = self.values.shape
        of = f", batch {tuple(batch)}" if batch else ""
        return f"<MemoryKernels of {rows} components over {n} steps of {inputs} inputs{of}>"


@dataclass(frozen=True, eq=False)
class ReadoutCeiling(ByValue, Drawn):
    """What the best linear read-out of y_N makes of a linear target: the result of `readout_ceiling`.

    Attributes
    ----------
    correlation : ndarray, shape batch
        ρ, of the read-out with the target; from 0 to 1.
    accuracy : ndarray, shape batch
        ½ + arcsin(ρ)/π: the share of sequences in which read-out and target have the same sign.
    readout : ndarray, shape (*batch, rows)
        The weights of the read-out, of length one; zero where K is.
    step : ndarray, shape batch
        Step sizes ε.

    Examples
    --------
    >>> import numpy as np
    >>> import leapgrad as lg
    >>> particle = lg.NeuralField([[0.0]], [0.0], [[1.0]], activation="identity")
    >>> run = lg.unroll(particle, scheme="leapfrog", step=0.1, n_steps=1000)
    >>> lg.readout_ceiling(run, np.ones(1000))
    <ReadoutCeiling: correlation 0.8664, accuracy 0.8335>
    """

    correlation: Float
    accuracy: Float
    readout: Float
    step: Float

    @property
    def best_step(self) -> float:
        """The step size of the largest correlation in the batch.

        Of a batch of step sizes this is the step size that the task asks for, without any training.
        """
        flat = np.nan_to_num(np.reshape(self.correlation, -1), nan=-1.0)
        return float(np.reshape(self.step, -1)[int(np.argmax(flat))])

    def __repr__(self) -> str:
        if np.ndim(self.correlation) == 0:
            return f"<ReadoutCeiling: correlation {self.correlation:.4g}, accuracy {self.accuracy:.4g}>"
        best = float(np.nanmax(self.correlation)) if np.isfinite(self.correlation).any() else math.nan
        place = f", at ε = {self.best_step:.4g}" if np.unique(self.step).size > 1 else ""
        return f"<ReadoutCeiling: correlation at most {best:.4g}{place}>"


def memory_kernels(run: Recurrence, *, block: str | None = None) -> MemoryKernels:
    """K_i = ∂y_N/∂x_i for i = 1, …, N: how the last state weighs each input.

    Parameters
    ----------
    run : Recurrence
        As `unroll` makes it, of a cell or a `NeuralField` with inputs.
    block : str, optional
        Which block of the last state, as for `jacobian`; by default ``run.default_block``: y of a field, the
        whole state of most cells.

    Returns
    -------
    MemoryKernels

    Raises
    ------
    TypeError, ValueError
        If `run` is no recurrence, has no inputs, has inputs that are a function of time, or has no such
        block.
    TrajectoryOverflow
        If the state leaves the range of float64. In a batch this gives NaN and a warning instead.

    Notes
    -----
    The derivative along the run at hand, by one backward sweep of as many columns as the block has rows. For
    a linear network y_N = Σ_i K_i x_i, up to a constant.

    Examples
    --------
    >>> import leapgrad as lg
    >>> run = lg.unroll(lg.cell("leaky", 3, 2, rng=0), n_steps=20)
    >>> lg.memory_kernels(run)
    <MemoryKernels of 3 components over 20 steps of 2 inputs>
    """
    run = as_run(run)
    values, exponents, overflowed = kernels_by_step(run, block)
    N, rows, n = values.shape[1:]
    size = np.abs(values).max(axis=-1)
    place = np.where(size != 0.0, exponents + np.frexp(np.where(np.isfinite(size), size, 1.0))[1], ZERO)
    top = place.max(axis=1, initial=ZERO)
    top = np.where(top == ZERO, 0, top)
    shift = bits_of_shift(exponents - top[:, None])
    with np.errstate(under="ignore"):
        values = np.ldexp(values, shift[..., None])
    run.check_overflow(overflowed, values)
    return MemoryKernels(
        values.reshape(*run.shape, N, rows, n), top.reshape(*run.shape, rows), run.steps.reshape(run.shape)
    )


def kernels_by_step(run: Recurrence, block: str | None) -> tuple[Float, Counts, NDArray[np.int64]]:
    """∂(y_N)_r/∂x_i as values (members, N, rows, n_inputs) · 2^exponents (members, N, rows); who overflowed.

    Raises
    ------
    ValueError
        As for `memory_kernels`.
    """
    part, _ = block_of(run, block)
    if run.system.n_inputs == 0:
        raise ValueError(f"run has no inputs: {run.system!r} takes none.")
    if part.stop > run.system.dim:
        raise ValueError(f"block={block!r}: kernels of second-order systems are of 'position'.")
    rows, n, N, m = part.stop - part.start, run.system.n_inputs, run.n_steps, run.members
    values, exponents = np.zeros((m, N, rows, n)), np.zeros((m, N, rows), np.int64)

    def consume(kept: Handed) -> None:
        where = slice(kept.first - 1, kept.first - 1 + len(kept.values))
        values[kept.members, where] = kept.values.transpose(3, 0, 2, 1)
        exponents[kept.members, where] = kept.exponents.transpose(2, 0, 1)

    overflowed = input_cotangents(run, np.eye(run.system.dim)[:, part], consume)
    return values, exponents, overflowed


def readout_ceiling(run: Recurrence, target: ArrayLike, *, block: str | None = None) -> ReadoutCeiling:
    """The best correlation of a linear read-out of y_N with a linear target Σ_i g_i · x_i of the inputs.

    No read-out can do better on small independent inputs, however it is trained, so that the best step size
    for a task can be found without training: take a batch of step sizes.

    Parameters
    ----------
    run : Recurrence
        As `unroll` makes it, of a cell or a `NeuralField` with inputs. With inputs of zero the network is
        linearised about the state that it has without any.
    target : array_like, shape (N,) or (N, n_inputs)
        g: the weight of each input in the target. Of shape (N,) for the same weight on all inputs.
    block : str, optional
        Which block of the last state is read, as for `memory_kernels`.

    Returns
    -------
    ReadoutCeiling
        Its property `best_step` is the step size of the largest correlation.

    Raises
    ------
    TypeError, ValueError
        As for `memory_kernels`; also if `target` has another shape, or is zero.

    Notes
    -----
    With K as a matrix of a row for each input and a column for each component, ρ² = gᵀK(KᵀK)⁺Kᵀg/‖g‖²: the
    squared cosine between g and the range of K. Each column of K is divided by its length first, and
    singular values below max(shape) · 2^-52 · σ_1 count as zero. For jointly Gaussian read-out and target the
    signs agree with probability ½ + arcsin(ρ)/π (W. F. Sheppard, *Phil. Trans. R. Soc. A* 192 (1899)
    101–167).

    A free particle, W = 0, weighs x_i by N − i, and the mean of the inputs has ρ → √3/2, hence accuracy 5/6.
    An oscillator ÿ = −w y + x reaches ρ = 0.934 near ε N √w = 2.5.

    Examples
    --------
    >>> import numpy as np
    >>> import leapgrad as lg
    >>> oscillator = lg.NeuralField([[-1.0]], [0.0], [[1.0]])
    >>> run = lg.unroll(oscillator, scheme="leapfrog", step=np.linspace(1, 4, 31) / 500, n_steps=500)
    >>> found = lg.readout_ceiling(run, np.ones(500))
    >>> float(found.correlation.max().round(3)), round(500 * found.best_step, 2)
    (0.934, 2.6)
    """
    run = as_run(run)
    kernels = memory_kernels(run, block=block)
    N, n = kernels.values.shape[-3], kernels.values.shape[-1]
    g = as_array(target, "target", (1, 2))
    g = np.repeat(g[:, None], n, axis=1) if g.ndim == 1 else g
    if g.shape != (N, n):
        raise ValueError(f"target has shape {np.shape(target)}; this run asks for ({N},) or ({N}, {n}).")
    size = float(np.abs(g).max(initial=0.0))
    if size == 0.0:
        raise ValueError("target is zero; at least one input must have a weight.")
    g = g.ravel() / size
    g = g / frobenius_norm(g[None])
    lengths, columns = _columns(kernels)
    left, values, right = _decomposed(columns)
    along = np.einsum("...ik,i->...k", left, g)
    squared = np.sum(along**2, axis=-1)
    correlation = np.sqrt(np.clip(squared, 0.0, 1.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        weights = np.where(values > 0.0, along / values, np.where(np.isnan(values), np.nan, 0.0))
    readout = np.einsum("...kr,...k->...r", right, weights)
    readout = _unit(readout, lengths, kernels.exponents)
    accuracy = 0.5 + np.arcsin(correlation) / math.pi
    return ReadoutCeiling(correlation[()], accuracy[()], readout, kernels.step)


def _columns(kernels: MemoryKernels) -> tuple[Float, Float]:
    """Lengths (*batch, rows) and columns of length one, (*batch, N · n_inputs, rows); zeros stay zeros."""
    *batch, N, rows, n = kernels.values.shape
    matrix = np.moveaxis(kernels.values, -2, -1).reshape(*batch, N * n, rows)
    lengths = np.sqrt(np.sum(matrix * matrix, axis=-2))
    return lengths, matrix / np.where(lengths == 0.0, 1.0, lengths)[..., None, :]


def _decomposed(columns: Float) -> tuple[Float, Float, Float]:
    """The singular value decomposition; left vectors and values that count as zero are zero."""
    with one_blas_thread():
        left, values, right = _thin_svd(columns)
    cut = max(columns.shape[-2:]) * np.finfo(np.float64).eps
    kept = ~(values <= cut * values.max(axis=-1, keepdims=True, initial=0.0))  # NaN stays
    return left * kept[..., None, :], np.where(kept, values, 0.0), right


def _thin_svd(columns: Float) -> tuple[Float, Float, Float]:
    """U (…, long, k), σ (…, k), Vᵀ (…, k, rows) of tall matrices by a QR factorisation first."""
    finite: Any = np.isfinite(columns).all(axis=(-2, -1), keepdims=True)
    q, r = np.linalg.qr(np.where(finite, columns, 0.0))
    left, values, right = svd(r)
    lost = ~finite[..., 0]
    k = values.shape[-1]
    left, right = left[..., :, :k], right[..., :k, :]
    return q @ left + np.where(finite, 0.0, np.nan), np.where(lost, np.nan, values), right


def _orthonormal(kernels: MemoryKernels) -> Float:
    """An orthonormal basis of the range of K, with columns of zeros beside it: (*batch, N · n_inputs, k)."""
    return _decomposed(_columns(kernels)[1])[0]


def _unit(readout: Float, lengths: Float, exponents: Counts) -> Float:
    """Weights of the columns as they are, from those of columns of length one; of length one themselves."""
    alive = lengths > 0.0
    with np.errstate(under="ignore", invalid="ignore"):
        own = readout / np.where(alive, lengths, 1.0)
        place = np.where(own != 0.0, np.frexp(own)[1] - exponents, ZERO)
        top = place.max(axis=-1, keepdims=True)
        shift = bits_of_shift(-exponents - np.where(top == ZERO, 0, top))
        own = np.ldexp(own, shift)
        length = np.sqrt(np.sum(own * own, axis=-1, keepdims=True))
        return own / np.where(length == 0.0, 1.0, length)
