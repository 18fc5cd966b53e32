"""`leapgrad norm`: the norm of the hidden-state gradient of a network, with the bound that holds for it."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from sensitivity.cli import files, network
from sensitivity.cli.command import Command
from sensitivity.cli.output import checked, from_log, number, print_json, print_table
from sensitivity.text import block_symbol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sensitivity.recurrences.case import ModelCase

    Float = NDArray[np.float64]

__all__ = ["COMMAND"]

EXAMPLES = """\
  leapgrad norm --d 10 --step 1e-3:1:100 --n-steps 1000
  leapgrad norm --d 10 --scheme euler --gamma 0.01 --step 0.1,0.2,0.5
  leapgrad norm --weights mine.npz --inputs x.npy --n-steps 500 --step 0.002 --json
  leapgrad norm --d 10 --step 0.1 --k 3 --smallest
  leapgrad norm --d 100 --dtype float32
  leapgrad norm --model lstm --d 64 --n-steps 1000
  leapgrad norm --model lstm --d 64 --n-inputs 2 --n-steps 200 --ensemble 50
  leapgrad norm --model kepler --scheme yoshida4 --y0 1,0 --p0 0,1 --step 0.01
  leapgrad norm --model cornn --set gamma=2 --step 1e-2:1:20 --block state
  leapgrad norm --model gru=trained.safetensors --inputs x.npy --n-steps 500"""
# The theorem that bounds ∂y_N/∂y_0 for a scheme; E holds for all.
THEOREMS = {"leapfrog": "B", "euler": "D"}


class Found(NamedTuple):
    """Norms, one for every step size, and what they are of."""

    columns: dict[str, Float]
    heading: str
    gradient: str  # as text
    theorem: str
    parameters: dict[str, Any]
    slack: Any = 0.0  # of the logarithms, for norms that are not those of the exact map
    has_step: bool = True  # whether the model has step sizes to be shown


def add_arguments(parser: argparse.ArgumentParser) -> None:
    network.add_arguments(parser, steps="1e-3:1:13")
    result = parser.add_argument_group("result")
    result.add_argument(
        "--block",
        metavar="NAME",
        help="position, ∂y_N/∂y_0 (default), or phase, ∂(y_N, p_N)/∂(y_0, p_0); cells: a block or state",
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
    files.add(result)


def run(args: argparse.Namespace) -> int:
    import numpy as np

    if args.smallest and args.k is None:
        raise ValueError("--smallest needs --k, the number of singular values.")
    found = _found(args)
    columns = found.columns
    files.write(args, columns, lambda: _figure(found, args))
    log_norm, log_bound = columns["log_norm"], columns["log_bound"]
    violations = int(np.count_nonzero(log_norm > log_bound + found.slack))
    if args.json:
        print_json({"parameters": found.parameters, "results": columns, "violations": violations})
    else:
        _show(found, args)
    return checked(violations, f"of {log_norm.size} norms lie above a proved bound")


def _found(args: argparse.Namespace) -> Found:
    """Norms of the model that is asked for, and their bound: of a cell, for its default block."""
    import numpy as np

    from sensitivity.analysis.jacobians import norm_and_log

    asked = network.build(args)
    case, run = asked.case, asked.case.recurrence
    if args.dtype != "float64" and not case.is_field:
        raise ValueError(f"--dtype {args.dtype} is for fields; cells run in float64.")
    if args.plot is not None and len(asked.steps) < 2 and not case.is_field:
        raise ValueError(
            f"--plot draws against several --step; leapgrad compare {case.name} draws against n."
        )
    block: Any = run.default_block if args.block is None else args.block
    if case.is_field and block not in ("position", "phase"):
        raise ValueError(f"--block {block!r} is not known; use position or phase.")
    computed = replace(case, options={"dtype": args.dtype}).recurrence if case.is_field else run
    norm, log_norm = norm_and_log(computed, block=block)
    columns = _columns(asked.steps, norm, log_norm, case.log_bound(block=block))
    slack = 0.0
    if args.dtype == "float32":
        from sensitivity.analysis.jacobians import float32_error

        error = np.atleast_1d(float32_error(*case.arguments, block=block))
        columns["float32_error"] = error
        slack = np.log1p(error * np.sqrt(2.0 * case.d))  # the bound is one of the exact map
    if args.k is not None:
        columns.update(_singular_values(case, block, args))
    parameters = {**asked.parameters, "block": block, "dtype": args.dtype}
    if not case.is_field:
        name = block_symbol(block)
        heading, gradient = asked.describe(), f"∂{name}_N/∂{name}_0"
        return Found(columns, heading, gradient, "proved bound", parameters, has_step=case.has_step)
    theorem = THEOREMS.get(asked.parameters["scheme"], "E") if block == "position" else "E"
    gradient = "∂y_N/∂y_0" if block == "position" else "∂(y_N, p_N)/∂(y_0, p_0)"
    parameters["theorem"] = theorem
    return Found(columns, asked.describe(), gradient, f"bound {theorem}", parameters, slack)


def _columns(step: Float, norm: Float, log_norm: Float, log_bound: Float) -> dict[str, Float]:
    import numpy as np

    with np.errstate(over="ignore"):
        bound, tightness = np.exp(log_bound), np.exp(log_bound - log_norm)
    return {
        "step": step,
        "norm": norm,
        "log_norm": log_norm,
        "bound": bound,
        "log_bound": log_bound,
        "tightness": tightness,
    }


def _singular_values(case: ModelCase, block: str, args: argparse.Namespace) -> dict[str, Float]:
    """Logarithms of the K largest or smallest singular values, a column each."""
    import numpy as np

    from sensitivity.analysis.graded import log_singular_values
    from sensitivity.analysis.jacobians import singular_values

    dtype = {} if args.dtype == "float64" else {"dtype": args.dtype}
    first = singular_values(*case.arguments, block=block, k=args.k, **dtype) if not args.smallest else None
    if first is not None:
        logs, numbers = np.atleast_2d(first.log), range(1, args.k + 1)
    else:
        # Only these have the small ones, which drown in the rounding errors of the matrix itself.
        every = np.atleast_2d(log_singular_values(*case.arguments, block=block))
        width = every.shape[-1]
        if not 1 <= args.k <= width:
            raise ValueError(f"--k must lie between 1 and {width}, the size of the block; got {args.k}.")
        logs, numbers = every[:, : -args.k - 1 : -1], range(width, width - args.k, -1)
    return {f"log_sigma_{i}": logs[:, column] for column, i in enumerate(numbers)}


def _show(found: Found, args: argparse.Namespace) -> None:
    import numpy as np

    print(found.heading)
    columns, gradient = found.columns, found.gradient
    shown = number if args.log else from_log
    headers = ["step ε" if found.has_step else "", f"ln ‖{gradient}‖" if args.log else f"‖{gradient}‖"]
    logs = [columns["log_norm"]]
    if not np.isnan(columns["log_bound"]).all():
        headers.append(f"ln {found.theorem}" if args.log else found.theorem)
        headers.append("ln(bound/norm)" if args.log else "bound/norm")
        logs += [columns["log_bound"], columns["log_bound"] - columns["log_norm"]]
    for name in columns:
        if name.startswith("log_sigma_"):
            headers.append(("ln σ_" if args.log else "σ_") + name.removeprefix("log_sigma_"))
            logs.append(columns[name])
    rows = [
        [number(float(step)) if found.has_step else "", *(shown(float(value)) for value in rest)]
        for step, *rest in zip(columns["step"], *logs, strict=True)
    ]
    if "ensemble" in found.parameters:
        headers[0] = f"of {found.parameters['ensemble']} members"
        table = zip(*(network.quantiles(values) for values in logs), strict=True)
        rows = [[name, *map(shown, row)] for name, row in zip(network.QUANTILE_NAMES, table, strict=True)]
    if "float32_error" in columns and len(rows) == len(columns["float32_error"]):
        headers.append("error of float32")
        for row, error in zip(rows, columns["float32_error"], strict=True):
            row.append(number(float(error), 2))
    print_table(headers, rows)
    files.tell(args)


def _figure(found: Found, args: argparse.Namespace) -> Any:
    from sensitivity.figures.plots import norms

    columns, prefix = found.columns, "log_" if args.log else ""
    return norms(
        columns["step"],
        [("norm", columns[f"{prefix}norm"], found.theorem, columns[f"{prefix}bound"])],
        title=found.heading,
        gradient=found.gradient,
        logarithmic=args.log,
    )


COMMAND = Command(
    "norm", "the norm of the hidden-state gradient, with its bound", add_arguments, run, examples=EXAMPLES
)
