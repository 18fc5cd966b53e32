"""Where data files are, and what is said when they are not."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["DataError", "data_folder"]


class DataError(ValueError):
    """A data file that is missing, damaged or not what it should be."""


def data_folder(folder: str | Path | None, name: str, witness: str) -> Path:
    """The folder that holds the file `witness`: `folder` or its subfolder `name`; LEAPGRAD_DATA by default.

    Raises
    ------
    DataError
        If neither holds it.
    """
    given = folder if folder is not None else os.environ.get("LEAPGRAD_DATA")
    if not given:
        raise DataError(f"{name} needs data files: name their folder with --data or LEAPGRAD_DATA.")
    candidates = [Path(given), Path(given) / name]
    for place in candidates:
        if (place / witness).is_file():
            return place
    raise DataError(
        f"{witness} is neither in {candidates[0]} nor in {candidates[1]}; name its folder with --data."
    )
