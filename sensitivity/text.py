"""Results as text: numbers in and beyond the range of float64, JSON, CSV."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "block_symbol",
    "csv_text",
    "evenly_spread",
    "from_log",
    "json_text",
    "markdown_table",
    "number",
    "plain",
    "write_json",
]

LOG_10 = math.log(10.0)
SYMBOLS = {"state": "s", "phase": "s", "position": "y", "momentum": "p"}


def block_symbol(block: str | None) -> str:
    """What formulas call a block of the state: s for the whole, y and p for the halves of a field."""
    return "s" if block is None else SYMBOLS.get(block, block)


def evenly_spread(count: int, most: int) -> NDArray[np.int64]:
    """Indices of at most so many of `count` things, evenly spread, the first and the last among them."""
    import numpy as np  # not by --help, which shares this file

    return np.unique(np.linspace(0, max(count - 1, 0), min(most, count)).round().astype(np.int64))


def number(value: float, digits: int = 6) -> str:
    """A number with so many significant digits."""
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


def plain(value: Any) -> Any:
    """Data for JSON: arrays and tuples as lists, numbers that are not finite as None, for want of a name."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):  # NumPy arrays and scalars
        return plain(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def json_text(data: Any, indent: int = 1) -> str:
    """Readable, the same data as the same text."""
    return json.dumps(plain(data), indent=indent, ensure_ascii=False, allow_nan=False)


def write_json(path: Path, data: Any) -> None:
    """`json_text` as a file."""
    path.write_text(json_text(data) + "\n", encoding="utf-8")


def markdown_table(header: Sequence[Any], rows: Iterable[Sequence[Any]]) -> list[str]:
    """The lines of a table in Markdown."""
    return [f"| {' | '.join(map(str, row))} |" for row in (header, ["---"] * len(header), *rows)]


def csv_text(header: Iterable[Any], rows: Iterable[Sequence[Any]]) -> str:
    """Rows under a header; floats in full, to be read back exactly."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([repr(item) if isinstance(item, float) else item for item in row] for row in rows)
    return text.getvalue()
