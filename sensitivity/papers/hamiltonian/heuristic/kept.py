"""Results of finished runs in a file, so that an experiment that was interrupted goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from pathlib import Path

from sensitivity.manifest import leapgrad_version

__all__ = ["Kept"]


class Kept:
    """Job → its result, one line of JSON each; a line is complete or not there.

    A job is known by its repr, in which every setting appears, and by the version of this package. A line
    also has the seconds that had been spent when it was written: they do not begin anew with a process.

    Parameters
    ----------
    path : path, optional
        Without one, nothing is kept.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._known: dict[str, object] = {}
        before = 0.0
        if path is not None and path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    key, value, before = json.loads(line)
                except ValueError:  # the last line of a process that was killed
                    continue
                self._known[key] = value
        self._began = time.perf_counter() - before

    @property
    def seconds(self) -> float:
        """Spent on the experiment so far, by this process and those before it."""
        return time.perf_counter() - self._began

    def key(self, job: object) -> str:
        return hashlib.sha256(f"{leapgrad_version()} {job!r}".encode()).hexdigest()[:32]

    def __contains__(self, job: object) -> bool:
        return self.key(job) in self._known

    def __getitem__(self, job: object) -> object:
        return self._known[self.key(job)]

    def add(self, job: object, value: object) -> None:
        """Keep a result; `value` must survive JSON, as floats do to the last bit."""
        if self.path is None:
            return
        with self._lock, self.path.open("a", encoding="utf-8") as stream:
            line = json.dumps([self.key(job), value, self.seconds])
            stream.write("\n" * (not self._ends_a_line()) + line + "\n")

    def _ends_a_line(self) -> bool:
        assert self.path is not None
        if not self.path.exists() or self.path.stat().st_size == 0:
            return True
        with self.path.open("rb") as stream:
            stream.seek(-1, 2)
            return stream.read(1) == b"\n"

    def remove(self) -> None:
        """The experiment is complete."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)
