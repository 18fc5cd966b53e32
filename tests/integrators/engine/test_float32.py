"""float32 members: the same map in shorter arithmetic, its error measured."""

from __future__ import annotations

import math

import numpy as np
import pytest

from integrators import NeuralField
from sensitivity import OdeRecurrence, float32_error, jacobian, jacobian_norm, log_jacobian_norm

STEPS = np.array([0.01, 0.1, 0.5])


# Catches: a helper that computes in the wrong precision, a kernel of one type run on arrays of the other.
@pytest.mark.parametrize("scheme", ["leapfrog", "euler", "yoshida4", "explicit_euler"])
@pytest.mark.parametrize("d", [1, 3, 40])
def test_error_is_that_of_float32(scheme: str, d: int) -> None:
    field = NeuralField.random(d, rng=2, inputs=1)
    inputs = np.random.default_rng(0).normal(size=(100, 1))
    error = float32_error(field, scheme, STEPS, 100, inputs=inputs)
    assert error.shape == STEPS.shape
    # Not float64 in disguise, and no worse than some hundred roundings of 6e-8.
    assert (error > 1e-9).all() and (error < 2e-5).all()


def test_reported_error_is_the_deviation() -> None:
    field = NeuralField.random(6)
    single, double = (jacobian(field, "leapfrog", 0.2, 80, dtype=t) for t in ("float32", "float64"))
    expected = np.linalg.norm(single - double) / np.linalg.norm(double)
    assert float32_error(field, "leapfrog", 0.2, 80) == pytest.approx(expected, rel=1e-12)


# Catches: the limits of float64 used to rescale float32 columns.
def test_growth_beyond_float32() -> None:
    field = NeuralField([[1.0]], [0.0], activation="identity")
    found = log_jacobian_norm(field, "euler", 1.0, 20_000, dtype=np.float32)
    assert found == pytest.approx(20_000 * math.log(2.0), rel=1e-6)
    shrinking = NeuralField([[-0.75]], [0.0], activation="identity")
    found = log_jacobian_norm(shrinking, "euler", 1.0, 5_000, dtype=np.float32)
    assert found == pytest.approx(5_000 * math.log(0.25), rel=1e-6)


def test_adjoint_and_lanczos_in_float32() -> None:
    field = NeuralField.random(60, rng=4)
    full, lanczos = (
        jacobian_norm(field, "leapfrog", STEPS, 50, method=m, tol=1e-4, dtype="float32")
        for m in ("full", "lanczos")
    )
    np.testing.assert_allclose(lanczos, full, rtol=1e-4)
    u, v = np.random.default_rng(1).normal(size=(2, 120, 2))
    recurrence = OdeRecurrence(field, "leapfrog", 0.1, 50, dtype="float32")
    forwards, backwards = recurrence.pushforward(v).unscaled(), recurrence.pullback(u).unscaled()
    np.testing.assert_allclose(u.T @ forwards, backwards.T @ v, rtol=1e-3, atol=1e-3)


def test_other_types_are_refused() -> None:
    with pytest.raises(ValueError, match="dtype must be float64 or float32"):
        jacobian(NeuralField.random(2), "euler", 0.1, 3, dtype=np.float16)
