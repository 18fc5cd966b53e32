"""Scheme × σ(W y + V x + b) as a classifier: Hamiltonian, Euler and antisymmetric networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integrators.codegen.memory import aligned_array
from integrators.codegen.threads import thread_count
from integrators.fields.activations import ACTIVATIONS
from integrators.fields.neural import NeuralField
from integrators.schemes.table import get_scheme
from integrators.validation import as_array, as_count, as_steps

from .network import BatchGradient, Blocks, Float, Network, equal_shares
from .program import Size, unroll
from .sweep import Room, block_gradient, block_scores

__all__ = ["OdeNetwork"]


class OdeNetwork(Network):
    """y_N of a scheme applied to ÿ (or ẏ) = σ(W y + V x + b) from rest, with a softmax readout R y_N + r.

    Parameters
    ----------
    d, n_steps, n_inputs, n_classes : int
    step : float
        ε.
    scheme : str or Scheme
        leapfrog: the Hamiltonian network, recursion (13) of Rusch, Pearson, Zygalakis (2019); euler: (12).
    gamma : float, optional
        Antisymmetric network: W − Wᵀ − γ I in place of W, whose free parameters are the d(d − 1)/2 above the
        diagonal (Chang et al., ICLR 2019).
    activation : str
    threads : int, optional
        No result depends on it.

    Raises
    ------
    ValueError, TypeError
        If an argument makes no sense.
    """

    def __init__(
        self,
        d: int,
        n_steps: int,
        step: float,
        *,
        n_inputs: int = 1,
        n_classes: int = 2,
        scheme: str = "leapfrog",
        gamma: float | None = None,
        activation: str = "tanh",
        threads: int | None = None,
    ) -> None:
        self.d = as_count(d, "d", least=1)
        self.n_steps = as_count(n_steps, "n_steps", least=1)
        self.n_inputs, self.n_classes = (
            as_count(n_inputs, "n_inputs"),
            as_count(n_classes, "n_classes", least=2),
        )
        self.step = float(as_steps(step).reshape(()))
        self.scheme = get_scheme(scheme)
        self.gamma = None if gamma is None else float(as_array(gamma, "gamma", 0))
        self.activation = ACTIVATIONS[activation]
        free = (d, d) if gamma is None else (d * (d - 1) // 2,)
        self.shapes = {"W": free, "V": (d, n_inputs), "b": (d,), "R": (n_classes, d), "r": (n_classes,)}
        self.program = unroll(self.scheme, self.step, n_steps, self.activation.code)
        self.size = Size(self.program.kick.size, d, n_inputs, n_classes)
        self.threads = thread_count(threads)
        self._upper = np.triu_indices(d, 1)
        self._rooms: dict[tuple[int, int, bool], Room] = {}
        self._buffers: dict[int, Float] = {}

    # -------------------------------------------------------------------------------------- parameters

    def weights(self, theta: Float) -> Float:
        """W, or W − Wᵀ − γ I."""
        W = self.named(theta)["W"]
        if self.gamma is None:
            return W
        matrix = np.zeros((self.d, self.d))
        matrix[self._upper] = W
        return matrix - matrix.T - self.gamma * np.eye(self.d)

    def field(self, theta: Float) -> NeuralField:
        """The field with these weights, for Jacobians and bounds."""
        parts = self.named(theta)
        return NeuralField(self.weights(theta), parts["b"], parts["V"], self.activation.name)

    def _packed(self, theta: Float) -> Float:
        """[W V b] row by row, then [R r]: what the kernels read."""
        parts = self.named(theta)
        A = np.concatenate([self.weights(theta), parts["V"], parts["b"][:, None]], axis=1)
        return np.concatenate([A.ravel(), np.concatenate([parts["R"], parts["r"][:, None]], axis=1).ravel()])

    def _unpacked(self, packed: Float) -> Float:
        """A gradient by packed weights as one by θ."""
        d, cut = self.d, self.d * (self.d + self.n_inputs + 1)
        A, R = packed[:cut].reshape(d, -1), packed[cut:].reshape(self.n_classes, -1)
        W = A[:, :d]
        if self.gamma is not None:
            W = (W - W.T)[self._upper]
        return np.concatenate([W.ravel(), A[:, d:-1].ravel(), A[:, -1], R[:, :d].ravel(), R[:, d]])

    # ------------------------------------------------------------------------------------------- runs

    def gradient(
        self, theta: Float, inputs: Float, labels: NDArray[np.int64], weights: Float | None = None
    ) -> BatchGradient:
        packed, n = self._packed(theta), labels.size
        shares = equal_shares(n) if weights is None else weights
        blocks = Blocks.of(n)
        members, gradients = blocks.members(), np.empty((len(blocks.widths), packed.size))
        results = np.empty((len(blocks.widths), 2))

        def work(thread: int, share: list[int]) -> None:
            for b in share:
                room = self._room(thread, blocks.widths[b], True, max(blocks.widths))
                block_gradient(
                    self.program, packed, inputs, labels, *members[b], shares, room, gradients[b], results[b]
                )

        self._run(blocks, work)
        loss, right = results.sum(axis=0)
        return BatchGradient(float(loss), int(right), self._unpacked(gradients.sum(axis=0)))

    def scores(self, theta: Float, inputs: Float) -> Float:
        packed, n = self._packed(theta), inputs.shape[2]
        blocks = Blocks.of(n)
        members, scores = blocks.members(), np.empty((self.n_classes, n))

        def work(thread: int, share: list[int]) -> None:
            for b in share:
                room = self._room(thread, blocks.widths[b], False, max(blocks.widths))
                block_scores(self.program, packed, inputs, *members[b], room, scores)

        self._run(blocks, work)
        return scores

    def _run(self, blocks: Blocks, work: Callable[[int, list[int]], None]) -> None:
        try:
            blocks.run(work, self.threads)
        except BaseException:
            self._rooms, self._buffers = {}, {}  # a thread that was left behind may still write there
            raise

    def _room(self, thread: int, width: int, backwards: bool, widest: int) -> Room:
        """The arrays of a thread for blocks of a width, made once; all widths share what is kept."""
        key = thread, width, backwards
        size = self.size if backwards else self.size.ring()
        if backwards and self._buffers.get(thread, np.empty(0)).size < size.buffer_size(widest):
            self._buffers[thread] = aligned_array((size.buffer_size(widest),), np.float64)
            self._rooms = {k: room for k, room in self._rooms.items() if k[0] != thread or not k[2]}
        if key not in self._rooms:
            self._rooms[key] = size.room(width, self._buffers[thread] if backwards else None)
        return self._rooms[key]

    def describe(self) -> dict[str, Any]:
        own = {"scheme": self.scheme.name, "step": self.step, "gamma": self.gamma}
        return {**super().describe(), **own, "activation": self.activation.name}
