"""What a cell costs before it is run: seconds, roughly, and bytes of memory, from above.

The model behind the seconds: a kick of one lane with k tangent columns takes 2 d² (k + 1) operations of the
product with W and some nanoseconds for every component's σ; a cell takes a fixed time besides, mostly
Python. The constants were measured on one core of 2.0 GHz; they weigh cells against each other for the bar
and the plan, and another machine changes them all alike.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from integrators.checkpoint import MEMORY_BYTES

from ..singular import FULL_COLUMNS, STORE_BYTES
from .cell import Cell
from .models import MODELS, Size
from .quantities import checked
from .study import Study

__all__ = ["Cost", "Plan", "cost_of", "gibibytes", "machine_bytes", "plan_of"]

FLOAT = 8
CELL_SECONDS = 1.2e-3
FLOPS_PER_SECOND = 1.5e10
COMPONENT_SECONDS = 5e-9
BOUND_SECONDS = 3e-4
# The norm of one entry of a profile.
ENTRY_SECONDS = 2e-6
# A QR factorisation of a small matrix, the steps between two, and the sorting out at the end.
QR_SECONDS, QR_STEPS, GRADED_SECONDS = 2e-5, 8, 8e-3
# Of a process with the packages loaded, and of what it allocates whatever the cell is.
PROCESS_BYTES, CELL_BYTES = 180 << 20, 4 << 20
# Lanczos sweeps to and fro, at most this share of d times.
LANCZOS_SHARE = 8
# Arrays of local growth rates that stand side by side at the end of `growth_exponents`.
GROWTH_COPIES = 5
# A header beside the description, which is in it once more escaped.
HEADER_BYTES = 320


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
        Bytes of the numbers in its file.
    """

    seconds: float
    memory: float
    stored: int


@dataclass(frozen=True)
class _Terms:
    """Of one quantity, for all lanes: sweeps of a column, bytes as it runs, numbers kept, other seconds."""

    columns: float
    memory: float
    kept: float
    seconds: float = 0.0


def _matrix(size: Size, lanes: int) -> _Terms:
    """The full product, or Lanczos sweeps along stored trajectories."""
    full = 8.0 * lanes * size.state * size.d * FLOAT
    if size.d < FULL_COLUMNS:
        return _Terms(size.d, full, lanes)
    iterations = max(10, size.d // LANCZOS_SHARE)
    trajectory = FLOAT * size.kicks * size.d
    held = min(lanes, max(1, STORE_BYTES // max(1, trajectory))) * trajectory
    basis = 6.0 * lanes * size.state * (iterations + 2) * FLOAT
    return _Terms(2.0 * iterations, full + held + basis, lanes)


def _singular_values(size: Size, lanes: int) -> _Terms:
    memory = 12.0 * lanes * size.state * size.d * FLOAT
    return _Terms(3.0 * size.d, memory, lanes * size.d, _factorings(size, lanes) + GRADED_SECONDS * lanes)


def _factorings(size: Size, lanes: int) -> float:
    """Seconds of the QR factorisations on the way, one every few steps."""
    return size.n_steps / QR_STEPS * lanes * (QR_SECONDS + 4.0 * size.state * size.d**2 / FLOPS_PER_SECOND)


def _exponents(size: Size, lanes: int) -> _Terms:
    growth = GROWTH_COPIES * lanes * size.state * size.n_steps * FLOAT
    columns = 12.0 * lanes * size.state**2 * FLOAT
    kept = 2 * lanes * size.state
    return _Terms(4.0 * size.state, columns + growth, kept, _factorings(size, lanes))


def _profile(size: Size, lanes: int) -> _Terms:
    norms = 6.0 * lanes * (size.n_steps + 1) * FLOAT
    trajectory = min(MEMORY_BYTES, 2.0 * FLOAT * lanes * size.kicks * size.d)
    columns = 8.0 * lanes * size.state * size.d * FLOAT
    entries = lanes * (size.n_steps + 1)
    memory = norms + trajectory + columns + (1 << 26)
    return _Terms(4.0 * size.d, memory, entries, ENTRY_SECONDS * size.d * entries / 4)


_TERMS: dict[str, Callable[[Size, int], _Terms]] = {
    "norm": _matrix,
    "log_norm": _matrix,
    "singular_values": _singular_values,
    "exponents": _exponents,
    "profile": _profile,
    "bounds": lambda size, lanes: _Terms(0.0, 64.0 * lanes * FLOAT, 2 * lanes),
}


def cost_of(cell: Cell) -> Cost:
    """The estimates for a cell."""
    size, lanes = MODELS[cell.model].size(cell.parameters), len(cell.steps)
    seconds, memory, kept = CELL_SECONDS, 0.0, 0.0
    counted: set[Callable] = set()
    for quantity in checked(cell.quantities):
        rule = _TERMS[quantity.name]
        terms = rule(size, lanes)
        kept += terms.kept
        if rule in counted:  # norm and log_norm are one run
            continue
        counted.add(rule)
        operations = 2.0 * size.d**2 * (terms.columns + 1.0)
        kick = operations / FLOPS_PER_SECOND + COMPONENT_SECONDS * size.d
        seconds += BOUND_SECONDS + terms.seconds + (kick * size.kicks * lanes if terms.columns else 0.0)
        memory = max(memory, terms.memory)
    weights = 6.0 * FLOAT * size.d**2
    arrays = 3.0 * FLOAT * kept
    return Cost(float(seconds), memory + weights + arrays + CELL_BYTES, int(FLOAT * kept))


@dataclass(frozen=True)
class Plan:
    """Estimates for a study.

    Attributes
    ----------
    cells : int
    seconds : float
        On one core.
    memory : float
        Of the largest cell.
    stored : int
        Bytes of all files.
    """

    cells: int
    seconds: float
    memory: float
    stored: int

    def memory_with(self, workers: int, separate: bool) -> float:
        """Bytes for some workers at once; each has a process of its own if they are `separate`."""
        return workers * (self.memory + (PROCESS_BYTES if separate else 0)) + PROCESS_BYTES


def plan_of(study: Study) -> Plan:
    """The estimates for a study; the time this takes does not grow with the number of seeds."""
    cells, seconds, memory, stored = 0, 0.0, 0.0, 0
    for cell, copies in study.kinds():
        cost = cost_of(cell)
        cells += copies
        seconds += copies * cost.seconds
        memory = max(memory, cost.memory)
        stored += copies * (cost.stored + len(cell.description) + HEADER_BYTES)
    return Plan(cells, seconds, memory, stored)


def machine_bytes() -> float:
    """Memory of this machine; 8 GiB where the system does not tell."""
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):
        return float(8 << 30)


def gibibytes(size: float) -> str:
    """A number of bytes for a sentence."""
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if size >= unit:
            return f"{size / unit:.3g} {name}"
    return f"{size:.0f} bytes"
