"""The ledger of a paper: what a row is, which verdicts there are, and how a proposition decides one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from integrators.values import ByValue

__all__ = [
    "MEANING",
    "Claim",
    "ClaimVerdict",
    "Finding",
    "Judged",
    "ProofTools",
    "by_proposition",
    "by_steps",
    "decided",
    "proof_evidence",
    "proved_by",
    "shown_by_itself",
]


Report = Any
"""A `proofs.Report`; this package does not import the proofs."""


class ClaimVerdict(Enum):
    """What became of a claim."""

    PROVED = "PROVED"
    CONFIRMED = "CONFIRMED"
    HOLDS_ONLY_IF = "HOLDS ONLY IF"
    REFUTED = "REFUTED"
    NOT_REPRODUCED = "NOT REPRODUCED"
    NOT_MEASURED = "NOT MEASURED"
    UNDECIDED = "UNDECIDED"

    def __str__(self) -> str:
        return self.value


MEANING: Mapping[ClaimVerdict, str] = {
    ClaimVerdict.PROVED: "the sentence follows, for all values of its symbols, from steps that were "
    "decided by computer algebra; `leapgrad prove` prints what a proposition takes for granted",
    ClaimVerdict.CONFIRMED: "computed or counted in the set-up that the evidence states, and found "
    "there as the sentence says; nothing follows for other set-ups",
    ClaimVerdict.HOLDS_ONLY_IF: "true under the condition that follows, and false or empty in a case "
    "without it that the evidence names",
    ClaimVerdict.REFUTED: "a counterexample, or arithmetic on printed numbers, contradicts the "
    "sentence as it is worded here; this says nothing about the results of experiments",
    ClaimVerdict.NOT_REPRODUCED: "the set-up, as far as the paper states it, was run and gave "
    "something else; where the paper leaves a choice open, another choice may give what it reports",
    ClaimVerdict.NOT_MEASURED: "it needs runs that this version does not have, or that ended too early "
    "to decide it; the evidence says which",
    ClaimVerdict.UNDECIDED: "a check that should decide it failed: please report this",
}
"""What each verdict says, as every page prints it."""


@dataclass(frozen=True, eq=False)
class Finding(ByValue):
    """ClaimVerdict, condition and evidence.

    Attributes
    ----------
    verdict : ClaimVerdict
    evidence : tuple of str
        Sentences made from what was computed.
    condition : str
        For HOLDS ONLY IF.
    numbers : mapping
        What was computed, for JSON.
    """

    verdict: ClaimVerdict
    evidence: tuple[str, ...]
    condition: str = ""
    numbers: Mapping[str, Any] = field(default_factory=dict)

    @property
    def headline(self) -> str:
        return f"{self.verdict} {self.condition}".strip()


@dataclass
class ProofTools:
    """What rows compute with; a proposition is checked once.

    Attributes
    ----------
    check : callable
        Name of a proposition → its report.
    """

    check: Callable[[str], Report]
    _reports: dict[str, Report] = field(default_factory=dict, kw_only=True)

    def report(self, name: str) -> Report:
        """The report on a proposition."""
        if name not in self._reports:
            self._reports[name] = self.check(name)
        return self._reports[name]


@dataclass(frozen=True, eq=False)
class Claim(ByValue):
    """A claim of a paper.

    Attributes
    ----------
    name : str
    place : str
        Where the paper makes it.
    text : str
        The claim in our own words.
    decide : callable
        The paper's tools → `Finding`; runs when the ledger is evaluated.
    command : str
        Shows the evidence.
    """

    name: str
    place: str
    text: str
    decide: Callable[[Any], Finding]
    command: str


@dataclass(frozen=True, eq=False)
class Judged(ByValue):
    """A claim with what was found."""

    claim: Claim
    finding: Finding


def decided(right: bool, verdict: ClaimVerdict) -> ClaimVerdict:
    """The verdict, if everything that it rests on was found right; otherwise nothing is decided."""
    return verdict if right else ClaimVerdict.UNDECIDED


def shown_by_itself(paper: str) -> Callable[[str, str, str, Callable[[Any], Finding]], Claim]:
    """``row(name, place, text, decide)`` makes rows of that paper, whose evidence the ledger shows itself."""

    def row(name: str, place: str, text: str, decide: Callable[[Any], Finding]) -> Claim:
        return Claim(name, place, text, decide, f"leapgrad claims --paper {paper} {name}")

    return row


def by_proposition(name: str) -> Callable[[ProofTools], Finding]:
    """A row decided by a proposition alone: its verdict, its condition, its counterexample."""

    def decide(tools: ProofTools) -> Finding:
        report = tools.report(name)
        return Finding(_verdict(report), proof_evidence(report), report.condition)

    return decide


def by_steps(
    name: str, *steps: str, verdict: ClaimVerdict = ClaimVerdict.PROVED, condition: str = ""
) -> Callable[[ProofTools], Finding]:
    """A row decided by some steps of a proposition: `verdict` if all of them are proved."""

    def decide(tools: ProofTools) -> Finding:
        report = tools.report(name)
        chosen = [step for step in report.steps if step.step.name in steps]
        evidence = tuple(f"{name}, step {s.step.name}: {s.step.claim} ({s.decision.outcome})" for s in chosen)
        if len(chosen) != len(steps) or not all(step.decision.proved for step in chosen):
            return Finding(ClaimVerdict.UNDECIDED, evidence)
        return Finding(verdict, evidence, condition)

    return decide


def _verdict(report: Report) -> ClaimVerdict:
    return ClaimVerdict(str(report.verdict)) if report.ok else ClaimVerdict.UNDECIDED


def proved_by(*reports: Report) -> tuple[str, ...]:
    """A sentence for each proposition that a row rests on beside what it computes itself."""
    return tuple(
        f"proposition {one.name}: {one.headline}, {sum(s.decision.proved for s in one.steps)} of "
        f"{len(one.steps)} steps proved by machine"
        for one in reports
    )


def proof_evidence(report: Report) -> tuple[str, ...]:
    """How many steps were decided, which carry the verdict (all, if none stands out), the counterexample."""
    proved = sum(step.decision.proved for step in report.steps)
    said = [f"proposition {report.name}: {proved} of {len(report.steps)} steps proved by machine"]
    telling = ("necessity", "counterexample", "figure")
    told = [str(step.step.claim) for step in report.steps if str(step.step.role) in telling]
    said += told or ["; ".join(str(step.step.claim) for step in report.steps if step.decision.proved)]
    if report.counterexample is not None:
        said.append(f"counterexample: {_one_line(report.counterexample)}")
    return tuple(said)


def _one_line(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_one_line(item)}" for key, item in value.items())
    return " ".join(str(value).split()).replace("varepsilon", "ε").replace("**", "^")
