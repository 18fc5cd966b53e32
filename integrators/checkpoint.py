"""Cotangents along runs too long to keep: checkpoints forwards, one stretch at a time backwards.

The forward sweep keeps the state at the start of every stretch only. The backward sweep then finds the
stations of one stretch again, the last one first, and pulls the cotangent over it. With stretches of
√(2N/κ) steps (κ kicks a step) a lane takes √(8 κ N) · 8 d bytes, 2 MB for N = 1e6 and d = 100, for one more
sweep of the state (A. Griewank, *Optim. Methods Softw.* 1 (1992) 35–54, with two levels).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .blocks import POOL_SECONDS, Ticker, run_blocks
from .column_scale import column_counts
from .flow import Lanes, Record, Run
from .problem import MOST_STEPS_UNCHECKED, Problem
from .schedule import Schedule
from .simd import WIDTH
from .threads import thread_count
from .validation import as_count

__all__ = [
    "MEMORY_BYTES",
    "Cotangents",
    "Layout",
    "Stored",
    "Stretch",
    "backwards",
    "block_members",
    "block_run",
    "initial_lanes",
    "play",
    "stretch",
]

Float = NDArray[np.float64]
# Half of a gigabyte leaves room for the process itself in one.
MEMORY_BYTES = 1 << 29


class Stretch(NamedTuple):
    """Steps of a run as steps [start, stop) of a shorter one that the drivers cannot tell from it."""

    run: Run
    start: int
    stop: int


def stretch(run: Run, start: int, stop: int) -> Stretch:
    """Steps [start, stop) of `run`, counted from shortly before `start`, so that their stations are few.

    The shorter run begins one check interval early, so that its first step is not taken for the first of
    all, and ends one step late, so that its last one is not taken for the last of all. `start` is a
    multiple of ``run.check_every``: the range of the columns is looked at after the same steps as ever.
    """
    offset = max(start - run.check_every, 0)
    shorter = run._replace(
        n_steps=min(stop + 1, run.n_steps) - offset, rows=run.rows[offset * run.kicks_per_step :]
    )
    return Stretch(shorter, start - offset, stop - offset)


class Stored(NamedTuple):
    """Steps [start, stop) of a run and their stations, numbered as in ``stretch(run, start, stop)``."""

    start: int
    stop: int
    stations: Float


class Layout(NamedTuple):
    """How a backward sweep is cut up.

    Attributes
    ----------
    width : int
        Lanes of a block.
    length : int
        Steps of a stretch, at least; n_steps if the whole trajectory of a block is kept.
    threads : int
    sweeps : int
        Sweeps of state and cotangent together.
    """

    width: int
    length: int
    threads: int
    sweeps: int

    @classmethod
    def of(
        cls, problem: Problem, schedule: Schedule, k: int, threads: int | None, memory_bytes: int
    ) -> Layout:
        """The fastest layout for k columns whose checkpoints and stations fit into `memory_bytes`.

        Raises
        ------
        ValueError
            If a single lane does not fit.
        """
        threads = thread_count(threads)
        memory_bytes = as_count(memory_bytes, "memory_bytes", least=1)
        n_steps, kicks, lanes = schedule.n_steps, max(1, schedule.kicks_per_step), max(1, problem.n_lanes)
        if problem.seconds(k) * kicks * lanes * n_steps < POOL_SECONDS:
            threads = 1
        threads = min(threads, lanes)
        length = max(1, math.isqrt(2 * n_steps // kicks))
        vector, share = problem.dtype.itemsize * problem.field.dim, memory_bytes // threads
        whole = (kicks * n_steps + 1) * vector
        # `backwards` makes stretches a little longer, by less than two intervals.
        parts = (2 * math.ceil(n_steps / length) + kicks * (length + 2 * MOST_STEPS_UNCHECKED) + 1) * vector
        least = min(whole, parts)
        width, pad, _ = problem.block_shape(k, threads)
        room = share // least
        width = min(width, room // pad * pad or min(room, 1))
        if width == 0:
            raise ValueError(
                f"memory_bytes = {memory_bytes} is too small: {n_steps} steps of d = {problem.field.dim} "
                f"need {least} on each of {threads} threads."
            )
        if whole * width <= share or whole <= parts:
            return cls(width, n_steps, threads, 2)
        return cls(width, length, threads, 3)

    def blocks(
        self,
        problem: Problem,
        schedule: Schedule,
        k: int,
        work: Callable[[slice, Ticker], None],
        label: str,
        progress: bool | None,
    ) -> None:
        """`run_blocks` of the sweep's work."""
        kicks = max(1, schedule.kicks_per_step)
        run_blocks(
            problem.n_lanes,
            self.width,
            work,
            total=self.sweeps * problem.n_lanes * problem.n_steps,
            seconds=problem.seconds(k) * kicks * problem.n_lanes * problem.n_steps,
            label=label,
            threads=self.threads,
            progress=progress,
        )


def _lane_padding(problem: Problem, width: int) -> int:
    return WIDTH if problem.field.vectorised and width % WIDTH == 0 else 1


def backwards(problem: Problem, run: Run, lanes: Lanes, length: int, ticker: Ticker) -> Iterator[Stored]:
    """The stretches of a run with their stations, the last stretch first.

    The stations live until the next item is asked for. That of the kick at node `start` itself, with which
    the step before it ends, is among them. `lanes` starts as the initial and ends, before the first item,
    as the final state.
    """
    d, n, kicks, every = problem.field.dim, run.step.size, run.kicks_per_step, run.check_every
    length = max(1, math.ceil(length / every)) * every
    # A stretch in the middle of the run has an interval before it; see `stretch`.
    rows = run.n_steps if length >= run.n_steps else length + every
    stations = np.empty((rows * kicks + 1, d, n), problem.dtype)

    starts = range(0, run.n_steps, length)
    saved: list[tuple[Float, Float]] = []
    for start in starts[:-1]:
        saved.append((lanes.y.copy(), lanes.p.copy()))
        play(problem, run, lanes, None, start, start + length, ticker)
    for start in reversed(starts):
        stop = min(start + length, run.n_steps)
        part = stretch(run, start, stop)
        if stop == run.n_steps:
            state, before = lanes, lanes.lost.copy()
        else:
            y, p = saved.pop()
            state, before = lanes._replace(y=y, p=p, lost=np.full(n, -1, np.int64)), None
        if run.opening != 0.0 and start > 0:
            stations[part.start * kicks] = state.y
        play(problem, part.run, state, stations, part.start, part.stop, ticker)
        if before is not None:
            lanes.lost[(before < 0) & (lanes.lost >= 0)] += start - part.start
        yield Stored(start, stop, stations)


def play(
    problem: Problem, run: Run, state: Lanes, stations: Float | None, start: int, stop: int, ticker: Ticker
) -> None:
    """Steps [start, stop) of the state, with or without keeping its stations."""
    n = run.step.size
    empty = np.empty((0, problem.field.dim, n), problem.dtype)
    record = Record(empty if stations is None else stations, empty, empty)
    ticker.in_chunks(
        lambda a, b: problem.advance(run, state, record, start + a, start + b),
        stop - start,
        n,
        problem.seconds(0) * max(1, run.kicks_per_step) * n,
    )


def block_members(problem: Problem, block: slice, width: int) -> NDArray[np.intp]:
    """The lanes of a block, the last of them repeated to fill registers."""
    members = block.stop - block.start
    n = members + -members % _lane_padding(problem, width)
    return np.minimum(np.arange(block.start, block.start + n), problem.n_lanes - 1)


def initial_lanes(problem: Problem, members: NDArray[np.intp]) -> Lanes:
    """Some lanes at the initial value, without tangent columns."""
    n = members.size
    none = problem.repeated(np.zeros((problem.field.dim, 0)), n)
    return Lanes(
        *problem.start(members),
        none,
        none,
        np.zeros(n, np.int64),
        np.full(n, -1, np.int64),
    )


def block_run(problem: Problem, block: slice, schedule: Schedule, width: int, ticker: Ticker) -> Run:
    """The run of a block of lanes, the last of them repeated to fill registers."""
    return problem.run(block_members(problem, block, width), schedule, tick=ticker)


class Cotangents(NamedTuple):
    """Cotangent columns (y, p) of one block of lanes, times 2^exponent; changed in place."""

    y: Float  # (d, k, m)
    p: Float
    exponent: NDArray[np.int64]  # (k m,), as in `column_scale`

    @classmethod
    def start(cls, problem: Problem, lam: tuple[Float, Float], n: int) -> Cotangents:
        """The columns (d, k) for n lanes; with zero columns added where one lane alone fills no register."""
        pad = problem.column_padding(lam[0].shape[1], n)
        zeros = np.zeros((problem.field.dim, -lam[0].shape[1] % pad))
        y, p = (problem.repeated(np.concatenate([part, zeros], axis=1), n) for part in lam)
        return cls(y, p, column_counts(y.shape[1], n))
