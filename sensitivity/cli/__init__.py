"""The command `leapgrad`.

Exit status: 0 done, 1 a check failed (a norm above a proved bound, say), 2 the user's mistake (one line on
standard error says which), 130 interrupted with Ctrl-C or SIGTERM, 141 the reader of our output went away.

To add a command, write one file with a ``COMMAND`` in it into one of the rooms `analysis`, `experiments` and
`papers`, where it is found::

    '''`leapgrad spam`: one line on what it does.'''

    import argparse
    from sensitivity.cli.command import Command
    from sensitivity.cli.output import print_json, print_table

    def add_arguments(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--eggs", type=int, default=1, metavar="N", help="number of eggs (default 1)")

    def run(args: argparse.Namespace) -> int:
        from sensitivity.spam import fry  # packages are imported here, not above: `leapgrad --help` is quick

        result = fry(args.eggs)
        if args.json:                     # every command has --json without asking for it
            print_json({"eggs": args.eggs, "result": result})
        else:
            print_table(("egg", "state"), result)
        return 0

    COMMAND = Command("spam", "fry eggs", add_arguments, run)

A command with targets of its own (`leapgrad reproduce figures`) lists them as `subcommands`. Commands that
run a model share the options of `network`. A wrong argument needs no care: whatever ValueError,
TypeError, OverflowError or OSError the library raises becomes that one line and status 2 (LEAPGRAD_DEBUG=1
shows its traceback); only what must fail *before* a long run, such as a folder that cannot be written, is
worth a check of its own (`files.check_writable`). Files are written with `files.replacing`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run `leapgrad` with the given arguments (those of the process by default); return the exit status."""
    try:
        from .entry import main as run  # some tenths of a second on a busy machine, in which Ctrl-C may come

        return run(argv)
    except KeyboardInterrupt:  # then, or a second time
        import sys

        try:
            print("leapgrad: interrupted", file=sys.stderr)
        except (AttributeError, OSError, ValueError):  # nobody is there to be told
            pass
        return 130
