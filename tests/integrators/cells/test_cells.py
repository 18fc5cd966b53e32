"""Recurrent cells: values, one-step Jacobians, products of them and gradients against naive twins."""

import mpmath
import naive_cells
import naive_structures
import numpy as np
import pytest

from integrators.cells.cell import Kind
from integrators.run import recurrence
from sensitivity import (
    gradient_profile,
    growth_exponents,
    jacobian,
    jacobian_norm,
    log_jacobian_norm,
    log_singular_values,
    singular_values,
)
from sensitivity.recurrences.cell import unroll
from sensitivity.recurrences.cells.gated import LSTM, lstm
from sensitivity.recurrences.registry import MODELS, make

every_model = pytest.mark.parametrize("name", MODELS)
ONE_MAP = [name for name in MODELS if make(name, 2).kind.substeps == 1]


def perturbed(name, d, n_inputs, seed=3):
    """The model with every parameter moved off its published start, where many are zero or equal."""
    cell = make(name, d, n_inputs, rng=seed)
    rng = np.random.default_rng(seed)
    return cell.with_free(cell.free + cell.free_trainable * 0.3 * rng.normal(size=cell.free.size))


def point(cell, seed=5):
    rng = np.random.default_rng(seed)
    return in_domain(cell, rng.normal(size=cell.dim)), rng.normal(size=cell.n_inputs)


def in_domain(cell, s):
    """Second moments, and the counts by which an sLSTM divides, are not negative."""
    for block in {"m", "n"} & set(cell.blocks):
        s[cell.blocks[block]] = np.abs(s[cell.blocks[block]]) + 0.1
    return s


@every_model
@pytest.mark.parametrize("n_inputs", (0, 3))
def test_one_step_is_the_published_map_and_its_derivative(name, n_inputs):
    cell = perturbed(name, 6, n_inputs)
    twin, p = getattr(naive_cells, name), cell.parameters
    for seed in range(5):
        s, x = point(cell, seed)
        value, J = cell.linearise(s, x, index=seed)
        clock = cell.clock(seed + 1)[seed]
        expected = twin(p, s, x, cell.step_size, clock)
        reference = naive_cells.jacobian(twin, p, s, x, cell.step_size, clock)
        assert np.abs(value - expected).max() <= 1e-14 * max(1.0, np.abs(expected).max())
        assert np.abs(J - reference).max() <= 1e-14 * max(1.0, np.abs(reference).max())


@every_model
def test_one_step_adjoint_and_its_gradients(name):
    cell = perturbed(name, 5, 2)
    twin = getattr(naive_cells, name)
    s, x = point(cell)
    lam = np.random.default_rng(8).normal(size=cell.dim)
    by_state, by_input, by_theta = cell.adjoint(s, x, lam, index=4)
    _, J = cell.linearise(s, x, index=4)
    h, clock = cell.step_size, cell.clock(5)[4]
    assert np.abs(by_state - J.T @ lam).max() <= 1e-14
    eps = naive_cells.EPS
    along = [np.imag(twin(cell.parameters, s, x + 1j * eps * e, h, clock)) / eps for e in np.eye(2)]
    assert np.abs(by_input - np.array(along) @ lam).max() <= 1e-14
    for j in np.flatnonzero(cell.free_trainable):
        moved = cell.free.astype(complex)
        moved[j] += 1j * eps
        p = naive_structures.parameters(name, cell.unpack_free(moved)[0], 5)
        slope = np.imag(twin(p, s, x, h, clock)) / eps @ lam
        assert abs(by_theta[j] - slope) <= 1e-13 * max(1.0, abs(slope))
    assert not by_theta[~cell.free_trainable].any()


@every_model
def test_product_against_mpmath(name):
    cell = perturbed(name, 3, 2)
    twin, rng = getattr(naive_cells, name), np.random.default_rng(0)
    inputs, s0 = rng.normal(size=(7, 2)), in_domain(cell, 0.5 * rng.normal(size=cell.dim))
    with mpmath.workdps(60):
        p, s, *drive = naive_cells.in_mpmath(cell.parameters, s0, *inputs)
        P = np.eye(cell.dim, dtype=object)
        for x, clock in zip(drive, cell.clock(7), strict=True):
            P = naive_cells.jacobian(twin, p, s, x, cell.step_size, clock) @ P
            s = twin(p, s, x, cell.step_size, clock)
        scale = max(abs(v) for v in P.ravel())
        run = unroll(cell, s0=s0, inputs=inputs)
        assert max(abs(v) for v in (jacobian(run, block="state") - P).ravel()) <= 1e-12 * scale
        assert max(abs(v) for v in run.run() - s) <= 1e-13


@pytest.mark.nojit
def test_uncompiled():
    cell = perturbed("gru_before", 3, 1)
    s, x = point(cell)
    J = cell.linearise(s, x)[1]
    reference = naive_cells.jacobian(naive_cells.gru_before, cell.parameters, s, x)
    assert np.abs(J - reference).max() <= 1e-14
    lam = np.ones(3)
    assert np.abs(cell.adjoint(s, x, lam)[0] - J.T @ lam).max() <= 1e-14


@pytest.fixture(scope="module")
def batch():
    rng = np.random.default_rng(1)
    return rng.normal(size=(11, 30, 2)), rng.normal(size=(11, 10))


@pytest.fixture
def run(batch):
    inputs, s0 = batch
    return unroll(perturbed("lstm", 5, 2), s0=s0, inputs=inputs)


def products(run, batch):
    """∂s_N/∂s_i of every member, i = 0 … N, from one-step Jacobians."""
    inputs, s0 = batch
    result = []
    for drive, s in zip(inputs, s0, strict=True):
        steps = []
        for x in drive:
            s, J = run.cell.linearise(s, x)
            steps.append(J)
        P = [np.eye(len(s))]
        for J in reversed(steps):
            P.append(P[-1] @ J)
        result.append(P[::-1])
    return np.array(result)


def test_every_member_of_the_protocol(run, batch):
    P = products(run, batch)
    J, size = P[:, 0], np.abs(P[:, 0]).max()
    rng = np.random.default_rng(2)
    V, own = rng.normal(size=(10, 3)), rng.normal(size=(11, 10, 3))

    def near(found, expected):
        assert np.abs(found - expected).max() <= 1e-13 * size

    near(run.pushforward(V).unscaled(), J @ V)
    near(run.pushforward(V, rows="c").unscaled(), (J @ V)[:, 5:])
    near(run.pullback(V).unscaled(), J.swapaxes(1, 2) @ V)
    stored = run.linearised()
    near(stored.pushforward(own).unscaled(), J @ own)
    near(stored.pullback(own).unscaled(), J.swapaxes(1, 2) @ own)
    near(run.select(slice(3, 5)).pushforward(V).unscaled(), (J @ V)[3:5])
    assert run.shape == (11,) and run.state_size == 10 and list(run.blocks) == ["h", "c"]

    norms = np.linalg.norm(J, 2, axis=(1, 2))
    near(jacobian_norm(run), norms)
    near(jacobian_norm(run, method="lanczos"), norms)
    near(jacobian_norm(run, block="c"), np.linalg.norm(J[:, 5:, 5:], 2, axis=(1, 2)))
    assert np.abs(log_jacobian_norm(run) - np.log(norms)).max() <= 1e-12
    near(np.asarray(singular_values(run, k=2)), np.linalg.svd(J, compute_uv=False)[:, :2])
    assert np.abs(log_singular_values(run)[:, 0] - np.log(norms)).max() <= 1e-9
    assert growth_exponents(run).exponents.shape == (11, 10)


def test_profiles_of_states_and_inputs(run, batch):
    P = products(run, batch)
    inputs, s0 = batch
    profile = gradient_profile(run)
    assert np.abs(profile.norms - np.linalg.norm(P, 2, axis=(2, 3))).max() <= 1e-12
    hidden = gradient_profile(run, block="h", cotangent=np.ones(5))
    expected = np.linalg.norm(P[:, :, :5, :5].sum(axis=2), axis=2)
    assert np.abs(hidden.norms - expected).max() <= 1e-12
    by_input = gradient_profile(run, of="inputs").norms
    assert by_input.shape == (11, 30)
    cell, step = run.cell, 1e-6
    x = inputs[0].copy()
    moved = [cell_run(cell, s0[0], x, 20, e) - cell_run(cell, s0[0], x, 20, -e) for e in step * np.eye(2)]
    assert by_input[0, 20] == pytest.approx(np.linalg.norm(np.array(moved).T / (2 * step), 2), rel=1e-7)


def cell_run(cell, s0, inputs, at, change):
    x = inputs.copy()
    x[at] += change
    return unroll(cell, s0=s0, inputs=x).run()


def test_gradients_by_parameters_state_and_inputs(run, batch):
    inputs, s0 = batch
    rng = np.random.default_rng(4)
    A = rng.normal(size=(11, 31, 10))

    def loss(theta, s, x):
        twin = [s]
        p = run.cell.unpack(theta)[0]
        for i in range(x.shape[1]):
            new = [
                naive_cells.lstm(p, state, drive, 1.0, ())
                for state, drive in zip(twin[-1], x[:, i], strict=True)
            ]
            twin.append(np.array(new))
        return sum((A[:, i] * s**2).sum() / 2 for i, s in enumerate(twin))

    states = run.states()
    assert states.shape == (11, 31, 10)
    found = run.backpropagate(A * states, inputs=True)
    eps, theta = naive_cells.EPS, run.cell.theta
    for part, direction in (("theta", rng.normal(size=theta.shape)), ("s0", rng.normal(size=s0.shape)),
                            ("inputs", rng.normal(size=inputs.shape))):  # fmt: skip
        moved = {"theta": theta, "s0": s0, "inputs": inputs}
        moved[part] = moved[part] + 1j * eps * direction
        slope = np.imag(loss(*moved.values())) / eps
        assert (getattr(found, part) * direction).sum() == pytest.approx(slope, rel=1e-12)
    last = run.backpropagate(A[:, -1]).theta
    each = sum(run.select(slice(q, q + 1)).parameter_gradient(A[q, -1])[0] for q in range(11))
    assert np.abs(last - each).max() <= 1e-12 * np.abs(each).max()


def test_bits_do_not_depend_on_threads_members_or_memory(run, batch):
    from integrators.run.backpropagation import backpropagate

    inputs, s0 = batch
    J, states = jacobian(run), run.states()
    for threads in (1, 2):
        again = unroll(run.cell, s0=s0, inputs=inputs, threads=threads)
        assert np.array_equal(jacobian(again), J)
    for q in (0, 10):
        alone = unroll(run.cell, s0=s0[q], inputs=inputs[q])
        assert np.array_equal(jacobian(alone), J[q])
        assert np.array_equal(alone.run(), states[q, -1])
        assert np.array_equal(
            run.pullback(np.eye(10)[:, :1]).values[q], alone.pullback(np.eye(10)[:, :1]).values
        )
    forcing = np.moveaxis(states, 0, -1)
    whole = backpropagate(run, forcing, inputs=True)
    parts = backpropagate(run.select(slice(None), threads=2), forcing, inputs=True, memory_bytes=20_000)
    for a, b in zip(whole, parts, strict=True):
        assert np.array_equal(a, b)


# Catches: slopes on the tape at a wrong place, of another step or member; a register that reads past the end.
@pytest.mark.parametrize("name", ONE_MAP)
@pytest.mark.parametrize("members", (1, 3, 8))
def test_slopes_on_the_tape_are_those_of_a_step_anew(name, members, monkeypatch):
    cell = perturbed(name, 6, 3)
    rng = np.random.default_rng(members)
    model = unroll(cell, inputs=0.3 * rng.normal(size=(members, 4, 3)))
    columns = rng.normal(size=(members, cell.dim, 2))
    assert model.linearised_rows > cell.dim
    with_slopes = model.linearised()
    monkeypatch.setattr(recurrence, "CONDENSED_BYTES", 0)
    assert model.linearised_rows == cell.dim
    states = model.linearised()
    for sweep in ("pushforward", "pullback"):
        found, expected = (getattr(kept, sweep)(columns) for kept in (with_slopes, states))
        assert np.isfinite(expected.values).all()
        np.testing.assert_array_equal(found.values, expected.values)
        np.testing.assert_array_equal(found.exponent, expected.exponent)


# Catches: halves in the other order, or of one state; J of the wrong sign; a tape entry without its half.
def test_h2_is_symplectic_and_has_its_two_halves():
    assert [name for name in MODELS if name not in ONE_MAP] == ["h2"]
    d, n = 4, 30
    cell = make("h2", d, 2, rng=1, step=0.2)
    rng = np.random.default_rng(0)
    inputs, s = rng.normal(size=(n, 2)), rng.normal(size=2 * d)
    run = unroll(cell, s0=s, inputs=inputs)
    assert run.linearised_rows == cell.dim  # states alone: every step is evaluated again
    M = jacobian(run, block="state")
    J = np.block([[np.zeros((d, d)), np.eye(d)], [-np.eye(d), np.zeros((d, d))]])
    size = np.linalg.norm(M, 2)
    assert np.abs(M.T @ J @ M - J).max() <= 1e-12 * size**2
    assert size >= 1.0 and size <= np.exp(cell.log_bound(cell.step_size, n))
    y, z = s[:d], s[d:]
    p = cell.parameters
    for x in inputs:
        z = z + 0.2 * p["W"].T @ np.tanh(p["W"] @ y + p["V"] @ x + p["b"])
        y = y - 0.2 * p["W_2"].T @ np.tanh(p["W_2"] @ z + p["V_2"] @ x + p["b_2"])
    np.testing.assert_allclose(run.run(), np.concatenate([y, z]), rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match="h2 has one layer, which applies 2 maps in turn"):
        cell.kind.layers(d, 2, [p, p])


# Catches: strips, groups of neurons and rows of sums that end at a wrong column, neuron or parameter.
@pytest.mark.parametrize("name", ("lstm", "gru", "lem", "gru_before", "staggered", "cornn", "unicornn", "h2"))
@pytest.mark.parametrize("d", (7, 50))
def test_many_columns_are_one_after_the_other(name, d):
    cell = perturbed(name, d, 3)
    rng = np.random.default_rng(d)
    model = unroll(cell, inputs=0.3 * rng.normal(size=(2, 3, 3)))
    columns = rng.normal(size=(cell.dim, 21))
    together, back = model.pushforward(columns), model.pullback(columns)
    for j in (0, 15, 16, 20):
        for found, alone in ((together, model.pushforward), (back, model.pullback)):
            np.testing.assert_array_equal(found.values[..., j], alone(columns[:, j : j + 1]).values[..., 0])


def test_products_far_outside_float64():
    cell = make("vanilla", 4)
    grown = unroll(cell.with_theta(np.concatenate([4.0 * np.eye(4).ravel(), np.zeros(4), [3.0]])), 2000)
    assert log_jacobian_norm(grown) == pytest.approx(2000 * np.log(4.0), rel=1e-14)
    shrunk = unroll(cell.with_theta(np.concatenate([np.eye(4).ravel() / 4, np.zeros(5)])), 2000)
    assert log_jacobian_norm(shrunk) == pytest.approx(-2000 * np.log(4.0), rel=1e-14)


def test_layers_take_the_state_below_as_input():
    rng = np.random.default_rng(6)
    single = [perturbed("lstm", 3, n, seed) for n, seed in ((2, 1), (3, 2))]
    stacked = LSTM.layers(3, 2, [dict(c.parameters) for c in single])
    s, x = rng.normal(size=12), rng.normal(size=2)
    below = single[0].step(s[:6], x)
    above = single[1].step(s[6:], below[:3])
    assert np.array_equal(stacked.step(s, x), np.concatenate([below, above]))
    eps = naive_cells.EPS

    def whole(s, x, theta=stacked.theta):
        first, second = stacked.unpack(theta)
        below = naive_cells.lstm(first, s[:6], x, 1.0, ())
        return np.concatenate([below, naive_cells.lstm(second, s[6:], below[:3], 1.0, ())])

    J = np.array([np.imag(whole(s + 1j * eps * e, x)) / eps for e in np.eye(12)]).T
    assert np.abs(stacked.linearise(s, x)[1] - J).max() <= 1e-14
    lam = rng.normal(size=12)
    by_state, by_input, by_theta = stacked.adjoint(s, x, lam)
    assert np.abs(by_state - J.T @ lam).max() <= 1e-14
    by = np.array([np.imag(whole(s, x + 1j * eps * e)) / eps for e in np.eye(2)])
    assert np.abs(by_input - by @ lam).max() <= 1e-14
    v = rng.normal(size=by_theta.size)
    assert by_theta @ v == pytest.approx(
        np.imag(whole(s, x, stacked.theta + 1j * eps * v)) / eps @ lam, rel=1e-13
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: unroll(lstm(3)), "n_steps is needed"),
        (lambda: unroll(lstm(3), 5, inputs=np.zeros((5, 1))), "the cell takes none"),
        (lambda: unroll(lstm(3, 2), 5, inputs=np.zeros((5, 1))), "inputs has shape"),
        (lambda: unroll(lstm(3), 5, s0=np.zeros(3)), "s0 has shape"),
        (lambda: unroll(lstm(3), 5, step=0.1), "lstm has no step size"),
        (lambda: LSTM(3, 0, U=np.eye(3)), "no parameter 'U'"),
        (lambda: LSTM(3, 0, W=np.eye(3)), "W has shape"),
        (lambda: jacobian(unroll(lstm(3), 5), block="y"), "block 'y' is not known"),
        (lambda: jacobian(unroll(lstm(3), 5), n_steps=7), "n_steps belongs to the recurrence"),
        (lambda: jacobian(lstm(3)), "unroll"),
        (lambda: Kind("k", ("h",), ("a",), LSTM.point, {"h": "q"}, 1)(2), "depends"),
    ],
)
def test_messages(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()
