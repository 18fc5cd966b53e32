"""An initial value problem run on lanes: the layer between users' arguments and the compiled drivers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from integrators.codegen.memory import aligned_array
from integrators.codegen.simd import WIDTH
from integrators.codegen.threads import thread_count
from integrators.engine.blocks import POOL_SECONDS, Ticker, run_blocks
from integrators.engine.column_scale import column_counts, common_exponent, per_column
from integrators.engine.drivers import NOTHING, Block, Run, Taps
from integrators.engine.program import EXPLICIT, SPLITTING, Program
from integrators.fields.field import Field, as_field
from integrators.schemes.table import Scheme, get_scheme
from integrators.validation import as_array, as_count, as_steps, as_vector
from integrators.values import ByValue

__all__ = ["Columns", "Follow", "Inputs", "Problem", "TrajectoryOverflow"]

Float = NDArray[np.float64]
Inputs = ArrayLike | Callable[[float], ArrayLike] | None
Keep = Callable[[slice, Run, NDArray, NDArray, Block, Ticker], None]

# Steps between two looks at the range of the columns: at most the first where growth and shrinking are
# bounded, the second where they may shrink by 2^-53 in a step (1 + x with x next to -1), the third likewise
# in float32 (2^-24).
MOST_STEPS_UNCHECKED, STEPS_OF_UNKNOWN_RANGE, STEPS_IN_FLOAT32 = 64, 8, 2
# What a kick of somebody's own field may take: first calls are short and Ctrl-C acts, even if it is slow.
SECONDS_OF_A_KICK = 5e-6
# Tangent columns of one block should stay in a core's own cache.
CACHE_BYTES = 1 << 17
PAGE_BYTES = 4096
# From this dimension on one lane's columns fill the registers and the cache by themselves.
ONE_LANE_DIM = 32


class TrajectoryOverflow(OverflowError):
    """The state left the range of float64.

    Attributes
    ----------
    step_index : int
        The first step after which an entry of the state was not finite.
    step : float
        The step size of that run.
    """

    def __init__(self, step_index: int, n_steps: int, step: float) -> None:
        super().__init__(
            f"the trajectory overflowed at step {step_index} of {n_steps} (step = {step:g}); "
            "use a smaller step, fewer steps, or a bounded activation."
        )
        self.step_index, self.step = step_index, step
        self._given = step_index, n_steps, step

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._given


Follow = Callable[[slice, Block, Callable[[Block, int, int], None]], None]
"""``follow(members, block, go)`` moves a block of members through the run: ``go(block, start, stop)`` takes
the steps from `start` to `stop` in place, as often as wanted and for any copy of `block`. Between steps the
kick at the node has not been carried out, which changes tangents by a bounded factor."""


@dataclass
class Columns:
    """Tangent or cotangent columns at one end of a run, for every batch member.

    ``ldexp(values, exponent[:, None, None])`` are the columns themselves; with `apart`, where the columns of
    some member lie further apart than float64 reaches, the exponents are ``exponent[:, None] + apart``.
    """

    values: Float  # (members, D, k)
    exponent: NDArray[np.int64]  # (members,)
    apart: NDArray[np.int64] | None = None  # (members, k)

    @classmethod
    def empty(cls, members: int, dim: int, k: int) -> Columns:
        """Room for k columns of so many members, whose exponents `put` fills in."""
        counts = np.zeros(members, np.int64), np.zeros((members, k), np.int64)
        return cls(np.empty((members, dim, k)), *counts)

    def put(self, first: int, stop: int, values: NDArray, exponent: NDArray[np.int64]) -> None:
        """Write members first … stop − 1 from a block's columns (D, k, m) and what the drivers counted."""
        members, k = stop - first, self.values.shape[2]
        self.values[first:stop] = values.transpose(2, 0, 1)[:members, :, :k]
        assert self.apart is not None
        self.apart[first:stop] = per_column(exponent, values.shape[2], k, members)

    def settle(self) -> None:
        """One exponent for every member, once all are written; `apart` is left where that is not enough."""
        assert self.apart is not None
        self.exponent[:], self.apart = common_exponent((self.values,), self.apart)


def _as_dtype(dtype: DTypeLike) -> np.dtype:
    """The arithmetic of a run."""
    try:
        found = np.dtype(dtype)
    except TypeError:
        raise ValueError(f"dtype must be float64 or float32, got {dtype!r}.") from None
    if found not in (np.dtype(np.float64), np.dtype(np.float32)):
        raise ValueError(f"dtype must be float64 or float32, got {found}.")
    return found


class Problem(ByValue):
    """Field, scheme, steps, initial values and inputs, checked once.

    Parameters
    ----------
    field : Field
    scheme : str or Scheme
    step : float or array_like
        ε > 0; every entry is a lane.
    n_steps : int
        N ≥ 0.
    y0, p0 : array_like, shape (d,), optional
        Initial value and initial velocity ẏ(0), zero by default. First-order schemes do not use p0.
    inputs : array_like, shape (n_steps, n_inputs), or callable, optional
        Row i is x_{i+1}. A callable t → x(t) is sampled at the time of every kick, t = 0 at the start.
        None means x = 0.
    dtype : {"float64", "float32"}
        Arithmetic of the lanes.
    """

    def __init__(
        self,
        field: Field,
        scheme: str | Scheme,
        step: ArrayLike,
        n_steps: int,
        y0: ArrayLike | None = None,
        p0: ArrayLike | None = None,
        inputs: Inputs = None,
        dtype: DTypeLike = np.float64,
    ) -> None:
        self.field = as_field(field)
        self.dtype: Any = _as_dtype(dtype)
        self.theta = field.packed.astype(self.dtype, copy=False)
        self.scheme = get_scheme(scheme)
        steps = as_steps(step)
        self.shape = steps.shape
        self.steps = steps.reshape(-1)
        self.n_steps = as_count(n_steps, "n_steps")
        self.y0 = as_vector(y0, "y0", field.dim)
        self.p0 = as_vector(p0, "p0", field.dim)
        self.inputs = self._check_inputs(inputs)

    def program(self, close: bool = True) -> Program:
        """The operations of the run; see `Program.of`."""
        return Program.of(self.scheme, self.n_steps, close)

    @property
    def n_lanes(self) -> int:
        return self.steps.size

    @property
    def dim(self) -> int:
        """D, the length of the full state: (y, p), or y for first-order schemes."""
        return self.field.dim * (1 if self.first_order else 2)

    @property
    def entry_rows(self) -> int:
        """Rows of a tape entry."""
        return self.field.dim

    @property
    def first_order(self) -> bool:
        return self.scheme.form == "first_order"

    def select(self, lanes: slice | NDArray[np.bool_]) -> Problem:
        """The same problem with some of its lanes, flattened."""
        part = copy(self)
        part.steps = self.steps[lanes]
        part.shape = part.steps.shape
        return part

    def _check_inputs(self, inputs: Inputs) -> Float | Callable[[float], ArrayLike] | None:
        n_inputs = self.field.n_inputs
        if inputs is None:
            return None
        if n_inputs == 0:
            raise ValueError("inputs were given, but the field takes none; give NeuralField its V.")
        if callable(inputs):
            self._sample(inputs, 0.0)
            return inputs
        array = as_array(inputs, "inputs", (1, 2))
        if array.ndim == 1 and n_inputs == 1:
            array = array[:, None]
        if array.shape != (self.n_steps, n_inputs):
            raise ValueError(
                f"inputs has shape {array.shape}; n_steps = {self.n_steps} and the field's {n_inputs} inputs "
                f"ask for ({self.n_steps}, {n_inputs})."
            )
        return array

    def _sample(self, inputs: Callable[[float], ArrayLike], t: float) -> Float:
        """x(t), checked."""
        sample = as_array(inputs(t), f"inputs({t:g})", (0, 1)).reshape(-1)
        if sample.size != self.field.n_inputs:
            n_inputs = self.field.n_inputs
            raise ValueError(f"inputs({t:g}) has {sample.size} entries; the field takes {n_inputs}.")
        return sample

    # ------------------------------------------------------------------------------ one block of lanes

    def run(
        self,
        members: NDArray[np.intp],
        program: Program,
        check_every: int | None = None,
        tick: Callable[[int], object] = lambda amount: None,
    ) -> Run:
        """The drivers' view of a program for some batch members; calls `tick` between samples of inputs."""
        h = self.steps[members]
        rows, inputs = np.zeros(0, np.int64), np.zeros((1, 0, 1))
        if self.field.n_inputs:
            inputs, rows = self._drive(h, program, tick)
        return Run(
            program.form,
            program.body.astype(self.dtype, copy=False),
            float(program.first),
            float(program.closing),
            program.n_steps,
            0,
            h.astype(self.dtype, copy=False),
            inputs.astype(self.dtype, copy=False),
            rows,
            check_every or self._interval(program, h),
            NOTHING,
        )

    def _drive(
        self, h: Float, program: Program, tick: Callable[[int], object]
    ) -> tuple[Float, NDArray[np.int64]]:
        """Inputs (rows, n_inputs, 1 or members), and the row that each tape entry sees."""
        if not callable(self.inputs):
            given = np.zeros((self.n_steps, self.field.n_inputs)) if self.inputs is None else self.inputs
            return np.ascontiguousarray(given)[:, :, None], program.rows
        inputs = np.empty((program.n_entries, self.field.n_inputs, h.size))
        for entry, time in enumerate(program.times):
            for q, step in enumerate(h):
                inputs[entry, :, q] = self._sample(self.inputs, float(time * step))
            tick(0)
        return inputs, np.arange(program.n_entries)

    def _interval(self, program: Program, h: Float) -> int:
        """Steps between two looks at the range of the columns."""
        grow, shrink = (float(bits.max(initial=0.0)) for bits in self.range_bits(program, h))
        if self.dtype == np.float32:
            return self.steps_within(40, STEPS_IN_FLOAT32, grow)
        if math.isinf(shrink):
            return self.steps_within(400, STEPS_OF_UNKNOWN_RANGE, grow)
        return self.steps_within(400, MOST_STEPS_UNCHECKED, max(grow, shrink))

    def range_bits(self, program: Program, h: Float) -> tuple[Float, Float]:
        """log₂ of what columns can grow and shrink by in one step of size h, from its majorant, or inf.

        A splitting step has the majorant of its inverse, which is the splitting with reversed signs.
        """
        lipschitz = self.field.lipschitz
        if lipschitz is None:
            return np.full(h.shape, np.inf), np.full(h.shape, np.inf)
        operations = list(program.steady_step())
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            if program.form == SPLITTING:
                # Row sums of the majorant: how |y| and |p| grow from a start of (1, 1).
                grown_y, grown_p = np.ones(h.shape), np.ones(h.shape)
                for stage, weight, *_ in operations:
                    if stage == "drift":
                        grown_y = grown_y + abs(weight) * h * grown_p
                    else:
                        grown_p = grown_p + abs(weight) * h * lipschitz * grown_y
                bits = np.log2(np.maximum(grown_y, grown_p))
                return bits, bits
            slope = max(lipschitz, 1.0) if program.form == EXPLICIT else lipschitz
            grow, shrink = np.zeros(h.shape), np.zeros(h.shape)
            for _, weight, *_ in operations:
                change = abs(weight) * h * slope
                grow = grow + np.log2(1.0 + change)
                shrink = shrink + np.where(change < 1.0, -np.log2(1.0 - change), np.inf)
        return grow, shrink

    @staticmethod
    def steps_within(bits: float, most: int, bits_per_step: float) -> int:
        """Steps, at least one and at most `most`, that stay within `bits`."""
        return max(1, min(most, int(bits / bits_per_step) if bits_per_step else most))

    def block_shape(self, k: int, threads: int) -> tuple[int, int, int]:
        """(lanes per block, multiple to which lanes are padded, multiple to which columns are padded).

        Columns of a block should stay in cache, and every thread should have work. Padding repeats the last
        lane, or adds zero columns; neither changes a bit of the others.
        """
        d, m = self.field.dim, self.n_lanes
        share = max(1, math.ceil(m / threads))
        if not self.field.vectorised:
            return min(max(8, CACHE_BYTES // (8 * d * (3 * k + 6))), share), 1, 1
        if m == 1 or (m < WIDTH and k > 0) or (d >= ONE_LANE_DIM and k >= WIDTH):
            return 1, 1, WIDTH
        # At least two registers of lanes: a pass over W should serve many of them.
        width = max(2 * WIDTH, CACHE_BYTES // (16 * d * (k + 1)) // (2 * WIDTH) * (2 * WIDTH))
        # Rows of columns a page apart fall on one place of the cache: 21 GF/s at d = 8, 28 with 8 lanes less.
        width -= WIDTH if 8 * max(1, k) * width % PAGE_BYTES == 0 else 0
        return min(width, math.ceil(share / WIDTH) * WIDTH), WIDTH, 1

    # ------------------------------------------------------------------------------------- whole runs

    def forward(
        self,
        columns: Float | None = None,
        *,
        close: bool = True,
        keep: Keep | None = None,
        tape: int = NOTHING,
        nodes: bool = False,
        follow: Follow | None = None,
        threads: int | None = None,
        progress: bool | None = None,
    ) -> tuple[Float, Columns, NDArray[np.int64]]:
        """Run all members: final state (members, D), the columns, and where states overflowed (else −1).

        Parameters
        ----------
        columns : ndarray, shape (D, k)
            Initial tangent columns, the same for every member; none by default.
        close : bool
            See `Program`.
        keep : callable
            Receives each block's run, tape, nodes, the block itself, and the ticker to report to.
        tape : {NOTHING, KEEP, CONDENSE}
            What is kept of every operation; see `drivers`.
        nodes : bool
            Keep the state after every step.
        follow : callable, optional
            Moves every block itself, see `Follow`; must end at the last step.
        """
        D, m, program = self.dim, self.n_lanes, self.program(close)
        start = np.zeros((D, 0)) if columns is None else columns
        k, threads = start.shape[1], thread_count(threads)
        state, overflowed = np.empty((m, D)), np.full(m, -1, np.int64)
        out = Columns.empty(m, D, k)
        seconds = self.seconds(k) * max(1, program.evaluations_per_step)
        total = seconds * m * self.n_steps
        threads = 1 if total < POOL_SECONDS and follow is None else threads
        width, pad_members, pad_columns = self.block_shape(k, threads)
        padded = _padded(start, pad_columns)

        def work(members: slice, ticker: Ticker) -> None:
            real = members.stop - members.start
            n = real + -real % pad_members
            which = np.minimum(np.arange(members.start, members.start + n), m - 1)
            run = self.run(which, program, tick=ticker)._replace(tape=tape)
            block = self.block(which, padded)
            entries = aligned_array((program.n_entries if tape else 0, self.entry_rows, n), self.dtype)
            states = np.empty((self.n_steps + 1 if nodes else 0, D, n), self.dtype)

            def go(block: Block, start: int, stop: int) -> None:
                ticker.in_chunks(
                    lambda a, b: self.advance(run, block, entries, states, start + a, start + b),
                    stop - start,
                    real,
                    seconds * n,
                )

            if follow is None:
                go(block, 0, self.n_steps)
            else:
                follow(members, block, go)
            state[members] = block.state.T[:real]
            out.put(members.start, members.stop, block.columns, block.exponent)
            overflowed[members] = block.overflowed[:real]
            if keep is not None:
                keep(members, run, entries, states, block, ticker)

        run_blocks(
            m,
            width,
            work,
            total=m * self.n_steps,
            seconds=total,
            label=f"{self.scheme.name}, d={self.field.dim}",
            threads=threads,
            progress=progress,
        )
        out.settle()
        return state, out, overflowed

    def block(self, members: NDArray[np.intp], columns: Float | None = None) -> Block:
        """Some members at the initial value, with copies of tangent columns (D, k) or none."""
        n = members.size
        copies = self.repeated(np.zeros((self.dim, 0)) if columns is None else columns, n)
        return Block(self.start(members), copies, column_counts(copies.shape[1], n), np.full(n, -1, np.int64))

    def start(self, members: NDArray[np.intp]) -> NDArray:
        """Initial states of some members, (D, n)."""
        start = self.y0 if self.first_order else np.concatenate([self.y0, self.p0])
        return self.repeated(start, members.size)

    def advance(self, run: Run, block: Block, tape: NDArray, nodes: NDArray, start: int, stop: int) -> None:
        """The compiled driver for steps [start, stop) of a block, in place."""
        self.field.forward(self.dtype, self.theta, run, block, tape, nodes, start, stop)

    def retreat(
        self,
        run: Run,
        tape: NDArray,
        cotangents: Sequence[NDArray],
        gradient: NDArray,
        start: int,
        stop: int,
        taps: Taps | None = None,
    ) -> None:
        """The compiled driver backwards: (columns, exponent) in place, and the parameter gradient."""
        taps = Taps.none(self.dtype) if taps is None else taps
        self.field.backward(self.dtype, self.theta, run, tape, *cotangents, gradient, taps, start, stop)

    def column_padding(self, k: int, lanes: int) -> int:
        """Multiple to which k columns are padded in a block of so many lanes: one lane fills no register."""
        return WIDTH if self.field.vectorised and lanes == 1 else 1

    def repeated(self, array: Float, lanes: int) -> NDArray:
        """A copy for every lane, along a new last axis, in the arithmetic of this problem."""
        copies = aligned_array((*array.shape, lanes), self.dtype)
        copies[...] = array[..., None]
        return copies

    def seconds(self, k: int) -> float:
        """A rough estimate of the time of one kick of one lane, to size the first call and the pool."""
        d = self.field.dim
        unknown = 0.0 if self.field.vectorised else SECONDS_OF_A_KICK
        return 2.0 * d * d * (k + 1) / 2e10 + 4e-9 * d + 2e-9 + unknown

    def one_lane(self, run: Run, member: int) -> Run:
        """The run of one member of a block."""
        inputs = run.inputs
        if inputs.shape[2] > 1:
            inputs = np.ascontiguousarray(inputs[:, :, member : member + 1])
        return run._replace(step=run.step[member : member + 1].copy(), inputs=inputs)

    def overflow(self, member: int) -> TrajectoryOverflow:
        """The exception for a member that overflowed, with the exact step: it is run again, step by step."""
        which = np.array([member])
        run = self.run(which, self.program(), check_every=1)
        none = np.empty((0, self.entry_rows, 1), self.dtype)

        def play(run: Run, state: NDArray, start: int, stop: int) -> int:
            """Steps [start, stop) in place; the one at which the state overflowed, or −1."""
            block = self.block(which)._replace(state=state)
            self.advance(run, block, none, none[:, :0], start, stop)
            return int(block.overflowed[0])

        state = self.start(which)
        start, index, before = 0, -1, (0, state)
        while index < 0 and start < self.n_steps:
            before, stop = (start, state.copy()), min(start + 256, self.n_steps)
            index, start = play(run, state, start, stop), stop
        if index > 1:
            # The kick that closes a step is merged with the first of the next: is the step before lost by its
            # own share alone?
            start, state = before
            if start < index - 1 and self._closes_beyond(run, play, state, start, index - 1):
                index -= 1
        return TrajectoryOverflow(index, self.n_steps, float(self.steps[member]))

    def _closes_beyond(
        self, run: Run, play: Callable[[Run, NDArray, int, int], int], state: NDArray, start: int, end: int
    ) -> bool:
        """Whether the state overflows if the run ends after step `end`, with its closing kick."""
        return run.closing != 0.0 and play(run._replace(n_steps=end), state, start, end) >= 0


def _padded(array: NDArray, multiple: int) -> NDArray:
    """`array` with zeros after its last axis, up to a multiple of some length."""
    missing = -array.shape[-1] % multiple
    return np.concatenate([array, np.zeros((*array.shape[:-1], missing))], axis=-1) if missing else array
