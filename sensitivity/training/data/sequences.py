"""Labelled sequences, kept time first and sequence last: the layout of the kernels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from integrators.validation import as_array

__all__ = ["Sequences"]


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
