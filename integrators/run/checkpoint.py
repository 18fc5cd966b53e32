"""Cotangents along runs too long to keep: checkpoints forwards, one segment at a time backwards.

The forward sweep keeps the state at the start of every segment only. The backward sweep then finds the
tape of one segment again, the last one first, and pulls the cotangent over it. With segments of
√(2N/κ) steps (κ kicks a step) a batch member takes √(8 κ N) · 8 d bytes, 2 MB for N = 1e6 and d = 100, for
one more sweep of the state (A. Griewank, *Optim. Methods Softw.* 1 (1992) 35–54, with two levels).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from integrators.codegen.primitives import aligned_array
from integrators.codegen.simd import REGISTER_NUMBERS
from integrators.codegen.threads import thread_count
from integrators.engine.blocks import POOL_SECONDS, Ticker, run_blocks
from integrators.engine.column_scale import column_counts
from integrators.engine.drivers import KEEP, Block, Run
from integrators.engine.program import Program
from integrators.validation import as_count

from .forward import block_shape, column_padding, padded_members

if TYPE_CHECKING:
    from .recurrence import Recurrence

__all__ = [
    "MEMORY_BYTES",
    "Cotangents",
    "Segment",
    "Segmentation",
    "backwards",
    "block_members",
    "block_run",
    "member_run",
    "replay",
]

Float = NDArray[np.float64]
# Half of a gigabyte leaves room for the process itself in one.
MEMORY_BYTES = 1 << 29


class Segment(NamedTuple):
    """Steps [start, stop) of a run with their tape, whose first entry belongs to step `start`."""

    run: Run
    start: int
    stop: int
    tape: NDArray


class Segmentation(NamedTuple):
    """How a backward sweep is cut up.

    Attributes
    ----------
    width : int
        Members of a block.
    length : int
        Steps of a segment; n_steps if the whole trajectory of a block is kept.
    threads : int
    sweeps : int
        Sweeps of state and cotangent together.
    """

    width: int
    length: int
    threads: int
    sweeps: int

    @classmethod
    def of(cls, recurrence: Recurrence, program: Program, k: int, memory_bytes: int) -> Segmentation:
        """The fastest segmentation for k columns whose checkpoints and tape fit into `memory_bytes`.

        Raises
        ------
        ValueError
            If a single member does not fit.
        """
        threads = thread_count(recurrence.threads)
        memory_bytes = as_count(memory_bytes, "memory_bytes", least=1)
        n_steps, kicks, members = program.n_steps, max(1, len(program.body)), max(1, recurrence.members)
        if recurrence.system.seconds(k) * kicks * members * n_steps < POOL_SECONDS:
            threads = 1
        threads = min(threads, members)
        length = max(1, math.isqrt(2 * n_steps // kicks))
        vector, share = recurrence.dtype.itemsize * recurrence.system.dim, memory_bytes // threads
        whole = (kicks * n_steps + 1) * vector
        parts = (2 * math.ceil(n_steps / length) + kicks * length + 1) * vector
        least = min(whole, parts)
        width, pad, _ = block_shape(recurrence.system, recurrence.members, k, threads, recurrence.dtype)
        room = share // least
        width = min(width, room // pad * pad or min(room, 1))
        if width == 0:
            raise ValueError(
                f"memory_bytes = {memory_bytes} is too small: {n_steps} steps of d = {recurrence.system.dim} "
                f"need {least} on each of {threads} threads."
            )
        if whole * width <= share or whole <= parts:
            return cls(width, n_steps, threads, 2)
        return cls(width, length, threads, 3)

    def blocks(
        self,
        recurrence: Recurrence,
        program: Program,
        k: int,
        work: Callable[[slice, Ticker], None],
        label: str,
    ) -> None:
        """`run_blocks` of the sweep's work."""
        kicks = max(1, program.evaluations_per_step)
        run_blocks(
            recurrence.members,
            self.width,
            work,
            total=self.sweeps * recurrence.members * recurrence.n_steps,
            seconds=recurrence.system.seconds(k) * kicks * recurrence.members * recurrence.n_steps,
            label=label,
            threads=self.threads,
            progress=recurrence.progress,
        )


def backwards(
    recurrence: Recurrence, run: Run, block: Block, length: int, ticker: Ticker
) -> Iterator[Segment]:
    """The segments of a run with their tapes, the last segment first.

    The tape lives until the next item is asked for. `block` starts as the initial and ends, before the first
    item, as the final state.
    """
    operations, n = run.body.shape[0], run.step.size
    tape = np.empty((min(length, run.n_steps) * operations + 1, recurrence.system.dim, n), recurrence.dtype)
    starts = range(0, run.n_steps, max(1, length))
    saved: list[Float] = []
    for start in starts[:-1]:
        saved.append(block.state.copy())
        replay(recurrence, run, block, None, start, start + length, ticker)
    for start in reversed(starts):
        stop = min(start + length, run.n_steps)
        part = run._replace(base=start, tape=KEEP)
        state = block
        if stop < run.n_steps:
            state = block._replace(state=saved.pop(), overflowed=np.full(n, -1, np.int64))
        replay(recurrence, part, state, tape, start, stop, ticker)
        yield Segment(part, start, stop, tape)


def replay(
    recurrence: Recurrence,
    run: Run,
    block: Block,
    tape: NDArray | None,
    start: int,
    stop: int,
    ticker: Ticker,
) -> None:
    """Steps [start, stop) of the state, with or without a tape."""
    n, sweep = run.step.size, recurrence.system.forward
    none = np.empty((0, recurrence.system.dim, n), recurrence.dtype)
    entries = none if tape is None else tape
    ticker.in_chunks(
        lambda a, b: sweep(recurrence.theta, run, block, entries, none, start + a, start + b),
        stop - start,
        n,
        recurrence.system.seconds(0) * max(1, np.count_nonzero(run.body[:, 0])) * n,
    )


def block_members(recurrence: Recurrence, block: slice, width: int) -> NDArray[np.intp]:
    """The members of a block, the last of them repeated to fill registers."""
    register = REGISTER_NUMBERS[recurrence.dtype]
    whole = recurrence.system.vectorised and width % register == 0
    return padded_members(block, register if whole else 1, recurrence.members)


def block_run(recurrence: Recurrence, block: slice, program: Program, width: int, ticker: Ticker) -> Run:
    """The run of a block of members, the last of them repeated to fill registers."""
    return recurrence.driver_run(block_members(recurrence, block, width), program, tick=ticker)


def member_run(run: Run, member: int) -> Run:
    """The run of one member of a block."""
    inputs = run.inputs
    if inputs.shape[2] > 1:
        inputs = np.ascontiguousarray(inputs[:, :, member : member + 1])
    return run._replace(step=run.step[member : member + 1].copy(), inputs=inputs)


class Cotangents(NamedTuple):
    """Cotangent columns of one block of members, times 2^exponent; changed in place."""

    columns: NDArray  # (D, k, m)
    exponent: NDArray[np.int64]  # (k m,), as in `column_scale`

    @classmethod
    def start(cls, recurrence: Recurrence, lam: Float, n: int) -> Cotangents:
        """The columns (D, k) for n members; zero columns are added where one alone fills no register."""
        pad = column_padding(recurrence.system, lam.shape[1], n, recurrence.dtype)
        D, k = lam.shape
        columns = aligned_array((D, k + -k % pad, n), recurrence.dtype)
        columns[:, :k], columns[:, k:] = lam[..., None], 0.0
        return cls(columns, column_counts(columns.shape[1], n))
