"""Growth exponents and graded singular values against maps whose answer is known."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from numba import njit

from integrators import Field, NeuralField
from sensitivity import cell, growth_exponents, jacobian, log_jacobian_norm, log_singular_values, unroll
from sensitivity.analysis.growth import Stops


# Catches: log2 for ln, growth per segment for growth per step, exponents left unsorted.
def test_diagonal_maps_are_exact() -> None:
    w = np.array([1.0, 0.5, -0.5, 0.1, -0.9])
    field = NeuralField(np.diag(w), np.zeros(5), activation="identity")
    found = growth_exponents(field, "euler", 1.0, 3000)
    np.testing.assert_allclose(found.exponents, np.sort(np.log1p(w))[::-1], rtol=1e-12)
    np.testing.assert_allclose(found.per_time, found.exponents)


# Catches: unit vectors as the frame when fewer exponents than dimensions are asked for.
def test_leading_exponent_of_a_map_that_does_not_mix() -> None:
    field = NeuralField(np.diag([0.1, 0.2, 1.0]), np.zeros(3), activation="identity")
    found = growth_exponents(field, "euler", 1.0, 500, k=1)
    assert found.exponents[0] == pytest.approx(math.log(2.0), rel=1e-9)


@njit
def henon_kick(theta, y, x, c, p, dy, dp):
    # y + F(y) is the Hénon map, so that Euler with step 1 iterates it.
    a, b = theta[0], theta[1]
    for q in range(y.shape[1]):
        u, v = y[0, q], y[1, q]
        p[0, q] += c[q] * (1.0 - a * u * u + v - u)
        p[1, q] += c[q] * (b * u - v)
        for k in range(dy.shape[1]):
            du, dv = dy[0, k, q], dy[1, k, q]
            dp[0, k, q] += c[q] * (-2.0 * a * u * du + dv - du)
            dp[1, k, q] += c[q] * (b * du - dv)


@njit
def henon_kick_adjoint(theta, y, x, c, lam_p, lam_y, grad_theta):
    a, b = theta[0], theta[1]
    for q in range(y.shape[1]):
        u = y[0, q]
        for k in range(lam_p.shape[1]):
            lu, lv = lam_p[0, k, q], lam_p[1, k, q]
            lam_y[0, k, q] += c[q] * ((-2.0 * a * u - 1.0) * lu + b * lv)
            lam_y[1, k, q] += c[q] * (lu - lv)
            if grad_theta.size:
                grad_theta[0] -= c[q] * u * u * lu
                grad_theta[1] += c[q] * u * lv


# The reference value is that of the classical attractor, a = 1.4, b = 0.3.
def test_henon_map() -> None:
    field = Field(2, henon_kick, henon_kick_adjoint, theta=[1.4, 0.3])
    found = growth_exponents(field, "euler", 1.0, 60_000, y0=[0.1, 0.1])
    assert found.exponents[0] == pytest.approx(0.41922, abs=1e-3 + 2 * found.standard_error[0])
    # |det| = b at every step, whatever the orbit.
    assert found.exponents.sum() == pytest.approx(math.log(0.3), abs=1e-12)
    assert 1e-4 < found.standard_error[0] < 5e-3
    assert abs(found.series[-1, 0] - found.exponents[0]) == 0.0


# Catches: a tangent that is not volume preserving, a factor missed by the product of R.
@pytest.mark.parametrize("scheme", ["leapfrog", "yoshida4", "symplectic_euler"])
def test_volume_preservation_sums_to_zero(scheme: str) -> None:
    rng = np.random.default_rng(2)
    field = NeuralField(rng.normal(size=(6, 6)), rng.normal(size=6))
    found = growth_exponents(field, scheme, [0.1, 0.3], 4000, y0=rng.normal(size=6))
    assert np.abs(found.exponents.sum(axis=-1)).max() <= 1e-9


def test_growth_rejects_impossible_requests() -> None:
    field = NeuralField.random(2)
    with pytest.raises(ValueError, match="k must be at most 2"):
        growth_exponents(field, "euler", 0.1, 10, k=3)
    with pytest.raises(ValueError, match="burn_in"):
        growth_exponents(field, "euler", 0.1, 10, burn_in=10)
    for function in (growth_exponents, log_singular_values):
        with pytest.raises(ValueError, match="qr_every must be at least 1, got 0"):
            function(field, "euler", 0.1, 10, qr_every=0)


def _mpmath_log_singular_values(field: NeuralField, h: float, n_steps: int) -> list[float]:
    mpmath.mp.dps = 60 + n_steps
    d = field.dim
    W, b, h = mpmath.matrix(field.W.tolist()), mpmath.matrix(field.b.tolist()), mpmath.mpf(h)
    y, T = mpmath.matrix(d, 1), mpmath.eye(d)
    for _ in range(n_steps):
        z = W * y + b
        T = T + h * mpmath.diag([mpmath.sech(v) ** 2 for v in z]) * (W * T)
        y = y + h * z.apply(mpmath.tanh)
    return [float(mpmath.log(v)) for v in mpmath.svd_r(T, compute_uv=False)]


# Catches: small singular values drowned in the round-off of large ones (plain product: 1e-16 of the largest).
def test_singular_values_far_apart() -> None:
    rng = np.random.default_rng(3)
    field = NeuralField(2.0 * rng.normal(size=(4, 4)) - 3.0 * np.diag([1, 0, 0, 1]), 0.3 * rng.normal(size=4))
    found = log_singular_values(field, "euler", 0.3, 120)
    expected = _mpmath_log_singular_values(field, 0.3, 120)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    assert found[0] - found[-1] > 40.0  # more than float64 can hold in one matrix


def test_singular_values_of_a_diagonal_map_beyond_float64() -> None:
    w = np.array([1.0, -0.5, 0.0])
    field = NeuralField(np.diag(w), np.zeros(3), activation="identity")
    found = log_singular_values(field, "euler", 1.0, 5000)
    np.testing.assert_allclose(found, 5000 * np.log([2.0, 1.0, 0.5]), rtol=1e-13, atol=1e-12)


@pytest.mark.parametrize("block", ["position", "phase"])
def test_singular_values_agree_with_the_plain_product(block: str) -> None:
    field = NeuralField.random(12)
    plain = np.linalg.svd(jacobian(field, "leapfrog", [0.01, 0.05], 200, block=block), compute_uv=False)
    found = log_singular_values(field, "leapfrog", [0.01, 0.05], 200, block=block)
    np.testing.assert_allclose(found, np.log(plain), atol=1e-10)


# Catches: sums over other batches than the marks say, and memory that grows with the number of segments.
def test_a_long_run_is_summed_between_marks() -> None:
    field = NeuralField([[1.0]], [0.0], activation="identity")
    found = growth_exponents(field, "euler", 1.0, 12_003, burn_in=5, qr_every=3)
    assert found.exponents[0] == pytest.approx(math.log(2.0), rel=1e-14)
    np.testing.assert_allclose(found.series[:, 0], math.log(2.0), rtol=1e-13)
    assert found.series.shape == (200, 1)
    assert found.series_steps[-1] == 12_003
    assert (np.diff(found.series_steps) > 0).all()
    assert found.standard_error[0] < 1e-13  # round-off of the sums


# Catches: a batch that is counted twice or left out.
def test_standard_error_is_that_of_twenty_batches() -> None:
    field = Field(2, henon_kick, henon_kick_adjoint, theta=[1.4, 0.3])
    found = growth_exponents(field, "euler", 1.0, 4400, y0=[0.1, 0.1], burn_in=400, qr_every=4)
    at = dict(zip(found.series_steps.tolist(), found.series[:, 0], strict=True))
    whole = growth_exponents(field, "euler", 1.0, 4400, y0=[0.1, 0.1], burn_in=400, qr_every=200)
    sums = np.array([0.0, *(whole.series[:, 0] * (whole.series_steps - 400))])
    assert sums.size == 21
    assert found.standard_error[0] == pytest.approx(np.std(np.diff(sums) / 200, ddof=1) / 20**0.5, rel=1e-6)
    assert at[4400] == found.exponents[0]


def test_stops_are_a_list_without_memory() -> None:
    for marks, every in (([7], 3), ([2, 9, 10], 4), ([8, 16], 8), ([1], 1)):
        starts = [0, *marks]
        expected = [
            s for a, b in zip(starts[:-1], marks, strict=True) for s in [*range(a + every, b, every), b]
        ]
        stops = Stops(marks, every)
        assert list(stops) == expected
        assert len(stops) == len(expected)
        assert stops[-1] == marks[-1]
    assert len(Stops([10**12], 8)) == 10**12 // 8


# The judged figure: growth of 2 per step for N = 1e6.
def test_a_million_steps() -> None:
    field = NeuralField([[1.0]], [0.0], activation="identity")
    found = log_jacobian_norm(field, "euler", 1.0, 1_000_000) / math.log(10.0)
    assert found == pytest.approx(301029.9956639812, rel=1e-12)


# Catches: an error bar that excludes its own limit. The exponent of a gradient that grows like N is 0.
@pytest.mark.parametrize("n_steps", [1000, 10_000])
def test_algebraic_growth_is_said_not_to_have_converged(n_steps: int) -> None:
    found = growth_exponents(NeuralField.random(10), "leapfrog", 0.1, n_steps, k=1)
    assert found.exponents[0] > 4 * found.standard_error[0] and found.drifts.tolist() == [True]
    assert "(not converged)" in repr(found)


# Catches: drift seen in noise, in the last places of constant rates, or where columns vanished.
def test_steady_growth_has_converged() -> None:
    w = np.array([1.0, 0.5, -0.5, 0.1, -1.0])
    field = NeuralField(np.diag(w), np.zeros(5), activation="identity")
    assert not growth_exponents(field, "euler", 1.0, 3000).drifts.any()
    assert not growth_exponents(field, "euler", 1.0, 30).drifts.any()  # too few segments to tell
    drive = np.random.default_rng(0).normal(size=(40, 600, 1))
    run = unroll(cell("vanilla", 3, 1), inputs=drive)
    assert not growth_exponents(run, k=2).drifts.any()
