"""Backpropagation through time for training: cotangents of every state, gradients summed over lanes."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .blocks import POOL_SECONDS, Ticker, run_blocks
from .cell_flow import Taps
from .cell_problem import CellProblem
from .checkpoint import MEMORY_BYTES, backwards, block_members, block_run, initial_lanes, stretch
from .flow import Record
from .schedule import Schedule
from .threads import thread_count
from .values import equal, fingerprint

__all__ = ["Gradients", "backpropagate", "trajectory"]

Float = NDArray[np.float64]

# Lanes of a block. A constant, so that the order of the sum over lanes does not depend on the threads; wide
# enough for a weight gradient to be a matrix product, narrow enough for two threads and a batch of 32.
WIDTHS = (16, 32)
FORCING_BYTES = 1 << 24


class Gradients(NamedTuple):
    """Gradients of a scalar loss.

    Attributes
    ----------
    theta : ndarray, shape (P,)
        Summed over the lanes.
    s0 : ndarray, shape (lanes, D)
    inputs : ndarray, shape (lanes, N, n_inputs), or (lanes, 0, n_inputs) if not asked for
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


def _width(n_lanes: int) -> int:
    return WIDTHS[n_lanes > WIDTHS[0] * 4]


def trajectory(problem: CellProblem, *, threads: int | None = None, progress: bool | None = None) -> Float:
    """s_0 … s_N of every lane, shape (N + 1, D, lanes)."""
    states = np.empty((problem.n_steps + 1, problem.cell.dim, problem.n_lanes))
    states[0] = problem.y0.T

    def keep(block: slice, run: object, record: Record, *_: object) -> None:
        states[1:, :, block] = record.nodes_y[1:, :, : block.stop - block.start]

    problem.forward(nodes=True, keep=keep, threads=threads, progress=progress)
    return states


def backpropagate(
    problem: CellProblem,
    cotangents: Float,
    *,
    inputs: bool = False,
    memory_bytes: int = MEMORY_BYTES,
    threads: int | None = None,
    progress: bool | None = None,
) -> Gradients:
    """Gradients of C given its derivatives by the states.

    Parameters
    ----------
    problem : CellProblem
    cotangents : ndarray, shape (N + 1, D, lanes) or (D, lanes)
        ∂C/∂s_0 … ∂C/∂s_N, each at fixed other states; or ∂C/∂s_N of a loss of the last state alone.
    inputs : bool
        Also the gradients by the inputs.
    memory_bytes : int
        For trajectories; longer ones are run twice, a stretch at a time.
    threads, progress
        As everywhere; the result has the same bits for all.
    """
    N, m, D = problem.n_steps, problem.n_lanes, problem.cell.dim
    every_step = cotangents.ndim == 3
    wanted = (N + 1, D, m) if every_step else (D, m)
    if cotangents.shape != wanted:
        raise ValueError(f"cotangents have shape {cotangents.shape}; this run asks for {wanted}.")
    threads = thread_count(threads)
    seconds = 4.0 * problem.seconds(1) * m * N
    threads = 1 if seconds < POOL_SECONDS else threads
    width = _width(m)
    schedule = Schedule.of(problem.scheme, N)
    whole = 8 * D * width * (N + 1)
    length = N if whole * threads <= memory_bytes else max(1, math.isqrt(2 * N))
    parts = np.zeros((-(-m // width), problem.theta.size))
    by_start, by_input = np.empty((m, D)), np.empty((m, N if inputs else 0, problem.cell.n_inputs))

    def work(block: slice, ticker: Ticker) -> None:
        run = block_run(problem, block, schedule, width, ticker)
        n, real = run.step.size, block.stop - block.start
        lam, exponent = np.zeros((D, 1, n)), np.zeros(n, np.int64)
        # Lanes that only fill the register have cotangent zero, and add nothing to the sum.
        if not every_step:
            lam[:, 0, :real] = cotangents[:, block]
        state = initial_lanes(problem, block_members(problem, block, width))
        gradient = parts[block.start // width]
        most = max(1, FORCING_BYTES // (8 * D * n))
        for stored in backwards(problem, run, state, length, ticker):
            part = stretch(run, stored.start, stored.stop)
            offset = stored.start - part.start
            for b in range(part.stop, part.start, -most):
                a = max(b - most, part.start)
                taps = Taps.none()
                if every_step:
                    forcing = np.zeros((b - a, D, n))
                    forcing[:, :, :real] = cotangents[a + offset + 1 : b + offset + 1, :, block]
                    taps = taps._replace(forcing=forcing)
                if inputs:
                    taps = taps._replace(inputs=np.empty((b - a, problem.cell.n_inputs, 1, n)))
                _pull(problem, part.run, stored.stations, (lam, lam, exponent), gradient, a, b, taps, ticker)
                if inputs:
                    by_input[block, a + offset : b + offset] = taps.inputs[:, :, 0, :real].transpose(2, 0, 1)
        if every_step:
            lam[:, 0, :real] += cotangents[0, :, block]
        by_start[block] = lam[:, 0, :real].T

    run_blocks(
        m, width, work, total=2 * m * N, seconds=seconds, label="gradient", threads=threads, progress=progress
    )
    return Gradients(parts.sum(axis=0), by_start, by_input)


def _pull(problem, run, stations, cotangents, gradient, start, stop, taps, ticker: Ticker) -> None:
    """`CellProblem.retreat` in pieces short enough for Ctrl-C, the last first."""

    def call(a: int, b: int) -> None:
        low, high = stop - b - start, stop - a - start
        piece = taps._replace(
            forcing=taps.forcing[low:high] if taps.forcing.size else taps.forcing,
            inputs=taps.inputs[low:high] if taps.inputs.size else taps.inputs,
        )
        problem.retreat(run, stations, cotangents, gradient, stop - b, stop - a, taps=piece)

    ticker.in_chunks(call, stop - start, run.step.size, 3.0 * problem.seconds(1) * run.step.size)
