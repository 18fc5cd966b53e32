"""`leapgrad claims`: the paper's claims, each with a verdict computed now."""

from __future__ import annotations

import argparse

from sensitivity.cli.command import Command
from sensitivity.cli.output import CHECK_FAILED, print_json

__all__ = ["COMMAND"]

EXAMPLES = """\
  leapgrad claims --out ledger
  leapgrad claims figure_1_d10 theorem_3_2"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME", help="claims to decide; all of them by default")
    parser.add_argument(
        "--out", metavar="DIR", help="folder for claims.md and claims.json (default: only print them)"
    )
    parser.add_argument("--list", action="store_true", help="only list the claims")


def run(args: argparse.Namespace) -> int:
    from contextlib import nullcontext

    from integrators.engine.bars import progress_bar_on_stderr
    from proofs import check  # the command line is the one place that joins the two packages
    from sensitivity.files import replacing_folder
    from sensitivity.papers.hamiltonian.claims import LEDGER, chosen, evaluate, summary, to_json, to_markdown
    from sensitivity.papers.ledger import ClaimVerdict
    from sensitivity.text import write_json

    if args.list:
        listed = {claim.name: claim.text for claim in chosen(args.names)}
        print_json(listed) if args.json else print("\n".join(f"{n}: {text}" for n, text in listed.items()))
        return 0
    with replacing_folder(args.out) if args.out else nullcontext() as folder:
        shape = "{desc:<32s} {n_fmt}/{total_fmt}"
        total = len(args.names or LEDGER)
        bar = progress_bar_on_stderr(None, total=total, bar_format=shape, leave=False)

        def tick(name: str) -> None:
            bar.set_description_str(name)
            bar.update()

        with bar:
            judged = evaluate(check, args.names, tick=tick)
        data = to_json(judged)
        if folder is not None:
            write_json(folder / "claims.json", data)
            (folder / "claims.md").write_text(to_markdown(judged), encoding="utf-8")
    if args.json:
        print_json(data)
    elif args.names:
        for one in judged:
            print(f"{one.claim.name} ({one.claim.place})\n  {one.claim.text}\n  {one.finding.headline}")
            print("".join(f"    {text}\n" for text in one.finding.evidence))
    else:
        print(summary(judged))
        if args.out:
            print(f"claims.md and claims.json are in {args.out}")
    return CHECK_FAILED if any(one.finding.verdict is ClaimVerdict.UNDECIDED for one in judged) else 0


COMMAND = Command("claims", "the paper's claims with their verdicts", add_arguments, run, examples=EXAMPLES)
