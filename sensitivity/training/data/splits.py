"""Training, validation and test sequences out of one set: drawn at random, class by class, by a seed."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .sequences import Sequences

__all__ = ["hold_out", "share", "some_of"]

Indices = NDArray[np.intp]
SHARE = 0.2
"""Default share of the training sequences that is held out."""


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
