"""`leapgrad schemes`: the table of schemes, or one of them with its weights."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from sensitivity.cli.command import Command
from sensitivity.cli.output import print_json, print_table

if TYPE_CHECKING:
    from integrators import Scheme

__all__ = ["COMMAND"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", metavar="NAME", help="one scheme: its weights and its reference")


def run(args: argparse.Namespace) -> int:
    from integrators import SCHEMES, get_scheme

    chosen = list(SCHEMES.values()) if args.name is None else [get_scheme(args.name)]
    if args.json:
        print_json({"schemes": [_record(scheme) for scheme in chosen]})
    elif args.name is None:
        _table(chosen)
    else:
        _details(chosen[0])
    return 0


def _record(scheme: Scheme) -> dict[str, Any]:
    return {
        "name": scheme.name,
        "aliases": scheme.aliases,
        "order": scheme.order,
        "form": scheme.form,
        "kicks_per_step": scheme.n_kicks,
        "symmetric": scheme.is_symmetric,
        "drift": scheme.drift,
        "kick": scheme.kick,
        "digits": scheme.digits,
        "reference": scheme.reference,
    }


def _table(schemes: list[Scheme]) -> None:
    rows = [
        (
            scheme.name,
            ", ".join(scheme.aliases),
            str(scheme.order),
            str(scheme.n_kicks),
            "yes" if scheme.is_symmetric else "no",
            "exact" if scheme.digits is None else f"{scheme.digits} decimals",
        )
        for scheme in schemes
    ]
    print_table(("scheme", "also called", "order", "kicks", "symmetric", "weights"), rows, left=2)


def _details(scheme: Scheme) -> None:
    print(f"{scheme.name}: order {scheme.order}, {scheme.form} form, kicks per step: {scheme.n_kicks}")
    if scheme.aliases:
        print(f"also called: {', '.join(scheme.aliases)}")
    print(f"{scheme.reference}\n")
    weights = zip(scheme.drift.tolist(), scheme.kick.tolist(), strict=True)
    rows = [(str(stage), repr(a), repr(b)) for stage, (a, b) in enumerate(weights, start=1)]
    print_table(("stage", "drift a", "kick b"), rows)


COMMAND = Command("schemes", "the time-stepping schemes", add_arguments, run)
