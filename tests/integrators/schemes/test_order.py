"""The order of every scheme, measured with `integrate` on nonlinear problems against references of 25 digits.

The pendulum has a closed form; the other references are the naive twin in mpmath at a step where the
tenth-order scheme is off by 1e-16.
"""

import functools
import math
from dataclasses import replace
from types import SimpleNamespace

import mpmath
import numpy as np
import pytest

import naive
from integrators import SCHEMES, NeuralField, TrajectoryOverflow, integrate
from integrators.fields.textbook import henon_heiles, pendulum

SECOND_ORDER = [name for name in SCHEMES if SCHEMES[name].form != "first_order"]
# Errors below this are round-off; the fit takes the last points above it.
FLOOR = 5e-13
TOLERANCE = 0.1

DRIVEN = NeuralField([[-1.0]], [0.1], [[1.0]], "sin")  # ÿ = sin(0.1 − y + x(t))


def drive(t):
    cosine = mpmath.cos if isinstance(t, mpmath.mpf) else math.cos
    return [cosine(t / 2) / 8]


def pendulum_force(y, _):
    return np.array([-mpmath.sin(y[0])])


def henon_heiles_force(y, _):
    u, v = y
    return np.array([-u - 2 * u * v, -v - u * u + v * v])


def driven_force(y, x):
    return np.array([mpmath.sin(mpmath.mpf(0.1) - y[0] + x[0])])


# Force, field, initial values, drive, and the times for orders below and from 8: at short times a high order
# is at round-off before its slope shows.
PROBLEMS = {
    "pendulum": (pendulum_force, pendulum(), [0.3], [0.1], None, (4.0, 200.0)),
    "henon_heiles": (henon_heiles_force, henon_heiles(), [0.125, -0.1], [0.1, 0.15], None, (4.0, 40.0)),
    "driven": (driven_force, DRIVEN, [0.25], [0.0], drive, (4.0, 50.0)),
}


def by_composition(problem, time):
    """(y, p) at `time` from the tenth-order scheme, in 25 digits."""
    force, _, y0, p0, inputs, _ = PROBLEMS[problem]
    with mpmath.workdps(25):
        scheme = SCHEMES["sofroniou10"]
        weights = SimpleNamespace(form=scheme.form)
        weights.drift, weights.kick = (np.array(row) for row in scheme.evaluate(mpmath.mpf))
        n = int(7 * time)
        y, p = naive.trajectory(
            weights, force, naive.exact(y0), naive.exact(p0), mpmath.mpf(time) / n, n, inputs
        )[-1]
    return np.array([*y, *p], dtype=float)


def by_elliptic_functions(time):
    """(y, p) of the pendulum ÿ = −sin y: sin(y/2) = k sn(t + t_0 | k²), p = 2 k cn(t + t_0 | k²)."""
    _, _, (y0,), (p0,), _, _ = PROBLEMS["pendulum"]
    with mpmath.workdps(25):
        k = mpmath.sqrt(mpmath.sin(mpmath.mpf(y0) / 2) ** 2 + mpmath.mpf(p0) ** 2 / 4)
        start = mpmath.ellipf(mpmath.asin(mpmath.sin(mpmath.mpf(y0) / 2) / k), k * k)
        sn, cn = (mpmath.ellipfun(f, start + mpmath.mpf(time), m=k * k) for f in ("sn", "cn"))
        return np.array([2 * mpmath.asin(k * sn), 2 * k * cn], dtype=float)


@functools.cache
def reference(problem, time):
    return by_elliptic_functions(time) if problem == "pendulum" else by_composition(problem, time)


def measured_order(error, time, refinement=1.15, most_steps=3000):
    """Slope of log error against log step over the last six points above the round-off floor."""
    steps, errors = [], []
    n = max(4, round(time / 0.8))
    while n <= most_steps:
        try:
            found = error(n)
        except TrajectoryOverflow:
            found = math.inf
        if found < FLOOR:
            break
        if math.isfinite(found):
            steps.append(time / n)
            errors.append(found)
        n = max(n + 1, round(refinement * n))
    assert len(errors) >= 4, f"only {len(errors)} points above round-off: {errors}"
    return float(np.polyfit(np.log(steps[-6:]), np.log(errors[-6:]), 1)[0])


def end_error(scheme, problem, time):
    _, field, y0, p0, inputs, _ = PROBLEMS[problem]
    exact = reference(problem, time)

    def error(n):
        end = integrate(field, scheme, y0, p0, time / n, n, inputs)
        return float(np.linalg.norm(np.concatenate([end.y[-1], end.p[-1]]) - exact))

    return error


def order_on(scheme, problem):
    short, long = PROBLEMS[problem][-1]
    time, refinement = (long, 1.1) if scheme.order >= 8 else (short, 1.15)
    return measured_order(end_error(scheme, problem, time), time, refinement)


def test_the_two_references_agree():
    np.testing.assert_allclose(by_composition("pendulum", 4.0), by_elliptic_functions(4.0), rtol=1e-15)


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("name", SECOND_ORDER)
def test_order_is_the_claimed_one(name, problem):
    scheme = SCHEMES[name]
    assert order_on(scheme, problem) == pytest.approx(scheme.order, abs=TOLERANCE)


@pytest.mark.parametrize("name", ["leapfrog", "yoshida4", "blanes_moan4", "blanes_moan6_rkn", "kahan_li8"])
def test_a_changed_weight_loses_the_order(name):
    # Two weights of one kind exchange a part: the scheme stays consistent, and loses its order. A dropped
    # symmetry costs an even order at once, so that one problem shows it.
    scheme = SCHEMES[name]
    b = scheme.kick.tolist()
    b[0], b[1] = b[0] + 0.01, b[1] - 0.01
    changed = replace(scheme, name="changed", a=scheme.drift.tolist(), b=b, aliases=(), digits=None)
    assert order_on(changed, "henon_heiles") < scheme.order - 0.5


def test_sampled_inputs_give_leapfrog_its_order():
    # x_{i+1} = x(t_i) is what recursion (13) needs; x(t_{i+1}) instead costs an order.
    time = PROBLEMS["driven"][-1][0]
    exact = reference("driven", time)
    _, field, y0, p0, inputs, _ = PROBLEMS["driven"]

    def error(n, shift):
        rows = np.array([inputs(time / n * (i + shift)) for i in range(n)])
        return abs(integrate(field, "leapfrog", y0, p0, time / n, n, rows).y[-1, 0] - exact[0])

    assert measured_order(lambda n: error(n, 0), time) == pytest.approx(2, abs=TOLERANCE)
    assert measured_order(lambda n: error(n, 1), time) == pytest.approx(1, abs=TOLERANCE)


def test_order_of_euler_on_a_first_order_problem():
    # ẏ = −sin y has tan(y/2) = e^−t tan(y_0/2).
    exact = 2 * math.atan(math.exp(-2.0) * math.tan(1.0))
    field = NeuralField([[-1.0]], [0.0], activation="sin")
    order = measured_order(
        lambda n: abs(integrate(field, "euler", [2.0], None, 2.0 / n, n).y[-1, 0] - exact), 2.0
    )
    assert order == pytest.approx(1, abs=TOLERANCE)


def test_order_of_euler_on_a_driven_first_order_problem():
    # ẏ = x(t) − y with x = cos(t/2)/8 has a closed form; the kick of step i sees x(t_i).
    field = NeuralField([[-1.0]], [0.0], [[1.0]], "identity")
    exact = (math.cos(1.0) + math.sin(1.0) / 2 - math.exp(-2.0)) / 10
    for inputs in (drive, None):

        def error(n, inputs=inputs):
            rows = inputs or np.array([drive(2.0 / n * i) for i in range(n)])
            return abs(integrate(field, "euler", None, None, 2.0 / n, n, rows).y[-1, 0] - exact)

        assert measured_order(error, 2.0) == pytest.approx(1, abs=TOLERANCE)
