"""``python -m benchmarks.cells``: the Jacobian of every cell, time ÷ bound beside that of the neural field.

The bound counts products with weights for D columns a step and one activation for every row of
pre-activations, at the measured rates of one core; see `bound`. Pointwise slopes are not counted, so cells
whose work lies there (UnICORNN, which has no products at all) are far above it; the last column counts them,
one multiply-add for every pair and column, as `Bound.with_updates` does for fields.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from integrators import NeuralField
from integrators.cells.cell import Cell
from integrators.run.recurrence import OdeRecurrence
from sensitivity.recurrences.cell import unroll
from sensitivity.recurrences.registry import MODELS, make

from .rates import Rates, measure
from .table import markdown

__all__ = ["Row", "counted", "measured"]

FIELD = "neural field, Euler"


@dataclass(frozen=True)
class Row:
    """A model: seconds of ∂s_N/∂s_0, and what its operations take."""

    name: str
    seconds: float
    bound: float
    with_updates: float

    @property
    def over(self) -> float:
        return self.seconds / self.bound


def counted(cell: Cell) -> tuple[int, int, int]:
    """Products, slopes applied and activations of one step with D columns, per step."""
    plan, d, k = cell.layout, cell.d, cell.dim
    weights = plan.recurrent * plan.source + plan.second * (plan.recurrent if plan.tied else plan.hidden)
    pairs = len(plan.out_pairs) + len(plan.hidden_pairs)
    return 2 * weights * d * d * (k + 1), 2 * pairs * d * k, (plan.first + plan.second) * d


def best(call: Callable[[], object], rounds: int) -> float:
    """Least processor time of some calls after one that compiles: other programs may be running."""
    call()
    times = []
    for _ in range(rounds):
        began = time.process_time()
        call()
        times.append(time.process_time() - began)
    return min(times)


def measured(d: int, n_steps: int, rates: Rates, rounds: int = 9) -> list[Row]:
    """The neural field, then every cell; one member on one thread."""
    speed, tanh = rates.dgemm[0], max(rates.tanh[0], rates.numpy_tanh[0])
    field = OdeRecurrence(NeuralField.random(d), "euler", 0.1, n_steps, threads=1)
    eye = np.eye(d)
    bound = n_steps * (2 * d * d * (d + 1) / speed + d / tanh)
    found = [
        Row(FIELD, best(lambda: field.pushforward(eye), rounds), bound, bound + n_steps * 2 * d * d / speed)
    ]
    for name in MODELS:
        cell = make(name, d)
        run, columns = unroll(cell, n_steps, threads=1), np.eye(cell.dim)
        products, slopes, activations = counted(cell)
        least = n_steps * (products / speed + activations / tanh)
        seconds = best(lambda run=run, columns=columns: run.pushforward(columns), rounds)
        found.append(Row(name, seconds, least, least + n_steps * slopes / speed))
    return found


def main(given: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cells", description=__doc__)
    parser.add_argument("--d", type=int, default=64)
    parser.add_argument("--n-steps", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args(given)
    rates = measure(1)
    rows = measured(options.d, options.n_steps, rates, options.rounds)
    rates = rates.best(measure(1))
    reference = rows[0]
    table = [
        [
            row.name,
            f"{1e3 * row.seconds:.1f}",
            f"{row.over:.2f}",
            f"{row.over / reference.over:.2f}",
            f"{row.seconds / row.with_updates / (reference.seconds / reference.with_updates):.2f}",
        ]
        for row in rows
    ]
    print(f"d = {options.d}, N = {options.n_steps}, one member, one thread, {rates.dgemm[0] / 1e9:.0f} GF/s")
    head = ["model", "ms", "time ÷ bound", "÷ that of the field", "the same with slopes counted"]
    print(markdown(head, table))
    within = sum(row.over <= 2.0 * reference.over for row in rows[1:])
    print(f"\nwithin twice the neural field: {within} of {len(rows) - 1}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
