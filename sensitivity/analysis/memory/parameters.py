"""How strongly the parameters act on the last state: ‖∂s_N/∂θ‖, parameter by parameter.

The gradient of each component of s_N is one backward sweep with a cotangent of its own. For cells with one
stage all of them go together: the cotangents ∂s_N/∂z_i of the pre-activations z = W s + V x + b of every step
come from a cell of the same rule whose inputs are added to its pre-activations, and then

    ∂s_N/∂W = Σ_i ∂s_N/∂z_i ⊗ s_i,    ∂s_N/∂V = Σ_i ∂s_N/∂z_i ⊗ x_{i+1},    ∂s_N/∂b = Σ_i ∂s_N/∂z_i.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integrators.cells.cell import Cell
from integrators.engine.blocks import IDLE, Ticker, one_blas_thread, run_blocks
from integrators.engine.column_scale import ZERO, Scaled, bits_of_shift, from_scaled, log_scaled
from integrators.run.checkpoint import (
    MEMORY_BYTES,
    Segment,
    Segmentation,
    backwards,
    block_members,
    block_run,
    member_run,
)
from integrators.run.pullback import MOST_STEPS, SweepRow
from integrators.run.recurrence import Recurrence
from integrators.run.sweeps import Handed, input_cotangents
from integrators.singular_values import frobenius_norm, scaled_norm
from integrators.values import ByValue
from sensitivity.analysis.norms import gram_norms
from sensitivity.analysis.singular import block_of
from sensitivity.text import from_log

from .asked import as_run
from .gradient_rows import GradientRows, NamedRows

__all__ = ["ParameterNorms", "for_each_block", "parameter_sensitivity"]

Float = NDArray[np.float64]
Counts = NDArray[np.int64]

# What the gradients of a group of members, and what its sweeps hand out, may take.
BYTES_AT_ONCE = 1 << 27
# What is larger or smaller than 2^±FAR is brought near one before it is multiplied.
FAR = 300


@dataclass(frozen=True, eq=False)
class ParameterNorms(ByValue):
    """The norms of ∂s_N/∂θ for one named parameter θ, as a matrix with a row for each component of s_N.

    Attributes
    ----------
    spectral, frobenius : ndarray, shape batch
        Largest singular value, and square root of the sum of the squares of all entries; inf or 0 where
        float64 cannot hold them.
    log_spectral, log_frobenius : ndarray, shape batch
        Natural logarithms, which neither overflow nor underflow; −inf for zero.

    Examples
    --------
    >>> import leapgrad as lg
    >>> lg.parameter_sensitivity(lg.unroll(lg.cell("vanilla", 3, rng=0), n_steps=20))["b"]
    <ParameterNorms: spectral 1.62746, Frobenius 1.7817>
    """

    spectral: Float
    frobenius: Float
    log_spectral: Float
    log_frobenius: Float

    def __repr__(self) -> str:
        if np.ndim(self.log_spectral):
            return f"<ParameterNorms of a batch of shape {np.shape(self.log_spectral)}>"
        spectral, frobenius = from_log(float(self.log_spectral)), from_log(float(self.log_frobenius))
        return f"<ParameterNorms: spectral {spectral}, Frobenius {frobenius}>"


def parameter_sensitivity(run: Recurrence, *, block: str | None = None) -> dict[str, ParameterNorms]:
    """The norms ‖∂s_N/∂θ‖ of the last state by each parameter: W, V, b, R, ….

    A moderate ‖∂s_N/∂s_0‖ does not mean a moderate ‖∂s_N/∂θ‖: a parameter acts at every step, so that its
    effects add up over the whole memory of the network.

    Parameters
    ----------
    run : Recurrence
        As `unroll` makes it, of a cell or of a field under a scheme.
    block : str, optional
        Which block of s_N, as for `jacobian`; by default ``run.default_block``: y of a field, the whole state
        of most cells.

    Returns
    -------
    dict of str to ParameterNorms
        By name: the free parameters of a cell as `Cell.unpack_free` names them, with the number of the layer
        where there are several ("W0", "W1"); W, V and b of a `NeuralField`; "theta" of other fields. Of a
        network from PyTorch W is ``weight_hh_l0``, V is ``weight_ih_l0``, and b the biases, of an LSTM and a
        vanilla RNN their sum.
        Constants and fixed parameters have the norm zero.

    Raises
    ------
    TypeError, ValueError
        If `run` is no recurrence, or there is no such block.
    TrajectoryOverflow
        If the state leaves the range of float64. In a batch this gives NaN and a warning instead.

    Notes
    -----
    Exact up to round-off: one backward sweep for each component of the block, with powers of two taken out on
    the way. Members of a batch are taken in groups whose gradients, rows · parameters numbers each, fit into
    128 MiB.

    For h_{i+1} = λ h_i + x_i with independent standard normal inputs, E h² = 1/(1 − λ²), but
    E (∂h/∂λ)² = (1 + λ²)/(1 − λ²)³: the "curse of memory" (N. Zucchet, A. Orvieto, *Recurrent neural
    networks: vanishing and exploding gradients are not the end of the story*, NeurIPS 2024).

    Examples
    --------
    >>> import leapgrad as lg
    >>> cell = lg.cell("vanilla", 1, activation="identity").with_parameters(W=[[0.9]], b=[1.0])
    >>> found = lg.parameter_sensitivity(lg.unroll(cell, n_steps=400))
    >>> {name: float(norms.spectral.round(6)) for name, norms in found.items()}
    {'W': 100.0, 'b': 10.0, 'activation': 0.0}
    """
    run = as_run(run)
    part, rows = block_of(run, block)
    count, size = part.stop - part.start, run.system.packed.size
    fast = _all_together(run)
    entries = 4 * count * max(1, size)
    if fast:
        layout = run.cell.layout
        entries += run.n_steps * (run.state_size + 2 * layout.first * run.cell.d + run.cell.n_inputs)
    group = max(1, BYTES_AT_ONCE // (8 * entries))
    found: dict[str, list[tuple[Float, ...]]] = {}
    for first in range(0, max(1, run.members), group):  # an empty batch has names all the same
        members = slice(first, min(first + group, run.members))
        some = run if members == slice(0, run.members) else run.select(members)
        gradient = GradientRows(run.system, some.members, count)
        if some.members:
            (_from_preactivations if fast else _from_sweeps)(some, part, rows, gradient)
        for name, rows_of in gradient.by_free().items():
            found.setdefault(name, []).append(_norms(rows_of))
    return {
        name: ParameterNorms(
            *(np.concatenate(column).reshape(run.shape)[()] for column in zip(*parts, strict=True))
        )
        for name, parts in found.items()
    }


def _norms(rows: NamedRows) -> tuple[Float, ...]:
    """Spectral and Frobenius norm of every member, and their logarithms."""
    columns = Scaled.of(rows.values.swapaxes(-1, -2), rows.exponents).aligned()
    pairs = [scaled_norm(columns.values, norm) for norm in (gram_norms, frobenius_norm)]
    values = [from_scaled(mantissa, columns.exponent + shift) for mantissa, shift in pairs]
    logs = [log_scaled(mantissa, columns.exponent + shift) for mantissa, shift in pairs]
    return tuple(np.asarray(part, dtype=np.float64) for part in (*values, *logs))


# ------------------------------------------------------------------------------- all components together


def _all_together(run: Recurrence) -> bool:
    """Whether every parameter acts through the pre-activations of one stage."""
    if run.cell is None:
        return False
    layout = run.cell.layout
    return type(run.cell) is Cell and layout.layers == 1 and layout.second == 0 and layout.vectors == 0


def _apart(run: Recurrence) -> Recurrence:
    """The same run of a cell whose inputs are V x, and are added to the pre-activations one by one."""
    cell, layout = run.cell, run.cell.layout
    d, size = cell.d, layout.first * cell.d
    kind = replace(
        cell.unstructured().kind,
        name=f"{cell.kind.name}_driven",
        inputs=(0, layout.first),
        bound=None,
        inverse=None,
    )
    driven = Cell(kind, d, size, [{**cell.parameters, "V": np.eye(size)}], step=cell.step_size)
    x = np.ascontiguousarray(run.drive())  # matmul of NumPy before 2.3 sums other strides in another order
    given = np.zeros((*x.shape[:2], size))
    if cell.n_inputs:
        given[..., layout.input_from * d : layout.input_to * d] = x @ cell.parameters["V"].T
    part = copy(run)
    part.system = part.cell = driven
    part.theta = driven.packed
    clock = run.inputs[:, cell.n_inputs :, :]
    part.inputs = np.ascontiguousarray(
        np.concatenate(
            [given.transpose(1, 2, 0), np.broadcast_to(clock, (len(clock), clock.shape[1], len(x)))], axis=1
        )
    )
    return part


def _from_preactivations(run: Recurrence, part: slice, rows: str | None, gradient: GradientRows) -> None:
    """The gradients from the cotangents of the pre-activations of all steps."""
    cell, layout, d = run.cell, run.cell.layout, run.cell.d
    states = np.ascontiguousarray(run.states().reshape(run.members, -1, cell.dim)[..., : layout.source * d])
    x = np.ascontiguousarray(run.drive())
    biases = slice(layout.bias_from * d, layout.bias_to * d)
    driven = slice(layout.input_from * d, layout.input_to * d)

    def add(members: slice, start: int, values: Float, exponents: Counts) -> None:
        """The part of consecutive steps from `start` on."""
        # (members, rows, pre-activations, steps) with an exponent for each row
        z, top = _aligned(values, exponents)
        at, steps = (members, slice(None)), slice(start, start + z.shape[-1])
        if "W" in gradient.blocks:
            _add(gradient, at, "W", z[:, :, : layout.recurrent * d], states[members, steps], top)
        if "V" in gradient.blocks:
            own = x[members if len(x) > 1 else slice(None), steps]
            _add(gradient, at, "V", z[:, :, driven], own, top)
        if "b" in gradient.blocks:
            gradient.add(at, "b", z[:, :, biases].sum(axis=-1), top)

    waiting: dict[int, tuple[Float, Counts]] = {}

    def consume(kept: Handed) -> None:
        # Steps are summed in the same pieces however many of them are handed out at a time, which depends on
        # the members of a block and hence on the threads.
        first, values, exponents = kept.first - 1, kept.values, kept.exponents
        if kept.members.start in waiting:
            later = waiting.pop(kept.members.start)
            values = np.concatenate([values, later[0]])
            exponents = np.concatenate([exponents, later[1]])
        stop = first + len(values)
        while stop > first and (start := (stop - 1) // MOST_STEPS * MOST_STEPS) >= first:
            some = slice(start - first, stop - first)
            add(kept.members, start, values[some], exponents[some])
            stop = start
        if stop > first:
            waiting[kept.members.start] = values[: stop - first].copy(), exponents[: stop - first].copy()

    with one_blas_thread():
        overflowed = input_cotangents(_apart(run), np.eye(cell.dim)[:, part], consume)
    run.check_overflow(overflowed, gradient.values, of_state=True)


def _aligned(values: Float, exponents: Counts) -> tuple[Float, Counts]:
    """Cotangents (steps, z, k, members) as (members, k, z, steps), with an exponent for members and k."""
    moved, counts = np.ascontiguousarray(values.transpose(3, 2, 1, 0)), exponents.transpose(2, 1, 0)
    if not counts.any():
        return moved, counts[..., 0]
    size = np.abs(moved).max(axis=2)  # (members, k, steps)
    place = np.where(size != 0.0, counts + np.frexp(np.where(np.isfinite(size), size, 1.0))[1], ZERO)
    top = place.max(axis=-1)
    top = np.where(top == ZERO, 0, top)
    shift = bits_of_shift(counts - top[..., None])
    with np.errstate(under="ignore"):
        return np.ldexp(moved, shift[:, :, None, :]), top


def _add(gradient: GradientRows, at: Any, name: str, z: Float, source: Float, top: Counts) -> None:
    """Σ over steps of z ⊗ source, for (members, k, n, steps) and (members, steps, width)."""
    members, k, n, steps = z.shape
    size = np.frexp(np.abs(source).max(axis=(-2, -1), initial=0.0))[1]
    if (np.abs(size) > FAR).any():
        with np.errstate(under="ignore"):
            source = np.ldexp(source, -size[:, None, None])
        top = top + size[:, None]
    product = z.reshape(members, k * n, steps) @ source
    gradient.add(at, name, product.reshape(members, k, -1), top)


# ----------------------------------------------------------------------------- one sweep for each component


def _from_sweeps(run: Recurrence, part: slice, rows: str | None, gradient: GradientRows) -> None:
    """The gradients from a backward sweep for each component of each member."""
    unit = np.eye(run.state_size)[:, part]
    count = unit.shape[1]
    overflowed = np.full(run.members, -1, np.int64)

    def over(members: slice, block: Any, segments: Iterator[Segment]) -> None:
        real = members.stop - members.start
        sweeps = [SweepRow(run, unit[:, r]) for _ in range(real) for r in range(count)]
        for segment in segments:
            own = [
                (member_run(segment.run, q), np.ascontiguousarray(segment.tape[:, :, q : q + 1]))
                for q in range(real)
            ]

            def pull(which: slice, ticker: Ticker, segment: Segment = segment, own: Any = own) -> None:
                for index in range(which.start, which.stop):
                    q, r = divmod(index, count)
                    for _, found, exponent in sweeps[index].pieces(own[q][0], segment, own[q][1], MOST_STEPS):
                        for name, where in gradient.blocks.items():
                            gradient.add((members.start + q, r), name, found[where], exponent)
                        ticker(0)

            seconds = 2.0 * len(sweeps) * (segment.stop - segment.start) * run.system.seconds(1)
            run_blocks(len(sweeps), max(1, len(sweeps) // 16), pull, total=len(sweeps), seconds=seconds,
                       label="parameters", threads=run.threads, progress=run.progress)  # fmt: skip
        overflowed[members] = block.overflowed[:real]

    for_each_block(run, rows, over)
    run.check_overflow(overflowed, gradient.values, of_state=True)


def for_each_block(run: Recurrence, rows: str | None, over: Any) -> None:
    """``over(members, block, segments)`` for the blocks of members that one forward sweep takes."""
    program = run.program(close=rows != "position")
    segmentation = Segmentation.of(run, program, 1, MEMORY_BYTES)
    for first in range(0, run.members, segmentation.width):
        members = slice(first, min(first + segmentation.width, run.members))
        whole = block_run(run, members, program, segmentation.width, IDLE)
        block = run.block(block_members(run, members, segmentation.width))
        over(members, block, backwards(run, whole, block, segmentation.length, IDLE))
