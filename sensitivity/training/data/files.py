"""Where data files are: the folder of data, data sets of the UCR archive, the four files of MNIST."""

from __future__ import annotations

import os
from pathlib import Path

from integrators.naming import nearest
from sensitivity.files import user_path

__all__ = ["ROLES", "DataError", "data_root", "find_mnist", "find_series", "training_file"]

# The archive gives the same series in several formats; that with a header comes first.
_ENDINGS = (".ts", ".tsv", ".txt", ".csv", ".arff", "")
_PACKED = ("", ".gz")
ROLES = ("train-images", "train-labels", "t10k-images", "t10k-labels")
# As fetched, and as torchvision and others keep them below the folder that they are given.
_FOLDERS = ("", "mnist", "MNIST", "raw", "mnist/raw", "MNIST/raw", "mnist/MNIST/raw")
# Data sets whose files have the same names, as folders are called that hold them.
_OTHERS = ("fashion", "fashionmnist", "kmnist", "kuzushijimnist", "emnist", "qmnist", "notmnist")


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
    name = next(role for role in ROLES if role not in best)
    ending = _ending(name)
    raise DataError(
        f"{name}-{ending}.gz is neither in {root} nor in its subfolders {', '.join(_FOLDERS[1:])}, "
        f"and neither is {name}-{ending} or {name}.{ending}{_instead(root)}; name the folder that holds all "
        "four files with --data or LEAPGRAD_DATA."
    )


def _ending(role: str) -> str:
    return "idx1-ubyte" if role.endswith("labels") else "idx3-ubyte"


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
