"""`leapgrad compare`: the gradients of many recurrent models side by side."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sensitivity.cli import files, network
from sensitivity.cli.command import Command
from sensitivity.cli.output import from_log, number, print_json, print_table

if TYPE_CHECKING:
    from sensitivity.analysis.comparison import Comparison, ModelGradients
    from sensitivity.recurrences.case import ModelCase

__all__ = ["COMMAND"]

DEFAULT_D, DEFAULT_INPUTS = 64, 1

EXAMPLES = """\
  leapgrad compare --list
  leapgrad compare lstm gru cornn unicornn hamiltonian --plot five.png
  leapgrad compare --d 64 --n-steps 1000 --out all.csv --plot all.png
  leapgrad compare cornn=trained.npz cornn leaky --set gamma=2 --set leaky.activation=relu
  leapgrad compare lstm=trained.safetensors lstm --inputs x.npy --n-steps 500 --json
  leapgrad compare lstm gru --d 16 --n-steps 100 --ensemble 20 --plot bands.png"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "models",
        nargs="*",
        metavar="MODEL",
        help="NAME, or NAME=FILE with weights (.npz, .safetensors); by default all that draw weights",
    )
    parser.add_argument("--list", action="store_true", help="list the models, or those named, instead")
    network.add_model(parser, repeated=True, prefixed=True)
    network.add_drawn(parser, f"of models without a file; default {DEFAULT_D}")
    network.add_run(parser, "of models that have a step size; default 1/N for fields", DEFAULT_INPUTS)
    network.add_ensemble(parser)
    parser.set_defaults(default_steps=None)
    files.add(parser, "every number")


def run(args: argparse.Namespace) -> int:
    if args.list:
        return _list(args)
    from integrators import get_scheme
    from integrators.validation import as_count
    from sensitivity.analysis.comparison import compare
    from sensitivity.recurrences.registry import drawn_inputs, draws_weights, names

    files.check(args)
    args.scheme, args.seed = args.scheme or "leapfrog", args.seed or 0
    get_scheme(args.scheme)  # a wrong name is wrong also where no model has a scheme
    as_count(args.seed, "--seed", most=None)
    inputs = network.inputs_of(args)
    as_count(args.n_steps, "--n-steps", least=1)
    args.n_inputs = DEFAULT_INPUTS if args.n_inputs is None else args.n_inputs
    if inputs is None and as_count(args.n_inputs, "--n-inputs") and args.ensemble is None:
        inputs = drawn_inputs(args.n_steps, args.n_inputs, args.seed)
    words = network.words_of(args, args.models) or [name for name in names() if draws_weights(name)]
    twice = next((word for word in words if words.count(word) > 1), None)
    if twice is not None:
        raise ValueError(f"{twice} is named twice; name every model once.")
    if args.d is not None and all("=" in word for word in words):
        raise ValueError("--d says nothing where every model comes with the weights of a file; leave it out.")
    settings = _settings(network.given_settings(args), words, vars(args))
    cases = {word: _case(word, inputs, settings[word], args) for word in words}
    found = compare({word: case.recurrence for word, case in cases.items()}, ensemble=True)
    widths = {word: case.d for word, case in cases.items()}
    members = max(model.members for model in found.models)
    heading = f"{_widths(widths)}, N = {args.n_steps}, seed {args.seed}"
    heading += f", {members} members" if members > 1 else ""
    files.write(args, found.columns(), lambda: found.figure(heading))
    if args.json:
        print_json(_json(found, args, widths, settings))
        return 0
    print(heading)
    _show(found)
    files.tell(args)
    return 0


def _widths(widths: dict[str, int]) -> str:
    """d of all models, or of each where they differ."""
    if len(set(widths.values())) == 1:
        return f"d = {next(iter(widths.values()))}"
    most = max(widths.values(), key=list(widths.values()).count)
    others = [f"{d} for {word}" for word, d in widths.items() if d != most]
    return f"d = {most} ({', '.join(others)})"


def _settings(
    given: dict[str, Any], words: list[str], options: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """The settings of each model: MODEL.KEY of one, KEY of all cells that have it, or else of all fields."""
    from sensitivity.recurrences.registry import FIELDS, canonical
    from sensitivity.recurrences.sources import known_settings

    found: dict[str, dict[str, Any]] = {word: {} for word in words}
    for key, value in given.items():
        model, dot, setting = key.rpartition(".")
        bare = {word: canonical(word.partition("=")[0]) for word in words}
        meant = [word for word in words if not dot or model == word or canonical(model) == bare[word]]
        able = [word for word in meant if setting in known_settings(word)]
        cells = [word for word in able if bare[word] not in FIELDS]
        if not able:
            whose = model if dot else "any of " + ", ".join(words)
            option = f"--{key} {value}" if options.get(key) == value else f"--set {key}={value}"
            raise ValueError(f"{option}: {setting} is no setting of {whose}.")
        for word in cells or able:
            found[word][setting] = value
    return found


def _case(word: str, inputs: Any, settings: dict[str, Any], args: argparse.Namespace) -> ModelCase:
    """NAME at its published start, or NAME=FILE."""
    name, file, option = network.named(word)
    drive = None if file is not None and args.inputs is None else inputs
    several = drive if drive is not None and drive.ndim == 3 else None
    first, options = drive if several is None else several[0], {"progress": False}
    asked = network.asked_case(args, name, file, settings, DEFAULT_D, first, option, options=options)
    if several is not None and not asked.case.model.n_inputs:
        several = None  # of a model that reads none of the sequences there is one run
    if several is None and args.ensemble is None:
        return asked.case
    return network.as_ensemble(args, asked, several).case


def _show(found: Comparison) -> None:
    rows = []
    for model in found.models:
        exponents = " ".join(
            f"{number(value, 3)}±{number(error, 1)}" if error == error else number(value, 3)
            for value, error in zip(model.exponents, model.errors, strict=True)
        )
        half = len(model.log_profile) // 2
        if model.bands:
            ends = zip(model.exponents, *model.bands["exponents"], strict=True)
            exponents = " ".join(f"{number(v, 3)} ({number(a, 2)}…{number(b, 2)})" for v, a, b in ends)
        rows.append(
            (
                model.name,
                model.block,
                _with_band(model, -1),
                from_log(float(model.log_norms.max())),
                from_log(float(model.log_profile[half])),
                exponents,
            )
        )
    print_table(
        ("model", "h", "‖∂h_N/∂h_0‖", "largest over n", "‖∂h_N/∂h_(N/2)‖", "growth per step"), rows, left=2
    )


def _with_band(model: ModelGradients, place: int) -> str:
    """The norm there, with 5 % and 95 % of an ensemble."""
    middle = from_log(float(model.log_norms[place]))
    if not model.bands:
        return middle
    low, high = (from_log(float(band[place]), 3) for band in model.bands["log_norms"])
    return f"{middle} ({low} … {high})"


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
            "members": model.members,
            **({"bands": model.bands} if model.bands else {}),
        }
        for model in found.models
    }
    return {"parameters": parameters, "steps": found.steps, "index": found.index, "results": results}


def _list(args: argparse.Namespace) -> int:
    from sensitivity.recurrences.registry import canonical

    wanted = {canonical(word.partition("=")[0], own=False) for word in network.words_of(args, args.models)}
    rows = [row for row in _table() if not wanted or row[0] in wanted]
    if args.json:
        header = ("name", "state", "settings", "reference")
        print_json({"models": [dict(zip(header, row, strict=True)) for row in rows]})
    else:
        print_table(("model", "state", "settings (--set)", "reference"), rows, left=4)
    return 0


def _table() -> list[tuple[str, str, str, str]]:
    """Every model: name, state, settings with their defaults, reference."""
    from sensitivity.recurrences.registry import FIELDS, hyperparameters, make, names, reference

    rows = []
    for name in names():
        state = ("y", "p") if name in FIELDS else make(name, 2).kind.state
        settings = [f"{key}={value}" for key, value in hyperparameters(name).items()]
        settings += ["any scheme"] if name in FIELDS else []
        shown = ", ".join(state) if len(state) <= 3 else f"{state[0]}, {state[1]}, …"
        rows.append((name, shown, ", ".join(settings), reference(name)))
    return rows


COMMAND = Command(
    "compare", "gradients of many recurrent models side by side", add_arguments, run, examples=EXAMPLES
)
