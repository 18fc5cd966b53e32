"""Adam, with clipping by the norm and a schedule of the learning rate."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Adam", "AdamState", "clipped"]

Float = NDArray[np.float64]


@dataclass
class AdamState:
    """First and second moments, and the number of steps taken."""

    first: Float
    second: Float
    steps: int = 0

    @classmethod
    def zero(cls, size: int) -> AdamState:
        return cls(np.zeros(size), np.zeros(size))


@dataclass(frozen=True)
class Adam:
    """θ ← θ − rate · m̂ / (√v̂ + ε) (D. P. Kingma, J. Ba, ICLR 2015, Algorithm 1).

    Attributes
    ----------
    rate : float
    beta_1, beta_2, epsilon : float
    """

    rate: float = 1e-3
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8

    def step(self, theta: Float, gradient: Float, state: AdamState, factor: Float | float = 1.0) -> None:
        """One step in place, at `factor` times the rate: one number, or one for each entry."""
        state.steps += 1
        for moment, beta, target in (
            (state.first, self.beta_1, gradient),
            (state.second, self.beta_2, gradient * gradient),
        ):
            moment *= beta
            moment += (1.0 - beta) * target
        rate = factor * self.rate / (1.0 - self.beta_1**state.steps)
        denominator = np.sqrt(state.second / (1.0 - self.beta_2**state.steps)) + self.epsilon
        theta -= rate * state.first / denominator


def clipped(gradient: Float, norm: float, most: float | None) -> Float:
    """The gradient, scaled to the norm `most` where its norm is larger."""
    return gradient if most is None or norm <= most or not math.isfinite(norm) else gradient * (most / norm)
