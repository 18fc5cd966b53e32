"""The bar of a grid: jobs done, jobs a second, and the time that remains, by the cost of what remains."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from integrators.engine.bars import progress_bar_on_stderr
from sensitivity.studies.storage.job import Job

__all__ = ["Progress"]

FORMAT = "{desc}: {percentage:3.0f}%|{bar}|{postfix}, {elapsed} gone, {remaining} to go"


class Progress:
    """A bar of estimated seconds; used with ``with``.

    Parameters
    ----------
    name : str
    jobs : int
    seconds : float
        Estimated, of all jobs.
    shown : bool, optional
        Force or forbid it; by default it shows on a terminal.
    unit : str
        What a job is called.
    """

    def __init__(self, name: str, jobs: int, seconds: float, shown: bool | None, unit: str = "cells") -> None:
        self._total, self._unit = jobs, unit
        self._done = self._computed = 0
        self._began = time.perf_counter()
        self._bar: Any = progress_bar_on_stderr(
            shown,
            desc=name,
            total=seconds,
            bar_format=FORMAT,
            leave=False,
        )

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def skip(self, count: int, seconds: Callable[[], float]) -> None:
        """So many jobs were there already: they are no longer to be done, and say nothing about the rate.

        `seconds` tells what they were estimated to take together, if the bar is shown.
        """
        self._done += count
        if not self._bar.disable:
            self._bar.total -= seconds()
            self._show()

    def add(self, jobs: Sequence[Job]) -> None:
        """Jobs that were computed."""
        self._done += len(jobs)
        self._computed += len(jobs)
        if not self._bar.disable:
            self._bar.update(sum(job.seconds for job in jobs))
            self._show()

    def _show(self) -> None:
        rate = self._computed / max(time.perf_counter() - self._began, 1e-9)
        self._bar.set_postfix_str(
            f"{self._done}/{self._total} {self._unit}, {rate:.3g} {self._unit}/s", refresh=False
        )
