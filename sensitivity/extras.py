"""Packages that an extra of leapgrad brings, and the error where one is missing."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["MissingExtra", "imported"]


class MissingExtra(ImportError):
    """A package that an extra brings is not installed; the message says how to install it.

    The command line prints the message as it does for wrong arguments.
    """


def imported(module: str, message: str) -> Any:
    """The module; MissingExtra with the message, which says how to install it, where it is not there."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtra(message) from error
