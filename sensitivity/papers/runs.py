"""Training runs of an experiment: independent jobs on threads, resumed where an interrupted one stopped."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, ClassVar

from sensitivity.files import replacing, replacing_folder
from sensitivity.manifest import write_manifest
from sensitivity.studies.execution.executors import open_executor
from sensitivity.studies.execution.grid import RunReport, run_jobs
from sensitivity.studies.execution.progress import Progress
from sensitivity.studies.storage.job import Arrays, Job, UnusableRow, decode, listed
from sensitivity.studies.storage.store import Store
from sensitivity.text import write_json

__all__ = ["UNFINISHED", "NotRunYet", "TrainingJob", "TrainingRuns", "write_files", "written_experiment"]

UNFINISHED = "unfinished"
"""The folder of the runs that are done, as long as others are not."""


class NotRunYet(LookupError):
    """Runs that are asked for are not kept, and nothing is to be computed."""


class TrainingJob(Job):
    """A run of an experiment, a frozen dataclass whose compared fields are what its numbers depend on.

    Attributes
    ----------
    experiment : str
        A name, which is a part of the address.
    result : (str, int)
        The name of the array that is computed, and its length.
    """

    experiment: ClassVar[str]
    result: ClassVar[tuple[str, int]]

    def facts(self) -> dict[str, Any]:
        given: Any = self
        own = asdict(given)
        return {"experiment": self.experiment} | {f.name: own[f.name] for f in fields(given) if f.compare}

    def shapes(self) -> dict[str, tuple[int, ...]]:
        name, size = self.result
        return {name: (size,)}


class TrainingRuns:
    """Computes jobs, each once: what is done is kept in a folder until the whole experiment is.

    Parameters
    ----------
    folder : path, optional
        Without one, nothing is kept.
    threads : int, optional
        No result depends on it.
    progress : bool, optional
        Force or forbid the progress bar; by default it shows on a terminal.
    so_far : bool
        Compute nothing: only what is kept in the folder can be had, and it stays there.
    """

    def __init__(
        self,
        folder: Path | None = None,
        threads: int | None = None,
        progress: bool | None = None,
        *,
        so_far: bool = False,
    ) -> None:
        self.folder, self._threads, self._progress, self.so_far = folder, threads, progress, so_far
        before = 0.0  # seconds
        if folder is not None:
            with suppress(OSError, ValueError):
                before = float((folder / "seconds").read_text(encoding="utf-8"))
        self._began = time.perf_counter() - before

    @property
    def seconds(self) -> float:
        """Spent on the experiment so far, by this process and those before it."""
        return time.perf_counter() - self._began

    def __call__(self, jobs: Sequence[Job], label: str) -> list[Arrays]:
        """The arrays of all jobs, in their order; the costliest begin first.

        Raises
        ------
        RuntimeError
            If one of them fails; the others are kept.
        KeyboardInterrupt
            After Ctrl-C, with what is finished kept.
        NotRunYet
            If one of them is not kept, where nothing is to be computed.
        """
        if self.so_far:
            return [_there(job, arrays) for job, arrays in zip(jobs, self.each(jobs, label), strict=True)]
        with self._place() as folder, open_executor("threads", self._threads) as pool:
            store, report = Store(folder), RunReport()
            order = sorted({job.address: job for job in jobs}.values(), key=lambda job: -job.seconds)
            total = sum(job.seconds for job in order)
            with (
                store.writing() as writer,
                Progress(label, len(order), total, self._progress, "runs") as bar,
            ):
                run_jobs(listed(order), writer, pool, bar, report, most=1, stored=self._note_seconds)
            if report.failed:
                (job, reason), count = report.failed[0], len(report.failed)
                raise RuntimeError(f"{count} of {len(order)} runs failed, the first is {job}: {reason}")
            found = _stored(store, order)
        return [found[job.address] for job in jobs]

    def each(self, jobs: Sequence[Job], label: str) -> list[Arrays | None]:
        """The same; where nothing is to be computed, None for every job that is not kept."""
        if not self.so_far:
            return list(self(jobs, label))
        found: Mapping[str, Arrays] = {}
        if self.folder is not None:
            with suppress(FileNotFoundError):
                found = _stored(Store(self.folder), jobs)
        return [found.get(job.address) for job in jobs]

    @contextmanager
    def _place(self) -> Iterator[Path]:
        if self.folder is not None:
            yield self.folder
            return
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)

    def _note_seconds(self) -> None:
        """Beside the runs, since they do not begin anew with a process."""
        if self.folder is not None:
            with replacing(self.folder / "seconds") as temporary:
                temporary.write_text(repr(self.seconds), encoding="utf-8")

    def remove(self) -> None:
        """Remove the folder if the experiment is complete."""
        if self.folder is not None and not self.so_far:
            shutil.rmtree(self.folder, ignore_errors=True)


def _there(job: Job, arrays: Arrays | None) -> Arrays:
    if arrays is None:
        raise NotRunYet(f"{job} is not kept.")
    return arrays


def _stored(store: Store, jobs: Sequence[Job]) -> dict[str, Arrays]:
    """The arrays of those jobs that have a row, by address.

    A row of another version or a damaged one is none: the next run moves it aside and computes it anew.
    """
    found: dict[str, Arrays] = {}
    for block in store.read_blocks(jobs):
        for job, row in block:
            with suppress(UnusableRow):
                if row is not None:
                    found[job.address] = decode(job, row)
    return found


@contextmanager
def written_experiment(
    out: str | Path, command: str, parameters: Mapping[str, Any], **options: Any
) -> Iterator[tuple[Path, TrainingRuns]]:
    """A folder to fill with what an experiment found, and its runs.

    At the end the manifest is added, and all files appear at once; after an error none do, and the runs that
    are done stay for the next call.

    Parameters
    ----------
    out : path
    command : str
        What to type to have the same again.
    parameters : mapping
        Everything the numbers depend on.
    **options
        Of `TrainingRuns`.
    """
    with replacing_folder(out) as folder:
        runs = TrainingRuns(Path(out) / UNFINISHED, **options)
        yield folder, runs
        write_manifest(folder, command, parameters, runs.seconds)
    runs.remove()


def write_files(folder: Path, files: Mapping[str, Any]) -> None:
    """Files by name: texts, figures as .png or .pdf, and data as .json."""
    for name, content in files.items():
        if name.endswith(".json"):
            write_json(folder / name, content)
        elif isinstance(content, str):
            (folder / name).write_text(content, encoding="utf-8", newline="")
        else:
            from sensitivity.figures.plots import save  # of whoever has figures; Matplotlib takes its time

            save(content, folder / name)
