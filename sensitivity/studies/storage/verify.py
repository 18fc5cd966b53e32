"""A finished study, checked again: every checksum, every bound, and on demand the numbers themselves."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from integrators.engine.blocks import one_blas_thread, progress_bar
from integrators.validation import as_count
from sensitivity.studies.cell import GridCell, case_of
from sensitivity.studies.execution.compute import compute_one
from sensitivity.studies.many import within_bounds
from sensitivity.studies.quantities import checked
from sensitivity.studies.study import Study, study_in

from .database import DamagedStore, structure_errors
from .job import Arrays, UnusableRow, check, decode, version
from .store import Store, blocks, place_of, rows_of

__all__ = ["Verification", "verify"]

Found = list[tuple[str, str]]
MOST_ERRORS = 20


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
    damaged : list of (row, reason)
        Also what is wrong with the database as a whole.
    violations : list of (row, sentence)
        Numbers that break a proved bound.
    changed : list of (row, sentence)
        Cells that come out otherwise when they are computed once more.
    strange : list of str
        Rows that belong to no cell of the study; they do no harm.
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
    again, there = _drawn(study.n_cells, as_count(recompute, "recompute")), 0
    with store.reading() as connection, progress_bar(study.n_cells, "verify", "cell", progress) as tick:
        found.damaged += [
            (store.path.name, f"corrupt: {e}") for e in structure_errors(connection, MOST_ERRORS)
        ]
        for block in blocks(study.cells()):
            rows = _rows(connection, store, block, found)
            there += len(rows)
            usable = _usable(block, rows, found)
            within = within_bounds(usable, [rows[cell.digest][1] for cell in usable])
            sound = {cell.digest for cell, known in zip(usable, within, strict=True) if known}
            maybe = {cell.digest for cell in usable} - sound
            for cell in block:
                if cell.digest not in rows:
                    found.missing.append(place_of(cell))
                elif cell.digest in maybe and _bounds_are_kept(cell, rows[cell.digest], found):
                    sound.add(cell.digest)
                if found.cells in again and cell.digest in rows:
                    if not _comes_out_again(cell, rows[cell.digest], found):
                        sound.discard(cell.digest)
                found.cells += 1
            found.sound += len(sound)
            tick(len(block))
        found.strange = _strange(connection, study, there, found)
    return found


def _drawn(cells: int, count: int) -> set[int]:
    return set(np.random.default_rng(0).choice(cells, min(count, cells), replace=False).tolist())


def _rows(
    connection: sqlite3.Connection, store: Store, block: list[GridCell], found: Verification
) -> dict[bytes, Any]:
    """The rows of some cells; one by one where the database cannot be read as a whole."""
    try:
        return rows_of(connection, store.path, block)
    except DamagedStore:
        rows: dict[bytes, Any] = {}
        for cell in block:
            try:
                rows |= rows_of(connection, store.path, [cell])
            except DamagedStore as error:
                found.damaged.append((place_of(cell), f"corrupt: {error.reason}"))
        return rows


def _strange(connection: sqlite3.Connection, study: Study, there: int, found: Verification) -> list[str]:
    """Rows that are none of the study's, by the first eight bytes of their addresses, if there are any."""
    try:
        (total,) = connection.execute("SELECT count(*) FROM cells").fetchone()
        if total == there:
            return []
        known = np.fromiter((int.from_bytes(c.digest[:8]) for c in study.cells()), np.uint64, study.n_cells)
        known.sort()
        strange = []
        for (address,) in connection.execute("SELECT address FROM cells"):
            if not isinstance(address, bytes):
                strange.append(f"cells/{address!r}")
                continue
            start = np.uint64(int.from_bytes(address[:8]))
            place = int(np.searchsorted(known, start))
            if place == len(known) or known[place] != start:
                strange.append(f"cells/{address.hex()}")
        return sorted(strange)
    except sqlite3.DatabaseError as error:
        found.damaged.append(("cells", f"corrupt: {error}"))
        return []


def _usable(block: list[GridCell], rows: Mapping[bytes, Any], found: Verification) -> list[GridCell]:
    """The cells whose rows are whole and unchanged; the others are noted."""
    usable, now = [], version()
    for cell in block:
        if cell.digest in rows:
            try:
                check(cell, rows[cell.digest], now)
                usable.append(cell)
            except UnusableRow as error:
                found.damaged.append((place_of(cell), str(error)))
    return usable


def _bounds_are_kept(cell: GridCell, row: tuple[Any, Any, Any], found: Verification) -> bool:
    """Whether the numbers of a cell are within their bounds; what is not is noted."""
    name = place_of(cell)
    try:
        broken = [(name, f"{sentence} ({cell})") for sentence in _violations(cell, decode(cell, row))]
    except Exception as error:  # an odd cell is no reason to leave the others unchecked
        broken = [(name, f"its bounds cannot be computed: {' '.join(str(error).split())} ({cell})")]
    found.violations += broken
    return not broken


def _comes_out_again(cell: GridCell, row: tuple[Any, Any, Any], found: Verification) -> bool:
    """Whether a cell has the same row when it is computed once more."""
    found.recomputed += 1
    computed = compute_one(cell)
    if computed.row == tuple(row):
        return True
    reason = "computed once more, it has other bits"
    if computed.row is None:
        reason = f"it cannot be computed once more: {computed.failure}"
    found.changed.append((place_of(cell), f"{reason} ({cell})"))
    return False


def _violations(cell: GridCell, arrays: Arrays) -> Iterator[str]:
    with one_blas_thread():
        case = case_of(cell)
        for quantity in checked(cell.quantities):
            yield from quantity.violations(case, arrays)
