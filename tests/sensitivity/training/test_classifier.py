"""`SequenceClassifier` with its real consumer, scikit-learn, and without; weights; what is refused."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from sensitivity.recurrences.cell import unroll
from sensitivity.training.classifier import SequenceClassifier
from sensitivity.training.data.tasks import TASKS


def made(**more):
    return SequenceClassifier(**{"d": 4, "rate": 0.03, "epochs": 8, "batch": 20, "threads": 1, **more})


@pytest.fixture(scope="module")
def data():
    found = TASKS["gaussian_mean"].sample(90, 5, 0)
    return found.values[:, 0, :].T, np.array(["low", "high"])[found.labels]


@pytest.fixture(scope="module")
def three(data):
    X = np.random.default_rng(0).normal(size=(90, 5, 2))
    return X, np.digitize(X.mean(axis=(1, 2)), [-0.2, 0.2])


def test_it_is_a_classifier_of_scikit_learn():
    assert isinstance(made(), BaseEstimator) and isinstance(made(), ClassifierMixin) and is_classifier(made())
    tags = get_tags(made())
    assert tags.estimator_type == "classifier" and tags.input_tags.three_d_array
    assert tags.target_tags.required and not tags.input_tags.allow_nan


def test_cross_validation_search_and_pipeline(data, three):
    scores = cross_val_score(made(), *data, cv=3)
    assert scores.shape == (3,) and scores.min() > 0.6
    assert cross_val_score(made(), *three, cv=3).min() > 0.3
    search = GridSearchCV(made(), {"d": [2, 4], "rate": [0.01, 0.03]}, cv=2, scoring="roc_auc").fit(*data)
    assert (
        np.isfinite(search.cv_results_["mean_test_score"]).all() and search.best_estimator_.score(*data) > 0.6
    )
    pipe = make_pipeline(StandardScaler(), made()).fit(*data)
    assert pipe.score(*data) > 0.6 and pipe.decision_function(data[0]).shape == (90,)
    pipe.set_params(sequenceclassifier__d=3)
    assert pipe[-1].d == 3


def test_cross_validation_in_processes(data):
    scores = cross_val_score(made(epochs=2), *data, cv=2, n_jobs=2)
    assert np.array_equal(scores, cross_val_score(made(epochs=2), *data, cv=2))


def test_cloning_copying_and_pickling(data):
    fitted = made().fit(*data)
    twin = clone(fitted)
    assert not hasattr(twin, "run_") and twin.get_params() == fitted.get_params()
    assert np.array_equal(twin.fit(*data).run_.theta, fitted.run_.theta)
    for again in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)):
        assert np.array_equal(again.predict_proba(data[0]), fitted.predict_proba(data[0]))
        again.set_params(d=7)  # of the next fit, not of this one
        assert np.array_equal(again.predict(data[0]), fitted.predict(data[0]))
    for model in ("lstm", "antisymmetric"):
        one = made(model=model, epochs=1).fit(*data)
        again = pickle.loads(pickle.dumps(one))
        assert np.array_equal(again.predict_proba(data[0]), one.predict_proba(data[0]))


def test_names_are_told():
    assert repr(SequenceClassifier()) == "SequenceClassifier()"
    assert repr(SequenceClassifier(d=3, model="lstm")) == "SequenceClassifier(d=3, model='lstm')"
    with pytest.raises(ValueError, match="'depth' is no parameter"):
        made().set_params(depth=2)


def test_two_classes_have_one_score_and_three_have_three(data, three):
    two, more = made().fit(*data), made().fit(*three)
    score = two.decision_function(data[0])
    assert score.shape == (90,) and two.classes_.tolist() == ["high", "low"]
    assert np.array_equal(two.predict(data[0]) == "low", score > 0.0)
    assert two.predict_proba(data[0])[:, 1] == pytest.approx(1.0 / (1.0 + np.exp(-score)))
    assert more.decision_function(three[0]).shape == (90, 3) and more.classes_.tolist() == [0, 1, 2]
    assert two.n_features_in_ == 5 and two.n_iter_ == 8
    weights = np.arange(90.0)
    expected = np.average(two.predict(data[0]) == data[1], weights=weights)
    assert two.score(*data, sample_weight=weights) == pytest.approx(expected)


@pytest.mark.parametrize(
    "options", [{}, {"validation": 0.0}, {"batch": 1000, "validation": 0.0}, {"model": "lstm"}]
)
def test_a_weight_of_two_is_the_row_twice(data, options):
    """For batches, validation and every order in which the copies stand behind the row."""
    X, y = data
    weights = np.random.default_rng(1).integers(0, 4, 90)
    one = made(**options).fit(X, y, sample_weight=weights)
    repeated = made(**options).fit(X.repeat(weights, axis=0), y.repeat(weights))
    assert np.array_equal(one.run_.theta, repeated.run_.theta)
    twice = made(**options).fit(np.r_[X, X], np.r_[y, y])
    plain = made(**options).fit(X, y)
    assert np.array_equal(twice.run_.theta, plain.run_.theta)
    assert np.array_equal(
        made(**options).fit(X, y, sample_weight=np.full(90, 0.3)).run_.theta, plain.run_.theta
    )
    assert not np.array_equal(one.run_.theta, plain.run_.theta)


@pytest.mark.parametrize(
    ("weights", "told"),
    [
        (np.r_[-1.0, np.ones(89)], "entry 0 is -1.0"),
        (np.r_[1.0, np.nan, np.ones(88)], "entry 1 is nan"),
        (np.full(90, np.inf), "entry 0 is inf"),
        (np.zeros(90), "sample_weight is 0 for every sequence"),
        (np.ones(89), r"sample_weight has shape \(89,\)"),
        (np.ones((90, 1)), r"sample_weight has shape \(90, 1\)"),
        (["a"] * 90, "sample_weight must be numbers"),
    ],
)
def test_weights_that_are_none(data, weights, told):
    with pytest.raises(ValueError, match=told):
        made().fit(*data, sample_weight=weights)


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (np.linspace(0.0, 1.0, 90), "Unknown label type: continuous"),
        (np.r_[np.nan, np.ones(89)], "y holds nan"),
        (["a", 1] * 45, "y "),
        (["a"] * 90, "only the class"),
        (None, "requires y to be passed"),
        (np.ones((90, 2)), "y has shape"),
    ],
)
def test_labels_that_are_none(data, labels, told):
    if isinstance(labels, list) and 1 in labels:
        labels = np.array(labels, dtype=object)
    with pytest.raises((ValueError, TypeError), match=told):
        made().fit(data[0], labels)


def test_what_is_asked_of_no_fit_or_another(data):
    for method in ("predict", "predict_proba", "decision_function"):
        with pytest.raises(NotFittedError, match="not fitted yet"):
            getattr(made(), method)(data[0])
    with pytest.raises(NotFittedError):
        check_is_fitted(made())
    fitted = made(epochs=1).fit(*data)
    check_is_fitted(fitted)
    with pytest.raises(ValueError, match="sequences of shape"):
        fitted.predict(data[0][:, :4])
    with pytest.raises(ValueError, match="sequences of shape"):
        fitted.predict(np.zeros((3, 5, 2)))
    for wrong in (1.0, -0.1, "0.1", np.nan):
        with pytest.raises(ValueError, match="validation must be a fraction"):
            made(validation=wrong).fit(*data)


# Catches: the network before training, one without its bias or its inputs, and a copy that lost its network.
@pytest.mark.parametrize("model", ["lstm", "hamiltonian", "antisymmetric"])
def test_the_trained_network_is_the_one_that_predicts(model, data):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        _ = made(model=model).trained_
    fitted = made(model=model, step=0.3, epochs=2).fit(*data)
    network = pickle.loads(pickle.dumps(fitted)).trained_
    own = (
        {}
        if model == "lstm"
        else {"scheme": "euler" if model == "antisymmetric" else "leapfrog", "step": 0.3}
    )
    parts = fitted._network.named(fitted.run_.theta)
    R, r = (parts.get(name, parts.get(f"{name}_out")) for name in ("R", "r"))
    for x, score in zip(data[0][:5], fitted.decision_function(data[0][:5]), strict=True):
        last = unroll(network, inputs=x[:, None], n_steps=5, **own).run()[:4]
        np.testing.assert_allclose((R @ last + r) @ [-1.0, 1.0], score, rtol=1e-12, atol=1e-13)


def test_seeds(data):
    thetas = [
        made(**given).fit(*data).run_.theta
        for given in ({"seed": 3}, {"random_state": 3}, {"random_state": 4}, {"seed": 4, "random_state": 3})
    ]
    assert np.array_equal(thetas[0], thetas[1]) and np.array_equal(thetas[0], thetas[3])
    assert not np.array_equal(thetas[1], thetas[2])
    one, two = (made(random_state=np.random.RandomState(0)).fit(*data).run_.theta for _ in range(2))
    assert np.array_equal(one, two)
    with pytest.raises(ValueError, match="the seed"):
        made(seed=-1).fit(*data)


def test_validation_is_drawn_from_each_class():
    """Sorted labels: a slice of them would be one class."""
    X = np.random.default_rng(0).normal(size=(60, 4)) + np.repeat([0.0, 3.0], 30)[:, None]
    fitted = made(validation=0.5).fit(X, np.repeat([0, 1], 30))
    assert fitted.run_.accuracy > 0.8


WITHOUT = """
import sys
sys.modules["sklearn"] = None
import numpy as np
from sensitivity.training.classifier import SequenceClassifier
X = np.random.default_rng(0).normal(size=(40, 3))
y = (X.sum(axis=1) > 0).astype(int)
model = SequenceClassifier(d=3, epochs=20, rate=0.05, threads=1).fit(X, y)
assert model.score(X, y) > 0.7 and model.get_params()["d"] == 3
assert model.score(X, y, sample_weight=np.ones(40)) == model.score(X, y)
print(repr(SequenceClassifier(d=3)), type(SequenceClassifier().set_params(d=2)).__name__)
try:
    SequenceClassifier().predict(X)
except ValueError as error:
    print(error)
"""


def test_without_scikit_learn():
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(
        "SequenceClassifier(d=3) SequenceClassifier\nthis SequenceClassifier is not"
    )
