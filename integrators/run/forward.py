"""Forward sweeps over all batch members of a recurrence, in blocks on threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from integrators.codegen.memory import aligned_array
from integrators.codegen.threads import thread_count
from integrators.engine.blocks import POOL_SECONDS, Ticker, run_blocks
from integrators.engine.column_scale import Gathering, Scaled
from integrators.engine.drivers import NOTHING, Block, Run

from .sizes import block_shape

if TYPE_CHECKING:
    from .recurrence import Recurrence

__all__ = ["Follow", "Keep", "forward"]

Float = NDArray[np.float64]

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
    system, D, m = recurrence.system, recurrence.state_size, recurrence.members
    program, n_steps = recurrence.program(close), recurrence.n_steps
    start = np.zeros((D, 0)) if columns is None else columns
    k = start.shape[1]
    state, overflowed, gathered = np.empty((m, D)), np.full(m, -1, np.int64), Gathering(m, D, k)
    seconds = system.seconds(k) * max(1, program.evaluations_per_step)
    total = seconds * m * n_steps
    threads = thread_count(recurrence.threads)
    threads = 1 if total < POOL_SECONDS and follow is None else threads
    width, pad_members, pad_columns = block_shape(system, m, k, threads)
    padded = _padded(start, pad_columns)

    def work(members: slice, ticker: Ticker) -> None:
        real = members.stop - members.start
        n = real + -real % pad_members
        which = np.minimum(np.arange(members.start, members.start + n), m - 1)
        run = recurrence.driver_run(which, program, tick=ticker)._replace(tape=tape)
        block = recurrence.block(which, padded)
        entries = aligned_array((program.n_entries if tape else 0, system.dim, n), recurrence.dtype)
        states = np.empty((n_steps + 1 if nodes else 0, D, n), recurrence.dtype)

        def go(block: Block, start: int, stop: int) -> None:
            ticker.in_chunks(
                lambda a, b: recurrence.advance(run, block, entries, states, start + a, start + b),
                stop - start,
                real,
                seconds * n,
            )

        if follow is None:
            go(block, 0, n_steps)
        else:
            follow(members, block, go)
        state[members] = block.state.T[:real]
        gathered.put(members.start, members.stop, block.columns, block.exponent)
        overflowed[members] = block.overflowed[:real]
        if keep is not None:
            keep(members, run, entries, states, block, ticker)

    run_blocks(
        m,
        width,
        work,
        total=m * n_steps,
        seconds=total,
        label=recurrence.label,
        threads=threads,
        progress=recurrence.progress,
    )
    return state, gathered.scaled(), overflowed


def _padded(array: NDArray, multiple: int) -> NDArray:
    """`array` with zeros after its last axis, up to a multiple of some length."""
    missing = -array.shape[-1] % multiple
    return np.concatenate([array, np.zeros((*array.shape[:-1], missing))], axis=-1) if missing else array
