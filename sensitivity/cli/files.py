"""The files that a command writes beside what it prints: ``--out`` for numbers, ``--plot`` for a picture."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sensitivity.files import check_writable

from .output import write_csv

__all__ = ["add", "check", "picture_path", "tell", "write"]

PICTURES = (".png", ".pdf", ".svg")


def picture_path(option: str, name: str) -> Path:
    """The path that an option names, if it can be drawn to.

    Raises
    ------
    ValueError, OSError
        For another kind of file, or a folder that is not there.
    """
    path = check_writable(name)
    if path.suffix.lower() not in PICTURES:
        raise ValueError(f"{option} {name!r} must end in {', '.join(PICTURES)}.")
    return path


def add(group: Any, what: str = "the table, in full precision") -> None:
    """The options ``--out`` and ``--plot``."""
    group.add_argument("--out", metavar="FILE.csv", help=f"also write {what}")
    group.add_argument("--plot", metavar="FILE.png", help="also draw it (.png, .pdf or .svg)")


def check(args: argparse.Namespace) -> None:
    """Raise before any work where what ``--out`` or ``--plot`` names cannot be written."""
    if args.out is not None:
        check_writable(args.out)
    if args.plot is not None:
        picture_path("--plot", args.plot)


def write(args: argparse.Namespace, columns: Mapping[str, Any], draw: Callable[[], Any]) -> None:
    """Write the columns and the figure that are asked for; drawing is slow to load, so only then."""
    if args.out is not None:
        write_csv(check_writable(args.out), columns)
    if args.plot is not None:
        from sensitivity.figures.plots import save

        save(draw(), picture_path("--plot", args.plot))


def tell(args: argparse.Namespace) -> None:
    """Say which files were written."""
    for path in (args.out, args.plot):
        if path is not None:
            print(f"written: {path}")
