"""Recurrences of your own: from two functions, and from SymPy expressions for one step."""

import math

import numpy as np
import pytest
import sympy
from numba import njit

from integrators import own_cell, symbolic_cell
from sensitivity import (
    certify,
    gradient_profile,
    growth_exponents,
    jacobian,
    jacobian_norm,
    log_jacobian_norm,
    log_norm_gradient,
)
from sensitivity.cli import main
from sensitivity.recurrences.cell import unroll
from sensitivity.recurrences.registry import make

U, V, A, B, X = sympy.symbols("u v a b x")
HENON = ([1 - A * U**2 + V + X, B * U], [U, V], [X], {A: 1.4, B: 0.3})


@njit
def step(theta, s, x, out, by_state):
    for q in range(s.shape[1]):
        out[0, q] = 1 - theta[0] * s[0, q] ** 2 + s[1, q] + x[0, q]
        out[1, q] = theta[1] * s[0, q]
        by_state[0, 0, q], by_state[0, 1, q] = -2 * theta[0] * s[0, q], 1.0
        by_state[1, 0, q] = theta[1]


@njit
def slopes(theta, s, x, by_theta, by_input):
    for q in range(s.shape[1]):
        by_theta[0, 0, q], by_theta[1, 1, q], by_input[0, 0, q] = -(s[0, q] ** 2), s[0, q], 1.0


@pytest.fixture(scope="module", params=("functions", "expressions"))
def henon(request):
    if request.param == "expressions":
        return symbolic_cell(*HENON, name="Hénon")
    return own_cell(step, slopes, 2, {"a": 1.4, "b": 0.3}, n_inputs=1, name="Hénon")


def by_hand(s, inputs):
    """s_N, and ∂s_N/∂s_0 as the product of one-step Jacobians."""
    J = np.eye(2)
    for x in inputs[:, 0]:
        J = np.array([[-2.8 * s[0], 1.0], [0.3, 0.0]]) @ J
        s = np.array([1.0 - 1.4 * s[0] ** 2 + s[1] + x, 0.3 * s[0]])
    return s, J


def test_it_is_a_recurrence_like_any_other(henon):
    rng = np.random.default_rng(0)
    inputs, s0 = 0.01 * rng.normal(size=(9, 8, 1)), 0.1 * rng.normal(size=(9, 2))
    run = unroll(henon, s0=s0, inputs=inputs)
    J = jacobian(run)
    for member in range(9):
        end, expected = by_hand(s0[member], inputs[member])
        assert np.abs(run.run()[member] - end).max() <= 1e-12
        assert np.abs(J[member] - expected).max() <= 1e-12 * np.abs(expected).max()
    assert np.allclose(jacobian_norm(run), np.linalg.norm(J, 2, axis=(1, 2)), rtol=1e-12)
    assert np.allclose(gradient_profile(run).norms[:, 0], jacobian_norm(run), rtol=1e-9)
    # det J = −b at every step, so the exponents add up to ln b.
    found = growth_exponents(unroll(henon, 500))
    assert found.exponents.sum() == pytest.approx(math.log(0.3), rel=1e-12) and found.exponents[0] > 0.3
    lam = rng.normal(size=2)
    gradient = unroll(henon, s0=s0[0], inputs=inputs[0, :5]).parameter_gradient(lam)
    at = henon.unpack(gradient)[0]
    eps = 1e-6
    moved = [
        unroll(changed(henon, a=1.4 + e), s0=s0[0], inputs=inputs[0, :5]).run() @ lam for e in (eps, -eps)
    ]
    assert at["a"][0] == pytest.approx((moved[0] - moved[1]) / (2 * eps), rel=1e-6)
    assert not henon.trainable[0] and henon.trainable[1:].all()  # V = 1 comes first


def changed(cell, **parameters):
    theta = cell.theta.copy()
    for name, value in parameters.items():
        cell.unpack(theta)[0][name][...] = value
    return cell.with_theta(theta)


def test_both_ways_give_the_same_numbers():
    run = [
        unroll(cell, 12, s0=[0.1, 0.2])
        for cell in (symbolic_cell(*HENON), own_cell(step, slopes, 2, {"a": 1.4, "b": 0.3}, n_inputs=1))
    ]
    assert np.abs(jacobian(run[0]) - jacobian(run[1])).max() <= 1e-12 * np.abs(jacobian(run[0])).max()
    assert list(run[0].blocks) == ["u", "v"] and list(run[1].blocks) == ["s0", "s1"]


def test_a_published_cell_in_expressions():
    """UnICORNN with one neuron, against the cell that ships."""
    y, z, w, c, h, alpha = sympy.symbols("y z w c h alpha")
    size = h / (1 + sympy.exp(-c))
    new = z - size * (sympy.tanh(w * y) + alpha * y)
    shipped = make("unicornn", 1)
    p = shipped.parameters
    own = symbolic_cell(
        [y + size * new, new], [y, z], parameters={w: p["w"][0], c: p["c"][0], h: 0.1, alpha: 1.0}
    )
    s0 = [0.3, -0.2]
    expected = jacobian(unroll(shipped, 50, s0), block="state")
    assert np.abs(jacobian(unroll(own, 50, s0)) - expected).max() <= 1e-13


def test_plain_functions_and_complex_steps():
    def tanh_step(theta, s, x, out, by_state):
        for q in range(s.shape[1]):
            out[0, q] = np.tanh(theta[0] * s[0, q])
            by_state[0, 0, q] = theta[0] * (1 - out[0, q] ** 2)

    def tanh_slopes(theta, s, x, by_theta, by_input):
        for q in range(s.shape[1]):
            by_theta[0, 0, q] = s[0, q] / np.cosh(theta[0] * s[0, q]) ** 2

    cell = own_cell(tanh_step, tanh_slopes, 1, {"w": 0.7})
    assert cell.step([0.5])[0] == pytest.approx(math.tanh(0.35), rel=1e-15)

    def slightly_wrong(theta, s, x, out, by_state):
        for q in range(s.shape[1]):
            out[0, q] = np.tanh(theta[0] * s[0, q])
            by_state[0, 0, q] = theta[0] * (1 - out[0, q] ** 2) + 1e-9

    with pytest.raises(ValueError, match="complex step"):
        own_cell(slightly_wrong, tanh_slopes, 1, {"w": 0.7})


def wrong_state(theta, s, x, out, by_state):
    for q in range(s.shape[1]):
        out[0, q] = theta[0] * s[0, q] * s[0, q]
        by_state[0, 0, q] = theta[0] * s[0, q]


def no_slopes(theta, s, x, by_theta, by_input):
    pass


def right_state(theta, s, x, out, by_state):
    for q in range(s.shape[1]):
        out[0, q] = theta[0] * s[0, q] * s[0, q]
        by_state[0, 0, q] = 2 * theta[0] * s[0, q]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: own_cell(wrong_state, no_slopes, 1, {"a": 1.0}), r"∂Φ_i/∂s_j is .* at index \(0, 0\)"),
        (lambda: own_cell(right_state, no_slopes, 1, {"a": 1.0}), r"∂Φ_0/∂θ_j of the adjoint"),
        (lambda: own_cell(3, no_slopes, 1), "step must be a function"),
        (lambda: own_cell(right_state, no_slopes, 0), "dim must be at least 1"),
        (lambda: symbolic_cell([U * A], [U]), "neither in y nor in x nor in parameters"),
        (lambda: symbolic_cell([U, V], [U]), "a recurrence has one for each"),
        (lambda: symbolic_cell([sympy.floor(U)], [U]), "floor"),
        (lambda: symbolic_cell([sympy.log(U)], [U], check_at=[-1.0]), "check_at"),
        (lambda: symbolic_cell([U + X], [U], [X, V], {sympy.Symbol("V"): 1.0}), "'V' is taken"),
        (lambda: make("nowhere:mine", 2), "cannot be had"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()


def with_math(theta, s, x, out, by_state):
    for q in range(s.shape[1]):
        value = math.tanh(s[0, q])
        out[0, q], by_state[0, 0, q] = value, 1.0 - value * value
        out[1, q], by_state[1, 1, q] = 0.5 * abs(s[1, q]), 0.5 * np.sign(s[1, q])


def with_abs(theta, s, x, out, by_state):
    for q in range(s.shape[1]):
        out[0, q], by_state[0, 0, q] = np.sin(s[0, q]), np.cos(s[0, q])
        out[1, q], by_state[1, 1, q] = 0.5 * abs(s[1, q]), 0.5 * np.sign(s[1, q])


def nearly_right(theta, s, x, out, by_state):
    for q in range(s.shape[1]):
        out[0, q], by_state[0, 0, q] = np.sin(s[0, q]), np.cos(s[0, q]) * (1.0 + 1e-9)
        out[1, q], by_state[1, 1, q] = 0.5 * abs(s[1, q]), 0.5 * np.sign(s[1, q])


# Catches: the real part of a complex step, which math takes with a warning, and abs, for a slope of zero.
@pytest.mark.parametrize("function", [with_math, with_abs])
@pytest.mark.filterwarnings("error")
def test_functions_that_a_complex_step_does_not_go_through_are_taken(function):
    made = own_cell(function, lambda theta, s, x, by_theta, by_input: None, 2)
    s0 = np.array([0.3, -0.4])
    value = np.tanh(0.3) if function is with_math else np.sin(0.3)
    assert np.allclose(unroll(made, n_steps=1, s0=s0).run(), [value, 0.2], rtol=1e-14)
    with pytest.raises(ValueError, match="by a complex step, is"):
        own_cell(nearly_right, lambda theta, s, x, by_theta, by_input: None, 2)


def of_numpy(theta, s, x, out, by_state):
    for q in range(s.shape[1]):
        top = np.maximum(s[0, q], 0.1)
        out[0, q] = 0.5 * np.abs(s[0, q]) + np.sinh(top) - np.minimum(s[0, q], -2.0)
        slope = np.cosh(top) if s[0, q] > 0.1 else 0.0
        by_state[0, 0, q] = 0.5 * np.sign(s[0, q]) + slope - (1.0 if s[0, q] < -2.0 else 0.0)


def of_whole_rows(theta, s, x, out, by_state):
    out[0] = np.tanh(s[0]) + np.hypot(s[0], 1.0)
    by_state[0, 0] = 1.0 - np.tanh(s[0]) ** 2 + s[0] / np.hypot(s[0], 1.0)


# Catches: functions of NumPy that balls and dual numbers have not, or not for arrays.
@pytest.mark.parametrize("function", [of_numpy, of_whole_rows])
def test_functions_of_numpy_in_certificates_and_second_derivatives(function):
    pytest.importorskip("flint", reason="certificates need python-flint, the extra certify")
    made = own_cell(function, lambda theta, s, x, by_theta, by_input: None, 1, check_at=[0.4])
    found = certify(unroll(made, n_steps=3, s0=[0.4]))
    norm = jacobian_norm(unroll(made, n_steps=3, s0=[0.4]))
    assert found.lower <= norm * (1 + 1e-14) and norm * (1 - 1e-14) <= found.upper
    gradient = log_norm_gradient(unroll(made, n_steps=3, s0=[[0.4], [0.3]])).s0[:, 0]
    up, down = (log_jacobian_norm(unroll(made, n_steps=3, s0=[[0.4 + h], [0.3 + h]])) for h in (1e-5, -1e-5))
    assert np.allclose(gradient, (up - down) / 2e-5, rtol=1e-6)


def test_by_name_on_the_command_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "mycells.py").write_text(
        "from integrators import symbolic_cell\n"
        "import sympy\n"
        "def logistic(d, n_inputs=0, rng=0, r=3.9):\n"
        "    u, k = sympy.symbols('u k')\n"
        "    return symbolic_cell([k * u * (1 - u)], [u], parameters={k: r})\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert main(["norm", "--model", "mycells:logistic", "--set", "r=2", "--y0", "0.5", "--n-steps", "3"]) == 0
    assert "‖∂s_N/∂s_0‖" in capsys.readouterr().out
    assert (
        main(["compare", "mycells:logistic", "vanilla", "--d", "2", "--n-steps", "5", "--n-inputs", "0"]) == 0
    )
    assert "mycells:logistic" in capsys.readouterr().out
