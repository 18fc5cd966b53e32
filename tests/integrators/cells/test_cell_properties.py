"""What is exactly true of some cells' Jacobians, each with a cell of which it is not."""

import numpy as np
import pytest

from integrators import NeuralField
from integrators.cells.cell import Cell
from integrators.fields.check import check_field
from integrators.fields.potential import PotentialField
from sensitivity import jacobian, jacobian_norm
from sensitivity.recurrences.cell import unroll
from sensitivity.recurrences.registry import make


def points(cell: Cell, count=8, scale=1.0):
    rng = np.random.default_rng(3)
    return [(scale * rng.normal(size=cell.dim), rng.normal(size=cell.n_inputs)) for _ in range(count)]


def one_steps(cell, **more):
    return [cell.linearise(s, x)[1] for s, x in points(cell, **more)]


def changed(cell, **parameters):
    """The same cell with some parameters replaced."""
    theta = cell.theta.copy()
    for name, value in parameters.items():
        cell.unpack(theta)[0][name][...] = value
    return cell.with_theta(theta)


@pytest.mark.parametrize("layers", (1, 3))
def test_unicornn_preserves_volume(layers):
    for J in one_steps(make("unicornn", 5, 2, step=0.9, layers=layers)):
        assert np.linalg.det(J) == pytest.approx(1.0, abs=1e-13)


def test_staggered_preserves_volume_for_every_matrix_and_areas_for_diagonal_ones():
    rng, omega = (
        np.random.default_rng(1),
        np.block([[np.zeros((5, 5)), np.eye(5)], [-np.eye(5), np.zeros((5, 5))]]),
    )
    dense = rng.normal(size=(5, 5))
    for R, symplectic in ((dense, False), (dense + dense.T, False), (np.diag(np.diag(dense)), True)):
        for J in one_steps(changed(make("staggered", 5, 2, step=0.3), R=R)):
            assert np.linalg.det(J) == pytest.approx(1.0, abs=1e-13)
            defect = np.abs(J.T @ omega @ J - omega).max()
            assert (defect <= 1e-14) if symplectic else (defect > 1e-3)


@pytest.mark.parametrize("name", ("cornn", "lstm", "lem"))
def test_damped_and_gated_cells_do_not(name):
    for J in one_steps(make(name, 5, 2)):
        assert abs(np.linalg.det(J) - 1.0) > 1e-3


@pytest.mark.parametrize("name", ("scornn", "exprnn"))
@pytest.mark.parametrize("b", (-0.3, 0.0, 0.4))
def test_real_modrelu_never_expands(name, b):
    cell = changed(make(name, 8, 2), b=b)
    W = cell.parameters["W"]
    assert np.abs(W.T @ W - np.eye(8)).max() <= 1e-14
    for J in one_steps(cell):
        rows = J @ J.T
        zeroed = np.diag((np.abs(np.diag(rows)) > 0.5).astype(float))
        assert np.abs(rows - zeroed).max() <= 1e-14  # rows of an orthogonal matrix, some set to zero
    assert jacobian_norm(unroll(cell, 500)) <= 1.0 + 1e-11
    control = changed(cell.unstructured(), W=1.1 * W)
    assert jacobian_norm(unroll(control, 2, s0=points(cell)[0][0])) > 1.05


@pytest.mark.parametrize("name", ("urnn", "scurnn"))
def test_complex_modrelu_expands_only_with_a_positive_bias(name):
    cell = make(name, 6, 2)
    W = cell.parameters["W"]
    assert np.abs(W.T @ W - np.eye(12)).max() <= 1e-13
    for b in (-0.2, 0.0):
        assert max(np.linalg.norm(J, 2) for J in one_steps(changed(cell, b=b))) <= 1.0 + 1e-13
    # The tangential gain 1 + b/|z| grows without bound as z goes to 0.
    ideal = changed(cell, b=0.5, inside=0.0, outside=0.0)
    for size in (1e-1, 1e-3):
        direction = np.linalg.solve(W, np.repeat([1.0, 0.0], 6))
        J = ideal.linearise(size * direction, np.zeros(2))[1]
        assert np.linalg.norm(J, 2) == pytest.approx(1.0 + 0.5 / size, rel=1e-9)


def test_enrnn_is_bounded_in_its_orthogonal_block_only():
    cell = make("enrnn", 8)
    W = cell.parameters["W"]
    assert np.abs(np.linalg.eigvals(W[4:, 4:])).max() == pytest.approx(1.0, abs=1e-14)
    for J in one_steps(cell):
        assert np.linalg.norm(J[:4, :4], 2) <= 1.0 + 1e-14 and not J[4:, :4].any()
    assert max(np.linalg.norm(J, 2) for J in one_steps(cell)) > 1.05


def test_sbo_is_symmetric_with_a_bounded_spectrum():
    cell = make("sbo", 6, 2, eta=0.05)
    low = 1.0 - 0.05 * (1.0 + np.linalg.norm(cell.parameters["W"], 2)) ** 2
    for J in one_steps(cell):
        assert np.abs(J - J.T).max() <= 1e-15
        values = np.linalg.eigvalsh(J)
        assert low - 1e-14 <= values.min() and values.max() <= 1.0 + 1e-14
    for J in one_steps(make("vanilla", 6, 2)):
        assert np.abs(J - J.T).max() > 1e-3


@pytest.mark.parametrize("name", ("momentum_rnn", "nesterov_rnn", "restart_rnn", "adam_rnn", "rmsprop_rnn"))
def test_momentum_does_not_reach_the_hidden_block(name):
    """The hidden block of the product is the plain product of D[σ'(a)] W."""
    cell, N = make(name, 4, 2), 50
    rng = np.random.default_rng(0)
    s, inputs = np.abs(rng.normal(size=cell.dim)), rng.normal(size=(N, 2))
    J = jacobian(unroll(cell, s0=s, inputs=inputs), block="state")
    assert not J[4:, :4].any()
    plain = np.eye(4)
    for i, x in enumerate(inputs):
        s = cell.step(s, x, index=i)
        plain = (1.0 - s[:4, None] ** 2) * (cell.parameters["W"] @ plain)
    assert np.abs(J[:4, :4] - plain).max() <= 1e-12 * np.abs(plain).max()


def test_nesterov_on_the_preactivation_does():
    J = jacobian(unroll(make("nesterov_preactivation_rnn", 4), 6), block="state")
    assert np.abs(J[4:, :4]).max() > 1e-6


def test_restarts_repeat_the_weights_of_the_velocity():
    mu = make("restart_rnn", 2, restart=3).clock(7)[:, 0]
    assert np.array_equal(mu, [0.0, 1 / 4, 2 / 5, 0.0, 1 / 4, 2 / 5, 0.0])


def test_antisymmetric_step_is_never_contracting_without_damping():
    """‖I + ε D M v‖ ≥ ‖v‖ where D is a multiple of I and M antisymmetric; γ > 0 is what lets it contract."""
    still = np.zeros(6)
    undamped, damped = (make("antisymmetric", 6, gamma=g, step=0.01).linearise(still)[1] for g in (0.0, 1.0))
    assert np.linalg.svd(undamped, compute_uv=False).min() >= 1.0
    assert np.linalg.svd(damped, compute_uv=False).max() < 1.0


def test_gru_and_lem_stay_in_the_unit_box():
    for name in ("gru", "gru_before", "lem"):
        cell = make(name, 5, 2)
        big = cell.with_theta(cell.theta * 10.0)
        states = unroll(big, inputs=np.random.default_rng(0).normal(size=(200, 2)) * 5).states()
        assert np.abs(states).max() <= 1.0
    lstm = make("lstm", 5, 2)
    states = unroll(lstm.with_theta(lstm.theta * 10.0), inputs=np.ones((200, 2))).states()
    assert np.abs(states).max() > 1.0


def test_irnn_starts_with_a_projection():
    for J in one_steps(make("irnn", 5)):
        assert set(J.ravel()) <= {0.0, 1.0} and np.array_equal(J, np.diag(np.diag(J)))


def test_every_model_at_rest_is_its_published_start():
    """Shapes and ranges of the starts that a typing slip would change."""
    d = 40
    W = make("scornn", d).parameters["W"]
    assert np.linalg.det(W) == pytest.approx((-1.0) ** (d // 2)) and np.abs(W[0, 1]) > 1e-3
    p = make("momentum_lstm", d).parameters
    assert np.array_equal(p["W"][:d], np.eye(d)) and not p["W"][d:].any()
    assert (p["b"][d : 2 * d] == 1.0).all() and (p["b"][5 * d : 6 * d] == 1.0).all()
    p = make("unicornn", d, 7).parameters
    assert 0.0 <= p["w"].min() and p["w"].max() <= 1.0 and np.abs(p["c"]).max() <= 0.1
    assert np.abs(p["V"]).max() <= np.sqrt(6.0 / (65.0 * 7))
    p = make("cornn", d, 3).parameters
    assert p["W"].shape == (d, 2 * d) and np.abs(p["W"]).max() <= 1.0 / np.sqrt(3 + 2 * d)
    p = make("lstm", d, 3).parameters
    assert 0.9 / np.sqrt(d) < np.abs(p["W"]).max() <= 1.0 / np.sqrt(d)


def test_unknown_names_are_met_with_the_nearest():
    with pytest.raises(ValueError, match="Did you mean 'lstm'"):
        make("lstn", 3)
    with pytest.raises(ValueError, match="cornn has no hyperparameter 'gama'"):
        make("cornn", 3, gama=1.0)


def test_the_potential_form_is_hamiltonian_for_every_matrix():
    rng = np.random.default_rng(2)
    W, V, b = rng.normal(size=(5, 5)), rng.normal(size=(5, 2)), rng.normal(size=5)
    field, plain = PotentialField(W, b, V), NeuralField(W, b, V)
    y, x = rng.normal(size=5), rng.normal(size=2)
    z = W @ y + V @ x + b
    force, slope = field.linearise(y, x)
    assert np.abs(force + W.T @ np.tanh(z)).max() <= 1e-14
    assert np.abs(slope + W.T @ np.diag(1 - np.tanh(z) ** 2) @ W).max() <= 1e-14
    check_field(field)
    check_field(PotentialField(rng.normal(size=(9, 9)), rng.normal(size=9)))
    omega = np.block([[np.zeros((5, 5)), np.eye(5)], [-np.eye(5), np.zeros((5, 5))]])
    drive = rng.normal(size=(20, 2))
    for system, symplectic in ((field, True), (plain, False)):
        for scheme in ("leapfrog", "yoshida4"):
            J = jacobian(system, scheme, 0.1, 20, y0=y, p0=y, inputs=drive, block="phase")
            defect = np.abs(J.T @ omega @ J - omega).max() / np.linalg.norm(J, 2) ** 2
            assert (defect <= 1e-14) if symplectic else (defect > 1e-3)
            assert np.linalg.det(J) == pytest.approx(1.0, abs=1e-10)
