"""Theorem H: products of the norms of the single steps along a computed trajectory, also in weighted norms.

For every invertible P, and with E_a, E_b the rows and columns of the block that is asked about,

    ‖E_aᵀ J_N ⋯ J_1 E_b‖ ≤ ‖E_aᵀ P⁻¹‖ · Π ‖P J_n P⁻¹‖ · ‖P E_b‖,

because ‖x‖_P = ‖P x‖ is a norm. P = I gives the product of the norms of the steps. A better P measures a
state by the energy that the recurrence nearly preserves or loses.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from integrators.engine.blocks import one_blas_thread
from integrators.engine.column_scale import Scaled, from_scaled, log_scaled
from integrators.engine.drivers import KEEP, Run
from integrators.engine.drivers import Block as DriverBlock
from integrators.fields.field import Field
from integrators.fields.neural import NeuralField
from integrators.run.forward import forward
from integrators.run.inputs import Inputs
from integrators.run.recurrence import Recurrence, as_recurrence
from integrators.run.walk import BlockWalk
from integrators.schemes.table import Scheme
from integrators.singular_values import scaled_norm, spectral_norm
from sensitivity.analysis.singular import block_of

from .aposteriori import log_aposteriori, met_slopes
from .matrix import step_matrix
from .rounding import EPS, upward
from .table import any_scheme, proved, second_order
from .weights import Weight, chosen_weight, identity_weight

__all__ = [
    "StepErrors",
    "Total",
    "Visited",
    "log_step_product",
    "log_weighted_product",
    "shaped",
    "step_product",
    "suited_weights",
    "visit_steps",
    "weighted_product",
]

Float = NDArray[np.float64]
# Steps that are looked at when P is chosen, and the memory for their Jacobians.
SAMPLES, SAMPLE_BYTES = 16, 1 << 27


def log_step_product(
    field: Field | Recurrence,
    scheme: str | Scheme | None = None,
    step: ArrayLike | None = None,
    n_steps: int | None = None,
    y0: ArrayLike | None = None,
    p0: ArrayLike | None = None,
    inputs: Inputs = None,
    *,
    block: str | None = None,
) -> Float:
    """Natural logarithm of `step_product`, which does not overflow with N.

    Examples
    --------
    >>> import leapgrad as lg
    >>> run = lg.unroll(lg.cell("lstm", 4), n_steps=20)
    >>> bool(lg.log_jacobian_norm(run) <= lg.bounds.log_step_product(run))
    True
    """
    recurrence = as_recurrence(field, scheme, step, n_steps, y0, p0, inputs)
    return shaped(recurrence, _log_products(recurrence, block, [identity_weight(recurrence)]))


@proved(
    "H", "‖∂(y_N, p_N)/∂(y_0, p_0)‖ ≤ Π ‖J_n‖, J_n the Jacobian of step n", (second_order,),
    log=log_step_product, block="phase", of="product",
)  # fmt: skip
@proved(
    "H", "‖∂y_N/∂y_0‖ ≤ Π ‖J_n‖, J_n the Jacobian of step n", (any_scheme,), log=log_step_product,
    of="product",
)  # fmt: skip
def step_product(
    field: Field | Recurrence,
    scheme: str | Scheme | None = None,
    step: ArrayLike | None = None,
    n_steps: int | None = None,
    y0: ArrayLike | None = None,
    p0: ArrayLike | None = None,
    inputs: Inputs = None,
    *,
    block: str | None = None,
) -> Float:
    """Theorem H: Π ‖J_n‖₂, the product of the norms of the N one-step Jacobians of the whole state.

    Unlike theorem F it sees whether a step contracts. It is for every recurrence: a field under a scheme,
    or a cell.

    Parameters
    ----------
    field, scheme, step, n_steps, y0, p0, inputs
        As for `jacobian`; a recurrence such as ``unroll(cell)`` stands for all of them.
    block : str, optional
        The block of ∂s_N/∂s_0 that is bounded; it makes no difference to the product itself, except that
        "position" leaves out the last half kick, as in `jacobian`.

    Returns
    -------
    ndarray, shape step.shape or that of the batch
        inf where it leaves float64.

    Notes
    -----
    It bounds the product of Jacobians along the computed trajectory, like `aposteriori`. Rounded outwards.

    Examples
    --------
    >>> import leapgrad as lg
    >>> field = lg.NeuralField([[-1.0, 2.0], [-2.0, -1.0]], [0.1, 0.2])
    >>> norm = lg.jacobian_norm(field, "euler", 0.01, 500)
    >>> bool(norm <= lg.bounds.step_product(field, "euler", 0.01, 500) < 1.0)
    True
    >>> lg.bounds.aposteriori(field, "euler", 0.01, 500) > 100.0
    np.True_
    """
    with np.errstate(over="ignore"):
        return upward(np.exp(log_step_product(field, scheme, step, n_steps, y0, p0, inputs, block=block)))


def log_weighted_product(
    field: Field | Recurrence,
    scheme: str | Scheme | None = None,
    step: ArrayLike | None = None,
    n_steps: int | None = None,
    y0: ArrayLike | None = None,
    p0: ArrayLike | None = None,
    inputs: Inputs = None,
    *,
    block: str | None = None,
) -> Float:
    """Natural logarithm of `weighted_product`, which does not overflow with N.

    Examples
    --------
    >>> import numpy as np
    >>> import leapgrad as lg
    >>> field = lg.NeuralField(-np.eye(3), [0.1, 0.2, 0.3])
    >>> case = (field, "leapfrog", 0.02, 1000)
    >>> bool(lg.bounds.log_weighted_product(*case) < 1.0 < 19.0 < lg.bounds.log_aposteriori(*case))
    True
    """
    recurrence = as_recurrence(field, scheme, step, n_steps, y0, p0, inputs)
    identity = identity_weight(recurrence)
    found = _log_products(recurrence, block, [identity, *suited_weights(recurrence, block)])
    if isinstance(field, Field) and block_of(recurrence, block)[0] == block_of(recurrence, None)[0]:
        assert scheme is not None and step is not None and n_steps is not None
        f = log_aposteriori(field, scheme, step, n_steps, y0, p0, inputs)
        found = np.fmin(found, np.reshape(f, found.shape))
    return shaped(recurrence, found)


@proved(
    "H", "‖∂(y_N, p_N)/∂(y_0, p_0)‖ ≤ ‖P⁻¹‖ Π ‖P J_n P⁻¹‖ ‖P‖, P chosen for this trajectory", (second_order,),
    log=log_weighted_product, block="phase", of="product",
)  # fmt: skip
@proved(
    "H", "‖∂y_N/∂y_0‖ ≤ ‖E P⁻¹‖ Π ‖P J_n P⁻¹‖ ‖P E‖, P chosen for this trajectory", (any_scheme,),
    log=log_weighted_product, of="product",
)  # fmt: skip
def weighted_product(
    field: Field | Recurrence,
    scheme: str | Scheme | None = None,
    step: ArrayLike | None = None,
    n_steps: int | None = None,
    y0: ArrayLike | None = None,
    p0: ArrayLike | None = None,
    inputs: Inputs = None,
    *,
    block: str | None = None,
) -> Float:
    """Theorem H in a weighted norm: ‖E_aᵀP⁻¹‖ Π ‖P J_n P⁻¹‖ ‖P E_b‖ with a P chosen for the trajectory.

    The least of the product with P = I, those with one weight for each block of the state, those in the norm
    of a Lyapunov equation of the mean step, and, for ∂y_N/∂y_0 of a field, theorem F (`aposteriori`). The
    bound holds for every P; how P is found does not matter to that.

    Parameters
    ----------
    field, scheme, step, n_steps, y0, p0, inputs
        As for `jacobian`; a recurrence such as ``unroll(cell)`` stands for all of them.
    block : str, optional
        Block of ∂s_N/∂s_0; as for `jacobian`.

    Returns
    -------
    ndarray, shape step.shape or that of the batch
        inf where it leaves float64.

    Notes
    -----
    It bounds the product of Jacobians along the computed trajectory. Rounded outwards; weights whose
    condition number exceeds 10⁶ are not used.

    Examples
    --------
    >>> import leapgrad as lg
    >>> run = lg.unroll(lg.cell("cornn", 5), n_steps=100)
    >>> bool(lg.jacobian_norm(run) <= lg.bounds.weighted_product(run) <= lg.bounds.step_product(run))
    True
    """
    with np.errstate(over="ignore"):
        return upward(np.exp(log_weighted_product(field, scheme, step, n_steps, y0, p0, inputs, block=block)))


def shaped(recurrence: Recurrence, values: Float) -> Float:
    return values.reshape(recurrence.shape)[()]


class Visited(NamedTuple):
    """One-step Jacobians of some members: values · 2^exponent."""

    members: slice
    step: int
    values: Float  # (members, D, D)
    exponent: NDArray[np.int64]  # (members,)


def visit_steps(recurrence: Recurrence, block: str | None, visit: Any) -> NDArray[np.bool_]:
    """Call `visit` with the Jacobian of every step; returns which members left float64."""
    unit = np.eye(recurrence.state_size)
    _, rows = block_of(recurrence, block)

    def each(members: slice, state: DriverBlock, go: Any) -> None:
        walk = BlockWalk(recurrence, members, state, go, recurrence.state_size)
        fresh = np.broadcast_to(unit, (walk.count, *unit.shape))
        for step in range(recurrence.n_steps):
            walk.go(step, step + 1)
            columns = Scaled.of(*walk.columns()).aligned()
            visit(Visited(members, step, columns.values, columns.exponent))
            walk.replace(fresh)

    with np.errstate(over="ignore", invalid="ignore"), one_blas_thread():
        *_, overflowed = forward(recurrence, unit, close=rows != "position", follow=each)
    return np.zeros(overflowed.shape, bool) if recurrence.system.constant_jacobian else overflowed >= 0


def suited_weights(recurrence: Recurrence, block: str | None) -> list[Weight]:
    """Weights that suit the mean of some steps of each member."""
    members, D, n = recurrence.members, recurrence.state_size, recurrence.n_steps
    count = min(n, SAMPLES, max(2, SAMPLE_BYTES // max(1, 8 * members * D * D)))
    if count == 0 or D == 1 or members == 0:
        return []
    at = {int(place): index for index, place in enumerate(np.linspace(0, n - 1, count).round())}
    kept = np.empty((members, len(at), D, D))

    def keep(found: Visited) -> None:
        if found.step in at:
            kept[found.members, at[found.step]] = from_scaled(found.values, found.exponent[:, None, None])

    visit_steps(recurrence, block, keep)
    part = block_of(recurrence, block)[0]
    states = list(recurrence.blocks.values())
    with one_blas_thread():
        return [chosen_weight([kept[member] for member in range(members)], n, part, states)]


def _log_products(recurrence: Recurrence, block: str | None, weights: list[Weight]) -> Float:
    """The least of the bounds with these weights, for every member."""
    part = block_of(recurrence, block)[0]
    total, errors = Total(len(weights), recurrence.members), StepErrors(recurrence, block)

    def add(found: Visited) -> None:
        plain, base, summands = errors.of(found)
        for row, weight in enumerate(weights):
            P, inverse = weight.of(found.members)
            norm, shift = plain, base
            if P is not None and inverse is not None:
                norm, shift = scaled_norm(P @ found.values @ inverse)
            lost = errors.unit * weight.condition[found.members] * np.ldexp(summands, base - shift)
            size = (norm * (1.0 + errors.unit) + lost) / (1.0 - weight.defect[found.members])
            total.multiply(row, found.members, size, shift + found.exponent)

    with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
        overflowed = visit_steps(recurrence, block, add)
        ends = np.array([weight.log_ends(part, recurrence.members) for weight in weights])
    return total.log_least(ends, overflowed, recurrence.n_steps)


class Total:
    """Products of norms, for every weight and member.

    The norms are multiplied, and powers of two counted as integers: a sum of N logarithms would round each
    time by a unit of what it has grown to.
    """

    def __init__(self, weights: int, members: int) -> None:
        self.products, self.exponents = np.ones((weights, members)), np.zeros((weights, members), np.int64)

    def multiply(self, row: int, members: slice, size: Float, exponent: NDArray[np.int64]) -> None:
        """Take in the factor size · 2^exponent of some members."""
        self.products[row, members], more = np.frexp(self.products[row, members] * size)
        self.exponents[row, members] += more + exponent

    def log_least(self, ends: Float, overflowed: NDArray[np.bool_], factors: int) -> Float:
        """Logarithm of the least over the weights, rounded up; `ends` is added to it."""
        with np.errstate(divide="ignore", invalid="ignore"):
            found = np.fmin.reduce(log_scaled(self.products, self.exponents) + ends, axis=0)
        found = np.where(np.isnan(found) | overflowed, np.inf, found)
        finite = np.isfinite(found) & (factors > 0)
        return found + 4.0 * EPS * np.where(finite, np.abs(found) + factors, 0.0)


class StepErrors:
    """How far the computed Jacobian of a step may be from that of the map at the computed state.

    Attributes
    ----------
    unit : float
        What a product of D × D matrices can gain by rounding, with what the operations inside a step round.
    """

    def __init__(self, recurrence: Recurrence, block: str | None) -> None:
        D = recurrence.state_size
        self.unit = (D + 8) * D * max(1, recurrence.program().evaluations_per_step) * EPS
        self.unit *= 1 if recurrence.cell is None else recurrence.cell.depth
        self._still = _largest_summand(recurrence)
        self._steep = _slope_errors(recurrence, block) / self.unit

    def of(self, found: Visited) -> tuple[Float, NDArray[np.int64], Float]:
        """Norm, exponent and summands: the error is `unit` times the summands at most.

        All three are of ``found.values`` without its own exponent: norm · 2^exponent, and summands likewise.
        """
        plain, base = scaled_norm(found.values)
        steep = self._steep[found.step, found.members] if self._steep.size else 0.0
        also = self._still[found.members] + steep
        return plain, base, plain + np.ldexp(also, -base - found.exponent)


def _slope_errors(recurrence: Recurrence, block: str | None) -> Float:
    """What slopes that float64 rounds change a step's Jacobian by, of a neural field: (steps, members)."""
    field = recurrence.system
    if not isinstance(field, NeuralField) or field.activation.name == "identity":
        return np.zeros((0, 0))
    close, last = block_of(recurrence, block)[1] != "position", max(0, recurrence.n_steps - 1)
    program = recurrence.program(close)
    kicks = [(abs(weight), of_step) for stage, weight, _, _, of_step in program if stage != "drift"]
    weights, of_step = (np.array(part) for part in zip(*kicks, strict=True)) if kicks else (np.zeros(0),) * 2
    found = np.zeros((recurrence.n_steps, recurrence.members))

    def keep(members: slice, run: Run, tape: Float, *_: object) -> None:
        low, high = met_slopes(recurrence, run, tape, close)
        changes = weights[:, None] * (high - low).max(axis=0)
        np.add.at(
            found[:, members],
            np.minimum(of_step, last).astype(int),
            changes[:, : members.stop - members.start],
        )

    with np.errstate(over="ignore", invalid="ignore"):
        forward(recurrence, close=close, keep=keep, tape=KEEP)
        size = recurrence.steps * spectral_norm(field.W)
        if not recurrence.first_order:  # the drifts beside a kick
            drifts = sum(abs(weight) for stage, weight, *_ in program.steady_step if stage != "kick")
            size = size * (1.0 + recurrence.steps * float(drifts)) ** 2
        if program.evaluations_per_step > 1:
            size = size * _largest_summand(recurrence) ** 2
        return found * size


def _largest_summand(recurrence: Recurrence) -> Float:
    """What else is summed to a step's Jacobian, and may cancel there, shape (members,).

    Of I + ε D W the identity, besides ε D W, which is no larger than the Jacobian and the identity together.
    For several evaluations a step it is the majorant of the step. A cell says itself what it is.
    """
    if recurrence.cell is not None:
        return np.full(recurrence.members, recurrence.cell.summand)
    if recurrence.program().evaluations_per_step <= 1 or recurrence.system.lipschitz is None:
        return np.full(recurrence.members, 2.0)
    power = step_matrix(recurrence.scheme, recurrence.steps, recurrence.system.lipschitz)
    return np.ldexp(scaled_norm(power.values)[0], power.exponent) + 2.0
