"""`leapgrad reproduce tables`: Tables 1 and 2, Figures 6 and 7, with every run and a manifest."""

from __future__ import annotations

import argparse

from sensitivity.cli.command import Command
from sensitivity.cli.output import print_json, print_table

__all__ = ["TABLES"]

FOLDER = "leapgrad-tables"
EXAMPLES = """\
  leapgrad reproduce tables --quick
  leapgrad reproduce tables --task xor --out table-2"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", default=FOLDER, metavar="DIR", help=f"folder to fill (default {FOLDER})")
    parser.add_argument(
        "--task", action="append", metavar="TASK", help="shock, shock_std or xor (default: all)"
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="the shortest sequences alone, in a few minutes")
    size.add_argument(
        "--full",
        action="store_true",
        help="every length and network, the paper's budgets; may be stopped and continued",
    )
    parser.add_argument(
        "--so-far",
        action="store_true",
        help="compute nothing: write what the runs that are done show, and keep them to go on from",
    )
    parser.add_argument("--seeds", type=int, metavar="S", help="fresh seeds (default 3, or 5 with --full)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="the first seed (default 0)")


def run(args: argparse.Namespace) -> int:
    from dataclasses import replace

    from integrators.naming import nearest
    from integrators.validation import as_count
    from sensitivity.papers.hamiltonian.heuristic.contest_plan import FULL, KEPT, QUICK, TABLES
    from sensitivity.papers.hamiltonian.heuristic.contest_report import of_task, shown, write_tables

    plan, command = QUICK if args.quick else FULL if args.full else KEPT, "leapgrad reproduce tables"
    command += " --quick" * args.quick + " --full" * args.full
    if as_count(args.seed, "--seed"):
        plan, command = replace(plan, seed=args.seed), f"{command} --seed {args.seed}"
    if args.task:
        for task in args.task:
            if task not in TABLES:
                raise nearest("task", task, TABLES)
            if task not in plan.tasks:
                raise ValueError(f"--task {task} is part of --full only; add --full.")
            command += f" --task {task}"
        plan = replace(plan, tasks={task: plan.tasks[task] for task in args.task})
    if args.seeds is not None:
        plan = replace(plan, seeds=as_count(args.seeds, "--seeds", least=1))
        command += f" --seeds {args.seeds}"
    cells, seconds = write_tables(args.out, plan, command=command, so_far=args.so_far)
    if args.json:
        print_json({"cells": [cell.data() for cell in cells], "folder": args.out, "seconds": seconds})
        return 0
    for task in plan.tasks:
        mine = of_task(cells, task)
        names = list(dict.fromkeys(cell.entrant for cell in mine))
        print(f"{TABLES[task]}: hidden parameters in median iterations (fewest–most) to 90 %, / not reached")
        found = {(cell.n_steps, cell.entrant): shown(cell) for cell in mine}
        print_table(("N", *names), [(f"{n}", *(found[n, name] for name in names)) for n in plan.tasks[task]])
        print()
    print(f"Tables, figures and every run are in {args.out} ({seconds:.0f} s)")
    return 0


TABLES = Command(
    "tables",
    "Tables 1 and 2, Figures 6 and 7: iterations until a task is learned",
    add_arguments,
    run,
    examples=EXAMPLES,
)
