"""The interface of networks for the trainer, and how a batch is cut into blocks for threads."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integrators.codegen.simd import WIDTH
from integrators.codegen.threads import on_threads
from integrators.run.recurrence import Recurrence

__all__ = ["BatchGradient", "Blocks", "Network"]

Float = NDArray[np.float64]

MOST_VECTORS = 4
"""Eights of batch members in a block: enough for a product's tile, few enough for a step to stay in L1."""


@dataclass(frozen=True)
class BatchGradient:
    """Loss, gradient and number of right answers of one batch.

    Attributes
    ----------
    loss : float
        Mean of −ln softmax(R y_N + r)[label].
    right : int
    gradient : ndarray, shape (n_parameters,)
        ∂loss/∂θ.
    """

    loss: float
    right: int
    gradient: Float


@dataclass(frozen=True)
class Blocks:
    """A batch of `n` cut into blocks: their widths, multiples of eight, and which thread does which.

    The sums of a gradient are cut where the blocks are, so that its bits depend on `n` and on nothing else.
    """

    n: int
    widths: tuple[int, ...]

    @classmethod
    def of(cls, n: int) -> Blocks:
        vectors = -(-n // WIDTH)
        count = min(vectors, 2 * -(-vectors // (2 * MOST_VECTORS)))
        return cls(n, tuple(WIDTH * (vectors // count + (b < vectors % count)) for b in range(count)))

    def members(self) -> list[tuple[int, int]]:
        """(first member, number of members) of each block."""
        firsts = np.cumsum([0, *self.widths[:-1]]).tolist()
        return [(first, min(width, self.n - first)) for first, width in zip(firsts, self.widths, strict=True)]

    def shares(self, threads: int) -> list[list[int]]:
        """The blocks of each thread, as even as can be."""
        loads, shares = [0] * threads, [[] for _ in range(threads)]
        for block in sorted(range(len(self.widths)), key=lambda b: -self.widths[b]):
            thread = loads.index(min(loads))
            loads[thread] += self.widths[block]
            shares[thread].append(block)
        return [share for share in shares if share]

    def run(self, work: Callable[[list[int]], None], threads: int) -> None:
        """``work(blocks)`` for the share of every thread."""
        calls = [partial(work, share) for share in self.shares(threads)]
        if len(calls) == 1:
            calls[0]()
        else:
            on_threads(calls, threads)


class Network(ABC):
    """A recurrent classifier: sequences of inputs → scores of the classes, with its exact gradient.

    Attributes
    ----------
    n_steps, n_inputs, n_classes, d : int
    step : float, optional
        ε, where the network has one.
    shapes : mapping
        Name → shape of each parameter, in their order in θ.
    readout : tuple of str
        The names of R and r.
    """

    n_steps: int
    n_inputs: int
    n_classes: int
    d: int
    step: float | None = None
    shapes: Mapping[str, tuple[int, ...]]
    readout: tuple[str, str] = ("R", "r")

    @property
    def n_parameters(self) -> int:
        return sum(math.prod(shape) for shape in self.shapes.values())

    @property
    def recurrent_parameters(self) -> int:
        """Free parameters of the hidden-to-hidden map, as the paper's tables count them."""
        return math.prod(self.shapes["W"])

    def named(self, theta: Float) -> dict[str, Float]:
        """Views of θ by name."""
        parts, start = {}, 0
        for name, shape in self.shapes.items():
            stop = start + math.prod(shape)
            parts[name] = theta[start:stop].reshape(shape)
            start = stop
        return parts

    def start(self, rng: np.random.Generator) -> Float | None:
        """The part of θ before the readout at a start of the network's own, or None where it has none."""
        return None

    def plain(self, name: str) -> str:
        """The name of a parameter without the number of its layer."""
        return name

    @abstractmethod
    def gradient(
        self, theta: Float, inputs: Float, labels: NDArray[np.int64], weights: Float | None = None
    ) -> BatchGradient:
        """Loss and gradient of a batch: inputs (n_steps, n_inputs, n), labels (n,).

        The loss is Σ weights[q] · cross-entropy of sequence q; weights are 1/n where none are given.
        """

    @abstractmethod
    def scores(self, theta: Float, inputs: Float) -> Float:
        """R y_N + r for inputs (n_steps, n_inputs, n): shape (n_classes, n)."""

    def recurrence(self, theta: Float, inputs: Float) -> Recurrence:
        """The run of its state for inputs (n_steps, n_inputs, n), a batch of n."""
        raise TypeError(f"{type(self).__name__} is not made of a field or a cell.")

    def from_named(self, theta: Float, gradient: Mapping[str, Float]) -> Float:
        """A gradient by the parameters of its field or cell, by name, as one by θ; zero for the readout."""
        raise TypeError(f"{type(self).__name__} is not made of a field or a cell.")

    @abstractmethod
    def weights(self, theta: Float) -> Float:
        """W, the matrix on the hidden state inside σ (of a gated cell, that of all gates)."""

    def describe(self) -> dict[str, Any]:
        """A description of the network for manifests and checkpoints."""
        return {"d": self.d, "n_steps": self.n_steps, "n_inputs": self.n_inputs, "n_classes": self.n_classes}
