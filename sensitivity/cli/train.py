"""`leapgrad train`: a recurrent classifier on a benchmark task, sequential MNIST, or series of your own."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from .command import Command
from .output import number, print_json, print_table

if TYPE_CHECKING:
    from ..training.trainer import Split

__all__ = ["COMMAND"]

CHECK_FAILED = 1
EXAMPLES = """\
  leapgrad train shock --n-steps 500 --step 10/N
  leapgrad train xor --model antisymmetric --gamma 0.01 --n-steps 50 --step 1/N --threshold 0.9
  leapgrad train mnist --data DIR --d 64 --start oscillators --step 20/N --checkpoint run.npz
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
    data.add_argument("--data", metavar="DIR", help="folder of the MNIST files (default: LEAPGRAD_DATA)")
    data.add_argument("--fetch", action="store_true", help="download MNIST into --data first; needs pooch")
    data.add_argument("--test-file", metavar="FILE", help="test series (default: TEST for TRAIN in the name)")
    network = parser.add_argument_group("network")
    network.add_argument("--model", default="hamiltonian", metavar="NAME", help="default hamiltonian")
    network.add_argument("--d", type=int, default=10, metavar="D", help="hidden dimension (default 10)")
    network.add_argument("--step", metavar="E", help="ε: a number, or c/N (default 10/N)")
    network.add_argument("--scheme", metavar="NAME", help="see leapgrad schemes (default: the model's own)")
    network.add_argument("--gamma", type=float, metavar="G", help="of the antisymmetric model (default 0)")
    network.add_argument("--activation", metavar="NAME", help="σ (default tanh)")
    network.add_argument("--start", default="uniform", metavar="KIND", help="uniform, paper or oscillators")
    network.add_argument("--input-scale", type=float, metavar="S", help="V uniform on ±S")
    network.add_argument("--turns", default="10:40", metavar="A:B", help="of the oscillators, in radians")
    recipe = parser.add_argument_group("training")
    recipe.add_argument("--rate", type=float, default=0.01, metavar="R", help="of Adam (default 0.01)")
    recipe.add_argument("--batch", type=int, default=100, metavar="B", help="default 100")
    recipe.add_argument("--epochs", type=int, default=20, metavar="E", help="default 20")
    recipe.add_argument("--clip", type=float, metavar="G", help="largest gradient norm (default: any)")
    recipe.add_argument("--cosine", action="store_true", help="let the rate fall along half a cosine")
    recipe.add_argument("--threshold", type=float, metavar="A", help="stop at this test accuracy, as in 0.9")
    recipe.add_argument("--seed", type=int, default=0, metavar="S", help="of data, weights and batches")
    recipe.add_argument("--checkpoint", metavar="FILE.npz", help="written every epoch, resumed if there")


def run(args: argparse.Namespace) -> int:
    from ..files import check_writable
    from ..training.models import Shape, make_network, parse_step
    from ..training.start import Start
    from ..training.tasks import TASKS
    from ..training.trainer import Diverged, Recipe, train

    if args.checkpoint:
        check_writable(args.checkpoint)
    data, best = _data(args)
    sequences = data.train
    gated = args.model in ("lstm", "vanilla")
    step = None if gated and args.step is None else parse_step(args.step or "10/N", sequences.n_steps)
    shape = Shape(args.d, sequences.n_steps, sequences.n_inputs, sequences.n_classes)
    network = make_network(
        args.model, shape, step=step, scheme=args.scheme, gamma=args.gamma, activation=args.activation
    )
    start = Start(args.start, input_scale=args.input_scale, turns=_turns(args.turns))
    every = max(1, len(sequences) // (5 * args.batch)) if args.threshold else None
    recipe = Recipe(
        args.rate, args.batch, args.epochs, args.seed, args.clip, args.threshold, every, args.cosine
    )
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
    if args.json:
        print_json(
            {
                "task": args.task,
                "model": args.model,
                "network": network.describe(),
                "hidden_parameters": network.recurrent_parameters,
                "best_possible": best,
                "reached": result.reached,
                "iteration": trace.iteration,
                "loss": trace.loss,
                "accuracy": trace.accuracy,
                "gradient_norm": trace.gradient_norm,
                "seconds": result.seconds,
            }
        )
        return 0
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
    if best is not None:
        print(f"best accuracy that any rule can have on this task: {100 * best:.2f} %")
    if args.threshold:
        told = f"reached after {result.reached} iterations" if result.reached else "not reached"
        print(f"{100 * args.threshold:g} % {told}")
    print(f"{result.seconds:.1f} s")
    return 0


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


COMMAND = Command(
    "train", "train a recurrent classifier and see its accuracy", add_arguments, run, examples=EXAMPLES
)
