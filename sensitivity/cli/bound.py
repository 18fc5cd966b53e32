"""`leapgrad bound`: which proved bounds hold for a network, what they say, and why the others do not hold."""

from __future__ import annotations

import argparse

from . import problem
from .command import Command
from .output import number, print_json, print_table

__all__ = ["COMMAND"]

EXAMPLES = """\
  leapgrad bound --d 10 --step 1e-3,1e-2,1e-1 --n-steps 1000
  leapgrad bound --d 1 --p0 2 --step 1e-3 --n-steps 1000"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    problem.add_arguments(parser, steps="1e-3,1e-2,1e-1,1")


def run(args: argparse.Namespace) -> int:
    from ..bounds import applicable, inapplicable

    asked = problem.build(args)
    case = (asked.field, asked.scheme, asked.steps, asked.n_steps, asked.y0, asked.p0)
    found, reasons = applicable(*case), inapplicable(*case)
    if args.json:
        holding = [
            {
                "name": bound.name,
                "theorem": bound.theorem,
                "statement": bound.statement,
                "side": bound.side,
                "of": bound.of,
                "hypotheses": bound.hypotheses,
                "value": bound.value,
            }
            for bound in found
        ]
        print_json(
            {
                "parameters": asked.parameters,
                "step": asked.steps,
                "bounds": holding,
                "do_not_hold": reasons,
            }
        )
        return 0
    print(asked.describe())
    print_table(
        ("step ε", *(f"{bound.theorem}: {bound.name}" for bound in found)),
        [
            (number(step), *(number(float(bound.value[index])) for bound in found))
            for index, step in enumerate(asked.steps)
        ],
    )
    print("\nThey hold, with λ ≥ sup‖DF‖:")
    print_table(
        ("bound", "of the", "statement", "checked"),
        [(bound.name, bound.of, bound.statement, ", ".join(bound.hypotheses)) for bound in found],
        left=4,
    )
    if reasons:
        print("\nThese do not hold here:")
        for name, reason in reasons.items():
            print(f"  {name}: {reason}")
    return 0


COMMAND = Command("bound", "the proved bounds that hold for a network", add_arguments, run, examples=EXAMPLES)
