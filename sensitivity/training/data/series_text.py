"""The text of files of series: names of classes, the header of a ``.ts`` file, and one line of data.

Keys of a header are matched without case and may come in any order; `@data` ends them. The format has been
described by the two libraries that write it, sktime (``ts`` File Format v1.0, 2022) and aeon (Data format,
2024).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Context, Decimal, localcontext

import numpy as np

from integrators.naming import nearest

__all__ = [
    "COMMENTS", "Row", "Spacing", "TsHeader", "class_name", "is_missing", "parse_header", "text_line",
    "ts_line",
]  # fmt: skip

Row = tuple[list[list[float]], str | None]

COMMENTS = ("#", "%")
_NUMBER = re.compile(r"[+-]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
_FLAGS = ("timeStamps", "missing", "univariate", "equalLength", "targetLabel")
_COUNTS = ("dimensions", "seriesLength")
_KEYS = {key.lower(): key for key in (*_FLAGS, *_COUNTS, "problemName", "classLabel", "data")}
_KEYS["dimension"] = "dimensions"  # as sktime and aeon spell it
_OUTSIDE = re.compile(r":(?![^()]*\))")  # a colon that is not inside of (2007-01-01 00:01:00,241.75)
_STAMPED = re.compile(r"\s*\([^()]*\)(\s*,\s*\([^()]*\))*\s*")
_SAME_SPACING = 1e-6


def is_missing(text: str) -> bool:
    """Whether a class or a value is one of the ways to write that it is not known."""
    return text.strip().lower() in ("", "?", "nan", "+nan", "-nan")


def class_name(text: str) -> str:
    """The class that a word names: "1", "1.0" and "1.0000000e+00" are one, and 1000001 is not 1000002.

    A number is written without exponent and without zeros at its end, unless that takes many digits; every
    other word stands for itself, and so does one that begins with a zero too many, such as 007.
    """
    text = text.strip()
    if not _NUMBER.fullmatch(text):
        return text
    with localcontext(Context(prec=len(text) + 1)):
        number = Decimal(text).normalize()
    if number == 0:
        return "0"
    return f"{number:f}" if abs(number.adjusted()) < 40 else str(number)


@dataclass(frozen=True)
class TsHeader:
    """The entries of a header; None for those that are missing.

    Attributes
    ----------
    labelled : bool
        Whether the last part of a line is a class: ``@classLabel``, true where neither that nor
        ``@targetLabel`` is given.
    classes : tuple of str
        The names after ``@classLabel true``; empty if there are none, and then any name will do.
    """

    time_stamps: bool = False
    missing: bool | None = None
    univariate: bool | None = None
    dimensions: int | None = None
    equal_length: bool | None = None
    series_length: int | None = None
    labelled: bool = True
    classes: tuple[str, ...] = ()

    def class_of(self, text: str) -> str:
        """The class that a line names, as the header spells it.

        Raises
        ------
        ValueError
            If there is none, or the header lists classes and not this one.
        """
        if is_missing(text):
            raise ValueError(f"there is no class after the last colon (found {text.strip()!r})")
        name = class_name(text)
        if not self.classes or name in self.classes:
            return name
        # sktime and aeon read every line in lower case.
        alike = [known for known in self.classes if known.lower() == name.lower()]
        if len(alike) == 1:
            return alike[0]
        listed = ", ".join(self.classes)
        raise ValueError(f"the class {name!r} is none of those that @classLabel lists ({listed})")

    def check(self, lengths: list[int]) -> None:
        """Compare a series, given by the lengths of its channels, with what the header says of all.

        Raises
        ------
        ValueError
            If they contradict each other.
        """
        n = len(lengths)
        if self.univariate and n > 1:
            raise ValueError(f"the header says @univariate true, but there are {n} channels")
        if self.dimensions not in (None, n):
            raise ValueError(f"the header says @dimensions {self.dimensions}, but there are {n} channels")
        for length in lengths:
            if self.equal_length is not False and self.series_length not in (None, length):
                raise ValueError(
                    f"the header says @seriesLength {self.series_length}, but there are {length} values"
                )


def parse_header(lines: Iterable[tuple[int, str]]) -> TsHeader:
    """The header from numbered lines, read up to ``@data`` and no further.

    Raises
    ------
    ValueError
        If a line is no line of a header, a key is unknown, has a value that it cannot have or is given
        twice, keys contradict each other, or there is no ``@data``.
    """
    found: dict[str, list[str]] = {}
    for number, raw in lines:
        line = raw.strip()
        if not line.startswith("@"):
            raise ValueError(
                f"line {number}: {line[:40]!r} comes before @data; there is no @data line above it"
            )
        word, *values = line.split()
        key = _KEYS.get(word[1:].lower())
        if key is None:
            raise ValueError(
                f"line {number}: {nearest('key', word, [f'@{name}' for name in _KEYS.values()])}"
            )
        if key == "data":
            if values:
                raise ValueError(f"line {number}: @data stands alone; the series begin on the next line")
            return _header(found)
        if key != "problemName" and found.setdefault(key, values) != values:
            raise ValueError(f"line {number}: @{key} is given twice, with different values")
        _check_values(number, key, values)
    raise ValueError("there is no @data line")


def _check_values(number: int, key: str, values: list[str]) -> None:
    shown, first = " ".join(values) or "nothing", values[0].lower() if values else ""
    is_flag = key in (*_FLAGS, "classLabel")
    if (key in _FLAGS and len(values) != 1) or (is_flag and first not in ("true", "false")):
        raise ValueError(f"line {number}: @{key} must be true or false, got {shown}")
    if key in _COUNTS and not (len(values) == 1 and first.isdecimal() and int(first) > 0):
        raise ValueError(f"line {number}: @{key} must be a positive whole number, got {shown}")
    if key == "classLabel" and first == "false" and len(values) > 1:
        raise ValueError(f"line {number}: @classLabel false lists classes: {' '.join(values[1:])}")


def _header(found: dict[str, list[str]]) -> TsHeader:
    def flag(key: str) -> bool | None:
        return found[key][0].lower() == "true" if key in found else None

    def count(key: str) -> int | None:
        return int(found[key][0]) if key in found else None

    labelled, target = flag("classLabel"), flag("targetLabel")
    if target:
        also = " beside @classLabel true" if labelled else ""
        raise ValueError(
            f"@targetLabel true{also}: the file is for regression, and only classes can be learnt"
        )
    if labelled is None:
        labelled = target is None
    if flag("univariate") and count("dimensions") not in (None, 1):
        raise ValueError(f"@univariate true and @dimensions {count('dimensions')} contradict each other")
    if flag("equalLength") is False and count("seriesLength") is not None:
        raise ValueError("@equalLength false and @seriesLength contradict each other")
    classes = tuple(class_name(name) for name in found.get("classLabel", [])[1:] if not is_missing(name))
    return TsHeader(
        bool(flag("timeStamps")), flag("missing"), flag("univariate"), count("dimensions"),
        flag("equalLength"), count("seriesLength"), labelled, classes,
    )  # fmt: skip


class Spacing:
    """The time between two steps, which has to be one and the same in a whole file."""

    def __init__(self) -> None:
        self._known: float | None = None

    def check(self, times: list[float]) -> None:
        """Compare the times of a channel with those before it.

        Raises
        ------
        ValueError
            If they are not equally spaced, or spaced otherwise.
        """
        for gap in np.diff(times):
            self._known = float(gap) if self._known is None else self._known
            if not gap > 0 or abs(gap - self._known) > _SAME_SPACING * self._known:
                raise ValueError(
                    "the time stamps are not equally spaced, and a network takes one value at each step; "
                    "resample the series, or write the values without times under @timeStamps false"
                )


def ts_line(line: str, header: TsHeader, spacing: Spacing) -> Row:
    """Values and class of a line after ``@data``; the class is None where the header says there is none.

    Raises
    ------
    ValueError
        If an entry is no number, the class is missing or unknown, or the header says otherwise.
    """
    parts = _OUTSIDE.split(line) if header.time_stamps else line.split(":")
    label = None
    if header.labelled:
        if len(parts) < 2:
            raise ValueError("there is no colon, so no class")
        label = header.class_of(parts.pop())
    elif len(parts) > 1 and not parts[-1].strip():
        parts.pop()  # aeon ends a line without class with a colon
    if header.time_stamps:
        values = _stamped(parts, spacing)
    else:
        if line.lstrip().startswith("("):
            raise ValueError("there are (time, value) pairs, but the header does not say @timeStamps true")
        values = [_numbers(part.split(",")) for part in parts]
    header.check([len(channel) for channel in values])
    return values, label


def _stamped(parts: list[str], spacing: Spacing) -> list[list[float]]:
    """Values of channels of (time, value) pairs."""
    channels, times = [], None
    for part in parts:
        if not _STAMPED.fullmatch(part):
            raise ValueError(
                f"@timeStamps is true, but {part.strip()[:30]!r} is not (time,value),(time,value),…"
            )
        pairs = [pair.split(",") for pair in re.findall(r"\(([^()]*)\)", part)]
        if any(len(pair) != 2 for pair in pairs):
            raise ValueError("a pair of time and value has more or fewer than two entries")
        own = [_time(pair[0]) for pair in pairs]
        if times is not None and own != times:
            raise ValueError("the channels have different time stamps; resample them to the same times")
        spacing.check(own)
        times = own
        channels.append(_numbers([pair[1] for pair in pairs]))
    return channels


def _time(text: str) -> float:
    """A time stamp in seconds; a plain number in its own unit."""
    try:
        return float(text)
    except ValueError:
        pass
    try:
        date = datetime.fromisoformat(text.strip()).replace(tzinfo=None)
    except ValueError:
        raise ValueError(f"{text.strip()[:30]!r} is no time, such as 7 or 2004-08-10 18:00:00") from None
    return (date - datetime(1970, 1, 1)).total_seconds()


def text_line(line: str) -> Row:
    """Class and values of a line with the class in front, separated by commas, tabs or blanks.

    Where there are commas or tabs, nothing between two of them is a missing value; blanks are never more
    than one separator.

    Raises
    ------
    ValueError
        If an entry is no number, or the class is missing.
    """
    separator = next((mark for mark in (",", "\t") if mark in line), None)
    words = line.split()
    if separator is not None:
        pieces = line.strip(" ").split(separator)
        words = [word for piece in pieces for word in (piece.split() or [""])]
    label, *values = words
    if is_missing(label):
        raise ValueError(f"the class, which comes first, is missing (found {label!r})")
    if ";" in label:
        raise ValueError("semicolons do not separate values here; use commas, tabs or blanks")
    if not values:
        raise ValueError("a class without a series")
    return [_numbers(values)], class_name(label)


def _numbers(words: list[str]) -> list[float]:
    """Numbers from words; NaN where one is missing."""
    try:
        if not any("_" in word for word in words):  # Python would read 1_0 as 10
            return list(map(float, words))
    except ValueError:
        pass
    return [float("nan") if is_missing(word) else _number(word) for word in words]


def _number(text: str) -> float:
    try:
        if "_" not in text:
            return float(text)
    except ValueError:
        pass
    raise ValueError(f"{text.strip()[:20]!r} is not a number")
