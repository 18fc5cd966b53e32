"""The files that a model comes from, by the word that names it: weights, or the module of a function."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from pathlib import Path

from sensitivity.files import read_bytes

from .registry import FIELDS, add_current_folder, canonical, hyperparameters

__all__ = ["checksum", "known_settings", "name_and_file"]

ENDINGS = (".npz", ".safetensors", ".pt", ".pth", ".ckpt", ".h5", ".keras")
"""Of files of weights; only the first two are read, and the others refused with a way to convert them."""

OF_WEIGHTS = ("activation", "prefix", "reset_after", "cudnn")
"""Settings of the weights of a cell in a file, see `load_weights`."""


def name_and_file(word: str, option: str = "model") -> tuple[str, str | None]:
    """The two sides of NAME=FILE; no file for a NAME alone.

    Parameters
    ----------
    word : str
    option : str
        Where the word stands, for messages.

    Raises
    ------
    ValueError
        If one of the two sides is empty.
    """
    name, equals, file = word.partition("=")
    if not equals and name.endswith(ENDINGS):
        raise ValueError(
            f"{option} {word!r} is a file; write NAME=FILE with the kind of cell, as in lstm={word}."
        )
    if not name or (equals and not file):
        raise ValueError(f"{option} {word!r} must be NAME or NAME=FILE, as in lstm=weights.npz.")
    return name, file or None


def known_settings(word: str) -> tuple[str, ...]:
    """The settings that NAME has, or NAME=FILE."""
    name, file = name_and_file(word)
    name = canonical(name)
    of_file = OF_WEIGHTS if file is not None and name not in FIELDS else ()
    return tuple(dict.fromkeys((*hyperparameters(name), *of_file)))


def checksum(word: str) -> str:
    """SHA-256 of the files behind a model, in hexadecimal; "" for a model of the table at its own start.

    The weights of ``NAME=FILE`` are such a file, and so is the module of ``module:function``. The module is
    found and read here, but not run.

    Parameters
    ----------
    word : str
        ``NAME``, ``NAME=FILE`` or ``module:function``.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If there is no such module, or if it was not imported from a file.
    """
    name, file = name_and_file(word)
    files = [] if file is None else [Path(file)]
    if ":" in name:
        files.append(_module_file(name))
    return "+".join(hashlib.sha256(read_bytes(path)).hexdigest() for path in files)


def _module_file(name: str) -> Path:
    """The file of the module in ``module:function``."""
    module = name.partition(":")[0]
    add_current_folder()
    try:
        there = sys.modules.get(module)
        spec = importlib.util.find_spec(module) if there is None else there.__spec__
    except (ImportError, ValueError):
        spec = None
    if spec is None or not spec.has_location or spec.origin is None:
        raise ValueError(
            f"model {name!r} cannot be had: there is no file of a module {module!r} on the path of Python; "
            "write MODULE:FUNCTION with a module that can be imported."
        )
    return Path(spec.origin)
