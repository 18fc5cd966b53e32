"""`leapgrad train`: a recurrent classifier on a benchmark task, sequential MNIST, or series of your own."""

from __future__ import annotations

import argparse
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sensitivity.cli import network as grammar
from sensitivity.cli.command import Command
from sensitivity.cli.output import CHECK_FAILED, number, print_json, print_table

if TYPE_CHECKING:
    from sensitivity.training.flossing import Flossing
    from sensitivity.training.networks.network import Network
    from sensitivity.training.start import Start
    from sensitivity.training.trainer import Recipe, Split, TrainingRun

__all__ = ["COMMAND"]

EXAMPLES = """\
  leapgrad train shock --n-steps 500
  leapgrad train xor --model antisymmetric --n-steps 50 --threshold 0.9
  leapgrad train ECG5000_TRAIN.txt --epochs 100
  leapgrad train mnist --data DIR --recipe mnist --checkpoint run.npz --out result

  The first three take seconds and end near 92, 90 and 90 %; the last takes about an hour and ends at 95 %. A
  checkpoint lets a run go on where it was stopped, or to more epochs unless its rate falls along a cosine.

data:
  Whatever is held out or left out is drawn at random by --seed, from each class in proportion to its size.
  The test sequences are looked at once, at the end; settings are to be chosen by the validation accuracy."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "task", metavar="TASK",
        help="gaussian_mean, recent_mean, shock, shock_std, xor, copy, mnist, pmnist, a file of labelled "
        "series (.ts, .txt, .tsv, .csv, .arff), or a UCR data set by its folder or its name in LEAPGRAD_DATA",
    )  # fmt: skip
    _add_data(parser.add_argument_group("data"))
    _add_network(parser.add_argument_group("network"))
    _add_start(parser.add_argument_group("start"))
    _add_training(parser.add_argument_group("training"))
    _add_flossing(parser.add_argument_group("flossing: a penalty on the growth of gradients"))


def _add_data(data: argparse._ArgumentGroup) -> None:
    data.add_argument("--n-steps", type=int, metavar="N", help="length of generated sequences (default 100)")
    data.add_argument("--train", type=int, metavar="N",
                      help="number of training sequences (default: all, or 1000 generated ones)")  # fmt: skip
    data.add_argument("--test", type=int, metavar="N",
                      help="number of test sequences (default: all, or 2000 generated ones)")  # fmt: skip
    data.add_argument("--validation", type=int, metavar="N",
                      help="training sequences that are set aside, to choose settings by; 0: none "
                      "(default: a fifth, or 1000 more where they are generated)")  # fmt: skip
    data.add_argument("--watch", choices=("validation", "test"), metavar="SET",
                      help="which accuracy to look at along the way, and for --threshold: validation "
                      "(default), or test, as the paper does; then nothing may be chosen by it")  # fmt: skip
    data.add_argument(
        "--data", metavar="DIR", help="folder of the MNIST files or UCR data sets (default: LEAPGRAD_DATA)"
    )
    data.add_argument("--fetch", action="store_true", help="download MNIST into --data first; needs pooch")
    data.add_argument("--test-file", metavar="FILE", help="test series (default: TEST for TRAIN in the name)")


def _add_network(network: argparse._ArgumentGroup) -> None:
    network.add_argument(
        "--model",
        metavar="NAME[=FILE]",
        help="hamiltonian (default), euler, antisymmetric, a cell of leapgrad compare --list, or "
        "MODULE:FUNCTION, a function of your own that returns a cell; FILE holds the weights to start from",
    )
    network.add_argument("--weights", metavar="FILE.npz", help="the same as NAME=FILE")
    network.add_argument(
        "--set",
        action="append",
        metavar="KEY=VALUE",
        help="a setting of the model, such as tau=5; repeatable",
    )
    network.add_argument("--d", type=int, metavar="D", help="hidden dimension (default 10)")
    network.add_argument("--step", metavar="E", help="ε: a number, or c/N (default 10/N)")
    network.add_argument("--scheme", metavar="NAME", help="see leapgrad schemes (default: the model's own)")
    network.add_argument("--gamma", type=float, metavar="G", help="of the antisymmetric model (default 0)")
    network.add_argument("--activation", metavar="NAME", help="σ (default tanh)")


def _add_start(start: argparse._ArgumentGroup) -> None:
    start.add_argument(
        "--start",
        metavar="KIND",
        help="published (default: the cell's own, else uniform), uniform, paper, oscillators, thresholds or "
        "(lstm) chrono",
    )
    start.add_argument("--input-scale", type=float, metavar="S", help="V uniform on ±S")
    start.add_argument("--bias-scale", type=float, metavar="S", help="b uniform on ±S")
    start.add_argument("--weight-scale", type=float, metavar="S", help="factor on W (default 1)")
    start.add_argument("--readout-scale", type=float, metavar="S", help="factor on the readout (default 1)")
    start.add_argument("--growth", type=float, metavar="G",
                       help="of thresholds: near rest a unit grows by e^G a step (default 0.3)")  # fmt: skip
    start.add_argument("--step-units", action=argparse.BooleanOptionalAction, default=None,
                       help="train W and R in units of 1/ε² and 1/(Nε)², in which no ε is better than "
                       "another (theorem G)")  # fmt: skip
    start.add_argument("--turns", metavar="A:B", help="of the oscillators, in radians (default 10:40)")
    start.add_argument("--coupling", type=float, metavar="S",
                       help="noise on W of oscillators and thresholds (default 0.1)")  # fmt: skip
    start.add_argument("--rows", type=int, metavar="R", help="of an image, for --harmonics (default 1)")
    start.add_argument("--harmonics", type=int, metavar="K", help="of a row, that units see (default 1)")


def _add_training(recipe: argparse._ArgumentGroup) -> None:
    recipe.add_argument(
        "--recipe", metavar="NAME",
        help="settings that work: mnist, mnist-antisymmetric, mnist-lstm, mnist-lem; shock, shock_std and "
        "xor, also with -antisymmetric, which these tasks take by themselves where no start is given; none: "
        "the defaults named here",
    )  # fmt: skip
    recipe.add_argument("--rate", type=float, metavar="R", help="of Adam (default 0.01)")
    recipe.add_argument("--batch", type=int, metavar="B", help="default 100")
    recipe.add_argument(
        "--epochs", type=int, metavar="E", help="default 20, and as many as make 200 iterations"
    )
    recipe.add_argument("--clip", metavar="G", help="largest gradient norm, or off (default 1)")
    recipe.add_argument("--factors", metavar="W=F,…", help="factors on the rate of single parameters")
    recipe.add_argument("--cosine", action=argparse.BooleanOptionalAction, default=None,
                        help="let the rate fall along half a cosine")  # fmt: skip
    recipe.add_argument(
        "--threshold", type=float, metavar="A", help="stop at this validation accuracy, as in 0.9"
    )
    recipe.add_argument("--seed", type=int, metavar="S", help="of data, splits, weights and batches")
    recipe.add_argument("--checkpoint", metavar="FILE.npz", help="written every epoch, resumed if there")
    recipe.add_argument("--out", metavar="DIR", help="folder for the result with its manifest")


def _add_flossing(flossing: argparse._ArgumentGroup) -> None:
    flossing.add_argument(
        "--floss", type=int, metavar="K",
        help="add W Σ (λ_j − T)² to the loss, λ_j the K largest growth exponents per step",
    )  # fmt: skip
    flossing.add_argument("--floss-weight", type=float, metavar="W", help="default 1")
    flossing.add_argument(
        "--floss-target", metavar="T",
        help="one number, or K of them with commas between (default 0: gradients neither grow nor vanish)",
    )  # fmt: skip
    flossing.add_argument(
        "--floss-every", metavar="I", help="iterations between two with the penalty, or off (default 1)"
    )
    flossing.add_argument(
        "--floss-before", type=int, metavar="I",
        help="steps on the penalty alone before the training (default 0)",
    )  # fmt: skip
    flossing.add_argument("--floss-sequences", type=int, metavar="S", help="of each batch (default 4)")


def run(args: argparse.Namespace) -> int:
    from sensitivity.files import check_writable
    from sensitivity.recurrences.sources import checksum
    from sensitivity.training.recipes import filled, recipe_of
    from sensitivity.training.trainer import Diverged, train

    from .train_data import load, task_name

    if args.checkpoint:
        check_writable(args.checkpoint)
    _check_start_options(args)
    if args.model is not None or args.weights is not None:
        args.model, args.weights = _model(args)
    if args.weights is not None:
        args.recipe = "none"  # which says nothing of a start
    if args.recipe is None:
        args.recipe = recipe_of(args.task, vars(args))
    for name, value in filled(vars(args), args.recipe).items():
        setattr(args, name, value)
    data, best = load(args)
    network = _network(args, data)
    start, recipe = _start(args), _recipe(args, data)
    theta = start.draw(network, args.seed)
    about = {"task": task_name(args), "model": _model_name(args), "start": asdict(start)}
    if digest := checksum(str(args.model)):  # the code of a cell is no part of its parameters
        about["module"] = digest
    try:
        result = train(network, data, recipe, theta, checkpoint=args.checkpoint, progress=None, about=about)
    except Diverged as error:
        kept = f"; the last good state is in {args.checkpoint}" if args.checkpoint else ""
        if args.json:
            place = {"epoch": error.epoch + 1, "iteration": error.iteration + 1}
            print_json({"diverged": {**place, "loss": error.loss, "gradient_norm": error.gradient_norm}})
        else:
            print(f"{error}{kept}")
        return CHECK_FAILED
    found = _found(args, network, data, result, best)
    if args.out:
        from sensitivity.files import replacing_folder
        from sensitivity.manifest import write_manifest
        from sensitivity.text import write_json

        settings = {"network": found["network"], "start": asdict(start), "recipe": asdict(recipe)}
        with replacing_folder(args.out) as folder:
            write_json(folder / "run.json", found)
            write_manifest(folder, _command(args), settings, found["seconds"])
    print_json(found) if args.json else _show(args, network, data, result, found)
    return 0


def _check_start_options(args: argparse.Namespace) -> None:
    """Raise for options of one start that are given with another: they would have no effect."""
    kinds = {
        "growth": ("thresholds",), "turns": ("oscillators",), "rows": ("oscillators",),
        "harmonics": ("oscillators",), "coupling": ("oscillators", "thresholds"),
    }  # fmt: skip
    if args.turns is not None:
        _turns(args.turns)
    if args.recipe is not None and args.start is None:
        return  # the recipe has a start of its own
    for name, able in kinds.items():
        if getattr(args, name) is not None and args.start not in able:
            has = f"--start {args.start}" if args.start else "the default start"
            raise ValueError(f"--{name} is for --start {' or '.join(able)}; {has} does not have it.")


def _model(args: argparse.Namespace) -> tuple[str, str | None]:
    """The name of a model that can be trained, and the file with the weights to start from."""
    from sensitivity.training.models import is_equation_from_file, trainable

    name, file, _ = grammar.named(args.model, args.weights)
    name = trainable(name)
    brought = ("d", "start", "recipe", "gamma")
    if not is_equation_from_file(name):
        brought += ("step", "activation", "scheme")
    for option in brought if file else ():
        if getattr(args, option) is not None:
            raise ValueError(f"--{option} cannot go with weights from {file}; leave one out.")
    return name, file


def _model_name(args: argparse.Namespace) -> str:
    return f"{args.model}={Path(args.weights).name}" if args.weights else args.model


def _network(args: argparse.Namespace, data: Split) -> Network:
    from sensitivity.training.models import (
        Shape,
        is_equation_from_file,
        make_network,
        model_named,
        network_from_weights,
        parse_step,
    )
    from sensitivity.training.units import InUnits, step_units

    part, settings = data.train, grammar.settings_of(args.set)
    shape = Shape(args.d, part.n_steps, part.n_inputs, part.n_classes)
    needs_step = "step" in model_named(args.model).needs
    if args.weights:
        needs_step = is_equation_from_file(args.model)
    text = args.step or ("10/N" if needs_step else None)
    step = None if text is None else parse_step(text, part.n_steps)
    given = {"step": step, "scheme": args.scheme, "gamma": args.gamma, "activation": args.activation}
    if args.weights:
        network = network_from_weights(args.model, args.weights, shape, given | settings)
    else:
        network = make_network(args.model, shape, **(given | settings))
    if not args.step_units:
        return network
    if network.step is None:
        raise ValueError(f"--step-units needs a step ε, which model {args.model!r} does not have.")
    return InUnits(network, step_units(network.step, network.n_steps))


def _start(args: argparse.Namespace) -> Start:
    from sensitivity.training.start import Start

    return Start(
        args.start, args.weight_scale, args.input_scale, args.readout_scale, _turns(args.turns),
        args.coupling, args.rows, args.harmonics, args.growth, args.bias_scale,
    )  # fmt: skip


def _recipe(args: argparse.Namespace, data: Split) -> Recipe:
    from sensitivity.training.trainer import Recipe, enough_epochs

    if args.threshold is not None and data.watched is None:
        raise ValueError(
            "--threshold is compared with the validation accuracy, and there are no validation sequences; "
            "set some aside with --validation."
        )
    if args.epochs is None:
        args.epochs = enough_epochs(len(data.train), args.batch)
    every = None
    if args.threshold is not None and args.batch > 0:
        every = max(1, len(data.train) // (5 * args.batch))
    return Recipe(
        args.rate, args.batch, args.epochs, args.seed, _clip(args.clip), args.threshold, every,
        bool(args.cosine), _factors(args.factors), flossing=_flossing(args),
    )  # fmt: skip


def _flossing(args: argparse.Namespace) -> Flossing | None:
    """The penalty that the options ask for; None without --floss."""
    from sensitivity.training.flossing import Flossing
    from sensitivity.training.recipes import OFF

    names = ("weight", "target", "every", "before", "sequences")
    given = {name: getattr(args, f"floss_{name}") for name in names}
    told = {name: value for name, value in given.items() if value is not None}
    if args.floss is None:
        for name in told:
            raise ValueError(
                f"--floss-{name} is for --floss K, the number of growth exponents; give that too."
            )
        return None
    if "target" in told:
        numbers = _numbers(told["target"])
        told["target"] = numbers[0] if len(numbers) == 1 else numbers
    if "every" in told:
        told["every"] = None if told["every"].strip().lower() == OFF else _whole(told["every"])
    return Flossing(args.floss, **told)


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"--floss-target must be numbers with commas between, got {text!r}.") from None


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"--floss-every must be a whole number or off, got {text!r}.") from None


def _found(
    args: argparse.Namespace, network: Network, data: Split, result: TrainingRun, best: float | None
) -> dict[str, Any]:
    """The results. The test sequences are used here for the first time, unless --watch is test."""
    from sensitivity.training.trainer import accuracy

    trace, held_out = result.trace, data.validation
    return {
        "task": args.task,
        "model": _model_name(args),
        "settings": args.recipe,
        "network": network.describe(),
        "hidden_parameters": network.recurrent_parameters,
        "sequences": {"train": len(data.train), "validation": len(held_out or ()), "test": len(data.test)},
        "best_possible": best,
        "validation": None if held_out is None else accuracy(network, result.theta, held_out),
        "test": accuracy(network, result.theta, data.test),
        "reached": result.reached,
        "watched": data.watched_name,
        "iteration": trace.iteration,
        "loss": trace.loss,
        "accuracy": trace.accuracy,
        "gradient_norm": trace.gradient_norm,
        "seconds": result.seconds,
    }


def _command(args: argparse.Namespace) -> str:
    """The command that repeats the run, without paths."""
    from sensitivity.training.recipes import filled

    paths = (
        "task",
        "recipe",
        "run",
        "json",
        "data",
        "out",
        "checkpoint",
        "fetch",
        "test_file",
        "set",
        "weights",
    )
    base = filled(dict.fromkeys(vars(args)), args.recipe)
    own = {
        name: value for name, value in vars(args).items()
        if name not in paths and value is not None and value != base[name]
    }  # fmt: skip
    switches = {True: "--", False: "--no-"}
    options = [
        f"{switches[value]}{name.replace('_', '-')}" if isinstance(value, bool)
        else f"--{name.replace('_', '-')} {value}"
        for name, value in own.items()
    ]  # fmt: skip
    recipe = [f"--recipe {args.recipe}"] if args.recipe else []
    settings = [f"--set {word}" for word in args.set or []]
    if args.weights:
        settings.append(f"--weights {Path(args.weights).name}")
    return " ".join(["leapgrad train", Path(args.task).name, *recipe, *options, *settings])


def _show(
    args: argparse.Namespace, network: Network, data: Split, result: TrainingRun, found: dict[str, Any]
) -> None:
    from sensitivity.training.data.tasks import TASKS

    trace = result.trace
    about = TASKS[args.task].about if args.task in TASKS else args.task
    eps = f", ε = {number(network.step, 4)}" if network.step is not None else ""
    settings = f", recipe {args.recipe}" if args.recipe else ""
    print(
        f"{about}: N = {network.n_steps}{eps}, {args.model}, d = {network.d}, "
        f"{network.recurrent_parameters} hidden parameters{settings}"
    )
    shown = sorted({round(i * (len(trace.iteration) - 1) / 9) for i in range(10)})
    print_table(
        ("iteration", "loss", f"{data.watched_name} accuracy", "gradient norm"),
        [
            (
                str(trace.iteration[i]),
                number(trace.loss[i], 4),
                _percent(trace.accuracy[i]),
                number(trace.gradient_norm[i], 3),
            )
            for i in shown
        ],
    )
    if found["validation"] is not None:
        held_out = found["sequences"]["validation"]
        print(f"{_percent(found['validation'])} of the {held_out} sequences held out are right")
    print(f"{_percent(found['test'])} of the {found['sequences']['test']} test sequences are right")
    if found["best_possible"] is not None:
        print(f"best accuracy that any rule can have on this task: {_percent(found['best_possible'])}")
    if args.threshold:
        told = f"reached after {result.reached} iterations" if result.reached else "not reached"
        print(f"{100 * args.threshold:g} % {told}")
    print(f"{result.seconds:.1f} s")


def _percent(fraction: float) -> str:
    return "–" if math.isnan(fraction) else f"{100 * fraction:.2f} %"


def _turns(text: str) -> tuple[float, float]:
    try:
        low, high = map(float, text.split(":"))
    except ValueError:
        low = high = 0.0
    if not 0.0 < low <= high < float("inf"):
        raise ValueError(f"--turns must be two positive numbers low:high, got {text!r}.")
    return low, high


def _clip(text: str | float) -> float | None:
    """The largest norm of a gradient; None for off."""
    from sensitivity.training.recipes import OFF

    if str(text).strip().lower() in (OFF, "none", "inf"):
        return None
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"--clip must be a positive number or {OFF}, got {text!r}.") from None


def _factors(text: str) -> dict[str, float]:
    """ "W=0.005,V=0.2" as a mapping."""
    factors = {}
    for part in filter(None, text.split(",")):
        name, _, value = part.partition("=")
        try:
            factors[name.strip()] = float(value)
        except ValueError:
            raise ValueError(
                f"--factors must be names and numbers, as in W=0.01,V=0.2; got {text!r}."
            ) from None
    return factors


COMMAND = Command(
    "train", "train a recurrent classifier and see its accuracy", add_arguments, run, examples=EXAMPLES
)
