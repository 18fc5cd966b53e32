"""Singular values of stacks: entries that are not finite, slices, and shapes without matrices."""

import numpy as np
import pytest

from integrators import singular_values as module
from integrators.singular_values import scaled_norm, singular_values, spectral_norm, svd


@pytest.fixture
def stack():
    matrices = np.random.default_rng(0).normal(size=(5, 4, 3))
    matrices[2, 0, 0], matrices[3, 1, 1] = np.inf, np.nan
    return matrices


# Catches: an SVD that stops the program at a trajectory which left float64.
def test_a_matrix_that_is_not_finite_gives_nan_and_no_other_does(stack):
    values, good = singular_values(stack), [0, 1, 4]
    assert np.isnan(values[[2, 3]]).all()
    np.testing.assert_array_equal(values[good], np.linalg.svd(stack[good], compute_uv=False))
    assert all(np.isnan(part[2]).all() and np.isfinite(part[0]).all() for part in svd(stack))
    norms = spectral_norm(stack)
    assert np.isinf(norms[2]) and np.isnan(norms[3])
    np.testing.assert_array_equal(norms[good], values[good, 0])


# Catches: slices that change a bit, or lose a matrix.
def test_slices_change_nothing(monkeypatch):
    matrices = np.random.default_rng(1).normal(size=(2, 7, 20, 20))
    whole = svd(matrices)
    monkeypatch.setattr(module, "WORK_AT_ONCE", 20.0**3)
    for part, again in zip(whole, svd(matrices), strict=True):
        np.testing.assert_array_equal(part, again)


# Catches: squares that leave float64.
@pytest.mark.parametrize("size", [1e-200, 1.0, 1e200])
def test_norms_of_any_size(size):
    matrices = np.random.default_rng(2).normal(size=(3, 4, 4))
    mantissa, exponent = scaled_norm(size * matrices)
    np.testing.assert_allclose(np.ldexp(mantissa, exponent) / size, spectral_norm(matrices), rtol=1e-14)


def test_stacks_of_nothing():
    assert singular_values(np.zeros((0, 3, 3))).shape == (0, 3)
    assert spectral_norm(np.zeros((0, 3, 3))).shape == (0,) and spectral_norm(np.zeros((0, 0))) == 0.0
