"""`leapgrad report`: what the gradient of a network does, as a table, a picture and a verdict."""

from __future__ import annotations

import argparse

from sensitivity.cli import files, network
from sensitivity.cli.command import Command
from sensitivity.cli.output import print_json

__all__ = ["COMMAND"]

EXAMPLES = """\
  leapgrad report --model lstm --d 32 --n-inputs 3 --n-steps 200
  leapgrad report --model lstm=trained.safetensors --inputs x.npy --n-steps 100 --plot report.png
  leapgrad report --model gru --d 16 --n-inputs 2 --n-steps 200 --ensemble 20 --json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    network.add_arguments(parser, steps="1e-2", unlike="; leapgrad.report in Python takes 200")
    result = parser.add_argument_group("result")
    result.add_argument("--block", metavar="NAME", help="the block of the state that h stands for")
    files.add(result, "the norms ‖∂h_n/∂h_0‖ with their bounds, in full precision")


def run(args: argparse.Namespace) -> int:
    import numpy as np

    from sensitivity.reports.practitioner import report

    asked = network.build(args)
    found = report(asked.run, block=args.block)
    members, points = found.log_norms.shape
    columns = {
        "member": np.repeat(np.arange(members), points).tolist(),
        "n": np.tile(found.steps, members).tolist(),
        "log_norm": found.log_norms.ravel().tolist(),
        "log_bound": found.log_bounds.ravel().tolist(),
    }
    files.write(args, columns, found.figure)
    if args.json:
        print_json({"parameters": asked.parameters, "results": found.as_dict()})
    else:
        print(asked.describe())
        print(found)
        files.tell(args)
    return 0


COMMAND = Command(
    "report", "what the gradient of a network does, with a verdict", add_arguments, run, examples=EXAMPLES
)
