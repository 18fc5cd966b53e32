"""A study that is killed at random moments and goes on holds the same rows as one that is not."""

from __future__ import annotations

import itertools
import os
import random
import signal
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensitivity.studies import Study, verify

from .rates import study_of

__all__ = ["killed_study"]

# Of a row of this study on disk, with its share of the pages.
ROW_BYTES = 86
# One kill in so many comes at once, while the run still reads what is there.
EARLY = 5
POLL_SECONDS, LAST_MOMENT, EARLY_SECONDS = 0.05, 0.5, 2.0


def killed_study(networks: int, folder: Path, kills: int, seed: int = 0) -> dict[str, Any]:
    """Run a study, kill it so many times, spread over the run, and compare it with one that ran through.

    Raises
    ------
    AssertionError
        If a row was lost between two kills, or any row differs at the end.
    """
    rng, killed, began, study = random.Random(seed), folder / "killed", 0, study_of(networks)
    before, start = _rows(killed), time.perf_counter()
    ends = sorted(rng.uniform(0.0, 1.0) for _ in range(kills))
    for number, share in enumerate(ends):
        process = os.fork()  # which has everything imported, so that the kill comes while it works
        if process == 0:
            study.run(killed, workers=1, progress=False)
            os._exit(0)
        if number % EARLY:
            _wait_for(process, killed, share * networks)
            time.sleep(rng.uniform(0.0, LAST_MOMENT))
        else:
            time.sleep(rng.uniform(0.0, EARLY_SECONDS))
        began += os.waitpid(process, os.WNOHANG)[0] == 0
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(process, 0)
        after = _rows(killed)
        assert np.isin(before, after).all(), "a row was lost"
        before = after
    last = study.run(killed, workers=1, progress=False).report
    seconds = time.perf_counter() - start
    assert last is not None and not last.set_aside and last.kept == len(before)
    return _compared(study, killed, folder / "whole") | {
        "kills": kills,
        "at work": began,
        "kept at the end": last.kept,
        "computed at the end": last.computed,
        "seconds with kills": seconds,
    }


def _compared(study: Study, killed: Path, whole: Path) -> dict[str, Any]:
    """Run the study without an interruption into `whole` and compare every row."""
    start = time.perf_counter()
    study.run(whole, workers=1, progress=False)
    seconds = time.perf_counter() - start
    with closing(_reading(killed)) as mine, closing(_reading(whole)) as its:
        query = "SELECT * FROM cells ORDER BY address"
        pairs = itertools.zip_longest(mine.execute(query), its.execute(query))
        rows = sum(_same(a, b) for a, b in pairs)
    assert rows == study.n_cells
    assert verify(killed, progress=False).ok
    return {"rows that are equal": rows, "seconds without kills": seconds}


def _same(a: Any, b: Any) -> bool:
    assert a == b, "rows differ"
    return True


def _reading(folder: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{folder / 'study.sqlite'}?mode=ro", uri=True)


def _rows(folder: Path) -> NDArray[np.uint64]:
    """The rows of a study as they are stored, each by eight bytes of its checksum."""
    if not (folder / "study.sqlite").exists():
        return np.zeros(0, np.uint64)
    with closing(_reading(folder)) as connection:
        try:
            found = connection.execute("SELECT checksum FROM cells")
            return np.fromiter((int.from_bytes(row[0][:8], "big") for row in found), np.uint64)
        except sqlite3.OperationalError:  # killed before its tables were made
            return np.zeros(0, np.uint64)


def _wait_for(process: int, folder: Path, networks: float) -> None:
    """Until there are about so many networks, or the run is over."""
    while os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        with suppress(sqlite3.OperationalError), closing(_reading(folder)) as connection:
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
            if pages * 4096 >= networks * ROW_BYTES:
                return
        time.sleep(POLL_SECONDS)
