"""Theorem K: products over segments of several steps, with what float64 may have lost in each segment.

With K_j the product of the Jacobians of `length` consecutive steps, E_a and E_b the rows and columns of the
block that is asked about, and any invertible P,

    ‖E_aᵀ J_N ⋯ J_1 E_b‖ ≤ ‖E_aᵀ K_n P⁻¹‖ · Π ‖P K_j P⁻¹‖ · ‖P K_1 E_b‖.

A segment sees that the directions in which steps expand turn from one step to the next. How far its computed
product may be from the exact one is computed along with it, so that the bound is one for any length.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from integrators.fields.field import Field
from integrators.run.inputs import Inputs
from integrators.run.recurrence import Recurrence, as_recurrence
from integrators.schemes.table import Scheme
from integrators.singular_values import frobenius_norm, scaled_norm, spectral_norm
from integrators.validation import as_count
from sensitivity.analysis.singular import block_of

from .products import StepErrors, Total, Visited, shaped, suited_weights, visit_steps
from .rounding import EPS, upward
from .table import any_scheme, proved, second_order
from .weights import Weight, identity_weight

__all__ = ["LENGTH", "log_segment_product", "segment_product"]

Float = NDArray[np.float64]
LENGTH = 64
"""Steps of a segment, unless told otherwise."""


def log_segment_product(
    field: Field | Recurrence,
    scheme: str | Scheme | None = None,
    step: ArrayLike | None = None,
    n_steps: int | None = None,
    y0: ArrayLike | None = None,
    p0: ArrayLike | None = None,
    inputs: Inputs = None,
    *,
    length: int = LENGTH,
    block: str | None = None,
) -> Float:
    """Natural logarithm of `segment_product`, which does not overflow with N.

    Examples
    --------
    >>> import leapgrad as lg
    >>> run = lg.unroll(lg.cell("lstm", 4), n_steps=100)
    >>> norm, bound = lg.log_jacobian_norm(run), lg.bounds.log_segment_product(run)
    >>> bool(norm <= bound <= lg.bounds.log_step_product(run))
    True
    """
    recurrence = as_recurrence(field, scheme, step, n_steps, y0, p0, inputs)
    length = as_count(length, "length", least=1)
    weights = [identity_weight(recurrence)]
    if length < recurrence.n_steps:
        weights += suited_weights(recurrence, block)
    found = _Segments(recurrence, block, length, weights)
    return shaped(recurrence, found.log_bound())


@proved(
    "K", "‖∂(y_N, p_N)/∂(y_0, p_0)‖ ≤ Π ‖K_j‖ in a weighted norm, K_j the Jacobian of a segment of steps",
    (second_order,), log=log_segment_product, block="phase", of="product",
)  # fmt: skip
@proved(
    "K", "‖∂y_N/∂y_0‖ ≤ Π ‖K_j‖ in a weighted norm, K_j the Jacobian of a segment of steps", (any_scheme,),
    log=log_segment_product, of="product",
)  # fmt: skip
def segment_product(
    field: Field | Recurrence,
    scheme: str | Scheme | None = None,
    step: ArrayLike | None = None,
    n_steps: int | None = None,
    y0: ArrayLike | None = None,
    p0: ArrayLike | None = None,
    inputs: Inputs = None,
    *,
    length: int = LENGTH,
    block: str | None = None,
) -> Float:
    """Theorem K: ‖E_aᵀ K_n P⁻¹‖ Π ‖P K_j P⁻¹‖ ‖P K_1 E_b‖, K_j the Jacobian of a segment of `length` steps.

    The least over P = I and a P chosen for the trajectory, as for `weighted_product`. The longer the
    segments, the nearer the bound is to the norm; one segment of all N steps gives the norm itself with what
    float64 may have lost. It is never above `step_product`, and costs one product of D × D matrices a step
    more than that.

    Parameters
    ----------
    field, scheme, step, n_steps, y0, p0, inputs
        As for `jacobian`; a recurrence such as ``unroll(cell)`` stands for all of them.
    length : int
        Steps of a segment; the last segment may be shorter.
    block : str, optional
        Block of ∂s_N/∂s_0; as for `jacobian`.

    Returns
    -------
    ndarray, shape step.shape or that of the batch
        inf where it leaves float64.

    Notes
    -----
    It bounds the product of Jacobians along the computed trajectory. Rounded outwards: if K̂ is the computed
    product of the steps of a segment so far, ŝ the norm of the computed Jacobian of the next step and δ its
    error, the error e of K̂ becomes (ŝ + δ) e + (δ + gŝ) ‖K̂‖ at most, g that of a product of two matrices.
    Where N is large and steps expand in turn, e may exceed what a longer segment gains.

    Examples
    --------
    >>> import numpy as np
    >>> import leapgrad as lg
    >>> run = lg.unroll(lg.cell("gru", 5, 1), inputs=np.sin(np.arange(50.0))[:, None])
    >>> norm = lg.jacobian_norm(run)
    >>> found = [lg.bounds.segment_product(run, length=length) / norm for length in (1, 5, 50)]
    >>> bool(found[0] > found[1] > found[2] >= 1.0), f"{found[2]:.6f}"
    (True, '1.000000')
    """
    with np.errstate(over="ignore"):
        return upward(
            np.exp(
                log_segment_product(field, scheme, step, n_steps, y0, p0, inputs, length=length, block=block)
            )
        )


@dataclass(eq=False)
class _Running:
    """The steps of the present segment of some members: all three times 2^exponent.

    Attributes
    ----------
    values : ndarray, shape (members, D, D)
        The computed product K̂.
    error : ndarray, shape (members,)
        At least ‖K̂ − K‖.
    exponent : ndarray, shape (members,)
    steps : Total
        The product of the norms of the single steps.
    first : bool
        Whether the segment is the first one.
    count : int
        Steps so far.
    """

    values: Float
    error: Float
    exponent: NDArray[np.int64]
    steps: Total
    first: bool
    count: int = 0

    @classmethod
    def begun(cls, members: int, D: int, first: bool) -> _Running:
        unit = np.broadcast_to(np.eye(D), (members, D, D))
        return cls(unit, np.zeros(members), np.zeros(members, np.int64), Total(1, members), first)

    def add(self, found: Visited, errors: StepErrors) -> None:
        """Take in one more step."""
        plain, base, summands = errors.of(found)
        size, off = plain * (1.0 + errors.unit), errors.unit * summands
        so_far = frobenius_norm(self.values)
        error = (size + off) * self.error + (off + errors.unit * size) * so_far
        values = np.ldexp(found.values, -base[:, None, None]) @ self.values
        # Exact powers of two keep the larger of both near one.
        _, shift = np.frexp(np.maximum(np.abs(values).max(axis=(-2, -1)), error))
        self.values = np.ldexp(values, -shift[:, None, None])
        self.error = np.ldexp(error, -shift) * (1.0 + 16.0 * EPS)
        self.exponent = self.exponent + base + found.exponent + shift
        self.steps.multiply(0, slice(None), size + off, base + found.exponent)
        self.count += 1


class _Segments:
    """The bound of every member, from its steps in order.

    Parameters
    ----------
    recurrence : Recurrence
    block : str or None
    length : int
    weights : list of Weight
        The first one is the identity.
    """

    def __init__(self, recurrence: Recurrence, block: str | None, length: int, weights: list[Weight]) -> None:
        self.recurrence, self.block, self.length, self.weights = recurrence, block, length, weights
        self.part = block_of(recurrence, block)[0]
        self.errors = StepErrors(recurrence, block)
        self.total = Total(len(weights), recurrence.members)
        self.running: dict[int, _Running] = {}

    def log_bound(self) -> Float:
        """The logarithm of the least bound, shape (members,)."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
            overflowed = visit_steps(self.recurrence, self.block, self._add)
        ends = np.zeros((len(self.weights), 1))
        return self.total.log_least(ends, overflowed, self.recurrence.n_steps)

    def _add(self, found: Visited) -> None:
        """One step; the segments of different members begin and end together, each on its own thread."""
        start, D = found.members.start, self.recurrence.state_size
        if start not in self.running:
            self.running[start] = _Running.begun(len(found.values), D, found.step == 0)
        running = self.running[start]
        running.add(found, self.errors)
        last = found.step == self.recurrence.n_steps - 1
        if last or running.count == self.length:
            for row, weight in enumerate(self.weights):
                self._end(row, weight, running, found.members, last)
            del self.running[start]

    def _end(self, row: int, weight: Weight, running: _Running, members: slice, last: bool) -> None:
        """Multiply by the norm of a finished segment."""
        matrix, price, defect = running.values, np.ones(len(running.error)), np.zeros(len(running.error))
        P, inverse = weight.of(members)
        if last:
            matrix = matrix[:, self.part]
        elif P is not None:
            matrix, price = P @ matrix, price * spectral_norm(P)
        if running.first:
            matrix = matrix[:, :, self.part]
        elif inverse is not None:
            matrix, price, defect = matrix @ inverse, price * spectral_norm(inverse), weight.defect[members]
        norm, shift = scaled_norm(matrix)
        so_far = frobenius_norm(running.values)
        lost = price * (running.error + 2.0 * self.errors.unit * so_far) * (1.0 + 16.0 * EPS)
        size = (norm * (1.0 + self.errors.unit) + np.ldexp(lost, -shift)) / (1.0 - defect)
        exponent = shift + running.exponent
        if P is None:  # never above the product of the norms of the single steps
            plain, powers = running.steps.products[0], running.steps.exponents[0]
            size = np.fmin(size, np.ldexp(plain, powers - exponent))
        self.total.multiply(row, members, size, exponent)
