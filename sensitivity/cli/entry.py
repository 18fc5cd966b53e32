"""The entry point: parse, run, and turn errors into one line and an exit status."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, TextIO

from sensitivity.extras import MissingExtra

from .output import notice
from .parser import UsageError, build_parser
from .registry import COMMANDS

__all__ = ["main"]

DONE, WRONG_ARGUMENTS, INTERRUPTED, OUTPUT_CLOSED = 0, 2, 130, 141
# What the library raises for arguments that make no sense, or for files that cannot be read or written.
MISTAKES = (ValueError, TypeError, OverflowError, OSError, MemoryError)


def main(argv: Sequence[str] | None = None) -> int:
    """Run `leapgrad` with the given arguments (those of the process by default); return the exit status."""
    with _streams(), warnings.catch_warnings(), _ended_as_by_ctrl_c():
        _tolerate_characters()
        warnings.showwarning = _show_warning
        try:
            args = build_parser(COMMANDS).parse_args(argv)
            status = args.run(args)
            sys.stdout.flush()
            return status
        except SystemExit as leaving:  # --help and --version
            return _flushed(leaving.code)
        except BrokenPipeError:
            _close_output()
            return OUTPUT_CLOSED
        except KeyboardInterrupt as interrupt:  # it may say what is kept
            return _say("; ".join(("interrupted", *map(str, interrupt.args))), INTERRUPTED)
        except UsageError as error:
            return _say(f"error: {error}", WRONG_ARGUMENTS)
        except MissingExtra as error:
            return _say(f"error: {error}", WRONG_ARGUMENTS)
        except MISTAKES as error:
            if os.environ.get("LEAPGRAD_DEBUG"):
                raise
            return _say(f"error: {_one_line(error)}", WRONG_ARGUMENTS)


@contextmanager
def _ended_as_by_ctrl_c() -> Iterator[None]:
    """A request to end, or a terminal that is closed, acts as Ctrl-C: what is finished is kept."""
    before: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is signal.SIG_DFL:  # nohup ignores SIGHUP
                before[number] = signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, frame: Any) -> None:
    handler = signal.getsignal(signal.SIGINT)
    if callable(handler):  # it may be one that waits for the end of a short piece of work
        handler(signal.SIGINT, frame)
    else:  # a job in the background ignores Ctrl-C, but not this
        raise KeyboardInterrupt


def _flushed(code: object) -> int:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _close_output()
        return OUTPUT_CLOSED
    return code if isinstance(code, int) else DONE


def _say(message: str, status: int) -> int:
    notice(message)
    return status


def _one_line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        where = f": {error.filename}" if error.filename else ""
        return f"{error.strerror}{where}"
    if isinstance(error, MemoryError):
        return f"not enough memory; use a smaller d or fewer steps ({str(error) or 'MemoryError'})"
    return " ".join(str(error).split()) or type(error).__name__


def _show_warning(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
    # What a library deprecates is for whoever calls it; -W and PYTHONWARNINGS ask for it all the same.
    if issubclass(category, (DeprecationWarning, PendingDeprecationWarning)) and not sys.warnoptions:
        return
    notice(f"warning: {' '.join(str(message).split())}")


def _tolerate_characters() -> None:
    """Greek letters become question marks where the terminal has none, instead of an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


@contextmanager
def _streams() -> Iterator[None]:
    """Three open files and streams, also in a service, under pythonw, or after ``2>&-``.

    Whoever lacks one has asked for silence, not for a failure. And the first file to be opened would take the
    free number, so that what a library prints as an error would be written into it.
    """
    before = sys.stdin, sys.stdout, sys.stderr
    with ExitStack() as opened:
        for number in range(3):
            try:
                os.fstat(number)
            except OSError:
                with suppress(OSError):
                    os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
        for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
            stream = getattr(sys, name)
            if stream is None or getattr(stream, "closed", False):
                setattr(sys, name, opened.enter_context(open(os.devnull, mode, encoding="utf-8")))
        try:
            yield
        finally:
            for stream in (sys.stdout, sys.stderr):
                try:
                    stream.flush()
                except (AttributeError, OSError, ValueError):
                    _close(stream)
            sys.stdin, sys.stdout, sys.stderr = before


def _close_output() -> None:
    _close(sys.stdout)


def _close(stream: TextIO) -> None:
    """Keep the interpreter from flushing into the closed pipe once more, with a traceback, when it ends."""
    try:
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, stream.fileno())
        os.close(devnull)
    except (OSError, ValueError):
        pass
