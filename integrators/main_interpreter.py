"""Refuses subinterpreters: NumPy warns of hidden errors there, and compilations of Numba wait for ever."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["in_main_interpreter"]


def in_main_interpreter() -> bool:
    """Whether this is the interpreter that the process began with; True where Python does not tell."""
    for name in ("_interpreters", "_xxsubinterpreters"):  # from 3.13 on, and before
        try:
            interpreters: Any = importlib.import_module(name)
            return _number(interpreters.get_current()) == _number(interpreters.get_main())
        except (ImportError, AttributeError):
            continue
    return True


def _number(identity: Any) -> int:
    return int(identity[0] if isinstance(identity, tuple) else identity)


if not in_main_interpreter():
    raise ImportError(
        "leapgrad runs in the main interpreter of a process only, since NumPy and Numba do not support "
        "subinterpreters; use a process of its own (under mod_wsgi: WSGIApplicationGroup %{GLOBAL})."
    )
