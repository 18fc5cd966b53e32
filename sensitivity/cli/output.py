"""Tables, CSV and JSON: how commands show their results."""

from __future__ import annotations

import csv
import io
import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from sensitivity.files import check_writable, replacing

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

LOG_10 = math.log(10.0)
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


def number(value: float, digits: int = 6) -> str:
    """A number for a table."""
    return f"{value:.{digits}g}"


def from_log(log_value: float, digits: int = 6) -> str:
    """A number given by its natural logarithm, also where it lies outside float64."""
    if not math.isfinite(log_value) or abs(log_value) < 700.0:
        return number(math.exp(log_value), digits)
    exponent = math.floor(log_value / LOG_10)
    mantissa = f"{math.exp(log_value - exponent * LOG_10):.{digits - 1}f}"
    if mantissa.startswith("10."):
        mantissa, exponent = f"{1.0:.{digits - 1}f}", exponent + 1
    return f"{mantissa}e{exponent:+d}"


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
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in zip(*columns.values(), strict=True):
        writer.writerow([value if isinstance(value, str) else repr(float(value)) for value in row])
    with replacing(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8", newline="")


def print_json(result: Mapping[str, Any]) -> None:
    """JSON on standard output. Numbers that are not finite are null, since JSON has no name for them."""
    print(json.dumps(_plain(result), indent=2, ensure_ascii=False, allow_nan=False))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):  # NumPy arrays and scalars
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
