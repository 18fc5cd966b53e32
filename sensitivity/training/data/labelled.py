"""The arguments of `fit`, checked: labels become codes, and equal sequences are put together."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .sequences import Sequences

__all__ = ["labelled"]

Float = NDArray[np.float64]


def labelled(X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None) -> tuple[Sequences, NDArray[Any]]:
    """(sequences with weights, classes).

    A sequence of weight 0 is left out. Equal sequences of one class become one whose weight is the sum of
    theirs: what is fitted is the same, bit for bit, whether a row stands there twice or has twice the weight.

    Raises
    ------
    ValueError, TypeError
        If X, y and the weights do not fit together, or y does not name at least two classes.
    """
    values, labels = Sequences.values_of(X), _labels(y)
    n = values.shape[2]
    if labels.shape != (n,):
        raise ValueError(f"y has shape {labels.shape}; X with {n} sequences asks for as many.")
    weights = _weights(sample_weight, n)
    used = weights > 0.0
    if not used.any():
        raise ValueError("sample_weight is 0 for every sequence; there is nothing to learn.")
    values, labels, weights = values[:, :, used], labels[used], weights[used]
    classes, codes = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(
            f"y has only the class {labels[0]!r}; there is nothing to learn: 1 class, not 2 or more."
        )
    first, weights = _merged(values, codes, weights)
    parts = np.ascontiguousarray(values[:, :, first])
    equal = bool((weights == weights[0]).all())
    data = Sequences(parts, codes[first].astype(np.int64), len(classes), weights=None if equal else weights)
    return data, classes


def _labels(y: ArrayLike) -> NDArray[Any]:
    """One label for each sequence, of one kind."""
    if y is None:
        raise ValueError("y is None: SequenceClassifier requires y to be passed, the class of each sequence.")
    try:
        labels = np.asarray(y)
    except ValueError:  # ragged
        raise ValueError(
            "y is not one class for each sequence: its entries have different lengths."
        ) from None
    if labels.dtype == object and None in labels.ravel().tolist():
        raise ValueError("y holds None; every sequence needs a class.")
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if np.issubdtype(labels.dtype, np.inexact):
        if not np.isfinite(labels).all():
            raise ValueError(f"y holds {labels[~np.isfinite(labels)][0]}; every sequence needs a class.")
        if (labels != np.rint(np.real(labels))).any():
            found = labels[labels != np.rint(np.real(labels))][0]
            raise ValueError(
                f"Unknown label type: continuous. y holds {found}: classes are names or whole numbers, and "
                "this is no regression."
            )
    if labels.dtype == object and len({type(label) for label in labels.ravel().tolist()}) > 1:
        kinds = sorted({type(label).__name__ for label in labels.ravel().tolist()})
        raise TypeError(f"y mixes labels of the types {', '.join(kinds)}; name all classes in one way.")
    return labels


def _weights(given: ArrayLike | None, n: int) -> Float:
    if given is None:
        return np.ones(n)
    try:
        weights = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError("sample_weight must be numbers, one for each sequence.") from None
    if weights.ndim == 0:
        weights = np.full(n, float(weights))
    if weights.shape != (n,):
        raise ValueError(f"sample_weight has shape {weights.shape}; X with {n} sequences asks for ({n},).")
    wrong = ~(np.isfinite(weights) & (weights >= 0.0))
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        raise ValueError(f"sample_weight must be finite and not negative; entry {at} is {weights[at]}.")
    return weights


def _merged(values: Float, codes: NDArray[Any], weights: Float) -> tuple[NDArray[np.intp], Float]:
    """The first index of each distinct sequence with its class, in order, and the sum of its weights."""
    rows = np.ascontiguousarray(np.moveaxis(values, 2, 0)) + 0.0  # −0 is 0
    places: dict[bytes, int] = {}
    digests = (
        hashlib.blake2b(row.tobytes() + int(code).to_bytes(8, "little")).digest()
        for row, code in zip(rows, codes, strict=True)
    )
    at = np.array([places.setdefault(digest, len(places)) for digest in digests])
    first = np.full(len(places), len(at))
    np.minimum.at(first, at, np.arange(len(at)))
    # math.fsum: the sum of the weights of equal rows does not depend on how they are split.
    if len(places) == len(at):
        return first, weights
    groups = np.split(weights[np.argsort(at, kind="stable")], np.cumsum(np.bincount(at))[:-1])
    return first, np.array([math.fsum(group.tolist()) for group in groups])
