"""One page for every proposition: statement, hypotheses, each step with what the machine found, mutants."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from proofs import CATALOGUE, Report, check, check_mutants
from proofs.axioms import AXIOMS
from proofs.kernel.formulas import stated
from proofs.kernel.linking import premises_by_name
from proofs.latex import typeset
from proofs.report import computed_lines

__all__ = ["pages"]

Write = Callable[[str, str], None]

GROUPS = {
    "What the paper states": ("lemma_3_1", "theorem_3_2", "hamiltonian"),
    "The repaired theorems": tuple(f"theorem_{letter}" for letter in "abcdefg"),
    "Claims refuted": tuple(name for name in CATALOGUE if name.startswith("claim_")),
}
OTHERS = "Schemes, activations, further networks"
# A formula with more characters is cut off.
MOST = 700
MARKS = {"proved": "✓", "refuted": "✗", "undecided": "?"}


def pages(write: Write) -> None:
    """Check every proposition and write its page, and the page that lists them."""
    reports = {name: check(name) for name in CATALOGUE}
    for name, report in reports.items():
        if not report.ok:
            raise RuntimeError(f"proposition {name} was not established: {report.headline}")
        refuted = check_mutants(name)
        if not all(refuted.values()):
            raise RuntimeError(f"a mutant of {name} was not refuted: {refuted}")
        write(f"theory/{name}.md", page(report, refuted))
    write("theory/index.md", index(reports))


def index(reports: dict[str, Report]) -> str:
    steps = sum(len(report.steps) for report in reports.values())
    lines = [
        "# Theory",
        "",
        f"{len(reports)} propositions with {steps} steps, each decided by computer algebra for this page. "
        "Statement, hypotheses and claims are formulas. A rule derives each claim from hypotheses and "
        "claims of "
        "earlier steps, and the verdict needs that a step concludes with the statement itself and that "
        "nothing "
        "is left over. Every proposition has *mutants*, copies with a constant, a hypothesis, a premise "
        "or a step "
        "changed, none of which may be proved. Words beside a formula are for the reader; nothing "
        "checks them. "
        "`leapgrad prove NAME` shows a proof on the command line.",
        "",
    ]
    grouped = {name for names in GROUPS.values() for name in names}
    groups = {**GROUPS, OTHERS: tuple(name for name in reports if name not in grouped)}
    for title, names in groups.items():
        lines += [f"## {title}", "", "| proposition | verdict | steps |", "|---|---|---|"]
        for name in names:
            report = reports[name]
            title, verdict = report.proposition.title, _text(report.headline)
            lines.append(f"| [{title}]({name}.md) | {verdict} | {len(report.steps)} |")
        lines += ["", "```{toctree}", ":hidden:", "", *names, "```", ""]
    return "\n".join(lines)


def page(report: Report, refuted: Mapping[str, Sequence[str]]) -> str:
    proposition = report.proposition
    lines = [
        f"# {proposition.title}",
        "",
        f"**{_text(report.headline)}**",
        "",
        *(f"> {typeset(line, _text, MOST)}\n>" for line in stated(proposition.statement)),
        "",
    ]
    lines += [f"Source: {_text(proposition.source)}. Name: `{proposition.name}`.", ""]
    if proposition.hypotheses:
        lines += ["## Hypotheses", ""]
        lines += [
            f"- *{name.replace('_', ' ')}*: {typeset(text, _text, MOST)}"
            for name, text in proposition.hypotheses.items()
        ]
        lines += [""]
    if proposition.rests_on:
        lines += ["Rests on " + ", ".join(f"[{name}]({name}.md)" for name in proposition.rests_on) + ".", ""]
    if report.axioms:
        lines += ["## Axioms", "", "Taken for granted by the steps:", ""]
        lines += [f"- *{name.replace('_', ' ')}*: {_text(AXIOMS[name])}" for name in report.axioms]
        lines += [""]
    uses = premises_by_name(proposition)
    lines += ["## Steps", ""]
    for number, one in enumerate(report.steps, start=1):
        step, decision = one.step, one.decision
        role = "" if str(step.role) == "argument" else f" *({step.role})*"
        lines += [f"### {number}. {step.name.replace('_', ' ')}", ""]
        lines += [f"{MARKS[str(decision.outcome)]} {typeset(step.claim, _text, MOST)}{role}", ""]
        lines += [f"- decided: {_text(decision.note)}"]
        if uses[step.name]:
            lines += [f"- follows from: {', '.join(name.replace('_', ' ') for name in uses[step.name])}"]
        if step.axioms:
            lines += [f"- taken for granted: {', '.join(name.replace('_', ' ') for name in step.axioms)}"]
        lines += ["", "```text", *(computed_lines(decision.computed) or ["nothing to show"]), "```", ""]
    lines += ["## Mutants", "", "Each of these changes was made, and a step came out refuted:", ""]
    for mutant in proposition.mutants:
        steps = ", ".join(name.replace("_", " ") for name in refuted[mutant.name])
        lines += [f"- {_text(mutant.description)}: {steps}"]
    lines += ["", "## See for yourself", "", "```sh", f"leapgrad prove {proposition.name}", "```", ""]
    return "\n".join(lines)


def _text(sentence: str) -> str:
    """A sentence with formulas in plain letters, safe in Markdown."""
    for sign in "\\*_$<>|#[]":
        sentence = sentence.replace(sign, f"\\{sign}")
    return sentence
