"""Many independent runs: networks that differ in ε, length, seed or the scale of W, on several threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from integrators.codegen.threads import on_threads, thread_count
from integrators.engine.bars import progress_bar_on_stderr
from sensitivity.training.data.tasks import get_task
from sensitivity.training.ode_network import OdeNetwork
from sensitivity.training.start import Start
from sensitivity.training.trainer import Diverged, Recipe, Split, accuracy, train

from .kept import Kept

__all__ = ["Setting", "run_all", "scan"]

Float = NDArray[np.float64]
Job = TypeVar("Job")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Setting:
    """What all runs of an experiment share.

    Attributes
    ----------
    task : str
        A name of `TASKS`.
    d : int
    recipe : Recipe
        Its seed is replaced by the run's.
    train, test : int
        Number of sequences.
    scheme : str
    start : Start
    gamma : float, optional
        Damping: W − Wᵀ − γ I in place of W.
    """

    task: str
    d: int = 10
    recipe: Recipe = field(default_factory=Recipe)
    train: int = 1000
    test: int = 2000
    scheme: str = "leapfrog"
    start: Start = field(default_factory=Start)
    gamma: float | None = None

    def split(self, n_steps: int, seed: int) -> Split:
        """Fresh training and test sequences for a length and a seed."""
        task, rng = get_task(self.task), np.random.default_rng((seed, n_steps))
        return Split(task.sample(self.train, n_steps, rng), task.sample(self.test, n_steps, rng))

    def network(self, n_steps: int, step: float) -> OdeNetwork:
        return OdeNetwork(self.d, n_steps, step, scheme=self.scheme, gamma=self.gamma, threads=1)


def run_all(
    jobs: Sequence[Job],
    work: Callable[[Job], Result],
    *,
    label: str,
    cost: Callable[[Job], float] = lambda job: 1.0,
    kept: Kept | None = None,
    threads: int | None = None,
    progress: bool | None = None,
) -> list[Result]:
    """``work(job)`` for every job, the costliest first, on threads; results in the order of the jobs.

    Parameters
    ----------
    label : str
        Of the progress bar, which moves by `cost`.
    kept : Kept, optional
        Jobs that it knows are not done again; the others are added.
    """
    order = sorted(range(len(jobs)), key=lambda i: -cost(jobs[i]))
    results: list[Any] = [None] * len(jobs)
    kept = kept or Kept()
    lock, stop = threading.Lock(), threading.Event()
    total = sum(map(cost, jobs))
    shape = "{desc}: {percentage:3.0f}%|{bar}| {elapsed} gone, {remaining} to go"
    bar = progress_bar_on_stderr(progress, total=total, desc=label, bar_format=shape, leave=False)
    with bar:

        def one(i: int) -> None:
            if stop.is_set():
                return
            known = jobs[i] in kept
            results[i] = kept[jobs[i]] if known else work(jobs[i])
            with lock:
                if stop.is_set():  # nobody waits for this any more; what is kept may belong to another run
                    return
                if not known:
                    kept.add(jobs[i], results[i])
                bar.update(cost(jobs[i]))

        on_threads([partial(one, i) for i in order], thread_count(threads), cancel=stop.set)
    return results


def scan(
    setting: Setting,
    n_steps: int,
    steps: Iterable[float],
    seeds: Sequence[int],
    *,
    progress: bool | None = None,
    threads: int | None = None,
) -> Float:
    """Test accuracy after training for every ε and seed: shape (steps, seeds).

    Data, initial weights and the order of the batches depend on the seed alone: the curves of one seed differ
    by ε only. A run that diverges has the accuracy of its last good parameters.
    """
    grid = list(steps)
    splits = {seed: setting.split(n_steps, seed) for seed in seeds}
    jobs = [(step, seed) for step in grid for seed in seeds]

    def work(job: tuple[float, int]) -> float:
        step, seed = job
        return final_accuracy(setting, setting.network(n_steps, step), splits[seed], seed)

    found = run_all(jobs, work, label=f"{setting.task}, N = {n_steps}", threads=threads, progress=progress)
    return np.array(found).reshape(len(grid), len(seeds))


def final_accuracy(setting: Setting, network: OdeNetwork, data: Split, seed: int) -> float:
    """Accuracy at the end of one run."""
    recipe = replace(setting.recipe, seed=seed, check_every=10**9)
    theta = setting.start.draw(network, seed)
    try:
        theta = train(network, data, recipe, theta).theta
    except Diverged as stopped:
        theta = stopped.theta
    return accuracy(network, theta, data.test)
