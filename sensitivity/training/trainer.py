"""The training loop: mini-batches, Adam, thresholds, divergence, checkpoints that resume to the same bits."""

from __future__ import annotations

import math
import numbers
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integrators.engine.bars import progress_bar_on_stderr
from integrators.engine.blocks import one_blas_thread
from integrators.validation import as_count

from .adam import Adam, AdamState, clipped
from .checkpoint import DIGESTS, Trace, TrainingState, digests, load_checkpoint, save_checkpoint
from .data.sequences import Sequences
from .flossing import Flossing
from .networks.network import BatchGradient, Network

__all__ = ["Diverged", "Recipe", "Split", "Trace", "TrainingRun", "accuracy", "enough_epochs", "train"]

Float = NDArray[np.float64]

# What tells the random numbers of flossing from those of the epochs, which are told apart by their number.
FLOSSING_STREAM = 1 << 40
TOO_LARGE = 1e3
"""A loss so many times that of guessing counts as diverged."""


@dataclass(frozen=True)
class Split:
    """Training, test and validation sequences.

    Attributes
    ----------
    train, test : Sequences
    validation : Sequences, optional
        Looked at along the way, and compared with the threshold, in place of the test sequences.
    blind : bool
        Without validation sequences, look at nothing along the way instead of at the test sequences: whoever
        chooses a setting or an epoch by their accuracy has no test left.
    """

    train: Sequences
    test: Sequences
    validation: Sequences | None = None
    blind: bool = False

    @property
    def watched(self) -> Sequences | None:
        """The sequences whose accuracy the trace records; None for the training sequences themselves."""
        return self.validation if self.validation is not None else None if self.blind else self.test

    @property
    def watched_name(self) -> str:
        """ "validation", "test" or "training"."""
        return "validation" if self.validation is not None else "training" if self.blind else "test"


def _check_number(value: object, name: str) -> None:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a number, got {value!r}.")


@dataclass(frozen=True)
class Recipe:
    """How to train.

    Attributes
    ----------
    rate : float
        Learning rate of Adam.
    batch, epochs : int
        The last batch of an epoch is left out if it is not full.
    seed : int
        Of the order of the sequences; that of epoch e depends on (seed, e) only.
    clip : float, optional
        Largest norm of a gradient, 1 by default: one steep sequence would otherwise undo what the others have
        taught. None leaves all gradients as they are.
    threshold : float, optional
        Stop when this accuracy is reached on the sequences that are looked at, see `Split`.
    check_every : int, optional
        Iterations between two looks at the accuracy; once an epoch by default.
    log_looks : bool
        Look less often the longer a run is: from iteration 100 · check_every on at every tenth of these
        looks, from 1000 · check_every on at every hundredth, and so on.
    cosine : bool
        Let the rate fall along half a cosine to a hundredth at the end.
    factors : mapping
        Name of a parameter → factor on its rate. Where c = Nε is large, W wants a small one: a change
        δu of an oscillator's square frequency u turns it by c δu / (2√u) radians along the sequence.
    flossing : Flossing, optional
        A penalty on growth exponents. It adds to the gradient, before that is clipped, and not to the loss
        that the trace records.
    """

    rate: float = 1e-3
    batch: int = 100
    epochs: int = 20
    seed: int = 0
    clip: float | None = 1.0
    threshold: float | None = None
    check_every: int | None = None
    cosine: bool = False
    factors: Mapping[str, float] = field(default_factory=dict, hash=False)
    log_looks: bool = False
    flossing: Flossing | None = None

    def looks_at(self, iteration: int, every: int) -> bool:
        """Whether the accuracy is looked at after so many iterations."""
        while self.log_looks and iteration > 100 * every:
            every *= 10
        return iteration % every == 0

    def checked(self, n: int) -> Recipe:
        """The same, once its entries are known to make sense for `n` training sequences.

        Raises
        ------
        ValueError, TypeError
            Naming the entry, its value and the mend.
        """
        for name, least in (("batch", 1), ("epochs", 1), ("seed", 0)):
            as_count(getattr(self, name), name, least)
        if self.check_every is not None:
            as_count(self.check_every, "check_every", 1)
        if not isinstance(self.factors, Mapping):
            raise TypeError(f"factors must map names of parameters to numbers, got {self.factors!r}.")
        given = {"rate": self.rate} | ({} if self.clip is None else {"clip": self.clip})
        given |= {f"the factor on the rate of {name}": value for name, value in self.factors.items()}
        for name, value in given.items():
            _check_number(value, name)
            if not (value > 0.0 and math.isfinite(value)):
                raise ValueError(f"{name} must be positive and finite, got {value}.")
        if self.threshold is not None:
            _check_number(self.threshold, "threshold")
        if self.threshold is not None and not 0.0 < self.threshold <= 1.0:
            raise ValueError(f"threshold must be an accuracy in (0, 1], got {self.threshold}.")
        if self.flossing is not None and not isinstance(self.flossing, Flossing):
            raise TypeError(f"flossing must be a Flossing, such as Flossing(k=4), got {self.flossing!r}.")
        return replace(self, batch=min(self.batch, n))

    def factor(self, iteration: int, total: int) -> float:
        """The factor on the learning rate at an iteration."""
        return 0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * iteration / total)) if self.cosine else 1.0


ITERATIONS = 200


def enough_epochs(n: int, batch: int, least: int = 20) -> int:
    """The default number of epochs: `least`, or more if 200 iterations need more."""
    return max(least, math.ceil(ITERATIONS / max(1, n // max(1, min(batch, n)))))


@dataclass(frozen=True)
class TrainingRun:
    """A finished run.

    Attributes
    ----------
    theta : ndarray
    trace : Trace
    reached : int or None
        The iteration of the first look at which the threshold was reached.
    seconds : float
    """

    theta: Float
    trace: Trace
    reached: int | None
    seconds: float

    @property
    def accuracy(self) -> float:
        """At the last look."""
        return self.trace.accuracy[-1]

    @property
    def best_accuracy(self) -> float:
        return max(self.trace.accuracy)


class Diverged(ArithmeticError):
    """The loss left the range of sense; says where, and holds the last good parameters.

    Attributes
    ----------
    epoch, iteration : int
    loss, gradient_norm : float
    theta : ndarray
        The parameters before the step that failed.
    """

    def __init__(self, epoch: int, iteration: int, loss: float, norm: float, theta: Float) -> None:
        super().__init__(
            f"training diverged in epoch {epoch + 1}, iteration {iteration + 1}: loss {loss:.4g}, "
            f"gradient norm {norm:.4g}; try a smaller step ε or learning rate, or clip the gradient"
        )
        self.epoch, self.iteration, self.theta = epoch, iteration, theta
        self.loss, self.gradient_norm = loss, norm


def accuracy(network: Network, theta: Float, data: Sequences, chunk: int = 512) -> float:
    """Fraction of `data` whose class has the largest score."""
    right = 0
    for start in range(0, len(data), chunk):
        inputs, labels = data.batch(slice(start, start + chunk))
        right += int((network.scores(theta, inputs).argmax(axis=0) == labels).sum())
    return right / len(data)


Watch = Callable[[Float], dict[str, Any]]


def train(
    network: Network,
    data: Split,
    recipe: Recipe,
    theta: Float,
    *,
    watch: Watch | None = None,
    checkpoint: str | Path | None = None,
    progress: bool | None = False,
    about: Mapping[str, Any] | None = None,
) -> TrainingRun:
    """Train from `theta`, or from the checkpoint where it exists.

    Parameters
    ----------
    network : Network
    data : Split
    recipe : Recipe
    theta : ndarray, shape (n_parameters,)
        Not changed.
    watch : callable, optional
        θ → what to keep in the trace at each look.
    checkpoint : path, optional
        Written after every epoch, in one piece; a run that finds it goes on from there and ends with the bits
        of one that was never stopped. More epochs than before may be asked for, unless the rate falls along a
        cosine, which is laid out for a number of epochs. The file knows network, recipe, data, first
        parameters and `about`: a run that differs is refused.
    progress : bool, optional
        Force or forbid the bar with loss and accuracy; None shows it on a terminal.
    about : mapping, optional
        What else tells this run from others, such as the name of the task; kept in the checkpoint.

    Raises
    ------
    Diverged
        If the loss is not finite, or a thousand times that of guessing. The last checkpoint stays.
    ValueError
        If data, network and recipe do not fit together, or the checkpoint is of another run.
    """
    recipe = recipe.checked(len(data.train))
    _check_fit(network, data)
    state = TrainingState(theta.copy(), AdamState.zero(theta.size))
    if theta.shape != (network.n_parameters,) or not np.isfinite(theta).all():
        raise ValueError(f"theta must be {network.n_parameters} finite numbers, got shape {theta.shape}.")
    if recipe.flossing is not None:
        recipe.flossing.checked(network, theta)
    identity = _identity(network, data, recipe, theta, about) if checkpoint is not None else {}
    if checkpoint is not None and Path(checkpoint).exists():
        state = load_checkpoint(Path(checkpoint), identity, theta.size, recipe.epochs)
    loop = _Loop(network, data, recipe, watch)
    # The norm of a gradient of more than 10 000 entries has other last bits on several BLAS threads.
    with one_blas_thread(), _bar(recipe, progress) as bar:
        for _ in loop.epochs(state, bar):
            if checkpoint is not None:
                save_checkpoint(Path(checkpoint), identity, state)
    return TrainingRun(state.theta, state.trace, loop.reached(state.trace), state.seconds)


def _identity(
    network: Network, data: Split, recipe: Recipe, theta: Float, about: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Everything on which the bits of a run depend, except the number of epochs."""
    settings = asdict(recipe)
    if not recipe.cosine:
        del settings["epochs"]  # the first epochs are the same, however many follow
    if not recipe.log_looks:
        del settings["log_looks"]  # which checkpoints of old do not have
    if recipe.flossing is None:
        del settings["flossing"]
    parts = {"training": data.train, "validation": data.validation, "test": data.test}
    sizes = {f"number of {name} sequences": len(part) for name, part in parts.items() if part is not None}
    return {
        **(about or {}),
        "network": network.describe(),
        "recipe": settings,
        **sizes,
        "sequences looked at": data.watched_name,
        DIGESTS: digests(theta, parts),
    }


@dataclass(frozen=True)
class _Loop:
    network: Network
    data: Split
    recipe: Recipe
    watch: Watch | None

    def epochs(self, state: TrainingState, bar: Any) -> Iterator[None]:
        """Run the epochs that are left; yields after each."""
        recipe, adam = self.recipe, Adam(self.recipe.rate)
        scale = self.network.spread(recipe.factors) if recipe.factors else 1.0
        n = len(self.data.train)
        batches, guess = n // recipe.batch, math.log(self.network.n_classes)
        every, shares = recipe.check_every or batches, self.data.train.weights
        if shares is not None:
            shares = shares / shares.mean()
        if not state.trace.iteration:
            self._floss(state.theta, scale)
            self._look(state, [], math.nan, 0, bar)
        bar.update(state.epoch)
        while state.epoch < recipe.epochs and self.reached(state.trace) is None:
            began, seen = time.perf_counter(), []
            order = np.random.default_rng((recipe.seed, state.epoch)).permutation(n)
            for b in range(batches):
                iteration = state.epoch * batches + b
                chosen = order[b * recipe.batch : (b + 1) * recipe.batch]
                plain = self._gradient(state.theta, chosen, shares)
                result = self._penalised(state.theta, chosen, plain, iteration)
                norm = float(np.linalg.norm(result.gradient))
                if not (result.loss < TOO_LARGE * guess and math.isfinite(norm)):
                    raise Diverged(state.epoch, iteration, result.loss, norm, state.theta)
                factor = recipe.factor(iteration, recipe.epochs * batches) * scale
                adam.step(state.theta, clipped(result.gradient, norm, recipe.clip), state.adam, factor)
                seen.append((result.loss, result.right / recipe.batch))
                if recipe.looks_at(iteration + 1, every):
                    self._look(state, seen, norm, iteration + 1, bar)
                    seen = []
                    if self.reached(state.trace) is not None:
                        break
            state.epoch += 1
            state.seconds += time.perf_counter() - began
            bar.update(1)
            yield

    def _gradient(self, theta: Float, chosen: NDArray[np.intp], shares: Float | None) -> BatchGradient:
        weights = () if shares is None else (shares[chosen] / chosen.size,)
        return self.network.gradient(theta, *self.data.train.batch(chosen), *weights)

    def _penalised(
        self, theta: Float, chosen: NDArray[np.intp], found: BatchGradient, iteration: int
    ) -> BatchGradient:
        """The gradient of a batch with that of the penalty, where the iteration has one."""
        flossing = self.recipe.flossing
        if flossing is None or not flossing.has(iteration):
            return found
        inputs, _ = self.data.train.batch(chosen[: flossing.sequences])
        return replace(found, gradient=found.gradient + flossing.penalty(self.network, theta, inputs)[1])

    def _floss(self, theta: Float, scale: Float | float) -> None:
        """The steps on the penalty alone that come before the training, in place."""
        flossing, recipe = self.recipe.flossing, self.recipe
        if flossing is None or flossing.before == 0:
            return
        adam, state, n = Adam(recipe.rate), AdamState.zero(theta.size), len(self.data.train)
        rng = np.random.default_rng((recipe.seed, FLOSSING_STREAM))
        for _ in range(flossing.before):
            chosen = rng.choice(n, min(n, flossing.sequences), replace=False)
            _, gradient = flossing.penalty(self.network, theta, self.data.train.batch(chosen)[0])
            norm = float(np.linalg.norm(gradient))
            if math.isfinite(norm):
                adam.step(theta, clipped(gradient, norm, recipe.clip), state, scale)

    def _look(
        self, state: TrainingState, seen: list[tuple[float, float]], norm: float, iteration: int, bar: Any
    ) -> None:
        """Record what there is to see; `seen` are losses and shares of right answers since the last look."""
        trace, watched = state.trace, self.data.watched
        loss, own = (float(np.mean(one)) for one in zip(*seen, strict=True)) if seen else (math.nan, math.nan)
        found = own if watched is None else accuracy(self.network, state.theta, watched)
        trace.iteration.append(iteration)
        trace.loss.append(loss)
        trace.accuracy.append(found)
        trace.gradient_norm.append(norm)
        trace.more.append(self.watch(state.theta) if self.watch is not None else {})
        bar.set_postfix_str(f"loss {loss:.4f}, {self.data.watched_name} accuracy {100 * found:.2f} %")

    def reached(self, trace: Trace) -> int | None:
        threshold = self.recipe.threshold
        if threshold is None:
            return None
        looks = zip(trace.iteration, trace.accuracy, strict=True)
        return next((iteration for iteration, found in looks if found >= threshold and iteration > 0), None)


def _bar(recipe: Recipe, progress: bool | None) -> Any:
    return progress_bar_on_stderr(progress, total=recipe.epochs, desc="training", unit="epoch", leave=False)


def _check_fit(network: Network, data: Split) -> None:
    """Raise unless the sequences are what the network takes."""
    for name, part in (("training", data.train), ("validation", data.validation), ("test", data.test)):
        if part is None:
            continue
        for what in ("n_steps", "n_inputs", "n_classes"):
            have, wants = getattr(part, what), getattr(network, what)
            if have != wants:
                raise ValueError(f"the {name} sequences have {what} = {have}, the network has {wants}.")
        if len(part) == 0:
            raise ValueError(f"there are no {name} sequences.")
