"""Estimates of what a cell will take: roughly its seconds, and an upper bound on its memory.

The model behind the seconds: a kick of one member with k tangent columns takes 2 d² (k + 1) operations of the
product with W and some nanoseconds for every component's σ; each step, each network and each cell take a
fixed time besides. The constants were measured on one core of 2.0 GHz; they weigh cells against each other
for the bar and the plan. For a time in seconds, `measured_seconds` runs a sample.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from integrators.run.checkpoint import MEMORY_BYTES
from sensitivity.analysis.cost import StepWork, iterations_that_pay
from sensitivity.analysis.factoring import panel_length
from sensitivity.analysis.singular import FULL_COLUMNS, GROUP_BYTES, GROUP_MEMBERS, STORE_BYTES
from sensitivity.studies.axes import axis_of
from sensitivity.studies.models import RunSize, size_of_run
from sensitivity.studies.quantities import checked
from sensitivity.studies.storage.job import ROW_BYTES
from sensitivity.studies.together import can_run_together

if TYPE_CHECKING:
    from sensitivity.studies.cell import GridCell
    from sensitivity.studies.study import Study

__all__ = ["Cost", "Estimate", "cost_of", "plan_of", "size_of"]

FLOAT = 8
# Of a cell that is computed alone, without its runs and quantities; and with them of one among many together.
CELL_SECONDS, TOGETHER_SECONDS = 2e-4, 1.5e-5
FLOPS_PER_SECOND = 1.5e10
COMPONENT_SECONDS = 5e-9
# Of a kick beside its arithmetic, for all members and for each; of ‖W‖ and the like, by d³; of an input.
KICK_SECONDS, MEMBER_SECONDS = 1e-7, 2e-8
FACTOR_SECONDS, INPUT_SECONDS = 3e-9, 5e-8
BOUND_SECONDS = 3e-4
# The norm of one entry of a profile.
ENTRY_SECONDS = 2e-6
# A QR factorisation of a small matrix, and the sorting out at the end.
QR_SECONDS, GRADED_SECONDS = 2e-5, 8e-3
# Of a process with the packages loaded that compiles all kernels (540 MiB; 200 where they are in the cache),
# and of what it allocates whatever the cell is.
PROCESS_BYTES, CELL_BYTES = 640 << 20, 4 << 20
# Arrays of the size of the parameters, and of the inputs, while a network is built and unrolled: 9.5 for some
# structured cells, and 3, as measured.
PARAMETER_COPIES, INPUT_COPIES = 12.0, 5.0
# Sums of growth that an exponent keeps on its way, whatever N is.
MARKS = 1000
# The vectors that Lanczos may come to keep, as a share of d.
LANCZOS_SHARE = 8
# Numbers computed and slopes applied for a neuron, in a kick; and how far the count of iterations may be too
# low, since the structure of a cell is not known here.
POINTWISE, UNSURE = 2.0, 2.0
# Arrays of local growth rates that stand side by side at the end of `growth_exponents`.
GROWTH_COPIES = 8
# What a backward sweep holds between two calls, with the copies that its singular values take.
KEPT_BYTES = 1 << 26
# Jacobians of steps that are looked at together, and gradients of a group of members.
MATRICES_BYTES, GRADIENT_BYTES = 1 << 26, 1 << 27
# Of a step on the way back: in a sweep of several, and alone.
SWEEP_SECONDS, STEP_SECONDS = 2e-7, 1e-5


@dataclass(frozen=True)
class Cost:
    """Estimates for one cell.

    Attributes
    ----------
    seconds : float
        On one core.
    memory : float
        Bytes at the worst moment, not less than it really takes.
    stored : int
        Bytes of its numbers.
    together : bool
        Whether it is computed with others of its kind; the time is its share then.
    """

    seconds: float
    memory: float
    stored: int
    together: bool = False


@dataclass(frozen=True)
class _Terms:
    """One quantity for all members: sweeps of a column, bytes of memory, numbers stored, other seconds."""

    columns: float
    memory: float
    kept: float
    seconds: float = 0.0


def _matrix(size: RunSize, members: int) -> _Terms:
    """The full product, or Lanczos sweeps along stored trajectories; memory for the larger of the two."""
    full = 8.0 * members * size.state * size.d * FLOAT
    if size.d < FULL_COLUMNS:
        return _Terms(size.d, full, members)
    most = _iterations_that_pay(size, members)
    if UNSURE * most <= size.iterations + 1.0:
        return _Terms(size.d, full, members)
    columns = size.d * (size.iterations / most if most > size.iterations + 1.0 else 1.0)
    vectors = min(size.d, max(10.0, size.d / LANCZOS_SHARE, UNSURE * most)) + 2.0
    basis = 6.0 * members * size.state * vectors * FLOAT
    return _Terms(columns, full + _trajectories(size, members) + basis, members)


def _iterations_that_pay(size: RunSize, members: int) -> float:
    """Lanczos iterations that take as long as the full product, as `sensitivity.analysis.cost` has them."""
    states, kept = _trajectory(size)
    if kept > STORE_BYTES or size.kicks == 0:
        return 0.0
    kicked = StepWork(size.d, 1.0, POINTWISE)
    group = min(members, int(max(GROUP_MEMBERS, GROUP_BYTES // states)))
    return iterations_that_pay(kicked, size.kicks, size.d, max(1, group))


def _trajectory(size: RunSize) -> tuple[float, float]:
    """Bytes of the states on a stored trajectory of one member, and of all that is on it."""
    plain = max(1, size.kicks) * size.state
    states, kept = (plain if count is None else max(1, count) for count in (size.states, size.kept))
    return float(FLOAT * states), float(FLOAT * kept)


def _trajectories(size: RunSize, members: int) -> float:
    """Bytes that Lanczos stores for a group of members in whole registers; 0 if a trajectory is too long."""
    states, kept = _trajectory(size)
    if kept > STORE_BYTES:
        return 0.0
    group = min(max(GROUP_MEMBERS, GROUP_BYTES / states), members + -members % GROUP_MEMBERS)
    return 1.5 * min(STORE_BYTES, kept * group)


def _singular_values(size: RunSize, members: int) -> _Terms:
    memory = 12.0 * members * size.state * size.d * FLOAT
    return _Terms(
        3.0 * size.d, memory, members * size.d, _factorings(size, members) + GRADED_SECONDS * members
    )


def _factorings(size: RunSize, members: int) -> float:
    """Seconds of the QR factorisations on the way, at the interval that is tried first."""
    return (
        size.n_steps
        / panel_length(size.d, None)
        * members
        * (QR_SECONDS + 4.0 * size.state * size.d**2 / FLOPS_PER_SECOND)
    )


def _exponents(size: RunSize, members: int) -> _Terms:
    growth = GROWTH_COPIES * members * size.state * min(size.n_steps, MARKS) * FLOAT
    columns = 12.0 * members * size.state**2 * FLOAT
    kept = 2 * members * size.state
    return _Terms(4.0 * size.state, columns + growth, kept, _factorings(size, members))


def _profile(size: RunSize, members: int) -> _Terms:
    norms = 16.0 * members * (size.n_steps + 1) * FLOAT
    padded = members + -members % GROUP_MEMBERS
    trajectory = min(1.5 * MEMORY_BYTES, 3.0 * FLOAT * padded * (size.kicks + 1) * size.state)
    columns = 10.0 * members * size.state * size.d * FLOAT
    entries = members * (size.n_steps + 1)
    memory = norms + trajectory + columns + KEPT_BYTES
    return _Terms(4.0 * size.d, memory, entries, ENTRY_SECONDS * size.d * entries / 4)


def _windows(size: RunSize, members: int) -> _Terms:
    widths = size.n_steps.bit_length()
    square = size.state**2 * FLOAT
    states = 6.0 * members * (size.n_steps + 1) * size.state * FLOAT
    matrices = (
        12.0 * min(float(MATRICES_BYTES), members * size.n_steps * square) + 24.0 * size.n_steps * square
    )
    products = 6.0 * members * size.n_steps * size.state**3 / FLOPS_PER_SECOND
    norms = ENTRY_SECONDS * members * size.n_steps * size.d
    return _Terms(size.state * widths, states + matrices, 3 * members * widths, widths * (products + norms))


def _rows(size: RunSize, members: int) -> float:
    """Bytes of the gradients of a group of members, as they stand side by side."""
    numbers = size.d * max(1, size.parameters) + size.kicks * (3 * size.state + size.inputs)
    return 10.0 * FLOAT * max(numbers, min(members * numbers, GRADIENT_BYTES / FLOAT))


def _sensitivity(size: RunSize, members: int) -> _Terms:
    seconds = members * size.kicks * size.d * (SWEEP_SECONDS + 4.0 * size.parameters / FLOPS_PER_SECOND)
    return _Terms(4.0 * size.d, _rows(size, members) + KEPT_BYTES, 4 * members, seconds)


def _truncation(size: RunSize, members: int) -> _Terms:
    seconds = (
        2.0 * members * size.n_steps * size.d * (STEP_SECONDS + 8.0 * size.parameters / FLOPS_PER_SECOND)
    )
    return _Terms(4.0 * size.d, _rows(size, members) + KEPT_BYTES, members, seconds)


def _memory(size: RunSize, members: int) -> _Terms:
    if size.inputs == 0:
        return _Terms(0.0, 64.0 * members * FLOAT, 3 * members)
    kernels = 14.0 * members * size.n_steps * size.d * max(1, size.inputs) * FLOAT
    seconds = 8.0 * members * size.n_steps * size.inputs * size.d**2 / FLOPS_PER_SECOND
    trajectory = min(1.5 * MEMORY_BYTES, 3.0 * FLOAT * (members + 8) * (size.kicks + 1) * size.state)
    return _Terms(4.0 * size.d, kernels + trajectory + KEPT_BYTES, 3 * members, seconds)


_TERMS: dict[str, Callable[[RunSize, int], _Terms]] = {
    "norm": _matrix,
    "log_norm": _matrix,
    "singular_values": _singular_values,
    "exponents": _exponents,
    "profile": _profile,
    "windows": _windows,
    "parameter_sensitivity": _sensitivity,
    "truncation": _truncation,
    "memory": _memory,
    "bounds": lambda size, members: _Terms(0.0, 64.0 * members * FLOAT, 2 * members),
}


def size_of(cell: GridCell) -> RunSize:
    """The size of the case of a cell."""
    costing = tuple((name, value) for name, value in cell.parameters.items() if axis_of(name).costs)
    return _size(cell.model, costing, cell.checksum)


@lru_cache(maxsize=1024)
def _size(model: str, parameters: tuple[tuple[str, Any], ...], checksum: str) -> RunSize:
    return size_of_run(model, dict(parameters))


def cost_of(cell: GridCell) -> Cost:
    """The estimates for a cell."""
    alone, fixed = _cost(size_of(cell), len(cell.steps), cell.quantities)
    if not can_run_together(cell.model, cell.parameters, cell.quantities, alone.seconds):
        return alone
    return replace(alone, seconds=alone.seconds - fixed + TOGETHER_SECONDS, together=True)


@lru_cache(maxsize=1024)
def _cost(size: RunSize, members: int, quantities: tuple[str, ...]) -> tuple[Cost, float]:
    """The estimates for a cell alone, and the part of its seconds that many together do not take."""
    seconds, memory, kept = CELL_SECONDS + INPUT_SECONDS * size.inputs * size.n_steps, 0.0, 0.0
    fixed = CELL_SECONDS
    if size.parameters:
        seconds += FACTOR_SECONDS * size.d**3
    counted: set[Callable] = set()
    for quantity in checked(quantities):
        rule = _TERMS[quantity.name]
        terms = rule(size, members)
        kept += terms.kept
        if rule in counted:  # norm and log_norm are one run
            continue
        counted.add(rule)
        operations = 2.0 * size.d**2 * (terms.columns + 1.0)
        kick = operations / FLOPS_PER_SECOND + COMPONENT_SECONDS * size.d
        seconds += BOUND_SECONDS + terms.seconds
        fixed += BOUND_SECONDS
        if terms.columns:
            seconds += size.kicks * (KICK_SECONDS + members * (kick + MEMBER_SECONDS))
        memory = max(memory, terms.memory)
    network = PARAMETER_COPIES * size.parameters + INPUT_COPIES * size.inputs * size.n_steps
    # Arrays, their row, and both once more in the process that writes it.
    arrays = 6.0 * FLOAT * kept
    return Cost(float(seconds), memory + FLOAT * network + arrays + CELL_BYTES, int(FLOAT * kept)), fixed


@dataclass(frozen=True)
class Estimate:
    """Estimates for a study.

    Attributes
    ----------
    cells : int
    seconds : float
        On one core.
    memory : float
        Of the largest cell.
    stored : int
        Bytes of the database.
    """

    cells: int
    seconds: float
    memory: float
    stored: int

    def memory_with(self, workers: int, separate: bool) -> float:
        """Bytes for some workers at once; each has a process of its own if they are `separate`."""
        return workers * (self.memory + (PROCESS_BYTES if separate else 0)) + PROCESS_BYTES


def plan_of(study: Study) -> Estimate:
    """The estimates for a study; the time this takes does not grow with the number of seeds."""
    cells, seconds, memory, stored = 0, 0.0, 0.0, 0
    for cell, copies in study.kinds():
        cost = cost_of(cell)
        cells += copies
        seconds += copies * cost.seconds
        memory = max(memory, cost.memory)
        stored += copies * (cost.stored + ROW_BYTES)
    return Estimate(cells, seconds, memory, stored)
