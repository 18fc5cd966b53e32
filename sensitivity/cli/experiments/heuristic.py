"""`leapgrad heuristic`: does the best step follow ε ∝ 1/N?"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from sensitivity.cli.command import Command
from sensitivity.cli.output import number, print_json, print_table

if TYPE_CHECKING:
    from sensitivity.papers.hamiltonian.heuristic.plan import ScanPlan

__all__ = ["COMMAND"]

FOLDER = "leapgrad-heuristic"
EXAMPLES = """\
  leapgrad heuristic --quick
  leapgrad heuristic --task xor --out xor
  leapgrad heuristic --full --out figure-4"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--task", default="gaussian_mean", metavar="TASK",
        help="gaussian_mean (default), shock, shock_std, xor or recent_mean",
    )  # fmt: skip
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="a coarse scan with 3 seeds (default)")
    size.add_argument(
        "--full",
        action="store_true",
        help="a fine scan with more seeds and epochs, controls and other tasks, with MNIST if LEAPGRAD_DATA "
        "has it",
    )
    parser.add_argument(
        "--seeds", type=int, metavar="S", help="number of seeds (default: 3, or 5 with --full)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="the first seed (default 0)")
    parser.add_argument("--out", default=FOLDER, metavar="DIR", help=f"folder to fill (default {FOLDER})")


def run(args: argparse.Namespace) -> int:
    from dataclasses import replace

    from integrators.validation import as_count
    from sensitivity.papers.hamiltonian.heuristic.plan import FULL, QUICK
    from sensitivity.papers.hamiltonian.heuristic.report import HEADER, rows, write_experiment
    from sensitivity.training.data.tasks import get_task

    get_task(args.task)
    plan = FULL if args.full else QUICK
    command = f"leapgrad heuristic --task {args.task} --{'full' if args.full else 'quick'}"
    if as_count(args.seed, "--seed"):
        plan = replace(plan, seed=args.seed)
        command += f" --seed {args.seed}"
    if args.seeds is not None:
        plan = replace(plan, seeds=as_count(args.seeds, "--seeds", least=2))
        command += f" --seeds {args.seeds}"
    plan = _without_missing_images(plan)
    found, data, seconds = write_experiment(args.out, args.task, plan, command=command)
    if args.json:
        print_json({**data, "folder": args.out, "seconds": seconds})
        return 0
    print_table(
        ("N", "best ε", "within one standard error", "c = Nε*", "test accuracy"),
        [
            (
                f"{n:g}",
                number(one.best, 3),
                f"{number(one.low, 3)} … {number(one.high, 3)}",
                number(n * one.centre, 3),
                f"{100 * test:.1f} ± {100 * one.error:.1f} %",
            )
            for n, one, test in zip(found.main.variable, found.main.optima, found.main.reached, strict=True)
        ],
    )
    if found.also:
        print()
        print_table(HEADER, rows(found))
    print()
    for label, value in data["findings"].items():
        print(f"{label}: {value}")
    print(f"\nFigure 4 and all numbers are in {args.out} ({seconds:.0f} s)")
    return 0


def _without_missing_images(plan: ScanPlan) -> ScanPlan:
    """The plan; where it has images and these are not there, it says so and leaves them out."""
    from dataclasses import replace

    from sensitivity.papers.hamiltonian.heuristic.images import digits
    from sensitivity.papers.hamiltonian.heuristic.plan import IMAGES
    from sensitivity.training.data.files import DataError

    if IMAGES in plan.also:
        try:
            digits()
        except DataError as error:
            print(f"MNIST is left out: {error}", file=sys.stderr)
            return replace(plan, also=tuple(name for name in plan.also if name != IMAGES))
    return plan


COMMAND = Command(
    "heuristic",
    "measure whether the best step is ∝ 1/N, with controls (Figure 4)",
    add_arguments,
    run,
    examples=EXAMPLES,
)
