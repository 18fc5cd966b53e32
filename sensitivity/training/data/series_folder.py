"""Data sets of the UCR archive by their folder, or by their name below the folder of data."""

from __future__ import annotations

import os
from pathlib import Path

from integrators.naming import nearest
from sensitivity.files import user_path

from .files import DataError

__all__ = ["find_series", "training_file"]

# The archive gives the same series in several formats; that with a header comes first.
_ENDINGS = (".ts", ".tsv", ".txt", ".csv", ".arff", "")
_PACKED = ("", ".gz")


def training_file(path: Path) -> Path:
    """The path itself, or the training file in the folder that it names.

    Raises
    ------
    DataError
        If the folder has none, or those of several data sets.
    """
    if not path.is_dir():
        return path
    found: dict[str, list[Path]] = {}
    for ending in (ending + packed for ending in _ENDINGS for packed in _PACKED):
        for file in sorted(path.glob(f"*{ending}")):
            stem = file.name[: len(file.name) - len(ending)]
            if stem.upper().endswith("TRAIN") and file.is_file():
                found.setdefault(stem, []).append(file)
    if not found:
        raise DataError(
            f"{path} is a folder without a training file; it needs one whose name ends in TRAIN, such as "
            f"{path.absolute().name}_TRAIN.ts."
        )
    if len(found) > 1:
        raise DataError(f"{path} has several training files ({', '.join(sorted(found))}); name one of them.")
    return next(iter(found.values()))[0]


def find_series(name: str, folder: str | None = None) -> Path | None:
    """The folder of the data set of that name in `folder` or its subfolder ``ucr``; None without one.

    `folder` is LEAPGRAD_DATA by default.

    Raises
    ------
    UnknownNameError
        If there is one whose name differs in its letters' case only; the message has the right spelling.
    """
    given = os.environ.get("LEAPGRAD_DATA", "").strip() if folder is None else folder
    if not given or not name.strip() or Path(name).name != name:
        return None
    root = user_path(given, "LEAPGRAD_DATA" if folder is None else "--data")
    known = [place for folder in (root, root / "ucr") if folder.is_dir() for place in folder.iterdir()]
    sets = {place.name: place for place in reversed(known) if place.is_dir()}
    if name in sets:
        return sets[name]
    if name.lower() in (other.lower() for other in sets):
        alike = [other for other in sets if other.lower() == name.lower()]
        raise nearest("data set", name, alike)
    return None
