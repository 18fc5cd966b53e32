"""`leapgrad memory`: what a linear read-out of the last state can know of the inputs, and with which step."""

from __future__ import annotations

import argparse

from sensitivity.cli import files, network
from sensitivity.cli.command import Command
from sensitivity.cli.output import number, print_json, print_table

__all__ = ["COMMAND"]

EXAMPLES = """\
  leapgrad memory --d 4 --n-inputs 1 --n-steps 200 --step 1e-3:1e-1:30 --plot ceiling.png
  leapgrad memory --model lstm --d 16 --n-inputs 1 --n-steps 100 --target last
  leapgrad memory --model cornn --d 8 --n-inputs 1 --n-steps 100 --step 0.01:1:10 --target g.npy"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    network.add_arguments(parser, steps="1e-3:1e-1:13", n_inputs=1)
    result = parser.add_argument_group("result")
    result.add_argument("--block", metavar="NAME", help="the block of the state that is read")
    result.add_argument(
        "--target",
        default="mean",
        metavar="G",
        help="the weights of the inputs in the target: mean (default), first, last, or FILE.npy of shape "
        "(N,) or (N, inputs)",
    )
    files.add(result)


def run(args: argparse.Namespace) -> int:
    import numpy as np

    from sensitivity.analysis.memory.input_kernels import memory_kernels, readout_ceiling
    from sensitivity.weights.field_file import read_array

    drawn = args.inputs is None and args.weights is None and "=" not in (args.model or "")
    if args.n_inputs is None and drawn:
        args.n_inputs = 1  # a memory needs something to remember
    asked = network.build(args)
    run = asked.run
    target = np.ones(run.n_steps)
    if args.target in ("first", "last"):
        target = np.zeros(run.n_steps)
        target[0 if args.target == "first" else -1] = 1.0
    elif args.target != "mean":
        if not args.target.endswith(".npy"):
            raise ValueError(f"--target {args.target!r} is not known; use mean, first, last or a FILE.npy.")
        target = read_array(args.target, "--target")
    found = readout_ceiling(run, target, block=args.block)
    capacity = memory_kernels(run, block=args.block).capacity.sum(axis=-1)
    columns = {
        "step": np.broadcast_to(np.ravel(run.step), run.members).tolist(),
        "correlation": np.ravel(found.correlation).tolist(),
        "accuracy": np.ravel(found.accuracy).tolist(),
        "capacity": np.ravel(capacity).tolist(),
    }
    files.write(args, columns, lambda: found.figure(asked.describe()))
    if args.json:
        results = {**columns, "readout": found.readout, "best_step": found.best_step}
        print_json({"parameters": {**asked.parameters, "target": args.target}, "results": results})
    else:
        print(f"the best linear read-out, target {args.target}: {asked.describe()}")
        values = zip(*list(columns.values())[1:], strict=True)
        step, labels = asked.step_column
        rows = [[label, *map(number, row)] for label, row in zip(labels, values, strict=True)]
        print_table([step, "correlation", "accuracy on signs", "memory capacity"], rows)
        if run.members > 1 and len(set(columns["step"])) > 1:
            print(f"best step ε: {number(found.best_step)}")
        files.tell(args)
    return 0


COMMAND = Command(
    "memory", "what a linear read-out can know of the inputs", add_arguments, run, examples=EXAMPLES
)
