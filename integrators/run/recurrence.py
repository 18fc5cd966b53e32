"""Recurrences: a field under a scheme, or a cell, unrolled over N steps for a batch; one class for all."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from integrators.cells.cell import Cell
from integrators.cells.kind_check import check_kind
from integrators.codegen.primitives import LINE_NUMBERS, aligned_array
from integrators.codegen.threads import thread_count
from integrators.engine.column_scale import Scaled, column_counts
from integrators.engine.drivers import NOTHING, Block, Run, Taps
from integrators.engine.program import Program
from integrators.fields.field import Field, as_field
from integrators.schemes.table import Scheme, get_scheme
from integrators.validation import as_array, as_count, as_steps, as_vector
from integrators.values import ByValue

from .backpropagation import Gradients, backpropagate, trajectory
from .forward import column_limits, forward, range_bits, steps_within
from .inputs import Inputs, checked_inputs, sampled
from .linearisation import Linearisation
from .overflow import mark_overflowed
from .pullback import checkpointed_pullback, scaled_gradient
from .reversed import ReversedSweep, reversed_pullback
from .walk import BlockWalk

__all__ = ["OdeRecurrence", "Recurrence", "Visit", "as_recurrence"]

# A sweep along slopes on the tape takes half the time of one that evaluates every step anew; slopes are some
# five times as many numbers as the state.
CONDENSED_BYTES = 1 << 25
Float = NDArray[np.float64]

Visit = Callable[[slice, int, Scaled], "Float | None"]
"""``visit(members, step, columns)``: returns replacement columns (members, D, k) with exponent 0, or None."""

ANY_RANK = tuple(range(1, 33))


class Recurrence(ByValue):
    """s_{i+1} = Φ(s_i, x_{i+1}), i = 0 … N − 1: a field under a scheme, or a cell, for a batch.

    `sensitivity.unroll` makes one.

    Parameters
    ----------
    system : Field or Cell
    n_steps : int
        N ≥ 0.
    scheme : str or Scheme
        For fields.
    step : array_like, shape batch or ()
        Step sizes ε > 0. Fields need them; cells that have a step size have a default.
    s0 : array_like, shape (*batch, D) or (D,), optional
        Initial states; zero by default. The state of a field is (y, p) under a second-order scheme and y
        under a first-order one.
    inputs : array_like, shape (*batch, N, n_inputs) or (N, n_inputs), optional
        Row i is x_{i+1}; zero by default. For fields also a function t → x(t), which is sampled at the time
        of every kick, t = 0 at the start.
    dtype : {"float64", "float32"}
        Arithmetic of the run; cells have float64 only. See `sensitivity.float32_error`.
    threads : int, optional
        Worker threads; no result depends on it.
    progress : bool, optional
        Force or forbid the progress bar; by default it shows on a terminal after two seconds.

    Attributes
    ----------
    system : Field or Cell
    cell : Cell or None
        The system where it is a cell.
    scheme : Scheme or None
        For fields.
    shape : tuple of int
        Of the batch; it leads the shape of every result.
    members : int
        Batch members: the product of `shape`.
    state_size : int
        D.
    first_order : bool
        Whether the state is y alone: under a first-order scheme.
    blocks : mapping
        Named parts of the state, as slices: "position" and "momentum" under a scheme, else those of the cell.
    default_block : str
        The block that Jacobians show where none is named; "state" is the whole.
    steps : ndarray, shape (members,)
        Step sizes.

    Notes
    -----
    The shapes of the batch broadcast. A batch member whose trajectory overflows gives NaN and a warning, and
    raises `TrajectoryOverflow` if there is no batch. The derivative is that of the map that runs, not of the
    differential equation behind it.

    Examples
    --------
    >>> import leapgrad as lg
    >>> run = lg.unroll(lg.cell("lstm", 4), n_steps=10)
    >>> run.state_size, run.n_steps, dict(run.blocks)
    (8, 10, {'h': slice(0, 4, None), 'c': slice(4, 8, None)})
    """

    _no_value = frozenset({"threads", "progress"})

    def __init__(
        self,
        system: Field | Cell,
        n_steps: int,
        *,
        scheme: str | Scheme | None = None,
        step: ArrayLike | None = None,
        s0: ArrayLike | None = None,
        inputs: Inputs = None,
        dtype: DTypeLike = np.float64,
        threads: int | None = None,
        progress: bool | None = None,
    ) -> None:
        self.system: Any = system
        self.cell: Any = system if isinstance(system, Cell) else None
        if self.cell is not None:
            check_kind(self.cell)
        self.dtype: Any = _as_dtype(dtype, self.cell is not None)
        self.theta = system.packed.astype(self.dtype, copy=False)
        self._name_parts(scheme)
        steps = None if step is None and isinstance(system, Cell) else as_steps(step)
        self.n_steps = as_count(n_steps, "n_steps")
        if s0 is None and self.cell is not None:
            s0 = self.cell.start
        start = np.zeros(self.state_size) if s0 is None else as_array(s0, "s0", ANY_RANK)
        if start.shape[-1] != self.state_size:
            of = "" if self.cell is not None else " y" if self.first_order else " (y, p)"
            flat = start.ndim == 1 and self.cell is None
            given = f"{start.size} entries" if flat else f"shape {start.shape}"
            raise ValueError(f"s0 has {given}; the state{of} of {system!r} has {self.state_size} entries.")
        drive: Any = (
            np.zeros((self.n_steps, system.n_inputs))
            if inputs is None
            else checked_inputs(system, self.n_steps, inputs)
        )
        if steps is None:
            steps = as_steps(self.system.step_size)
        elif isinstance(system, Cell) and system.kind.step is None:
            raise ValueError(f"step was given, but {system.name} has no step size.")
        self.shape = _common_shape(steps.shape, start.shape[:-1], drive)
        self.members = members = math.prod(self.shape)
        if steps.shape != self.shape:
            steps = np.broadcast_to(steps, self.shape).copy()
        self.steps = steps.reshape(-1)
        # One initial state and one sequence for all are kept once.
        self.start = start[None] if start.ndim == 1 else _flattened(start, self.shape, members)
        self.inputs: Any = drive if callable(drive) else self._drive(drive, members)
        self.threads, self.progress = None if threads is None else thread_count(threads), progress

    def _name_parts(self, scheme: Any) -> None:
        """The scheme, the size of the state, and the names of its parts."""
        d = self.system.dim
        self.scheme: Any = None if self.cell is not None else get_scheme(scheme)
        self.first_order = self.cell is None and self.scheme.form == "first_order"
        self.state_size = d if self.cell is not None or self.first_order else 2 * d
        if self.cell is not None:
            self.blocks, self.default_block = self.cell.blocks, self.cell.default_block
            self.label = f"{self.cell.name}, d={d}"
            return
        self.blocks, self.default_block = {"position": slice(0, d)}, "position"
        if not self.first_order:
            self.blocks = {"position": slice(0, d), "momentum": slice(d, 2 * d)}
        self.label = f"{self.scheme.name}, d={d}"

    def _drive(self, inputs: Float, members: int) -> Float:
        """(N, rows, 1 or members): what a step reads lies together; the clock of a cell below its inputs."""
        drive = inputs[None] if inputs.ndim == 2 else _flattened(inputs, self.shape, members, 2)
        if self.cell is not None:
            clock = self.cell.clock(self.n_steps)
            clock = np.broadcast_to(clock, (len(drive), *clock.shape))
            drive = np.concatenate([drive, clock], axis=2)
        return np.ascontiguousarray(drive.transpose(1, 2, 0))

    # ------------------------------------------------------------------------------------- what it is

    @property
    def initial_value(self) -> tuple[Float, Float]:
        """y_0 and ẏ_0 of a field, shapes (d,); of the first batch member, where they differ."""
        d, start = self.system.dim, self.start[0]
        return start[:d].copy(), np.zeros(d) if self.first_order else start[d:].copy()

    @property
    def step(self) -> Float:
        """The step size ε, in the shape of the batch, read-only; 1 for a cell without a step size."""
        return _read_only(self.steps.reshape(self.shape))

    def __repr__(self) -> str:
        scheme = "" if self.scheme is None else f", {self.scheme.name}"
        return f"Recurrence({self.system!r}{scheme}, n_steps={self.n_steps}, batch={self.shape})"

    def select(self, members: slice | NDArray[np.bool_], threads: int | None = None) -> Self:
        """The same recurrence for some batch members, flattened; on as many threads unless told otherwise."""
        part = copy(self)
        part.steps = self.steps[members]
        part.shape, part.members = part.steps.shape, part.steps.size
        if len(self.start) > 1:
            part.start = self.start[members]
        if isinstance(self.inputs, np.ndarray) and self.inputs.shape[2] > 1:
            part.inputs = np.ascontiguousarray(self.inputs[:, :, members])
        part.threads = self.threads if threads is None else threads
        return part

    def alone(self) -> list[Self]:
        """The recurrence of every batch member by itself."""
        return [self.select(slice(member, member + 1)) for member in range(self.members)]

    def program(self, close: bool = True) -> Program:
        """The operations of the run; see `Program.of`."""
        if self.scheme is None:
            return Program.of_map(self.n_steps)
        return Program.of(self.scheme, self.n_steps, close)

    # ---------------------------------------------------------------------------------------- verbs

    def run(self) -> Float:
        """s_N, shape (*batch, D)."""
        state, _, overflowed = forward(self)
        self.check_overflow(overflowed, state, of_state=True)
        return state.reshape(*self.shape, self.state_size)

    def pushforward(self, columns: ArrayLike, rows: str | None = None) -> Scaled:
        """J V for tangent columns V of shape (D, k), J = ∂s_N/∂s_0; only one block's rows with `rows`.

        With ``rows="position"`` the last half kick is left out, which changes p_N only.
        """
        given = self._checked(columns, "columns")
        _, end, overflowed = forward(self, given, close=rows != "position")
        self.check_overflow(overflowed, end.values)
        return end.shaped(self.shape, slice(None) if rows is None else self.blocks[rows])

    def pullback(self, cotangents: ArrayLike) -> Scaled:
        """Jᵀ Λ for cotangent columns Λ of shape (D, k), by the transposed factors in reversed order.

        The tape is kept if it fits into half a GiB; otherwise checkpoints are used (`checkpointed_pullback`).
        """
        pulled = checkpointed_pullback(self, self._checked(cotangents, "cotangents"))
        self.check_overflow(pulled.overflowed, pulled.columns.values)
        return pulled.columns.shaped(self.shape)

    def propagate(
        self, columns: ArrayLike, ends: Sequence[int], visit: Visit, rows: str | None = None
    ) -> NDArray[np.bool_]:
        """Push columns (D, k) forwards in segments that end at the steps `ends`.

        ``visit(members, step, columns)`` sees each block's columns and may return others, (members, D, k), to
        go on with. Before the last step the state of a splitting is (y, p) with p before the kick at the
        node. Returns which batch members have overflowed.
        """

        def follow(block: BlockWalk) -> None:
            done = 0
            for end in ends:
                block.go(done, end)
                done = end
                replaced = visit(block.members, end, Scaled.of(*block.columns()))
                if replaced is not None:
                    block.replace(replaced)

        return self.walk(columns, follow, rows)

    def walk(
        self, columns: ArrayLike, follow: Callable[[BlockWalk], None], rows: str | None = None
    ) -> NDArray[np.bool_]:
        """Push columns (D, k) forwards in pieces that may be taken back: `follow` moves each block.

        Returns which batch members have overflowed.
        """
        start = self._checked(columns, "columns")

        def each(members: slice, block: Block, go: Callable[[Block, int, int], None]) -> None:
            follow(BlockWalk(self, members, block, go, start.shape[1]))

        *_, overflowed = forward(self, start, close=rows != "position", follow=each)
        return self.check_overflow(overflowed)

    def linearised(self, rows: str | None = None) -> Linearisation:
        """The stored one-step Jacobians; with ``rows="position"`` without the last half kick."""
        return Linearisation(self, close=rows != "position")

    def states(self) -> Float:
        """s_0 … s_N of a cell, shape (*batch, N + 1, D); `integrators.integrate` gives those of a field.

        Raises
        ------
        TypeError
            If this is a field under a scheme.
        """
        self._needs_cell("states")
        kept = trajectory(self)
        return kept.transpose(2, 0, 1).reshape(*self.shape, *kept.shape[:2])

    def backpropagate(self, cotangents: ArrayLike, *, inputs: bool = False) -> Gradients:
        """Gradients of a scalar loss C of the states of a cell, by one backward sweep: for training.

        Parameters
        ----------
        cotangents : array_like, shape (*batch, N + 1, D) or (*batch, D)
            ∂C/∂s_i, i = 0 … N, of every batch member; or ∂C/∂s_N of a loss of the last state alone.
        inputs : bool
            Also the gradients by the inputs.

        Returns
        -------
        Gradients
            theta (F,), by the free parameters of the cell (`Cell.free`; θ itself where it has no structure),
            summed over the batch; s0 (*batch, D); inputs (*batch, N, n_inputs). The same bits for every
            number of threads. Constants and fixed parameters have entries too, all zero.

        Raises
        ------
        TypeError
            If this is a field under a scheme.
        """
        cell = self._needs_cell("backpropagate")
        given = as_array(cotangents, "cotangents", (len(self.shape) + 1, len(self.shape) + 2))
        whole = (*self.shape, self.n_steps + 1, cell.dim)
        if given.shape not in (whole, (*self.shape, cell.dim)):
            raise ValueError(
                f"cotangents has shape {given.shape}; this run asks for {whole}, or for "
                f"{(*self.shape, cell.dim)} of the last state."
            )
        flat = given.reshape(self.members, *given.shape[len(self.shape) :])
        found = backpropagate(self, np.moveaxis(flat, 0, -1), inputs=inputs)
        s0, by_input = (part.reshape(*self.shape, *part.shape[1:]) for part in (found.s0, found.inputs))
        return Gradients(cell.gradient_by_free(found.theta), s0, by_input)

    def parameter_gradient(self, cotangent: ArrayLike) -> Float:
        """∂⟨λ, s_N⟩/∂θ for one cotangent λ of shape (D,): (*batch, P).

        Packed as ``field.theta``; of a cell by its free parameters, as ``cell.free``. Cotangents may grow
        beyond float64 on their way: an entry is inf only where it does not fit itself. What falls below
        float64 on its way counts as zero.
        """
        lam = self._checked(as_array(cotangent, "cotangent", (0, 1)).reshape(-1, 1), "cotangent")
        pulled = checkpointed_pullback(self, lam, gradient=True)
        beyond = ~np.isfinite(pulled.gradient).all(axis=1) & (pulled.overflowed < 0)
        for member in np.flatnonzero(beyond).tolist():
            pulled.gradient[member] = scaled_gradient(self.select(slice(member, member + 1)), lam)
        self.check_overflow(pulled.overflowed, pulled.gradient, of_state=True)
        gradient = pulled.gradient.reshape(*self.shape, -1)
        return gradient if self.cell is None else self.cell.gradient_by_free(gradient)

    def reversed_pullback(
        self, cotangents: ArrayLike, *, gradient: bool = False, compare: bool = True
    ) -> ReversedSweep:
        """`pullback` in O(D) memory for any N: the states are computed backwards instead of being stored.

        This needs a symmetric scheme, or a cell with an inverse. The result says how far the computed initial
        state is from the true one, and with `compare` how far the cotangents are from those of `pullback`.
        """
        lam = self._checked(cotangents, "cotangents")
        found = reversed_pullback(self, lam, gradient=gradient, compare=compare)
        if self.cell is None or not gradient:
            return found
        return replace(found, gradient=self.cell.gradient_by_free(found.gradient))

    def drive(self) -> Float:
        """The inputs of a cell, shape (members or 1, N, n_inputs), read-only."""
        assert isinstance(self.inputs, np.ndarray)
        return _read_only(self.inputs.transpose(2, 0, 1)[:, :, : self.system.n_inputs])

    def piece(self, s0: ArrayLike, start: int, stop: int) -> Recurrence:
        """Steps [start, stop) of a cell from other initial states, (*batch, D)."""
        cell, drive = self._needs_cell("piece"), self.drive()[:, start:stop]
        own = drive.reshape(*self.shape, *drive.shape[1:]) if len(drive) == self.members else drive[0]
        return Recurrence(
            cell,
            stop - start,
            s0=s0,
            inputs=own if cell.n_inputs else None,
            step=self.step if cell.kind.step is not None else None,
            threads=self.threads,
            progress=self.progress,
        )

    # ------------------------------------------------------------------------------- what it will take

    @property
    def qr_interval(self) -> NDArray[np.int64]:
        """The number of steps after which columns need a QR so that no digits are lost, shape (members,).

        It is chosen for each batch member by itself, so that no bit depends on the other members.
        """
        bits = np.maximum(*range_bits(self.system.lipschitz, self.program(), self.steps))
        return np.array([steps_within(10, 8, member) for member in bits.tolist()], dtype=np.int64)

    @property
    def linearised_bytes(self) -> int:
        """What `linearised` keeps for one batch member: 8 bytes · tape entries · their rows."""
        return 8 * self.program().n_entries * self.linearised_rows

    @property
    def linearised_rows(self) -> int:
        """Rows of a tape entry of `linearised`: with the slopes of cells, unless a run is very long."""
        rows = self.system.condensed_rows
        return rows if 8 * rows * self.program().n_entries <= CONDENSED_BYTES else self.system.dim

    # ---------------------------------------------------------------------------- one block of members

    def driver_run(
        self,
        members: NDArray[np.intp],
        program: Program,
        check_every: int | None = None,
        tick: Callable[[int], object] = lambda amount: None,
        tape: int = NOTHING,
    ) -> Run:
        """The drivers' view of a program for some members; calls `tick` between samples of inputs."""
        h, given, system = self.steps[members], self.inputs, self.system
        largest, single = float(h.max(initial=0.0)), self.dtype == np.float32
        limits = column_limits(system.lipschitz, system.factor_bits, program, largest, single)
        if not isinstance(given, np.ndarray):
            inputs, rows = sampled(self.system, given, program, h, tick), np.arange(program.n_entries)
        elif self.inputs.shape[1] == 0 or self.n_steps == 0:
            inputs = np.zeros((1, self.inputs.shape[1], 1))
            rows = np.zeros(program.n_entries if self.inputs.shape[1] else 0, np.int64)
        else:
            inputs, rows = self.inputs, program.rows
            if inputs.shape[2] > 1:
                inputs = np.ascontiguousarray(inputs[:, :, members])
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
            check_every or limits[0],
            limits[1],
            tape,
        )

    def initial(self, members: NDArray[np.intp]) -> NDArray:
        """Initial states of some members, (D, n)."""
        return self.block(members).state

    def block(self, members: NDArray[np.intp], columns: Float | None = None) -> Block:
        """Some members at their initial states, with a copy of the tangent columns (D, k) for each."""
        n, D, k = members.size, self.state_size, 0 if columns is None else columns.shape[1]
        # One piece of memory, the state behind the columns, and both from the start of a cache line.
        below = -(-D * k * n // LINE_NUMBERS) * LINE_NUMBERS
        room = aligned_array((below + D * n,), self.dtype)
        copies, state = room[: D * k * n].reshape(D, k, n), room[below:].reshape(D, n)
        if columns is not None:
            copies[...] = columns[..., None]
        state[...] = self.start[0][:, None] if len(self.start) == 1 else self.start[members].T
        overflowed = np.empty(n, np.int64)
        overflowed.fill(-1)
        return Block(state, copies, column_counts(k, n), overflowed)

    def backward_sweep(
        self,
        run: Run,
        tape: NDArray,
        cotangents: Sequence[NDArray],
        gradient: NDArray,
        start: int,
        stop: int,
        taps: Taps | None = None,
    ) -> None:
        """The compiled backward sweep: (columns, exponent) in place, and the parameter gradient."""
        taps = Taps.none(self.dtype) if taps is None else taps
        numbers = (tape, cotangents[0], gradient, taps.forcing, taps.inputs, taps.nodes)
        if self.dtype != np.float64 and any(array.dtype != self.dtype for array in numbers):
            raise ValueError(
                f"this quantity is computed in float64, and the run has dtype = {self.dtype}; leave out "
                "dtype."
            )
        self.system.backward(self.theta, run, tape, *cotangents, gradient, taps, start, stop)

    def check_overflow(
        self, overflowed: NDArray[np.int64], *results: Float, of_state: bool = False
    ) -> NDArray[np.bool_]:
        """Raise, or make results NaN and warn, where they are those of a trajectory that overflowed.

        Returns which batch members that concerns. Where DF is the same everywhere these are none, unless the
        results are made `of_state`, such as the gradient by W.
        """
        there = overflowed >= 0
        if self.system.constant_jacobian and not of_state:
            there[:] = False
        if np.count_nonzero(there):
            mark_overflowed(self, there, *results)
        return there

    def _checked(self, columns: ArrayLike, argument: str) -> Float:
        array = as_array(columns, argument, 2)
        if array.shape[0] != self.state_size:
            raise ValueError(
                f"{argument} has {array.shape[0]} rows; the state of this recurrence has {self.state_size}."
            )
        return array

    def _needs_cell(self, verb: str) -> Cell:
        if self.cell is None:
            raise TypeError(f"{verb} is for cells; this is {self.system!r} under {self.label}.")
        return self.cell


def as_recurrence(
    system: Field | Recurrence,
    scheme: Any,
    step: Any,
    n_steps: Any,
    y0: Any = None,
    p0: Any = None,
    inputs: Inputs = None,
    **options: Any,
) -> Recurrence:
    """What the public verbs are asked about: `system` itself if it is a recurrence, else a field's.

    The initial value of a field is given in two halves; see `OdeRecurrence`.

    Raises
    ------
    TypeError
        If `system` is neither, or what a recurrence was made with is given once more.
    """
    if isinstance(system, Field):
        if options.get("dtype", "") is None:
            del options["dtype"]
        if inputs is not None and not callable(inputs) and system.n_inputs:
            inputs = as_array(inputs, "inputs", (1, 2))
        start = None
        if y0 is not None or p0 is not None:
            halves = [as_vector(y0, "y0", system.dim), as_vector(p0, "p0", system.dim)]
            start = halves[0] if get_scheme(scheme).form == "first_order" else np.concatenate(halves)
        return Recurrence(system, n_steps, scheme=scheme, step=step, s0=start, inputs=inputs, **options)
    if not hasattr(system, "pushforward"):
        mend = "a recurrence such as unroll(cell, n_steps) will do as well"
        if isinstance(system, Cell):
            mend = "unroll it first: unroll(cell, n_steps), or unroll(cell, inputs=x)"
        elif hasattr(system, "state_dict"):
            mend = "read and unroll a module first: unroll(from_torch(module), inputs=x)"
        raise TypeError(f"field must be a Field such as NeuralField, got {type(system).__name__}; {mend}.")
    given = {"scheme": scheme, "step": step, "n_steps": n_steps, "y0": y0, "p0": p0, "inputs": inputs}
    for name, value in (given | options).items():
        if value is not None:
            raise TypeError(f"{name} belongs to the recurrence: give it where that is made, not here.")
    return system


def OdeRecurrence(
    field: Field,
    scheme: str | Scheme,
    step: ArrayLike,
    n_steps: int,
    y0: ArrayLike | None = None,
    p0: ArrayLike | None = None,
    inputs: Inputs = None,
    *,
    dtype: DTypeLike = np.float64,
    threads: int | None = None,
    progress: bool | None = None,
) -> Recurrence:
    """A field under a scheme as a recurrence, with the initial value in two halves.

    Parameters
    ----------
    field, scheme, step, n_steps, y0, p0, inputs
        As for `integrators.integrate`; for a batch of sequences or initial states see `Recurrence`.
    dtype, threads, progress
        As for `Recurrence`.

    Returns
    -------
    Recurrence

    Examples
    --------
    >>> import numpy as np
    >>> import leapgrad as lg
    >>> run = lg.unroll(lg.NeuralField.random(3, rng=0), scheme="leapfrog", step=0.1, n_steps=20)
    >>> run.state_size, dict(run.blocks)
    (6, {'position': slice(0, 3, None), 'momentum': slice(3, 6, None)})
    >>> gradient = run.pullback(np.eye(6)[:, :1]).unscaled()
    >>> bool(np.allclose(gradient[:, 0], run.pushforward(np.eye(6)).unscaled()[0]))
    True
    """
    as_field(field)
    return as_recurrence(
        field, scheme, step, n_steps, y0, p0, inputs, dtype=dtype, threads=threads, progress=progress
    )


def _read_only(array: Float) -> Float:
    """A view of it that cannot be written: a run stays what it was made from."""
    view = array.view()
    view.flags.writeable = False
    return view


def _as_dtype(dtype: DTypeLike, cell: bool) -> np.dtype:
    """The arithmetic of a run."""
    try:
        found = np.dtype(dtype)
    except TypeError:
        raise ValueError(f"dtype must be float64 or float32, got {dtype!r}.") from None
    if found not in (np.dtype(np.float64), np.dtype(np.float32)):
        raise ValueError(f"dtype must be float64 or float32, got {found}.")
    if cell and found != np.dtype(np.float64):
        raise ValueError("dtype = float32 is for fields; cells run in float64.")
    return found


def _common_shape(step: tuple[int, ...], start: tuple[int, ...], drive: Any) -> tuple[int, ...]:
    """The shape of the batch that step sizes, initial states and inputs have in common."""
    inputs = () if callable(drive) else drive.shape[:-2]
    if start == inputs == ():
        return step
    try:
        return np.broadcast_shapes(step, start, inputs)
    except ValueError:
        raise ValueError(
            f"s0 has a batch of shape {start}, inputs of {inputs} and step of {step}; they must be equal, or "
            "1 or missing where one value is for all."
        ) from None


def _flattened(array: Float, batch: tuple[int, ...], members: int, own: int = 1) -> Float:
    """One entry for each batch member, the axes of the batch flattened; the last `own` axes stay."""
    inner = array.shape[array.ndim - own :]
    return np.broadcast_to(array, (*batch, *inner)).reshape(members, *inner)
