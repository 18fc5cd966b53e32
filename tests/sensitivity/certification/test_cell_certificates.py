"""Certificates of cells enclose Jacobians of 60 digits; certificates of regions hold all over them."""

import math

import mpmath
import naive_cells
import numpy as np
import pytest
import sympy

pytest.importorskip("flint", reason="certificates need python-flint, the extra certify")

from integrators import symbolic_cell
from sensitivity import cell, certify, certify_region, jacobian_norm, log_jacobian_norm, unroll
from sensitivity.certification.rules import _MATH

MODELS = ("lstm", "gru", "gru_before", "vanilla", "cornn", "cornn_imex", "unicornn", "lem", "euler", "leaky",
          "gated_antisymmetric", "staggered", "momentum_rnn", "nesterov_rnn", "scornn", "sbo")  # fmt: skip


def drawn(name, d, n, seed, scale=1.0):
    """A run of a cell with weights, states and inputs of its own."""
    rng = np.random.default_rng(seed)
    made = cell(name, d, 2, rng=seed)
    s0 = scale * rng.normal(size=made.dim)
    return unroll(made, s0=s0, inputs=rng.normal(size=(n, 2)))


def in_sixty_digits(run, name):
    """The product of the one-step Jacobians of the published formula; entries are mpmath numbers."""
    twin, made = getattr(naive_cells, name), run.cell
    p, s, *drive = naive_cells.in_mpmath(made.parameters, run.start[0], *run.drive()[0])
    P, h = np.eye(made.dim, dtype=object), mpmath.mpf(made.step_size)
    for x, clock in zip(drive, made.clock(run.n_steps), strict=True):
        P = naive_cells.jacobian(twin, p, s, x, h, clock) @ P
        s = twin(p, s, x, h, clock)
    return P


def check_enclosure(run, name):
    """The certificate encloses every entry of the Jacobian and its norm, in 60 digits."""
    found = certify(run, block="state")
    with mpmath.workdps(60):
        exact = in_sixty_digits(run, name)
        for ball, value in zip(found.balls.entries(), exact.ravel(), strict=True):
            middle, radius = (mpmath.mpf(p.str(70, radius=False)) for p in (ball.mid(), ball.rad()))
            # The derivative in 60 digits is a complex step of 1e-30, good to 1e-58.
            assert abs(mpmath.mpf(value) - middle) <= radius + mpmath.mpf(10) ** -50
        norm = max(mpmath.svd_r(mpmath.matrix(exact.tolist()), compute_uv=False))
        assert found.lower <= norm <= found.upper
    assert found.width <= 1e-10 and found.lower <= jacobian_norm(run, block="state") * (1 + 1e-12)
    return found


# Catches: a slope, a row, a bias or a clock at the wrong place, a branch taken unchecked, balls too small.
@pytest.mark.parametrize("name", (*MODELS, "h1", "h2"))
@pytest.mark.parametrize("seed", range(2))
def test_certificates_enclose_the_jacobian_of_the_published_formula(name, seed):
    found = check_enclosure(drawn(name, 2 + seed, 6, seed), name)
    assert math.isnan(found.log_stated_error) and found.float64_within_stated_error
    assert all(bound.holds for bound in found.bounds)


ASKED = ("lstm", "gru", "vanilla", "cornn", "unicornn", "lem")


@pytest.mark.slow
@pytest.mark.parametrize("name", ASKED)
def test_a_hundred_random_cases(name):
    rng = np.random.default_rng(len(name))
    for seed in range(17):  # of six cells
        d, n = int(rng.integers(1, 4)), int(rng.integers(1, 16))
        run = drawn(name, d, n, 100 + seed, scale=float(rng.choice([0.0, 0.5, 2.0])))
        check_enclosure(run, name)


@pytest.mark.slow
@pytest.mark.parametrize("name", ASKED)
def test_long_runs_have_narrow_certificates(name):
    assert certify(drawn(name, 8, 200, 3)).width <= 1e-10


def test_the_norm_with_certified_is_within_a_unit_in_the_last_place():
    for name in ("lstm", "vanilla", "cornn"):
        for seed in range(4):
            run = drawn(name, 2, 5, seed)
            with mpmath.workdps(60):
                P = in_sixty_digits(run, name)[run.blocks.get(run.default_block, slice(None))]
                P = P[:, run.blocks.get(run.default_block, slice(None))]
                exact = max(mpmath.svd_r(mpmath.matrix(P.tolist()), compute_uv=False))
                value = jacobian_norm(run, certified=True)
                assert abs(mpmath.mpf(value) - exact) <= mpmath.mpf(math.ulp(float(exact)))


def test_what_has_no_certificate_says_so():
    with pytest.raises(ValueError, match="grid = 0"):
        certify(unroll(cell("unicornn", 2, grid=2.0**-20), 3))
    kink = cell("vanilla", 1, activation="relu").with_parameters(W=[[1.0]], b=[0.1 - 0.1])
    assert certify(unroll(kink, 3, [1.0])).upper >= 1.0


def test_layers_are_certified():
    run = unroll(cell("unicornn", 3, 1, layers=2), inputs=np.sin(np.arange(8.0))[:, None])
    found = certify(run)
    assert found.lower <= jacobian_norm(run) * (1 + 1e-13) and found.upper >= jacobian_norm(run) * (1 - 1e-13)
    with pytest.raises(ValueError, match="one layer"):
        certify_region(run, 0.1)


# Catches: inputs of one stage left out, a region that does not grow, spreads that are too small.
@pytest.mark.parametrize("name", (*MODELS, "h1", "h2"))
def test_a_region_holds_all_over(name):
    run = drawn(name, 3, 4, 5, scale=0.3)
    rng = np.random.default_rng(1)
    try:
        found = certify_region(run, 0.02, 0.03, ratio=math.inf)
    except ArithmeticError:
        assert name in ("scornn", "sbo")  # a kink inside the region
        return
    seen = []
    for _ in range(60):
        s0 = rng.normal(size=run.cell.dim)
        s0 = run.start[0] + 0.02 * s0 / np.linalg.norm(s0)
        x = run.drive()[0] + 0.03 * np.sign(rng.normal(size=(4, 2)))
        seen.append(jacobian_norm(unroll(run.cell, s0=s0, inputs=x)))
    assert found.lower <= min(seen) and max(seen) <= found.upper
    assert found.upper - found.lower >= max(seen) - min(seen)
    smaller = certify_region(run, 1e-6, 1e-6, ratio=math.inf)
    assert 0.0 <= smaller.upper - smaller.lower < 1e-3 * max(1.0, smaller.upper)


def test_a_region_that_explodes_is_refused_with_the_steps_that_are_useful():
    run = drawn("gru", 4, 60, 0)
    with pytest.raises(ArithmeticError, match=r"too wide: after \d+ steps .* n_steps = ") as refused:
        certify_region(run, 0.02, 0.01)
    useful = int(str(refused.value).split("n_steps = ")[1].split(",")[0])
    x = run.drive()[0]
    assert 0 < useful < 60
    found = certify_region(unroll(run.cell, s0=run.start[0], inputs=x[:useful]), 0.02, 0.01)
    assert found.useful_steps == useful and found.upper <= 2.0 * found.lower
    with pytest.raises(ArithmeticError, match="too wide"):
        certify_region(unroll(run.cell, s0=run.start[0], inputs=x[: useful + 1]), 0.02, 0.01)


# Catches: products that stop at the smallest numbers of float64 instead of falling below them.
@pytest.mark.parametrize(
    "W", ([[0.45, 0.45], [0.45, 0.45]], [[0.5, 0.3], [0.3, 0.5]], [[1.2, 0.3], [0.3, 1.2]])
)
@pytest.mark.parametrize("n_steps", (100, 7100))
@pytest.mark.parametrize("radius", (0.0, 0.01))
def test_a_region_far_outside_float64_holds_the_norm(W, n_steps, radius):
    linear = cell("vanilla", 2, activation="identity").with_parameters(W=W, b=np.zeros(2))
    found = certify_region(unroll(linear, n_steps=n_steps), radius)
    with mpmath.workdps(60):
        power = mpmath.matrix(W) ** n_steps
        true = mpmath.log(max(mpmath.svd_r(power, compute_uv=False)))
        lower, upper = found.log_norm
        assert lower <= true <= upper and upper - lower < 1e-5
        assert mpmath.mpf(found.lower) <= mpmath.exp(true)
        assert mpmath.mpf(found.upper) >= mpmath.exp(true)
    assert found.useful_steps == n_steps


def test_a_contracting_region_has_states_that_come_together_below_float64():
    run = unroll(
        cell("vanilla", 2, 1, rng=0).with_parameters(W=[[0.1, 0.0], [0.0, 0.1]]), inputs=np.zeros((400, 1))
    )
    found = certify_region(run, 0.5, ratio=math.inf)
    rng = np.random.default_rng(0)
    starts = 0.5 * np.array([v / np.linalg.norm(v) for v in rng.normal(size=(20, 2))])
    logs = log_jacobian_norm(unroll(run.cell, inputs=np.zeros((400, 1)), s0=starts))
    assert found.log_norm[0] <= logs.min() and logs.max() <= found.log_norm[1] < -900.0


U, V = sympy.symbols("u v", real=True)


FUNCTIONS = (
    sympy.sin(U), sympy.cos(U), sympy.tan(U), sympy.asin(U / 2), sympy.acos(U / 2), sympy.atan(3 * U),
    sympy.atan2(U, V), sympy.atan2(-U, -V), sympy.sinh(U), sympy.cosh(U), sympy.tanh(2 * U), sympy.asinh(U),
    sympy.acosh(2 + U), sympy.atanh(U / 2), sympy.exp(-U), sympy.log(1 + U), sympy.erf(U), sympy.erfc(6 + U),
    sympy.sqrt(1 + U), (1 + U) ** sympy.Rational(3, 4), U**-2, (2 + U) ** (V / 4),
)  # fmt: skip


# Catches: a function that symbolic cells may have and ball arithmetic has not, or has under another name.
def test_every_function_of_symbolic_cells_against_sixty_digits():
    others = sympy.symbols(f"w:{len(FUNCTIONS) - 2}")
    start = np.linspace(0.3, 0.7, len(FUNCTIONS))
    made = symbolic_cell(list(FUNCTIONS), [U, V, *others], check_at=start)
    found = certify(unroll(made, n_steps=1, s0=start))
    slopes = sympy.lambdify([U, V], sympy.Matrix(FUNCTIONS).jacobian([U, V]), "mpmath")
    with mpmath.workdps(60):
        J = slopes(*(mpmath.mpf(value) for value in start[:2]))
        scale = mpmath.mpf(2) ** found.exponent
        for i in range(len(FUNCTIONS)):
            for j in range(2):
                error = abs(J[i, j] - mpmath.mpf(found.mid[i, j]) * scale)
                assert error <= mpmath.mpf(found.radius[i, j]) * scale <= 1e-12 * (1 + abs(J[i, j]))


def test_a_function_that_balls_do_not_have_is_named():
    with pytest.raises(ValueError, match="ball arithmetic has no 'lgamma'"):
        _MATH.lgamma  # noqa: B018


def test_the_lower_end_of_a_norm_is_not_negative():
    saturated = cell("vanilla", 2, activation="erf").with_parameters(b=[30.0, -30.0])
    found = certify(unroll(saturated, n_steps=3))
    assert found.lower == 0.0 <= found.upper < 1e-300
