"""The benchmark tasks of section 4 as seeded generators, each with the best accuracy there can be.

Rusch, Pearson, Zygalakis (2019), section 4: Gaussian mean (Figure 4), shock preservation (Table 1, Figure 6)
and disturbed XOR (Table 2, Figure 7). Copy is the simplest task of memory. Classes are 0 and 1; both are
equally likely.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from integrators.naming import nearest
from integrators.validation import as_count

from .sequences import Sequences

__all__ = ["SHOCKED", "TASKS", "Task", "get_task", "shock_accuracy"]

Float = NDArray[np.float64]
Draw = Callable[[int, int, np.random.Generator], tuple[Float, NDArray[np.int64]]]

RECENT = 10
SHOCKED = 5
"""k of shock preservation: how many entries at the start carry the class."""


@dataclass(frozen=True)
class Task:
    """A task with sequences of any length and number.

    Attributes
    ----------
    name, about : str
    draw : callable
        ``draw(n, n_steps, rng)``: values (n, n_steps) and labels (n,).
    best : callable
        n_steps → the accuracy of the Bayes-optimal decision.
    shortest : int
        The least number of steps for which the task makes sense.
    """

    name: str
    about: str
    draw: Draw
    best: Callable[[int], float]
    shortest: int = 1

    def sample(self, n: int, n_steps: int, rng: int | Sequence[int] | np.random.Generator = 0) -> Sequences:
        """`n` labelled sequences of `n_steps` scalar inputs.

        Parameters
        ----------
        n, n_steps : int
        rng : int, sequence of int or numpy.random.Generator
            Seed, as for ``numpy.random.default_rng``; the same seed gives the same bits.

        Raises
        ------
        ValueError, TypeError
            If `n` or `n_steps` is not a whole number, or too small for the task.
        """
        n, n_steps = as_count(n, "n", least=1), as_count(n_steps, "n_steps", least=self.shortest)
        values, labels = self.draw(n, n_steps, np.random.default_rng(rng))
        return Sequences(np.ascontiguousarray(values.T[:, None, :]), labels, 2)


def _gaussian_mean(n: int, n_steps: int, rng: np.random.Generator) -> tuple[Float, NDArray[np.int64]]:
    """x_i ~ N(0, 1); the class says whether their mean is at least 0."""
    x = rng.normal(size=(n, n_steps))
    return x, (x.mean(axis=1) >= 0.0).astype(np.int64)


def _recent_mean(n: int, n_steps: int, rng: np.random.Generator) -> tuple[Float, NDArray[np.int64]]:
    """The same for the mean of the last ten entries, so that the memory needed does not grow with N."""
    x = rng.normal(size=(n, n_steps))
    return x, (x[:, -RECENT:].mean(axis=1) >= 0.0).astype(np.int64)


def _shock(variance: float) -> Draw:
    """x_i ~ N(0, 1), but in class 1 the first five ~ N(0, variance)."""

    def draw(n: int, n_steps: int, rng: np.random.Generator) -> tuple[Float, NDArray[np.int64]]:
        labels = rng.integers(0, 2, n)
        x = rng.normal(size=(n, n_steps))
        x[:, :SHOCKED] *= np.where(labels == 1, math.sqrt(variance), 1.0)[:, None]
        return x, labels

    return draw


def shock_accuracy(variance: float, n_shocked: int = SHOCKED) -> float:
    """Accuracy of the likelihood-ratio test on the shocked entries, the best that shock preservation allows.

    The ratio depends on S = Σ x_i² over the k shocked entries and crosses 1 at S = k ln v / (1 − 1/v); under
    class 0 S is χ²(k), under class 1 S/v is.
    """
    from scipy.stats import chi2

    cut = n_shocked * math.log(variance) / (1.0 - 1.0 / variance)
    return float(0.5 * (chi2.cdf(cut, n_shocked) + chi2.sf(cut / variance, n_shocked)))


def _xor(n: int, n_steps: int, rng: np.random.Generator) -> tuple[Float, NDArray[np.int64]]:
    """x_1, x_2 ∈ {0, 1}, all others uniform on (0, 1); the class is x_1 + x_2 mod 2."""
    bits = rng.integers(0, 2, (n, 2))
    x = rng.uniform(size=(n, n_steps))
    x[:, :2] = bits
    return x, bits.sum(axis=1) % 2


def _copy(n: int, n_steps: int, rng: np.random.Generator) -> tuple[Float, NDArray[np.int64]]:
    """x_1 ∈ {0, 1} is the class, all others are uniform on (0, 1)."""
    labels = rng.integers(0, 2, n)
    x = rng.uniform(size=(n, n_steps))
    x[:, 0] = labels
    return x, labels


_ROWS = (
    Task("gaussian_mean", "is the mean of N standard normal numbers at least 0?",
         _gaussian_mean, lambda n: 1.0),
    Task("recent_mean", "is the mean of the last ten of N standard normal numbers at least 0? (a control)",
         _recent_mean, lambda n: 1.0, RECENT),
    Task("shock", "do the first five entries have variance 10, or 1 as all others?", _shock(10.0),
         lambda n: shock_accuracy(10.0), SHOCKED),
    Task("shock_std", "the same with standard deviation 10", _shock(100.0),
         lambda n: shock_accuracy(100.0), SHOCKED),
    Task("xor", "exclusive or of the first two entries, then noise", _xor, lambda n: 1.0, 2),
    Task("copy", "the first entry, after noise", _copy, lambda n: 1.0),
)  # fmt: skip

TASKS: Mapping[str, Task] = MappingProxyType({task.name: task for task in _ROWS})
"""Name → generated task. "10" in the paper's shock preservation is read as variance, or as deviation."""


def get_task(name: str) -> Task:
    """The generated task of that name.

    Raises
    ------
    ValueError
        If there is none; the message has the nearest one.
    """
    if name not in TASKS:
        raise nearest("task", name, TASKS)
    return TASKS[name]
