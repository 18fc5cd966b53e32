"""Packages that an extra of leapgrad brings, and the error where one is missing."""

from __future__ import annotations

__all__ = ["MissingExtra"]


class MissingExtra(ImportError):
    """A package that an extra brings is not installed; the message says how to install it.

    The command line prints the message as it does for wrong arguments.
    """
