"""Jacobians of cells whose neurons do not see one another: one small matrix for each neuron.

The neurons of LinOSS, LRU, S6, minGRU and their like, and of one layer of UnICORNN, are coupled by their
inputs only. With B state blocks the Jacobian of a run is then, but for the order of its rows, block diagonal
with d blocks of size B × B, and B tangent columns carry all of it: column b holds one in every neuron of
block b. A step costs O(B D) in place of O(D²). Where the step is the same linear map at every step, its power
is found by repeated squaring, and no trajectory is needed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from integrators.engine.column_scale import FURTHEST, Scaled, log_scaled
from integrators.run.recurrence import Recurrence
from integrators.run.walk import BlockWalk
from integrators.scaled_matrix import DoubleMatrix, ScaledMatrix, determinant, matrix_power
from integrators.singular_values import largest_of_two, scaled_norm, spectral_norm

__all__ = ["NeuronBlocks", "condensed", "neuron_blocks", "neuron_norms", "told_apart"]

Float = NDArray[np.float64]
Counts = NDArray[np.int64]

# Neurons that have grown apart by so many powers of two are brought to a scale of their own; one that fell by
# more within a piece may have lost digits, and that piece is taken again in shorter ones.
APART, LOST = 200, 600
FIRST_PIECE, LONGEST_PIECE = 16, 4096
# A power by squaring is off by N roundings, and N steps by some √N of them: from here on it has twice the
# precision, which costs four times as much.
LEAST_STEPS = 256


@dataclass(frozen=True)
class NeuronBlocks:
    """∂s_N/∂s_0 of every neuron, ``values · 2^exponent[..., None, None]``.

    Attributes
    ----------
    values : ndarray, shape (members, d, rows, columns)
    exponent : ndarray of int, shape (members, d)
    log_det : ndarray, shape (members, d), optional
        ln |det| of the blocks, where it is known to be accurate however far their singular values lie apart.
    """

    values: Float
    exponent: Counts
    log_det: Float | None = None

    def part(self, blocks: slice) -> NeuronBlocks:
        """The same for some state blocks."""
        values = self.values[:, :, blocks, blocks]
        return NeuronBlocks(
            values, self.exponent, self.log_det if values.shape == self.values.shape else None
        )

    def norms(self) -> tuple[Float, Counts]:
        """‖·‖₂ of the whole as mantissa and exponent, shape (members,): that of the largest neuron."""
        mantissa, shift = scaled_norm(self.values, _small_norm)
        return largest(mantissa, shift + self.exponent)

    def logs(self) -> Float:
        """ln σ of the whole where they are `told_apart`, shape (members, d · rows), in descending order."""
        mantissa, shift = scaled_norm(self.values, _small_norm)
        logs = log_scaled(mantissa, self.exponent + shift)[..., None]
        if self.log_det is not None:
            logs = np.concatenate([logs, self.log_det[..., None] - logs], axis=-1)
        return np.sort(logs.reshape(len(logs), -1).astype(np.float64), axis=-1)[:, ::-1]

    def whole(self) -> Scaled:
        """The matrix itself, shape (members, d · rows, d · columns), a power of two to each column."""
        members, d, rows, columns = self.values.shape
        dense = np.zeros((members, rows, d, columns, d))
        neuron = np.arange(d)
        dense[:, :, neuron, :, neuron] = self.values.transpose(1, 0, 2, 3)
        exponents = np.broadcast_to(self.exponent[:, None, :], (members, columns, d))
        return Scaled.of(
            dense.reshape(members, rows * d, columns * d), exponents.reshape(members, columns * d)
        )


def told_apart(recurrence: Recurrence, part: slice) -> bool:
    """Whether the blocks tell all singular values of these rows and columns, however far they lie apart.

    Those of a number do, and those of 2 × 2 matrices whose determinants are known.
    """
    width, d = part.stop - part.start, recurrence.system.d
    constant = recurrence.system.constant_jacobian and recurrence.state_size == 2 * d
    return recurrence.state_size == d or (constant and width == recurrence.state_size)


def condensed(blocks: int, d: int) -> Float:
    """Tangent columns, shape (blocks · d, blocks): column b is one in every neuron of block b."""
    return np.repeat(np.eye(blocks), d, axis=0)


def neuron_blocks(recurrence: Recurrence) -> NeuronBlocks:
    """∂s_N/∂s_0 of every neuron of a run whose cell is `decoupled`.

    Raises
    ------
    TrajectoryOverflow
        If the state leaves the range of float64. In a batch this gives NaN and a warning instead.
    """
    cell = recurrence.cell
    blocks, members, d = cell.dim // cell.d, recurrence.members, cell.d
    if cell.constant_jacobian:
        still = Recurrence(cell, 1, threads=1).pushforward(condensed(blocks, d))
        one = _split(still.unscaled()[None], blocks, d)
        kept = DoubleMatrix.of(one), determinant(one)
        if (n := recurrence.n_steps) < LEAST_STEPS:
            power, det = (matrix_power(ScaledMatrix(base.values, base.exponent), n) for base in kept)
        else:
            power, det = (matrix_power(base, n) for base in kept)
        log_det = log_scaled(np.abs(det.values[..., 0, 0]), det.exponent)
        return NeuronBlocks(
            np.repeat(power.values, members, axis=0),
            np.repeat(power.exponent, members, axis=0),
            np.repeat(log_det, members, axis=0),
        )
    values = np.broadcast_to(np.eye(blocks), (members, d, blocks, blocks)).copy()
    exponent = np.zeros((members, d), np.int64)

    def follow(walk: BlockWalk) -> None:
        _Pieces(walk, values[walk.members], exponent[walk.members], blocks).follow(recurrence.n_steps)

    overflowed = recurrence.walk(condensed(blocks, d), follow)
    values[overflowed] = np.nan
    return NeuronBlocks(values, exponent)


def neuron_norms(columns: Scaled, d: int) -> tuple[Float, Counts]:
    """‖·‖₂ of condensed columns (…, rows · d, columns) as mantissa and exponent."""
    columns = columns.aligned()
    values = columns.values
    blocks = np.moveaxis(values.reshape(*values.shape[:-2], -1, d, values.shape[-1]), -2, -3)
    mantissa, exponent = largest(*scaled_norm(np.ascontiguousarray(blocks), _small_norm))
    return mantissa, exponent + columns.exponent


def largest(mantissa: Float, exponent: Counts) -> tuple[Float, Counts]:
    """The largest of numbers mantissa · 2^exponent along the last axis; NaN where one is NaN."""
    least = np.iinfo(np.int64).min // 4
    top = np.where(mantissa != 0.0, exponent, least).max(axis=-1, initial=least)
    top = np.where(top == least, 0, top)
    shift = np.clip(exponent - top[..., None], -FURTHEST, 0).astype(np.int32)
    with np.errstate(under="ignore"):
        return np.ldexp(mantissa, shift).max(axis=-1, initial=0.0), top


def _small_norm(matrices: Float) -> Float:
    """‖·‖₂ of matrices; of 2 × 2 in closed form, see `largest_of_two`."""
    return largest_of_two(matrices) if matrices.shape[-2:] == (2, 2) else spectral_norm(matrices)


def _split(columns: Float, blocks: int, d: int) -> Float:
    """Condensed columns (members, blocks · d, blocks) as (members, d, blocks, blocks)."""
    return np.moveaxis(columns.reshape(len(columns), blocks, d, blocks), 1, 2)


class _Pieces:
    """The run of a block of members in pieces, after each of which neurons may get a scale of their own.

    The drivers keep one power of two for each column, which all neurons share. As long as the neurons stay
    within 2^`APART` of each other the columns go on, with the bits of an uninterrupted run.
    """

    def __init__(self, walk: BlockWalk, values: Float, exponent: Counts, blocks: int) -> None:
        self.walk, self.values, self.exponent, self.blocks = walk, values, exponent, blocks

    def follow(self, n_steps: int) -> None:
        """All steps."""
        at, piece = 0, FIRST_PIECE
        kept, spread = self._kept(), 0.0
        while at < n_steps:
            stop = min(at + piece, n_steps)
            self.walk.go(at, stop)
            now = self._kept()
            reached = _spread(now[1], kept[1])
            if reached > LOST and stop - at > 1:
                self._absorb(kept)
                self.walk.back_to(kept[0])
                kept, spread, piece = self._kept(), 0.0, max(1, (stop - at) // 8)
                continue
            grown = max(reached - spread, 1e-3) / (stop - at)
            at, kept, spread = stop, now, reached
            if reached > APART:
                self._absorb(kept)
                kept, spread = self._kept(), 0.0
            piece = int(min(max((LOST - 200 - spread) / (2.0 * grown), 1), LONGEST_PIECE))
        self._absorb(kept)

    def _kept(self) -> tuple[Float, Float, Counts]:
        """The state, and the columns of every neuron with their powers of two, (members, columns)."""
        columns, powers = self.walk.columns()
        return self.walk.mark(), _split(columns, self.blocks, columns.shape[1] // self.blocks), powers

    def _absorb(self, kept: tuple[Float, Float, Counts]) -> None:
        """Put the columns into the product of every neuron, and go on with new ones."""
        _, columns, powers = kept
        top = powers.max(axis=-1)
        own = columns * 1.0
        # One power of two for each neuron: what a column has less goes into its entries, and a neuron's own
        # size comes first, so that nothing is lost that a product with the others would keep.
        size = np.abs(own).max(axis=(-2, -1))
        _, shift = np.frexp(np.where(np.isfinite(size), size, 0.0))
        less = np.clip(powers - top[:, None], -FURTHEST, 0)[:, None, None, :] - shift[..., None, None]
        with np.errstate(under="ignore", over="ignore", invalid="ignore"):
            own = np.ldexp(own, less.astype(np.int32))
            found = ScaledMatrix(own, top[:, None] + shift) @ ScaledMatrix(self.values, self.exponent)
        self.values[...], self.exponent[...] = found.values, found.exponent
        d = self.values.shape[1]
        self.walk.replace(
            np.broadcast_to(condensed(self.blocks, d), (len(columns), self.blocks * d, self.blocks))
        )


def _spread(columns: Float, before: Float) -> float:
    """log₂ of how far apart the neurons are, within the columns, but for those that were zero before."""
    size, alive = np.abs(columns).max(axis=(-2, -1)), np.abs(before).max(axis=(-2, -1)) > 0.0
    size = np.where(np.isfinite(size), size, 1.0)
    top = size.max(axis=-1, keepdims=True)
    least = np.where(alive, size, top).min(axis=-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = np.where(top > 0.0, np.log2(top) - np.log2(least), 0.0)
    return float(apart.max(initial=0.0))
