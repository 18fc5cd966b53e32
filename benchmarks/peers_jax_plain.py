"""JAX as it comes: default flags, the documented Jacobian, a tangent scan, and Lanczos by hand for norms."""

from __future__ import annotations

from . import peers_jax
from .candidate import Candidate
from .jax_matrix_free import lanczos
from .work import Work

__all__ = ["candidates", "settings"]

NAMES = (peers_jax.FAMILIAR, "tangents")


def candidates(work: Work, cores: int) -> list[Candidate]:
    """The familiar one first."""
    found = [candidate for candidate in peers_jax.candidates(work, cores) if candidate.name in NAMES]
    if work.what == "norm":
        found.append(Candidate("matrix-free, by hand, threads", lanczos, judged=False))
    return found


def settings(cores: int) -> str:
    """What the user of this library could set, as it is set here."""
    return f"x64, {cores} intra-op threads, no flags, compilation not timed"
