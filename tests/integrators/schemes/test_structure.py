"""What every scheme keeps: symplectic form, volume, reversibility, bounded energy; how the control fails."""

import numpy as np
import pytest

from integrators import SCHEMES, NeuralField, harmonic, henon_heiles, integrate, kepler, pendulum
from sensitivity import OdeRecurrence, jacobian

SPLITTINGS = [name for name in SCHEMES if SCHEMES[name].form == "splitting"]
SYMMETRIC = [name for name in SPLITTINGS if SCHEMES[name].is_symmetric]
N_STEPS = 10_000

DIAGONAL = NeuralField(np.diag([-1.0, -0.5, -2.0]), [0.1, -0.3, 0.2])
# Fields with symmetric DF on bounded orbits, with steps that keep ‖M‖ below 20 over 1e4 steps: round-off
# enters MᵀΩM through ‖M‖², so that an absolute bound means something.
FIELDS = {
    "harmonic": (harmonic(1.3), [1.0], [0.5], 0.05),
    "pendulum": (pendulum(), [1.0], [0.5], 0.005),
    "henon_heiles": (henon_heiles(), [0.1, -0.1], [0.1, 0.15], 0.01),
    "kepler": (kepler(), [1.0, 0.0], [0.0, 1.1], 0.0002),
    "diagonal": (DIAGONAL, [0.3, -0.2, 0.1], [0.1, 0.2, -0.1], 0.05),
}
cases = pytest.mark.parametrize("field", FIELDS)


def propagator(name, field):
    F, y0, p0, step = FIELDS[field]
    return jacobian(F, name, step, N_STEPS, y0, p0, block="phase")


def symplecticity(M):
    """‖MᵀΩM − Ω‖₂."""
    d = len(M) // 2
    omega = np.block([[np.zeros((d, d)), np.eye(d)], [-np.eye(d), np.zeros((d, d))]])
    return np.linalg.norm(M.T @ omega @ M - omega, 2)


def assert_symplectic(M):
    assert symplecticity(M) <= 1e-12


@cases
@pytest.mark.parametrize("name", SPLITTINGS)
def test_symplectic_over_ten_thousand_steps(name, field):
    M = propagator(name, field)
    assert np.linalg.norm(M, 2) <= 20
    assert_symplectic(M)


@cases
def test_explicit_euler_fails_the_same_assertion(field):
    with pytest.raises(AssertionError):
        assert_symplectic(propagator("explicit_euler", field))


def test_a_general_matrix_fails_the_same_assertion():
    # DF = D W is not symmetric here: volume is kept, the symplectic form is not.
    M = jacobian(NeuralField([[-1.0, 0.5], [0.0, -1.0]], [0.1, 0.2]), "leapfrog", 0.01, 1000, block="phase")
    with pytest.raises(AssertionError):
        assert_symplectic(M)
    assert abs(np.linalg.det(M) - 1) <= 1e-12


@pytest.mark.parametrize("d", [1, 2, 3, 5])
@pytest.mark.parametrize("name", SPLITTINGS)
def test_volume_is_kept_for_every_matrix(name, d, random_field):
    for seed in range(5):
        field = random_field(d, 1, seed=seed)
        inputs = np.random.default_rng(seed).normal(size=(1000, 1))
        M = jacobian(field, name, 0.002, 1000, np.ones(d), np.zeros(d), inputs, block="phase")
        assert abs(np.linalg.det(M) - 1) <= 1e-12


@pytest.mark.parametrize("name", ["leapfrog", "sofroniou10"])
def test_volume_is_kept_in_high_dimension(name, random_field):
    M = jacobian(random_field(40), name, 0.01, 50, np.ones(40), block="phase")
    assert abs(np.linalg.det(M) - 1) <= 1e-12


def test_explicit_euler_does_not_keep_volume(random_field):
    M = jacobian(random_field(3), "explicit_euler", 0.002, 1000, np.ones(3), block="phase")
    assert abs(np.linalg.det(M) - 1) > 1e-4


def reversal_error(name, field, inputs=None):
    """There and back: forwards, flip p, forwards, flip p; largest deviation from the start."""
    F, y0, p0, step = FIELDS[field]
    there = OdeRecurrence(F, name, step, N_STEPS, y0, p0, inputs).run()
    back = OdeRecurrence(F, name, step, N_STEPS, there[: F.dim], -there[F.dim :], inputs).run()
    return np.abs(back - np.concatenate([y0, -np.array(p0)])).max()


@cases
@pytest.mark.parametrize("name", SYMMETRIC)
def test_reversible_over_ten_thousand_steps(name, field):
    assert reversal_error(name, field) <= 1e-12


@pytest.mark.parametrize("name", ["symplectic_euler", "symplectic_euler_dk", "explicit_euler"])
def test_a_one_sided_scheme_fails_the_same_assertion(name):
    assert reversal_error(name, "harmonic") > 1e-4


@pytest.mark.parametrize("name", SYMMETRIC)
def test_reversible_under_a_drive(name, random_field):
    # The way back sees the drive backwards: x(T − t).
    field, time = random_field(3, 1), 4.0
    y0, p0 = np.array([0.1, 0.2, -0.3]), np.array([0.3, 0.1, 0.0])
    there = OdeRecurrence(field, name, time / 100, 100, y0, p0, lambda t: [np.cos(3 * t)]).run()
    end = there[:3], -there[3:]
    back = OdeRecurrence(field, name, time / 100, 100, *end, lambda t: [np.cos(3 * (time - t))]).run()
    np.testing.assert_allclose(back, [*y0, *-p0], atol=1e-12)


def energy_errors(name, field, step, n_steps=4000):
    F, y0, p0, _ = FIELDS[field]
    path = integrate(F, name, y0, p0, step, n_steps)
    errors = np.abs(F.energy(path.y, path.p) - F.energy(y0, p0))
    return errors[: n_steps // 2].max(), errors[n_steps // 2 :].max()


@pytest.mark.parametrize("field", ["harmonic", "pendulum", "henon_heiles", "kepler"])
@pytest.mark.parametrize("name", SPLITTINGS)
def test_energy_does_not_drift(name, field):
    first, second = energy_errors(name, field, 0.1 if SCHEMES[name].order < 4 else 0.2)
    assert second <= 1.05 * first + 1e-12
    assert first <= 0.2


@pytest.mark.parametrize("field", ["harmonic", "pendulum", "henon_heiles", "kepler"])
def test_the_energy_of_explicit_euler_drifts(field):
    first, second = energy_errors("explicit_euler", field, 0.01)
    assert second > 1.2 * first


@pytest.mark.parametrize("field", ["harmonic", "pendulum", "henon_heiles", "kepler"])
def test_position_and_velocity_belong_to_one_time(field):
    # With p_{i−1/2} in place of p_i the energy error would be of first order.
    coarse, fine = (max(energy_errors("leapfrog", field, h, round(4 / h))) for h in (0.02, 0.01))
    assert coarse / fine == pytest.approx(4, abs=0.2)
