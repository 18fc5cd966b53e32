"""`leapgrad norm`: the norm of the hidden-state gradient of a network, with the bound that holds for it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from . import problem
from .command import Command
from .output import from_log, number, print_json, print_table, write_csv

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["COMMAND"]

CHECK_FAILED = 1
PICTURES = (".png", ".pdf", ".svg")
EXAMPLES = """\
  leapgrad norm --d 10 --step 1e-3:1:100 --n-steps 1000
  leapgrad norm --d 10 --scheme euler --gamma 0.01 --step 0.1,0.2,0.5
  leapgrad norm --weights mine.npz --inputs x.npy --n-steps 500 --step 0.002 --json"""
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
    result.add_argument("--log", action="store_true", help="natural logarithms, which never overflow")
    result.add_argument("--out", metavar="FILE.csv", help="also write the table, in full precision")
    result.add_argument("--plot", metavar="FILE.png", help="also draw it (.png, .pdf or .svg)")


def run(args: argparse.Namespace) -> int:
    import numpy as np

    from ..bounds import log_majorant
    from ..files import check_writable
    from ..norms import norm_and_log

    out, plot = (None if path is None else check_writable(path) for path in (args.out, args.plot))
    if plot is not None and plot.suffix.lower() not in PICTURES:
        raise ValueError(f"--plot {args.plot!r} must end in {', '.join(PICTURES)}.")
    asked = problem.build(args)
    norm, log_norm = norm_and_log(
        asked.field,
        asked.scheme,
        asked.step,
        asked.n_steps,
        y0=asked.y0,
        p0=asked.p0,
        inputs=asked.inputs,
        block=args.block,
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
    theorem = THEOREMS.get(asked.scheme.name, "E") if args.block == "position" else "E"
    if out is not None:
        write_csv(out, columns)
    if plot is not None:
        _draw(plot, columns, asked.describe(), theorem, args)
    violations = int(np.count_nonzero(log_norm > log_bound))
    if args.json:
        parameters = {**asked.parameters, "block": args.block, "theorem": theorem}
        print_json({"parameters": parameters, "results": columns, "violations": violations})
    else:
        _show(columns, asked.describe(), theorem, args)
    if violations:
        print(f"{violations} of {norm.size} norms lie above a proved bound: something is wrong.")
    return CHECK_FAILED if violations else 0


def _show(
    columns: dict[str, NDArray[np.float64]], heading: str, theorem: str, args: argparse.Namespace
) -> None:
    print(heading)
    gradient = "∂y_N/∂y_0" if args.block == "position" else "∂(y_N, p_N)/∂(y_0, p_0)"
    rows = zip(
        columns["step"],
        columns["log_norm"],
        columns["log_bound"],
        columns["log_bound"] - columns["log_norm"],
        strict=True,
    )
    shown = number if args.log else from_log
    print_table(
        (
            "step ε",
            f"ln ‖{gradient}‖" if args.log else f"‖{gradient}‖",
            f"ln bound {theorem}" if args.log else f"bound {theorem}",
            "ln(bound/norm)" if args.log else "bound/norm",
        ),
        [(number(step), *(shown(float(value)) for value in rest)) for step, *rest in rows],
    )
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
