"""The cells of the folder ``cells`` by name: every function there that `published_start` decorates."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from integrators.cells.cell import Cell

from . import cells

__all__ = ["CELLS", "marked"]


def marked(package: ModuleType) -> dict[str, Callable[..., Any]]:
    """The functions with a `reference` in the files of a folder, under their own names."""
    found: dict[str, Callable[..., Any]] = {}
    for entry in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{entry.name}")
        for name, value in vars(module).items():
            own = inspect.isfunction(value) and value.__module__ == module.__name__
            if own and hasattr(value, "reference"):
                found[name] = value
    return found


CELLS: Mapping[str, Callable[..., Cell]] = marked(cells)
"""Cells by name: name → constructor of a cell at its published start."""
