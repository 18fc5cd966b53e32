"""Bounds against 60-digit formulas and computed norms, and mutated formulas that must not pass."""

import math

import mpmath
import numpy as np
import pytest
from numba import njit

from integrators import ACTIVATIONS, SCHEMES, Field, NeuralField
from sensitivity import bounds, jacobian, log_jacobian_norm, log_singular_values
from sensitivity.bounds import growth

EPS = 2.0**-52
BLOCKS = ("position", "phase")
CASES = [(lam, step, n) for lam in (1e-3, 0.7, 40.0) for step in (1e-3, 0.04, 1.0) for n in (1, 2, 37, 1000)]


def scalar(slope, bias=0.0, activation="identity"):
    """d = 1, where λ = |W| L exactly."""
    return NeuralField([[slope]], [bias], activation=activation)


def log_c_n(lam, step, n):
    a = mpmath.mpf(step) ** 2 * mpmath.mpf(lam)
    return mpmath.log(mpmath.cosh(n * mpmath.acosh(1 + a / 2)))


FORMULAS = {
    "chebyshev": log_c_n,
    "cosh": lambda lam, step, n: mpmath.log(mpmath.cosh(n * mpmath.mpf(step) * mpmath.sqrt(mpmath.mpf(lam)))),
    "euler": lambda lam, step, n: n * mpmath.log(1 + mpmath.mpf(step) * mpmath.mpf(lam)),
}
MUTATED = {
    "chebyshev at 1 + a": ("chebyshev", lambda lam, step, n: log_c_n(2 * lam, step, n)),
    "one step short": ("chebyshev", lambda lam, step, n: log_c_n(lam, step, n - 1)),
    "first power of the step": ("chebyshev", lambda lam, step, n: log_c_n(lam, mpmath.sqrt(step), n)),
    "the cosh in its place": ("chebyshev", FORMULAS["cosh"]),
    "no root in the cosh": ("cosh", lambda lam, step, n: FORMULAS["cosh"](lam**2, step, n)),
    "the exponential in its place": ("euler", lambda lam, step, n: n * mpmath.mpf(step) * lam),
}


def misses(name, formula):
    """Cases in which a bound and its logarithm are not `formula` rounded up by at most 20 N units."""
    found = []
    with mpmath.workdps(60):
        for lam, step, n in CASES:
            exact = formula(lam, step, n)
            above = getattr(bounds, f"log_{name}")(scalar(lam), step, n) - exact
            allowed = 20 * n * EPS + 8 * EPS * exact
            right = 0 <= above <= allowed
            if exact < 700:
                ratio = mpmath.mpf(float(getattr(bounds, name)(scalar(lam), step, n))) / mpmath.exp(exact) - 1
                right = right and 0 <= ratio <= allowed + 8 * EPS
            if not right:
                found.append((lam, step, n))
    return found


@pytest.mark.parametrize("name", FORMULAS)
def test_bounds_are_their_formulas_rounded_up(name):
    assert misses(name, FORMULAS[name]) == []


@pytest.mark.parametrize("mutation", MUTATED)
def test_a_wrong_formula_is_seen(mutation):
    assert misses(*MUTATED[mutation])


def majorant_by_hand(scheme, lam, step, n):
    """Theorem E as it is written down: s, u and one stage after the other, in 60 digits."""
    s, u = mpmath.mpf(1), mpmath.mpf(0)
    for _ in range(n):
        for a, b in zip(scheme.drift, scheme.kick, strict=True):
            old = s
            s += abs(mpmath.mpf(a)) * step * u
            if scheme.form == "first_order":
                s += abs(mpmath.mpf(b)) * step * lam * s
            else:
                u += abs(mpmath.mpf(b)) * step * lam * (old if scheme.form == "explicit" else s)
    return s


@pytest.mark.parametrize("name", SCHEMES)
def test_majorant_of_every_scheme_is_its_recursion(name):
    lam, step, n = 0.37, 0.11, 23
    with mpmath.workdps(60):
        exact = majorant_by_hand(SCHEMES[name], mpmath.mpf(lam), mpmath.mpf(step), n)
        ratio = mpmath.mpf(float(bounds.majorant(scalar(lam), name, step, n))) / exact - 1
        assert 0 <= ratio <= 120 * n * EPS


def random_case(seed):
    """A field, a scheme, steps and initial values unlike each other."""
    rng = np.random.default_rng(seed)
    d = int(rng.integers(1, 6))
    activation = list(ACTIVATIONS)[seed % len(ACTIVATIONS)]
    scale = 10.0 ** rng.uniform(-1, 0.7)
    W, b, V = rng.normal(size=(d, d)) * scale, rng.normal(size=d), rng.normal(size=(d, 2))
    field = NeuralField(W, b, V, activation)
    n = int(rng.integers(1, 60))
    # relu and identity let the state itself run away; the bounds hold, but then there is no norm.
    step = np.array([1e-3, 0.03, 0.1])
    return field, step, n, rng.normal(size=d), rng.normal(size=d), rng.normal(size=(n, 2))


@pytest.mark.parametrize("name", SCHEMES)
@pytest.mark.parametrize("seed", range(8))
def test_norms_stay_below_the_majorant(name, seed):
    field, step, n, y0, p0, inputs = random_case(seed)
    for block in ("position", "phase") if name != "euler" else ("position",):
        norm = log_jacobian_norm(field, name, step, n, y0, p0, inputs, block)
        assert (norm <= bounds.log_majorant(field, name, step, n, block=block)).all()


@pytest.mark.parametrize("seed", range(8))
def test_singular_values_stay_between_the_bounds(seed):
    field, step, n, y0, p0, inputs = random_case(seed)
    for name in ("leapfrog", "euler", "yoshida4"):
        values = np.linalg.svd(jacobian(field, name, step, n, y0, p0, inputs), compute_uv=False)
        assert (values[:, -1] >= bounds.no_vanishing(field, step, n, name)).all()
        assert (values[:, 0] <= bounds.majorant(field, name, step, n)).all()


def attained(n_cases=200):
    """(log norm, log bound) where theorem B holds with equality: σ = id, W ≥ 0 symmetric; d = 1 and 3."""
    rng = np.random.default_rng(5)
    for case in range(n_cases):
        if case % 4:
            field = scalar(10.0 ** rng.uniform(-3, 2))
        else:
            root = rng.normal(size=(3, 3))
            field = NeuralField(root @ root.T, np.zeros(3), activation="identity")
        n, step = int(10 ** rng.uniform(0, 3)), 10.0 ** rng.uniform(-3, 0, 4)
        yield log_jacobian_norm(field, "leapfrog", step, n), bounds.log_chebyshev(field, step, n)


def test_theorem_b_is_attained_and_not_crossed():
    for norm, bound in attained():
        assert (norm <= bound).all()
        assert (norm - bound > math.log(0.999999)).all()


def test_without_outward_rounding_it_would_be_crossed(monkeypatch):
    monkeypatch.setattr(growth, "relative_slack", lambda *_: 0.0)
    monkeypatch.setattr(growth, "log_upward", lambda values, slack: values)
    assert any((norm > bound).any() for norm, bound in attained())


def test_theorems_d_and_e_are_attained_by_the_same_field():
    step, n = np.array([1e-3, 0.1, 1.0]), 300
    field = scalar(0.6)
    for name, block in (("euler", "position"), ("symplectic_euler", "position"), ("mclachlan2", "phase")):
        norm = log_jacobian_norm(field, name, step, n, block=block)
        bound = bounds.log_majorant(field, name, step, n, block=block)
        assert (norm <= bound).all() and (norm - bound > -1e-9).all()


def test_step_c_over_n_keeps_the_gradient_within_constants_free_of_n():
    field = scalar(0.8, activation="tanh")
    c = 1.3 / math.sqrt(0.8)
    for n in (1, 10, 1000, 10**6):
        assert bounds.chebyshev(field, c / n, n) <= math.cosh(1.3) * (1 + 1e-8)
        assert bounds.no_vanishing(field, c / n, n) >= 2 - math.cosh(1.3) - 1e-8 > 0
    assert bounds.no_vanishing(field, 1.1 * c / 1000, 1000) < 0


def test_logarithms_outlive_float64():
    field = scalar(0.5)
    assert bounds.chebyshev(field, 1.0, 10**6) == math.inf and bounds.cosh(field, 1.0, 10**6) == math.inf
    with mpmath.workdps(60):
        exact = float(log_c_n(0.5, 1, 10**6))
    assert math.isclose(bounds.log_chebyshev(field, 1.0, 10**6), exact, rel_tol=1e-9)
    assert bounds.no_vanishing(field, 1.0, 10**6) == -math.inf


def test_shapes_and_the_empty_run():
    field = NeuralField.random(4)
    functions = (bounds.chebyshev, bounds.cosh, bounds.euler, bounds.log_euler, bounds.no_vanishing)
    for function in functions:
        assert isinstance(function(field, 0.1, 5), np.float64)
        assert function(field, np.full((2, 3), 0.1), 5).shape == (2, 3)
        assert function(field, [], 5).shape == (0,)
        assert function(field, np.full((2, 3), 0.1), 5)[1, 2] == function(field, 0.1, 5)
    assert bounds.chebyshev(field, 0.1, 0) == bounds.cosh(field, 0.1, 0) == bounds.euler(field, 0.1, 0) == 1.0
    assert bounds.log_majorant(field, "yoshida4", 0.1, 0, block="phase") == 0.0
    assert bounds.chebyshev(NeuralField(np.zeros((2, 2)), np.zeros(2)), 0.1, 1000) == pytest.approx(1.0)


# ------------------------------------------------------------------------------------------- hypotheses


@njit
def spring(theta, y, x, c, p, dy, dp):
    for q in range(y.shape[1]):
        p[0, q] -= c[q] * y[0, q] ** 3
        for r in range(dy.shape[1]):
            dp[0, r, q] -= c[q] * 3.0 * y[0, q] ** 2 * dy[0, r, q]


@njit
def spring_adjoint(theta, y, x, c, lam_p, lam_y, grad_theta):
    for q in range(y.shape[1]):
        for r in range(lam_p.shape[1]):
            lam_y[0, r, q] -= c[q] * 3.0 * y[0, q] ** 2 * lam_p[0, r, q]


def test_a_field_without_a_lipschitz_constant_says_how_to_give_one():
    field = Field(1, spring, spring_adjoint)
    with pytest.raises(ValueError, match=r"Field\(\.\.\., lipschitz=sup‖DF‖\)"):
        bounds.chebyshev(field, 0.1, 5)
    assert [b.name for b in bounds.applicable(field, "leapfrog", 0.1, 5)] == ["aposteriori"]
    assert bounds.aposteriori(field, "leapfrog", 0.1, 5, y0=[0.3]) > 1.0  # needs no constant
    assert "lipschitz" in bounds.inapplicable(field, "leapfrog", 0.1, 5)["chebyshev"]
    for bad in (math.inf, math.nan, -1.0):
        field.lipschitz = bad
        with pytest.raises(ValueError, match="finite"):
            bounds.euler(field, 0.1, 5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((0.0, 5), "step"), (([0.1, -1.0], 5), "step"), ((0.1, -1), "n_steps"), ((math.nan, 5), "step")],
)
def test_bad_arguments_are_named(arguments, message):
    for function in (bounds.chebyshev, bounds.cosh, bounds.no_vanishing):
        with pytest.raises(ValueError, match=message):
            function(scalar(1.0), *arguments)
    with pytest.raises(ValueError, match="block"):
        bounds.majorant(scalar(1.0), "leapfrog", 0.1, 5, block="speed")
    with pytest.raises(ValueError, match="leapfrog"):
        bounds.majorant(scalar(1.0), "leapfrgo", 0.1, 5)


def test_theorem_3_2_is_its_formula_and_free_of_t():
    field = scalar(0.7, 0.2, "tanh")
    with mpmath.workdps(60):
        sigma, T, v = (
            mpmath.tanh(mpmath.mpf(0.7) * 0.3 + mpmath.mpf(0.2)),
            mpmath.mpf(100) * mpmath.mpf(0.01),
            2,
        )
        exact = float((T + v) / v + sigma * (T + v) / (v - T))
    value = bounds.theorem_3_2(field, 0.01, 100, y0=[0.3], p0=[2.0])
    assert exact <= value <= exact * (1 + 1e-13)
    # With ẏ(0) = κT the bound at T does not depend on T: O(1), not the O(T) it is printed as.
    scaled = [float(bounds.theorem_3_2(field, T / 1000, 1000, p0=[1.5 * T])) for T in (0.1, 1.0, 100.0)]
    kappa, force = 1.5, math.tanh(0.2)
    assert scaled == pytest.approx([(kappa + 1) * (kappa - 1 + kappa * force) / (kappa * (kappa - 1))] * 3)


def test_theorem_3_2_bounds_the_flow():
    field = scalar(0.9, 0.1, "tanh")
    for T, speed in ((1.0, 1.01), (5.0, 7.0)):
        flow = log_jacobian_norm(field, "kahan_li8", T / 1000, 1000, p0=[speed])
        assert math.exp(flow) <= bounds.theorem_3_2(field, T / 1000, 1000, p0=[speed])


@pytest.mark.parametrize(
    ("field", "p0", "message"),
    [
        (
            scalar(1.0, activation="tanh"),
            None,
            r"p0 = 0 and T = 1: from rest the conclusion itself is false.*cosh",
        ),
        (scalar(1.0, activation="tanh"), [1.0], r"p0 = 1 and T = 1"),
        (scalar(1.0, activation="tanh"), [-3.0], "p0 = -3"),
        (scalar(1.0, activation="arctan"), [3.0], r"sup\|arctan\|"),
        (NeuralField.random(2), [3.0, 3.0], "d = 1"),
        (NeuralField.random(1, inputs=1), [3.0], "without inputs"),
    ],
)
def test_theorem_3_2_says_which_hypothesis_fails(field, p0, message):
    with pytest.raises(ValueError, match=message):
        bounds.theorem_3_2(field, [0.001, 0.01], 100, p0=p0)
    assert "theorem_3_2" in bounds.inapplicable(field, "leapfrog", [0.001, 0.01], 100, p0=p0)


def test_applicable_lists_what_holds_and_no_more():
    field = scalar(1.0, 0.5, "tanh")
    slow = {b.name: b for b in bounds.applicable(field, "leapfrog", 0.01, 100)}
    assert set(slow) == {"chebyshev", "cosh", "majorant", "aposteriori", "no_vanishing"}
    fast = {b.name: b for b in bounds.applicable(field, "leapfrog", 0.01, 100, p0=[2.0])}
    assert set(fast) == {*slow, "theorem_3_2"}
    assert [name for name, b in fast.items() if b.of == "flow"] == ["theorem_3_2"]
    assert [name for name, b in fast.items() if b.of == "trajectory"] == ["aposteriori"]
    proved = bounds.applicable(field, "leapfrog", 0.01, 100, p0=[2.0], of=("recursion",))
    assert {b.name for b in proved} == set(slow) - {"aposteriori"}
    assert [name for name, b in fast.items() if b.side == "lower"] == ["no_vanishing"]
    every_scheme = {"majorant", "aposteriori", "no_vanishing"}
    assert {b.name for b in bounds.applicable(field, "euler", 0.01, 100)} == {"euler", *every_scheme}
    assert {b.name for b in bounds.applicable(field, "yoshida4", 0.01, 100)} == every_scheme
    assert slow["chebyshev"].value == bounds.chebyshev(field, 0.01, 100)
    assert "sup‖DF‖ ≤ 1" in repr(slow["chebyshev"]) and "1.54308" in repr(slow["cosh"])
    with pytest.raises(ValueError, match="p0"):
        bounds.applicable(field, "leapfrog", 0.01, 100, p0=[1.0, 2.0])


def test_tightness_is_bound_over_norm_also_beyond_float64():
    field, inputs = NeuralField.random(3, inputs=1), np.sin(np.arange(1000.0))[:, None]
    steps = np.array([1e-3, 1.0])
    found = {b.name: b for b in bounds.applicable(field, "leapfrog", steps, 1000, inputs=inputs)}
    norm = log_jacobian_norm(field, "leapfrog", steps, 1000, inputs=inputs)
    least = log_singular_values(field, "leapfrog", steps, 1000, inputs=inputs)[:, -1]
    for bound in found.values():
        about = norm if bound.side == "upper" else least
        assert (bound.log_tightness(about) >= 0.0).all()
    B = found["chebyshev"]
    assert B.value[1] == math.inf and B.log_tightness(norm)[1] == B.log_value[1] - norm[1] > 700
    assert B.tightness(norm)[0] == pytest.approx(B.value[0] / math.exp(norm[0]))
    lower = found["no_vanishing"]
    assert lower.tightness(least)[0] == pytest.approx(math.exp(least[0]) / lower.value[0])
    assert lower.log_value[1] == -math.inf and lower.tightness(least)[1] == math.inf


# Catches: the momentum entry of the majorant pushing the position entry below the smallest float64.
def test_without_weights_the_bound_is_one_for_every_step():
    field = NeuralField(np.zeros((2, 2)), np.ones(2))
    for step in (1e-300, 1.0, 1e300, 1.7e308):
        for name in ("chebyshev", "cosh", "euler"):
            assert getattr(bounds, name)(field, step, 1000) == pytest.approx(1.0, abs=1e-11)
            assert 0.0 <= getattr(bounds, f"log_{name}")(field, step, 1000) < 1e-11
        assert bounds.aposteriori(field, "leapfrog", step, 1000) == 1.0
        assert bounds.no_vanishing(field, step, 1000) == pytest.approx(1.0, abs=1e-11)


@pytest.mark.parametrize("step", [5e-324, 1e-200, 1e150, 1e300])
@pytest.mark.parametrize("norm", [5e-324, 1e-160, 1e160, 1e308])
def test_extreme_steps_and_weights_give_a_number_or_inf_and_no_warning(step, norm, recwarn):
    field = scalar(norm)
    for name in ("chebyshev", "cosh", "euler"):
        value, log_value = (
            getattr(bounds, name)(field, step, 50),
            getattr(bounds, f"log_{name}")(field, step, 50),
        )
        assert value >= 1.0 and log_value >= 0.0
        assert math.isinf(value) or math.isclose(math.log(value), log_value, rel_tol=1e-9, abs_tol=1e-9)
    assert not recwarn.list


def test_lipschitz_is_never_below_the_exact_product():
    rng = np.random.default_rng(0)
    with mpmath.workdps(40):
        exact = {"logistic": mpmath.mpf(1) / 4, "erf": 2 / mpmath.sqrt(mpmath.pi)}
        for name in ACTIVATIONS:
            for d in (1, 2, 5, 9):
                W = rng.normal(size=(d, d)) * 10.0 ** rng.uniform(-3, 3)
                norm = max(mpmath.svd_r(mpmath.matrix(W.tolist()), compute_uv=False))
                product = exact.get(name, mpmath.mpf(1)) * norm
                excess = mpmath.mpf(NeuralField(W, np.zeros(d), activation=name).lipschitz) / product - 1
                assert 0 <= excess < 8 * d * EPS


@pytest.mark.parametrize("other", [np.eye(2), [[1.0]], "tanh", None])
def test_what_is_no_field_is_named(other):
    for call in (
        lambda: bounds.chebyshev(other, 0.1, 5),
        lambda: bounds.cosh(other, 0.1, 5),
        lambda: bounds.majorant(other, "leapfrog", 0.1, 5),
        lambda: bounds.theorem_3_2(other, 0.1, 5),
        lambda: bounds.aposteriori(other, "leapfrog", 0.1, 5),
        lambda: bounds.applicable(other, "leapfrog", 0.1, 5),
    ):
        with pytest.raises(TypeError, match="field must be a Field such as NeuralField"):
            call()
    with pytest.raises(ValueError, match="local 'mean' is not known; it is 'norm' or 'slope'"):
        bounds.aposteriori(scalar(1.0), "leapfrog", 0.1, 5, local="mean")


# Catches: ελ of 1e-150 beside ε of 1e150, whose product falls to zero, which makes the bound too small.
@pytest.mark.parametrize(("slope", "step"), [(1e-300, 1e150), (1e-240, 1e120), (1e-250, 1e125)])
@pytest.mark.parametrize("n", [1, 5, 40])
def test_a_bound_of_huge_steps_and_tiny_slopes_is_not_below_the_norm(slope, step, n):
    field = scalar(slope)
    for block in ("position", "phase"):
        norm = log_jacobian_norm(field, "leapfrog", step, n, block=block)
        bound = bounds.log_majorant(field, "leapfrog", step, n, block=block)
        assert norm <= bound <= norm + 1e-9
    exact = mpmath.log(mpmath.cosh(n * mpmath.acosh(1 + mpmath.mpf(step) ** 2 * mpmath.mpf(slope) / 2)))
    assert exact <= bounds.log_chebyshev(field, step, n) <= exact + 1e-9


# Catches: a unit of p that is left in the norm of the phase block where nothing kicks.
def test_a_bound_of_the_phase_block_without_a_force_is_the_drift():
    for step in (1e-200, 1.0, 1e200):
        found = bounds.log_majorant(scalar(0.0), "leapfrog", step, 7, block="phase")
        drift = 7 * mpmath.mpf(step)
        exact = mpmath.asinh(drift / 2)
        assert exact <= found <= exact + 1e-9


# Catches: a batch in which one member whose entries are far apart changes the last bits of the others.
def test_members_of_a_batch_have_the_bits_that_they_have_alone():
    step = np.array([1e-70, 0.3, 1.7, 1e150])
    linear, network = scalar(0.7), NeuralField([[0.7]], [0.3], activation="tanh")
    for n in (1, 7, 1000):
        together = {block: bounds.log_majorant(linear, "leapfrog", step, n, block=block) for block in BLOCKS}
        by_bias = bounds.log_bias_gradient(network, "leapfrog", step, n)
        for member, h in enumerate(step):
            for block in BLOCKS:
                alone = bounds.log_majorant(linear, "leapfrog", h, n, block=block)
                assert alone.tobytes() == together[block][member].tobytes()
            alone = bounds.log_bias_gradient(network, "leapfrog", h, n)
            assert alone.tobytes() == by_bias[member].tobytes()
