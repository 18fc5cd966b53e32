"""Progress bars on standard error, wherever that leads: a terminal, a file, a pipe, or nowhere."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Any

__all__ = ["progress_bar_on_stderr"]


def progress_bar_on_stderr(shown: bool | None, **options: Any) -> Any:
    """A bar of tqdm.

    Parameters
    ----------
    shown : bool, optional
        True and False force and forbid it; None shows it on a terminal. Without a standard error (a service,
        pythonw, ``2>&-``) there is none.
    **options
        Those of ``tqdm.tqdm``.
    """
    from tqdm import tqdm

    stream = sys.stderr
    if shown is None:
        shown = _is_terminal(stream)
    usable = stream is not None and not getattr(stream, "closed", False)
    return tqdm(file=_Tolerant(stream), disable=not (shown and usable), **options)


def _is_terminal(stream: Any) -> bool:
    try:
        return stream.isatty()
    except (AttributeError, OSError, ValueError):  # none, or closed
        return False


class _Tolerant:
    """A stream whose end, or poor character set, does not end the work that the bar tells of."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with suppress(OSError, ValueError):
            self._stream.write(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
