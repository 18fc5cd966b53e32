"""Labelled sequences, time first and sequence last as the kernels have it, and parts of them by a seed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from integrators.validation import as_array

__all__ = ["Sequences", "hold_out", "share", "some_of"]

Indices = NDArray[np.intp]
SHARE = 0.2
"""Default share of the training sequences that is held out."""


@dataclass(frozen=True)
class Sequences:
    """Labelled sequences of one length.

    Attributes
    ----------
    values : ndarray, shape (n_steps, n_inputs, n)
        float64, or uint8 where files hold bytes; what a network sees is ``values · scale``.
    labels : ndarray of int64, shape (n,)
        0 … n_classes − 1.
    n_classes : int
    scale : float
    weights : ndarray of float64, shape (n,), optional
        How much each sequence counts in the loss; all count alike where there are none.
    """

    values: NDArray[Any]
    labels: NDArray[np.int64]
    n_classes: int
    scale: float = 1.0
    weights: NDArray[np.float64] | None = None

    @property
    def n_steps(self) -> int:
        return self.values.shape[0]

    @property
    def n_inputs(self) -> int:
        return self.values.shape[1]

    def __len__(self) -> int:
        return self.values.shape[2]

    def batch(self, chosen: NDArray[np.intp] | slice) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Inputs (n_steps, n_inputs, chosen) in float64, contiguous, and their labels."""
        whole = isinstance(chosen, slice)
        picked = self.values[:, :, chosen] if whole else np.take(self.values, chosen, axis=2)
        if picked.dtype != np.float64 or self.scale != 1.0:
            picked = picked * np.float64(self.scale)
        return np.ascontiguousarray(picked), np.ascontiguousarray(self.labels[chosen])

    def part(self, chosen: NDArray[np.intp] | slice) -> Sequences:
        """Some of the sequences."""
        weights = None if self.weights is None else self.weights[chosen]
        values = np.ascontiguousarray(self.values[:, :, chosen])
        return Sequences(values, self.labels[chosen], self.n_classes, self.scale, weights)

    def reordered(self, order: NDArray[np.intp]) -> Sequences:
        """The same with time permuted: step i sees what step ``order[i]`` saw."""
        return Sequences(self.values[order], self.labels, self.n_classes, self.scale, self.weights)

    @staticmethod
    def values_of(X: ArrayLike, argument: str = "X") -> NDArray[np.float64]:
        """(n, n_steps) or (n, n_steps, n_inputs) as the user has it → (n_steps, n_inputs, n).

        Raises
        ------
        ValueError, TypeError
            If it is neither, empty, or not finite real numbers.
        """
        array = as_array(X, argument, (2, 3))
        array = array[:, :, None] if array.ndim == 2 else array
        if array.size == 0:
            raise ValueError(f"{argument} has shape {array.shape}; give at least one sequence of one step.")
        return np.ascontiguousarray(array.transpose(1, 2, 0))


def hold_out(data: Sequences, count: int, seed: int, argument: str = "validation") -> tuple[Indices, Indices]:
    """(left, held out): `count` sequences drawn at random from each class in proportion to its size.

    Each class that there is keeps at least one sequence among those that are left. Both sets are in the order
    of the data: a file that is sorted by class is cut as well as any other.

    Parameters
    ----------
    data : Sequences
    count : int
    seed : int
        The same seed holds out the same sequences.
    argument : str
        What a message calls `count`.

    Raises
    ------
    ValueError
        If `count` is not from 1 to the number of sequences less one for each class that there is.
    """
    sizes, n = np.bincount(data.labels, minlength=data.n_classes), len(data)
    if not 1 <= count < n:
        raise ValueError(
            f"{argument} must be from 1 to {n - 1}, one less than the training sequences, or 0 for none; "
            f"got {count}."
        )
    classes = int((sizes > 0).sum())
    if count > n - classes:
        raise ValueError(
            f"{argument} {count} leaves {n - count} training sequences for {classes} classes; take at most "
            f"{n - classes}."
        )
    chosen = _drawn(data, count, sizes - 1, seed)
    return np.setdiff1d(np.arange(len(data)), chosen), chosen


def share(data: Sequences) -> int:
    """A fifth of the sequences, or as many as `hold_out` can take."""
    return max(0, min(round(SHARE * len(data)), len(data) - np.unique(data.labels).size))


def some_of(data: Sequences, count: int, seed: int, argument: str) -> Sequences:
    """`count` of the sequences, drawn at random from each class in proportion to its size.

    Raises
    ------
    ValueError
        If there are not so many, or fewer are asked for than one.
    """
    if not 1 <= count <= len(data):
        raise ValueError(
            f"{argument} must be from 1 to {len(data)}, the sequences that there are; got {count}."
        )
    sizes = np.bincount(data.labels, minlength=data.n_classes)
    return data if count == len(data) else data.part(_drawn(data, count, sizes, seed))


def _drawn(data: Sequences, count: int, most: NDArray[np.int64], seed: int) -> Indices:
    """`count` indices in their order, of each class c at most ``most[c]`` and in proportion to its size."""
    sizes = np.bincount(data.labels, minlength=data.n_classes)
    wanted = count * sizes / len(data)
    taken = np.minimum(np.floor(wanted).astype(np.int64), np.maximum(most, 0))
    # What rounding down has left goes to the classes that are furthest below their share.
    for _ in range(count - int(taken.sum())):
        lacks = np.where(taken < most, wanted - taken, -math.inf)
        taken[int(lacks.argmax())] += 1
    # Whatever else a seed draws, such as weights or the order of batches, is drawn from other streams.
    rng = np.random.default_rng((seed, 0x5B11))
    parts = [
        rng.permutation(np.flatnonzero(data.labels == label))[:number] for label, number in enumerate(taken)
    ]
    return np.sort(np.concatenate(parts))
