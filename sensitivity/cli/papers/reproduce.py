"""`leapgrad reproduce`: Figures 1 to 3 of the paper with numbers, captions and a manifest; other pictures."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from sensitivity.cli.command import Command
from sensitivity.cli.output import CHECK_FAILED, from_log, print_json, print_table

from .mnist import MNIST_COMMAND
from .tables import TABLES

if TYPE_CHECKING:
    import numpy as np

    from sensitivity.papers.hamiltonian.curves import Curve

__all__ = ["COMMAND"]

FOLDER = "leapgrad-figures"
EXAMPLES = """\
  leapgrad reproduce figures
  leapgrad reproduce figures --out figures --draws 20
  leapgrad reproduce figures --quick"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", default=FOLDER, metavar="DIR", help=f"folder to fill (default {FOLDER})")
    parser.add_argument(
        "--draws",
        type=int,
        metavar="N",
        help="random draws for every d (default: 7 for d ≤ 10, else 3)",
    )
    parser.add_argument("--quick", action="store_true", help="fewer step sizes and draws, in a few seconds")


def run(args: argparse.Namespace) -> int:
    from dataclasses import replace

    from integrators.validation import as_count
    from sensitivity.papers.hamiltonian.plan import FULL, QUICK
    from sensitivity.papers.hamiltonian.reproduce import reproduce

    plan, command = QUICK if args.quick else FULL, "leapgrad reproduce figures"
    if args.quick:
        command += " --quick"
    if args.draws is not None:
        plan = replace(plan, draws=dict.fromkeys(plan.draws, as_count(args.draws, "--draws", least=1)))
        command += f" --draws {args.draws}"
    result = reproduce(args.out, plan, command=command)
    if args.json:
        print_json(
            {
                "captions": result.captions,
                "files": result.files,
                "folder": args.out,
                "seconds": result.seconds,
                "violations": result.violations,
            }
        )
    else:
        _show(result.curves)
        for number, caption in result.captions.items():
            print(f"\nFigure {number}. {caption}")
        names = ", ".join(result.files)
        print(f"\n{len(result.files)} files in {args.out} ({result.seconds:.0f} s): {names}")
    return CHECK_FAILED if result.violations else 0


def _show(curves: dict[int, list[Curve]]) -> None:
    """Medians at four step sizes, one row a curve."""
    import numpy as np

    marks = (1e-3, 1e-2, 1e-1, 1.0)
    rows = [
        (
            str(figure),
            str(curve.d),
            "" if curve.gamma is None else f"{curve.gamma:g}",
            str(len(curve.seeds)),
            *(_at(curve, mark, np.log(mark)) for mark in marks),
        )
        for figure, members in curves.items()
        for curve in members
    ]
    headers = ("figure", "d", "γ", "draws", *(f"‖·‖ at ε = {mark:g}" for mark in marks))
    print_table(headers, rows)


def _at(curve: Curve, mark: float, log_mark: np.floating) -> str:
    """The median at the step size nearest to the mark, unless it is not near."""
    import numpy as np

    index = int(np.argmin(np.abs(np.log(curve.step) - log_mark)))
    if abs(np.log(curve.step[index]) - log_mark) > 0.02:
        return "–"
    return from_log(float(curve.log.median[index]), 3)


PICTURE_FOLDER = "leapgrad-pictures"
PICTURE_EXAMPLES = """\
  leapgrad reproduce pictures
  leapgrad reproduce pictures area closing --out pictures"""


def add_picture_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME", help="pictures to draw; all of them by default")
    parser.add_argument(
        "--out", default=PICTURE_FOLDER, metavar="DIR", help=f"folder to fill (default {PICTURE_FOLDER})"
    )
    parser.add_argument("--list", action="store_true", help="only list names and what is seen")


def run_pictures(args: argparse.Namespace) -> int:
    from integrators.naming import nearest
    from sensitivity.files import replacing_folder
    from sensitivity.papers.hamiltonian.pictures import PICTURES, draw_picture

    for name in args.names:
        if name not in PICTURES:
            raise ValueError(str(nearest("picture", name, PICTURES)))
    names = args.names or list(PICTURES)
    about = {name: PICTURES[name].about for name in names}
    files = {}
    if not args.list:
        with replacing_folder(args.out) as folder:
            files = {name: draw_picture(name, folder) for name in names}
    if args.json:
        print_json({"pictures": about, "files": files, "folder": None if args.list else args.out})
        return 0
    for name, sentence in about.items():
        made = f" ({', '.join(files[name])})" if name in files else ""
        print(f"{name}{made}\n  {sentence}")
    if files:
        print(f"\n{sum(map(len, files.values()))} files in {args.out}")
    return 0


COMMAND = Command(
    "reproduce",
    "the paper's figures and tables, and the pictures of the notebooks",
    subcommands=(
        Command(
            "figures",
            "Figures 1 to 3 as PNG, PDF and CSV, with captions",
            add_arguments,
            run,
            examples=EXAMPLES,
        ),
        TABLES,
        MNIST_COMMAND,
        Command(
            "pictures",
            "phase-space areas, sensitivity ellipses, bounds that close, orders",
            add_picture_arguments,
            run_pictures,
            examples=PICTURE_EXAMPLES,
        ),
    ),
)
