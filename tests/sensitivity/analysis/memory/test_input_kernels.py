"""Kernels of the inputs, and the best linear read-out: closed forms, least squares, and training data."""

import numpy as np
import pytest

import leapgrad as lg


def particle(n_steps, step=1.0):
    field = lg.NeuralField([[0.0]], [0.0], [[1.0]], activation="identity")
    return lg.unroll(field, scheme="leapfrog", step=step, n_steps=n_steps)


def test_a_free_particle_weighs_its_inputs_by_the_steps_that_are_left():
    kernels = lg.memory_kernels(particle(6))
    assert np.array_equal(kernels.unscaled()[:, 0, 0], [3.0, 5.0, 4.0, 3.0, 2.0, 1.0])  # half a kick first
    assert kernels.capacity.sum() == pytest.approx(1.0, abs=1e-14)
    found = lg.readout_ceiling(particle(20_000, 1e-4), np.ones(20_000))
    assert found.correlation == pytest.approx(np.sqrt(3.0) / 2.0, abs=2e-5)
    assert found.accuracy == pytest.approx(5.0 / 6.0, abs=2e-5)
    assert np.array_equal(found.readout, [1.0])


def test_an_oscillator_has_a_best_step():
    field, N = lg.NeuralField([[-4.0]], [0.0], [[1.0]]), 800
    c = np.linspace(1.5, 3.5, 201)
    run = lg.unroll(field, scheme="leapfrog", step=c / (2.0 * N), n_steps=N)
    found = lg.readout_ceiling(run, np.ones(N))
    assert found.correlation.max() == pytest.approx(0.934, abs=5e-4)
    assert found.accuracy.max() == pytest.approx(0.884, abs=5e-4)
    assert found.best_step * N * 2.0 == pytest.approx(2.55, abs=0.1)


@pytest.mark.parametrize("model", ("gru", "lstm", "linoss_im", "cornn"))
def test_kernels_and_ceiling_against_least_squares(model):
    rng = np.random.default_rng(0)
    run = lg.unroll(lg.cell(model, 4, 2, rng=1), inputs=0.5 * rng.normal(size=(2, 3, 30, 2)))
    block, g = next(iter(run.blocks)), rng.normal(size=(30, 2))
    kernels = lg.memory_kernels(run, block=block)
    assert kernels.shape == (2, 3, 30, 4, 2)
    profile = lg.gradient_profile(run, of="inputs", block=block)
    norms = np.linalg.norm(kernels.unscaled(), 2, axis=(-2, -1))
    assert np.allclose(norms, profile.norms, rtol=1e-12, atol=0)
    found = lg.readout_ceiling(run, g, block=block)
    assert found.correlation.shape == found.accuracy.shape == (2, 3) and found.readout.shape == (2, 3, 4)
    for member in np.ndindex(2, 3):
        K = np.moveaxis(kernels.unscaled()[member], 1, 2).reshape(60, 4)
        K = K / np.linalg.norm(K, axis=0)
        best = K @ np.linalg.lstsq(K, g.ravel(), rcond=None)[0]
        assert found.correlation[member] == pytest.approx(np.linalg.norm(best) / np.linalg.norm(g), rel=1e-9)
        read = np.moveaxis(kernels.unscaled()[member], 1, 2).reshape(60, 4) @ found.readout[member]
        cosine = read @ g.ravel() / np.linalg.norm(read) / np.linalg.norm(g)
        assert cosine == pytest.approx(found.correlation[member], rel=1e-9)


def test_no_readout_of_a_linear_network_does_better_on_data():
    rng = np.random.default_rng(2)
    cell = lg.cell("vanilla", 5, 1, rng=3, activation="identity")
    inputs = rng.normal(size=(40_000, 12, 1))
    y = lg.unroll(cell, inputs=inputs).run() - lg.unroll(cell, n_steps=12).run()
    g = rng.normal(size=12)
    target = inputs[..., 0] @ g
    found = lg.readout_ceiling(lg.unroll(cell, n_steps=12), g)
    trained = y @ np.linalg.lstsq(y, target, rcond=None)[0]
    assert np.corrcoef(trained, target)[0, 1] == pytest.approx(found.correlation, abs=0.01)
    assert np.corrcoef(y @ found.readout, target)[0, 1] == pytest.approx(found.correlation, abs=0.01)
    assert np.mean(trained * target > 0.0) == pytest.approx(found.accuracy, abs=0.01)


def test_a_delay_line_remembers_as_many_inputs_as_it_has_units():
    shift = np.eye(5, k=-1)
    cell = lg.cell("vanilla", 5, 1, activation="identity").with_parameters(
        W=shift, V=np.eye(5)[:, :1], b=np.zeros(5)
    )
    kernels = lg.memory_kernels(lg.unroll(cell, n_steps=9))
    assert np.allclose(kernels.capacity, [1, 1, 1, 1, 1, 0, 0, 0, 0], rtol=0, atol=1e-14)
    delayed = np.zeros(9)
    delayed[-3] = 1.0
    found = lg.readout_ceiling(lg.unroll(cell, n_steps=9), delayed)
    assert found.correlation == pytest.approx(1.0, abs=1e-14)
    assert np.allclose(np.abs(found.readout), [0, 0, 1, 0, 0], rtol=0, atol=1e-14)


def test_kernels_outside_float64():
    """Two units whose kernels lie 10^600 and more apart are told apart as well as any others."""
    cell = lg.cell("vanilla", 2, 1, activation="identity").with_parameters(
        W=np.diag([3.0, 0.2]), V=np.ones((2, 1)), b=np.zeros(2)
    )
    run = lg.unroll(cell, n_steps=900)
    found = lg.memory_kernels(run)
    assert found.unscaled()[0, 0, 0] == np.inf and found.unscaled()[-1, 1, 0] == 1.0
    assert found.capacity.sum() == pytest.approx(2.0, abs=1e-12)
    for delay in (0, 899):  # of each unit's own end
        target = np.zeros(900)
        target[899 - delay] = 1.0
        assert lg.readout_ceiling(run, target).correlation > 0.9


def test_networks_without_memory_and_members_that_overflow():
    silent = lg.cell("vanilla", 2, 1).with_parameters(V=np.zeros((2, 1)))
    found = lg.readout_ceiling(lg.unroll(silent, n_steps=5), np.ones(5))
    assert found.correlation == 0.0 and found.accuracy == 0.5 and not found.readout.any()
    cell = lg.cell("vanilla", 1, 1, activation="relu").with_parameters(W=[[3.0]], V=[[1.0]], b=[0.0])
    inputs = np.zeros((2, 900, 1))
    inputs[1] = 1.0
    with pytest.warns(RuntimeWarning):
        found = lg.readout_ceiling(lg.unroll(cell, inputs=inputs), np.ones(900))
    assert np.isnan(found.correlation[1]) and not np.isnan(found.correlation[0])


def test_what_has_no_kernels_is_refused(random_field):
    with pytest.raises(ValueError, match="run has no inputs"):
        lg.memory_kernels(lg.unroll(lg.cell("gru", 3), n_steps=4))
    driven = lg.unroll(random_field(2, 1), scheme="leapfrog", step=0.1, n_steps=4)
    with pytest.raises(ValueError, match="block='momentum'"):
        lg.memory_kernels(driven, block="momentum")
    with pytest.raises(ValueError, match="not a function of time"):
        lg.memory_kernels(lg.OdeRecurrence(random_field(2, 1), "leapfrog", 0.1, 4, inputs=lambda t: [t]))
