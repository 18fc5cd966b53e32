"""The header of a ``.ts`` file: which keys there are, what they may say, and whether the data agree.

Keys are matched without case and may come in any order; `@data` ends them. The format has been described by
the two libraries that write it, sktime (``ts`` File Format v1.0, 2022) and aeon (Data format, 2024).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from integrators.naming import nearest

from .labels import class_name, is_missing

__all__ = ["COMMENTS", "TsHeader", "parse_header"]

COMMENTS = ("#", "%")
_FLAGS = ("timeStamps", "missing", "univariate", "equalLength", "targetLabel")
_COUNTS = ("dimensions", "seriesLength")
_KEYS = {key.lower(): key for key in (*_FLAGS, *_COUNTS, "problemName", "classLabel", "data")}
_KEYS["dimension"] = "dimensions"  # as sktime and aeon spell it


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
    shown = " ".join(values) or "nothing"
    if key in _FLAGS and (len(values) != 1 or values[0].lower() not in ("true", "false")):
        raise ValueError(f"line {number}: @{key} must be true or false, got {shown}")
    if key in _COUNTS and not (len(values) == 1 and values[0].isdecimal() and int(values[0]) > 0):
        raise ValueError(f"line {number}: @{key} must be a positive whole number, got {shown}")
    if key == "classLabel":
        if not values or values[0].lower() not in ("true", "false"):
            raise ValueError(f"line {number}: @classLabel must be true or false, got {shown}")
        if values[0].lower() == "false" and len(values) > 1:
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
    return TsHeader(
        bool(flag("timeStamps")),
        flag("missing"),
        flag("univariate"),
        count("dimensions"),
        flag("equalLength"),
        count("seriesLength"),
        labelled,
        tuple(class_name(name) for name in found.get("classLabel", [])[1:] if not is_missing(name)),
    )
