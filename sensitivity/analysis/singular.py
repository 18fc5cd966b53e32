"""Blocks of ∂s_N/∂s_0, whole, and their largest singular values by Lanczos sweeps where these cost less."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from integrators.codegen.threads import thread_count
from integrators.engine.blocks import POOL_SECONDS, Ticker, run_blocks
from integrators.engine.column_scale import Scaled, from_scaled, log_scaled, scaled_in_place
from integrators.run.recurrence import Recurrence
from integrators.validation import as_number
from integrators.values import ByValue
from sensitivity.recurrences.powers import power_jacobian, powers_pay

from .cost import expected_iterations, iterations_that_pay, structure_of
from .lanczos import JacobianBlock, SingularTriplets, repeated_triplets
from .neurons import NeuronBlocks, neuron_blocks

__all__ = [
    "Block",
    "Method",
    "SingularValues",
    "block_of",
    "blocks_of_neurons",
    "full_at_once",
    "leading",
    "scaled_jacobian",
]

Float = NDArray[np.float64]
Method = Literal["auto", "full", "lanczos"]
Block = Literal["position", "phase"]

# Below this many columns the full product costs less than the first few sweeps, whatever it is of.
FULL_COLUMNS = 48
# What one step of one member may take in a compiled call, which nothing interrupts: some 50 ms.
STEP_OPERATIONS = 2_500_000_000
# The trajectories that all threads work on fit into this, if those of one member each do.
STORE_BYTES = 1 << 30
# Members are iterated in groups, each until its last member has converged: as few as fill a register, or as
# many as make a sweep of some milliseconds, with states that stay in cache. Cells also keep slopes: 64 LSTMs
# with d = 64 and 200 steps take 0.11 s in groups of 8, 0.09 s in groups of 15, and 0.08 s in groups of 30.
GROUP_MEMBERS, GROUP_BYTES = 8, 1 << 22
# A rough estimate: some ten iterations of two sweeps.
SECONDS_PER_BYTE_AND_COLUMN = 2e-10


@dataclass(frozen=True, eq=False)
class SingularValues(ByValue):
    """Singular values σ = values · 2^exponent of each batch member, with their vectors.

    Attributes
    ----------
    values : ndarray, shape (*batch, k)
        In descending order, or ascending if the smallest were asked for.
    exponent : ndarray of int, shape batch
        The power of two of each batch member.
    left, right : ndarray, shape (*batch, rows, k) and (*batch, columns, k)
        Singular vectors: J · right = left · σ.

    Examples
    --------
    >>> import numpy as np
    >>> import leapgrad as lg
    >>> field = lg.NeuralField.random(5, rng=0)
    >>> found = lg.singular_values(field, "leapfrog", step=0.1, n_steps=50)
    >>> J = lg.jacobian(field, "leapfrog", step=0.1, n_steps=50)
    >>> bool(np.allclose(J @ found.right, found.left * found.unscaled()))
    True
    """

    values: Float
    exponent: NDArray[np.int64]
    left: Float
    right: Float

    @property
    def log(self) -> Float:
        """log σ, shape (*batch, k); −inf for zero."""
        return log_scaled(self.values, self.exponent[..., None])

    def unscaled(self) -> Float:
        """σ in float64, inf or 0 where it does not fit."""
        return from_scaled(self.values, self.exponent[..., None])

    def __array__(self, dtype=None, copy=None) -> NDArray:
        return np.asarray(self.unscaled(), dtype=dtype)

    def __repr__(self) -> str:
        return f"SingularValues({np.array2string(self.unscaled(), precision=6, threshold=8)})"


def block_of(recurrence: Recurrence, block: str | None) -> tuple[slice, str | None]:
    """The rows of a block in the state, and the name that the methods of a recurrence have for them.

    Parameters
    ----------
    recurrence : Recurrence
    block : str or None
        A name of ``recurrence.blocks``; "phase" or "state" for the whole state; None for the default.

    Returns
    -------
    part : slice
        Its rows and columns.
    rows : str or None
        The name of the block; None for the whole state.

    Raises
    ------
    ValueError
        If the recurrence has no such block, or one without components.
    """
    blocks = recurrence.blocks
    block = recurrence.default_block if block is None else block
    if isinstance(block, str):
        if block in blocks and blocks[block].stop > blocks[block].start:
            return blocks[block], block
        if block == "state" or (block == "phase" and len(blocks) > 1):
            return slice(0, recurrence.state_size), None
        if block == "phase":
            only = next(iter(blocks))
            raise ValueError(
                f"block='phase' asks for a second-order system, but the state here is {only!r} alone; "
                f"use block={only!r}."
            )
    whole = "phase" if getattr(recurrence, "cell", None) is None else "state"
    held = [name for name, part in blocks.items() if part.stop > part.start]
    known = ", ".join(repr(name) for name in (*held, whole))
    if isinstance(block, str) and block in blocks:
        raise ValueError(f"block {block!r} has no components in this recurrence; it has {known}.")
    raise ValueError(f"block {block!r} is not known; this recurrence has {known}.")


def scaled_jacobian(recurrence: Recurrence, block: str | None) -> Scaled:
    """The block of ∂s_N/∂s_0 that `block` names, with a power of two taken out for every batch member.

    That of a long run of a time-invariant linear map comes from powers of one matrix, see `powers`. Otherwise
    the columns of large blocks are taken in several runs, so that a step stays short enough for Ctrl-C.
    """
    part, rows = block_of(recurrence, block)
    if recurrence.system.decoupled:
        return blocks_of_neurons(recurrence, part).whole().shaped(recurrence.shape)
    width = part.stop - part.start
    if recurrence.system.constant_jacobian and powers_pay(recurrence, width):
        found = power_jacobian(recurrence, np.eye(recurrence.state_size, width, -part.start), rows)
        if found is not None:
            return found
    runs = max(1, -(-2 * width**3 // STEP_OPERATIONS))
    count = -(-width // runs)
    pieces = []
    for start in range(part.start, part.stop, count):
        unit = np.eye(recurrence.state_size, min(count, part.stop - start), -start)
        pieces.append(recurrence.pushforward(unit, rows=rows))
    if len(pieces) == 1:
        return pieces[0]
    values, exponents = (
        np.concatenate([getattr(p, name) for p in pieces], axis=-1) for name in ("values", "exponents")
    )
    return scaled_in_place(values, exponents)


def blocks_of_neurons(recurrence: Recurrence, part: slice) -> NeuronBlocks:
    """Those rows and columns of ∂s_N/∂s_0 for a cell whose neurons do not see one another."""
    d = recurrence.system.d
    return neuron_blocks(recurrence).part(slice(part.start // d, part.stop // d))


def full_at_once(recurrence: Recurrence, width: int, method: Any, tol: Any) -> bool:
    """Whether the full matrix is the way to singular values, whatever the recurrence is.

    Parameters
    ----------
    recurrence : Recurrence
    width : int
        Columns of the block.
    method, tol
        The way and its accuracy, as a user gives them.

    Raises
    ------
    ValueError, TypeError
        If there is no such way, or `tol` is no number between 0 and 1.
    """
    if not isinstance(method, str) or method not in ("auto", "full", "lanczos"):
        raise ValueError(f"method {method!r} is not known; use 'auto', 'full' or 'lanczos'.")
    as_number(tol, "tol", 0.0, 1.0)
    return method == "full" or recurrence.members == 0 or (method == "auto" and width < FULL_COLUMNS)


def leading(
    recurrence: Recurrence, part: slice, rows: str | None, k: int, method: Method, tol: float
) -> SingularTriplets | None:
    """The k largest singular triplets of a block by Lanczos, or None where the full matrix is the better way.

    Parameters
    ----------
    recurrence : Recurrence
    part, rows
        The block, as `block_of` has it.
    k, method, tol
        As for `singular_values`, checked; the method is "auto" or "lanczos".

    Notes
    -----
    Members that have not converged are for the full matrix too.

    "auto" takes Lanczos where the iterations that this kind of recurrence usually needs cost less than the
    full product, by the model of `cost`, and gives up after as many as cost the same. A stored trajectory
    takes `linearised_bytes` for every batch member.
    """
    width, members = part.stop - part.start, recurrence.members
    if method == "auto" and powers_pay(recurrence, width):
        return None
    member_bytes = recurrence.linearised_bytes
    if method == "auto" and member_bytes > STORE_BYTES:
        return None
    seconds = members * member_bytes * width * SECONDS_PER_BYTE_AND_COLUMN
    threads = thread_count(recurrence.threads)
    state_bytes = 8 * recurrence.program().n_entries * recurrence.system.dim
    group, threads = _groups(members, member_bytes, 1 if seconds < POOL_SECONDS else threads, state_bytes)
    # The way must not depend on the number of threads, which share the members: so it is chosen for one.
    alone = min(members, _groups(members, member_bytes, 1, state_bytes)[0])
    limit = _iterations(recurrence, width, k, alone) if method == "auto" else None
    if limit == 0:
        return None
    found: dict[int, SingularTriplets] = {}

    def work(chosen: slice, ticker: Ticker) -> None:
        run, count = recurrence.select(chosen, threads=1), chosen.stop - chosen.start
        block = JacobianBlock(run.linearised(rows), count, recurrence.state_size, part, part)
        found[chosen.start] = repeated_triplets(block, k, tol, limit, lambda: ticker(0))
        ticker(count * recurrence.n_steps)

    run_blocks(
        members,
        group,
        work,
        total=members * recurrence.n_steps,
        seconds=seconds,
        label="Lanczos",
        threads=threads,
        progress=recurrence.progress,
    )
    parts = [found[start] for start in sorted(found)]
    joined = {
        name: np.concatenate([getattr(t, name) for t in parts])
        for name in ("values", "exponent", "left", "right", "error", "converged")
    }
    return SingularTriplets(**joined, iterations=max(t.iterations for t in parts))


def _iterations(recurrence: Recurrence, width: int, k: int, group: int) -> int:
    """Lanczos iterations that are worth a try; 0 where the full product is the better way from the start."""
    structure = structure_of(recurrence)
    if structure is None:
        return max(k, 10, width // 8)
    most = iterations_that_pay(structure, recurrence.program().n_entries, width, group)
    return max(k + 1, int(most)) if most > expected_iterations(recurrence, k) + 1.0 else 0


def _groups(members: int, member_bytes: int, threads: int, state_bytes: int | None = None) -> tuple[int, int]:
    """(members of a group, how many groups at a time), from what is kept of one, and of that the states."""
    states = member_bytes if state_bytes is None else state_bytes
    group = min(max(GROUP_MEMBERS, GROUP_BYTES // max(1, states)), -(-members // threads))
    most = STORE_BYTES // max(1, member_bytes)
    group = min(group + -group % GROUP_MEMBERS, max(1, most))
    return group, max(1, min(threads, most // group))
