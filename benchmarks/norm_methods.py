"""``python -m benchmarks.norm_methods``: norms by the full product, by Lanczos, and as "auto" chooses.

Processor time of one thread, the least of some rounds taken in turn, so that other programs on the machine do
not decide. The last columns are Lanczos and "auto" over the better of the two, and the iterations taken.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from integrators import NeuralField
from integrators.run.recurrence import OdeRecurrence, Recurrence
from sensitivity.analysis.jacobians import norm_and_exponent
from sensitivity.analysis.singular import block_of, leading
from sensitivity.recurrences.cell import unroll
from sensitivity.recurrences.registry import MODELS, make

from .table import markdown

__all__ = ["Row", "compared", "models"]

METHODS = ("full", "lanczos", "auto")
FIELDS = {"field, leapfrog": "leapfrog", "field, euler": "euler"}


@dataclass(frozen=True)
class Row:
    """Seconds by each method of `METHODS`, and Lanczos iterations."""

    name: str
    d: int
    seconds: dict[str, float]
    iterations: int

    @property
    def auto_over_better(self) -> float:
        return self.seconds["auto"] / min(self.seconds["full"], self.seconds["lanczos"])


def models(d: int, n_steps: int) -> dict[str, Callable[[], Recurrence]]:
    """Fields and all cells at their published start, one run on one thread each."""
    made: dict[str, Callable[[], Recurrence]] = {
        name: lambda scheme=scheme: OdeRecurrence(NeuralField.random(d), scheme, 0.1, n_steps, threads=1)
        for name, scheme in FIELDS.items()
    }
    cells = {name: lambda name=name: unroll(make(name, d), n_steps, threads=1) for name in MODELS}
    return made | cells


def compared(name: str, recurrence: Recurrence, d: int, rounds: int) -> Row:
    """The three methods in turn; a first round compiles and is not counted."""
    seconds: dict[str, float] = {method: float("inf") for method in METHODS}
    for counted in range(rounds + 1):
        for method in METHODS:
            began = time.process_time()
            norm_and_exponent(recurrence, None, method)
            spent = time.process_time() - began
            seconds[method] = min(seconds[method], spent if counted else float("inf"))
    found = leading(recurrence, *block_of(recurrence, None), 1, "lanczos", 1e-10)
    return Row(name, d, seconds, found.iterations if found is not None else 0)


def main(given: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.norm_methods", description=__doc__)
    parser.add_argument("--d", type=int, nargs="+", default=[16, 48, 64, 100])
    parser.add_argument("--n-steps", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--models", nargs="+", help="only these")
    options = parser.parse_args(given)
    rows = [
        compared(name, make_it(), d, options.rounds)
        for d in options.d
        for name, make_it in models(d, options.n_steps).items()
        if options.models is None or name in options.models
    ]
    table = [
        [
            row.name,
            str(row.d),
            *(f"{1e3 * row.seconds[method]:.2f}" for method in METHODS),
            f"{row.seconds['lanczos'] / row.seconds['full']:.2f}",
            str(row.iterations),
            f"{row.auto_over_better:.2f}",
        ]
        for row in rows
    ]
    print(f"N = {options.n_steps}, one member, one thread; milliseconds of processor time")
    head = ["model", "d", *METHODS, "Lanczos ÷ full", "iterations", "auto ÷ better"]
    print(markdown(head, table))
    within = sum(row.auto_over_better <= 1.2 for row in rows)
    print(f"\nauto within 1.2 of the better: {within} of {len(rows)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
