"""An initial value problem run on lanes: the layer between users' arguments and the compiled drivers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .blocks import POOL_SECONDS, Ticker, run_blocks
from .column_scale import column_counts, common_exponent, per_column
from .compiled import Kernel
from .fields import Field, as_field
from .flow import Lanes, Record, Run, advance, retreat
from .keeping import retreat_keeping_nodes
from .memory import aligned_array
from .schedule import FIRST_ORDER, SPLITTING, Schedule
from .schemes import Scheme, get_scheme
from .simd import WIDTH
from .threads import thread_count
from .validation import as_array, as_count, as_steps, as_vector
from .values import ByValue

__all__ = ["Columns", "Inputs", "Problem", "Run", "Segments", "TrajectoryOverflow"]

Float = NDArray[np.float64]
Inputs = ArrayLike | Callable[[float], ArrayLike] | None
Keep = Callable[[slice, Run, Record, Lanes, Ticker], None]

# Steps between two looks at the range of the columns: at most the first where growth and shrinking are
# bounded, the second where they may shrink by 2^-53 in a step (1 + x with x next to -1), the third likewise
# in float32 (2^-24).
MOST_STEPS_UNCHECKED, STEPS_OF_UNKNOWN_RANGE, STEPS_IN_FLOAT32 = 64, 8, 2
# What a visit between two segments takes, about, for a lane.
SEGMENT_SECONDS = 3e-5
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


Follow = Callable[[slice, Lanes, Callable[[Lanes, int, int], None]], None]
"""``follow(block, lanes, go)`` moves a block of members through the run: ``go(lanes, start, stop)`` takes the
steps from `start` to `stop` in place, as often as wanted and for any copy of `lanes`."""


@dataclass
class Columns:
    """Tangent or cotangent columns at one end of a run, for every lane.

    ``ldexp(y, exponent[:, None, None])`` and likewise p are the columns themselves; with `apart`, where the
    columns of some member lie further apart than float64 reaches, ``ldexp(y, (exponent[:, None] +
    apart)[:, None, :])``.
    """

    y: Float  # (lanes, d, k)
    p: Float  # (lanes, d, k)
    exponent: NDArray[np.int64]  # (lanes,)
    apart: NDArray[np.int64] | None = None  # (lanes, k)

    @classmethod
    def empty(cls, lanes: int, d: int, k: int) -> Columns:
        """Room for k columns of so many members, whose exponents `put` fills in."""
        return cls(
            np.empty((lanes, d, k)),
            np.empty((lanes, d, k)),
            np.zeros(lanes, np.int64),
            np.zeros((lanes, k), np.int64),
        )

    def put(self, first: int, stop: int, block: Sequence[NDArray]) -> None:
        """Write members first … stop − 1 from (y, p, exponent) of a block, as the drivers have them."""
        y, p, exponent = block
        members, k = stop - first, self.y.shape[2]
        self.y[first:stop] = y.transpose(2, 0, 1)[:members, :, :k]
        self.p[first:stop] = p.transpose(2, 0, 1)[:members, :, :k]
        assert self.apart is not None
        self.apart[first:stop] = per_column(exponent, y.shape[2], k, members)

    def settle(self) -> None:
        """One exponent for every member, once all are written; `apart` is left where that is not enough."""
        assert self.apart is not None
        self.exponent[:], self.apart = common_exponent((self.y, self.p), self.apart)


@dataclass(frozen=True)
class Segments:
    """Places along a run at which the tangent columns are looked at, and may be replaced.

    Attributes
    ----------
    ends : sequence of int
        Step numbers, ascending; the last is n_steps.
    visit : callable
        ``visit(lanes, step, block)`` with the slice of lanes and the block's `Lanes`, padded lanes last.
        The state stands between the merged kicks there, which changes tangents by a bounded factor.
    """

    ends: Sequence[int]
    visit: Callable[[slice, int, Lanes], None]


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

    @property
    def n_lanes(self) -> int:
        return self.steps.size

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
        lanes: NDArray[np.intp],
        schedule: Schedule,
        check_every: int | None = None,
        tick: Callable[[int], object] = lambda amount: None,
    ) -> Run:
        """The drivers' view of the run for some lanes; calls `tick` between samples of inputs."""
        h = self.steps[lanes]
        rows = np.zeros(0, np.int64)
        inputs = np.zeros((1, 0, 1))
        if self.field.n_inputs:
            if callable(self.inputs):
                times = schedule.kick_times()
                rows = np.arange(schedule.n_kicks)
                inputs = np.empty((schedule.n_kicks, self.field.n_inputs, h.size))
                for number, time in enumerate(times):
                    for q, step in enumerate(h):
                        inputs[number, :, q] = self._sample(self.inputs, float(time * step))
                    tick(0)
            else:
                rows = schedule.kick_rows()
                given = np.zeros((self.n_steps, self.field.n_inputs)) if self.inputs is None else self.inputs
                inputs = np.ascontiguousarray(given)[:, :, None]
        grow, shrink = self.range_bits(schedule, h)
        if self.dtype == np.float32:
            interval = self.steps_within(40, STEPS_IN_FLOAT32, grow)
        elif math.isinf(shrink):
            interval = self.steps_within(400, STEPS_OF_UNKNOWN_RANGE, grow)
        else:
            interval = self.steps_within(400, MOST_STEPS_UNCHECKED, max(grow, shrink))
        return Run(
            schedule.form,
            schedule.drift.astype(self.dtype, copy=False),
            schedule.kick.astype(self.dtype, copy=False),
            schedule.opening,
            schedule.n_steps,
            schedule.close,
            schedule.inner_kicks,
            schedule.kicks_per_step,
            h.astype(self.dtype, copy=False),
            inputs.astype(self.dtype, copy=False),
            rows,
            check_every or interval,
            False,
        )

    def range_bits(self, schedule: Schedule, h: Float) -> tuple[float, float]:
        """log₂ of what columns can grow and shrink by in one step, from its majorant; inf if not known.

        A splitting step has the majorant of its inverse, which is the splitting with reversed signs.
        """
        lipschitz = self.field.lipschitz
        if lipschitz is None:
            return math.inf, math.inf
        step = float(h.max(initial=0.0))
        if schedule.form == SPLITTING:
            # Row sums of the majorant: how |y| and |p| grow from a start of (1, 1).
            grown_y = grown_p = 1.0
            opening = abs(schedule.opening)
            for a, b in zip(schedule.drift.tolist(), schedule.kick.tolist(), strict=True):
                grown_y += abs(a) * step * grown_p
                grown_p += (abs(b) + opening) * step * lipschitz * grown_y
            bits = math.log2(max(grown_y, grown_p))
            return bits, bits
        change = step * max(lipschitz, 0.0 if schedule.form == FIRST_ORDER else 1.0)
        return math.log2(1.0 + change), -math.log2(1.0 - change) if change < 1.0 else math.inf

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
        columns: tuple[Float, Float] | None = None,
        *,
        close: bool = True,
        keep: Keep | None = None,
        stations: bool = False,
        condensed: bool = False,
        nodes: bool = False,
        segments: Segments | None = None,
        follow: Follow | None = None,
        threads: int | None = None,
        progress: bool | None = None,
    ) -> tuple[Float, Float, Columns, NDArray[np.int64]]:
        """Run all lanes: final y and p (lanes, d), the columns, and where lanes were lost (else −1).

        Parameters
        ----------
        columns : pair of arrays, shape (d, k)
            Initial tangent columns of y and p, the same for every lane; none by default.
        close : bool
            See `Schedule`.
        keep : callable
            Receives each block's record when `stations` or `nodes` ask for one, and the ticker to report to.
        condensed : bool
            Whether stations keep what `Field.push` reads there, for a field whose own driver can do that.
        segments : Segments, optional
            Stops on the way, at each of which the columns may be replaced.
        follow : callable, optional
            Moves every block itself, see `Follow`; must end at the last step.
        """
        d, m = self.field.dim, self.n_lanes
        dy0, dp0 = (np.zeros((d, 0)), np.zeros((d, 0))) if columns is None else columns
        k = dy0.shape[1]
        threads = thread_count(threads)
        schedule = Schedule.of(self.scheme, self.n_steps, close)
        y, p = np.empty((m, d)), np.empty((m, d))
        out = Columns.empty(m, d, k)
        lost = np.full(m, -1, np.int64)

        seconds = self.seconds(k) * max(1, schedule.kicks_per_step)
        total = seconds * m * self.n_steps + SEGMENT_SECONDS * m * len(segments.ends if segments else ())
        if total < POOL_SECONDS:
            threads = 1
        width, pad_lanes, pad_columns = self.block_shape(k, threads)
        columns_0 = [_padded(start, pad_columns) for start in (dy0, dp0)]

        def work(block: slice, ticker: Ticker) -> None:
            members = block.stop - block.start
            n = members + -members % pad_lanes
            members_of = np.minimum(np.arange(block.start, block.start + n), m - 1)
            run = self.run(members_of, schedule, tick=ticker)._replace(condensed=condensed)
            lanes = Lanes(
                *self.start(members_of),
                self.repeated(columns_0[0], n),
                self.repeated(columns_0[1], n),
                column_counts(columns_0[0].shape[1], n),
                np.full(n, -1, np.int64),
            )
            n_nodes = self.n_steps + 1 if nodes else 0
            record = Record(
                aligned_array((schedule.n_kicks if stations else 0, d, n), self.dtype),
                np.empty((n_nodes, d, n), self.dtype),
                np.empty((n_nodes, d, n), self.dtype),
            )
            real = slice(0, members)
            done = 0

            def go(state: Lanes, start: int, stop: int) -> None:
                nonlocal done
                # Steps that are taken once more are no progress.
                here = ticker if start >= done else ticker.quiet()
                done = max(done, stop)
                here.in_chunks(
                    lambda a, b: self.advance(run, state, record, start + a, start + b),
                    stop - start,
                    members,
                    seconds * n,
                )

            if follow is not None:
                follow(block, lanes, go)
            for end in () if follow else segments.ends if segments else (self.n_steps,):
                go(lanes, done, end)
                if segments:
                    segments.visit(block, end, lanes)
            y[block], p[block] = lanes.y.T[real], lanes.p.T[real]
            out.put(block.start, block.stop, (lanes.dy, lanes.dp, lanes.exponent))
            lost[block] = lanes.lost[real]
            if keep is not None:
                keep(block, run, record, lanes, ticker)

        run_blocks(
            m,
            width,
            work,
            total=m * self.n_steps,
            seconds=total,
            label=f"{self.scheme.name}, d={d}",
            threads=threads,
            progress=progress,
        )
        out.settle()
        return y, p, out, lost

    def start(self, lanes: NDArray[np.intp]) -> tuple[NDArray, NDArray]:
        """Initial (y, p) of some lanes, (d, n) each."""
        return self.repeated(self.y0, lanes.size), self.repeated(self.p0, lanes.size)

    def advance(
        self, run: Run, lanes: Lanes, record: Record, start: int, stop: int, leaf: str = "kick"
    ) -> None:
        """The compiled driver for steps [start, stop) of a block of lanes, in place."""
        own = {"kick": self.field.advance, "push": self.field.replay}.get(leaf)
        driver = advance if own is None else own
        drive = driver.for_dtype(self.dtype)
        drive(self.leaf(leaf), self.theta, run, lanes, record, start, stop)

    def retreat(
        self,
        run: Run,
        stations: Float,
        cotangents: Sequence[NDArray],
        gradient: Float,
        start: int,
        stop: int,
        leaf: str = "kick_adjoint",
    ) -> None:
        """The compiled driver backwards: (lam_y, lam_p, exponent) in place, and the parameter gradient."""
        drive = retreat.for_dtype(self.dtype)
        theta = self.field.packed_for_pull.astype(self.dtype, copy=False) if leaf == "pull" else self.theta
        drive(self.leaf(leaf), theta, run, stations, *cotangents, gradient, start, stop)

    def retreat_keeping_nodes(
        self,
        run: Run,
        stations: Float,
        cotangents: Sequence[NDArray],
        kept: Float,
        exponents: NDArray[np.int64],
        start: int,
        stop: int,
    ) -> None:
        """`retreat` from stored, condensed stations that keeps the cotangent of every y_i."""
        drive, field = retreat_keeping_nodes, self.field
        drive(field.pull, field.packed_for_pull, run, stations, *cotangents, kept, exponents, start, stop)

    def column_padding(self, k: int, lanes: int) -> int:
        """Multiple to which k columns are padded in a block of so many lanes: one lane fills no register."""
        return WIDTH if self.field.vectorised and lanes == 1 else 1

    def leaf(self, name: str) -> Kernel:
        """A leaf of the field, for the arithmetic of this problem."""
        return getattr(self.field, name).for_dtype(self.dtype)

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

    def one_lane(self, run: Run, lane: int) -> Run:
        """The run of one lane of a block."""
        inputs = run.inputs
        if inputs.shape[2] > 1:
            inputs = np.ascontiguousarray(inputs[:, :, lane : lane + 1])
        return run._replace(step=run.step[lane : lane + 1].copy(), inputs=inputs)

    def overflow(self, lane: int) -> TrajectoryOverflow:
        """The exception for a lost lane, with the exact step: the lane is run again, checked every step."""
        run = self.run(np.array([lane]), Schedule.of(self.scheme, self.n_steps), check_every=1)
        none = self.repeated(np.zeros((self.field.dim, 0)), 1)
        record = Record(*[none.reshape(0, self.field.dim, 1)] * 3)

        def play(run: Run, y: Float, p: Float, start: int, stop: int) -> int:
            """Steps [start, stop) in place; the one at which the state was lost, or −1."""
            lost = np.full(1, -1, np.int64)
            lanes = Lanes(y, p, none, none, np.zeros(1, np.int64), lost)
            self.advance(run, lanes, record, start, stop)
            return int(lost[0])

        y, p = self.start(np.array([lane]))
        start, index = 0, -1
        before = start, y, p
        while index < 0 and start < self.n_steps:
            before, stop = (start, y.copy(), p.copy()), min(start + 256, self.n_steps)
            index, start = play(run, y, p, start, stop), stop
        if index > 0:
            # The last kick of a step is merged with the first of the next: is it lost by its own share alone?
            start, y, p = before
            play(run, y, p, start, index - 1)
            first = (index - 1) * run.kicks_per_step + (run.opening != 0.0)
            alone = run if index == 1 else run._replace(opening=0.0, rows=run.rows[first:])
            index += play(alone._replace(n_steps=1, close=True), y, p, 0, 1) < 0
        return TrajectoryOverflow(index, self.n_steps, float(self.steps[lane]))


def _padded(array: NDArray, multiple: int) -> NDArray:
    """`array` with zeros after its last axis, up to a multiple of some length."""
    missing = -array.shape[-1] % multiple
    return np.concatenate([array, np.zeros((*array.shape[:-1], missing))], axis=-1) if missing else array
