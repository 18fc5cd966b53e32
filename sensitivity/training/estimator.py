"""The base classes of scikit-learn's estimators, or where it is not installed what we need of them."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["BaseEstimator", "ClassifierMixin", "NotFittedError"]


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
