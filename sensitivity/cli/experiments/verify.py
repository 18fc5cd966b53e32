"""`leapgrad verify`: a folder of results, checked again."""

from __future__ import annotations

import argparse

from sensitivity.cli.command import Command
from sensitivity.cli.output import CHECK_FAILED, print_json

__all__ = ["COMMAND"]

SHOWN = 20
EXAMPLES = """\
  leapgrad verify widths
  leapgrad verify widths --recompute 10"""
HEADINGS = {"damaged": "damaged", "violations": "beyond a proved bound", "changed": "not reproduced"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="DIR", help="what leapgrad sweep --out has filled")
    parser.add_argument(
        "--recompute",
        type=int,
        default=0,
        metavar="N",
        help="also compute N cells once more, drawn at random, and compare every bit (default 0)",
    )


def run(args: argparse.Namespace) -> int:
    from sensitivity.studies import verify

    found = verify(args.folder, recompute=args.recompute)
    if args.json:
        print_json(found.to_dict())
        return 0 if found.ok else CHECK_FAILED
    print(f"{found.cells} cells: {found.sound} sound, checksums and bounds")
    if found.recomputed:
        print(f"computed once more: {found.recomputed}, of which {len(found.changed)} differ")
    for name, heading in HEADINGS.items():
        for file, sentence in getattr(found, name)[:SHOWN]:
            print(f"{heading}: {file}: {sentence}")
        if (more := len(getattr(found, name)) - SHOWN) > 0:
            print(f"{heading}: {more} more")
    if found.missing:
        print(f"missing: {len(found.missing)} cells; leapgrad sweep computes them")
    if found.damaged:
        print("damaged cells: leapgrad sweep sets them aside and computes them again")
    if found.strange:
        print(f"{len(found.strange)} rows belong to no cell of this study; they do no harm")
    return 0 if found.ok else CHECK_FAILED


COMMAND = Command(
    "verify", "verify the numbers and the bounds of a study", add_arguments, run, examples=EXAMPLES
)
