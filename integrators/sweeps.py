"""Backward sweeps that hand out the cotangent of every y_i, or of every input x_i, on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .blocks import Ticker
from .checkpoint import (
    MEMORY_BYTES,
    Cotangents,
    Layout,
    Stored,
    Stretch,
    backwards,
    block_members,
    block_run,
    initial_lanes,
    stretch,
)
from .column_scale import FURTHEST
from .flow import Run
from .keeping import neural_pull_keeping, retreat_keeping_kicks
from .neural import NeuralField
from .problem import Problem
from .schedule import Schedule

__all__ = ["Kept", "input_cotangents", "node_cotangents"]

Float = NDArray[np.float64]
# What is kept between two calls of a driver: enough nodes for a batch of singular values, and a short call.
KEPT_BYTES = 1 << 24


class Kept(NamedTuple):
    """Cotangent columns of consecutive indices of one block of lanes: ``values · 2^exponents[:, None]``.

    Attributes
    ----------
    lanes : slice
    first : int
        i of the first entry, for x_i as well.
    values : ndarray, shape (entries, rows, k, lanes)
    exponents : ndarray of int, shape (entries, k, lanes)
    """

    lanes: slice
    first: int
    values: Float
    exponents: NDArray[np.int64]


Consumer = Callable[[Kept], None]
Begin = Callable[[slice, Run, Cotangents, Ticker], Callable[[Stored], None]]


def node_cotangents(problem: Problem, columns: Float, consume: Consumer, **options: Any) -> NDArray[np.int64]:
    """Hand out the cotangents of y_N, …, y_0, each at fixed p_i: d rows.

    Parameters
    ----------
    problem : Problem
    columns : ndarray, shape (d, k)
        Cotangents of y_N.
    consume : callable
        Receives one `Kept` after another, i descending; called from the worker threads, from each for lanes
        of its own.
    memory_bytes, threads, progress
        As for `checkpointed_pullback`.

    Returns
    -------
    ndarray of int, shape (lanes,)
        The check at which a lane's state was no longer finite, else −1.
    """

    def at_end(lanes: slice, cotangents: Cotangents) -> None:
        _hand_out(consume, lanes, problem.n_steps, cotangents.y[None], cotangents.exponent[None], columns)

    begin = _keeping(problem, columns, consume, problem.retreat_keeping_nodes, problem.field.dim, 0, at_end)
    return _sweep(problem, columns, begin, **options)


def _keeping(
    problem: Problem,
    columns: Float,
    consume: Consumer,
    retreat: Callable[..., None],
    rows: int,
    shift: int,
    at_end: Callable[[slice, Cotangents], None] = lambda lanes, cotangents: None,
) -> Begin:
    """What `_sweep` calls: backwards with a driver that keeps `rows` rows a step, as index i + shift."""

    def begin(lanes: slice, run: Run, cotangents: Cotangents, ticker: Ticker) -> Callable[[Stored], None]:
        at_end(lanes, cotangents)

        def pull(stored: Stored) -> None:
            part = stretch(run, stored.start, stored.stop)
            for a, b in _chunks(part, cotangents):
                kept = np.empty((b - a, rows, *cotangents.y.shape[1:]))
                exponents = np.empty((b - a, cotangents.exponent.size), np.int64)
                retreat(part.run, stored.stations, cotangents, kept, exponents, a, b)
                ticker((b - a) * (lanes.stop - lanes.start))
                _hand_out(consume, lanes, a + stored.start - part.start + shift, kept, exponents, columns)

        return pull

    return begin


def input_cotangents(
    problem: Problem, columns: Float, consume: Consumer, **options: Any
) -> NDArray[np.int64]:
    """Hand out the cotangents of the inputs x_N, …, x_1: n_inputs rows. Otherwise as `node_cotangents`.

    ∂y_N/∂x_i is the sum over the kicks that take x_i, which is Vᵀ D(z) c λ_p each.

    Raises
    ------
    ValueError
        If the field is not a `NeuralField` with input weights, or the inputs are a function of time.
    """
    field = problem.field
    keeps_inputs = getattr(problem, "retreat_keeping_inputs", None)
    if keeps_inputs is not None and field.n_inputs > 0:
        return _sweep(
            problem, columns, _keeping(problem, columns, consume, keeps_inputs, field.n_inputs, 1), **options
        )
    if not isinstance(field, NeuralField) or field.n_inputs == 0:
        raise ValueError("the derivative by the inputs needs a NeuralField with input weights V, or a cell.")
    if callable(problem.inputs):
        raise ValueError(
            "the derivative by x_i needs inputs of shape (n_steps, n_inputs), not a function of time."
        )

    def begin(lanes: slice, run: Run, cotangents: Cotangents, ticker: Ticker) -> Callable[[Stored], None]:
        d, k, n = cotangents.y.shape
        # What later kicks contributed to the row that the last kick before `stop` takes.
        carried, powers = np.zeros((0, field.n_inputs, k, n)), np.zeros((0, k * n), np.int64)

        def pull(stored: Stored) -> None:
            nonlocal carried, powers
            part = stretch(run, stored.start, stored.stop)
            top = _kicks(part, stored, schedule).stop
            for a, b in _chunks(part, cotangents):
                most = (b - a) * run.kicks_per_step + 1
                kept, exponents = np.zeros(most * d * k * n + 1), np.empty((most, k * n), np.int64)
                retreat_keeping_kicks(
                    neural_pull_keeping,
                    field.packed_for_pull,
                    part.run,
                    stored.stations,
                    *cotangents,
                    kept,
                    exponents,
                    a,
                    b,
                )
                count = int(kept[-1]) // (d * k * n)
                numbers = top - 1 - np.arange(count)
                top -= count
                forces = kept[: count * d * k * n].reshape(count, d, k, n)
                forces *= stored.stations[numbers, :, None]
                values = np.einsum("ji,cjkq->cikq", field.V, forces)
                first = a + stored.start - part.start
                rows = part.run.rows[numbers] - first
                last = min(first + b - a, problem.n_steps - 1) - first
                sums, common = _sum_rows(
                    np.concatenate([values, carried]),
                    np.concatenate([exponents[:count], powers]),
                    np.concatenate([rows, np.full(len(carried), last)]),
                    last + 1,
                )
                ticker((b - a) * (lanes.stop - lanes.start))
                # Row `first` also feeds the last kick of the step before, unless there is none.
                own = 0 if first == 0 else 1
                carried, powers = sums[:1], common[:1]
                _hand_out(consume, lanes, first + own + 1, sums[own:], common[own:], columns)

        return pull

    schedule = Schedule.of(problem.scheme, problem.n_steps, close=False)
    return _sweep(problem, columns, begin, **options)


def _sweep(
    problem: Problem,
    columns: Float,
    begin: Begin,
    *,
    memory_bytes: int = MEMORY_BYTES,
    threads: int | None = None,
    progress: bool | None = None,
) -> NDArray[np.int64]:
    """``begin`` for every block of lanes, then what it returned for every stretch, the last one first."""
    # ∂y_N does without the last half kick.
    schedule, k = Schedule.of(problem.scheme, problem.n_steps, close=False), columns.shape[1]
    layout = Layout.of(problem, schedule, k, threads, memory_bytes)
    lost = np.full(problem.n_lanes, -1, np.int64)

    def work(lanes: slice, ticker: Ticker) -> None:
        run = block_run(problem, lanes, schedule, layout.width, ticker)
        n = run.step.size
        state = initial_lanes(problem, block_members(problem, lanes, layout.width))
        pull = begin(lanes, run, Cotangents.start(problem, (columns, np.zeros_like(columns)), n), ticker)
        for stored in backwards(problem, run, state, layout.length, ticker):
            _condense(problem, stretch(run, stored.start, stored.stop), stored, schedule, ticker)
            pull(stored)
        lost[lanes] = state.lost[: lanes.stop - lanes.start]

    layout.blocks(problem, schedule, k, work, "profile", progress)
    return lost


def _kicks(part: Stretch, stored: Stored, schedule: Schedule) -> slice:
    """Numbers of a stretch's kicks; with an opening kick also that of the kick at node `start`."""
    kicks, opened = part.run.kicks_per_step, int(part.run.opening != 0.0)
    end = schedule.n_kicks - (stored.start - part.start) * kicks
    return slice(part.start * kicks, min(part.stop * kicks + opened, end))


def _condense(problem: Problem, part: Stretch, stored: Stored, schedule: Schedule, ticker: Ticker) -> None:
    """Turn the stations of a stretch into what the field's `pull` reads there."""
    field, run, kicks = problem.field, part.run, _kicks(part, stored, schedule)
    if field.condense is not None:
        condense, first = field.condense, kicks.start
        ticker.quiet().in_chunks(
            lambda a, b: condense(field.packed, run.inputs, run.rows, stored.stations, first + a, first + b),
            kicks.stop - first,
            1,
            problem.seconds(0) * run.step.size,
        )


def _chunks(part: Stretch, cotangents: Cotangents) -> Iterator[tuple[int, int]]:
    """Steps [a, b) of a stretch, the last first, for which KEPT_BYTES hold what is kept."""
    size = max(1, KEPT_BYTES // (8 * cotangents.y.size * max(1, part.run.kicks_per_step)))
    for b in range(part.stop, part.start, -size):
        yield max(b - size, part.start), b


def _hand_out(
    consume: Consumer, lanes: slice, first: int, values: Float, exponents: NDArray[np.int64], columns: Float
) -> None:
    """`consume` without padded lanes and columns."""
    m = lanes.stop - lanes.start
    if values.shape[0]:
        k = columns.shape[1]
        powers = exponents.reshape(len(exponents), *values.shape[2:])
        consume(Kept(lanes, first, values[:, :, :k, :m], powers[:, :k, :m]))


def _sum_rows(
    values: Float, exponents: NDArray[np.int64], rows: NDArray[np.int64], n_rows: int
) -> tuple[Float, NDArray[np.int64]]:
    """Sum of the entries of every row, each column of an entry with powers of two of its own."""
    common = np.full((n_rows, exponents.shape[1]), np.iinfo(np.int64).min)
    np.maximum.at(common, rows, exponents)
    common[common == np.iinfo(np.int64).min] = 0  # a row that no kick takes
    with np.errstate(under="ignore"):
        shift = np.clip(exponents - common[rows], -FURTHEST, 0)
        scaled = np.ldexp(values, shift.reshape(len(values), 1, *values.shape[2:]))
    total = np.zeros((n_rows, *values.shape[1:]))
    np.add.at(total, rows, scaled)
    return total, common
