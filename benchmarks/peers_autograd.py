"""HIPS autograd, what the paper used: ``jacobian`` of the loop, one step size after the other."""

# pyright: reportMissingImports=false
# The libraries compared with are not part of the development set-up.

from __future__ import annotations

from typing import Any

import autograd.numpy as anp
import numpy as np
from autograd import jacobian

from .candidate import Candidate, Run
from .work import Work

__all__ = ["candidates", "settings"]


def reverse(work: Work, cores: int) -> Run:
    """autograd.jacobian: one backward sweep a row."""
    W, b = work.W, work.b

    def trajectory(y: Any, h: float) -> Any:
        if work.scheme == "euler":
            for _ in range(work.n_steps):
                y = y + h * anp.tanh(anp.dot(W, y) + b)
            return y
        p = h / 2 * anp.tanh(anp.dot(W, y) + b)
        y = y + h * p
        for _ in range(work.n_steps - 1):
            p = p + h * anp.tanh(anp.dot(W, y) + b)
            y = y + h * p
        return y

    derivative = jacobian(trajectory)
    start = np.zeros(work.d)
    if work.what == "norm":
        return lambda: np.array([np.linalg.norm(derivative(start, h), 2) for h in work.steps])
    return lambda: np.array([derivative(start, h) for h in work.steps])


def candidates(work: Work, cores: int) -> list[Candidate]:
    """The only way there is."""
    return [Candidate("jacobian", reverse, familiar=True)]


def settings(cores: int) -> str:
    """What the user of this library could set, as it is set here."""
    return f"float64, {cores} BLAS threads"
