"""What to say when a name is not known."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterable

__all__ = ["UnknownNameError", "nearest", "shown"]


class UnknownNameError(ValueError, KeyError):
    """A name that is not in a table; a `KeyError` too, so that the tables behave as mappings."""

    def __str__(self) -> str:  # KeyError would print the repr of the sentence
        return str(self.args[0])


LONGEST, MOST_NAMES = 80, 32
"""Characters of a wrong value that are shown, and known names that are listed."""


def shown(value: object) -> str:
    """A wrong value for a message: on one line, and cut short in the middle where it is long."""
    try:
        text = " ".join(repr(value).split())
        if len(text) > LONGEST:
            text = " ".join(reprlib.repr(value).split())
    except (ValueError, RecursionError):  # thousands of digits, or of levels
        return f"a {type(value).__name__} too large to be shown"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def nearest(kind: str, name: object, known: Iterable[str]) -> UnknownNameError:
    """The error for an unknown `name` of some `kind`: the nearest known name first, then all of them.

    Of more than `MOST_NAMES` known names only half as many are listed, those that are most like `name`.
    """
    names = sorted(known)
    lowered = {known.lower(): known for known in names}
    guess = difflib.get_close_matches(str(name).lower(), lowered, n=1, cutoff=0.5)
    hint = f" Did you mean {lowered[guess[0]]!r}?" if guess else ""
    more = ""
    if len(names) > MOST_NAMES:
        like = difflib.get_close_matches(str(name).lower(), lowered, n=MOST_NAMES // 2, cutoff=0.0)
        more = f" and {len(names) - len(like)} more"
        names = sorted(lowered[one] for one in like)
    return UnknownNameError(f"{kind} {shown(name)} is not known.{hint} Known: {', '.join(names)}{more}.")
