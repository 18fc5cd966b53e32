"""Norms in which the steps of a recurrence are short: weights for the blocks of a state, and Lyapunov's.

Every invertible P gives a bound (`products`), so that nothing here has to be exact.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from integrators.run.recurrence import Recurrence
from integrators.singular_values import spectral_norm
from integrators.values import ByValue

from .rounding import EPS

__all__ = ["Weight", "chosen_weight", "identity_weight"]

Float = NDArray[np.float64]
# A weight with a larger condition number costs digits that the bound must then allow for.
MOST_CONDITION = 1e6
# Lyapunov's equation asks for a rate a little above that of the mean step: by so much over the whole run.
MARGINS = (0.1, 0.5, 2.0)
# Weights of blocks are powers of two with such steps, the finer ones around what the coarser found.
STEPS = (4.0, 2.0, 1.0, 0.5, 0.25)
DOUBLINGS = 60


@dataclass(frozen=True, eq=False)
class Weight(ByValue):
    """P and P⁻¹ of every batch member, None for the identity.

    Attributes
    ----------
    P, inverse : ndarray, shape (members, D, D), or None
    condition : ndarray, shape (members,)
        ‖P‖ ‖P⁻¹‖.
    """

    P: Float | None
    inverse: Float | None
    condition: Float

    @cached_property
    def defect(self) -> Float:
        """A bound on ‖P X − I‖ for the computed inverse X, shape (members,).

        Since P⁻¹ = X (P X)⁻¹, a norm of a product with X in place of P⁻¹ is too small by the factor
        1 − defect at most.
        """
        if self.P is None or self.inverse is None:
            return np.zeros(self.condition.shape)
        D = self.P.shape[-1]
        # The product P X itself rounds by D units of |P| |X|, whose norm is D ‖P‖ ‖X‖ at most.
        off = spectral_norm(np.asarray(self.P @ self.inverse - np.eye(D)))
        return np.asarray(off + D * D * EPS * self.condition, dtype=np.float64)

    def of(self, members: slice) -> tuple[Float | None, Float | None]:
        """P and P⁻¹ of some members."""
        if self.P is None or self.inverse is None:
            return None, None
        return self.P[members], self.inverse[members]

    def log_ends(self, part: slice, members: int) -> Float:
        """ln of ‖EᵀP⁻¹‖ ‖P E‖, the price of going from one norm to the other, rounded up, (members,)."""
        if self.P is None or self.inverse is None:
            return np.zeros(members)
        ends = spectral_norm(self.inverse[:, part]) * spectral_norm(self.P[:, :, part])
        rounded = 16.0 * self.P.shape[-1] * EPS  # of the singular values
        return np.log(ends) - np.log1p(-self.defect) + rounded


def identity_weight(recurrence: Recurrence) -> Weight:
    """P = I."""
    return Weight(None, None, np.ones(recurrence.members))


def chosen_weight(samples: Sequence[Float], n_steps: int, part: slice, blocks: Sequence[slice]) -> Weight:
    """The best weight found for every member from some of its steps.

    Parameters
    ----------
    samples : sequence of ndarray, shape (count, D, D)
        One-step Jacobians of each member.
    n_steps : int
        N, which a price for changing the norm is shared by.
    part : slice
        The block that is bounded.
    blocks : sequence of slice
        The blocks of the state.
    """
    found = [_best(stack, n_steps, part, blocks) for stack in samples]
    P = np.array(found)
    inverse: Float = np.asarray(np.linalg.inv(P), dtype=np.float64)
    return Weight(P, inverse, spectral_norm(P) * spectral_norm(inverse))


def _best(stack: Float, n_steps: int, part: slice, blocks: Sequence[slice]) -> Float:
    """P of one member."""
    unit = np.eye(stack.shape[-1])
    if not np.isfinite(stack).all():
        return unit

    def price(P: Float) -> float:
        inverse = np.linalg.inv(P)
        ends = spectral_norm(inverse[part]) * spectral_norm(P[:, part])
        if not spectral_norm(P) * spectral_norm(inverse) <= MOST_CONDITION:
            return np.inf
        with np.errstate(divide="ignore"):
            return float(n_steps * np.log(spectral_norm(P @ stack @ inverse)).mean() + np.log(ends))

    candidates = [unit, _scaled(price, blocks, unit), *_lyapunov(stack.mean(axis=0), n_steps)]
    return min(candidates, key=price)


def _scaled(price: Callable[[Float], float], blocks: Sequence[slice], unit: Float) -> Float:
    """A power of two for each block but the first, improved one after the other."""
    scale = np.zeros(len(blocks))

    def weighted(scale: Float) -> Float:
        P = unit.copy()
        for block, power in zip(blocks, scale, strict=True):
            P[block] *= 2.0**power
        return P

    least = price(unit)
    for step in STEPS:
        for index in range(1, len(blocks)):
            for direction in (step, -step):
                while True:
                    tried = scale.copy()
                    tried[index] += direction
                    cost = price(weighted(tried))
                    if not cost < least:
                        break
                    scale, least = tried, cost
    return weighted(scale)


def _lyapunov(mean: Float, n_steps: int) -> list[Float]:
    """P with PᵀP = Σ_k (A/r)ᵏᵀ (A/r)ᵏ, in whose norm A has a norm below r, for some r above the rate of A."""
    rate = float(np.abs(np.linalg.eigvals(mean)).max(initial=0.0))
    found = []
    for margin in MARGINS if rate > 0.0 else ():
        A, M = mean / (rate * np.exp(margin / n_steps)), np.eye(len(mean))
        for _ in range(DOUBLINGS):
            M, A = M + A.T @ M @ A, A @ A
            size = float(np.abs(A).max())
            if size < 1e-9 or not size < 1e9:
                break
        if np.isfinite(M).all():
            try:
                found.append(np.linalg.cholesky(M / np.abs(M).max()).T)
            except np.linalg.LinAlgError:
                continue
    return found
