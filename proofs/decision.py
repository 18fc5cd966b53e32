"""What a step finds: an outcome, what was computed, and the object that shows a failure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from integrators.values import ByValue


class Outcome(Enum):
    """What the function of a step found.

    Examples
    --------
    >>> from proofs import Outcome
    >>> [str(outcome) for outcome in Outcome]
    ['proved', 'refuted', 'undecided']
    """

    PROVED = "proved"
    REFUTED = "refuted"
    UNDECIDED = "undecided"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, eq=False)
class Decision(ByValue):
    """The result of one step.

    Parameters
    ----------
    outcome : Outcome
        Proved, refuted or undecided.
    computed : object
        What was computed: a residual, a certificate, a matrix, a number, or a mapping of such things.
    note : str
        How it was decided, in a few words.
    counterexample : object, optional
        The object that shows that the claim of the step fails. In a step of the role NECESSITY or
        COUNTEREXAMPLE it shows that the statement of the proposition fails.

    Examples
    --------
    >>> import sympy
    >>> from proofs import decide
    >>> x = sympy.Symbol("x")
    >>> found = decide.identity((x + 1) ** 2, x**2 + 2 * x + 1)
    >>> found.proved, found.computed
    (True, 0)
    """

    outcome: Outcome
    computed: Any = None
    note: str = ""
    counterexample: Any = None

    @property
    def proved(self) -> bool:
        return self.outcome is Outcome.PROVED

    @property
    def refuted(self) -> bool:
        return self.outcome is Outcome.REFUTED
