"""Gradients of log norms and exponents against 50-digit differences, for every cell and every scheme."""

import math

import mpmath
import naive_cells
import numpy as np
import pytest
import sympy

import leapgrad as lg
from sensitivity.analysis.gradients import frames
from sensitivity.recurrences.cells.gated import LSTM
from sensitivity.recurrences.registry import MODELS

DIGITS, H = 70, 20


def moved(name, d, n_inputs):
    """A model off its published start, without the structure of its parameters, and with no orthogonal W."""
    cell, rng = lg.cell(name, d, n_inputs, rng=3), np.random.default_rng(3)
    cell = cell.with_free(cell.free + cell.free_trainable * 0.3 * rng.normal(size=cell.free.size))
    cell = cell.unstructured()
    own = cell.parameters
    # Of an orthogonal W the singular values are equal, which leaves the largest one without a gradient.
    return cell.with_parameters(W=own["W"] + 0.2 * rng.normal(size=own["W"].shape)) if "W" in own else cell


def in_mp(array):
    return np.vectorize(mpmath.mpf, otypes=[object])(np.asarray(array, dtype=float))


def products(step, p, s, inputs, h, clock):
    """∂s_n/∂s_0 for n = 1 … N, in mpmath."""
    J, found = np.eye(len(s)), []
    for x, t in zip(inputs, clock, strict=True):
        J = naive_cells.jacobian(step, p, s, x, h, t) @ J
        s = step(p, s, x, h, t)
        found.append(J)
    return found


def along(run_at):
    """Products at a point and their derivatives along a direction, ``run_at(h)`` in mpmath."""
    with mpmath.workdps(DIGITS):
        h = mpmath.mpf(10) ** -H
        here, up, down = run_at(0), run_at(h), run_at(-h)
        slopes = [(a - b) / (2 * h) for a, b in zip(up, down, strict=True)]
    return [np.array(J, dtype=float) for J in here], [np.array(J, dtype=float) for J in slopes]


def slope_of_logs(J, dJ):
    """d ln σ of all singular values, and d ln ‖J‖_F."""
    u, s, vt = np.linalg.svd(J)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.einsum("ij,ik,jk->j", u[:, : s.size], dJ, vt.T[:, : s.size].T) / s, (J * dJ).sum() / (
            J * J
        ).sum()


def slope_of_growth(J, dJ, frame):
    """d ln R_jj of J · frame = Q R."""
    Q, R = np.linalg.qr(J @ frame)
    return np.diagonal(Q.T @ dJ @ frame @ np.linalg.inv(R))


def first_frame(size, k):
    return np.eye(size) if k == size else np.linalg.qr(np.random.default_rng(0).normal(size=(size, k)))[0]


def directional(found, direction, s0):
    """⟨gradient, direction⟩ over all parameters and s_0, one number for each value."""
    total = found.s0 @ s0
    for name, own in direction.items():
        total = total + (found.parameters[name] * own).reshape(*np.shape(found.value), -1).sum(axis=-1)
    return total


def compare(found, expected, what):
    scale = max(np.abs(expected).max(), 1e-3)
    assert np.abs(found - expected).max() <= 1e-11 * scale, what


@pytest.mark.parametrize("name", MODELS)
def test_every_cell_against_fifty_digits(name):
    cell, rng = moved(name, 2, 2), np.random.default_rng(0)
    n = 3
    inputs, clock = rng.normal(size=(n, 2)), cell.clock(n)
    s0, ds = np.abs(0.5 * rng.normal(size=cell.dim)) + 0.1, rng.normal(size=cell.dim)
    delta = rng.normal(size=cell.packed.size) * cell.trainable
    direction = cell.unpack(delta)[0]
    step = getattr(naive_cells, name)

    def run_at(h):
        p = {key: in_mp(value) + h * in_mp(direction[key]) for key, value in cell.parameters.items()}
        for key in cell.kind.constants or {}:
            p[key] = float(cell.parameters[key])
        return products(step, p, in_mp(s0) + h * in_mp(ds), in_mp(inputs), cell.step_size, in_mp(clock))

    here, slopes = along(run_at)
    run = lg.unroll(cell, inputs=inputs, s0=s0)
    block = cell.blocks.get(cell.default_block, slice(0, cell.dim))
    J, dJ = here[-1][block, block], slopes[-1][block, block]
    by_sigma, by_frobenius = slope_of_logs(J, dJ)
    compare(directional(lg.log_norm_gradient(run), direction, ds), by_sigma[0], "spectral")
    frobenius = lg.log_norm_gradient(run, norm="frobenius")
    compare(directional(frobenius, direction, ds), by_frobenius, "Frobenius")
    values = lg.log_singular_value_gradient(run, [0, 1])
    sigma = np.linalg.svd(J)[1]
    for rank in range(2):
        if sigma[rank] > 1e-9 * sigma[0]:
            compare(directional(values, direction, ds)[rank], by_sigma[rank], f"rank {rank}")
    k = 2  # but where a relu is off at a step
    if any(not (logs_of(product, first_frame(cell.dim, k)) > -20.0).all() for product in (here[0], here[-1])):
        k = 1
    grown, frame = lg.exponent_gradient(run, k, burn_in=1), first_frame(cell.dim, k)
    expected = slope_of_growth(here[-1], slopes[-1], frame) - slope_of_growth(here[0], slopes[0], frame)
    order = np.argsort(-logs_of(here[-1], frame) + logs_of(here[0], frame))
    compare(directional(grown, direction, ds), expected[order] / (n - 1), "exponents")
    exponents = lg.growth_exponents(run, k=k, burn_in=1).exponents
    assert np.allclose(grown.value, exponents, rtol=1e-11, atol=1e-12)
    assert float(frobenius.value) == pytest.approx(np.log(np.linalg.norm(J)), rel=1e-12, abs=1e-13)


def logs_of(J, frame):
    with np.errstate(divide="ignore"):
        return np.log(np.abs(np.diagonal(np.linalg.qr(J @ frame)[1])))


# --------------------------------------------------------------------------------------- closed forms


def line(W):
    """h' = W h, with W a parameter."""
    W = np.atleast_2d(W)
    cell = lg.cell("vanilla", len(W), activation="identity")
    return cell.with_parameters(W=W, b=np.zeros(len(W)))


@pytest.mark.parametrize("weight", (1e-3, 0.5, -2.0))
def test_a_product_far_beyond_float64(weight):
    """ln |λ^N| has the derivative N/λ."""
    run = lg.unroll(line([[weight]]), n_steps=2000)
    for found in (
        lg.log_norm_gradient(run),
        lg.log_norm_gradient(run, norm="frobenius"),
        lg.log_singular_value_gradient(run, 0),
    ):
        assert float(found.value) == pytest.approx(2000 * np.log(abs(weight)), rel=1e-13)
        assert found.parameters["W"] == pytest.approx(np.array([[2000 / weight]]), rel=1e-12)
        assert found.parameters["b"] == 0.0
    grown = lg.exponent_gradient(run)
    assert grown.parameters["W"] == pytest.approx(np.array([[[1.0 / weight]]]), rel=1e-12)


def test_singular_values_that_lie_three_hundred_powers_of_ten_apart():
    """d(ln σ_1 + ln σ_2) = d(N ln |det W|) = N W^−T, and d ln σ_1 tends to d(N ln λ)."""
    W, n = np.array([[2.0, 1.0], [0.3, 0.5]]), 1200
    found = lg.log_singular_value_gradient(lg.unroll(line(W), n_steps=n), [1, 0])
    assert found.value[1] - found.value[0] > 1200.0
    assert np.allclose(found.parameters["W"].sum(axis=0), n * np.linalg.inv(W).T, rtol=1e-11)
    values, right = np.linalg.eig(W)
    left = np.linalg.inv(right)
    top = np.argmax(values)
    limit = n * np.outer(left[top], right[:, top]) / values[top]
    # d ln |v wᵀ| of the eigenvectors stays finite where n grows
    assert np.allclose(found.parameters["W"][1] / n, limit / n, atol=5.0 / n)
    assert np.allclose(found.gap, found.value[1] - found.value[0])


def test_where_no_gradient_exists_it_is_nan_and_the_gap_says_why():
    run = lg.unroll(line(np.diag([2.0, 2.0, 0.0])), n_steps=3)
    found = lg.log_singular_value_gradient(run, [0, 2])
    assert found.value[0] == pytest.approx(3 * np.log(2.0)) and found.value[1] == -np.inf
    assert found.gap[0] == pytest.approx(0.0, abs=1e-14)
    assert np.isfinite(found.parameters["W"][0]).all() and np.isnan(found.parameters["W"][1]).all()
    # The sum of squares does not mind.
    J = np.diag([8.0, 8.0, 0.0])
    frobenius = lg.log_norm_gradient(run, norm="frobenius").parameters["W"]
    assert np.allclose(frobenius, 3 * np.diag([4.0, 4.0, 0.0]) * J / (J * J).sum())
    nothing = lg.log_norm_gradient(lg.unroll(line(np.zeros((2, 2))), n_steps=3))
    assert nothing.value == -np.inf and np.isnan(nothing.parameters["W"]).all()


@pytest.mark.parametrize("name, d", [("momentum_lstm", 1), ("slstm", 1), ("slstm", 2)])
@pytest.mark.parametrize("n_steps", [4, 30])
def test_values_behind_a_singular_step_are_those_of_growth_exponents(name, d, n_steps):
    """The new cell state of these is the input of the gates, so that some columns become zero at once."""
    rng = np.random.default_rng(1)
    cell = lg.cell(name, d, 1, rng=2)
    start, inputs = 0.3 * rng.normal(size=(2, cell.dim)), rng.normal(size=(2, n_steps, 1))
    run = lg.unroll(cell, inputs=inputs, s0=start)
    for k in range(1, cell.dim + 1):
        found = lg.exponent_gradient(run, k, burn_in=1)
        expected = lg.growth_exponents(run, k=k, burn_in=1).exponents
        np.testing.assert_allclose(found.value, expected, rtol=1e-12, atol=1e-12)
        singular = ~np.isfinite(expected).all(axis=1)
        assert (np.isnan(found.s0).all(axis=(1, 2)) == singular).all()


def test_a_column_that_a_step_annihilates_to_round_off_counts_as_zero():
    """W maps (1, 1, 1)/√3, which float64 does not hold, to some 1e-17; no number is made of that."""
    W = np.array([[0.3, 0.1, -0.4], [0.2, -0.3, 0.1], [0.7, -0.2, -0.5]])
    cell = lg.cell("vanilla", 3, activation="identity").with_parameters(W=W, b=np.zeros(3))
    run = lg.unroll(cell, n_steps=1)
    frame = np.full((3, 1), 1.0 / np.sqrt(3.0))
    assert 0.0 < np.abs(W @ frame).max() < 1e-15
    assert frames.Frames(run, frame).logs.item() == -np.inf


def test_the_tail_of_erfc_has_all_its_digits():
    """∂s₁'/∂s₁ = erfc(s₀) ~ 2e-17 at s₀ = 6, where 1 − erf(s₀) is 0."""
    u, v = sympy.symbols("u v")
    cell = lg.symbolic_cell([u, sympy.erfc(u) * v], [u, v])
    found = lg.log_singular_value_gradient(lg.unroll(cell, n_steps=1, s0=[6.0, 0.0]), 1)
    slope = -2.0 / math.sqrt(math.pi) * math.exp(-36.0) / math.erfc(6.0)
    assert found.value == pytest.approx(math.log(math.erfc(6.0)), rel=1e-14)
    assert found.s0[0] == pytest.approx(slope, rel=1e-12)


def test_no_steps():
    found = lg.log_norm_gradient(lg.unroll(lg.cell("lstm", 3, rng=0), n_steps=0))
    assert found.value == 0.0 and found.gap == 0.0
    assert all((part == 0.0).all() for part in (*found.parameters.values(), found.s0))


def test_a_chaotic_gradient_too_large_for_float64_has_a_logarithm():
    """∂λ/∂r of the logistic map along the computed states, by its own recursion in mpmath."""

    def step(theta, s, x, out, by_state):
        for m in range(s.shape[1]):
            out[0, m] = theta[0] * s[0, m] * (1.0 - s[0, m])
            by_state[0, 0, m] = theta[0] * (1.0 - 2.0 * s[0, m])

    def slopes(theta, s, x, by_theta, by_input):
        for m in range(s.shape[1]):
            by_theta[0, 0, m] = s[0, m] * (1.0 - s[0, m])

    run = lg.unroll(lg.own_cell(step, slopes, 1, {"r": 3.99}, check_at=[0.3]), 1200, s0=[0.3])
    found = lg.exponent_gradient(run, burn_in=0)
    r, moved, total = mpmath.mpf(3.99), mpmath.mpf(0), mpmath.mpf(0)
    for x in run.states()[:-1, 0].tolist():
        slope = 1 - 2 * mpmath.mpf(x)
        total += 1 / r - 2 * moved / slope
        moved = r * slope * moved + mpmath.mpf(x) * (1 - mpmath.mpf(x))
    expected = mpmath.log(abs(total) / 1200)
    assert float(expected) > 710.0
    assert found.log_norms["r"][0] == pytest.approx(float(expected), rel=1e-13)
    assert np.isinf(found.parameters["r"]).all()


# ------------------------------------------------------------------------------------ batches, layers


def test_members_pieces_and_threads_change_no_gradient(monkeypatch):
    rng = np.random.default_rng(5)
    cell = lg.cell("gru", 3, 2, rng=1)
    inputs = rng.normal(size=(2, 2, 40, 2))
    found = lg.exponent_gradient(lg.unroll(cell, inputs=inputs, threads=1), 2)
    assert found == lg.exponent_gradient(lg.unroll(cell, inputs=inputs, threads=2), 2)
    assert found.value.shape == (2, 2, 2) and found.parameters["W"].shape == (2, 2, 2, 9, 3)
    assert found.s0.shape == (2, 2, 2, 3) and found.log_norms["b"].shape == found.gap.shape == (2, 2, 2)
    alone = lg.exponent_gradient(lg.unroll(cell, inputs=inputs[1, 0]), 2)
    for name, own in alone.parameters.items():
        assert np.allclose(found.parameters[name][1, 0], own, rtol=1e-12, atol=1e-15)
        size = np.linalg.norm(own.reshape(2, -1), axis=1)
        assert np.allclose(alone.log_norms[name], np.log(size), rtol=0, atol=1e-13)
    weights = np.array([0.3, -2.0])
    weighted = lg.exponent_gradient(lg.unroll(cell, inputs=inputs), 2, weights=weights)
    assert np.allclose(weighted.value, found.value @ weights, rtol=1e-13)
    assert np.allclose(weighted.parameters["V"], np.einsum("k,abkij->abij", weights, found.parameters["V"]))
    monkeypatch.setattr(frames, "NUMBERS_AT_ONCE", 1 << 10)
    pieces = lg.exponent_gradient(lg.unroll(cell, inputs=inputs), 2)
    assert np.allclose(pieces.parameters["W"], found.parameters["W"], rtol=1e-12, atol=1e-15)


def by_differences(value, point, direction, h=1e-3):
    def slope(h):
        return (value(point + h * direction) - value(point - h * direction)) / (2.0 * h)

    first, second, third = slope(h), slope(h / 2.0), slope(h / 4.0)
    return (64.0 * third - 20.0 * second + first) / 45.0


def stacked():
    """An LSTM of two layers."""
    rng = np.random.default_rng(2)
    shapes = [LSTM.shapes(3, n) for n in (2, 3)]
    return LSTM.layers(3, 2, [{k: 0.7 * rng.normal(size=v) for k, v in own.items()} for own in shapes])


MADE = [
    lg.cell("exprnn", 3, 2, rng=2),
    lg.cell("linoss_im", 3, 2, rng=2),
    lg.cell("s6", 2, 2, rng=2),
    stacked(),
]


@pytest.mark.parametrize("cell", MADE, ids=repr)
def test_free_parameters_against_differences(cell):
    rng = np.random.default_rng(6)
    inputs, s0 = rng.normal(size=(9, 2)), 0.1 + 0.3 * rng.normal(size=cell.dim)
    direction = rng.normal(size=cell.free.size) * cell.free_trainable

    def value(free):
        return lg.growth_exponents(lg.unroll(cell.with_free(free), inputs=inputs, s0=s0), k=2).exponents

    found = lg.exponent_gradient(lg.unroll(cell, inputs=inputs, s0=s0), 2)
    flat = np.concatenate([found.parameters[name].reshape(2, -1) for name in found.parameters], axis=1)
    assert np.allclose(flat @ direction, by_differences(value, cell.free, direction), rtol=1e-8, atol=1e-10)
    assert (flat[:, ~cell.free_trainable] == 0.0).all()


def test_what_cannot_be_differentiated_twice_says_so():
    jax = pytest.importorskip("jax")
    run = lg.unroll(lg.from_function(lambda s: jax.numpy.tanh(s), np.zeros(2), library="jax"), n_steps=3)
    with pytest.raises(ValueError, match="gives first derivatives only"):
        lg.log_norm_gradient(run)


def test_float32_is_refused():
    field = lg.NeuralField.random(2)
    run = lg.unroll(field, scheme="leapfrog", step=0.1, n_steps=3)
    narrow = lg.OdeRecurrence(field, "leapfrog", 0.1, 3, dtype="float32")
    lg.log_norm_gradient(run)
    with pytest.raises(ValueError, match="computed in float64; leave out dtype"):
        lg.exponent_gradient(narrow)


def test_a_member_that_overflows_is_nan():
    cell = lg.cell("vanilla", 1, 1, activation="relu").with_parameters(W=[[3.0]], V=[[1.0]], b=[0.0])
    inputs = np.zeros((2, 700, 1))
    inputs[0, 600:] = -1e300
    with pytest.warns(RuntimeWarning, match="1 of 2 batch members are NaN"):
        found = lg.exponent_gradient(lg.unroll(cell, inputs=inputs, s0=[5.0]), burn_in=2)
    assert np.isnan(found.value[1]).all() and np.isnan(found.parameters["W"][1]).all()
    assert found.value[0, 0] == -np.inf and np.isnan(found.parameters["W"][0]).all()


def test_gradients_of_an_empty_batch_are_empty():
    cell = lg.cell("vanilla", 2, 1)
    run = lg.unroll(cell, 3, np.zeros((0, 2)))
    by_norm, by_exponent = lg.log_norm_gradient(run), lg.exponent_gradient(run, 2)
    assert by_norm.value.shape == (0,) and by_norm.s0.shape == (0, 2)
    assert by_norm.parameters["W"].shape == (0, 2, 2)
    assert by_exponent.value.shape == (0, 2) and by_exponent.parameters["W"].shape == (0, 2, 2, 2)
    assert {bound.log_value.shape for bound in lg.bounds.of_recurrence(run)} == {(0,)}
