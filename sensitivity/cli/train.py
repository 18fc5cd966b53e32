"""`leapgrad train`: a recurrent classifier on a benchmark task, sequential MNIST, or series of your own."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .command import Command
from .output import number, print_json, print_table

if TYPE_CHECKING:
    from ..training.network import Network
    from ..training.sequences import Sequences
    from ..training.trainer import Run, Split

__all__ = ["COMMAND"]

CHECK_FAILED = 1
EXAMPLES = """\
  leapgrad train shock --n-steps 500 --step 10/N
  leapgrad train xor --model antisymmetric --gamma 0.01 --n-steps 50 --step 1/N --threshold 0.9
  leapgrad train mnist --data DIR --recipe mnist --checkpoint run.npz --out result
  leapgrad train ECG5000_TRAIN.txt --step 10/N --epochs 100"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "task",
        metavar="TASK",
        help="gaussian_mean, shock, shock_std, xor, mnist, pmnist, or a file of labelled series (.ts, .txt)",
    )
    data = parser.add_argument_group("data")
    data.add_argument("--n-steps", type=int, metavar="N", help="length of generated sequences (default 100)")
    data.add_argument("--train", type=int, metavar="N", help="number of training sequences")
    data.add_argument("--test", type=int, metavar="N", help="number of test sequences")
    data.add_argument("--validation", type=int, metavar="N",
                      help="hold out the last N training sequences, to choose settings by")  # fmt: skip
    data.add_argument("--data", metavar="DIR", help="folder of the MNIST files (default: LEAPGRAD_DATA)")
    data.add_argument("--fetch", action="store_true", help="download MNIST into --data first; needs pooch")
    data.add_argument("--test-file", metavar="FILE", help="test series (default: TEST for TRAIN in the name)")
    network = parser.add_argument_group("network")
    network.add_argument("--model", metavar="NAME", help="default hamiltonian")
    network.add_argument("--d", type=int, metavar="D", help="hidden dimension (default 10)")
    network.add_argument("--step", metavar="E", help="ε: a number, or c/N (default 10/N)")
    network.add_argument("--scheme", metavar="NAME", help="see leapgrad schemes (default: the model's own)")
    network.add_argument("--gamma", type=float, metavar="G", help="of the antisymmetric model (default 0)")
    network.add_argument("--activation", metavar="NAME", help="σ (default tanh)")
    network.add_argument(
        "--start", metavar="KIND", help="uniform, paper, oscillators, thresholds or (lstm) chrono"
    )
    network.add_argument("--input-scale", type=float, metavar="S", help="V uniform on ±S")
    network.add_argument("--turns", metavar="A:B", help="of the oscillators, in radians (default 10:40)")
    network.add_argument("--coupling", type=float, metavar="S", help="of the oscillators (default 0.1)")
    network.add_argument("--rows", type=int, metavar="R", help="of an image, for --harmonics (default 1)")
    network.add_argument("--harmonics", type=int, metavar="K", help="of a row, that units see (default 1)")
    recipe = parser.add_argument_group("training")
    recipe.add_argument(
        "--recipe", metavar="NAME", help="settings that work: mnist, mnist-antisymmetric or mnist-lstm"
    )
    recipe.add_argument("--rate", type=float, metavar="R", help="of Adam (default 0.01)")
    recipe.add_argument("--batch", type=int, metavar="B", help="default 100")
    recipe.add_argument("--epochs", type=int, metavar="E", help="default 20")
    recipe.add_argument("--clip", type=float, metavar="G", help="largest gradient norm (default: any)")
    recipe.add_argument("--factors", metavar="W=F,…", help="factors on the rate of single parameters")
    recipe.add_argument("--cosine", action=argparse.BooleanOptionalAction, default=None,
                        help="let the rate fall along half a cosine")  # fmt: skip
    recipe.add_argument("--threshold", type=float, metavar="A", help="stop at this test accuracy, as in 0.9")
    recipe.add_argument("--seed", type=int, metavar="S", help="of data, weights and batches")
    recipe.add_argument("--checkpoint", metavar="FILE.npz", help="written every epoch, resumed if there")
    recipe.add_argument("--out", metavar="DIR", help="folder for the result with its manifest")


def run(args: argparse.Namespace) -> int:
    from ..files import check_writable
    from ..training.models import Shape, make_network, parse_step
    from ..training.recipes import filled
    from ..training.report import write_run
    from ..training.start import Start
    from ..training.trainer import Diverged, Recipe, accuracy, train

    if args.checkpoint:
        check_writable(args.checkpoint)
    for name, value in filled(vars(args), args.recipe).items():
        setattr(args, name, value)
    data, best = _data(args)
    data, held_out = _without(data, args.validation)
    sequences = data.train
    gated = args.model in ("lstm", "vanilla")
    step = None if gated and args.step is None else parse_step(args.step or "10/N", sequences.n_steps)
    shape = Shape(args.d, sequences.n_steps, sequences.n_inputs, sequences.n_classes)
    network = make_network(
        args.model, shape, step=step, scheme=args.scheme, gamma=args.gamma, activation=args.activation
    )
    start = Start(
        args.start, input_scale=args.input_scale, turns=_turns(args.turns), coupling=args.coupling,
        rows=args.rows, harmonics=args.harmonics,
    )  # fmt: skip
    every = max(1, len(sequences) // (5 * args.batch)) if args.threshold else None
    recipe = Recipe(
        args.rate, args.batch, args.epochs, args.seed, args.clip, args.threshold, every, bool(args.cosine),
        _factors(args.factors),
    )  # fmt: skip
    theta = start.draw(network, args.seed)
    try:
        result = train(network, data, recipe, theta, checkpoint=args.checkpoint, progress=None)
    except Diverged as error:
        kept = f"; the last good state is in {args.checkpoint}" if args.checkpoint else ""
        if args.json:
            place = {"epoch": error.epoch + 1, "iteration": error.iteration + 1}
            print_json({"diverged": {**place, "loss": error.loss, "gradient_norm": error.gradient_norm}})
        else:
            print(f"{error}{kept}")
        return CHECK_FAILED
    trace = result.trace
    found = {
        "task": args.task,
        "model": args.model,
        "network": network.describe(),
        "hidden_parameters": network.recurrent_parameters,
        "best_possible": best,
        "validation": None if held_out is None else accuracy(network, result.theta, held_out),
        "reached": result.reached,
        "iteration": trace.iteration,
        "loss": trace.loss,
        "accuracy": trace.accuracy,
        "gradient_norm": trace.gradient_norm,
        "seconds": result.seconds,
    }
    if args.out:
        write_run(args.out, found, {"start": asdict(start), "recipe": asdict(recipe)}, _command(args))
    print_json(found) if args.json else _show(args, network, result, found)
    return 0


def _command(args: argparse.Namespace) -> str:
    """What to type to have the same again, without paths."""
    from ..training.recipes import filled

    paths = ("task", "recipe", "run", "json", "data", "out", "checkpoint", "fetch", "test_file")
    base = filled(dict.fromkeys(vars(args)), args.recipe)
    own = {
        name: value for name, value in vars(args).items()
        if name not in paths and value is not None and value != base[name]
    }  # fmt: skip
    words = {name.replace("_", "-"): "" if value is True else f" {value}" for name, value in own.items()}
    options = [f"--{name}{value}" for name, value in words.items()]
    recipe = [f"--recipe {args.recipe}"] if args.recipe else []
    return " ".join(["leapgrad train", Path(args.task).name, *recipe, *options])


def _show(args: argparse.Namespace, network: Network, result: Run, found: dict[str, Any]) -> None:
    from ..training.tasks import TASKS

    trace = result.trace
    about = TASKS[args.task].about if args.task in TASKS else args.task
    eps = f", ε = {number(network.step, 4)}" if network.step is not None else ""
    print(
        f"{about}: N = {network.n_steps}{eps}, {args.model}, d = {network.d}, "
        f"{network.recurrent_parameters} hidden parameters"
    )
    shown = sorted({round(i * (len(trace.iteration) - 1) / 9) for i in range(10)})
    print_table(
        ("iteration", "loss", "test accuracy", "gradient norm"),
        [
            (
                str(trace.iteration[i]),
                number(trace.loss[i], 4),
                f"{100 * trace.accuracy[i]:.2f} %",
                number(trace.gradient_norm[i], 3),
            )
            for i in shown
        ],
    )
    if found["validation"] is not None:
        print(f"{100 * found['validation']:.2f} % of the {args.validation} sequences held out are right")
    if found["best_possible"] is not None:
        print(f"best accuracy that any rule can have on this task: {100 * found['best_possible']:.2f} %")
    if args.threshold:
        told = f"reached after {result.reached} iterations" if result.reached else "not reached"
        print(f"{100 * args.threshold:g} % {told}")
    print(f"{result.seconds:.1f} s")


def _data(args: argparse.Namespace) -> tuple[Split, float | None]:
    """Training and test sequences, and the best accuracy that there can be, where it is known."""
    from ..training.idx import fetch_mnist, load_mnist
    from ..training.tasks import TASKS, get_task
    from ..training.trainer import Split
    from ..training.ucr import load_series

    if args.task in TASKS or not (args.task in ("mnist", "pmnist") or _is_file(args.task)):
        task, n_steps = get_task(args.task), 100 if args.n_steps is None else args.n_steps
        sizes = 1000 if args.train is None else args.train, 2000 if args.test is None else args.test
        first, second = (task.sample(n, n_steps, (args.seed, part)) for part, n in enumerate(sizes))
        return Split(first, second), task.best(n_steps)
    if args.n_steps is not None:
        raise ValueError(
            f"--n-steps is for generated tasks; the sequences of {args.task} have their own length."
        )
    if args.task in ("mnist", "pmnist"):
        if args.fetch:
            if args.data is None:
                raise ValueError("--fetch needs --data, the folder to download into.")
            fetch_mnist(args.data)
        parts = load_mnist(args.data, permuted=args.task == "pmnist")
    else:
        parts = load_series(args.task, args.test_file)[:2]
    first, second = (
        part if n is None else part.part(slice(0, n))
        for part, n in zip(parts, (args.train, args.test), strict=True)
    )
    return Split(first, second), None


def _without(data: Split, count: int | None) -> tuple[Split, Sequences | None]:
    """The data without the last `count` training sequences, and those."""
    from ..training.trainer import Split

    if count is None:
        return data, None
    left = len(data.train) - count
    if not 0 < left < len(data.train):
        raise ValueError(
            f"--validation must be from 1 to {len(data.train) - 1}, one less than the training sequences; "
            f"got {count}."
        )
    return Split(data.train.part(slice(0, left)), data.test), data.train.part(slice(left, None))


def _is_file(text: str) -> bool:
    return Path(text).suffix != "" or "/" in text or Path(text).exists()


def _turns(text: str) -> tuple[float, float]:
    try:
        low, high = map(float, text.split(":"))
    except ValueError:
        low = high = 0.0
    if not 0.0 < low <= high < float("inf"):
        raise ValueError(f"--turns must be two positive numbers low:high, got {text!r}.")
    return low, high


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
