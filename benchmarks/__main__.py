"""``python -m benchmarks``: run this work side by side and print the table."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from pathlib import Path

# The libraries' processes import this module again: what is slow to import waits for `main`.

EXTRAS = ("flow", "growth", "training")
QUICK_BUDGET = 0.5


def arguments(given: list[str] | None) -> argparse.Namespace:
    from .rows import ROWS

    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Times this package beside JAX, PyTorch, autograd, heyoka and SciPy.",
    )
    keys = ", ".join([*(row.key for row in ROWS), *EXTRAS])
    parser.add_argument("--rows", nargs="+", default=[], metavar="ROW", help=f"only these: {keys}")
    parser.add_argument("--quick", action="store_true", help="small work: does everything run and agree?")
    parser.add_argument(
        "--repeats", type=int, metavar="N", help="rounds for every row, instead of its own number"
    )
    parser.add_argument(
        "--cores", type=int, default=2, help="cores, and threads, for every library (default: 2)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers")
    parser.add_argument("--write-docs", action="store_true", help="write performance.md and its picture")
    parser.add_argument(
        "--out", type=Path, default=Path("docs"), help="where --write-docs writes (default: docs)"
    )
    options = parser.parse_args(given)
    unknown = set(options.rows) - {row.key for row in ROWS} - set(EXTRAS)
    if unknown:
        parser.error(f"there is no row {', '.join(sorted(unknown))}; the rows are {keys}.")
    if options.write_docs and (options.rows or options.quick):
        parser.error("--write-docs needs a full run: leave out --rows and --quick.")
    if options.repeats is not None and options.repeats < 1:
        parser.error("--repeats must be at least 1.")
    if options.cores < 1:
        parser.error("--cores must be at least 1.")
    return options


def main(given: list[str] | None = None) -> int:
    """Run the benchmark; 1 if two candidates disagree, else 0."""
    options = arguments(given)
    from . import report, table
    from .candidate import CONTINUOUS, GROWTH, MACHINE, TUNED_JAX, NotAvailable
    from .machine import describe
    from .measure import BUDGET, Disagreement, measure_row
    from .peers_ode import Flow
    from .rows import quick, select
    from .training import BATCHES, measure_batch, training_table
    from .worker import Worker

    began = time.perf_counter()

    def say(text: str) -> None:
        print(f"[{time.perf_counter() - began:5.0f} s] {text}", file=sys.stderr, flush=True)

    def measured_rates():
        say("measuring rates")
        with Worker(MACHINE, options.cores) as worker:
            return worker.ask("call", "measure", options.cores)

    def xla_tanh():
        with Worker(TUNED_JAX, options.cores) as worker:
            try:
                return worker.ask("call", "tanh_rate")
            except NotAvailable:
                return None

    wanted = set(options.rows)
    machine = describe(options.cores)
    print(report.describe_machine(machine), end="\n\n")
    rates = dataclasses.replace(measured_rates(), xla_tanh=xla_tanh())
    keys = [key for key in options.rows if key not in EXTRAS]
    rows = select(keys) if keys or not wanted else ()
    results = []
    for row in rows:
        row = quick(row) if options.quick else row
        row = dataclasses.replace(row, rounds=options.repeats or row.rounds)
        say(row.title)
        try:
            budget = QUICK_BUDGET if options.quick else BUDGET
            result = measure_row(row, rates, options.cores, budget=budget, say=lambda text: say(f"  {text}"))
        except Disagreement as error:
            print(f"{row.title}: {error}", file=sys.stderr)
            return 1
        print(table.details(result), end="\n\n", flush=True)
        results.append(result)
    flow = None
    if not wanted or "flow" in wanted:
        say("continuous time")
        problem = Flow()
        with Worker(CONTINUOUS, options.cores) as worker:
            rounds = options.repeats or (2 if options.quick else 5)
            flow = (problem, *worker.ask("call", "measure", problem, rounds, not options.quick))
        print(table.flow_table(*flow), end="\n\n", flush=True)
    curves = []
    if not wanted or "growth" in wanted:
        say("growth")
        with Worker(GROWTH, options.cores) as worker:
            curves = worker.ask("call", "measure", options.cores, *([64] if options.quick else []))
        print(table.growth_table(curves), end="\n\n", flush=True)
    batches = []
    if not wanted or "training" in wanted:
        for batch in BATCHES:
            batch = dataclasses.replace(batch, n_steps=batch.n_steps // 20) if options.quick else batch
            say(f"one gradient step, {batch.title}")
            rounds = options.repeats or (2 if options.quick else 7)
            batches.append(measure_batch(batch, options.cores, rounds, lambda text: say(f"  {text}")))

    # Rates are best values, and the machine may have been busy the first time.
    rates = rates.best(measured_rates())
    results = [result.at(rates) for result in results]
    print(table.rates_table(rates), end="\n\n")
    if results:
        print(table.main_table(results), end="\n\n")
    if batches:
        print(training_table(batches, rates), end="\n\n")
    whole = report.Report(machine, rates, results, flow, curves, time.perf_counter() - began, batches)
    if options.json:
        options.json.write_text(
            json.dumps(dataclasses.asdict(whole), indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )
    if options.write_docs:
        for path in report.write(whole, options.out):
            say(f"wrote {path}")
    say("done")
    return 0


if __name__ == "__main__":
    sys.exit(main())
