"""Does flossing let a plain tanh network learn to remember over lengths where it fails without?

``python -m benchmarks.flossing [DIR]`` trains vanilla networks on the tasks copy and (delayed) xor, with and
without a penalty on their growth exponents, and writes flossing.json and manifest.json; it takes some four
minutes of one core.

Both take as many steps of Adam: those of the penalty alone before the training come off the training. Since
a step with the penalty takes longer, a third arm has no penalty and three times the steps, which takes about
as much time. The rate and the scale of the first W are chosen for each of them, each task and each length, by
the validation accuracy of one run with a seed of its own. Then come runs with other seeds, whose test
sequences are looked at once, at the end.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sensitivity import growth_exponents
from sensitivity.files import replacing_folder
from sensitivity.manifest import write_manifest
from sensitivity.text import write_json
from sensitivity.training.data.tasks import get_task
from sensitivity.training.flossing import Flossing
from sensitivity.training.models import Shape, make_network
from sensitivity.training.start import Start
from sensitivity.training.trainer import Diverged, Recipe, Split, accuracy, train

__all__ = ["main", "one", "results"]

SETTINGS: dict[str, Any] = {
    "tasks": ["copy", "xor"],
    "lengths": [60, 200],
    "d": 16,
    "train": 1000,
    "validation": 500,
    "test": 2000,
    "batch": 100,
    "arms": [["plain", 400], ["flossed", 400], ["plain", 1200]],
    "rates": [0.003, 0.01],
    "weight_scales": [1.0, 1.7],
    "chosen_with_seed": 100,
    "seeds": [0, 1, 2],
    "flossing": {"k": 8, "weight": 1.0, "target": 0.0, "every": 20, "before": 100, "sequences": 2},
}


def one(task: str, n_steps: int, arm: Sequence[Any], rate: float, scale: float, seed: int) -> dict[str, Any]:
    """A run: its accuracies, and the largest growth exponents at the end."""
    given, flossing = SETTINGS, Flossing(**SETTINGS["flossing"]) if arm[0] == "flossed" else None
    made = get_task(task)
    parts = [
        made.sample(given[name], n_steps, (seed, i)) for i, name in enumerate(("train", "test", "validation"))
    ]
    split = Split(parts[0], parts[1], parts[2])
    network = make_network("vanilla", Shape(given["d"], n_steps, threads=1))
    before = 0 if flossing is None else flossing.before
    epochs = (arm[1] - before) * given["batch"] // given["train"]
    recipe = Recipe(rate, given["batch"], epochs, seed, flossing=flossing)
    theta = Start("uniform", weight_scale=scale).draw(network, seed)
    try:
        theta = train(network, split, recipe, theta).theta
    except Diverged as error:
        theta = error.theta
    run = network.recurrence(theta, parts[2].batch(np.arange(4))[0])
    exponents = growth_exponents(run, k=4, burn_in=0).exponents.mean(axis=0)
    found = {"validation": accuracy(network, theta, parts[2]), "test": accuracy(network, theta, parts[1])}
    return {**found, "exponents": exponents.tolist()}


def results(log: Any = None) -> list[dict[str, Any]]:
    """A row for each task, length and arm."""
    rows = []
    for task, n_steps, arm in itertools.product(*(SETTINGS[name] for name in ("tasks", "lengths", "arms"))):
        began, tried = time.process_time(), {}
        for rate, scale in itertools.product(SETTINGS["rates"], SETTINGS["weight_scales"]):
            own = one(task, n_steps, arm, rate, scale, SETTINGS["chosen_with_seed"])
            tried[rate, scale] = own["validation"]
        rate, scale = max(tried, key=tried.__getitem__)
        runs = [one(task, n_steps, arm, rate, scale, seed) for seed in SETTINGS["seeds"]]
        rows.append(
            {
                "task": task,
                "n_steps": n_steps,
                "flossing": arm[0] == "flossed",
                "steps": arm[1],
                "rate": rate,
                "weight_scale": scale,
                "validation_of_choices": [[*choice, found] for choice, found in tried.items()],
                "test": [run["test"] for run in runs],
                "exponents": [run["exponents"] for run in runs],
                "seconds": time.process_time() - began,
            }
        )
        if log is not None:
            print(rows[-1], file=log, flush=True)
    return rows


def main(arguments: Sequence[str]) -> int:
    """Run the experiment into a folder."""
    out = Path(arguments[0] if arguments else "docs/results/flossing")
    rows = results(sys.stderr)
    with replacing_folder(out) as folder:
        write_json(folder / "flossing.json", {"settings": SETTINGS, "rows": rows})
        seconds = sum(row["seconds"] for row in rows)
        write_manifest(folder, "python -m benchmarks.flossing", SETTINGS, seconds)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
