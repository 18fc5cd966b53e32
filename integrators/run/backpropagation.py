"""Backpropagation through time: cotangents of every state, gradients summed over the batch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from integrators.codegen.threads import thread_count
from integrators.engine.blocks import POOL_SECONDS, Ticker, run_blocks
from integrators.engine.drivers import Taps
from integrators.values import equal, fingerprint

from .checkpoint import MEMORY_BYTES, Cotangents, Segment, backwards, block_members, block_run
from .forward import forward

if TYPE_CHECKING:
    from .recurrence import Recurrence

__all__ = ["Gradients", "backpropagate", "trajectory"]

Float = NDArray[np.float64]

# Members of a block. A constant, so that the order of the sum over members does not depend on the threads;
# wide enough for a weight gradient to be a matrix product, narrow enough for two threads and a batch of 32.
WIDTHS = (16, 32)
FORCING_BYTES = 1 << 24


class Gradients(NamedTuple):
    """Gradients of a scalar loss.

    Attributes
    ----------
    theta : ndarray, shape (P,)
        Summed over the members.
    s0 : ndarray, shape (members, D)
    inputs : ndarray, shape (members, N, n_inputs), or (members, 0, n_inputs) if not asked for
    """

    theta: Float
    s0: Float
    inputs: Float

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Gradients) and equal(tuple(self), tuple(other))

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(fingerprint(tuple(self)))


def _width(members: int) -> int:
    return WIDTHS[members > WIDTHS[0] * 4]


def trajectory(recurrence: Recurrence) -> Float:
    """s_0 … s_N of every member, shape (N + 1, D, members)."""
    states = np.empty((recurrence.n_steps + 1, recurrence.state_size, recurrence.members))
    states[0] = recurrence.start.T

    def keep(members: slice, run: object, tape: Float, nodes: Float, *_: object) -> None:
        states[1:, :, members] = nodes[1:, :, : members.stop - members.start]

    forward(recurrence, nodes=True, keep=keep)
    return states


def backpropagate(
    recurrence: Recurrence,
    cotangents: Float,
    *,
    inputs: bool = False,
    memory_bytes: int = MEMORY_BYTES,
) -> Gradients:
    """Gradients of C given its derivatives by the states.

    Parameters
    ----------
    recurrence : Recurrence
    cotangents : ndarray, shape (N + 1, D, members) or (D, members)
        ∂C/∂s_0 … ∂C/∂s_N, each at fixed other states; or ∂C/∂s_N of a loss of the last state alone.
    inputs : bool
        Also the gradients by the inputs.
    memory_bytes : int
        For trajectories; longer ones are run twice, a segment at a time. The result has the same bits for
        all, and for every number of threads.
    """
    N, m, D = recurrence.n_steps, recurrence.members, recurrence.state_size
    every_step = cotangents.ndim == 3
    wanted = (N + 1, D, m) if every_step else (D, m)
    if cotangents.shape != wanted:
        raise ValueError(f"cotangents have shape {cotangents.shape}; this run asks for {wanted}.")
    width, seconds, program = _width(m), 4.0 * recurrence.system.seconds(1) * m * N, recurrence.program()
    threads = thread_count(recurrence.threads)
    threads = 1 if seconds < POOL_SECONDS else threads
    length = N if 8 * D * width * (N + 1) * threads <= memory_bytes else max(1, math.isqrt(2 * N))
    parts = np.zeros((-(-m // width), recurrence.theta.size))
    by_start, by_input = np.empty((m, D)), np.empty((m, N if inputs else 0, recurrence.system.n_inputs))

    def work(members: slice, ticker: Ticker) -> None:
        run = block_run(recurrence, members, program, width, ticker)
        n, real = run.step.size, members.stop - members.start
        lam = Cotangents(np.zeros((D, 1, n)), np.zeros(n, np.int64))
        # Members that only fill the register have cotangent zero, and add nothing to the sum.
        if not every_step:
            lam.columns[:, 0, :real] = cotangents[:, members]
        gradient = parts[members.start // width]
        block = recurrence.block(block_members(recurrence, members, width))
        most = max(1, FORCING_BYTES // (8 * D * n))
        for segment in backwards(recurrence, run, block, length, ticker):
            for b in range(segment.stop, segment.start, -most):
                a = max(b - most, segment.start)
                taps = Taps.none()
                if every_step:
                    forcing = np.zeros((b - a, D, n))
                    forcing[:, :, :real] = cotangents[a + 1 : b + 1, :, members]
                    taps = taps._replace(forcing=forcing)
                if inputs:
                    taps = taps._replace(inputs=np.empty((b - a, recurrence.system.n_inputs, 1, n)))
                _pull(recurrence, segment, lam, gradient, a, b, taps, ticker)
                if inputs:
                    by_input[members, a:b] = taps.inputs[:, :, 0, :real].transpose(2, 0, 1)
        if every_step:
            lam.columns[:, 0, :real] += cotangents[0, :, members]
        by_start[members] = lam.columns[:, 0, :real].T

    run_blocks(
        m,
        width,
        work,
        total=2 * m * N,
        seconds=seconds,
        label="gradient",
        threads=threads,
        progress=recurrence.progress,
    )
    return Gradients(parts.sum(axis=0), by_start, by_input)


def _pull(
    recurrence: Recurrence,
    segment: Segment,
    lam: Cotangents,
    gradient: Float,
    start: int,
    stop: int,
    taps: Taps,
    ticker: Ticker,
) -> None:
    """`Recurrence.backward_sweep` in pieces short enough for Ctrl-C, the last first."""
    run = segment.run

    def call(a: int, b: int) -> None:
        low, high = stop - b - start, stop - a - start
        piece = taps._replace(
            forcing=taps.forcing[low:high] if taps.forcing.size else taps.forcing,
            inputs=taps.inputs[low:high] if taps.inputs.size else taps.inputs,
        )
        recurrence.backward_sweep(run, segment.tape, lam, gradient, stop - b, stop - a, piece)

    ticker.in_chunks(call, stop - start, run.step.size, 3.0 * recurrence.system.seconds(1) * run.step.size)
