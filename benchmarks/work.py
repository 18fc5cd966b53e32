"""A piece of work, told to every candidate in the same words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Work"]

Float = NDArray[np.float64]
Scheme = Literal["leapfrog", "euler"]
What = Literal["jacobian", "norm"]
Weights = Literal["paper", "gaussian"]


@dataclass(frozen=True)
class Work:
    """∂y_N/∂y_0, or its spectral norm, for several step sizes; float64, tanh, y_0 = ẏ_0 = 0, no inputs.

    Attributes
    ----------
    scheme : {"leapfrog", "euler"}
        Recursions (11) and (12) of Rusch, Pearson, Zygalakis (2019).
    d, n_steps : int
        Dimension and N.
    members : int
        Number of step sizes of the full work, log-spaced over `span`.
    what : {"jacobian", "norm"}
    weights : {"paper", "gaussian"}
        W_ij, b_i uniform on (0, 1/d), or W_ij ~ N(0, 1/d) and b_i ~ N(0, 1).
    span : tuple of float
        Smallest and largest ε.
    kept : int, optional
        How many of the step sizes are kept, evenly spread; all by default. Slow candidates get fewer.
    """

    scheme: Scheme
    d: int
    n_steps: int = 1000
    members: int = 100
    what: What = "jacobian"
    weights: Weights = "paper"
    span: tuple[float, float] = (1e-3, 1.0)
    kept: int | None = None

    @cached_property
    def W(self) -> Float:
        return self._draws[0]

    @cached_property
    def b(self) -> Float:
        return self._draws[1]

    @cached_property
    def _draws(self) -> tuple[Float, Float]:
        rng = np.random.default_rng(0)
        if self.weights == "paper":
            return rng.uniform(0.0, 1.0 / self.d, (self.d, self.d)), rng.uniform(0.0, 1.0 / self.d, self.d)
        return rng.normal(0.0, self.d**-0.5, (self.d, self.d)), rng.normal(0.0, 1.0, self.d)

    @property
    def n_kept(self) -> int:
        return self.members if self.kept is None else self.kept

    @cached_property
    def steps(self) -> Float:
        """The step sizes ε, shape (n_kept,)."""
        low, high = self.span
        steps = np.geomspace(low, high, self.members)
        return steps[np.linspace(0, self.members - 1, self.n_kept).round().astype(int)]

    def part(self, members: int | None = None, n_steps: int | None = None) -> Work:
        """The same with at most that many step sizes and steps."""
        return replace(
            self,
            kept=min(self.n_kept, members or self.n_kept),
            n_steps=min(self.n_steps, n_steps or self.n_steps),
        )

    def times_smaller(self, part: Work) -> float:
        """By what the time of `part` is to be multiplied: all costs are linear in members and steps."""
        return (self.n_kept / part.n_kept) * (self.n_steps / part.n_steps)
