"""A stored trajectory with which tangents are pushed and cotangents pulled as often as wanted."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from integrators.codegen.primitives import aligned_array
from integrators.engine.blocks import Ticker, one_blas_thread, run_blocks
from integrators.engine.column_scale import Scaled, column_counts, members_first, scaled_in_place
from integrators.engine.drivers import CONDENSE, KEEP, REPLAY, Block, Run
from integrators.fields.neural import NeuralField

from .forward import column_padding, forward, padded_members

if TYPE_CHECKING:
    from .recurrence import Recurrence

__all__ = ["Linearisation"]

Float = NDArray[np.float64]


class _Part(NamedTuple):
    members: slice
    run: Run
    tape: NDArray  # (entries, rows, padded members)


class Linearisation:
    """The one-step Jacobians of a run, kept as what each operation needs (`Recurrence.linearised_bytes`).

    Parameters
    ----------
    recurrence : Recurrence
    close : bool
        See `Program`: False leaves out the last half kick, which ∂y_N/∂y_0 does not need.

    Attributes
    ----------
    overflowed : ndarray of bool, shape (members,)
        Members whose trajectory overflowed: J means nothing there.
    """

    def __init__(self, recurrence: Recurrence, close: bool) -> None:
        self.recurrence = recurrence
        self._parts: list[_Part] = []
        tape = CONDENSE if recurrence.system.condenses else KEEP
        *_, overflowed = forward(recurrence, close=close, keep=self._keep, tape=tape)
        self.overflowed: NDArray[np.bool_] = (overflowed >= 0) & (not recurrence.system.constant_jacobian)
        self._parts.sort(key=lambda part: part.members.start)

    def _keep(self, members: slice, run: Run, tape: NDArray, *_: object) -> None:
        self._parts.append(_Part(members, run, tape))

    def pushforward(self, columns: Float) -> Scaled:
        """J V for V of shape (members, D, k)."""
        return self._sweep(columns, self._push_part)

    def pullback(self, cotangents: Float) -> Scaled:
        """Jᵀ Λ for Λ of shape (members, D, k)."""
        return self._sweep(cotangents, self._pull_part)

    def start_vector(self, vector: Float) -> Float:
        """A (D,) vector turned towards what J amplifies most, where that is known beforehand.

        For a network WᵀW v on y and p, twice, since its steps amplify what W does; else the vector itself.
        """
        if not isinstance(self.recurrence.system, NeuralField):
            return vector
        W = self.recurrence.system.W
        parts = vector.reshape(-1, len(W)).T
        with one_blas_thread(), np.errstate(over="ignore", invalid="ignore"):
            for _ in range(2):
                parts = W.T @ (W @ parts)
                parts = parts / np.abs(parts).max(initial=0.0)
        return parts.T.ravel() if np.isfinite(parts).all() else vector

    def _sweep(self, given: Float, sweep_part: Callable[..., Callable[[int, int], None]]) -> Scaled:
        m, D, k = given.shape
        n_steps = self.recurrence.n_steps
        values, exponents = np.empty((m, D, k)), np.zeros((m, k), np.int64)
        seconds = self.recurrence.system.seconds(k)

        def work(index: slice, ticker: Ticker) -> None:
            for part in self._parts[index]:
                n = part.run.step.size
                which = padded_members(part.members, n, m)
                padded = k + -k % column_padding(self.recurrence.system, k, n, self.recurrence.dtype)
                columns = aligned_array((D, padded, n), self.recurrence.dtype)
                columns[:, :k] = given[which].transpose(1, 2, 0)
                columns[:, k:] = 0.0
                exponent = column_counts(padded, n)
                ticker.in_chunks(sweep_part(part, columns, exponent), n_steps, n, seconds * n)
                real = part.members.stop - part.members.start
                found = members_first(columns, exponent, real, k)
                values[part.members], exponents[part.members] = found

        run_blocks(
            len(self._parts),
            1,
            work,
            total=m * n_steps,
            seconds=seconds * m * n_steps,
            label="sweep",
            threads=self.recurrence.threads,
            progress=self.recurrence.progress,
        )
        return scaled_in_place(values, exponents)

    def _push_part(
        self, part: _Part, columns: NDArray, exponent: NDArray[np.int64]
    ) -> Callable[[int, int], None]:
        recurrence, (D, _, n) = self.recurrence, columns.shape
        run = part.run._replace(tape=REPLAY)
        block = Block(np.zeros((D, n), recurrence.dtype), columns, exponent, np.zeros(n, np.int64))
        none, sweep, theta = part.tape[:0], recurrence.system.forward, recurrence.theta
        return lambda start, stop: sweep(theta, run, block, part.tape, none, start, stop)

    def _pull_part(
        self, part: _Part, columns: NDArray, exponent: NDArray[np.int64]
    ) -> Callable[[int, int], None]:
        recurrence, n_steps = self.recurrence, self.recurrence.n_steps
        none = np.zeros(0, recurrence.dtype)
        return lambda start, stop: recurrence.backward_sweep(
            part.run, part.tape, (columns, exponent), none, n_steps - stop, n_steps - start
        )
