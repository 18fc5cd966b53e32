"""One gradient step of the trainer: loss and gradient of a batch, float64, beside JAX and PyTorch."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .candidate import JAX, OURS, PYTORCH, Library, NotAvailable
from .measure import PAUSE, deviation
from .rates import Rates
from .worker import Worker, WorkerFailure

__all__ = ["BATCHES", "Batch", "BatchResult", "measure_batch", "training_table"]

Float = NDArray[np.float64]
# Its value is not looked at: every library returns gradients in arrays of its own.
Run = Callable[[], object]


@dataclass(frozen=True)
class Batch:
    """A Hamiltonian network by leapfrog, its weights, and a batch; what is asked of the time.

    Attributes
    ----------
    d, n_steps, size, n_classes : int
        `size` is the number of sequences.
    most_bound, least_jax, least_torch : float, optional
        Asked for: times the arithmetic bound, and times faster.
    step : float
    """

    d: int
    n_steps: int
    size: int
    n_classes: int
    most_bound: float
    least_jax: float
    least_torch: float | None = None
    step: float = 0.01

    @property
    def title(self) -> str:
        return f"d = {self.d}, N = {self.n_steps}, batch {self.size}"

    def parts(self) -> dict[str, Float]:
        """W, V, b, R, r."""
        rng, d = np.random.default_rng(0), self.d
        shapes = {"W": (d, d), "V": (d, 1), "b": (d,), "R": (self.n_classes, d), "r": (self.n_classes,)}
        return {name: rng.uniform(-1.0, 1.0, shape) / np.sqrt(d) for name, shape in shapes.items()}

    def data(self) -> tuple[Float, NDArray[np.int64]]:
        """Inputs (n_steps, 1, size) and labels."""
        rng = np.random.default_rng(1)
        return rng.normal(size=(self.n_steps, 1, self.size)), rng.integers(0, self.n_classes, self.size)

    def bound(self, rates: Rates) -> float:
        """Seconds of the products and of tanh at the measured rates of all cores.

        Every kick takes A (y; x; 1) with A = [W V b], the same for ∂A, and Wᵀ λ but for the first kick.
        """
        rows = self.d + 2
        products = 2 * self.d * (2 * rows * self.n_steps + self.d * (self.n_steps - 1)) * self.size
        return products / rates.dgemm[1] + self.d * self.n_steps * self.size / rates.best_tanh


BATCHES = (Batch(10, 1000, 100, 2, 2.5, 6.0, 30.0), Batch(64, 784, 128, 10, 2.0, 3.0))

LIBRARIES: tuple[tuple[Library, str], ...] = (
    (OURS, "training_ours"),
    *((library, "training_jax") for library in JAX),
    (PYTORCH, "training_torch"),
)


@dataclass(frozen=True)
class BatchResult:
    """Times of every candidate in every round.

    Attributes
    ----------
    batch : Batch
    wall : dict
        "library: candidate" → seconds, one entry a round.
    deviation : dict
        "library: candidate" → largest difference of the gradient from ours, over its largest entry.
    missing : tuple of str
    """

    batch: Batch
    wall: dict[str, tuple[float, ...]]
    deviation: dict[str, float]
    missing: tuple[str, ...]

    @property
    def ours(self) -> tuple[float, ...]:
        found = self.best(OURS.name)
        assert found is not None
        return found

    def best(self, *libraries: str) -> tuple[float, ...] | None:
        found = [times for name, times in self.wall.items() if name.partition(": ")[0] in libraries]
        return min(found, key=median, default=None)

    def times_faster(self, *libraries: str) -> float | None:
        """Median over rounds of the time of their best over ours."""
        theirs = self.best(*libraries)
        if theirs is None:
            return None
        return median(there / here for there, here in zip(theirs, self.ours, strict=True))


def measure_batch(
    batch: Batch, cores: int, rounds: int, say: Callable[[str], None] = lambda text: None
) -> BatchResult:
    """All candidates in turn, each round beginning with another; numbers compared first."""
    wall: dict[str, list[float]] = {}
    found: dict[str, Any] = {}
    missing = []
    with ExitStack() as stack:
        entries: list[tuple[Worker, str, str]] = []
        for library, module in LIBRARIES:
            say(f"preparing {library.name}")
            own = Library(library.name, module, library.packages, library.environment)
            worker = stack.enter_context(Worker(own, cores))
            try:
                for name in worker.ask("call", "names"):
                    found[f"{library.name}: {name}"] = worker.ask("call", "prepare", name, batch, cores)
                    entries.append((worker, name, f"{library.name}: {name}"))
            except (NotAvailable, WorkerFailure) as error:
                missing.append(f"{library.name}: {str(error).strip().splitlines()[-1]}")
        for turn in range(rounds):
            say(f"round {turn + 1} of {rounds}")
            for worker, name, key in entries[turn % len(entries) :] + entries[: turn % len(entries)]:
                time.sleep(PAUSE)
                wall.setdefault(key, []).append(worker.ask("call", "time", name).wall)
    own = next(value for name, value in found.items() if name.startswith(OURS.name))
    # As in the other rows, a candidate that computes something else is not timed against.
    different = {key: deviation(value[None], own[None]) for key, value in found.items()}
    return BatchResult(batch, {key: tuple(times) for key, times in wall.items()}, different, tuple(missing))


def training_table(results: Sequence[BatchResult], rates: Rates) -> str:
    """One line a batch, then every candidate."""
    from .table import duration, markdown, verdict

    lines, all_lines = [], []
    for result in results:
        batch, here = result.batch, median(result.ours)
        bound, torch = batch.bound(rates), result.times_faster(PYTORCH.name)
        jax = result.times_faster(*[library.name for library in JAX])
        lines.append(
            [
                batch.title,
                f"{duration(here)} ({duration(min(result.ours))} … {duration(max(result.ours))})",
                duration(bound),
                f"{here / bound:.2f}",
                verdict(here / bound, batch.most_bound, at_most=True),
                *(f"{ratio:.1f}" if ratio else "–" for ratio in (jax, torch)),
                verdict(jax, batch.least_jax, at_most=False),
                verdict(torch, batch.least_torch, at_most=False),
            ]
        )
        for name, times in result.wall.items():
            all_lines.append([batch.title, name, duration(median(times)), f"{result.deviation[name]:.0e}"])
    head = [
        "one gradient step", "ours (least … most)", "bound", "time ÷ bound", "asked", "× JAX", "× PyTorch",
        "asked of JAX", "asked of PyTorch",
    ]  # fmt: skip
    parts = [
        markdown(head, lines),
        markdown(["one gradient step", "candidate", "time", "deviation"], all_lines),
    ]
    absent = [text for result in results for text in result.missing]
    return "\n\n".join(parts + (["Not available: " + "; ".join(absent) + "."] if absent else []))
