"""Discretised differential equations as recurrences: a field advanced by a scheme."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from integrators.codegen.threads import thread_count
from integrators.engine.blocks import one_blas_thread
from integrators.engine.drivers import Block
from integrators.fields.field import Field
from integrators.fields.neural import NeuralField
from integrators.run.linearisation import Linearisation
from integrators.run.problem import Columns, Inputs, Problem
from integrators.run.pullback import checkpointed_pullback
from integrators.run.reversed import ReversedSweep, reversed_pullback
from integrators.schemes.table import Scheme
from integrators.validation import as_array
from integrators.values import ByValue

from .cells.block import BlockWalk
from .recurrence import Scaled, Visit

__all__ = ["OdeRecurrence"]

Float = NDArray[np.float64]


class OdeRecurrence(ByValue):
    """y_{i+1} = Φ_ε(y_i, p_i, x_{i+1}): the recurrent network read off a discretised ODE.

    Parameters
    ----------
    field, scheme, step, n_steps, y0, p0, inputs
        As for `integrators.integrate`. Every entry of `step` is a lane.
    dtype : {"float64", "float32"}
        Arithmetic of the run; see `sensitivity.float32_error` for what the shorter one costs.
    threads : int, optional
        Worker threads; no result depends on it.
    progress : bool, optional
        Force or forbid the progress bar; by default it shows on a terminal after two seconds.

    Notes
    -----
    The state is (y, p), of length 2d, for second-order schemes and y for first-order ones; the blocks are
    called "position" and "momentum". A lane whose trajectory overflows gives NaN and a warning if there
    are several lanes, and raises `TrajectoryOverflow` if it is the only one.
    """

    _no_value = frozenset({"threads", "progress"})

    def __init__(
        self,
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
    ) -> None:
        self.problem = Problem(field, scheme, step, n_steps, y0, p0, inputs, dtype)
        self.threads, self.progress = None if threads is None else thread_count(threads), progress

    def __repr__(self) -> str:
        problem = self.problem
        return (
            f"{type(self).__name__}({problem.field!r}, {problem.scheme.name}, n_steps={problem.n_steps}, "
            f"lanes={self.shape})"
        )

    @property
    def shape(self) -> tuple[int, ...]:
        return self.problem.shape

    @property
    def state_size(self) -> int:
        return self.problem.field.dim * (1 if self.problem.first_order else 2)

    @property
    def blocks(self) -> Mapping[str, slice]:
        d = self.problem.field.dim
        if self.problem.first_order:
            return {"position": slice(0, d)}
        return {"position": slice(0, d), "momentum": slice(d, 2 * d)}

    @property
    def n_steps(self) -> int:
        return self.problem.n_steps

    @property
    def step(self) -> Float:
        return self.problem.steps.reshape(self.shape)

    @property
    def default_block(self) -> str:
        return "position"

    def select(self, lanes: slice | NDArray[np.bool_], threads: int | None = None) -> Self:
        """The same recurrence on some of its lanes, flattened; on as many threads unless told otherwise."""
        part = copy(self)
        part.problem = self.problem.select(lanes)
        part.threads = self.threads if threads is None else threads
        return part

    def run(self) -> Float:
        """Final state (y_N, p_N), shape (*step.shape, D)."""
        state, _, overflowed = self.problem.forward(threads=self.threads, progress=self.progress)
        self._mark_lost(overflowed, state)
        return state.reshape(*self.shape, self.state_size)

    def pushforward(self, columns: ArrayLike, rows: str | None = None) -> Scaled:
        """J V for tangent columns V of shape (D, k), J = ∂(y_N, p_N)/∂(y_0, p_0).

        With ``rows="position"`` only ∂y_N, which spares the last half kick.
        """
        _, end, overflowed = self.problem.forward(
            self._checked(columns, "columns"),
            close=rows != "position",
            threads=self.threads,
            progress=self.progress,
        )
        self.check_lost(overflowed, end.values)
        return self._scaled(end, rows)

    def pullback(self, cotangents: ArrayLike) -> Scaled:
        """Jᵀ Λ for cotangent columns Λ of shape (D, k), by the transposed factors in reversed order.

        Keeps y at every kick while that fits into half a GiB, else checkpoints (`checkpointed_pullback`).
        """
        pulled = checkpointed_pullback(
            self.problem,
            self._checked(cotangents, "cotangents"),
            threads=self.threads,
            progress=self.progress,
        )
        self.check_lost(pulled.overflowed, pulled.columns.values)
        return self._scaled(pulled.columns, None)

    def propagate(
        self, columns: ArrayLike, ends: Sequence[int], visit: Visit, rows: str | None = None
    ) -> NDArray[np.bool_]:
        """Push columns (D, k) forwards in segments that end at the steps `ends`.

        ``visit(lanes, step, columns)`` sees each block's columns and may return others, (lanes, D, k), to go
        on with. Before the last step the state is (y, p) with p before the kick at the node. Returns which
        lanes were lost to an overflow of the state.
        """

        def follow(block: BlockWalk) -> None:
            done = 0
            for end in ends:
                block.go(done, end)
                done = end
                replaced = visit(block.lanes, end, Scaled.of(*block.columns()))
                if replaced is not None:
                    block.replace(replaced)

        return self.walk(columns, follow, rows)

    def walk(
        self, columns: ArrayLike, follow: Callable[[BlockWalk], None], rows: str | None = None
    ) -> NDArray[np.bool_]:
        """Push columns (D, k) forwards in pieces that may be taken back: `follow` moves each block of lanes.

        Returns which lanes were lost to an overflow of the state.
        """
        start = self._checked(columns, "columns")

        def each(lanes: slice, block: Block, go: Callable[[Block, int, int], None]) -> None:
            follow(BlockWalk(self.problem, lanes, block, go, start.shape[1]))

        *_, overflowed = self.problem.forward(
            start, close=rows != "position", follow=each, threads=self.threads, progress=self.progress
        )
        return self.check_lost(overflowed)

    @property
    def qr_interval(self) -> NDArray[np.int64]:
        """Steps that columns can be pushed, whatever they meet, before a QR loses digits, for each lane.

        Each lane by itself: which others run beside it makes no difference to its bits.
        """
        problem = self.problem
        bits = np.maximum(*problem.range_bits(problem.program(), problem.steps))
        return np.array([problem.steps_within(10, 8, lane) for lane in bits.tolist()], dtype=np.int64)

    @property
    def linearised_bytes(self) -> int:
        """8 bytes · kicks · d: what `linearised` keeps for one lane."""
        return 8 * self.problem.program().n_entries * self.problem.entry_rows

    def linearised(self, rows: str | None = None) -> LinearisedOde:
        """The stored one-step Jacobians; with ``rows="position"`` without the last half kick."""
        close = rows != "position"
        return LinearisedOde(self, Linearisation(self.problem, close, self.threads, self.progress))

    def parameter_gradient(self, cotangent: ArrayLike) -> Float:
        """∂⟨λ, s_N⟩/∂θ for one cotangent λ of shape (D,), packed as ``field.theta``."""
        lam = self._checked(np.asarray(cotangent, dtype=np.float64).reshape(-1, 1), "cotangent")
        pulled = checkpointed_pullback(
            self.problem, lam, gradient=True, threads=self.threads, progress=self.progress
        )
        self._mark_lost(pulled.overflowed, pulled.gradient)  # it contains the states themselves
        return pulled.gradient.reshape(*self.shape, -1)

    def reversed_pullback(
        self, cotangents: ArrayLike, *, gradient: bool = False, compare: bool = True
    ) -> ReversedSweep:
        """`pullback` in O(D) memory whatever N is: the run finds its own way back.

        For symmetric schemes and cells with an inverse; reports how far off the way back ended, and with
        `compare` how far the cotangents are from those of `pullback`.
        """
        lam = self._checked(cotangents, "cotangents")
        options = {"threads": self.threads, "progress": self.progress}
        return reversed_pullback(self.problem, lam, gradient=gradient, compare=compare, **options)

    # ------------------------------------------------------------------------------------------- inside

    def _checked(self, columns: ArrayLike, argument: str) -> Float:
        array = as_array(columns, argument, 2)
        if array.shape[0] != self.state_size:
            raise ValueError(
                f"{argument} has {array.shape[0]} rows; the state of this recurrence has {self.state_size}."
            )
        return array

    def _scaled(self, part: Columns, rows: str | None) -> Scaled:
        values = part.values if rows is None else part.values[:, self.blocks[rows]]
        apart = None if part.apart is None else part.apart.reshape(*self.shape, values.shape[-1])
        return Scaled(
            values.reshape(*self.shape, *values.shape[1:]), part.exponent.reshape(self.shape), apart
        )

    def check_lost(self, lost: NDArray[np.int64], *tangents: Float) -> NDArray[np.bool_]:
        """Raise, or make tangents NaN and warn, where they are those of a trajectory that overflowed.

        Returns which lanes that concerns: none of a field whose DF is the same everywhere.
        """
        if self.problem.field.constant_jacobian:
            return np.zeros(lost.shape, bool)
        self._mark_lost(lost, *tangents)
        return lost >= 0

    def _mark_lost(self, lost: NDArray[np.int64], *results: Float) -> None:
        if not (lost >= 0).any():
            return
        first = self.problem.overflow(int(np.argmax(lost >= 0)))
        if self.problem.shape == ():
            raise first
        for array in results:
            array[lost >= 0] = np.nan
        warnings.warn(
            f"{np.count_nonzero(lost >= 0)} of {lost.size} lanes are NaN: {first}",
            RuntimeWarning,
            stacklevel=_level_of_caller(),
        )


def _level_of_caller() -> int:
    """Stack level, as `warnings.warn` counts it from `_mark_lost`, of the first frame outside the package."""
    frame, level, package = sys._getframe(1), 1, __name__.partition(".")[0]
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == package:
        frame, level = frame.f_back, level + 1
    return level


class LinearisedOde:
    """J along one stored trajectory (see `integrators.run.linearisation`).

    Attributes
    ----------
    lost : ndarray of bool, shape (lanes,)
        Lanes whose trajectory overflowed: J means nothing there.
    """

    def __init__(self, recurrence: OdeRecurrence, linearisation: Linearisation) -> None:
        self._linearisation = linearisation
        self._field = recurrence.problem.field
        self._d = recurrence.problem.field.dim
        self.lost = (linearisation.overflowed >= 0) & (not recurrence.problem.field.constant_jacobian)

    def pushforward(self, columns: Float) -> Scaled:
        """J V for V of shape (lanes, D, k)."""
        return self._sweep(columns, self._linearisation.push)

    def pullback(self, cotangents: Float) -> Scaled:
        """Jᵀ Λ for Λ of shape (lanes, D, k)."""
        return self._sweep(cotangents, self._linearisation.pull)

    def leaning(self, vector: Float) -> Float:
        """WᵀW v on y and p, twice, for a network: its steps amplify what W does."""
        if not isinstance(self._field, NeuralField):
            return vector
        W = self._field.W
        parts = vector.reshape(-1, self._d).T
        with one_blas_thread(), np.errstate(over="ignore", invalid="ignore"):
            for _ in range(2):
                parts = W.T @ (W @ parts)
                parts = parts / np.abs(parts).max(initial=0.0)
        return parts.T.ravel() if np.isfinite(parts).all() else vector

    @staticmethod
    def _sweep(columns: Float, sweep: Callable[[Float], Columns]) -> Scaled:
        end = sweep(columns)
        return Scaled(end.values, end.exponent, end.apart)
