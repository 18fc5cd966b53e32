"""Finds the four files of MNIST under any of their usual names."""

from __future__ import annotations

import os
from pathlib import Path

from .files import DataError, data_root

__all__ = ["ROLES", "find_mnist"]

ROLES = ("train-images", "train-labels", "t10k-images", "t10k-labels")
# As fetched, and as torchvision and others keep them below the folder that they are given.
_FOLDERS = ("", "mnist", "MNIST", "raw", "mnist/raw", "MNIST/raw", "mnist/MNIST/raw")
_ENDINGS = ("idx3-ubyte", "idx1-ubyte")
# Data sets whose files have the same names, as folders are called that hold them.
_OTHERS = ("fashion", "fashionmnist", "kmnist", "kuzushijimnist", "emnist", "qmnist", "notmnist")


def find_mnist(folder: str | Path | None) -> dict[str, list[Path]]:
    """Role → the files that have it, from the first folder that has all four roles.

    Raises
    ------
    DataError
        If no folder has them; the message says what was looked for, and where.
    """
    root = data_root(folder, "mnist")
    best: dict[str, list[Path]] = {}
    for place in (root / name if name else root for name in _FOLDERS):
        found = {role: files for role in ROLES if (files := _files(place, role))}
        if len(found) == len(ROLES):
            _refuse_other(place)
            return found
        best = max(best, found, key=len)
    role = next(role for role in ROLES if role not in best)
    name, ending = role, _ending(role)
    raise DataError(
        f"{name}-{ending}.gz is neither in {root} nor in its subfolders {', '.join(_FOLDERS[1:])}, "
        f"and neither is {name}-{ending} or {name}.{ending}{_instead(root)}; name the folder that holds all "
        "four files with --data or LEAPGRAD_DATA."
    )


def _ending(role: str) -> str:
    return _ENDINGS[role.endswith("labels")]


def _files(place: Path, role: str) -> list[Path]:
    """The files in a folder that may have a role; Kaggle's archive has a folder of the name around one."""
    names = [f"{role}{mark}{_ending(role)}{packed}" for packed in ("", ".gz") for mark in "-."]
    paths = [place / name for name in names] + [place / name / name for name in names]
    return [path for path in paths if os.path.isfile(path)]  # False also where a folder is locked


def _refuse_other(place: Path) -> None:
    whole = place.absolute()
    name = (whole.parent if whole.name.lower() == "raw" else whole).name
    if "".join(filter(str.isalnum, name.lower())) in _OTHERS:
        raise DataError(
            f"{place}: a folder named {name} holds another data set under the file names of MNIST, and "
            "this task is the handwritten digits; rename the folder if it holds those."
        )


def _instead(root: Path) -> str:
    """A short list of the files that are there, for messages."""
    if not root.exists():
        return f" ({root.absolute()} does not exist)"
    try:
        names = sorted(path.name for path in root.iterdir())
    except OSError as error:
        return f" ({root} cannot be listed: {error.strerror})"
    shown = ", ".join(names[:6]) + (", …" if len(names) > 6 else "")
    return f" ({root} holds {shown or 'nothing'})"
