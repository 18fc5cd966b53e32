"""Labelled series in the formats of the UCR archive: ``.ts``, and ``.txt`` with the class in front.

A ``.ts`` file has comments (#), header lines (@) and after ``@data`` one series a line: comma-separated
values, dimensions and at last the class separated by colons. A ``.txt`` file has one series a line, the
class first, separated by blanks or commas. H. A. Dau et al., The UCR Time Series Classification Archive
(2018).
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .files import DataError
from .sequences import Sequences

__all__ = ["load_series", "read_series"]

Row = tuple[list[list[float]], str]


def read_series(path: str | Path) -> tuple[np.ndarray, list[str]]:
    """Values (n_steps, n_inputs, n) and class names, in the order of the file.

    Raises
    ------
    DataError
        If the file is missing, damaged, has an entry that is no number, or series of different lengths.
    """
    path = Path(path)
    lines = _lines(path)
    is_ts = ".ts" in path.suffixes
    rows = []
    in_data = not is_ts
    for number, line in lines:
        if is_ts and not in_data:
            in_data = line.lower().startswith("@data")
            continue
        try:
            rows.append(_ts_row(line) if is_ts else _text_row(line))
        except ValueError as error:
            raise DataError(f"{path}, line {number}: {error}.") from None
    if not rows:
        raise DataError(f"{path} holds no series{'; there is no @data line' if not in_data else ''}.")
    shapes = {tuple(len(dimension) for dimension in values) for values, _ in rows}
    if len(shapes) > 1 or len(set(next(iter(shapes)))) > 1:
        lengths = sorted({length for shape in shapes for length in shape})
        raise DataError(f"{path} has series of lengths {lengths}; all must have one length (pad them).")
    values = np.array([values for values, _ in rows])  # (n, n_inputs, n_steps)
    if not np.isfinite(values).all():
        first = int(np.argwhere(~np.isfinite(values))[0, 0]) + 1
        raise DataError(f"{path} has missing values (series {first}); fill them.")
    return np.ascontiguousarray(values.transpose(2, 1, 0)), [label for _, label in rows]


def _lines(path: Path) -> list[tuple[int, str]]:
    """Numbered lines that are neither empty nor comments."""
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8")
    except FileNotFoundError:
        raise DataError(f"{path} does not exist.") from None
    except IsADirectoryError:
        raise DataError(f"{path} is a folder; name a file.") from None
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read ({error}).") from None
    numbered = ((number, line.strip()) for number, line in enumerate(text.splitlines(), start=1))
    return [(number, line) for number, line in numbered if line and not line.startswith("#")]


def _ts_row(line: str) -> Row:
    *dimensions, label = line.split(":")
    if not dimensions:
        raise ValueError("no colon, so no class")
    return [[_number(text) for text in dimension.split(",")] for dimension in dimensions], label.strip()


def _text_row(line: str) -> Row:
    label, *values = re.split(r"[,\s]+", line)
    if not values:
        raise ValueError("a class without a series")
    # "1" and "1.0000000e+00" are one class.
    return [[_number(text) for text in values]], f"{_number(label):g}"


def _number(text: str) -> float:
    text = text.strip()
    if text == "?":
        return float("nan")
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text[:20]!r} is not a number") from None


def load_series(
    train: str | Path, test: str | Path | None = None
) -> tuple[Sequences, Sequences, Sequence[str]]:
    """(train, test, class names) from files; without a test file, the one whose name has TEST for TRAIN.

    Raises
    ------
    DataError
        If a file cannot be read, or the two do not fit together.
    """
    train = Path(train)
    if test is None:
        test = train.with_name(train.name.replace("TRAIN", "TEST"))
        if test == train:
            raise DataError(f"{train.name} has no TRAIN in its name; name the test file with --test.")
    (x, names), (x_test, names_test) = read_series(train), read_series(test)
    if x.shape[:2] != x_test.shape[:2]:
        raise DataError(
            f"{train} has series of shape {x.shape[:2]} (steps, inputs), {test} of {x_test.shape[:2]}."
        )
    classes = sorted(set(names))
    if unknown := sorted(set(names_test) - set(classes)):
        raise DataError(f"{test} has the class {unknown[0]!r}, which {train} does not have.")
    if len(classes) < 2:
        raise DataError(f"{train} has only the class {classes[0]!r}; there is nothing to learn.")
    codes = {name: code for code, name in enumerate(classes)}

    def coded(values: np.ndarray, labels: list[str]) -> Sequences:
        return Sequences(values, np.array([codes[name] for name in labels], np.int64), len(classes))

    return coded(x, names), coded(x_test, names_test), classes
