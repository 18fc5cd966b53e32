"""A classifier of labelled sequences with the interface of scikit-learn."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .models import MODELS, Shape, make_network, parse_step
from .sequences import Sequences
from .start import Start
from .trainer import Recipe, Run, Split, train

__all__ = ["SequenceClassifier"]

Float = NDArray[np.float64]


class SequenceClassifier:
    """A recurrent network that is fitted to sequences X (n, n_steps) or (n, n_steps, n_inputs).

    Parameters
    ----------
    model : str
        hamiltonian, euler, antisymmetric, or the name of any cell: lstm, vanilla, scornn, …
    d : int
        Hidden dimension.
    step : float or str
        ε, or "c/N", of hamiltonian, euler and antisymmetric; cells keep a step size of their own.
    scheme, activation : str, optional
    gamma : float, optional
        Of the antisymmetric model.
    rate, batch, epochs, clip, cosine :
        See `Recipe`.
    start : Start, optional
    validation : float
        The fraction of the sequences that is set aside, to see the accuracy on while training.
    seed : int
    threads : int, optional
    progress : bool, optional

    Attributes
    ----------
    classes_ : ndarray
        The labels, sorted.
    run_ : Run
        The trace of the training, and the parameters.

    Examples
    --------
    >>> SequenceClassifier(d=10, step="10/N").fit(X, y).score(X_test, y_test)
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
        epochs: int = 50,
        clip: float | None = None,
        cosine: bool = False,
        start: Start | None = None,
        validation: float = 0.1,
        seed: int = 0,
        threads: int | None = None,
        progress: bool | None = None,
    ) -> None:
        for name, value in locals().items():
            if name != "self":
                setattr(self, name, value)

    # What scikit-learn's tools need: parameters by name.

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters of the constructor by name."""
        return {name: getattr(self, name) for name in _parameters()}

    def set_params(self, **given: Any) -> SequenceClassifier:
        """Set some of them.

        Raises
        ------
        ValueError
            For a name that is none of them.
        """
        for name, value in given.items():
            if name not in _parameters():
                raise ValueError(f"{name!r} is no parameter; they are {', '.join(_parameters())}.")
            setattr(self, name, value)
        return self

    def fit(self, X: ArrayLike, y: ArrayLike) -> SequenceClassifier:
        """Train on labelled sequences.

        Raises
        ------
        ValueError, TypeError
            If X and y do not fit together, or there are fewer than two classes.
        Diverged
            If the loss left the range of sense.
        """
        params = self.get_params()
        values, labels = Sequences.values_of(X), np.asarray(y)
        if labels.shape != (values.shape[2],):
            raise ValueError(
                f"y has shape {labels.shape}; X with {values.shape[2]} sequences asks for as many."
            )
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y has only the class {labels[0]!r}; there is nothing to learn.")
        whole = Sequences(values, codes.astype(np.int64), len(self.classes_))
        if not 0.0 <= params["validation"] < 1.0:
            raise ValueError(f"validation must be a fraction in [0, 1), got {params['validation']}.")
        aside = int(params["validation"] * len(whole))
        order = np.random.default_rng(params["seed"]).permutation(len(whole))
        data = Split(whole.part(order[aside:]), whole.part(order[:aside]) if aside else whole)
        shape = Shape(params["d"], whole.n_steps, whole.n_inputs, whole.n_classes, params["threads"])
        self._network = self._make(shape)
        recipe = Recipe(
            **{name: params[name] for name in ("rate", "batch", "epochs", "seed", "clip", "cosine")}
        )
        theta = (params["start"] or Start()).draw(self._network, params["seed"])
        self.run_: Run = train(self._network, data, recipe, theta, progress=params["progress"])
        return self

    def _make(self, shape: Shape) -> Any:
        params = self.get_params()
        options = {name: params[name] for name in ("scheme", "activation", "gamma")}
        if params["model"] in MODELS and "step" in MODELS[params["model"]].needs:
            options["step"] = parse_step(params["step"], shape.n_steps)
        return make_network(params["model"], shape, **options)

    def decision_function(self, X: ArrayLike) -> Float:
        """Scores (n, classes)."""
        if not hasattr(self, "run_"):
            raise ValueError("this classifier is not fitted yet; call fit(X, y) first.")
        values, network = Sequences.values_of(X), self._network
        if values.shape[:2] != (network.n_steps, network.n_inputs):
            wants = f"({network.n_steps}, {network.n_inputs})"
            raise ValueError(
                f"X has sequences of shape {values.shape[:2]}; the network was fitted to {wants}."
            )
        return network.scores(self.run_.theta, values).T

    def predict_proba(self, X: ArrayLike) -> Float:
        """Softmax of the scores (n, classes)."""
        scores = self.decision_function(X)
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The class with the largest score for each sequence."""
        best = self.decision_function(X).argmax(axis=1)
        return self.classes_[best]

    def score(self, X: ArrayLike, y: ArrayLike) -> float:
        """Fraction of right answers."""
        return float(np.mean(self.predict(X) == np.asarray(y)))


def _parameters() -> list[str]:
    return [name for name in inspect.signature(SequenceClassifier.__init__).parameters if name != "self"]
