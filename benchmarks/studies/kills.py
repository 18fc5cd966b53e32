"""A study that is killed at random moments and goes on holds the same rows as one that is not."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from sensitivity.studies import verify
from sensitivity.studies.storage.store import Store

from .rates import study_of

__all__ = ["killed_study", "rows_in"]


def rows_in(folder: Path) -> dict[bytes, tuple[Any, ...]]:
    """The rows of a study as they are stored."""
    if not (folder / "study.sqlite").exists():
        return {}
    with closing(sqlite3.connect(Store(folder).path)) as connection:
        try:
            found = connection.execute("SELECT address, version, numbers, checksum FROM cells").fetchall()
        except sqlite3.OperationalError:  # killed before its tables were made
            return {}
    return {row[0]: row[1:] for row in found}


def killed_study(networks: int, folder: Path, kills: int, seed: int = 0) -> dict[str, Any]:
    """Run a study, kill it after a random time, so many times, and compare it with one that ran through.

    Raises
    ------
    AssertionError
        If a row was lost between two kills, or any row differs at the end.
    """
    rng, killed, began, study = random.Random(seed), folder / "killed", 0, study_of(networks)
    before: dict[bytes, tuple[Any, ...]] = {}
    for _ in range(kills):
        process = os.fork()  # which has everything imported, so that the kill comes while it works
        if process == 0:
            study.run(killed, workers=1, progress=False)
            os._exit(0)
        time.sleep(rng.uniform(0.1, 2.0))
        began += os.waitpid(process, os.WNOHANG)[0] == 0
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(process, 0)
        after = rows_in(killed)
        assert before.items() <= after.items(), "a row was lost"
        before = after
    last = study.run(killed, workers=1, progress=False).report
    study.run(folder / "whole", workers=1, progress=False)
    assert last is not None and not last.set_aside
    assert rows_in(killed) == rows_in(folder / "whole"), "rows differ"
    assert verify(killed, progress=False).ok
    return {
        "kills": kills,
        "at work": began,
        "kept at the end": last.kept,
        "computed at the end": last.computed,
    }
