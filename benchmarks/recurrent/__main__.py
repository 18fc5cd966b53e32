"""``python -m benchmarks.recurrent``: recurrent cells beside PyTorch and JAX.

Jacobians and norms of 64 sequences, and norms of 256 of an LSTM (d = 64, N = 200, three inputs, the block
that a cell shows by default), and gradient steps of classifiers (d = 75, N = 500, 100 sequences, one input).
Every library has a process of its own and the same number of threads; numbers are compared before anything is
timed, and rounds begin with another library each. With ``--avx2`` all of them are restricted to AVX2.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from statistics import median

import numpy as np

from benchmarks.candidate import OURS, PLAIN_JAX, PYTORCH, TUNED_JAX, Library, NotAvailable
from benchmarks.measure import PAUSE, Disagreement, deviation
from benchmarks.table import duration, markdown, verdict
from benchmarks.worker import Timing, Worker, WorkerFailure

from .task import Task, tasks

__all__ = ["AVX2", "LIBRARIES", "compared", "judged", "libraries"]

TOLERANCE = {"float32": 1e-3, "": 1e-10}
AVX2 = {
    "NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "", "OPENBLAS_CORETYPE": "Haswell",
    "ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2", "ONEDNN_MAX_CPU_ISA": "AVX2",
}  # fmt: skip
LIBRARIES = (
    dataclasses.replace(OURS, module="recurrent.by_leapgrad"),
    dataclasses.replace(PLAIN_JAX, module="recurrent.by_jax"),
    dataclasses.replace(TUNED_JAX, module="recurrent.by_jax"),
    dataclasses.replace(PYTORCH, module="recurrent.by_torch"),
)


def libraries(avx2: bool) -> list[Library]:
    """All libraries, restricted to AVX2 or not."""
    if not avx2:
        return list(LIBRARIES)
    found = []
    for library in LIBRARIES:
        environment = {**library.environment, **AVX2}
        flags = environment.get("XLA_FLAGS", "").replace("512", "256")
        environment["XLA_FLAGS"] = f"{flags} --xla_cpu_max_isa=AVX2".strip()
        found.append(dataclasses.replace(library, environment=environment))
    return found


Timings = dict[tuple[str, str], list[Timing]]


def compared(
    task: Task, workers: Sequence[Worker], cores: int, rounds: int, say: Callable[[str], None]
) -> tuple[Timings, list[str]]:
    """Timings by (library, candidate), in turn, and what is missing; the first worker is ours.

    Raises
    ------
    Disagreement
        If a candidate computes something else.
    """
    timings: Timings = {}
    missing: list[str] = []
    reference = None
    entries = []
    for worker in workers:
        library = worker.library.name
        try:
            for name in worker.ask("call", "names", task):
                say(f"{library}: {name}")
                found = worker.ask("call", "prepare", name, task, cores)
                reference = found if reference is None else reference
                off = deviation(np.asarray(found, np.float64)[None], reference[None])
                if not off <= TOLERANCE["float32" if "float32" in name else ""]:
                    raise Disagreement(f"{library}, {name} differs from ours by {off:.1e}: {task.title}")
                entries.append((worker, (library, name)))
        except (NotAvailable, WorkerFailure) as error:
            missing.append(f"{library}: {str(error).strip().splitlines()[-1]}")
    for turn in range(rounds):
        first = turn % len(entries)
        for worker, key in entries[first:] + entries[:first]:
            time.sleep(PAUSE)
            timings.setdefault(key, []).append(worker.ask("call", "time", key[1]))
    return timings, missing


def judged(task: Task, timings: Timings) -> list[list[str]]:
    """A line for every candidate: its time, times ours, and whether that is what was asked for."""
    own = next(times for (library, _), times in timings.items() if library == OURS.name)
    lines = []
    for (library, name), times in timings.items():
        ratios, on_cpu = (
            median(getattr(t, kind) / getattr(mine, kind) for t, mine in zip(times, own, strict=True))
            for kind in ("wall", "cpu")
        )
        plain = name.startswith("jit(") or library == PYTORCH.name
        asked = task.least.get(library) if plain and "float32" not in name else None
        lines.append([
            task.title, library, name, duration(median(t.wall for t in times)),
            duration(median(t.cpu for t in times)), f"{ratios:.2f}", f"{on_cpu:.2f}",
            verdict(ratios, asked, at_most=False),
        ])  # fmt: skip
    return lines


def main(given: list[str] | None = None) -> int:
    """Print the table; 1 if two candidates disagree."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recurrent", description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="WORD", help="tasks whose title has one of these words")
    parser.add_argument("--avx2", action="store_true", help="restrict every library to AVX2")
    parser.add_argument("--quick", action="store_true", help="small work: does everything run and agree?")
    parser.add_argument("--cores", type=int, default=2, help="threads of every library (default: 2)")
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="rounds (default: 5)")
    options = parser.parse_args(given)
    lines, absent = [], []
    chosen = [
        task
        for task in tasks(options.quick)
        if not options.only or set(options.only) & set(task.title.replace(",", " ").split())
    ]

    def say(text: str) -> None:
        print(f"  {text}", file=sys.stderr)

    with ExitStack() as stack:
        workers = [stack.enter_context(Worker(library, options.cores)) for library in libraries(options.avx2)]
        for task in chosen:
            print(task.title, file=sys.stderr)
            try:
                timings, missing = compared(task, workers, options.cores, options.repeats, say)
            except Disagreement as error:
                print(error, file=sys.stderr)
                return 1
            lines += judged(task, timings)
            absent += missing
    head = [
        "work",
        "library",
        "candidate",
        "time",
        "processor time",
        "÷ ours",
        "the same, processor",
        "asked",
    ]
    print(markdown(head, lines))
    if absent:
        print("\nNot available: " + "; ".join(sorted(set(absent))) + ".")
    return 0


if __name__ == "__main__":
    sys.exit(main())
