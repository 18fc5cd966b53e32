"""One run of the benchmark: rates, rows and training on every shape, then what is measured once."""

from __future__ import annotations

import dataclasses
import sys
import time
from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import Any

from . import rows as listed
from . import table
from .candidate import CONTINUOUS, GROWTH, MACHINE, TUNED_JAX, NotAvailable
from .growth import Curve
from .machine import describe
from .measure import BUDGET, RowResult, measure_row
from .peers_ode import Flow
from .rates import Rates
from .report import Narrow, Report, describe_machine
from .rows import EXTRAS, Row
from .shapes import OWN, Shape, environment, shapes
from .training import BATCHES, BatchResult, measure_batch, training_table
from .worker import Worker

__all__ = ["Session"]

QUICK_BUDGET = 0.5


class Session:
    """What was asked for on the command line, and how it is measured.

    Parameters
    ----------
    options : argparse.Namespace
        As `__main__.arguments` returns it.
    """

    def __init__(self, options: Namespace) -> None:
        self._options, self._began = options, time.perf_counter()

    def say(self, text: str) -> None:
        """A line about what is being done."""
        print(f"[{time.perf_counter() - self._began:5.0f} s] {text}", file=sys.stderr, flush=True)

    def run(self) -> Report:
        """Measure all that was asked for, and print it.

        Raises
        ------
        Disagreement
            If two candidates computed different numbers.
        """
        options = self._options
        machine = describe(options.cores)
        print(describe_machine(machine), end="\n\n")
        keys = [key for key in options.rows if key not in EXTRAS]
        rows = listed.select(keys) if keys or not options.rows else ()
        own, *others = [shape for shape in shapes() if options.shape in ("both", shape.key)] or [OWN]
        first = self._on(own, rows)
        second = None
        if others:
            chosen = {result.row.key: {sample.name for sample in result.peers} for result in first.rows}
            second = self._on(others[0], listed.narrow(rows), chosen)
        with environment(own.variables):
            flow = self._flow() if self._wants("flow") else None
            curves = self._growth() if self._wants("growth") else []
        if second is not None and second.rows:
            print(table.shapes_table(first.rows, second.rows, second.title), end="\n\n")
        seconds = time.perf_counter() - self._began
        return Report(machine, first.rates, first.rows, flow, curves, seconds, first.training, second)

    def _wants(self, extra: str) -> bool:
        return not self._options.rows or extra in self._options.rows

    def _rounds(self, own: int) -> int:
        return self._options.repeats or (2 if self._options.quick else own)

    def _on(self, shape: Shape, rows: Sequence[Row], chosen: Mapping[str, set[str]] | None = None) -> Narrow:
        """Rates, rows and training on one shape; with `chosen` only candidates of these names in each row."""
        self.say(shape.title)
        with environment(shape.variables):
            rates = dataclasses.replace(self._rates(), xla_tanh=self._xla_tanh())
            results = [self._row(row, rates, chosen) for row in rows]
            batches = self._batches() if self._wants("training") else []
            # Rates are best values, and the machine may have been busy the first time.
            rates = rates.best(self._rates())
        found = Narrow(shape.title, rates, [result.at(rates) for result in results], batches)
        self._print(found)
        return found

    def _rates(self) -> Rates:
        self.say("measuring rates")
        with Worker(MACHINE, self._options.cores) as worker:
            return worker.ask("call", "measure", self._options.cores)

    def _xla_tanh(self) -> float | None:
        with Worker(TUNED_JAX, self._options.cores) as worker:
            try:
                return worker.ask("call", "tanh_rate")
            except NotAvailable:
                return None

    def _row(self, row: Row, rates: Rates, chosen: Mapping[str, set[str]] | None) -> RowResult:
        self.say(row.title)
        small = listed.quick(row) if self._options.quick else row
        result = measure_row(
            dataclasses.replace(small, rounds=self._options.repeats or small.rounds),
            rates,
            self._options.cores,
            budget=QUICK_BUDGET if self._options.quick else BUDGET,
            names=None if chosen is None else chosen.get(row.key, ()),
            say=lambda text: self.say(f"  {text}"),
        )
        print(table.details(result), end="\n\n", flush=True)
        return result

    def _batches(self) -> list[BatchResult]:
        found = []
        for batch in BATCHES:
            small = dataclasses.replace(batch, n_steps=batch.n_steps // 20) if self._options.quick else batch
            self.say(f"one gradient step, {batch.title}")
            found.append(
                measure_batch(small, self._options.cores, self._rounds(7), lambda text: self.say(f"  {text}"))
            )
        return found

    def _flow(self) -> tuple[Any, ...]:
        self.say("continuous time")
        problem = Flow()
        with Worker(CONTINUOUS, self._options.cores) as worker:
            found = worker.ask("call", "measure", problem, self._rounds(5), not self._options.quick)
        flow = (problem, *found)
        print(table.flow_table(*flow), end="\n\n", flush=True)
        return flow

    def _growth(self) -> Sequence[Curve]:
        self.say("growth")
        with Worker(GROWTH, self._options.cores) as worker:
            curves = worker.ask(
                "call", "measure", self._options.cores, *([64] if self._options.quick else [])
            )
        print(table.growth_table(curves), end="\n\n", flush=True)
        return curves

    @staticmethod
    def _print(found: Narrow) -> None:
        print(f"{found.title}:", end="\n\n")
        print(table.rates_table(found.rates), end="\n\n")
        if found.rows:
            print(table.main_table(found.rows), end="\n\n")
        if found.training:
            print(training_table(found.training, found.rates), end="\n\n")
        sys.stdout.flush()
