"""An estimate of the time of a study on this machine, from shortened runs of some of its cells."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from dataclasses import replace

from .cell import GridCell, arrays_of
from .execution.compute import OVERFLOWED
from .execution.cost import cost_of
from .execution.memory import machine_bytes
from .study import Study

__all__ = ["measured_seconds"]

SAMPLE_SECONDS = 2.0
# A run is lengthened up to this time; one that is estimated to take longer than that is not started.
LONG_ENOUGH, TOO_LONG = 0.05, 0.5
MOST_KINDS = 10_000
MEMORY_SHARE = 0.25
# Cells that are timed together.
TOGETHER = 100


def measured_seconds(study: Study, seconds: float = SAMPLE_SECONDS) -> float:
    """Seconds of all cells on one core of this machine.

    The kinds of cells that are estimated to take most are run first, with fewer steps, until `seconds` have
    gone by; the times of the others are scaled by what was found. Nothing is stored.

    Parameters
    ----------
    study : Study
    seconds : float
        For the sample; compiling kernels for the first time comes on top.
    """
    kinds = [(cell, copies * cost_of(cell).seconds) for cell, copies in _some(study)]
    total = sum(estimate for _, estimate in kinds)
    measured = estimated = 0.0
    until = time.perf_counter() + seconds
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", OVERFLOWED, RuntimeWarning)
        for cell, estimate in sorted(kinds, key=lambda kind: -kind[1]):
            if (found := _seconds(cell)) is not None:
                measured += found * estimate / cost_of(cell).seconds
                estimated += estimate
            if time.perf_counter() > until:
                break
    pace = measured / estimated if estimated else 1.0
    return pace * total * study.n_cells / max(1, sum(copies for _, copies in _some(study)))


def _some(study: Study) -> list[tuple[GridCell, int]]:
    found = []
    for cell, copies in study.kinds():
        found.append((cell, copies))
        if len(found) == MOST_KINDS:
            break
    return found


def _seconds(cell: GridCell) -> float | None:
    """The time of a cell, from runs with fewer steps; None if even those would take long, or fail."""
    if cost_of(cell).together:
        _timed_together(cell)  # loads or compiles the kernels
        return _timed_together(cell)
    n_steps = cell.parameters["n_steps"]
    short = min(n_steps, 8)
    if cost_of(_shortened(cell, short)).seconds > TOO_LONG:
        return None
    if cost_of(cell).memory > MEMORY_SHARE * machine_bytes():
        return None
    try:
        before, spent = 0, _timed(cell, short)  # loads or compiles the kernels
        while True:
            previous, spent = spent, _timed(cell, short)
            if short == n_steps:
                return spent
            if spent > LONG_ENOUGH and before:
                break
            before, short = short, min(n_steps, 4 * short)
    except Exception:  # the run itself will name the cell
        return None
    slope = max(spent - previous, 0.0) / (short - before)
    return spent + slope * (n_steps - short)


def _shortened(cell: GridCell, n_steps: int) -> GridCell:
    parameters: Mapping[str, object] = {**cell.parameters, "n_steps": n_steps}
    return replace(cell, parameters=parameters)


def _timed_together(cell: GridCell) -> float:
    """The share of one cell in the time of many of its kind."""
    began = time.perf_counter()
    GridCell.batch([cell] * TOGETHER).compute()
    return (time.perf_counter() - began) / TOGETHER


def _timed(cell: GridCell, n_steps: int) -> float:
    began = time.perf_counter()
    arrays_of(_shortened(cell, n_steps))
    return time.perf_counter() - began
