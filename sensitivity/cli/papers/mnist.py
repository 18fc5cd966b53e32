"""`leapgrad reproduce mnist`: what the same processor time buys on sequential MNIST, network by network."""

from __future__ import annotations

import argparse

from sensitivity.cli.command import Command
from sensitivity.cli.output import print_json, print_table

__all__ = ["MNIST_COMMAND"]

FOLDER = "leapgrad-mnist"
EXAMPLES = """\
  leapgrad reproduce mnist --data DIR --hours 0.1 --network Hamiltonian --network coRNN
  leapgrad reproduce mnist --data DIR --hours 2 --out mnist

  It takes networks × seeds × tasks × --hours of one core, and a little for the search. It may
  be stopped: the same command goes on from the last epoch of every run."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", default=FOLDER, metavar="DIR", help=f"folder to fill (default {FOLDER})")
    parser.add_argument("--data", metavar="DIR", help="folder of the MNIST files (default: LEAPGRAD_DATA)")
    parser.add_argument(
        "--hours", type=float, default=0.5, metavar="H", help="of one core, for one run (default 0.5)"
    )
    parser.add_argument(
        "--network", action="append", metavar="NAME", help="a row of the table; repeatable (default: all)"
    )
    parser.add_argument(
        "--task",
        action="append",
        metavar="TASK",
        help="mnist or pmnist, its pixels reordered (default: both)",
    )
    parser.add_argument("--seeds", type=int, default=3, metavar="S", help="fresh seeds (default 3)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="the first seed (default 0)")
    parser.add_argument(
        "--so-far",
        action="store_true",
        help="compute nothing: write what the runs that are done show, and keep them to go on from",
    )


def run(args: argparse.Namespace) -> int:
    import math
    from dataclasses import replace

    from integrators.naming import nearest
    from integrators.validation import as_count
    from sensitivity.papers.hamiltonian.heuristic.budget import BUDGET, write_budget

    if not (0.0 < args.hours < math.inf):
        raise ValueError(f"--hours must be positive and finite, got {args.hours}.")
    plan = replace(
        BUDGET, hours=args.hours, seeds=as_count(args.seeds, "--seeds", least=1),
        seed=as_count(args.seed, "--seed"),
    )  # fmt: skip
    command = f"leapgrad reproduce mnist --hours {args.hours:g} --seeds {args.seeds} --seed {args.seed}"
    known = {one.name: one for one in plan.contenders}
    for what, asked, names in (("network", args.network, known), ("task", args.task, plan.tasks)):
        for name in asked or ():
            if name not in names:
                raise nearest(what, name, names)
            command += f' --{what} "{name}"' if " " in name else f" --{what} {name}"
    if args.network:
        plan = replace(plan, contenders=tuple(known[name] for name in dict.fromkeys(args.network)))
    if args.task:
        plan = replace(plan, tasks=tuple(dict.fromkeys(args.task)))
    bought, seconds = write_budget(args.out, plan, command=command, data=args.data, so_far=args.so_far)
    if args.json:
        print_json({"bought": [one.data() for one in bought], "folder": args.out, "seconds": seconds})
        return 0
    print_table(
        ("network", "task", "hidden parameters", "epochs", "test accuracy, mean (range)"),
        [(one.contender, one.task, f"{one.hidden or ''}", f"{one.epochs}", one.text()) for one in bought],
        left=2,
    )
    print(f"\nThe table and all numbers are in {args.out} ({seconds:.0f} s)")
    return 0


MNIST_COMMAND = Command(
    "mnist",
    "what the same processor time buys on sequential MNIST, network by network",
    add_arguments,
    run,
    examples=EXAMPLES,
)
