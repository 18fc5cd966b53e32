"""Growth exponents of maps that contract, are singular, or differ by more in a step than float64 can hold."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy

from integrators import NeuralField, symbolic_cell
from integrators.codegen.orthogonalise import BARRED, DEPENDENT, FRESH, VANISHED, orthogonalise
from sensitivity import growth_exponents, log_singular_values
from sensitivity.cli import main
from sensitivity.recurrences.cell import unroll
from sensitivity.recurrences.registry import make

U, V, A, B, X = sympy.symbols("u v a b x")


@pytest.fixture(scope="module")
def henon():
    return symbolic_cell([1 - A * U**2 + V + X, B * U], [U, V], [X], {A: 1.4, B: 0.3}, name="Hénon")


def linear(J):
    """A field whose Euler step of size one multiplies by J."""
    J = np.asarray(J, dtype=float)
    return NeuralField(J - np.eye(len(J)), np.zeros(len(J)), activation="identity")


def gram_schmidt(columns, power, state):
    """The factorisation with Python's own numbers, FRESH columns only."""
    Q, R = np.linalg.qr(columns * 2.0**power)
    sign = np.where(np.diag(R) < 0, -1.0, 1.0)
    return Q * sign, R * sign[:, None]


@pytest.mark.nojit
@pytest.mark.parametrize(("rows", "k"), [(1, 1), (3, 3), (6, 4), (9, 9)])
def test_the_factorisation_is_that_of_lapack(rows, k):
    rng = np.random.default_rng(rows)
    given = rng.normal(size=(5, rows, k))
    columns, power = given.copy(), rng.integers(-6, 6, (5, k))
    powers, state = power.copy(), np.full((5, k), FRESH)
    factors, error, worst = np.empty((5, k, k)), np.empty((5, k)), np.empty(5)
    orthogonalise(columns, powers, state, 2.0**-52, factors, error, worst)
    assert (state == FRESH).all() and (error < 1e-8).all() and (worst == error.max(axis=1)).all()
    for q in range(5):
        Q, R = gram_schmidt(given[q], power[q], state[q])
        np.testing.assert_allclose(columns[q], Q, atol=1e-13)
        np.testing.assert_allclose(factors[q] * 2.0 ** powers[q], R, atol=1e-12)


@pytest.mark.nojit
def test_columns_that_are_left_out():
    e = np.eye(4)
    given = np.stack([e[:, 0], 2 * e[:, 0] + e[:, 1], 0 * e[:, 0], e[:, 2], e[:, 3]], axis=1)[None]
    state = np.array([[FRESH, BARRED, FRESH, DEPENDENT, FRESH]])
    columns, powers = given.copy(), np.zeros((1, 5), np.int64)
    factors, error, worst = np.empty((1, 5, 5)), np.empty((1, 5)), np.empty(1)
    orthogonalise(columns, powers, state, 2.0**-52, factors, error, worst)
    np.testing.assert_array_equal(state, [[FRESH, BARRED, VANISHED, DEPENDENT, FRESH]])
    np.testing.assert_array_equal(columns[0], np.stack([e[0], 0 * e[0], 0 * e[0], 0 * e[0], e[3]], axis=1))
    R = factors[0] * 2.0 ** powers[0]
    np.testing.assert_array_equal(np.diag(R), [1.0, 0.0, 0.0, 0.0, 1.0])
    assert R[0, 1] == 2.0 and np.abs(R).sum() == 4.0


# Catches: squares that overflow or underflow, and small rows lost beside large ones.
def test_rows_far_apart_keep_their_digits():
    c, s = math.cos(0.7), math.sin(0.7)
    for bits in (20, 45, 200, 400):
        columns = np.array([[[c * 2.0**bits, -s * 2.0**bits], [s * 2.0**-bits, c * 2.0**-bits]]])
        powers, state = np.zeros((1, 2), np.int64), np.zeros((1, 2), np.int64)
        factors, error, worst = np.empty((1, 2, 2)), np.empty((1, 2)), np.empty(1)
        orthogonalise(columns, powers, state, 2.0**-52, factors, error, worst)
        product = np.log2(np.diag(factors[0])).sum() + powers.sum()
        assert abs(product) <= 1e-12  # the determinant is 1


# The case: qr_every = 20 gave −inf for −1.62. |det| = 0.3 at every step.
@pytest.mark.parametrize("every", [None, 1, 3, 20, 64, 100, 5000])
def test_henon_for_every_interval(henon, every):
    found = growth_exponents(unroll(henon, 5000), qr_every=every)
    assert found.exponents.sum() == pytest.approx(math.log(0.3), abs=1e-12)
    assert found.exponents[0] == pytest.approx(0.42, abs=0.02)
    assert found.resolved.all()
    assert (found.round_off < 1e-9).all()


SINGULAR = {
    "ones": (np.ones((2, 2)), [math.log(2.0)]),
    "rank one": (np.outer([1.0, 2, 3, 4, 5], [1.0, 1, 1, 1, 1]), [math.log(15.0)]),
    "twins before a third": (np.array([[1.0, 1, 0], [1, 1, 0], [0, 0, 0.5]]), [math.log(2), math.log(0.5)]),
    "nilpotent": (np.array([[0.0, 1, 0], [0, 0, 1], [0, 0, 0]]), []),
    "zero": (np.zeros((3, 3)), []),
    "zero row": (np.array([[2.0, 1.0], [0.0, 0.0]]), [math.log(2.0)]),
}


# The case: ones(2, 2) gave −73.47 ± 9e-15, of which nothing is true.
@pytest.mark.parametrize("name", SINGULAR)
@pytest.mark.parametrize("every", [None, 1, 7, 64])
def test_singular_maps_have_minus_infinity(name, every):
    J, finite = SINGULAR[name]
    found = growth_exponents(linear(J), "euler", 1.0, 2000, qr_every=every)
    rest = len(J) - len(finite)
    np.testing.assert_allclose(found.exponents[: len(finite)], finite, rtol=1e-12)
    assert (found.exponents[len(finite) :] == -np.inf).all()
    assert found.resolved[: len(finite)].all()
    assert (
        np.isnan(found.standard_error[len(finite) :]).all() and np.isnan(found.round_off[len(finite) :]).all()
    )
    logs = log_singular_values(linear(J), "euler", 1.0, 40, qr_every=every)
    assert (logs[len(J) - rest :] == -np.inf).all() and np.isfinite(logs[: len(finite)]).all()


# Directions of the kernel are met exactly by the frame: the pushed column is round-off in every direction.
@pytest.mark.parametrize("rank", [1, 3, 5])
@pytest.mark.parametrize("symmetric", [True, False])
def test_rank_of_a_random_matrix(rank, symmetric):
    rng = np.random.default_rng(rank)
    left, right = rng.normal(size=(6, rank)), rng.normal(size=(rank, 6))
    J = left @ (left.T if symmetric else right)
    found = growth_exponents(linear(J), "euler", 1.0, 4000)
    expected = np.log(np.sort(np.abs(np.linalg.eigvals(J)))[::-1][:rank])
    assert (found.exponents[rank:] == -np.inf).all() and not found.resolved[rank:].any()
    assert found.exponents[:rank].sum() == pytest.approx(expected.sum(), abs=1e-8 * rank)
    assert found.resolved[:rank].all()


# Catches: exactly zero columns called unresolved.
def test_a_zero_column_is_known_to_be_zero():
    found = growth_exponents(linear(np.diag([2.0, 0.0])), "euler", 1.0, 500)
    np.testing.assert_allclose(found.exponents, [math.log(2.0), -np.inf], rtol=1e-14)
    np.testing.assert_array_equal(found.resolved, [True, True])


# Catches: noise measured against the largest column only, where each has digits of its own.
@pytest.mark.parametrize("nats", [1.0, 50.0, 300.0])
def test_exponents_far_apart_in_every_step(nats):
    field = linear(np.diag(np.exp([nats / 2, 0.0, -nats / 2])))
    found = growth_exponents(field, "euler", 1.0, 500)
    with np.errstate(divide="ignore"):  # 1 + (x − 1) is 0 for a small x
        expected = np.log1p(np.diag(field.W))  # what float64 makes of the matrix
    if nats < 60.0:  # 1 + (e^-150 − 1) is 0
        np.testing.assert_allclose(found.exponents, expected, rtol=1e-12, atol=1e-15)
        assert found.resolved.all()
    else:
        assert found.exponents[-1] == -np.inf


def test_a_cell_whose_steps_part_by_fifty_nats():
    s1, s2, x1, x2, x3 = sympy.symbols("s1 s2 x1 x2 x3")
    c, s = sympy.cos(x3), sympy.sin(x3)
    cell = symbolic_cell(
        [x1 * (c * s1 - s * s2), x2 * (s * s1 + c * s2)], [s1, s2], [x1, x2, x3], check_at=[0.5, 0.25]
    )
    inputs = np.tile([math.exp(25.0), math.exp(-25.0), 0.3], (400, 1))
    found = growth_exponents(unroll(cell, inputs=inputs))
    assert found.exponents.sum() == pytest.approx(0.0, abs=1e-12)  # the determinant of every step is 1
    assert found.exponents[0] == pytest.approx(25.0 + math.log(math.cos(0.3)), rel=1e-12)
    assert found.resolved.all()
    there = np.concatenate([inputs[:60], [[math.exp(-25.0), math.exp(25.0), 0.3]] * 60])
    assert growth_exponents(unroll(cell, inputs=there), burn_in=0).exponents.sum() == pytest.approx(
        0, abs=1e-12
    )


# Catches: a rank lost for good by a step that is not counted.
def test_a_singular_step_in_the_burn_in_does_not_count():
    s1, s2, x = sympy.symbols("s1 s2 x")
    cell = symbolic_cell([2 * s1, x * s2 + s1], [s1, s2], [x], check_at=[0.5, 0.25])
    inputs = np.full((900, 1), 0.5)
    inputs[20] = 0.0
    found = growth_exponents(unroll(cell, inputs=inputs), burn_in=100)
    np.testing.assert_allclose(found.exponents, [math.log(2.0), math.log(0.5)], rtol=1e-12)
    assert growth_exponents(unroll(cell, inputs=inputs), burn_in=10).exponents[1] == -np.inf


# Catches: results that depend on who shares a block, or on the number of threads.
def test_every_member_is_factored_by_itself(henon):
    rng = np.random.default_rng(5)
    s0 = 0.1 * rng.normal(size=(21, 2))
    together = growth_exponents(unroll(henon, 700, s0=s0, threads=1)).exponents
    np.testing.assert_array_equal(growth_exponents(unroll(henon, 700, s0=s0, threads=3)).exponents, together)
    for q in (0, 11, 20):
        np.testing.assert_array_equal(growth_exponents(unroll(henon, 700, s0=s0[q])).exponents, together[q])


def test_mixed_members():
    """Members that need finer and coarser panels, one of them singular, in one block."""
    steps = [1.0, 0.5, 0.25]
    field = NeuralField([[-1.0, 0.0], [1.0, 3.0]], np.zeros(2), activation="identity")
    found = growth_exponents(field, "euler", steps, 600)
    for q, h in enumerate(steps):
        expected = [math.log1p(3 * h), math.log1p(-h) if h < 1 else -np.inf]
        np.testing.assert_allclose(found.exponents[q], expected, rtol=1e-12)


@pytest.mark.parametrize("n_steps", [1, 2, 3, 15, 17, 65])
def test_short_runs(henon, n_steps):
    for every in (None, 1, 2, 16, 1000):
        found = growth_exponents(unroll(henon, n_steps), burn_in=0, qr_every=every)
        assert found.exponents.sum() == pytest.approx(math.log(0.3), abs=1e-12)
        assert log_singular_values(unroll(henon, n_steps), qr_every=every).sum() == pytest.approx(
            n_steps * math.log(0.3), rel=1e-12
        )


@pytest.mark.parametrize("k", [1, 2, 5])
def test_fewer_exponents_are_the_largest(k):
    run = unroll(make("lstm", 5, rng=1), 3000)
    every, some = growth_exponents(run), growth_exponents(run, k=k)
    np.testing.assert_allclose(some.exponents, every.exponents[:k], atol=5e-3)


def test_the_command_says_what_lies_below_round_off(capsys, tmp_path):
    np.savez(tmp_path / "w.npz", W=np.ones((2, 2)) - np.eye(2), b=np.zeros(2))
    given = ["growth", "--weights", str(tmp_path / "w.npz"), "--activation", "identity", "--scheme", "euler"]
    assert main([*given, "--step", "1", "--n-steps", "300"]) == 0
    out = capsys.readouterr().out
    assert "1 exponent is −inf: its direction vanished in some step, or fell below its round-off." in out
    assert main([*given, "--step", "1", "--n-steps", "300", "--json"]) == 0
    assert '"resolved"' in capsys.readouterr().out
