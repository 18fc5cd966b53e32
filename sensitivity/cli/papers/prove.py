"""`leapgrad prove`: the machine-checked propositions, step by step."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from sensitivity.cli.command import Command
from sensitivity.cli.output import CHECK_FAILED, print_json, print_table

if TYPE_CHECKING:
    from proofs import Report

__all__ = ["COMMAND"]

EXAMPLES = """\
  leapgrad prove
  leapgrad prove lemma_3_1 theorem_3_2
  leapgrad prove theorem_b --latex > theorem_b.tex"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME", help="propositions; all of them by default")
    parser.add_argument("--latex", action="store_true", help="print a LaTeX file instead of text")
    parser.add_argument("--list", action="store_true", help="only list names and titles")


def run(args: argparse.Namespace) -> int:
    from proofs import (  # the command line is the one place that joins the two packages
        CATALOGUE,
        check,
        standalone,
    )

    if args.latex and (args.json or args.list):
        other = "--json" if args.json else "--list"
        raise ValueError(f"--latex and {other} ask for two forms of output; leave one out.")
    names = args.names or list(CATALOGUE)
    propositions = [CATALOGUE[name] for name in names]  # a wrong name fails before anything is checked
    if args.list:
        rows = [(proposition.name, proposition.title, proposition.source) for proposition in propositions]
        if args.json:
            listed = {name: {"title": title, "source": source} for name, title, source in rows}
            print_json(listed, enveloped=False)
        else:
            print_table(("name", "title", "source"), rows, left=3)
        return 0
    reports = []
    for name in names:
        report = check(name)
        reports.append(report)
        if not (args.json or args.latex):
            print(report, end="\n\n")
    failed = [report for report in reports if not report.ok]
    if args.json:
        print_json({"ok": not failed, "propositions": [report.to_dict() for report in reports]})
    elif args.latex:
        print(standalone(reports), end="")
    else:
        _summary(reports, failed)
    return CHECK_FAILED if failed else 0


def _summary(reports: list[Report], failed: list[Report]) -> None:
    print_table(
        ("proposition", "verdict", "steps", "seconds"),
        [
            (
                report.name,
                report.headline if report.ok else f"NOT ESTABLISHED: {report.headline}",
                str(len(report.steps)),
                f"{report.seconds:.2f}",
            )
            for report in reports
        ],
        left=2,
    )
    steps = sum(len(report.steps) for report in reports)
    undecided = sum(not step.decision.proved for report in reports for step in report.steps)
    print(f"\n{len(reports)} propositions, {steps} steps, {undecided} of them undecided or wrong; "
          f"{len(failed)} verdicts other than expected")  # fmt: skip


COMMAND = Command(
    "prove", "check the proofs of every proposition by machine", add_arguments, run, examples=EXAMPLES
)
