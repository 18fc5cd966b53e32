"""The folder of data files, and the error if they are missing."""

from __future__ import annotations

import os
from pathlib import Path

from sensitivity.files import user_path

__all__ = ["DataError", "data_root"]


class DataError(ValueError):
    """A data file that is missing, damaged or not what it should be."""


def data_root(folder: str | Path | None, name: str) -> Path:
    """The folder of data that is given, or else that of LEAPGRAD_DATA; ``~`` is the home folder.

    Raises
    ------
    DataError
        If there is neither, or it is no folder.
    """
    given, where = folder, "--data"
    if given is None:
        given, where = os.environ.get("LEAPGRAD_DATA", "").strip() or None, "LEAPGRAD_DATA"
    if given is None:
        raise DataError(f"{name} needs data files: name their folder with --data or LEAPGRAD_DATA.")
    root = user_path(given, where)
    if root.exists() and not root.is_dir():
        raise DataError(f"{root}, named by {where}, is a file; name the folder that holds it.")
    return root
