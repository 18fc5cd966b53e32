"""A classifier of labelled sequences with the interface of scikit-learn."""

from __future__ import annotations

import inspect
import numbers
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from integrators import NeuralField
from integrators.cells.cell import Cell

from .data.labelled import labelled
from .data.sequences import Sequences, hold_out
from .models import Shape, make_network, model_named, parse_step, trainable
from .networks.cell_network import CellNetwork
from .networks.network import Network
from .start import Start
from .trainer import Recipe, Split, enough_epochs, train

__all__ = ["SequenceClassifier"]

Float = NDArray[np.float64]

EPOCHS = 50

# Of scikit-learn, or where it is not installed what is needed of it.


class PlainNotFittedError(ValueError, AttributeError):
    """An estimator is asked for what only a fitted one has."""


class PlainClassifier:
    """`score` of a classifier."""

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Fraction of right answers, each counted by its weight."""
        right = np.asarray(self.predict(X)) == np.asarray(y)  # type: ignore[attr-defined]
        weights = None if sample_weight is None else np.asarray(sample_weight, dtype=float)
        return float(np.average(right, weights=weights))


class PlainEstimator:
    """Parameters by name, as they stand in the signature of the constructor."""

    @classmethod
    def _get_param_names(cls) -> list[str]:
        return sorted(name for name in inspect.signature(cls).parameters)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters of the constructor by name."""
        return {name: getattr(self, name) for name in self._get_param_names()}

    def set_params(self, **params: Any) -> Any:
        """Set some of them."""
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        known = inspect.signature(type(self)).parameters
        own = {name: value for name, value in self.get_params().items() if value is not known[name].default}
        told = [f"{name}={value!r}" for name, value in own.items() if value != known[name].default]
        return f"{type(self).__name__}({', '.join(told)})"


BaseEstimator: Any = PlainEstimator
ClassifierMixin: Any = PlainClassifier
NotFittedError: Any = PlainNotFittedError
try:
    import sklearn.base
    import sklearn.exceptions
except ImportError:
    pass
else:
    BaseEstimator, ClassifierMixin = sklearn.base.BaseEstimator, sklearn.base.ClassifierMixin
    NotFittedError = sklearn.exceptions.NotFittedError


class SequenceClassifier(ClassifierMixin, BaseEstimator):
    """A recurrent network that is trained to classify sequences.

    If scikit-learn is installed (``pip install "leapgrad[sklearn]"``), this is one of its classifiers and
    works with `cross_val_score`, `GridSearchCV`, `Pipeline` and `clone`. The methods also work without
    scikit-learn.

    Parameters
    ----------
    model : str
        "hamiltonian", "euler" or "antisymmetric", the name of a cell such as "lstm", or "module:function" for
        a function of your own that returns a cell.
    d : int
        Number of hidden neurons.
    step : float or str
        The step size ε of the models hamiltonian, euler and antisymmetric. A text such as "10/N" depends on
        the length N of the sequences. Cells have a step size of their own.
    scheme, activation : str, optional
        Scheme of the model hamiltonian; activation of models that have a choice.
    gamma : float, optional
        Damping of the antisymmetric model.
    rate : float
        Learning rate.
    batch : int
        Sequences in a batch.
    clip : float, optional
        The largest norm of a gradient; longer gradients are shortened to it. None changes no gradient.
    cosine : bool
        Whether the learning rate falls along half a cosine to a hundredth at the end.
    epochs : int, optional
        Number of epochs; by default 50, or as many as 200 iterations need.
    start : Start, optional
        How the first parameters are drawn.
    validation : float
        Fraction of the sequences that is set aside, from each class, to measure the accuracy during training.
        With 0 nothing is set aside, and the accuracy is that on the training sequences.
    seed : int
        Seed of the sequences that are set aside, of the first parameters and of the batches.
    threads : int, optional
        Number of worker threads.
    progress : bool, optional
        Whether to show a progress bar.
    random_state : int, numpy.random.RandomState or numpy.random.Generator, optional
        What scikit-learn calls the seed; it takes the place of `seed`.

    Attributes
    ----------
    classes_ : ndarray
        The labels, sorted.
    n_features_in_ : int
        Number of steps of a sequence.
    n_iter_ : int
        Number of epochs.
    run_ : object
        The trace of the training, and the parameters.
    trained_ : Cell or NeuralField
        The trained network without its readout, for `unroll`, for bounds and, if it is a cell, for
        `save_weights`.

    Notes
    -----
    Sample weights are exact: a sequence with weight two counts as if it occurred twice, and one with weight
    zero as if it were not there. Only ratios of weights matter.

    Examples
    --------
    >>> import numpy as np
    >>> import leapgrad as lg
    >>> X = np.random.default_rng(0).normal(size=(60, 10))
    >>> y = X.mean(axis=1) > 0
    >>> model = lg.SequenceClassifier(d=3, epochs=2, progress=False).fit(X, y)
    >>> model.predict(X[:4]).shape, model.classes_
    ((4,), array([False,  True]))
    """

    def __init__(
        self,
        model: str = "hamiltonian",
        d: int = 10,
        step: float | str = "10/N",
        *,
        scheme: str | None = None,
        activation: str | None = None,
        gamma: float | None = None,
        rate: float = 0.01,
        batch: int = 100,
        epochs: int | None = None,
        clip: float | None = 1.0,
        cosine: bool = False,
        start: Start | None = None,
        validation: float = 0.1,
        seed: int = 0,
        threads: int | None = None,
        progress: bool | None = None,
        random_state: Any = None,
    ) -> None:
        self.model, self.d, self.step = model, d, step
        self.scheme, self.activation, self.gamma = scheme, activation, gamma
        self.rate, self.batch, self.epochs, self.clip, self.cosine = rate, batch, epochs, clip, cosine
        self.start, self.validation, self.seed = start, validation, seed
        self.threads, self.progress, self.random_state = threads, progress, random_state

    def set_params(self, **params: Any) -> SequenceClassifier:
        """Set some of the parameters.

        Raises
        ------
        ValueError
            For a name that is none of them.
        """
        names = self._get_param_names()
        for name in params:
            if name not in names:
                raise ValueError(f"{name!r} is no parameter; they are {', '.join(names)}.")
        return super().set_params(**params)

    def __sklearn_tags__(self) -> Any:
        """Tags for scikit-learn: sequences of one input, (n, n_steps), or of several inputs, 3-D."""
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.input_tags.three_d_array = True
        return tags

    def __getstate__(self) -> dict[str, Any]:
        """Without the network, which is made anew: it holds compiled code and memory for its runs."""
        state: Any = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_network"}

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> SequenceClassifier:
        """Train on labelled sequences.

        Parameters
        ----------
        X : array_like, shape (n, n_steps) or (n, n_steps, n_inputs)
        y : array_like, shape (n,)
            Classes: names or whole numbers.
        sample_weight : array_like, shape (n,), optional
            How much each sequence counts; a weight of two is what the row twice would be.

        Raises
        ------
        ValueError, TypeError
            If X, y and the weights do not fit together, or there are fewer than two classes.
        Diverged
            If the loss left the range of sense.
        """
        whole, classes = labelled(X, y, sample_weight)
        seed = _seed(self.seed if self.random_state is None else self.random_state)
        data = self._split(whole, seed)
        epochs = enough_epochs(len(data.train), self.batch, EPOCHS) if self.epochs is None else self.epochs
        recipe = Recipe(self.rate, self.batch, epochs, seed, self.clip, cosine=self.cosine)
        made = self._settings(whole)
        network = make_network(*made[:2], **made[2])
        if self.start is not None and not isinstance(self.start, Start):
            raise TypeError(f"start must be a Start, such as Start('uniform'), got {self.start!r}.")
        theta = (self.start or Start()).draw(network, seed)
        run = train(network, data, recipe, theta, progress=self.progress)
        self.classes_, self.n_features_in_, self.n_iter_, self.run_ = classes, whole.n_steps, epochs, run
        self._made, self._network = made, network
        return self

    def _split(self, whole: Sequences, seed: int) -> Split:
        share = self.validation
        if not isinstance(share, numbers.Real) or not 0.0 <= float(share) < 1.0:
            raise ValueError(f"validation must be a fraction in [0, 1), got {share!r}.")
        count = min(int(float(share) * len(whole)), len(whole) - whole.n_classes)
        if count < 1:
            return Split(whole, whole, blind=True)
        left, aside = (whole.part(chosen) for chosen in hold_out(whole, count, seed))
        return Split(left, aside, aside)

    def _settings(self, data: Sequences) -> tuple[str, Shape, dict[str, Any]]:
        """The arguments of `make_network`, as they are now: parameters may be set anew after the fit."""
        shape = Shape(self.d, data.n_steps, data.n_inputs, data.n_classes, self.threads)
        options = {"scheme": self.scheme, "activation": self.activation, "gamma": self.gamma}
        if not isinstance(self.model, str):
            raise TypeError(f"model must be a name such as 'lstm', got {self.model!r}.")
        model = trainable(self.model)
        if "step" in model_named(model).needs:
            options["step"] = parse_step(self.step, data.n_steps)
        return model, shape, options

    @property
    def trained_(self) -> Cell | NeuralField:
        """The trained cell; of the models hamiltonian, euler and antisymmetric the trained field."""
        network: Any = self._fitted()
        theta = self.run_.theta
        return network.with_theta(theta) if isinstance(network, CellNetwork) else network.field(theta)

    def _fitted(self) -> Network:
        """The network, made anew if this estimator was copied or pickled."""
        if not hasattr(self, "run_"):
            raise NotFittedError("this SequenceClassifier is not fitted yet; call fit(X, y) first.")
        network: Network | None = self.__dict__.get("_network")
        if network is None:
            network = self._network = make_network(*self._made[:2], **self._made[2])
        return network

    def _scores(self, X: ArrayLike) -> Float:
        """Scores of all classes, (n, classes)."""
        network = self._fitted()
        values = Sequences.values_of(X)
        if values.shape[:2] != (network.n_steps, network.n_inputs):
            wants = f"({network.n_steps}, {network.n_inputs})"
            raise ValueError(
                f"X has sequences of shape {values.shape[:2]}; the network was fitted to {wants}."
            )
        return network.scores(self.run_.theta, values).T

    def decision_function(self, X: ArrayLike) -> Float:
        """Scores (n, classes); of two classes (n,), positive where the second is the better one."""
        scores = self._scores(X)
        return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores

    def predict_proba(self, X: ArrayLike) -> Float:
        """Softmax of the scores (n, classes)."""
        scores = self._scores(X)
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The class with the largest score for each sequence."""
        best = self._scores(X).argmax(axis=1)
        return self.classes_[best]


def _seed(given: Any) -> int:
    """A whole number of it, at least 0."""
    if isinstance(given, np.random.RandomState):
        return int(given.randint(0, 2**31 - 1))
    if isinstance(given, np.random.Generator):
        return int(given.integers(0, 2**31 - 1))
    if isinstance(given, numbers.Integral) and not isinstance(given, bool) and int(given) >= 0:
        return int(given)
    raise ValueError(f"the seed (seed or random_state) must be a whole number from 0 on, got {given!r}.")
