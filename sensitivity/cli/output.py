"""Tables, CSV and JSON: how commands show their results."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from sensitivity.files import check_writable, replacing
from sensitivity.text import csv_text, from_log, json_text, number

__all__ = [
    "check_picture",
    "from_log",
    "notice",
    "number",
    "picture_path",
    "print_json",
    "print_table",
    "write_csv",
]

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


def check_picture(name: str | None) -> Path | None:
    """`picture_path` of ``--plot``, which need not be given."""
    return None if name is None else picture_path("--plot", name)


def notice(text: str) -> None:
    """One line on standard error, before the work that it tells of; without one there is nobody to tell."""
    with suppress(OSError, ValueError):
        print(f"leapgrad: {text}", file=sys.stderr, flush=True)


def print_table(headers: Sequence[str], rows: Iterable[Sequence[str]], left: int = 0) -> None:
    """Columns of text, right-aligned but for the first `left` ones, under a rule."""
    cells = [list(headers), *(list(row) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headers))]
    for index, row in enumerate(cells):
        padded = (
            text.ljust(width) if column < left else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join(padded).rstrip())
        if index == 0:
            print("  ".join("─" * width for width in widths))


def write_csv(path: Path, columns: Mapping[str, Any]) -> None:
    """Columns of words, and of numbers in full precision; the file appears when it is complete."""
    rows = [
        [value if isinstance(value, str) else float(value) for value in row]
        for row in zip(*columns.values(), strict=True)
    ]
    with replacing(path) as temporary:
        temporary.write_text(csv_text(columns, rows), encoding="utf-8", newline="")


def print_json(result: Mapping[str, Any]) -> None:
    """JSON on standard output. Numbers that are not finite are null, since JSON has no name for them."""
    print(json_text(result, indent=2))
