"""The sequences that `leapgrad train` learns from: read or generated, cut, some of them held out."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sensitivity.training.data.sequences import Sequences
    from sensitivity.training.trainer import Split

__all__ = ["load", "task_name"]

MNIST = ("mnist", "pmnist")
SIZES = {"train": 1000, "test": 2000, "validation": 1000}
"""Default numbers of sequences of a generated task."""


def load(args: argparse.Namespace) -> tuple[Split, float | None]:
    """Training, validation and test sequences, and the best accuracy that there can be, where it is known.

    Raises
    ------
    ValueError, OSError
        If there is no such task or file, or if the file does not hold the sequences that are needed.
    """
    from sensitivity.training.data.tasks import TASKS

    if args.task in TASKS:
        split, best = _generated(args)
    else:
        _find_by_name(args)
        _check_no_generated_options(args)
        split, best = _stored(args), None
    if len(set(split.train.labels.tolist())) < 2:
        n = len(split.train)
        raise ValueError(f"the training sequences ({n}) are all of one class; ask for more with --train.")
    return replace(split, blind=args.watch != "test"), best


def task_name(args: argparse.Namespace) -> str:
    """The task as a checkpoint records it: its name, or that it is a file, which is known by its digests."""
    from sensitivity.training.data.tasks import TASKS

    return args.task if args.task in TASKS or args.task in MNIST else "series of a file"


def _generated(args: argparse.Namespace) -> tuple[Split, float]:
    from integrators.validation import as_count
    from sensitivity.training.data.tasks import get_task
    from sensitivity.training.trainer import Split

    for name in ("data", "fetch", "test_file"):
        if getattr(args, name):
            option = name.replace("_", "-")
            raise ValueError(f"--{option} is for data in files; the sequences of {args.task} are generated.")
    task, n_steps = get_task(args.task), 100 if args.n_steps is None else args.n_steps
    sizes = {
        name: size if getattr(args, name) is None else getattr(args, name) for name, size in SIZES.items()
    }
    for name in ("train", "test"):
        as_count(sizes[name], f"--{name}", least=1)
    train, test = (
        task.sample(sizes[name], n_steps, (args.seed, i)) for i, name in enumerate(("train", "test"))
    )
    if args.watch == "test" and args.validation is None:
        return Split(train, test), task.best(n_steps)
    if args.validation is None:  # fresh ones cost no training sequence
        return Split(train, test, task.sample(sizes["validation"], n_steps, (args.seed, 2))), task.best(
            n_steps
        )
    return _held_out(Split(train, test), args), task.best(n_steps)


def _find_by_name(args: argparse.Namespace) -> None:
    """A data set of the UCR archive goes by its name if --data or LEAPGRAD_DATA has its folder."""
    from sensitivity.training.data.files import find_series

    if args.task in MNIST or _is_file(args.task):
        return
    place = find_series(args.task, args.data)
    if place is not None:
        args.task, args.data = str(place), None


def _check_no_generated_options(args: argparse.Namespace) -> None:
    """Raise for what is not known at all, and for options of generated tasks."""
    if args.task not in MNIST and not _is_file(args.task):
        raise _unknown(args.task)
    if args.n_steps is not None:
        raise ValueError(
            f"--n-steps is for generated tasks; the sequences of {args.task} have their own length."
        )
    if args.task in MNIST and args.test_file:
        raise ValueError(f"--test-file is for files of series; {args.task} has its test images in --data.")
    if args.task not in MNIST and (args.data or args.fetch):
        raise ValueError(
            f"--{'data' if args.data else 'fetch'} is for mnist and pmnist; {args.task} is a file."
        )


def _stored(args: argparse.Namespace) -> Split:
    from sensitivity.training.data.idx import fetch_mnist, load_mnist
    from sensitivity.training.data.sequences import some_of
    from sensitivity.training.data.ucr import load_series
    from sensitivity.training.trainer import Split

    if args.task in MNIST:
        if args.fetch:
            if args.data is None:
                raise ValueError("--fetch needs --data, the folder to download into.")
            fetch_mnist(args.data)
        train, test = load_mnist(args.data, permuted=args.task == "pmnist")
    else:
        train, test = load_series(args.task, args.test_file)[:2]
    if args.train is not None:
        train = _some_for_training(train, args.train, args.seed)
    if args.test is not None:
        test = some_of(test, args.test, args.seed, "--test")
    return _held_out(Split(train, test), args)


def _some_for_training(data: Sequences, count: int, seed: int) -> Sequences:
    """`count` sequences, some of each class."""
    from sensitivity.training.data.sequences import hold_out

    classes = len(set(data.labels.tolist()))
    if not classes <= count <= len(data):
        raise ValueError(
            f"--train must be from {classes}, one sequence of each class, to {len(data)}, all that "
            f"there are; got {count}."
        )
    return data if count == len(data) else data.part(hold_out(data, len(data) - count, seed, "--train")[0])


def _held_out(split: Split, args: argparse.Namespace) -> Split:
    """The split with --validation of the training sequences set aside: a fifth, unless it is told."""
    from sensitivity.training.data.sequences import hold_out, share

    count = args.validation
    if count is None:
        count = 0 if args.watch == "test" else share(split.train)
    if count == 0:
        return split
    if args.watch == "test":
        raise ValueError("--watch test looks at the test sequences; leave --validation out, or take 0.")
    left, aside = hold_out(split.train, count, args.seed, "--validation")
    return replace(split, train=split.train.part(left), validation=split.train.part(aside))


def _unknown(task: str) -> ValueError:
    """All that can be given, the nearest first."""
    from integrators.naming import nearest
    from sensitivity.training.data.tasks import TASKS

    known = str(nearest("task", task, (*TASKS, *MNIST)))
    return ValueError(
        f"{known} Or give the name of a UCR data set in LEAPGRAD_DATA, or the path of a file of labelled "
        f"series, as in {task}_TRAIN.txt or DIR/{task}_TRAIN.ts (also .arff, .csv and .tsv); its test series "
        "are sought beside it."
    )


def _is_file(text: str) -> bool:
    return Path(text).suffix != "" or "/" in text or "\\" in text or Path(text).expanduser().exists()
