"""Labelled series in the formats of the UCR archive: ``.ts``, ``.arff``, and text with the class in front.

A ``.ts`` file has comments (# or %), a header (@) and after ``@data`` one series a line: comma-separated
values, channels and at last the class separated by colons. A ``.txt``, ``.csv`` or ``.tsv`` file has one
series a line, the class first. Any of them may be gzipped, and the content decides where the name does not.
H. A. Dau et al., The UCR Time Series Classification Archive (2018).
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sensitivity.files import read_text, user_path

from .files import DataError, training_file
from .sequences import Sequences
from .series_text import (
    COMMENTS,
    Row,
    Spacing,
    TsHeader,
    class_name,
    is_missing,
    parse_header,
    text_line,
    ts_line,
)  # fmt: skip

__all__ = ["load_series", "read_series"]

Float = NDArray[np.float64]
Lines = list[tuple[int, str]]


def read_series(path: str | Path) -> tuple[Float, list[str] | None]:
    """Values (n_steps, n_inputs, n) and class names, in the order of the file.

    The names are None for a ``.ts`` file whose header says ``@classLabel false`` or ``@targetLabel false``.

    Raises
    ------
    DataError
        If the file is missing, damaged or for regression, contradicts its own header, has an entry that is
        no number, a missing value or class, or series of different lengths.
    """
    path = user_path(path)
    lines = _lines(path)
    header = None
    if ".ts" in _suffixes(path) or (
        lines and lines[0][1].lstrip().startswith("@") and not _is_arff(path, lines)
    ):
        remaining = iter(lines)
        try:
            header = parse_header(remaining)
        except ValueError as error:
            raise DataError(f"{path}: {error}.") from None
        numbers, rows = _rows(path, list(remaining), header)
    elif _is_arff(path, lines):
        numbers, rows = _arff_rows(path, lines)
    else:
        numbers, rows = _rows(path, lines, None)
        _check_first_line(path, rows)
    if not rows:
        raise DataError(f"{path} holds no series.")
    _check_lengths(path, numbers, rows)
    values = np.array([row[0] for row in rows], dtype=np.float64)  # (n, n_inputs, n_steps)
    _check_finite(path, numbers, values, header)
    names = None if rows[0][1] is None else [str(label) for _, label in rows]
    return np.ascontiguousarray(values.transpose(2, 1, 0)), names


def _suffixes(path: Path) -> list[str]:
    return [suffix.lower() for suffix in path.suffixes]


def _lines(path: Path) -> Lines:
    """Numbered lines that are neither empty nor comments."""
    try:
        text = read_text(path, comment=COMMENTS)
    except FileNotFoundError:
        raise DataError(f"{path} does not exist.") from None
    except IsADirectoryError:
        raise DataError(f"{path} is a folder; name a file.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}).") from None
    except ValueError as error:
        raise DataError(str(error)) from None
    numbered = enumerate(text.split("\n"), start=1)
    return [(n, line) for n, line in numbered if line.strip() and not line.lstrip().startswith(COMMENTS)]


def _rows(path: Path, lines: Lines, header: TsHeader | None) -> tuple[list[int], list[Row]]:
    """Line numbers, and values with the class."""
    rows, spacing = [], Spacing()
    for number, line in lines:
        try:
            rows.append(text_line(line) if header is None else ts_line(line, header, spacing))
        except ValueError as error:
            raise DataError(f"{path}, line {number}: {error}.") from None
    return [number for number, _ in lines], rows


def _check_first_line(path: Path, rows: list[Row]) -> None:
    """Names of columns above the data would pass for a series where they are numbers."""
    numeric = [label is not None and label.lstrip("-")[:1].isdigit() for _, label in rows]
    if len(rows) > 1 and not numeric[0] and all(numeric[1:]):
        raise DataError(
            f"{path}: the class in the first line is {rows[0][1]!r}, and a number in all others; if that "
            "line names the columns, delete it."
        )


def _check_lengths(path: Path, numbers: list[int], rows: list[Row]) -> None:
    channels = sorted({len(values) for values, _ in rows})
    if len(channels) > 1:
        odd = next(n for n, (values, _) in zip(numbers, rows, strict=True) if len(values) != len(rows[0][0]))
        raise DataError(
            f"{path}, line {odd}: all series must have as many channels as the first, {len(rows[0][0])}."
        )
    lengths = sorted({len(channel) for values, _ in rows for channel in values})
    if len(lengths) > 1:
        shown = ", ".join(map(str, lengths[:5])) + (", …" if len(lengths) > 5 else "")
        raise DataError(f"{path} has series of lengths [{shown}]; all must have one length (pad them).")


def _check_finite(path: Path, numbers: list[int], values: Float, header: TsHeader | None) -> None:
    if np.isfinite(values).all():
        return
    series, channel, step = (int(i) for i in np.argwhere(~np.isfinite(values))[0])
    entries = values[series, channel]
    where = f"line {numbers[series]}, value {step + 1}"
    if not np.isnan(entries[step]):
        raise DataError(f"{path}, {where} is {entries[step]}; every value must be finite.")
    if np.isnan(entries[step:]).all() and step > 0:
        raise DataError(
            f"{path} has series of different lengths (line {numbers[series]} ends with {len(entries) - step} "
            "missing values); all must have one length: pad them with numbers."
        )
    said = (
        ", although its header says @missing false" if header is not None and header.missing is False else ""
    )
    raise DataError(f"{path} has missing values{said} ({where}); fill them.")


# ------------------------------------------------------------------------------------------------- ARFF


def _is_arff(path: Path, lines: Lines) -> bool:
    return ".arff" in _suffixes(path) or any(line.lower().split()[0] == "@relation" for _, line in lines[:1])


def _arff_rows(path: Path, lines: Lines) -> tuple[list[int], list[Row]]:
    """Series of one channel, the class last, as SciPy reads them."""
    from scipy.io.arff import ArffError, loadarff

    for number, line in lines:
        word = line.split(maxsplit=1)[0].lower()
        if word == "@attribute" and line.lower().split()[-1] == "relational":
            raise DataError(
                f"{path}, line {number}: relational attributes (several channels in ARFF) are not read; "
                "take the .ts file of the same data."
            )
        if word == "@data":
            break
    numbers = [number for number, line in lines if not line.startswith("@")]
    try:
        table, about = loadarff(io.StringIO("\n".join(line for _, line in lines)))
    except (ArffError, ValueError, IndexError, StopIteration, NotImplementedError) as error:
        raise DataError(f"{path} cannot be read as ARFF ({' '.join(str(error).split())}).") from None
    *columns, last = about.names()
    kinds = about.types()
    if not columns or kinds[-1] != "nominal" or any(kind != "numeric" for kind in kinds[:-1]):
        raise DataError(
            f"{path}: all attributes but the last must be numeric, and the last, the class, nominal."
        )
    rows: list[Row] = []
    for number, record in zip(numbers, table, strict=True):
        label = record[last].decode("utf-8", errors="replace")
        if is_missing(label):
            raise DataError(f"{path}, line {number}: the class, which comes last, is missing.")
        rows.append(([[float(record[name]) for name in columns]], class_name(label)))
    return numbers, rows


# ---------------------------------------------------------------------------------------- train and test


def load_series(
    train: str | Path, test: str | Path | None = None
) -> tuple[Sequences, Sequences, Sequence[str]]:
    """(train, test, class names) from files; without a test file, the one whose name has TEST for TRAIN.

    `train` may also be the folder of one data set of the archive; of its formats ``.ts`` is read before
    ``.tsv``, ``.txt``, ``.csv`` and ``.arff``.

    Raises
    ------
    DataError
        If a file cannot be read, has no classes, or the two do not fit together.
    """
    train = training_file(user_path(train, "train"))
    if not train.exists():
        raise DataError(f"{train} does not exist.")
    test = _test_of(train) if test is None else user_path(test, "test")
    x, names = _labelled(train)
    x_test, names_test = _labelled(test)
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

    def coded(values: Float, labels: list[str]) -> Sequences:
        return Sequences(values, np.array([codes[name] for name in labels], np.int64), len(classes))

    return coded(x, names), coded(x_test, names_test), classes


def _labelled(path: Path) -> tuple[Float, list[str]]:
    values, names = read_series(path)
    if names is None:
        raise DataError(f"{path} has no classes: its header says so; there is nothing to learn.")
    return values, names


def _test_of(train: Path) -> Path:
    """The name of the test file: TEST in place of the last TRAIN, in the same case."""
    for word, other in (("TRAIN", "TEST"), ("train", "test"), ("Train", "Test")):
        before, found, after = train.name.rpartition(word)
        if found:
            return train.with_name(f"{before}{other}{after}")
    raise DataError(f"{train.name} has no TRAIN in its name; name the test file with --test-file.")
