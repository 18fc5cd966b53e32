"""`leapgrad parameters`: how strongly each parameter acts on the last state, and from which steps."""

from __future__ import annotations

import argparse

from sensitivity.cli import files, network
from sensitivity.cli.command import Command
from sensitivity.cli.output import from_log, print_json, print_table

__all__ = ["COMMAND"]

EXAMPLES = """\
  leapgrad parameters --model lstm --d 8 --n-inputs 2 --n-steps 100
  leapgrad parameters --model gru=trained.npz --inputs x.npy --n-steps 200 --share 0.05 --plot steps.png"""

WHAT_THEY_ARE = "W multiplies the state, V the inputs; b is added"
TOGETHER = """\
∂s_N/∂θ, all components of s_N together
in the Frobenius norm; leapgrad report has the steps for the one direction in which s_N moves most."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    network.add_arguments(parser, steps="1e-2")
    result = parser.add_argument_group("result")
    result.add_argument("--block", metavar="NAME", help="the block of the last state")
    result.add_argument(
        "--share",
        type=float,
        default=0.01,
        metavar="P",
        help="what truncated backpropagation may lose of the gradient (default 0.01)",
    )
    files.add(result)


def run(args: argparse.Namespace) -> int:
    import numpy as np

    from sensitivity.analysis.memory.gradient_time import gradient_in_time
    from sensitivity.analysis.memory.parameters import parameter_sensitivity
    from sensitivity.weights.torch_names import rows_of, torch_names

    asked = network.build(args)
    found = parameter_sensitivity(asked.run, block=args.block)
    in_time = gradient_in_time(asked.run, block=args.block)
    window = np.atleast_1d(in_time.window(args.share))
    rows = {
        name: [network.quantiles(np.ravel(part)) for part in (norms.log_spectral, norms.log_frobenius)]
        for name, norms in found.items()
        if np.any(norms.log_frobenius > -np.inf)
    }
    columns = {
        "parameter": list(rows),
        "log_spectral": [row[0][1] for row in rows.values()],
        "log_frobenius": [row[1][1] for row in rows.values()],
    }
    files.write(args, columns, lambda: in_time.figure(asked.describe()))
    if args.json:
        results = {
            name: {"log_spectral": norms.log_spectral, "log_frobenius": norms.log_frobenius}
            for name, norms in found.items()
        }
        about = {"parameters": asked.parameters, "torch_names": torch_names(asked.run.system)}
        steps = {"window": window, "share": args.share, "log_norms": in_time.log_norms, "lost": in_time.lost}
        print_json({**about, "results": results, "steps": steps})
    else:
        print(f"‖∂s_N/∂θ‖: {asked.describe()}")
        several = asked.run.members > 1
        known = torch_names(asked.run.system)
        headers = ["θ", *(["in PyTorch"] if known else []), "spectral", "Frobenius"]
        headers += ["5 %", "95 %"] if several else []
        table = [
            [name, *([known.get(name, "")] if known else []), from_log(spectral[1]), from_log(frobenius[1]),
             *([from_log(frobenius[0]), from_log(frobenius[2])] if several else [])]
            for name, (spectral, frobenius) in rows.items()
        ]  # fmt: skip
        print_table(headers, table, left=2 if known else 1)
        print(f"{WHAT_THEY_ARE}.{rows_of(asked.run.system)}")
        steps, share = int(np.median(window)), 100.0 * args.share
        print(f"The last {steps} of {asked.run.n_steps} steps make all but {share:g} % of {TOGETHER}")
        files.tell(args)
    return 0


COMMAND = Command(
    "parameters", "how strongly each parameter acts on the last state", add_arguments, run, examples=EXAMPLES
)
