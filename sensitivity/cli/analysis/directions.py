"""`leapgrad directions`: covariant Lyapunov vectors along a run, their growth and their angles."""

from __future__ import annotations

import argparse

from sensitivity.cli import files, network
from sensitivity.cli.command import Command
from sensitivity.cli.output import number, print_json, print_table

__all__ = ["COMMAND"]

EXAMPLES = """\
  leapgrad directions --model henon_heiles --step 0.1 --n-steps 2000 --y0 0.1,0.3 --p0 0.2,0.1
  leapgrad directions --model gru --d 8 --n-inputs 2 --n-steps 1000 --k 4 --plot directions.png"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    network.add_arguments(parser, steps="1e-1", ensemble=True)
    result = parser.add_argument_group("result")
    result.add_argument("--k", type=int, metavar="K", help="the first K vectors (default all)")
    result.add_argument(
        "--burn-in", type=int, metavar="B", help="steps that the frame takes to align (default N/4)"
    )
    result.add_argument(
        "--backward", type=int, metavar="B", help="steps of the backward pass to converge (default N/4)"
    )
    files.add(result)


def run(args: argparse.Namespace) -> int:
    import numpy as np

    from sensitivity.analysis.memory.covariant import covariant_vectors

    files.check(args)
    asked = network.build(args)
    found = covariant_vectors(asked.run, args.k, burn_in=args.burn_in, backward=args.backward)
    k = found.exponents.shape[-1]
    exponents, error = found.exponents.reshape(-1, k), found.error.reshape(-1, k)
    angles = found.angles().reshape(len(exponents), -1, k, k)
    neighbours = np.array([angles[:, :, j, j + 1] for j in range(k - 1)])
    least = np.full((len(exponents), k), np.nan)
    if k > 1:
        least[:, :-1] = neighbours.min(axis=2).T
    columns = {
        "member": np.repeat(np.arange(len(exponents)), k).tolist(),
        "number": np.tile(np.arange(1, k + 1), len(exponents)).tolist(),
        "exponent": exponents.ravel().tolist(),
        "error": error.ravel().tolist(),
        "least_angle_to_next": least.ravel().tolist(),
    }
    files.write(args, columns, lambda: found.figure(asked.describe()))
    if args.json:
        results = {name: getattr(found, name) for name in ("steps", "exponents", "error", "vectors")}
        parameters = {**asked.parameters, "backward": found.backward}
        print_json({"parameters": parameters, "results": results | {"least_angle_to_next": least}})
    else:
        print(f"covariant vectors at {found.steps.size} places: {asked.describe()}")
        rows = [
            [str(int(member)), str(int(place)), number(value), number(error, 2), number(angle)]
            for member, place, value, error, angle in zip(*columns.values(), strict=True)
        ]
        print_table(["member", "j", "growth per step", "not converged by", "least angle to j + 1"], rows)
        files.tell(args)
    return 0


COMMAND = Command(
    "directions", "covariant Lyapunov vectors, their growth and angles", add_arguments, run, examples=EXAMPLES
)
