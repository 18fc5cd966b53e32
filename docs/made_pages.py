"""Links to pages that `make docs` makes: in the clone they lead to made.md, once built to the pages."""

from __future__ import annotations

import re

__all__ = ["PAGES", "linked"]

PAGES = {
    "theory": "_generated/theory/index.md",
    "claims": "_generated/claims.md",
    "ledger": "_generated/papers/hamiltonian/claims.md",
    "gallery": "_generated/gallery/index.md",
    "api": "_generated/api/index.rst",
    "commands": "_generated/commands.md",
    "map": "_generated/map.md",
}
"""Section of made.md → the page that it stands for."""


def linked(text: str) -> str:
    """A page as it is built: links to sections of made.md lead to the pages that these stand for.

    Raises
    ------
    KeyError
        If made.md has no such section.
    """
    return re.sub(r"\]\(made\.md#([\w-]+)\)", lambda link: f"]({PAGES[link.group(1)]})", text)
