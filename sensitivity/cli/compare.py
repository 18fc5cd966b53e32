"""`leapgrad compare`: the gradients of many recurrent models side by side."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from . import models, problem
from .command import Command
from .output import check_picture, from_log, number, print_json, print_table, write_csv

if TYPE_CHECKING:
    from ..comparison import Comparison
    from ..recurrences.ode import OdeRecurrence

__all__ = ["COMMAND"]

EXAMPLES = """\
  leapgrad compare --list
  leapgrad compare lstm gru cornn unicornn hamiltonian --plot five.png
  leapgrad compare --d 64 --n-steps 1000 --out all.csv --plot all.png
  leapgrad compare lstm=trained.safetensors lstm --inputs x.npy --n-steps 500 --json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "models",
        nargs="*",
        metavar="MODEL",
        help="names, or NAME=FILE with weights (.npz, .safetensors); all models by default",
    )
    parser.add_argument("--list", action="store_true", help="list the models instead")
    parser.add_argument("--d", type=int, default=64, metavar="D", help="hidden dimension (default 64)")
    parser.add_argument("--n-steps", type=int, default=1000, metavar="N", help="length N (default 1000)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of weights and inputs (default 0)")
    parser.add_argument(
        "--n-inputs",
        type=int,
        default=1,
        metavar="M",
        help="input components, drawn as N(0, 1) (default 1; 0: autonomous)",
    )
    parser.add_argument("--inputs", metavar="FILE.npy", help="x of shape (N, inputs) instead")
    parser.add_argument(
        "--scheme", default="leapfrog", metavar="NAME", help="of the Hamiltonian models (default leapfrog)"
    )
    parser.add_argument("--out", metavar="FILE.csv", help="also write every number")
    parser.add_argument("--plot", metavar="FILE.png", help="also draw them (.png, .pdf or .svg)")


def run(args: argparse.Namespace) -> int:
    if args.list:
        return _list(args)
    from integrators import get_scheme
    from integrators.validation import as_count

    from ..comparison import compare
    from ..files import check_writable
    from ..recurrences.registry import drawn_inputs, names

    out, plot = None if args.out is None else check_writable(args.out), check_picture(args.plot)
    get_scheme(args.scheme)  # a wrong name is wrong also where no model has a scheme
    as_count(args.n_steps, "--n-steps", least=1)
    as_count(args.seed, "--seed", most=None)
    inputs = problem.load_inputs(args)
    if inputs is None and as_count(args.n_inputs, "--n-inputs"):
        inputs = drawn_inputs(args.n_steps, args.n_inputs, args.seed)
    words = args.models or list(names())
    twice = next((word for word in words if words.count(word) > 1), None)
    if twice is not None:
        raise ValueError(f"{twice} is named twice; name every model once.")
    found = compare({word: _recurrence(word, inputs, args) for word in words})
    heading = f"d = {args.d}, N = {args.n_steps}, seed {args.seed}"
    if out is not None:
        write_csv(out, found.columns())
    if plot is not None:
        from ..figures import save

        save(found.plot(heading), plot)
    if args.json:
        print_json(_json(found, args))
        return 0
    print(heading)
    _show(found)
    for path in (out, plot):
        if path is not None:
            print(f"written: {path}")
    return 0


def _recurrence(word: str, inputs: Any, args: argparse.Namespace) -> OdeRecurrence:
    """NAME at its published start, or NAME=FILE."""
    from ..recurrences.cell import unroll
    from ..recurrences.registry import make_recurrence
    from ..recurrences.weight_files import load_weights

    name, equals, path = word.partition("=")
    if not equals:
        return make_recurrence(
            name, args.d, args.n_steps, args.seed, inputs, scheme=args.scheme, progress=False
        )
    cell = load_weights(path, name)
    drive = models.inputs_for(cell, args.n_steps, args.seed) if args.inputs is None else inputs
    return unroll(cell, args.n_steps, inputs=drive if cell.n_inputs else None, progress=False)


def _show(found: Comparison) -> None:
    rows = []
    for model in found.models:
        exponents = " ".join(
            f"{number(value, 3)}±{number(error, 1)}"
            for value, error in zip(model.exponents, model.errors, strict=True)
        )
        half = len(model.log_profile) // 2
        rows.append(
            (
                model.name,
                model.block,
                from_log(float(model.log_norms[-1])),
                from_log(float(model.log_norms.max())),
                from_log(float(model.log_profile[half])),
                exponents,
            )
        )
    print_table(
        ("model", "h", "‖∂h_N/∂h_0‖", "largest over n", "‖∂h_N/∂h_(N/2)‖", "growth per step"), rows, left=2
    )


def _json(found: Comparison, args: argparse.Namespace) -> dict[str, Any]:
    parameters = {
        "d": args.d,
        "n_steps": args.n_steps,
        "seed": args.seed,
        "inputs": args.inputs or args.n_inputs,
        "scheme": args.scheme,
    }
    results = {
        model.name: {
            "block": model.block,
            "log_norms": model.log_norms,
            "log_profile": model.log_profile,
            "exponents": model.exponents,
            "standard_errors": model.errors,
        }
        for model in found.models
    }
    return {"parameters": parameters, "steps": found.steps, "index": found.index, "results": results}


def _list(args: argparse.Namespace) -> int:
    rows = models.table()
    if args.json:
        header = ("name", "state", "settings", "reference")
        print_json({"models": [dict(zip(header, row, strict=True)) for row in rows]})
    else:
        print_table(("model", "state", "settings (--set)", "reference"), rows, left=4)
    return 0


COMMAND = Command(
    "compare", "gradients of many recurrent models side by side", add_arguments, run, examples=EXAMPLES
)
