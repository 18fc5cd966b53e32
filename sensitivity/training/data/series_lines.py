"""One line of a file of series: its values, channel by channel, and the class."""

from __future__ import annotations

import re
from datetime import datetime

import numpy as np

from .labels import class_name, is_missing
from .ts_header import TsHeader

__all__ = ["Spacing", "text_line", "ts_line"]

Row = tuple[list[list[float]], str | None]

_OUTSIDE = re.compile(r":(?![^()]*\))")  # a colon that is not inside of (2007-01-01 00:01:00,241.75)
_STAMPED = re.compile(r"\s*\([^()]*\)(\s*,\s*\([^()]*\))*\s*")
_SAME_SPACING = 1e-6


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
    return [_number(word) for word in words]


def _number(text: str) -> float:
    if is_missing(text):
        return float("nan")
    try:
        if "_" not in text:
            return float(text)
    except ValueError:
        pass
    raise ValueError(f"{text.strip()[:20]!r} is not a number")
