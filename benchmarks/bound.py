"""The arithmetic bound: the time that the operations alone would take at the measured rates.

Counted, for ∂y_N/∂y_0 (k = d tangent columns a member) and every member:

products
    2 d² k for each kick but the first, W times the columns; the first kick acts on the identity, whose
    product with W is W. And 2 d² for each kick, W times the state.
tanh
    d for each kick. Its derivative is 1 − tanh², and counted among the updates.
updates
    What else has to happen to each entry once: 2 d k a kick (scale the product and add it), 2 d k a drift;
    for the state d (bias), 3 d (σ' and its weight) and 2 d a kick, 2 d a drift.

Leapfrog with its end kicks merged has N kicks and N drifts when only y_N is asked for; Euler has N kicks.

`Bound.seconds`, by which the table divides, is products ÷ dgemm rate + tanh ÷ tanh rate, both with all cores.
The updates are not in it: they are shown beside it, at the same rate, as `Bound.updates`; no memory traffic,
no loop and no call is counted anywhere, so nothing can reach the bound when d is small.
"""

from __future__ import annotations

from dataclasses import dataclass

from integrators.engine.program import Program
from integrators.schemes.table import get_scheme

from .rates import Rates
from .work import Work

__all__ = ["Bound", "Operations", "bound", "operations"]


@dataclass(frozen=True)
class Operations:
    """Float operations and tanh evaluations of a whole piece of work."""

    products: int
    updates: int
    tanh: int


@dataclass(frozen=True)
class Bound:
    """Seconds that the operations take at the measured rates."""

    products: float
    updates: float
    tanh: float

    @property
    def seconds(self) -> float:
        """The arithmetic bound: products and tanh."""
        return self.products + self.tanh

    @property
    def with_updates(self) -> float:
        """The bound with the O(d k) updates."""
        return self.seconds + self.updates


def operations(work: Work) -> Operations:
    """Count what ∂y_N/∂y_0 takes, all members together."""
    program = Program.of(get_scheme(work.scheme), work.n_steps, close=False)
    kicks = int(program.evaluated.sum())
    drifts = sum(operation.stage == "drift" for operation in program)
    d = k = work.d
    products = 2 * d * d * (k * max(kicks - 1, 0) + kicks)
    updates = kicks * (2 * d * k + 6 * d) + drifts * (2 * d * k + 2 * d)
    return Operations(work.n_kept * products, work.n_kept * updates, work.n_kept * kicks * d)


def bound(work: Work, rates: Rates) -> Bound:
    """The arithmetic bound of a piece of work on this machine."""
    counted = operations(work)
    return Bound(
        counted.products / rates.dgemm[1], counted.updates / rates.dgemm[1], counted.tanh / rates.best_tanh
    )
