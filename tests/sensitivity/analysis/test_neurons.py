"""Cells whose neurons do not see one another: small matrices in place of the whole Jacobian."""

import math

import mpmath
import numpy as np
import pytest

from integrators import POINT, Kind, kernel
from sensitivity import (
    gradient_profile,
    jacobian,
    jacobian_norm,
    log_jacobian_norm,
    log_singular_values,
    singular_values,
    unroll,
)
from sensitivity.analysis import neurons
from sensitivity.recurrences.registry import MODELS, make

DECOUPLED = [name for name in MODELS if make(name, 3, 1).decoupled]


def run_of(name, d=5, n_steps=30, members=2):
    rng = np.random.default_rng(4)
    cell = make(name, d, 2, rng=1)
    cell = cell.with_free(cell.free + 0.2 * cell.free_trainable * rng.normal(size=cell.free.size))
    return unroll(cell, s0=0.3 * rng.normal(size=cell.dim), inputs=rng.normal(size=(members, n_steps, 2)))


def test_which_cells_they_are():
    listed = "unicornn linoss_im linoss_imex linoss_vv dlinoss lru s4d s6 rg_lru mingru minlstm mlstm".split()
    assert set(DECOUPLED) == set(listed)
    assert not make("unicornn", 3, layers=2).decoupled
    constant = {name for name in MODELS if make(name, 3, 1).constant_jacobian}
    assert constant == {"linoss_im", "linoss_imex", "linoss_vv", "dlinoss", "lru", "s4d"}


@pytest.mark.parametrize("name", DECOUPLED)
def test_the_verbs_agree_with_the_columns_of_the_whole(name):
    run = run_of(name)
    whole = run.pushforward(np.eye(run.state_size)).unscaled()
    size = np.abs(whole).max()
    assert np.abs(jacobian(run, block="state") - whole).max() <= 1e-13 * size
    values = np.linalg.svd(whole, compute_uv=False)
    assert jacobian_norm(run, block="state") == pytest.approx(values[:, 0], rel=1e-12)
    assert log_jacobian_norm(run, block="state") == pytest.approx(np.log(values[:, 0]), abs=1e-12)
    logs = log_singular_values(run, block="state")
    assert np.abs(np.exp(logs) - values).max() <= 1e-13 * size
    assert singular_values(run, block="state", k=2).unscaled() == pytest.approx(values[:, :2], rel=1e-12)
    profile = gradient_profile(run, block="state")
    assert profile.norms[:, 0] == pytest.approx(values[:, 0], rel=1e-12)
    assert profile.norms[:, -1] == pytest.approx([1.0, 1.0], rel=1e-14)
    block = next(iter(run.blocks))
    part = run.blocks[block]
    inner = np.linalg.svd(whole[:, part, part], compute_uv=False)[:, 0]
    assert jacobian_norm(run, block=block) == pytest.approx(inner, rel=1e-12)
    assert gradient_profile(run, block=block).norms[:, 0] == pytest.approx(inner, rel=1e-12)


def test_neurons_that_fall_apart_keep_their_digits():
    """Gates from 1e-9 to 1 − 1e-9: factors of 10^-200000 and of one side by side."""
    z = np.array([1e-9, 0.1, 0.5, 0.999, 1.0 - 1e-9])
    run = unroll(make("mingru", 5, z=z), 20_000)
    logit = run.cell.parameters["b"][:5]
    exact = np.array([-20_000 * float(mpmath.log1p(mpmath.exp(value))) for value in logit])
    assert log_singular_values(run) == pytest.approx(-np.sort(-exact), rel=1e-11, abs=20_000 * 2.0**-52)
    assert log_jacobian_norm(run) == pytest.approx(exact.max(), abs=20_000 * 2.0**-52)
    whole = run.pushforward(np.eye(5))
    assert jacobian(run) == pytest.approx(whole.unscaled(), rel=1e-10)


def test_a_gate_that_is_shut_is_zero_and_the_others_are_not(monkeypatch):
    cell = make("mingru", 3, z=0.5)
    theta = cell.theta.copy()
    theta[0] = 800.0  # 1 − z is zero
    run = unroll(cell.with_theta(theta), 500)
    found = log_singular_values(run)
    assert found[2] == -np.inf and found[:2] == pytest.approx([-500 * math.log(2.0)] * 2, rel=1e-13)


def test_pieces_are_taken_again_where_a_neuron_fell_too_far(monkeypatch):
    """With pieces that are far too long at first nothing is lost."""
    run = unroll(make("mingru", 4, z=[1e-6, 0.3, 0.9, 1.0 - 1e-6]), 3000)
    expected = log_singular_values(run)
    monkeypatch.setattr(neurons, "FIRST_PIECE", 1000)
    assert log_singular_values(run) == pytest.approx(expected, rel=1e-12)


def test_powers_of_a_linear_cell_against_sixty_digits():
    n = 1_000_003
    for name, details in (
        ("linoss_im", {"A": [0.0, 1e-4, 0.7], "dt": 1.0}),
        ("linoss_imex", {"A": [1e-4, 1.3, 0.2], "dt": 1.0}),
        ("linoss_imex", {"A": [4.0, 9.0, 0.0], "dt": 1.0}),
        ("linoss_imex", {"A": [1.0, 1.0, 3.9999], "dt": 1.0}),  # eigenvectors nearly parallel: κ = 2.5e5
        ("dlinoss", {"A": [0.2, 0.4, 3.0], "G": [0.0, 1e-5, 1e-3], "dt": 0.5}),
        ("lru", {}),
    ):
        cell = make(name, 3, **details)
        J = cell.linearise(np.zeros(6))[1]
        found = log_singular_values(unroll(cell, n))
        with mpmath.workdps(60):
            logs = []
            for j in range(3):
                M = mpmath.matrix(J[np.ix_([j, 3 + j], [j, 3 + j])].tolist()) ** n
                a, b, c, d = (M[p, q] for p in range(2) for q in range(2))
                largest = (mpmath.hypot(a + d, b - c) + mpmath.hypot(a - d, b + c)) / 2
                det = mpmath.det(mpmath.matrix(J[np.ix_([j, 3 + j], [j, 3 + j])].tolist()))
                logs += [mpmath.log(largest), n * mpmath.log(abs(det)) - mpmath.log(largest)]
            expected = np.array(sorted(map(float, logs), reverse=True))
        # A logarithm near zero is as accurate as the norm; float64 would be off by 1e-11 and more.
        assert found == pytest.approx(expected, rel=1e-15, abs=2e-15)


def test_a_state_that_overflows_says_so_but_for_a_linear_cell():
    cell = make("unicornn", 3, 1)
    inputs = np.zeros((2, 5, 1))
    s0 = np.full((2, 6), 0.1)
    s0[1] = 1.7e308
    with pytest.warns(RuntimeWarning, match="overflow"):
        norms = jacobian_norm(unroll(cell, s0=s0, inputs=inputs))
    assert np.isfinite(norms[0]) and np.isnan(norms[1])
    linear = make("linoss_imex", 3, A=5.0, dt=1.0)
    grown = unroll(linear, 2000)
    rate = math.log((3.0 + math.sqrt(5.0)) / 2.0)
    assert log_jacobian_norm(grown) == pytest.approx(2000 * rate, rel=1e-3)


@kernel(POINT)
def _square(constants, v, out, slopes):
    for f in range(v.shape[1]):
        out[0, f], slopes[0, 0, f] = v[0, f] ** 2, 2.0 * v[0, f]


def test_a_rule_that_is_not_linear_may_not_say_that_it_is():
    kind = Kind(
        name="square", state=("h",), rows=(), point=_square, depends={"h": "h"}, recurrent=0, linear=True
    )
    with pytest.raises(ValueError, match="is said to be linear, but ∂h/∂h depends on the state"):
        kind(3).linearise(np.ones(3))
