"""The papers that have a ledger, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .paper import Paper

__all__ = ["PAPERS", "paper"]

PAPERS: Mapping[str, str] = {
    "hamiltonian": "sensitivity.papers.hamiltonian.claims",
    "linoss": "sensitivity.papers.linoss",
    "dlinoss": "sensitivity.papers.dlinoss",
    "hdnn": "sensitivity.papers.hdnn",
    "memory": "sensitivity.papers.memory",
    "mingru": "sensitivity.papers.mingru",
    "unicornn": "sensitivity.papers.unicornn",
    "antisymmetric": "sensitivity.papers.antisymmetric",
}
"""Name → module that has its ledger as `PAPER`; what a ledger needs is loaded when it is asked for."""


def paper(name: str) -> Paper:
    """The paper of that name.

    Raises
    ------
    UnknownNameError
        With the nearest known name.
    """
    import importlib  # with what it loads: the help of the command line lists the names

    from integrators.naming import nearest

    if name not in PAPERS:
        raise nearest("paper", name, PAPERS)
    return importlib.import_module(PAPERS[name]).PAPER
