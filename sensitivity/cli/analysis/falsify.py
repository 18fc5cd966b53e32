"""`leapgrad falsify`: try to break every proved bound, at random and by an optimiser."""

from __future__ import annotations

import argparse
import math
import time
from typing import TYPE_CHECKING

from sensitivity.cli.command import Command
from sensitivity.cli.output import CHECK_FAILED, print_json, print_table

if TYPE_CHECKING:
    from sensitivity.falsification import FalsifierReport, Worst

__all__ = ["COMMAND"]

EXAMPLES = """\
  leapgrad falsify
  leapgrad falsify --cases 1000 --seed 7
  leapgrad falsify --out falsify"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cases", type=int, default=10_000, metavar="N",
        help="random cases of fields, and as many of cells (default 10000)",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the random cases (default 0)")
    parser.add_argument("--out", metavar="DIR", help="folder to fill with the report and its manifest")


def run(args: argparse.Namespace) -> int:
    from integrators.engine.bars import progress_bar_on_stderr
    from sensitivity.falsification import CELL_TARGETS, TARGETS, falsify

    started = time.perf_counter()
    with progress_bar_on_stderr(None, total=2 * args.cases, unit=" cases", leave=False) as bar:
        report = falsify(args.cases, args.seed, {**TARGETS, **CELL_TARGETS}, tick=bar.update)
    if args.out is not None:
        _write(args, report, time.perf_counter() - started)
    if args.json:
        print_json(report.to_dict())
        return CHECK_FAILED if report.broken else 0
    print_table(
        ("bound", "largest ratio", "1 − ratio", "tightness", "found by", "cases", "tightest"),
        [
            (
                name,
                *_shown(worst),
                str(worst.random_cases + worst.searched_cases),
                "" if worst.case is None else str(worst.case),
            )
            for name, worst in report.worst.items()
        ],
        left=1,
    )
    verdict = f"BROKEN: {', '.join(report.broken)}" if report.broken else "no bound was broken"
    untested = [name for name, worst in report.worst.items() if worst.case is None]
    if untested:
        verdict += f"; no case was about {', '.join(untested)}: give more --cases"
    print(f"\n{report.cases} comparisons of a norm with a bound, seed {report.seed}: {verdict}")
    return CHECK_FAILED if report.broken else 0


def _shown(worst: Worst) -> tuple[str, str, str, str]:
    """The ratio, its distance from 1, the tightness and who found it; dashes where no case was about it."""
    if worst.case is None:
        return "–", "–", "–", "not tested"
    below = 0.0 - math.expm1(worst.log_ratio)  # and not −0 for equality
    return f"{worst.ratio:.6f}", f"{below:.1e}", f"{worst.tightness:.6f}", worst.found_by


def _write(args: argparse.Namespace, report: FalsifierReport, seconds: float) -> None:
    from sensitivity.files import replacing_folder
    from sensitivity.manifest import write_manifest
    from sensitivity.text import write_json

    command = f"leapgrad falsify --cases {args.cases} --seed {args.seed}"
    with replacing_folder(args.out) as folder:
        write_json(folder / "falsify.json", report.to_dict())
        write_manifest(folder, command, {"cases": args.cases, "seed": args.seed}, seconds)


COMMAND = Command(
    "falsify", "search for a network that breaks a proved bound", add_arguments, run, examples=EXAMPLES
)
