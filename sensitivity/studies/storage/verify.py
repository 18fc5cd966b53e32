"""A finished study, checked again: every checksum, every bound, and on demand the numbers themselves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from integrators.engine.blocks import one_blas_thread, progress_bar
from integrators.validation import as_count
from sensitivity.studies.cell import GridCell, case_of
from sensitivity.studies.execution.compute import compute_one
from sensitivity.studies.quantities import checked
from sensitivity.studies.study import study_in

from .job import Arrays, UnusableFile
from .store import Store

__all__ = ["Verification", "verify"]

Found = list[tuple[str, str]]


@dataclass
class Verification:
    """The result of `verify`.

    Attributes
    ----------
    cells : int
        In the study.
    sound : int
        Whole, unchanged, and within every bound.
    recomputed : int
        Computed once more and compared bit by bit.
    missing : list of str
        Cells that are not there.
    damaged : list of (file, reason)
    violations : list of (file, sentence)
        Numbers that break a proved bound.
    changed : list of (file, sentence)
        Cells that come out otherwise when they are computed once more.
    strange : list of str
        Files among the cells that belong to no cell of the study; they do no harm.
    """

    cells: int = 0
    sound: int = 0
    recomputed: int = 0
    missing: list[str] = field(default_factory=list)
    damaged: Found = field(default_factory=list)
    violations: Found = field(default_factory=list)
    changed: Found = field(default_factory=list)
    strange: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing is missing, damaged, changed or beyond a bound."""
        return not (self.missing or self.damaged or self.violations or self.changed)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {"ok": self.ok, **vars(self)}


def verify(folder: str | Path, *, recompute: int = 0, progress: bool | None = None) -> Verification:
    """Check the folder of a study.

    Bounds are computed anew from the description of each cell: ‖∂y_N/∂y_0‖ and the largest singular value
    against theorem E (B for leapfrog, D for Euler), the smallest against theorem C, every entry of a profile
    against E with the steps that are left. NaN, which marks a trajectory that left float64, claims nothing.

    Parameters
    ----------
    folder : path
    recompute : int
        So many cells, drawn at random with a fixed seed, are computed once more and compared bit by bit.
    progress : bool, optional
        Force or forbid the progress bar; by default it shows on a terminal.

    Raises
    ------
    OSError, ValueError
        If the folder holds no study.
    """
    store = Store(folder)
    study, found = study_in(store), Verification()
    again = _drawn(study.n_cells, as_count(recompute, "recompute"))
    known: set[str] = set()
    with progress_bar(study.n_cells, "verify", "cell", progress) as tick:
        for number, cell in enumerate(study.cells()):
            known.add(cell.address)
            found.cells += 1
            found.sound += _sound(cell, store, found, number in again)
            tick()
    found.strange = sorted(set(store.addresses()) - known)
    return found


def _drawn(cells: int, count: int) -> set[int]:
    return set(np.random.default_rng(0).choice(cells, min(count, cells), replace=False).tolist())


def _sound(cell: GridCell, store: Store, found: Verification, again: bool) -> bool:
    """Whether a cell passes; what does not is noted."""
    path = store.path(cell.address)
    name = path.relative_to(store.folder).as_posix()
    try:
        arrays = store.read(cell)
    except UnusableFile as error:
        found.damaged.append((name, str(error)))
        return False
    if arrays is None:
        found.missing.append(name)
        return False
    try:
        broken = [(name, f"{sentence} ({cell})") for sentence in _violations(cell, arrays)]
    except Exception as error:  # an odd cell is no reason to leave the others unchecked
        broken = [(name, f"its bounds cannot be computed: {' '.join(str(error).split())} ({cell})")]
    found.violations += broken
    if again:
        found.recomputed += 1
        computed = compute_one(cell)
        if computed.content is None:
            found.changed.append((name, f"it cannot be computed once more: {computed.failure} ({cell})"))
            return False
        if computed.content != path.read_bytes():
            found.changed.append((name, f"computed once more, it has other bits ({cell})"))
            return False
    return not broken


def _violations(cell: GridCell, arrays: Arrays) -> Iterator[str]:
    with one_blas_thread():
        case = case_of(cell)
        for quantity in checked(cell.quantities):
            yield from quantity.violations(case, arrays)
