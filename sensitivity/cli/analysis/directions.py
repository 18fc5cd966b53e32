"""`leapgrad directions`: covariant Lyapunov vectors along a run, or leading singular vectors, by name."""

from __future__ import annotations

import argparse
from typing import Any

from sensitivity.cli import files, network
from sensitivity.cli.command import Command
from sensitivity.cli.output import from_log, number, print_json, print_table
from sensitivity.text import evenly_spread

__all__ = ["COMMAND"]

EXAMPLES = """\
  leapgrad directions --model henon_heiles --step 0.1 --n-steps 2000 --y0 0.1,0.3 --p0 0.2,0.1
  leapgrad directions --model gru --d 8 --n-inputs 2 --n-steps 1000 --k 4 --plot directions.png
  leapgrad directions --model lstm --d 8 --n-inputs 2 --n-steps 100 --of inputs --plot vectors.png"""

MOST_ROWS = 21


def add_arguments(parser: argparse.ArgumentParser) -> None:
    network.add_arguments(parser, steps="1e-1")
    result = parser.add_argument_group("result")
    result.add_argument(
        "--of",
        choices=("run", "state", "inputs"),
        default="run",
        help="run: covariant vectors along it (default); state or inputs: leading singular vectors of "
        "∂s_N/∂s_0, or of ∂s_N/∂x_i for every i",
    )
    result.add_argument(
        "--k", type=int, metavar="K", help="the first K vectors (default all; 3 singular ones)"
    )
    result.add_argument("--block", metavar="NAME", help="the block of the state, for singular vectors")
    result.add_argument(
        "--burn-in", type=int, metavar="B", help="steps that the frame takes to align (default N/4)"
    )
    result.add_argument(
        "--backward", type=int, metavar="B", help="steps of the backward pass to converge (default N/4)"
    )
    files.add(result)


def run(args: argparse.Namespace) -> int:
    asked = network.build(args)
    return _covariant(args, asked) if args.of == "run" else _singular(args, asked)


def _covariant(args: argparse.Namespace, asked: network.AskedCase) -> int:
    import numpy as np

    from sensitivity.analysis.memory.covariant import covariant_vectors

    if args.block is not None:
        raise ValueError("--block is for singular vectors; covariant vectors are of the whole state.")
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


def _singular(args: argparse.Namespace, asked: network.AskedCase) -> int:
    """The leading singular vectors; the table shows at most some twenty rows of the first of every i."""
    import numpy as np

    from sensitivity.analysis.memory.singular_vectors import singular_directions

    for option in ("burn_in", "backward"):
        if getattr(args, option) is not None:
            raise ValueError(f"--{option.replace('_', '-')} is for covariant vectors: leave it or --of out.")
    found = singular_directions(asked.run, args.k, of=args.of, block=args.block)
    places = 1 + found.by_input
    flat = [
        part.reshape(-1, *part.shape[part.ndim - own :])
        for part, own in ((found.log_values, places), (found.right, places + 1), (found.left, places + 1))
    ]
    rows: list[tuple[Any, ...]] = []
    for member, (logs, right, left) in enumerate(zip(*flat, strict=True)):
        for place in np.ndindex(logs.shape):
            where = (*place[:-1], slice(None), place[-1])
            cause = found.named(right[where], found.column_names)
            effect = found.named(left[where], found.row_names)
            index = (place[0] + 1,) if found.by_input else ()
            rows.append((member, *index, place[-1] + 1, float(logs[place]), cause, effect))
    header = ["member", *(["index"] if found.by_input else []), "number", "log_value", "direction", "moves"]
    columns = {name: [row[at] for row in rows] for at, name in enumerate(header)}
    files.write(args, columns, lambda: found.figure(asked.describe()))
    if args.json:
        names = ("quantity", "log_values", "right", "left", "row_names", "column_names")
        results = {name: getattr(found, name) for name in names}
        print_json({"parameters": {**asked.parameters, "of": args.of}, "results": results})
        return 0
    print(f"singular vectors of {found.quantity}: {asked.describe()}")
    if found.by_input:
        rows = [row for row in rows if row[2] == 1]
    shown = evenly_spread(len(rows), MOST_ROWS)
    table = [[*map(str, rows[i][:-3]), from_log(rows[i][-3]), *rows[i][-2:]] for i in shown.tolist()]
    index = ["i"] if found.by_input else []
    cause = "direction of x_i" if found.by_input else "direction of s_0"
    print_table(["member", *index, "j", "σ_j", cause, "moves s_N along"], table)
    files.tell(args)
    return 0


COMMAND = Command(
    "directions",
    "covariant Lyapunov vectors, or singular ones by name",
    add_arguments,
    run,
    examples=EXAMPLES,
)
