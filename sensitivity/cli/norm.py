"""`leapgrad norm`: the norm of the hidden-state gradient of a network, with the bound that holds for it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import problem
from .command import Command
from .output import check_picture, from_log, number, print_json, print_table, write_csv

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["COMMAND"]

CHECK_FAILED = 1
EXAMPLES = """\
  leapgrad norm --d 10 --step 1e-3:1:100 --n-steps 1000
  leapgrad norm --d 10 --scheme euler --gamma 0.01 --step 0.1,0.2,0.5
  leapgrad norm --weights mine.npz --inputs x.npy --n-steps 500 --step 0.002 --json
  leapgrad norm --d 10 --step 0.1 --k 3 --smallest
  leapgrad norm --d 100 --dtype float32"""
# The theorem that bounds ∂y_N/∂y_0 for a scheme; E holds for all.
THEOREMS = {"leapfrog": "B", "euler": "D"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    problem.add_arguments(parser, steps="1e-3:1:13")
    result = parser.add_argument_group("result")
    result.add_argument(
        "--block",
        choices=("position", "phase"),
        default="position",
        help="∂y_N/∂y_0, or ∂(y_N, p_N)/∂(y_0, p_0) (default position)",
    )
    result.add_argument("--k", type=int, metavar="K", help="also the K largest singular values")
    result.add_argument("--smallest", action="store_true", help="with --k: the K smallest, in float64")
    result.add_argument(
        "--dtype",
        choices=("float64", "float32"),
        default="float64",
        help="arithmetic of the run; float32 comes with its measured error (default float64)",
    )
    result.add_argument("--log", action="store_true", help="natural logarithms, which never overflow")
    result.add_argument("--out", metavar="FILE.csv", help="also write the table, in full precision")
    result.add_argument("--plot", metavar="FILE.png", help="also draw it (.png, .pdf or .svg)")


def run(args: argparse.Namespace) -> int:
    import numpy as np

    from ..bounds import log_majorant
    from ..files import check_writable
    from ..norms import norm_and_log

    out, plot = None if args.out is None else check_writable(args.out), check_picture(args.plot)
    if args.smallest and args.k is None:
        raise ValueError("--smallest needs --k, the number of singular values.")
    asked = problem.build(args)
    case = {"y0": asked.y0, "p0": asked.p0, "inputs": asked.inputs, "block": args.block}
    norm, log_norm = norm_and_log(
        asked.field, asked.scheme, asked.step, asked.n_steps, **case, dtype=args.dtype
    )
    log_bound = log_majorant(asked.field, asked.scheme, asked.steps, asked.n_steps, block=args.block)
    with np.errstate(over="ignore"):
        bound, tightness = np.exp(log_bound), np.exp(log_bound - log_norm)
    columns = {
        "step": asked.steps,
        "norm": norm,
        "log_norm": log_norm,
        "bound": bound,
        "log_bound": log_bound,
        "tightness": tightness,
    }
    slack = 0.0
    if args.dtype == "float32":
        from ..jacobians import float32_error

        error = np.atleast_1d(float32_error(asked.field, asked.scheme, asked.step, asked.n_steps, **case))
        columns["float32_error"] = error
        slack = np.log1p(error * np.sqrt(2.0 * asked.field.dim))  # the bound is one of the exact map
    if args.k is not None:
        columns.update(_singular_values(asked, args, case))
    theorem = THEOREMS.get(asked.scheme.name, "E") if args.block == "position" else "E"
    if out is not None:
        write_csv(out, columns)
    if plot is not None:
        _draw(plot, columns, asked.describe(), theorem, args)
    violations = int(np.count_nonzero(log_norm > log_bound + slack))
    if args.json:
        parameters = {**asked.parameters, "block": args.block, "theorem": theorem, "dtype": args.dtype}
        print_json({"parameters": parameters, "results": columns, "violations": violations})
    else:
        _show(columns, asked.describe(), theorem, args)
    if violations:
        print(f"{violations} of {norm.size} norms lie above a proved bound: something is wrong.")
    return CHECK_FAILED if violations else 0


def _singular_values(
    asked: problem.Problem, args: argparse.Namespace, case: dict[str, Any]
) -> dict[str, NDArray[np.float64]]:
    """Logarithms of the K largest or smallest singular values, a column each."""
    from ..graded import log_singular_values
    from ..jacobians import singular_values

    arguments = (asked.field, asked.scheme, asked.steps, asked.n_steps)
    first = singular_values(*arguments, **case, k=args.k, dtype=args.dtype) if not args.smallest else None
    if first is not None:
        logs, numbers = first.log, range(1, args.k + 1)
    else:
        # Only these have the small ones, which drown in the rounding errors of the matrix itself.
        every = log_singular_values(*arguments, **case)
        width = every.shape[-1]
        if not 1 <= args.k <= width:
            raise ValueError(f"--k must lie between 1 and {width}, the size of the block; got {args.k}.")
        logs, numbers = every[:, : -args.k - 1 : -1], range(width, width - args.k, -1)
    return {f"log_sigma_{i}": logs[:, column] for column, i in enumerate(numbers)}


def _show(
    columns: dict[str, NDArray[np.float64]], heading: str, theorem: str, args: argparse.Namespace
) -> None:
    print(heading)
    gradient = "∂y_N/∂y_0" if args.block == "position" else "∂(y_N, p_N)/∂(y_0, p_0)"
    shown = number if args.log else from_log
    headers = [
        "step ε",
        f"ln ‖{gradient}‖" if args.log else f"‖{gradient}‖",
        f"ln bound {theorem}" if args.log else f"bound {theorem}",
        "ln(bound/norm)" if args.log else "bound/norm",
    ]
    logs = [columns["log_norm"], columns["log_bound"], columns["log_bound"] - columns["log_norm"]]
    for name in columns:
        if name.startswith("log_sigma_"):
            headers.append(("ln σ_" if args.log else "σ_") + name.removeprefix("log_sigma_"))
            logs.append(columns[name])
    rows = [
        [number(float(step)), *(shown(float(value)) for value in rest)]
        for step, *rest in zip(columns["step"], *logs, strict=True)
    ]
    if "float32_error" in columns:
        headers.append("error of float32")
        for row, error in zip(rows, columns["float32_error"], strict=True):
            row.append(number(float(error), 2))
    print_table(headers, rows)
    for path in (args.out, args.plot):
        if path is not None:
            print(f"written: {path}")


def _draw(
    path: Path,
    columns: dict[str, NDArray[np.float64]],
    heading: str,
    theorem: str,
    args: argparse.Namespace,
) -> None:
    from .. import figures
    from ..files import replacing

    prefix = "log_" if args.log else ""
    figure = figures.norms(
        columns["step"],
        [("norm", columns[f"{prefix}norm"], f"bound {theorem}", columns[f"{prefix}bound"])],
        title=heading,
        block=args.block,
        logarithmic=args.log,
    )
    with replacing(path) as temporary:
        figures.save(figure, temporary)


COMMAND = Command(
    "norm", "the norm of the hidden-state gradient, with its bound", add_arguments, run, examples=EXAMPLES
)
