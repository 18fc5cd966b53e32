"""Propositions as data: statement, hypotheses, steps that a machine decides, and twins that must fail.

A :class:`Proposition` carries its steps. The claim of a :class:`Step` is a formula, which a rule of inference
derives from premises: hypotheses of the proposition, or claims of earlier steps. Nothing is asserted by hand.
The verdict needs that every step is proved, that every premise is known, that a step concludes with the
statement itself, and that nothing is left over; which verdict it is follows from the roles of the steps.

==================  ==========================================  ====================
role of a step      what it contributes when it is proved       verdict it leads to
==================  ==========================================  ====================
``ARGUMENT``        a link of the proof                         PROVED
``REMARK``          a consequence worth printing                PROVED
``NECESSITY``       a case without a hypothesis where it fails  HOLDS ONLY IF
``COUNTEREXAMPLE``  an object for which the statement fails     REFUTED
``FIGURE``          a printed figure cannot come out so         NOT REPRODUCED
==================  ==========================================  ====================

HOLDS ONLY IF says that the statement is proved under the hypotheses, and that one of them cannot be dropped:
without it the statement fails in the case that is shown. It does not say that it fails in every such case.

A step that is itself refuted makes the proposition REFUTED and *unsound* (something written down is wrong);
that is what has to happen to every :class:`Mutant`, the same proposition with one sign, coefficient or
hypothesis changed.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import partial
from types import MappingProxyType
from typing import Any

from integrators.values import ByValue, found

from .axioms import AXIOMS
from .decision import Decision, Outcome
from .kernel.formulas import All, Formula
from .kernel.rules import RULES

__all__ = ["Decision", "Mutant", "Outcome", "Proposition", "Role", "Step", "Verdict", "concluded"]


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
class Step(ByValue):
    """One step of a proposition: a claim, and how it is decided.

    The claim is a formula, which a rule of inference derives from the premises that the step names. The rule
    ``"computation"`` decides the formula on its own. For a proposition in a script of your own, a sentence
    and a function that returns a `Decision` will do as well.

    Parameters
    ----------
    name : str
        Short identifier, unique in its proposition.
    claim : Formula or str
        What is decided. A sentence becomes the words of the formula that `decide` builds.
    decide : callable, optional
        Builds the formula (a function marked by ``claim`` or ``procedure`` of `proofs.kernel.formulas`), or
        returns a `Decision`. Its keyword arguments, with their defaults, are the coefficients, signs and
        hypotheses of the claim; mutants replace them.
    depends_on : tuple of str
        Names of earlier steps, where the claim is a sentence.
    axioms : tuple of str
        Names of known results that are assumed around the algebra that is checked. Those of the rule are
        added.
    role : Role
        What the step contributes to the statement.
    condition : str
        For a step of the role NECESSITY, the hypothesis that cannot be dropped.
    premises : tuple of Formula
        Hypotheses of the proposition, or claims of earlier steps.
    rule : str
        Name of the rule of inference, a key of ``proofs.kernel.rules.RULES``.
    numbers : mapping
        What the rule needs to know beside claim and premises, such as multipliers.

    Raises
    ------
    ValueError
        If an axiom or the rule is unknown, or a step that is not of the role NECESSITY has a condition.

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
    claim: Any
    decide: Callable[..., Any] | None = None
    depends_on: tuple[str, ...] = ()
    axioms: tuple[str, ...] = ()
    role: Role = Role.ARGUMENT
    condition: str = ""
    premises: tuple[Any, ...] = ()
    rule: str = "computation"
    numbers: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise ValueError(f"step {self.name!r} uses the unknown rule {self.rule!r}")
        if getattr(self.decide, "builds_formula", False):
            object.__setattr__(self, "claim", self._stated(self.decide()))  # type: ignore[misc]
            object.__setattr__(self, "decide", None)
        if isinstance(self.claim, Formula):
            every = dict.fromkeys((*self.axioms, *RULES[self.rule].axioms))
            object.__setattr__(self, "axioms", tuple(every))
        for axiom in self.axioms:
            if axiom not in AXIOMS:
                raise ValueError(f"step {self.name!r} uses the unknown axiom {axiom!r}")
        if (self.role is Role.NECESSITY) != bool(self.condition):
            raise ValueError(f"step {self.name!r}: exactly the necessity steps name a condition")

    def _stated(self, formula: Formula) -> Formula:
        """The formula with the words of the claim, and with the hypotheses that it needs."""
        words = self.claim if isinstance(self.claim, str) else self.claim.words
        return formula.called(words).given(*(self.premises if self.rule == "computation" else ()))

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names that a mutant may change."""
        builder = self.decide
        if isinstance(self.claim, Formula):
            builder = self.claim.origin[0] if self.claim.origin else None
        return tuple(inspect.signature(builder).parameters) if builder else ()

    def changed(self, changes: Mapping[str, object]) -> Step:
        """Return the step with those of ``changes`` it has; the step itself if it has none."""
        if isinstance(changes.get(self.name), Formula) and isinstance(self.claim, Formula):
            return replace(self, claim=changes[self.name])  # type: ignore[arg-type]
        own = {name: value for name, value in changes.items() if name in self.parameters}
        if not own:
            return self
        if isinstance(self.claim, Formula) and self.claim.origin:
            builder, arguments = self.claim.origin
            return replace(self, claim=self._stated(builder(**{**arguments, **own})))
        return replace(self, decide=partial(self.decide, **own))  # type: ignore[arg-type]

    def decided(self) -> Decision:
        """Decide the claim from the premises, whether or not these are known."""
        if isinstance(self.claim, Formula):
            return RULES[self.rule].apply(self.claim, self.premises, self.numbers)
        if self.decide is None:
            return Decision(Outcome.UNDECIDED, None, "the step has no function that decides it")
        return self.decide()


def concluded(steps: Sequence[Step], words: str = "", role: Role = Role.ARGUMENT) -> Step:
    """The last step of a proposition: the conjunction of all claims that no other step uses.

    Parameters
    ----------
    steps : sequence of Step
    words : str
        The statement in words, for the reader.
    role : Role
        COUNTEREXAMPLE or FIGURE for the proof that a statement fails.
    """
    used = [premise for step in steps for premise in step.premises]
    kept = tuple((step.name, step.claim) for step in steps if step.claim not in used)
    premises = tuple(formula for _, formula in kept if isinstance(formula, Formula))
    return Step("conclusion", All(kept, words=words), role=role, premises=premises, rule="conjunction")  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class Mutant(ByValue):
    """A copy of a proposition with something changed, which at least one step must refute.

    Parameters
    ----------
    name, description : str
        Identifier, and what was changed.
    changes : mapping
        New values for keyword arguments of the functions that decide the steps, or name of a step → another
        formula that it claims.

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
    statement : Formula or str
        What is to be proved. The verdict is PROVED only if a step concludes with this very formula.
    hypotheses : mapping of str to Formula or str
        Named hypotheses. A step that uses one has it among its premises.
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
    statement: Any
    hypotheses: Mapping[str, Any]
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
        if self.linked:
            return  # a changed proposition may have lost the steps that its mutants change
        known = {name for step in self.steps for name in step.parameters}
        for mutant in self.mutants:
            strange = set(mutant.changes) - known
            if strange or not mutant.changes:
                raise ValueError(
                    f"{self.name}: mutant {mutant.name!r} changes nothing known: {sorted(strange)}"
                )

    @property
    def linked(self) -> bool:
        """Whether the verdict follows from formulas; otherwise all is in sentences, and steps are counted."""
        formulas = (self.statement, *self.hypotheses.values(), *(step.claim for step in self.steps))
        return any(isinstance(formula, Formula) for formula in formulas)

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
