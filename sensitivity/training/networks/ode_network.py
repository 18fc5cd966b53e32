"""Scheme × σ(W y + V x + b) as a classifier: Hamiltonian, Euler and antisymmetric networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from integrators.engine.program import Program
from integrators.fields.activations import ACTIVATIONS
from integrators.fields.neural import NeuralField
from integrators.run.recurrence import Recurrence
from integrators.schemes.table import get_scheme
from integrators.validation import as_array, as_count, as_steps

from .network import Float, RecurrentNetwork, Weights
from .sequence_stage import entry_rows, sequences_backward, sequences_forward

__all__ = ["OdeNetwork"]


class OdeNetwork(RecurrentNetwork):
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

    Attributes
    ----------
    first : NeuralField or None
        Where training starts by default, such as weights that were read from a file.

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
        super().__init__(n_steps, n_inputs, n_classes, threads)
        self.step = self.step_size = float(as_steps(step).reshape(()))
        self.scheme = get_scheme(scheme)
        self.gamma = None if gamma is None else float(as_array(gamma, "gamma", 0))
        self.activation = ACTIVATIONS[activation]
        free = (d, d) if gamma is None else (d * (d - 1) // 2,)
        self.shapes = {"W": free, "V": (d, n_inputs), "b": (d,), "R": (n_classes, d), "r": (n_classes,)}
        # p_N is not read out, so that the closing kick is left away.
        self.program = Program.of(self.scheme, self.n_steps, close=False)
        self.dim = d if self.scheme.form == "first_order" else 2 * d
        self.read, self.entry_rows = slice(0, d), entry_rows(d, n_inputs)
        self.clock = np.zeros((self.n_steps, 0))
        self._upper = np.triu_indices(d, 1)
        self.first: NeuralField | None = None

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

    def recurrence(self, theta: Float, inputs: Float) -> Recurrence:
        given = inputs.transpose(2, 0, 1)
        field, details = self.field(theta), {"threads": 1, "progress": False}
        return Recurrence(
            field, self.n_steps, scheme=self.scheme, step=self.step, inputs=given if self.n_inputs else None,
            s0=np.zeros((given.shape[0], self.dim)), **details,
        )  # fmt: skip

    def from_named(self, theta: Float, gradient: Mapping[str, Float]) -> Float:
        V = gradient.get("V", np.zeros((self.d, 0)))
        flat = self._pulled(np.concatenate([gradient["W"], V, gradient["b"][:, None]], axis=1).ravel())
        return np.concatenate([flat, np.zeros(self.n_parameters - flat.size)])

    def start(self, rng: np.random.Generator) -> Float | None:
        """The weights of `first`, if there is one."""
        first = self.first
        return None if first is None else np.concatenate([first.W.ravel(), first.V.ravel(), first.b])

    def packed(self, theta: Float) -> Weights:
        """[W V b] row by row."""
        parts = self.named(theta)
        A = np.concatenate([self.weights(theta), parts["V"], parts["b"][:, None]], axis=1)
        return Weights(A.ravel(), self._pulled)

    def _pulled(self, gradient: Float) -> Float:
        """A gradient by [W V b] as one by the part of θ before the readout."""
        A, d = gradient.reshape(self.d, -1), self.d
        W = A[:, :d]
        if self.gamma is not None:
            W = (W - W.T)[self._upper]
        return np.concatenate([W.ravel(), A[:, d:-1].ravel(), A[:, -1]])

    def forward(self, packed: Float, *rest: Any) -> None:
        sequences_forward(self.activation.code, packed, *rest)

    def backward(self, packed: Float, *rest: Any) -> None:
        sequences_backward(self.activation.code, packed, *rest)

    def describe(self) -> dict[str, Any]:
        own = {"scheme": self.scheme.name, "step": self.step, "gamma": self.gamma}
        return {**super().describe(), **own, "activation": self.activation.name}
