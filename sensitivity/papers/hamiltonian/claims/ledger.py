"""The ledger itself: all rows, and their evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from integrators.naming import nearest
from sensitivity.papers.hamiltonian.plan import Plan

from . import dynamics, pictures, tables, theory, trained
from .row import Claim, Finding, Judged, ReportLike, Tools, Verdict

__all__ = ["LEDGER", "PLAN", "chosen", "evaluate"]

LEDGER: dict[str, Claim] = {
    claim.name: claim for claim in (*theory.ROWS, *pictures.ROWS, *dynamics.ROWS, *tables.ROWS, *trained.ROWS)
}
"""Name → claim, in the order of the paper."""

# Ten step sizes a decade, where d = 1 and 10; fewer where one step size costs as much as all of these.
_HALF, _FIFTH = tuple(range(0, 31, 2)), tuple(range(0, 31, 5))
PLAN = Plan({1: 7, 10: 7, 100: 1}, points=31, every={(1, 100): _HALF, (2, 100): _HALF, (3, 100): _FIFTH})
"""How much of Figures 1 to 3 the ledger runs: enough for every verdict, a fraction of `reproduce figures`."""


def chosen(names: Iterable[str] = ()) -> list[Claim]:
    """The claims of these names, or all of them; a ValueError names the nearest to one that is not known."""
    if isinstance(names, (str, bytes)) or not isinstance(names, Iterable):
        known = next(iter(LEDGER))
        raise TypeError(f"names must be several names of claims, as in [{known!r}], got {names!r}.")
    found = []
    for name in names or LEDGER:
        if name not in LEDGER:
            raise ValueError(str(nearest("claim", name, LEDGER)))
        found.append(LEDGER[name])
    return found


def evaluate(
    check: Callable[[str], ReportLike],
    names: Iterable[str] = (),
    plan: Plan = PLAN,
    tick: Callable[[str], None] | None = None,
) -> list[Judged]:
    """Decide claims now.

    Parameters
    ----------
    check : callable
        Name of a proposition → its report (``proofs.check``).
    names : iterable of str
        Claims to decide; all of them if there are none.
    plan : Plan
        How much of Figures 1 to 3 to run.
    tick : callable, optional
        Called with the name of each claim before it is decided.

    Raises
    ------
    ValueError
        If a name is not in the ledger; the message says the nearest one.
    """
    claims, tools = chosen(names), Tools(check, plan)
    found = []
    for claim in claims:
        if tick is not None:
            tick(claim.name)
        found.append(Judged(claim, _decided(claim, tools)))
    return found


def _decided(claim: Claim, tools: Tools) -> Finding:
    """The finding; a check that breaks down decides nothing, and must not hide the other rows."""
    try:
        return claim.decide(tools)
    except Exception as error:
        return Finding(Verdict.UNDECIDED, (f"{type(error).__name__}: {error}",))
