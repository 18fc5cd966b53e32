"""A penalty on the growth exponents of a network along its training sequences: "gradient flossing"."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integrators.run.recurrence import Recurrence
from integrators.validation import as_count
from sensitivity.analysis.gradients.exponents import can_differentiate, of_sum

from .networks.network import Network

__all__ = ["Flossing"]

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Flossing:
    """weight · Σ_j (λ_j − target_j)², averaged over some sequences of a batch, is added to the loss.

    λ_j are the k largest finite-time growth exponents of the state along a whole sequence, by which gradients
    grow or fall in a step. The penalty is that of R. Engelken, *Gradient flossing*, NeurIPS 2023.

    Attributes
    ----------
    k : int
        Number of exponents, at most D.
    weight : float
        Factor on the penalty.
    target : float or sequence of k floats
        Where the exponents are to go; in descending order if there are several.
    every : int, optional
        Iterations from one that has the penalty to the next, beginning with the first. None: no iteration has
        it, and there is only what `before` asks for.
    before : int
        Steps of Adam on the penalty alone before the training starts ("preflossing").
    sequences : int
        How many sequences of a batch are looked at: the first ones.
    """

    k: int = 1
    weight: float = 1.0
    target: float | Sequence[float] = 0.0
    every: int | None = 1
    before: int = 0
    sequences: int = 4

    def checked(self, network: Network, theta: Float) -> Flossing:
        """The same, once it is known to make sense for a network with parameters θ.

        Raises
        ------
        ValueError, TypeError
            Naming the entry, its value and the mend; for a network whose steps cannot be differentiated
            twice.
        """
        for name, least in (("k", 1), ("before", 0), ("sequences", 1)):
            as_count(getattr(self, name), f"flossing: {name}", least)
        if self.every is not None:
            as_count(self.every, "flossing: every", 1)
        for name, value in (("weight", self.weight), *(("target", value) for value in self._given())):
            if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
                raise TypeError(f"flossing: {name} must be a number, got {value!r}.")
            if not math.isfinite(value):
                raise ValueError(f"flossing: {name} must be finite, got {value}.")
        if not self.weight > 0.0:
            raise ValueError(f"flossing: weight must be positive, got {self.weight}; leave flossing out.")
        if len(self._given()) not in (1, self.k):
            raise ValueError(f"flossing: target has {len(self._given())} numbers for k = {self.k} exponents.")
        if self.every is None and self.before == 0:
            raise ValueError("flossing: every = None and before = 0 leave nothing to do; leave flossing out.")
        run = network.recurrence(theta, np.zeros((network.n_steps, network.n_inputs, 1)))
        size = can_differentiate(run).state_size
        if self.k > size:
            raise ValueError(f"flossing: k must be at most {size}, the length of the state, got {self.k}.")
        return self

    def _given(self) -> tuple[Any, ...]:
        return tuple(self.target) if isinstance(self.target, (Sequence, np.ndarray)) else (self.target,)

    def penalty(self, network: Network, theta: Float, inputs: Float) -> tuple[float, Float]:
        """The penalty and its gradient by θ, for inputs (n_steps, n_inputs, n).

        Sequences along which one of the exponents is −∞, or the state leaves float64, do not count.
        """
        run = network.recurrence(theta, inputs)
        aims = np.broadcast_to(np.asarray(self._given(), dtype=np.float64), (self.k,))
        exponents, by_name = self._of_run(run, aims)
        alive = np.isfinite(exponents).all(axis=1)
        if not alive.any():
            return 0.0, np.zeros_like(theta)
        value = self.weight * float(((exponents[alive] - aims) ** 2).sum(axis=1).mean())
        return value, network.from_named(theta, by_name)

    def _of_run(self, run: Recurrence, aims: Float) -> tuple[Float, dict[str, Float]]:
        def slope(exponents: Float) -> Float:
            alive = np.isfinite(exponents).all(axis=1, keepdims=True)
            with np.errstate(invalid="ignore"):
                return np.where(alive, 2.0 * self.weight * (exponents - aims) / max(1, alive.sum()), 0.0)

        return of_sum(run, self.k, slope)

    def has(self, iteration: int) -> bool:
        """Whether an iteration has the penalty."""
        return self.every is not None and iteration % self.every == 0
