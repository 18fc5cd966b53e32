"""`leapgrad claims`: the claims of a paper, each with a verdict computed now."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sensitivity.cli.command import Command
from sensitivity.cli.output import CHECK_FAILED, print_json

if TYPE_CHECKING:
    from sensitivity.papers.ledger import Judged
    from sensitivity.papers.paper import Paper

__all__ = ["COMMAND"]

EXAMPLES = """\
  leapgrad claims --out ledger
  leapgrad claims figure_1_d10 theorem_3_2
  leapgrad claims --paper linoss
  leapgrad claims --paper all --list"""

ALL = "all"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from sensitivity.papers.catalogue import PAPERS

    parser.add_argument("names", nargs="*", metavar="NAME", help="claims to decide; all of them by default")
    parser.add_argument(
        "--paper",
        default="hamiltonian",
        metavar="PAPER",
        help=f"whose claims: {', '.join(PAPERS)}, or {ALL} (default hamiltonian)",
    )
    parser.add_argument(
        "--out", metavar="DIR", help="folder for claims.md and claims.json (default: only print them)"
    )
    parser.add_argument("--list", action="store_true", help="only list the claims")


def run(args: argparse.Namespace) -> int:
    from contextlib import nullcontext

    from integrators.engine.bars import progress_bar_on_stderr
    from proofs import CATALOGUE, check  # the command line is the one place that joins the two packages
    from sensitivity.files import replacing_folder
    from sensitivity.papers.catalogue import PAPERS, paper
    from sensitivity.papers.ledger import ClaimVerdict
    from sensitivity.text import write_json

    if args.paper == ALL and args.names:
        raise ValueError(f"--paper {ALL} decides every claim; name a paper to choose some of its claims.")
    papers = {name: paper(name) for name in (PAPERS if args.paper == ALL else [args.paper])}
    for name in args.names:
        if name in CATALOGUE and not any(name in one.claims for one in papers.values()):
            raise ValueError(f"{name} is a proposition and no claim: leapgrad prove {name}.")
    if args.list:
        _list(papers, args)
        return 0
    judged: dict[str, list[Judged]] = {}
    with replacing_folder(args.out) if args.out else nullcontext() as folder:
        shape = "{desc:<32s} {n_fmt}/{total_fmt}"
        total = sum(len(args.names or one.claims) for one in papers.values())
        bar = progress_bar_on_stderr(None, total=total, bar_format=shape, leave=False)

        def tick(name: str) -> None:
            bar.set_description_str(name)
            bar.update()

        with bar:
            for name, one in papers.items():
                judged[name] = one.evaluate(check, args.names, tick=tick)
        data = {name: one.to_json(judged[name]) for name, one in papers.items()}
        if folder is not None:
            for name, one in papers.items():
                own = folder / name if args.paper == ALL else folder
                own.mkdir(exist_ok=True)
                write_json(own / "claims.json", data[name])
                (own / "claims.md").write_text(one.to_markdown(judged[name]), encoding="utf-8")
    _show(args, papers, judged, data)
    every = [one for found in judged.values() for one in found]
    return CHECK_FAILED if any(one.finding.verdict is ClaimVerdict.UNDECIDED for one in every) else 0


def _list(papers: Mapping[str, Paper], args: argparse.Namespace) -> None:
    """The claims, of several papers each under its name."""
    listed = {
        name: {claim.name: claim.text for claim in one.chosen(args.names)} for name, one in papers.items()
    }
    if args.json:
        print_json(listed if args.paper == ALL else listed[args.paper], enveloped=False)
        return
    for name, claims in listed.items():
        if args.paper == ALL:
            print(f"{name}: {papers[name].plain}")
        indent = "  " if args.paper == ALL else ""
        print("\n".join(f"{indent}{claim}: {text}" for claim, text in claims.items()))


def _show(
    args: argparse.Namespace,
    papers: Mapping[str, Paper],
    judged: Mapping[str, list[Judged]],
    data: Mapping[str, Any],
) -> None:
    """Print the verdicts: as JSON, as a table for each paper, or with the evidence of the claims named."""
    from sensitivity.papers.paper import summary

    if args.json:
        print_json({"papers": data} if args.paper == ALL else data[args.paper])
    elif args.names:
        for one in judged[args.paper]:
            print(f"{one.claim.name} ({one.claim.place})\n  {one.claim.text}\n  {one.finding.headline}")
            print("".join(f"    {text}\n" for text in one.finding.evidence))
    else:
        for name, found in judged.items():
            if args.paper == ALL:
                print(f"{papers[name].plain}\n")
            print(summary(found) + ("\n" if args.paper == ALL else ""))
        if args.out:
            print(f"claims.md and claims.json are in {args.out}")


COMMAND = Command("claims", "claims of papers with their verdicts", add_arguments, run, examples=EXAMPLES)
