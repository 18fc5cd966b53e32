"""This package, by its public functions."""

from __future__ import annotations

import inspect
from typing import Any

from integrators import NeuralField
from sensitivity import jacobian, jacobian_norm

from .candidate import Candidate, NotAvailable, Run
from .work import Work

__all__ = ["candidates", "settings"]


def full_jacobian(work: Work, cores: int) -> Run:
    field = NeuralField(work.W, work.b)
    return lambda: jacobian(field, work.scheme, work.steps, work.n_steps, threads=cores, progress=False)


def norm(method: str, work: Work, cores: int) -> Run:
    options: dict[str, Any] = {"threads": cores, "progress": False}
    if "method" in inspect.signature(jacobian_norm).parameters:
        options["method"] = method
    elif method != "full":
        raise NotAvailable(f'jacobian_norm has no method="{method}" yet')
    field = NeuralField(work.W, work.b)
    return lambda: jacobian_norm(field, work.scheme, work.steps, work.n_steps, **options)


def candidates(work: Work, cores: int) -> list[Candidate]:
    """The first one is what the table shows."""
    if work.what == "jacobian":
        return [Candidate("jacobian", full_jacobian)]
    return [
        Candidate(
            f'jacobian_norm, method="{method}"', lambda work, cores, method=method: norm(method, work, cores)
        )
        for method in ("lanczos", "full")
    ]


def settings(cores: int) -> str:
    """What the user of this library could set, as it is set here."""
    return f"{cores} threads, one BLAS thread each"
