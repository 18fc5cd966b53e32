"""Runs a row: choose each library's best candidates, check that all agree, then time them in turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import count
from statistics import median

import numpy as np
from numpy.typing import NDArray

from .bound import Bound, bound
from .candidate import JAX, OURS, PEERS, TUNED_JAX, Library, NotAvailable
from .rates import Rates
from .rows import Row
from .work import Work
from .worker import Timing, Worker, WorkerFailure

__all__ = ["TOLERANCE", "Disagreement", "RowResult", "Sample", "deviation", "measure_row", "shrink"]

TOLERANCE = 1e-10
# A peer's run is cut to about this length and its time multiplied; ours never is. Others than JAX get less,
# being so much slower that nothing hangs on the last digits.
BUDGET = 2.0
# Rounds of a row end after so many seconds, but not before the third.
ROUNDS_SECONDS, LEAST_ROUNDS = 12.0, 3
OTHERS = 0.4
SCREENING_OPERATIONS = 2e9
# Comparing all members costs a run of the whole Jacobian; beyond so many operations only the first and the
# last member are compared.
COMPARED_OPERATIONS = 1e12
# From this dimension on a member alone keeps the processors busy, and one run takes seconds.
LARGE_DIM = 256
# Idle threads of OpenBLAS and OpenMP spin for some 30 ms before they sleep.
PAUSE = 0.2


class Disagreement(AssertionError):
    """Two candidates computed different numbers."""


@dataclass(frozen=True)
class Sample:
    """The times of one candidate, one entry a round, already multiplied by `scale`.

    Attributes
    ----------
    scale : float
        1, or by how much the work was cut for this candidate.
    deviation : float
        Largest difference from ours, relative to the largest entry of the same member.
    wall, cpu : tuple of float
        Seconds, and processor seconds of all threads.
    """

    library: str
    name: str
    familiar: bool
    judged: bool
    scale: float
    deviation: float
    wall: tuple[float, ...]
    cpu: tuple[float, ...]

    @property
    def seconds(self) -> float:
        return median(self.wall)


@dataclass(frozen=True)
class RowResult:
    """What a row gave.

    Attributes
    ----------
    ours : Sample, optional
        None if this package cannot do it yet.
    peers : tuple of Sample
    bound : Bound, optional
        Of the whole Jacobian; None where something else is computed.
    memory : int, optional
        Bytes added by one of our runs at its highest.
    missing : tuple of str
        What was not available, and why.
    """

    row: Row
    ours: Sample | None
    peers: tuple[Sample, ...]
    bound: Bound | None
    memory: int | None
    missing: tuple[str, ...]

    def at(self, rates: Rates) -> RowResult:
        """The same with the bound at other rates."""
        return replace(self, bound=bound(self.row.work, rates)) if self.bound else self

    def best(self, *libraries: str) -> Sample | None:
        """The fastest judged candidate of some libraries."""
        found = [sample for sample in self.peers if sample.library in libraries and sample.judged]
        return min(found, key=lambda sample: sample.seconds, default=None)

    def times_faster(self, sample: Sample) -> tuple[float, float, float]:
        """(median, least, most) over rounds of its time ÷ ours in the same round."""
        assert self.ours is not None
        ratios = [theirs / mine for theirs, mine in zip(sample.wall, self.ours.wall, strict=True)]
        return median(ratios), min(ratios), max(ratios)


def deviation(found: NDArray[np.float64], ours: NDArray[np.float64]) -> float:
    """Largest |difference| in a member over its largest entry; inf if a number is missing or not finite."""
    if found.shape != ours.shape or not np.isfinite(found).all() or not np.isfinite(ours).all():
        return float("inf")
    axes = tuple(range(1, ours.ndim))
    size = np.abs(ours).max(axis=axes, keepdims=True)
    return float(np.max(np.abs(found - ours) / np.where(size > 0.0, size, 1.0)))


def shrink(work: Work, seconds: float, budget: float, by_members: bool) -> Work:
    """The part of the work that fits into the budget, if the whole takes so many seconds.

    Parameters
    ----------
    by_members : bool
        Whether a member costs the same however many there are. Then step sizes are cut first, down to two;
        and a norm is cut no further, for part of its cost does not depend on the steps. Otherwise only steps
        are cut, down to ten.
    """
    factor = seconds / budget
    if by_members:
        members = work.n_kept // _divisor(work.n_kept, factor, work.n_kept // 2)
        factor *= members / work.n_kept
        work = work.part(members=members)
        if work.what == "norm":
            return work
    return work.part(n_steps=work.n_steps // _divisor(work.n_steps, factor, work.n_steps // 10))


def _divisor(number: int, least: float, most: int) -> int:
    """The smallest divisor of `number` from `least` on, or else the largest up to `most`."""
    divisors = [n for n in range(1, max(1, most) + 1) if number % n == 0]
    return next((n for n in divisors if n >= least), divisors[-1])


def screening(work: Work, library: Library) -> Work:
    """A part short enough to try every candidate of a library on."""
    part = work.part(members=library.screening_members if work.d < LARGE_DIM else 4)
    each = 2.0 * part.d**3 * part.n_kept
    return part.part(n_steps=max(5, min(library.screening_steps, int(SCREENING_OPERATIONS / each))))


@dataclass
class _Entry:
    """A candidate that takes part."""

    worker: Worker
    key: int
    library: str
    name: str
    familiar: bool
    judged: bool
    work: Work
    timings: list[Timing]
    deviation: float = 0.0


def _finalists(
    worker: Worker,
    library: Library,
    work: Work,
    keys: count[int],
    budget: float,
    missing: list[str],
    names: Collection[str] | None = None,
) -> list[_Entry]:
    """The fastest candidates of a library and its familiar one, prepared."""
    part = screening(work, library)
    allowed = budget if library in JAX else OTHERS * budget
    by_members = work.d >= LARGE_DIM or library.members_in_turn
    seconds: dict[str, float] = {}
    chosen: list[tuple[str, bool, bool]] = []
    for name, familiar, judged in worker.ask("candidates", part):
        if names is not None and name not in names:
            continue
        if not judged:
            chosen.append((name, familiar, judged))
            continue
        key = next(keys)
        try:
            worker.ask("prepare", key, name, part)
            seconds[name] = min(worker.ask("time", key).wall for _ in range(library.screening_runs))
        except NotAvailable as error:
            missing.append(f"{library.name}, {name}: {error}")
        except WorkerFailure as error:
            missing.append(f"{library.name}, {name}: {_last_line(error)}")
        worker.ask("forget", key)
        if familiar and name in seconds and not (work.what == "norm" and work.d >= LARGE_DIM):
            chosen.append((name, familiar, judged))
    finalists = 2 if library == TUNED_JAX and work.d < LARGE_DIM else 1
    for name in sorted(seconds, key=lambda name: seconds[name])[:finalists]:
        if all(name != other for other, _, _ in chosen):
            chosen.append((name, False, True))
    entries = []
    for name, familiar, judged in chosen:
        # What is not judged shares work among members and steps, so that a part of it would tell nothing.
        full = shrink(work, seconds[name] * work.times_smaller(part), allowed, by_members) if judged else work
        key = next(keys)
        try:
            worker.ask("prepare", key, name, full)
            entries.append(_Entry(worker, key, library.name, name, familiar, judged, full, []))
        except (NotAvailable, WorkerFailure) as error:
            missing.append(f"{library.name}, {name}: {_last_line(error)}")
    return entries


def _last_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1]


def measure_row(
    row: Row,
    rates: Rates,
    cores: int,
    *,
    budget: float = BUDGET,
    names: Collection[str] | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> RowResult:
    """Measure one row.

    With `names` only candidates of these names are looked at, such as those that another run chose.

    Raises
    ------
    Disagreement
        If a candidate's numbers differ from ours by more than `TOLERANCE`.
    """
    work, keys, missing = row.work, count(), []
    entries: list[_Entry] = []
    memory: int | None = None
    with ExitStack() as stack:
        ours = stack.enter_context(Worker(OURS, cores))
        name, familiar, judged = ours.ask("candidates", work)[0]
        try:
            memory = ours.ask("memory", name, work)
            key = next(keys)
            ours.ask("prepare", key, name, work)
            entries.append(_Entry(ours, key, OURS.name, name, familiar, judged, work, []))
        except NotAvailable as error:
            missing.append(f"{OURS.name}: {error}")
        for library in (peer for peer in PEERS if peer.name in row.peers):
            say(f"choosing among {library.name}")
            worker = stack.enter_context(Worker(library, cores))
            try:
                entries += _finalists(worker, library, work, keys, budget, missing, names)
            except (NotAvailable, WorkerFailure) as error:
                missing.append(f"{library.name}: {_last_line(error)}")
        say("comparing numbers")
        _compare(ours, entries, keys)
        began = time.perf_counter()
        for turn in range(row.rounds):
            if turn >= LEAST_ROUNDS and time.perf_counter() - began > ROUNDS_SECONDS:
                row = replace(row, rounds=turn)
                break
            say(f"round {turn + 1} of {row.rounds}")
            # Each round starts with another candidate.
            for entry in entries[turn % len(entries) :] + entries[: turn % len(entries)]:
                time.sleep(PAUSE)
                entry.timings.append(entry.worker.ask("time", entry.key))
    samples = [_sample(entry, work) for entry in entries]
    return RowResult(
        row,
        next((sample for sample in samples if sample.library == OURS.name), None),
        tuple(sample for sample in samples if sample.library != OURS.name),
        bound(work, rates) if work.what == "jacobian" else None,
        memory,
        tuple(missing),
    )


def _compare(ours: Worker, entries: list[_Entry], keys: count[int]) -> None:
    """Every candidate against our whole Jacobian, on the very part that it will be timed on."""
    references: dict[Work, NDArray[np.float64]] = {}
    for entry in entries:
        if entry.library == OURS.name and entry.work.what == "jacobian":
            continue
        found, part = entry.worker.ask("result", entry.key), entry.work
        if 2.0 * part.d**3 * part.n_kept * part.n_steps > COMPARED_OPERATIONS:
            part = part.part(members=2)
            found = found[[0, -1]]
        if part not in references:
            key = next(keys)
            ours.ask("prepare", key, ours.ask("candidates", part)[-1][0], part)
            references[part] = ours.ask("result", key)
            ours.ask("forget", key)
        entry.deviation = deviation(found, references[part])
        if not entry.deviation <= TOLERANCE:
            raise Disagreement(
                f"{entry.library}, {entry.name} differs from ours by {entry.deviation:.1e} on {entry.work}"
            )


def _sample(entry: _Entry, work: Work) -> Sample:
    scale = work.times_smaller(entry.work)
    wall, cpu = (tuple(scale * getattr(timing, kind) for timing in entry.timings) for kind in ("wall", "cpu"))
    return Sample(entry.library, entry.name, entry.familiar, entry.judged, scale, entry.deviation, wall, cpu)
