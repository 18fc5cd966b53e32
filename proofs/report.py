"""Reports: what :func:`check` found, as text, as JSON-ready data and as LaTeX."""

from __future__ import annotations

import math
import textwrap
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sympy as sp

from integrators.display import Displayed, Table
from integrators.values import ByValue

from .axioms import AXIOMS
from .kernel.formulas import All
from .kernel.linking import premises_by_name, problems
from .latex import document
from .proposition import Decision, Mutant, Outcome, Proposition, Role, Step, Verdict

_STRONGEST = (
    (Role.FIGURE, Verdict.NOT_REPRODUCED),
    (Role.COUNTEREXAMPLE, Verdict.REFUTED),
    (Role.NECESSITY, Verdict.HOLDS_ONLY_IF),
    (Role.ARGUMENT, Verdict.PROVED),
)
LINE = 110
"""Columns of a line of text."""
_MARK = {Outcome.PROVED: "✓", Outcome.REFUTED: "✗", Outcome.UNDECIDED: "?"}


@dataclass(frozen=True, eq=False)
class StepReport(ByValue):
    """One step of a proposition with the decision that was computed for it.

    Attributes
    ----------
    step : Step
        The step that was decided.
    decision : Decision
        The result.
    seconds : float
        The time that it took.

    Examples
    --------
    >>> import leapgrad as lg
    >>> step = lg.check("lemma_3_1").steps[0]
    >>> step.step.name, str(step.decision.outcome)
    ('integral_form', 'proved')
    """

    step: Step
    decision: Decision
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain strings, numbers and lists."""
        return {
            "name": self.step.name,
            "claim": str(self.step.claim),
            "role": str(self.step.role),
            "condition": self.step.condition,
            "rule": self.step.rule,
            "premises": [str(premise) for premise in self.step.premises],
            "axioms": list(self.step.axioms),
            "outcome": str(self.decision.outcome),
            "computed": plain(self.decision.computed),
            "note": self.decision.note,
            "counterexample": plain(self.decision.counterexample),
            "seconds": self.seconds,
        }


@dataclass(frozen=True, eq=False)
class Report(ByValue, Displayed):
    """Outcome of checking one proposition.

    Attributes
    ----------
    proposition : Proposition
    steps : tuple of StepReport
    verdict : Verdict
    problems : tuple of str
        What keeps the statement from following from the steps, although each may be proved.

    Examples
    --------
    >>> import leapgrad as lg
    >>> report = lg.check("theorem_3_2")
    >>> report.headline
    'HOLDS ONLY IF ẏ(0) > T'
    >>> report.counterexample is not None
    True
    """

    proposition: Proposition
    steps: tuple[StepReport, ...]
    verdict: Verdict
    problems: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.proposition.name

    @property
    def seconds(self) -> float:
        """Time spent on all steps."""
        return sum(report.seconds for report in self.steps)

    @property
    def refuted_steps(self) -> tuple[str, ...]:
        """Names of the steps that are false as written."""
        return tuple(r.step.name for r in self.steps if r.decision.refuted)

    @property
    def sound(self) -> bool:
        """Whether every step was proved."""
        return all(r.decision.proved for r in self.steps)

    @property
    def ok(self) -> bool:
        """Whether every step was proved and the verdict is the one the proposition sets out to establish."""
        return self.sound and not self.problems and self.verdict is self.proposition.expected

    @property
    def axioms(self) -> tuple[str, ...]:
        """Names of all axioms that the steps take for granted."""
        return tuple(dict.fromkeys(axiom for r in self.steps for axiom in r.step.axioms))

    @property
    def condition(self) -> str:
        """Hypotheses shown to be indispensable, for HOLDS ONLY IF."""
        found = dict.fromkeys(r.step.condition for r in self.steps if r.step.condition and r.decision.proved)
        return " and ".join(found)

    @property
    def counterexample(self) -> object:
        """The first counterexample object, if any step has one."""
        return next(
            (r.decision.counterexample for r in self.steps if r.decision.counterexample is not None), None
        )

    @property
    def headline(self) -> str:
        """Verdict in one line."""
        if self.verdict is Verdict.HOLDS_ONLY_IF:
            return f"{self.verdict} {self.condition}"
        return str(self.verdict)

    def to_dict(self) -> dict[str, Any]:
        """Return data that :func:`json.dumps` accepts."""
        prop = self.proposition
        uses = premises_by_name(prop)
        return {
            "name": prop.name,
            "title": prop.title,
            "statement": str(prop.statement),
            "source": prop.source,
            "hypotheses": {name: str(formula) for name, formula in prop.hypotheses.items()},
            "rests_on": list(prop.rests_on),
            "axioms": {name: AXIOMS[name] for name in self.axioms},
            "steps": [
                {**report.to_dict(), "depends_on": list(uses[report.step.name])} for report in self.steps
            ],
            "problems": list(self.problems),
            "verdict": str(self.verdict),
            "condition": self.condition,
            "headline": self.headline,
            "expected": str(prop.expected),
            "ok": self.ok,
            "counterexample": plain(self.counterexample),
            "mutants": [{"name": m.name, "description": m.description} for m in prop.mutants],
            "seconds": self.seconds,
        }

    def to_latex(self) -> str:
        """Return a LaTeX fragment (no preamble) with statement, hypotheses, steps and verdict."""
        return document(self)

    def __str__(self) -> str:
        prop, uses = self.proposition, premises_by_name(self.proposition)
        lines = [f"{prop.title}  [{prop.name}; {prop.source}]", *_statement_lines(prop.statement)]
        lines.append("  Hypotheses:")
        hypotheses = [wrapped(f"{name}: {text}", 4) for name, text in prop.hypotheses.items()]
        lines += [line for some in hypotheses for line in some] or ["    none"]
        for report in self.steps:
            step, decision = report.step, report.decision
            role = "" if step.role is Role.ARGUMENT else f" [{step.role}]"
            words, formula = in_words(step.claim)
            words = "the statement" if step.claim == prop.statement else words
            lines += wrapped(f"{_MARK[decision.outcome]} {step.name}{role}: {words}", 2)
            if formula and words != "the statement":
                lines.append(f"      formula: {shortened(formula, 130)}")
            lines.append(f"      {decision.note}")
            lines += [f"      {line}" for line in computed_lines(decision.computed)]
            if decision.counterexample is not None:
                lines.append(f"      counterexample: {shortened(decision.counterexample)}")
            if uses[step.name]:
                lines.append(f"      follows from: {', '.join(uses[step.name])}")
            if step.axioms:
                lines.append(f"      taken for granted: {', '.join(step.axioms)}")
        lines += [f"  ✗ {problem}" for problem in self.problems]
        lines += [f"  Axiom {name}: {AXIOMS[name]}" for name in self.axioms]
        lines.append(f"  Verdict: {self.headline}  ({self.seconds:.2f} s)")
        return "\n".join(lines)

    def _table(self) -> Table:
        rows = [
            (_MARK[r.decision.outcome], r.step.name, shortened(r.step.claim, 200), r.decision.note)
            for r in self.steps
        ]
        return ("", "step", "claim", "decided"), rows

    def __repr__(self) -> str:
        proved = sum(r.decision.proved for r in self.steps)
        return f"Report({self.name}: {self.headline}; {proved}/{len(self.steps)} steps; {self.seconds:.2f} s)"


def in_words(claim: object) -> tuple[str, str]:
    """A claim for the reader in one sentence, and the formula that was decided, "" where the two are one."""
    words, text = getattr(claim, "words", ""), str(getattr(claim, "text", claim))
    return (words, text) if words else (shortened(text, 400), "")


def wrapped(text: str, indent: int) -> list[str]:
    """A text in lines that a terminal shows as they are, the first of them further to the left."""
    return textwrap.wrap(
        text, LINE, initial_indent=" " * indent, subsequent_indent=" " * (indent + 4),
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def _statement_lines(statement: object) -> list[str]:
    """What is stated, in words where there are any; the formulas stand beside the steps."""
    if not isinstance(statement, All):
        return wrapped(f"Statement: {in_words(statement)[0]}", 2)
    whole = f"Statement: {statement.words}" if statement.words else "Statement:"
    parts = [wrapped(f"- {in_words(member)[0]}", 4) for _, member in statement.members]
    return [*wrapped(whole, 2), *(line for part in parts for line in part)]


def decide_step(step: Step) -> StepReport:
    """Run one step; an exception is reported as undecided, with its text."""
    start = time.perf_counter()
    try:
        decision = step.decided()
    except Exception as error:  # a step that cannot be computed has not been decided
        decision = Decision(Outcome.UNDECIDED, None, f"{type(error).__name__}: {error}")
    return StepReport(step, decision, time.perf_counter() - start)


def verdict_of(steps: tuple[StepReport, ...], found: tuple[str, ...] = ()) -> Verdict:
    """Read the verdict off the decisions and the roles of the steps; problems leave it undecided."""
    if any(r.decision.refuted for r in steps):
        return Verdict.REFUTED
    if found or not steps or not all(r.decision.proved for r in steps):
        return Verdict.UNDECIDED
    roles = {r.step.role for r in steps}
    return next((verdict for role, verdict in _STRONGEST if role in roles), Verdict.PROVED)


def report_on(proposition: Proposition) -> Report:
    """Decide every step of a proposition."""
    steps = tuple(decide_step(step) for step in proposition.steps)
    found = problems(proposition, {report.step.name: report.decision for report in steps})
    return Report(proposition, steps, verdict_of(steps, found), found)


def refuting_steps(proposition: Proposition, mutant: Mutant) -> tuple[str, ...]:
    """Return the names of the steps that refute ``mutant`` (only the steps it alters are run again)."""
    reports = (decide_step(step) for step in proposition.changed_steps(mutant))
    return tuple(report.step.name for report in reports if report.decision.refuted)


def plain(value: object) -> Any:
    """Turn whatever a step computed into JSON-ready data."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return str(value)


def computed_lines(value: object) -> list[str]:
    """What a step computed, one line per entry; residuals that are all zero are only counted."""
    if not isinstance(value, Mapping):
        return [f"computed: {shortened(value)}"]
    if all(is_zero(item) for item in value.values()):
        return [f"computed: {len(value)} residuals, all 0 ({shortened(', '.join(map(str, value)), 90)})"]
    return ["computed:", *(f"  {key}: {shortened(item, 130)}" for key, item in value.items())]


def is_zero(value: Any) -> bool:
    """Whether a residual (number, matrix, or mapping of residuals) is the literal zero."""
    if isinstance(value, Mapping):
        return all(is_zero(item) for item in value.values())
    if isinstance(value, sp.MatrixBase):
        return all(entry == 0 for entry in value.flat())
    return isinstance(value, (int, sp.Basic)) and not isinstance(value, bool) and bool(value == 0)


def shortened(value: object, width: int = 160) -> str:
    """One line of text for whatever a step computed."""
    text = " ".join(str(plain(value)).split())
    return text if len(text) <= width else f"{text[: width - 1]}…"
