"""How many generated mutants of each sort get which verdict."""

from __future__ import annotations

from proofs.proposition import Proposition, Verdict
from proofs.report import Report, decide_step, verdict_of

from .linking import problems
from .mutants import generated


def survey(proposition: Proposition) -> dict[tuple[str, str], list[str]]:
    """(sort, verdict) → descriptions of the generated mutants that get it. Steps are decided once.

    The verdict of a mutant that is as well established as the proposition itself is "survives".
    """
    known = {id(step): decide_step(step) for step in proposition.steps}
    found: dict[tuple[str, str], list[str]] = {}
    for sort, description, mutant in generated(proposition):
        reports = tuple(known.get(id(step)) or decide_step(step) for step in mutant.steps)
        left = problems(mutant, {report.step.name: report.decision for report in reports})
        report = Report(mutant, reports, verdict_of(reports, left), left)
        verdict = "survives" if report.ok or report.verdict is Verdict.PROVED else str(report.verdict)
        found.setdefault((sort, verdict), []).append(description)
    return found
