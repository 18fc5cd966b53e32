"""`leapgrad falsify`: try to break every proved bound, at random and by an optimiser."""

from __future__ import annotations

import argparse

from sensitivity.cli.command import Command
from sensitivity.cli.output import CHECK_FAILED, print_json, print_table

__all__ = ["COMMAND"]

EXAMPLES = """\
  leapgrad falsify
  leapgrad falsify --cases 1000 --seed 7"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cases", type=int, default=10_000, metavar="N", help="random cases (default 10000)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the random cases (default 0)")


def run(args: argparse.Namespace) -> int:
    from integrators.engine.bars import progress_bar_on_stderr
    from sensitivity.falsification import falsify

    with progress_bar_on_stderr(None, total=args.cases, unit=" cases", leave=False) as bar:
        report = falsify(args.cases, args.seed, tick=bar.update)
    if args.json:
        print_json(report.to_dict())
        return CHECK_FAILED if report.broken else 0
    print_table(
        ("bound", "largest ratio", "1 − ratio", "tightness", "found by", "cases", "tightest"),
        [
            (
                name,
                f"{worst.ratio:.6f}",
                f"{-worst.log_ratio:.1e}",
                f"{worst.tightness:.6f}",
                worst.found_by,
                str(worst.random_cases + worst.searched_cases),
                str(worst.case),
            )
            for name, worst in report.worst.items()
        ],
        left=1,
    )
    verdict = f"BROKEN: {', '.join(report.broken)}" if report.broken else "no bound was broken"
    print(f"\n{report.cases} comparisons of a norm with a bound, seed {report.seed}: {verdict}")
    return CHECK_FAILED if report.broken else 0


COMMAND = Command(
    "falsify", "search for a network that breaks a proved bound", add_arguments, run, examples=EXAMPLES
)
