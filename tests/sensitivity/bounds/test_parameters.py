"""Theorem J: gradients by b and W stay below their bounds; theorem I on the phase space."""

import math

import mpmath
import numpy as np
import pytest

from integrators import ACTIVATIONS, SCHEMES, NeuralField
from sensitivity import bounds, jacobian, unroll

SPLITTINGS = [name for name, scheme in SCHEMES.items() if scheme.form == "splitting"]


def gradients(field, scheme, step, n, y0, p0, x):
    """∂y_N/∂W and ∂y_N/∂b, row by row."""
    d = field.dim
    start = y0 if SCHEMES[scheme].form == "first_order" else np.concatenate([y0, p0])
    run = unroll(field, scheme=scheme, step=step, n_steps=n, s0=start, inputs=x)
    rows = np.array([run.parameter_gradient(row) for row in np.eye(start.size)[:d]])
    return rows[:, : d * d], rows[:, d * d : d * d + d]


# Catches: a kick without its source, |y| left out, the source at another place than the kick.
@pytest.mark.parametrize("scheme", ["euler", "leapfrog", "yoshida4", "explicit_euler"])
def test_gradients_stay_below_their_bounds(scheme):
    scheme = scheme if scheme in SCHEMES else next(n for n, s in SCHEMES.items() if s.form == "explicit")
    rng = np.random.default_rng(4)
    for activation in ACTIVATIONS:
        field = NeuralField(rng.normal(size=(3, 3)), rng.normal(size=3), rng.normal(size=(3, 1)), activation)
        y0, p0, x = rng.normal(size=3), rng.normal(size=3), rng.normal(size=(20, 1))
        for step in (0.01, 0.1):
            by_W, by_b = gradients(field, scheme, step, 20, y0, p0, x)
            assert np.linalg.norm(by_b, 2) <= bounds.bias_gradient(field, scheme, step, 20)
            if math.isfinite(ACTIVATIONS[activation].bound):
                bound = bounds.weight_gradient(field, scheme, step, 20, y0, p0)
                assert np.linalg.norm(by_W, 2) <= bound
            else:
                with pytest.raises(ValueError, match="bounded σ"):
                    bounds.weight_gradient(field, scheme, step, 20, y0, p0)


@pytest.mark.parametrize("scheme", ["euler", "leapfrog", "kahan_li8"])
def test_the_bound_by_b_is_attained(scheme):
    for w in (1e-12, 0.3, 5.0):
        field = NeuralField([[w]], [0.2], activation="identity")
        for n in (1, 7, 200):
            _, by_b = gradients(field, scheme, 0.05, n, np.zeros(1), np.zeros(1), None)
            bound = bounds.bias_gradient(field, scheme, 0.05, n)
            assert by_b[0, 0] <= bound
            if scheme != "kahan_li8":  # its negative weights make the majorant larger
                assert bound <= by_b[0, 0] * (1.0 + 1e-9)


def test_it_is_the_majorant_less_one_over_the_norm_and_does_not_cancel():
    for w, n in ((2.0, 30), (1e-10, 10)):
        field = NeuralField([[w]], [0.0])
        with mpmath.workdps(50):
            a = mpmath.mpf(0.1) ** 2 * mpmath.mpf(w)
            exact = (mpmath.chebyt(n, 1 + a / 2) - 1) / mpmath.mpf(w)
            assert 0 <= bounds.bias_gradient(field, "leapfrog", 0.1, n) / exact - 1 < 1e-11
    assert bounds.bias_gradient(NeuralField([[0.0]], [0.0]), "leapfrog", 0.1, 10) == pytest.approx(0.5)
    assert bounds.bias_gradient(NeuralField([[2.0]], [0.0]), "leapfrog", 0.1, 0) == 0.0
    assert bounds.weight_gradient(NeuralField([[2.0]], [0.0]), "leapfrog", 0.1, 0, [3.0]) == 0.0
    assert bounds.bias_gradient(NeuralField([[2.0]], [0.0]), "leapfrog", 1.0, 4000) == math.inf
    assert 4000 < bounds.log_bias_gradient(NeuralField([[2.0]], [0.0]), "leapfrog", 1.0, 4000) < math.inf


# Catches: the position bound in place of the phase bound, and the norm in place of its reciprocal.
@pytest.mark.parametrize("scheme", SPLITTINGS)
def test_no_singular_value_of_the_phase_space_vanishes(scheme):
    rng = np.random.default_rng(11)
    for _ in range(4):
        field = NeuralField(rng.normal(size=(3, 3)), rng.normal(size=3))
        J = jacobian(
            field, scheme, [0.01, 0.1, 0.3], 30, rng.normal(size=3), rng.normal(size=3), None, "phase"
        )
        values = np.linalg.svd(J, compute_uv=False)
        bound = bounds.phase_no_vanishing(field, [0.01, 0.1, 0.3], 30, scheme)
        noise = 1e-13 * values[:, 0]
        assert (
            (bound > 0.0).all()
            and (values[:, -1] + noise >= bound).all()
            and (values[:, 0] >= 1.0 - 1e-13).all()
        )


def test_the_position_block_can_vanish_where_the_phase_space_does_not():
    # 1 − cos θ = ε²/2 and N θ = π/2.
    n = 10
    step = math.sqrt(2.0 * (1.0 - math.cos(math.pi / (2 * n))))
    field = NeuralField([[-1.0]], [0.0], activation="identity")
    assert abs(jacobian(field, "leapfrog", step, n)[0, 0]) < 1e-14
    values = np.linalg.svd(jacobian(field, "leapfrog", step, n, block="phase"), compute_uv=False)
    assert (
        values[0] * values[1] == pytest.approx(1.0) and bounds.phase_no_vanishing(field, step, n) <= values[1]
    )
    with pytest.raises(ValueError, match="can vanish"):
        bounds.phase_no_vanishing(field, step, n, block="position")
    with pytest.raises(ValueError, match="drifts and kicks"):
        bounds.phase_no_vanishing(field, step, n, "euler")


# Catches: a product of the majorant that falls to zero beside entries of 1e150, which makes the bound −inf.
@pytest.mark.parametrize(("slope", "step"), [(1e-300, 1e150), (1e-200, 1e100), (1e-250, 1e125)])
def test_bounds_of_huge_steps_and_tiny_weights_are_not_below_the_gradients(slope, step):
    for n in (1, 2, 5):
        field = NeuralField([[slope]], [0.0], activation="identity")
        run = unroll(field, scheme="leapfrog", step=step, n_steps=n, s0=np.array([0.0, 0.0]))
        by_bias = run.parameter_gradient([1.0, 0.0])[1]
        found = bounds.log_bias_gradient(field, "leapfrog", step, n)
        assert math.log(by_bias) <= found <= math.log(by_bias) + 1e-9


# Catches: the size of a small y_0 taken as a sum of squares, which is zero.
def test_a_small_state_counts_in_the_bound_by_the_weights():
    field = NeuralField([[0.0]], [0.0], activation="tanh")
    found = bounds.log_weight_gradient(field, "euler", 1.0, 1, [1e-200], [0.0])
    assert found >= math.log(1e-200)
