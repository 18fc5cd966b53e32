"""Propositions as data: statement, hypotheses, steps that a machine decides, and twins that must fail.

A :class:`Proposition` carries its steps; every :class:`Step` owns a function that computes something and
returns a :class:`Decision`. Nothing is asserted by hand: the verdict is read off the decisions and off the
role each step plays.

==================  =========================================  ====================
role of a step      what it contributes when it is proved      verdict it leads to
==================  =========================================  ====================
``ARGUMENT``        a link of the proof                        PROVED
``REMARK``          a consequence worth printing               PROVED
``NECESSITY``       the statement fails without a hypothesis   HOLDS ONLY IF
``COUNTEREXAMPLE``  an object for which the statement fails    REFUTED
``FIGURE``          a printed figure cannot come out so        NOT REPRODUCED
==================  =========================================  ====================

A step that is itself refuted makes the proposition REFUTED and *unsound* (something written down is wrong);
that is what has to happen to every :class:`Mutant`, the same proposition with one sign, coefficient or
hypothesis changed.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import partial
from types import MappingProxyType
from typing import Any

from integrators.values import ByValue, found

from .axioms import AXIOMS


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


class Role(Enum):
    """What a proved step contributes to the statement: a link of the proof, or a counterexample, and so on.

    Examples
    --------
    >>> from proofs import Role
    >>> [str(role) for role in Role]
    ['argument', 'remark', 'necessity', 'counterexample', 'figure']
    """

    ARGUMENT = "argument"
    REMARK = "remark"
    NECESSITY = "necessity"
    COUNTEREXAMPLE = "counterexample"
    FIGURE = "figure"

    def __str__(self) -> str:
        return self.value


class Verdict(Enum):
    """What is true of the statement as a whole.

    Examples
    --------
    >>> from proofs import Verdict
    >>> [str(verdict) for verdict in Verdict]
    ['PROVED', 'HOLDS ONLY IF', 'REFUTED', 'NOT REPRODUCED', 'UNDECIDED']
    """

    PROVED = "PROVED"
    HOLDS_ONLY_IF = "HOLDS ONLY IF"
    REFUTED = "REFUTED"
    NOT_REPRODUCED = "NOT REPRODUCED"
    UNDECIDED = "UNDECIDED"

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


@dataclass(frozen=True, eq=False)
class Step(ByValue):
    """One step of a proposition: a claim, and a function that decides it and can fail.

    Parameters
    ----------
    name : str
        Short identifier, unique in its proposition.
    claim : str
        The sentence that is decided.
    decide : callable
        Returns a `Decision`. Its keyword arguments, with their defaults, are the coefficients, signs and
        hypotheses of the claim; mutants replace them.
    depends_on : tuple of str
        Names of earlier steps.
    axioms : tuple of str
        Names of known results that are assumed around the algebra that is checked.
    role : Role
        What the step contributes to the statement.
    condition : str
        For a step of the role NECESSITY, the hypothesis that cannot be dropped.

    Examples
    --------
    >>> import sympy
    >>> from proofs import Step, decide
    >>> x = sympy.Symbol("x", real=True)
    >>> step = Step("square", "x² ≥ 0", lambda sign=1: decide.at_least_zero(sign * x**2))
    >>> step.parameters, str(step.decide().outcome), str(step.decide(sign=-1).outcome)
    (('sign',), 'proved', 'refuted')
    """

    name: str
    claim: str
    decide: Callable[..., Decision]
    depends_on: tuple[str, ...] = ()
    axioms: tuple[str, ...] = ()
    role: Role = Role.ARGUMENT
    condition: str = ""

    def __post_init__(self) -> None:
        for axiom in self.axioms:
            if axiom not in AXIOMS:
                raise ValueError(f"step {self.name!r} uses the unknown axiom {axiom!r}")
        if (self.role is Role.NECESSITY) != bool(self.condition):
            raise ValueError(f"step {self.name!r}: exactly the necessity steps name a condition")

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names that a mutant may change."""
        return tuple(inspect.signature(self.decide).parameters)

    def changed(self, changes: Mapping[str, object]) -> Step:
        """Return the step with those of ``changes`` it has; the step itself if it has none."""
        own = {name: value for name, value in changes.items() if name in self.parameters}
        return replace(self, decide=partial(self.decide, **own)) if own else self


@dataclass(frozen=True, eq=False)
class Mutant(ByValue):
    """A copy of a proposition with something changed, which at least one step must refute.

    Parameters
    ----------
    name, description : str
        Identifier, and what was changed.
    changes : mapping
        New values for keyword arguments of the functions that decide the steps.

    Examples
    --------
    >>> from proofs import Mutant
    >>> Mutant("minus", "the opposite sign", {"sign": -1}).changes
    {'sign': -1}
    """

    name: str
    description: str
    changes: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, eq=False)
class Proposition(ByValue):
    """A statement with everything needed to decide it.

    Parameters
    ----------
    name, title : str
        Key in the catalogue; human title.
    statement : str
        The full sentence.
    hypotheses : mapping of str to str
        Named hypotheses.
    steps : tuple of Step
        In logical order.
    source : str
        Place in the paper, or ``"ours"``.
    mutants : tuple of Mutant
        Twins that have to be refuted.
    expected : Verdict
        The verdict this file was written to establish; the report says whether it was reached.
    rests_on : tuple of str
        Other propositions used.

    Examples
    --------
    >>> import sympy
    >>> from proofs import Mutant, Proposition, Step, check, check_mutants, decide
    >>> n = sympy.Symbol("n", positive=True)
    >>> def double_angle(factor=sympy.Integer(2)):
    ...     return decide.identity(sympy.cosh(2 * n), 1 + factor * sympy.sinh(n) ** 2)
    ...
    >>> example = Proposition(
    ...     name="double_angle",
    ...     title="Double angle",
    ...     statement="cosh 2n = 1 + 2 sinh² n",
    ...     hypotheses={},
    ...     source="ours",
    ...     steps=(Step("identity", "cosh 2n = 1 + 2 sinh² n", double_angle),),
    ...     mutants=(Mutant("three", "3 in place of 2", {"factor": sympy.Integer(3)}),),
    ... )
    >>> check(example).headline, check_mutants(example)
    ('PROVED', {'three': ('identity',)})
    """

    name: str
    title: str
    statement: str
    hypotheses: Mapping[str, str]
    steps: tuple[Step, ...]
    source: str
    mutants: tuple[Mutant, ...] = ()
    expected: Verdict = Verdict.PROVED
    rests_on: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for step in self.steps:
            if step.name in seen:
                raise ValueError(f"{self.name}: two steps are called {step.name!r}")
            missing = [name for name in step.depends_on if name not in seen]
            if missing:
                raise ValueError(f"{self.name}: step {step.name!r} depends on later or unknown {missing}")
            seen.add(step.name)
        known = {name for step in self.steps for name in step.parameters}
        for mutant in self.mutants:
            strange = set(mutant.changes) - known
            if strange or not mutant.changes:
                raise ValueError(
                    f"{self.name}: mutant {mutant.name!r} changes nothing known: {sorted(strange)}"
                )

    def __reduce_ex__(self, protocol: Any) -> Any:
        for name, module in list(sys.modules.items()):
            if name.startswith("proofs.") and getattr(module, "PROPOSITION", None) is self:
                return found, (name, "PROPOSITION")
        return super().__reduce_ex__(protocol)

    def mutated(self, mutant: Mutant) -> Proposition:
        """Return the twin as a proposition of its own."""
        return replace(
            self,
            name=f"{self.name}/{mutant.name}",
            title=f"{self.title} (mutant: {mutant.description})",
            steps=tuple(step.changed(mutant.changes) for step in self.steps),
            mutants=(),
            expected=Verdict.REFUTED,
        )

    def changed_steps(self, mutant: Mutant) -> tuple[Step, ...]:
        """Return only the steps that ``mutant`` alters, altered."""
        pairs = ((step, step.changed(mutant.changes)) for step in self.steps)
        return tuple(new for old, new in pairs if new is not old)
