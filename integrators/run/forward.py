"""Forward sweeps over all batch members of a recurrence, in blocks on threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from integrators.codegen.memory import aligned_array
from integrators.codegen.threads import thread_count
from integrators.engine.blocks import IDLE, POOL_SECONDS, Ticker, run_blocks
from integrators.engine.column_scale import Gathering, Scaled
from integrators.engine.drivers import CONDENSE, NOTHING, Block, Run

from .sizes import block_shape

if TYPE_CHECKING:
    from .recurrence import Recurrence

__all__ = ["Follow", "Keep", "forward", "padded_members"]

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
    sweep = _ForwardSweep(recurrence, columns, close, keep, tape, nodes, follow)
    system, m = recurrence.system, recurrence.members
    seconds = sweep.seconds * m * recurrence.n_steps
    threads = thread_count(recurrence.threads)
    # Over before a bar or another thread could be of use, and before Ctrl-C is felt.
    short = seconds < POOL_SECONDS and follow is None and not recurrence.progress
    threads = 1 if short else threads
    width, sweep.pad_members, pad_columns = block_shape(
        system, m, sweep.columns.shape[1], threads, recurrence.dtype
    )
    if missing := -sweep.columns.shape[-1] % pad_columns:
        zeros = np.zeros((*sweep.columns.shape[:-1], missing))
        sweep.columns = np.concatenate([sweep.columns, zeros], axis=-1)
    if short:
        for first in range(0, m, width):
            sweep(slice(first, min(first + width, m)), None)
    else:
        run_blocks(
            m,
            width,
            sweep,
            total=m * recurrence.n_steps,
            seconds=seconds,
            label=recurrence.label,
            threads=threads,
            progress=recurrence.progress,
        )
    return sweep.state, sweep.gathered.scaled(), sweep.overflowed


class _ForwardSweep:
    """The work of `forward` on one block of members, and what it leaves of all."""

    def __init__(
        self,
        recurrence: Recurrence,
        columns: Float | None,
        close: bool,
        keep: Keep | None,
        tape: int,
        nodes: bool,
        follow: Follow | None,
    ) -> None:
        m, D = recurrence.members, recurrence.state_size
        self.recurrence, self.program, self.pad_members = recurrence, recurrence.program(close), 1
        self.columns = np.zeros((D, 0)) if columns is None else columns
        self.keep, self.tape, self.nodes, self.follow = keep, tape, nodes, follow
        k = self.columns.shape[1]
        self.seconds = recurrence.system.seconds(k) * max(1, self.program.evaluations_per_step)
        self.state, self.overflowed = np.empty((m, D)), np.empty(m, np.int64)
        self.gathered = Gathering(m, D, k)

    def __call__(self, members: slice, ticker: Ticker | None) -> None:
        """Run a block; without a ticker in one call."""
        recurrence, program, n_steps = self.recurrence, self.program, self.recurrence.n_steps
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
                lambda a, b: recurrence.forward_sweep(run, block, entries, states, start + a, start + b),
                stop - start,
                real,
                self.seconds * n,
            )

        if self.follow is not None:
            self.follow(members, block, go)
        elif ticker is None:
            recurrence.forward_sweep(run, block, entries, states, 0, n_steps)
        else:
            go(block, 0, n_steps)
        self.state[members] = block.state.T[:real]
        self.gathered.put(members.start, members.stop, block.columns, block.exponent)
        self.overflowed[members] = block.overflowed[:real]
        if self.keep is not None:
            self.keep(members, run, entries, states, block, tick)


def padded_members(members: slice, multiple: int, total: int) -> NDArray[np.intp]:
    """The members of a block, the last of `total` repeated up to a multiple of some number."""
    real = members.stop - members.start
    which = np.arange(members.start, members.start + real + -real % multiple)
    return np.minimum(which, total - 1) if multiple > 1 else which
