"""`leapgrad profile`: how much every earlier state, or input, still moves the last state."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from sensitivity.cli import files, network
from sensitivity.cli.command import Command
from sensitivity.cli.output import checked, from_log, number, print_json, print_table
from sensitivity.text import evenly_spread

if TYPE_CHECKING:
    from sensitivity.analysis.profile import GradientProfile

__all__ = ["COMMAND"]

EXAMPLES = """\
  leapgrad profile --d 10 --step 1e-2 --n-steps 1000 --plot profile.png
  leapgrad profile --scheme euler --step 1e-3,1e-2 --n-steps 500
  leapgrad profile --model lstm --d 32 --n-steps 500
  leapgrad profile --weights mine.npz --inputs x.npy --n-steps 500 --of inputs --out profile.csv"""

MOST_ROWS = 10_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    network.add_arguments(parser, steps="1e-2")
    result = parser.add_argument_group("result")
    result.add_argument(
        "--of",
        choices=("state", "inputs"),
        default="state",
        help="∂s_N/∂s_i for i = 0 … N, or ∂s_N/∂x_i for i = 1 … N (default state); y for s of a field",
    )
    result.add_argument(
        "--rows", type=int, default=11, metavar="R", help="number of indices in the table (default 11)"
    )
    result.add_argument("--block", metavar="NAME", help="the block of the state (default: that of the model)")
    files.add(result, "the norms at every index, in full precision")


def run(args: argparse.Namespace) -> int:
    import numpy as np

    from sensitivity.analysis.profile import gradient_profile

    if not 2 <= args.rows <= MOST_ROWS:
        raise ValueError(f"--rows must be from 2 to {MOST_ROWS}, got {args.rows}.")
    asked = network.build(args)
    profile = gradient_profile(*asked.case.batch.arguments, of=args.of, block=args.block)
    files.write(args, _columns(profile), lambda: profile.figure(asked.describe()))
    count = profile.index.size
    places = evenly_spread(count, args.rows)
    shown = profile.index[places]
    log_bounds = None if profile.bound is None else profile.log_bounds(shown)
    violations = 0 if log_bounds is None else int(np.count_nonzero(profile.log_norms[:, places] > log_bounds))
    if args.json:
        theorem = None if profile.bound is None else profile.bound.theorem
        parameters = {
            **asked.parameters,
            "block": args.block,
            "quantity": profile.quantity,
            "theorem": theorem,
            "step": asked.steps,
        }
        results = {"index": profile.index, "norm": profile.norms, "log_norm": profile.log_norms}
        bounds = None if log_bounds is None else {"index": shown, "log_bound": log_bounds}
        print_json({"parameters": parameters, "results": results, "bounds": bounds, "violations": violations})
    else:
        print(f"{profile.quantity}: {asked.describe()}")
        headers, cells = ["i"], [[str(i) for i in shown]]
        if asked.ensemble:
            found = [network.quantiles(profile.log_norms[:, place]) for place in places]
            for name, column in zip(network.QUANTILE_NAMES, zip(*found, strict=True), strict=True):
                headers.append(name)
                cells.append([from_log(value) for value in column])
        for member, step in enumerate([] if asked.ensemble else asked.steps):
            headers.append(f"ε = {number(step)}" if asked.case.has_step else "norm")
            cells.append([from_log(float(value)) for value in profile.log_norms[member, places]])
            if log_bounds is not None and profile.bound is not None:
                headers.append(f"bound {profile.bound.theorem}")
                cells.append([from_log(float(value)) for value in log_bounds[member]])
        print_table(headers, zip(*cells, strict=True))
        files.tell(args)
    return checked(violations, "of the norms shown lie above a proved bound")


def _columns(profile: GradientProfile) -> dict[str, list[float]]:
    """One row for every step size and index."""
    import numpy as np

    members, n = profile.norms.shape
    return {
        "step": np.repeat(profile.step, n).tolist(),
        "index": np.tile(profile.index, members).tolist(),
        "norm": profile.norms.ravel().tolist(),
        "log_norm": profile.log_norms.ravel().tolist(),
    }


COMMAND = Command(
    "profile", "how strongly each earlier state acts on the last one", add_arguments, run, examples=EXAMPLES
)
