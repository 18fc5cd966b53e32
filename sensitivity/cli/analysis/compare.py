"""`leapgrad compare`: the gradients of many recurrent models side by side."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from sensitivity.cli import models, problem
from sensitivity.cli.command import Command
from sensitivity.cli.output import check_picture, from_log, number, print_json, print_table, write_csv

if TYPE_CHECKING:
    from integrators.run.recurrence import Recurrence
    from sensitivity.analysis.comparison import Comparison

__all__ = ["COMMAND"]

DEFAULT_D = 64

EXAMPLES = """\
  leapgrad compare --list
  leapgrad compare lstm gru cornn unicornn hamiltonian --plot five.png
  leapgrad compare --d 64 --n-steps 1000 --out all.csv --plot all.png
  leapgrad compare cornn=trained.npz cornn leaky --set gamma=2 --set leaky.activation=relu
  leapgrad compare lstm=trained.safetensors lstm --inputs x.npy --n-steps 500 --json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "models",
        nargs="*",
        metavar="MODEL",
        help="names, or NAME=FILE with weights (.npz, .safetensors); all models by default",
    )
    parser.add_argument("--list", action="store_true", help="list the models instead")
    parser.add_argument(
        "--d",
        type=int,
        metavar="D",
        help=f"hidden dimension of models without a file (default {DEFAULT_D})",
    )
    parser.add_argument(
        "--set",
        action="append",
        metavar="[MODEL.]KEY=VALUE",
        help="a setting of one model, or of all that have it; for files also activation, prefix; repeatable",
    )
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
    from sensitivity.analysis.comparison import compare
    from sensitivity.files import check_writable
    from sensitivity.recurrences.registry import drawn_inputs, names

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
    if args.d is not None and all("=" in word for word in words):
        raise ValueError("--d says nothing where every model comes with the weights of a file; leave it out.")
    settings = _settings(models.hyperparameters(args.set), words)
    runs = {word: _recurrence(word, inputs, settings[word], args) for word in words}
    found = compare(runs)
    widths = {word: run.system.neurons for word, run in runs.items()}
    heading = f"{_widths(widths)}, N = {args.n_steps}, seed {args.seed}"
    if out is not None:
        write_csv(out, found.columns())
    if plot is not None:
        from sensitivity.figures.plots import save

        save(found.plot(heading), plot)
    if args.json:
        print_json(_json(found, args, widths, settings))
        return 0
    print(heading)
    _show(found)
    for path in (out, plot):
        if path is not None:
            print(f"written: {path}")
    return 0


def _widths(widths: dict[str, int]) -> str:
    """d of all models, or of each where they differ."""
    if len(set(widths.values())) == 1:
        return f"d = {next(iter(widths.values()))}"
    most = max(widths.values(), key=list(widths.values()).count)
    others = [f"{d} for {word}" for word, d in widths.items() if d != most]
    return f"d = {most} ({', '.join(others)})"


def _settings(given: dict[str, Any], words: list[str]) -> dict[str, dict[str, Any]]:
    """The settings of each model: KEY of all that have it, MODEL.KEY of one."""
    from sensitivity.recurrences.registry import HAMILTONIAN, canonical, hyperparameters, names

    found: dict[str, dict[str, Any]] = {word: {} for word in words}
    for key, value in given.items():
        model, dot, setting = key.rpartition(".")
        taken = False
        for word in words:
            name, equals, _ = word.partition("=")
            name = canonical(name, names())
            known = () if name in HAMILTONIAN else hyperparameters(name)
            of_files = ("activation", "prefix", "reset_after", "cudnn") if equals else ()
            if dot and model not in (word, name) and canonical(model, names()) != name:
                continue
            if setting in known or setting in of_files:
                found[word][setting] = value
                taken = True
        if not taken:
            whose = model if dot else "any of " + ", ".join(words)
            raise ValueError(f"--set {key}={value}: {setting} is no setting of {whose}.")
    return found


def _recurrence(word: str, inputs: Any, settings: dict[str, Any], args: argparse.Namespace) -> Recurrence:
    """NAME at its published start, or NAME=FILE."""
    from sensitivity.recurrences.cell import unroll
    from sensitivity.recurrences.registry import HAMILTONIAN, canonical, make, make_recurrence, names
    from sensitivity.weights.weight_files import load_weights

    name, equals, path = word.partition("=")
    d = DEFAULT_D if args.d is None else args.d
    if equals:
        cell = load_weights(path, canonical(name), **settings)
        drive = models.inputs_for(cell, args.n_steps, args.seed) if args.inputs is None else inputs
    elif canonical(name, names()) in HAMILTONIAN or not settings:
        return make_recurrence(name, d, args.n_steps, args.seed, inputs, scheme=args.scheme, progress=False)
    else:
        cell, drive = make(name, d, 0 if inputs is None else inputs.shape[-1], args.seed, **settings), inputs
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


def _json(
    found: Comparison,
    args: argparse.Namespace,
    widths: dict[str, int],
    settings: dict[str, dict[str, Any]],
) -> dict[str, Any]:
    parameters = {
        "d": DEFAULT_D if args.d is None else args.d,
        "n_steps": args.n_steps,
        "seed": args.seed,
        "inputs": args.inputs or args.n_inputs,
        "scheme": args.scheme,
    }
    results = {
        model.name: {
            "block": model.block,
            "d": widths[model.name],
            "settings": settings[model.name],
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
