"""Lanczos norms: the promised accuracy also where singular values cluster, and the bookkeeping around it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from integrators import NeuralField
from integrators.engine.column_scale import Scaled
from integrators.run.linearisation import Linearisation
from sensitivity import (
    OdeRecurrence,
    cell,
    jacobian,
    jacobian_norm,
    log_jacobian_norm,
    singular_values,
    unroll,
)
from sensitivity.analysis import singular
from sensitivity.analysis.jacobians import norm_and_log
from sensitivity.analysis.lanczos import JacobianBlock, golub_kahan_lanczos
from sensitivity.analysis.singular import Method

D = 60
STEPS = np.array([0.02, 0.1, 0.3])


def _weights(kind: str) -> NeuralField:
    rng = np.random.default_rng(5)
    gaussian = rng.normal(size=(D, D)) / np.sqrt(D)
    W = {
        "paper": NeuralField.random(D, rng=1).W,
        "gaussian": gaussian,
        "orthogonal": np.linalg.qr(gaussian)[0],
        "identity": np.eye(D),
        "two equal blocks": np.kron(np.eye(2), gaussian[: D // 2, : D // 2]),
    }[kind]
    return NeuralField(W, 0.1 * rng.normal(size=D) if kind in ("paper", "gaussian") else np.zeros(D))


# Catches: a stopping rule that trusts the quadratic estimate inside a cluster, a lost reorthogonalisation.
@pytest.mark.parametrize("kind", ["paper", "gaussian", "orthogonal", "identity", "two equal blocks"])
@pytest.mark.parametrize("scheme", ["leapfrog", "euler"])
def test_norm_agrees_with_full_matrix(kind: str, scheme: str) -> None:
    field = _weights(kind)
    full = jacobian_norm(field, scheme, STEPS, 80, method="full")
    lanczos = jacobian_norm(field, scheme, STEPS, 80, method="lanczos")
    np.testing.assert_allclose(lanczos, full, rtol=1e-10)


# Catches: left and right swapped, vectors not rotated back by the small factors, a wrong exponent.
@pytest.mark.parametrize("block", ["position", "phase"])
def test_triplets_are_singular_triplets(block: str) -> None:
    field = _weights("gaussian")
    J = jacobian(field, "yoshida4", STEPS, 40, block=block)
    found = singular_values(field, "yoshida4", STEPS, 40, block=block, k=3, method="lanczos")
    values = found.unscaled()
    np.testing.assert_allclose(values, np.linalg.svd(J, compute_uv=False)[:, :3], rtol=1e-9)
    left = found.left * values[:, None, :]
    np.testing.assert_allclose(J @ found.right, left, atol=1e-4 * values.max())


# Catches: a value that occurs several times and is counted once, because one start vector sees it once.
@pytest.mark.parametrize("kind", ["orthogonal", "identity", "two equal blocks"])
@pytest.mark.parametrize("n_steps", [0, 1, 20])
@pytest.mark.parametrize("method", ["auto", "lanczos"])
def test_repeated_values_are_all_found(kind: str, n_steps: int, method: Method) -> None:
    field = _weights(kind)
    J = jacobian(field, "leapfrog", STEPS, n_steps)
    for k in (2, 5):
        found = singular_values(field, "leapfrog", STEPS, n_steps, k=k, method=method)
        expected = np.linalg.svd(J, compute_uv=False)[:, :k]
        np.testing.assert_allclose(found.unscaled(), expected, rtol=1e-10)
        gram = np.swapaxes(found.right, 1, 2) @ found.right
        np.testing.assert_allclose(gram, np.broadcast_to(np.eye(k), gram.shape), atol=1e-10)


# Catches: 0/0 and lost copies where J is singular, zero or the identity plus something nilpotent.
@pytest.mark.parametrize("scheme", ["euler", "leapfrog"])
@pytest.mark.parametrize("n_steps", [0, 1, 5])
@pytest.mark.parametrize("d", [2, 7, 49])
def test_singular_jacobians(scheme: str, n_steps: int, d: int) -> None:
    almost = -np.eye(d)
    almost[0, 0] = 0.0
    nilpotent = np.triu(np.random.default_rng(d).normal(size=(d, d)), 1)
    for W in (np.zeros((d, d)), -np.eye(d), almost, nilpotent):
        field = NeuralField(W, np.zeros(d), activation="identity")
        J = jacobian(field, scheme, [0.1, 1.0], n_steps)
        every = np.linalg.svd(J, compute_uv=False)
        for method in ("full", "lanczos", "auto"):
            norms = jacobian_norm(field, scheme, [0.1, 1.0], n_steps, method=method)
            np.testing.assert_allclose(norms, every[:, 0], rtol=1e-10, atol=0)
        few = singular_values(field, scheme, [0.1, 1.0], n_steps, k=2).unscaled()
        np.testing.assert_allclose(few, every[:, :2], rtol=1e-10, atol=1e-14 * every.max())
        least = singular_values(field, scheme, [0.1, 1.0], n_steps, k=2, smallest=True).unscaled()
        np.testing.assert_allclose(least, every[:, ::-1][:, :2], rtol=1e-8, atol=1e-13 * every.max())


def test_smallest_are_the_tail_of_the_spectrum() -> None:
    field = _weights("paper")
    every = singular_values(field, "leapfrog", 0.1, 30).unscaled()
    few = singular_values(field, "leapfrog", 0.1, 30, k=2, smallest=True).unscaled()
    np.testing.assert_allclose(few, every[::-1][:2], rtol=1e-12)


# Catches: the exponent of one sweep used for another, overflow of the plain product.
def test_growth_beyond_float64() -> None:
    W = np.diag(np.linspace(0.5, 2.0, D))
    field = NeuralField(W, np.zeros(D), activation="identity")
    found = log_jacobian_norm(field, "euler", 1.0, 2000, method="lanczos")
    assert found == pytest.approx(2000 * np.log(3.0), rel=1e-12)


def test_driven_and_more_members_than_registers() -> None:
    rng = np.random.default_rng(0)
    field = NeuralField(rng.normal(size=(D, D)) / 8, rng.normal(size=D), rng.normal(size=(D, 2)))
    inputs = rng.normal(size=(25, 2))
    steps = np.linspace(0.05, 0.4, 19)
    full, lanczos = (
        jacobian_norm(field, "leapfrog", steps, 25, inputs=inputs, method=m) for m in ("full", "lanczos")
    )
    np.testing.assert_allclose(lanczos, full, rtol=1e-10)


# Catches: results that depend on how members fall into blocks and threads.
def test_bits_do_not_depend_on_threads() -> None:
    field = _weights("gaussian")
    steps = np.linspace(0.05, 0.4, 40)
    one, two = (jacobian_norm(field, "leapfrog", steps, 30, method="lanczos", threads=t) for t in (1, 2))
    assert np.array_equal(one, two)


# Catches: a group with steps, inputs or results of another; iterations that depend on neighbours.
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("scheme", ["leapfrog", "euler"])
def test_groups_of_members_change_no_bit(scheme: str, threads: int, monkeypatch) -> None:
    rng = np.random.default_rng(3)
    field = NeuralField(rng.normal(size=(D, D)) / 8, rng.normal(size=D), rng.normal(size=(D, 1)))
    steps = np.geomspace(1e-3, 1.0, 41)[rng.permutation(41)]
    arguments = {"inputs": lambda t: [np.sin(t)], "method": "lanczos", "threads": threads}
    sizes, plain = [], Linearisation.__init__

    def noting(self, problem, *rest, **options):
        sizes.append(problem.members)
        plain(self, problem, *rest, **options)

    monkeypatch.setattr(Linearisation, "__init__", noting)
    monkeypatch.setattr(singular, "GROUP_BYTES", 1)
    together = jacobian_norm(field, scheme, steps, 25, **arguments)
    assert sorted(sizes) == [1, 8, 8, 8, 8, 8]
    alone = [jacobian_norm(field, scheme, step, 25, **arguments) for step in steps]
    np.testing.assert_array_equal(together, alone)


# Catches: more trajectories at a time than the promised memory holds, groups of no members.
@pytest.mark.parametrize("member_bytes", [1, 10**5, 10**7, 10**9, 10**11])
@pytest.mark.parametrize("members", [1, 7, 100, 10**6])
@pytest.mark.parametrize("threads", [1, 2, 64])
def test_groups_stay_within_the_memory(member_bytes: int, members: int, threads: int) -> None:
    group, at_a_time = singular._groups(members, member_bytes, threads)
    assert 1 <= at_a_time <= threads
    assert group * at_a_time * member_bytes <= max(singular.STORE_BYTES, member_bytes)


# Catches: iterations that wait for members which have no norm.
def test_a_member_that_overflows_is_left_behind_at_once(monkeypatch) -> None:
    field = NeuralField(np.eye(D), np.ones(D), activation="sin")
    iterations, plain = [], golub_kahan_lanczos

    def noting(*arguments, **options):
        iterations.append((found := plain(*arguments, **options)).iterations)
        return found

    monkeypatch.setattr("sensitivity.analysis.lanczos.golub_kahan_lanczos", noting)
    with pytest.warns(RuntimeWarning, match="batch members are NaN"):
        found = jacobian_norm(field, "euler", [0.1, 1e308], 60, method="lanczos")
    assert np.isfinite(found[0]) and np.isnan(found[1])
    assert max(iterations) < 5


class _Matrix:
    """An operator with a given matrix, to test the iteration by itself."""

    overflowed = np.zeros(1, bool)

    def __init__(self, matrix: np.ndarray) -> None:
        self.matrix = matrix

    def pushforward(self, columns: np.ndarray) -> Scaled:
        return Scaled(self.matrix @ columns, np.zeros(len(columns), np.int64))

    def pullback(self, cotangents: np.ndarray) -> Scaled:
        return Scaled(self.matrix.T @ cotangents, np.zeros(len(cotangents), np.int64))

    def start_vector(self, vector: np.ndarray) -> np.ndarray:
        return vector


def _run(matrix: np.ndarray, **options):
    size = matrix.shape[0]
    whole = slice(0, size)
    return golub_kahan_lanczos(JacobianBlock(_Matrix(matrix), 1, size, whole, whole), **options)


# Catches: division by a zero length when the subspace closes early.
@pytest.mark.parametrize("rank", [0, 1, 3])
def test_low_rank_and_zero_matrices(rank: int) -> None:
    rng = np.random.default_rng(rank)
    matrix = rng.normal(size=(20, rank)) @ rng.normal(size=(rank, 20)) if rank else np.zeros((20, 20))
    found = _run(matrix)
    expected = np.linalg.norm(matrix, 2)
    assert np.ldexp(found.values[0, 0], found.exponent[0]) == pytest.approx(expected, rel=1e-10, abs=0)


# Catches: the claim of an accuracy that was not reached.
def test_close_pair_is_resolved_or_refused() -> None:
    spectrum = np.concatenate([[1.0, 1.0 - 1e-7], np.linspace(0.0, 0.9, 98)])
    rng = np.random.default_rng(3)
    u, v = (np.linalg.qr(rng.normal(size=(100, 100)))[0] for _ in range(2))
    found = _run(u @ np.diag(spectrum) @ v)
    assert np.ldexp(found.values[0, 0], found.exponent[0]) == pytest.approx(1.0, rel=1e-10)
    assert not _run(u @ np.diag(spectrum) @ v, max_iterations=4).converged[0]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"method": "fast"}, "method"),
        ({"tol": 0.0}, "tol"),
        ({"method": "lanczos", "threads": 0}, "threads"),
    ],
)
def test_bad_options_are_named(options: dict, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        jacobian_norm(NeuralField.random(3), "leapfrog", 0.1, 5, **options)


def test_singular_values_refuses_what_it_cannot_do() -> None:
    field = NeuralField.random(3)
    with pytest.raises(ValueError, match="k must be at most 3"):
        singular_values(field, "leapfrog", 0.1, 5, k=4)
    with pytest.raises(ValueError, match="smallest"):
        singular_values(field, "leapfrog", 0.1, 5, k=1, smallest=True, method="lanczos")


def test_linearised_operator_is_the_jacobian() -> None:
    field = NeuralField.random(5, inputs=1)
    recurrence = OdeRecurrence(field, "blanes_moan4", [0.1, 0.3], 12, inputs=np.ones((12, 1)))
    J = recurrence.pushforward(np.eye(10)).unscaled()
    operator = recurrence.linearised()
    columns = np.random.default_rng(0).normal(size=(2, 10, 3))
    np.testing.assert_allclose(operator.pushforward(columns).unscaled(), J @ columns, rtol=1e-12, atol=1e-13)
    pulled = operator.pullback(columns).unscaled()
    np.testing.assert_allclose(pulled, np.swapaxes(J, 1, 2) @ columns, rtol=1e-12, atol=1e-13)


# Catches: a number of iterations that depends on which members are run together.
def test_bits_do_not_depend_on_neighbours() -> None:
    field = _weights("gaussian")
    together = jacobian_norm(field, "leapfrog", STEPS, 40, method="lanczos")
    alone = [jacobian_norm(field, "leapfrog", h, 40, method="lanczos") for h in STEPS]
    assert np.array_equal(together, alone)


# Catches: an equality of arrays that has no one truth value.
def test_singular_values_are_compared_by_their_values():
    field = NeuralField.random(3, rng=0)
    one, other = (singular_values(field, "leapfrog", 0.1, 5) for _ in range(2))
    assert one == other and hash(one) == hash(other)
    assert one != singular_values(field, "leapfrog", 0.1, 6)


# Catches: the logarithm of a norm below the least normal number, which has lost its digits.
def test_logarithms_of_subnormal_norms_are_as_exact_as_others():
    made = cell("vanilla", 1, activation="identity").with_parameters(W=[[1e-160]])
    _, log_norm = norm_and_log(unroll(made, 2))
    assert abs(log_norm[0] - 2.0 * math.log(1e-160)) < 1e-12


def test_a_certified_norm_has_no_method_and_no_dtype():
    field = NeuralField.random(2, rng=0)
    for option in ({"method": "lanczos"}, {"dtype": np.float32}):
        with pytest.raises(ValueError, match="have no effect"):
            jacobian_norm(field, "leapfrog", 0.1, 2, certified=True, **option)
