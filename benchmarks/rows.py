"""The rows of the table, each a piece of work with what is asked of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from .candidate import AUTOGRAD, JAX, PEERS
from .work import Work

__all__ = ["EXTRAS", "JACOBIANS", "NORMS", "ROWS", "Row", "narrow", "quick", "select"]


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes
    ----------
    key : str
        Names the row on the command line.
    title : str
    work : Work
    most_bound : float, optional
        Asked for: at most so many times the arithmetic bound.
    least_faster : float, optional
        Asked for: at least so many times faster than the best JAX formulation of the whole Jacobian.
    rounds : int
        How often every candidate has its turn.
    peers : tuple of str
        Libraries to compare with.
    """

    key: str
    title: str
    work: Work
    most_bound: float | None = None
    least_faster: float | None = None
    rounds: int = 7
    peers: tuple[str, ...] = tuple(library.name for library in PEERS)


_JAX = tuple(library.name for library in JAX)


def _jacobians() -> tuple[Row, ...]:
    asked = {
        1: (3.0, 1.0, 11), 10: (2.0, 1.2, 9), 32: (1.54, None, 7), 64: (1.22, None, 5), 100: (1.11, 1.5, 5),
        256: (1.11, None, 3), 512: (1.11, 1.4, 3),
    }  # fmt: skip
    rows = []
    for d, (most, least, rounds) in asked.items():
        for scheme in ("leapfrog", "euler"):
            work = Work(scheme, d, members={256: 8, 512: 2}.get(d, 100))
            # At d = 512 autograd needs minutes for one step size.
            peers = tuple(name for name in Row.peers if d < 256 or name != AUTOGRAD.name)
            peers = peers if scheme == "leapfrog" else _JAX
            rows.append(Row(f"{scheme}-{d}", f"{scheme}, d = {d}", work, most, least, rounds, peers))
    return tuple(rows)


# ε up to 0.3 and not 1: beyond, one ulp in W moves the norm by more than 1e-10 at d = 512, and no two
# programs agree.
_GAUSSIAN = Work("leapfrog", 512, 200, 16, "norm", "gaussian", (1e-3, 0.3))

JACOBIANS = _jacobians()
NORMS = (
    Row("norm-100", "norm, d = 100", Work("leapfrog", 100, what="norm"), None, 8.0, 5, _JAX),
    Row("norm-512", "norm, d = 512, Gaussian W", _GAUSSIAN, None, 5.0, 3, _JAX),
    Row("norm-1000", "norm, d = 1000, Gaussian W", replace(_GAUSSIAN, d=1000), None, 8.0, 3, _JAX),
)
ROWS = (*JACOBIANS, *NORMS)
EXTRAS = ("flow", "growth", "training")
"""What else can be asked for beside rows."""


def narrow(rows: Sequence[Row]) -> tuple[Row, ...]:
    """The rows that are measured once more on AVX2: those of leapfrog and the norms; not autograd."""
    kept = [row for row in rows if row.work.scheme == "leapfrog"]
    return tuple(
        replace(row, peers=tuple(name for name in row.peers if name != AUTOGRAD.name)) for row in kept
    )


def quick(row: Row) -> Row:
    """A smaller row that shows whether everything runs and agrees; its times are not worth quoting."""
    work = row.work
    shrunk = replace(
        work,
        n_steps=max(10, min(work.n_steps // 2, 10 * 1000 // work.d)),
        members=min(work.members, 8) if work.d >= 512 else work.members,
    )
    return replace(row, work=shrunk, rounds=2)


def select(keys: list[str]) -> tuple[Row, ...]:
    """The rows with these keys; all of them for an empty list.

    Raises
    ------
    ValueError
        For a key that is no row's.
    """
    known = [row.key for row in ROWS]
    for key in keys:
        if key not in known:
            raise ValueError(f"there is no row {key!r}; the rows are {', '.join(known)}.")
    return tuple(row for row in ROWS if not keys or row.key in keys)
