"""Tables, CSV and JSON: how commands show their results."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from sensitivity.files import replacing
from sensitivity.text import csv_text, from_log, json_text, number

__all__ = [
    "CHECK_FAILED",
    "RUNNING",
    "SCHEMA_VERSION",
    "checked",
    "from_log",
    "notice",
    "number",
    "print_json",
    "print_table",
    "write_csv",
]

CHECK_FAILED = 1
SCHEMA_VERSION = 1
"""Of the JSON of all commands: raised when a member changes its meaning or goes, not when one is added."""

RUNNING: ContextVar[str] = ContextVar("RUNNING", default="")
"""The command that runs, such as "reproduce figures"."""


def checked(violations: int, what: str) -> int:
    """The exit status, once it is told how many numbers break what is proved."""
    if violations:
        print(f"{violations} {what}: something is wrong.")
    return CHECK_FAILED if violations else 0


def notice(text: str) -> None:
    """Print one line on standard error before some work begins; nothing if there is no standard error."""
    with suppress(OSError, ValueError):
        print(f"leapgrad: {text}", file=sys.stderr, flush=True)


def print_table(headers: Sequence[str], rows: Iterable[Sequence[str]], left: int = 0) -> None:
    """Columns of text, right-aligned but for the first `left`, under a rule; empty ones are left out.

    A number that is not known has a dash in place of "nan".
    """
    cells = [list(headers), *(["–" if text == "nan" else text for text in row] for row in rows)]
    shown = [column for column in range(len(headers)) if any(row[column] for row in cells)]
    cells = [[row[column] for column in shown] for row in cells]
    left = sum(column < left for column in shown)
    widths = [max(len(row[column]) for row in cells) for column in range(len(shown))]
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


def print_json(result: Mapping[str, Any], *, enveloped: bool = True) -> None:
    """JSON on standard output: the members of the envelope, then those of the result.

    Numbers that are not finite are null, since JSON has no name for them. A list of names with their texts
    goes without the envelope.
    """
    print(json_text({**(envelope() if enveloped else {}), **result}, indent=2))


def envelope() -> dict[str, Any]:
    """What every JSON object of the command line begins with."""
    from sensitivity.manifest import leapgrad_version

    return {"schema_version": SCHEMA_VERSION, "leapgrad": leapgrad_version(), "command": RUNNING.get()}
