"""Forward sweeps over all batch members of a recurrence, in blocks on threads.

How a run is cut up stands here too: batch members of a block, padding, and steps between two looks at the
columns.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from integrators.codegen.primitives import aligned_array
from integrators.codegen.processor import cache_bytes
from integrators.codegen.simd import REGISTER_NUMBERS, WIDTH
from integrators.codegen.threads import thread_count
from integrators.engine.blocks import IDLE, POOL_SECONDS, Ticker, run_blocks
from integrators.engine.column_scale import Scaled, members_first, scaled_in_place
from integrators.engine.drivers import CONDENSE, NOTHING, Block, Run
from integrators.engine.program import EXPLICIT, SPLITTING, Program

if TYPE_CHECKING:
    from .recurrence import Recurrence

__all__ = [
    "FAR_FROM_ONE",
    "Follow",
    "Keep",
    "block_shape",
    "check_intervals",
    "column_limits",
    "column_padding",
    "forward",
    "padded_members",
    "range_bits",
    "steps_within",
]

Float = NDArray[np.float64]

# Powers of two that columns stay within, times what they are multiplied by; how many they have at most after
# a look at their range, and gain until the next.
DOUBLE, SINGLE = (1000, 300, 400), (120, 50, 40)
# `factor_bits` up to which a system leaves columns in float64 all of that.
FAR_FROM_ONE = DOUBLE[0] - DOUBLE[1] - DOUBLE[2]
# Steps between two looks at the range of the columns: at most the first where growth and shrinking are
# bounded, the second where they may shrink by 2^-53 in a step (1 + x with x next to -1), the third likewise
# in float32 (2^-24).
MOST_STEPS_UNCHECKED, STEPS_OF_UNKNOWN_RANGE, STEPS_IN_FLOAT32 = 64, 8, 2
# Tangent columns of one block should stay in a core's own cache. One core with 1 MiB of it, 100 members, GF/s
# with 64, 128 and 256 KiB: d = 8: 29, 31 and 32 with AVX-512, 16.0, 16.5 and 16.4 with AVX2; d = 10: 38, 42
# and 42 with AVX-512, 22.8, 22.8 and 23.7 with AVX2.
CACHE_BYTES = cache_bytes(2) // 4
PAGE_BYTES = 4096
# From this dimension on the columns of one batch member fill the registers and the cache by themselves.
ONE_MEMBER_DIM = 32

Keep = Callable[[slice, Run, NDArray, NDArray, Block, Ticker], None]
Follow = Callable[[slice, Block, Callable[[Block, int, int], None]], None]
"""``follow(members, block, go)`` moves a block of members through the run: ``go(block, start, stop)`` takes
the steps from `start` to `stop` in place, as often as wanted and for any copy of `block`. Between steps the
kick at the node has not been carried out, which changes tangents by a bounded factor."""


def forward(
    recurrence: Recurrence,
    columns: Float | None = None,
    *,
    close: bool = True,
    keep: Keep | None = None,
    tape: int = NOTHING,
    nodes: bool = False,
    follow: Follow | None = None,
) -> tuple[Float, Scaled, NDArray[np.int64]]:
    """Run all members: final states (members, D), the columns, and where states overflowed (else −1).

    Parameters
    ----------
    recurrence : Recurrence
    columns : ndarray, shape (D, k)
        Initial tangent columns, the same for every member; none by default.
    close : bool
        See `Program`.
    keep : callable
        Receives each block's members, run, tape, nodes, the block itself, and the ticker to report to.
    tape : {NOTHING, KEEP, CONDENSE}
        What is kept of every operation; see `drivers`.
    nodes : bool
        Keep the state after every step.
    follow : callable, optional
        Moves every block itself, see `Follow`; must end at the last step.
    """
    system, m, D = recurrence.system, recurrence.members, recurrence.state_size
    given, program = np.zeros((D, 0)) if columns is None else columns, recurrence.program(close)
    k, total = given.shape[1], m * recurrence.n_steps
    step_seconds = system.seconds(k) * max(1, program.evaluations_per_step)
    seconds = step_seconds * total
    # Over before a bar or another thread could be of use, and before Ctrl-C is felt.
    short, threads = seconds < POOL_SECONDS and follow is None and not recurrence.progress, 1
    if not short or "LEAPGRAD_THREADS" in os.environ:  # a wrong number there is an error of every run
        threads = thread_count(recurrence.threads)
    width, pad_members, pad = block_shape(system, m, k, 1 if short else threads, recurrence.dtype)
    if missing := -k % pad:
        given = np.concatenate([given, np.zeros((D, missing))], axis=-1)
    values, exponents = np.empty((m, D, k)), np.zeros((m, k), np.int64)
    sweep = _ForwardSweep(
        recurrence, program, given, pad_members, step_seconds, keep, tape, nodes, follow,
        np.empty((m, D)), values, exponents, np.empty(m, np.int64),
    )  # fmt: skip
    if short:
        for first in range(0, m, width):
            sweep(slice(first, min(first + width, m)), None)
    else:
        run_blocks(
            m,
            width,
            sweep,
            total=total,
            seconds=seconds,
            label=recurrence.label,
            threads=threads,
            progress=recurrence.progress,
        )
    return sweep.state, scaled_in_place(values, exponents), sweep.overflowed


@dataclass
class _ForwardSweep:
    """The work of `forward` on one block of members, and what it leaves of all."""

    recurrence: Recurrence
    program: Program
    columns: Float  # of every member, padded with columns of zeros
    pad_members: int
    step_seconds: float  # an estimate, for one member
    keep: Keep | None
    tape: int
    nodes: bool
    follow: Follow | None
    state: Float  # (members, D), and what follows likewise of all members
    values: Float  # (members, D, k)
    exponents: NDArray[np.int64]  # (members, k)
    overflowed: NDArray[np.int64]

    def __call__(self, members: slice, ticker: Ticker | None) -> None:
        """Run a block; without a ticker in one call."""
        recurrence, program, n_steps = self.recurrence, self.program, self.recurrence.n_steps
        sweep, theta = recurrence.system.forward, recurrence.theta
        tick, real = ticker or IDLE, members.stop - members.start
        which = padded_members(members, self.pad_members, recurrence.members)
        run = recurrence.driver_run(which, program, tick=tick, tape=self.tape)
        block, n = recurrence.block(which, self.columns), which.size
        rows = recurrence.linearised_rows if self.tape == CONDENSE else recurrence.system.dim
        states = np.empty((n_steps + 1 if self.nodes else 0, len(block.state), n), recurrence.dtype)
        entries = states[:0]
        if self.tape:
            entries = aligned_array((program.n_entries, rows, n), recurrence.dtype)

        def go(block: Block, start: int, stop: int) -> None:
            tick.in_chunks(
                lambda a, b: sweep(theta, run, block, entries, states, start + a, start + b),
                stop - start,
                real,
                self.step_seconds * n,
            )

        if self.follow is not None:
            self.follow(members, block, go)
        elif ticker is None:
            sweep(theta, run, block, entries, states, 0, n_steps)
        else:
            go(block, 0, n_steps)
        self.state[members] = block.state.T[:real]
        found = members_first(block.columns, block.exponent, real, self.values.shape[2])
        self.values[members], self.exponents[members] = found
        self.overflowed[members] = block.overflowed[:real]
        if self.keep is not None:
            self.keep(members, run, entries, states, block, tick)


def padded_members(members: slice, multiple: int, total: int) -> NDArray[np.intp]:
    """The members of a block, the last of `total` repeated up to a multiple of some number."""
    real = members.stop - members.start
    which = np.arange(members.start, members.start + real + -real % multiple)
    return np.minimum(which, total - 1) if multiple > 1 else which


def range_bits(lipschitz: float | Float | None, program: Program, h: Any) -> tuple[Any, Any]:
    """log₂ of what columns can grow and shrink by in one step of size h, from its majorant, or inf.

    One number, or an array for many sizes; `lipschitz` bounds ‖DF‖₂, and is None where no bound is known, as
    for cells. It is an array for many systems.

    A splitting step has the majorant of its inverse, which is the splitting with reversed signs.
    """
    zero = 0.0 * h
    if lipschitz is None:
        return zero + np.inf, zero + np.inf
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        if program.form == SPLITTING:
            # Row sums of the majorant: how |y| and |p| grow from a start of (1, 1).
            grown_y, grown_p = zero + 1.0, zero + 1.0
            for stage, weight, *_ in program.steady_step:
                if stage == "drift":
                    grown_y = grown_y + abs(weight) * h * grown_p
                else:
                    grown_p = grown_p + abs(weight) * h * lipschitz * grown_y
            bits = np.log2(np.maximum(grown_y, grown_p))
            return bits, bits
        slope = np.maximum(lipschitz, 1.0) if program.form == EXPLICIT else lipschitz
        grow, shrink = zero, zero
        for _, weight, *_ in program.steady_step:
            change = abs(weight) * h * slope
            grow = grow + np.log2(1.0 + change)
            shrink = shrink + np.where(change < 1.0, -np.log2(1.0 - change), np.inf)
    return grow, shrink


@lru_cache(maxsize=256)  # short runs are made by the thousand, often of one field
def column_limits(
    lipschitz: float | None, factor_bits: int, program: Program, h: float, single: bool
) -> tuple[int, int]:
    """Steps between two looks at the range of the columns, and powers of two they may have after a look.

    Every step where growth has no known bound. Less than the usual powers where the matrix that multiplies
    the columns is far from one, by `factor_bits`: W of 1e300 times a column of 1e10 is beyond float64,
    although the step size makes it small again.

    Parameters
    ----------
    lipschitz, factor_bits
        Of the system.
    program : Program
    h : float
        The largest step size of the run: the range grows with it.
    single : bool
        Whether the run is in float32.
    """
    reach, most, gained = SINGLE if single else DOUBLE
    if (left := reach - factor_bits) < most + gained:
        left = max(2, left)
        most = max(1, left * most // (most + gained))
        gained = left - most
    grow, shrink = map(float, range_bits(lipschitz, program, h))
    if single:
        return steps_within(gained, STEPS_IN_FLOAT32, grow), most
    if math.isinf(shrink):
        return steps_within(gained, STEPS_OF_UNKNOWN_RANGE, grow), most
    return steps_within(gained, MOST_STEPS_UNCHECKED, max(grow, shrink)), most


def check_intervals(lipschitz: Float, program: Program, h: Float) -> NDArray[np.int64]:
    """The steps of `column_limits` for many systems in float64, of `factor_bits` up to `FAR_FROM_ONE`.

    Parameters
    ----------
    lipschitz : ndarray
        Finite.
    program : Program
    h : ndarray
        The largest step size of each run.
    """
    grow, shrink = range_bits(lipschitz, program, h)
    unknown = np.isinf(shrink)
    bits = np.where(unknown, grow, np.maximum(grow, shrink))
    most = np.where(unknown, STEPS_OF_UNKNOWN_RANGE, MOST_STEPS_UNCHECKED)
    with np.errstate(divide="ignore"):
        within = np.where(bits == 0.0, most, np.minimum(DOUBLE[2] / bits, most))
    return np.maximum(1, within.astype(np.int64))


def steps_within(bits: float, most: int, bits_per_step: float) -> int:
    """Steps, at least one and at most `most`, that stay within `bits`."""
    return max(1, min(most, int(bits / bits_per_step) if bits_per_step else most))


def column_padding(system: Any, k: int, members: int, dtype: Any) -> int:
    """Number of which k columns are padded to a multiple in a block of so many members.

    One member alone fills no register; a single column of a cell goes by matrix–vector products, which need
    no padding. Rows of columns a page apart fall on one place of the cache: with 512 columns a product takes
    1.11 times as long as with 520 with AVX2, and 1.07 times with AVX-512.
    """
    if not system.vectorised or members > 1 or not (k > 1 or system.pads_one_column):
        return 1
    register = REGISTER_NUMBERS[dtype]
    columns = max(register, k + -k % register)
    return columns + WIDTH if columns * np.dtype(dtype).itemsize % PAGE_BYTES == 0 else columns


def block_shape(system: Any, members: int, k: int, threads: int, dtype: Any) -> tuple[int, int, int]:
    """(members of a block, multiple to which members are padded, multiple to which columns are padded).

    Columns of a block should stay in cache, and every thread should have work. Padding repeats the last
    member, or adds zero columns; neither changes a bit of the others.
    """
    share = max(1, math.ceil(members / threads))
    if not system.vectorised:
        return min(max(8, CACHE_BYTES // (8 * system.dim * (3 * k + 6))), share), 1, 1
    few = members == 1 or (members < WIDTH and k > 0)
    if few or (system.neurons >= ONE_MEMBER_DIM and k >= WIDTH):
        return 1, 1, column_padding(system, k, 1, dtype)
    # At least two registers of members: a pass over W should serve many of them.
    width = max(2 * WIDTH, CACHE_BYTES // (8 * system.cached_rows * (k + 1)) // (2 * WIDTH) * (2 * WIDTH))
    # Rows of columns a page apart fall on one place of the cache: 21 GF/s at d = 8, 28 with 8 members less.
    width -= WIDTH if 8 * max(1, k) * width % PAGE_BYTES == 0 else 0
    register = REGISTER_NUMBERS[dtype]
    return min(width, math.ceil(share / register) * register), register, 1
