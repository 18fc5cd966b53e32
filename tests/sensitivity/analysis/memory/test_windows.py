"""Norms over windows against the product of the steps of each window, and what lies outside float64."""

import numpy as np
import pytest
import sympy

import leapgrad as lg
from integrators import SCHEMES
from sensitivity.analysis.memory import windows
from sensitivity.recurrences.registry import MODELS


def products(cell, states, inputs, width):
    """∂s_{i+w}/∂s_i of a cell, from one step at a time."""
    steps = [cell.linearise(s, x, index=i)[1] for i, (s, x) in enumerate(zip(states, inputs, strict=False))]
    found = []
    for i in range(len(inputs) - width + 1):
        J = np.eye(cell.dim)
        for step in steps[i : i + width]:
            J = step @ J
        found.append(J)
    return np.array(found)


@pytest.mark.parametrize("model", sorted(MODELS))
def test_every_cell_against_brute_force(model):
    rng = np.random.default_rng(0)
    cell = lg.cell(model, 4, 2, rng=1)
    inputs, start = rng.normal(size=(3, 11, 2)), np.abs(0.3 * rng.normal(size=(3, cell.dim)))
    run = lg.unroll(cell, inputs=inputs, s0=start)
    states = run.states()
    for width in (1, 3, 4, 11):
        found = lg.window_norms(run, width)
        whole = lg.window_norms(run, width, block="state")
        assert found.shape == whole.shape == (3, 12 - width)
        part = cell.blocks[cell.default_block] if cell.default_block in cell.blocks else slice(None)
        for member in range(3):
            J = products(cell, states[member], inputs[member], width)
            for norms, block in ((whole, J), (found, J[:, part, part])):
                expected = np.linalg.norm(block, 2, axis=(1, 2))
                assert np.abs(norms[member] / expected - 1.0).max() <= 1e-12


@pytest.mark.parametrize("scheme", sorted(SCHEMES))
@pytest.mark.parametrize("block", ("position", "state"))
def test_every_scheme_against_runs_that_begin_at_each_step(scheme, block, random_field):
    field, rng = random_field(3, 2), np.random.default_rng(2)
    inputs, step = rng.normal(size=(9, 2)), np.array([0.2, 0.7])
    y0, p0 = rng.normal(size=(2, 3))
    path = lg.integrate(field, scheme, y0, p0, step, 9, inputs)
    first_order = SCHEMES[scheme].form == "first_order"
    states = path.y if first_order else np.concatenate([path.y, path.p], axis=-1)
    run = lg.unroll(field, scheme=scheme, step=step, n_steps=9, inputs=inputs, s0=states[0, 0])
    for width in (1, 4, 9):
        found = lg.window_norms(run, width, block=block)
        assert found.shape == (2, 10 - width)
        for member, h in enumerate(step):
            for i in range(10 - width):
                rows, last = inputs[i : i + width], i + width == 9
                if block == "state" and not last:
                    # p of the window's end has the kick of its node, at the input of the step after it.
                    continue
                alone = lg.unroll(
                    field, scheme=scheme, step=h, n_steps=width, s0=states[member, i], inputs=rows
                )
                assert found[member, i] == pytest.approx(lg.jacobian_norm(alone, block=block), rel=1e-12)


def test_an_input_that_is_a_function_of_time(random_field):
    field = random_field(3, 1)
    run = lg.OdeRecurrence(field, "leapfrog", [0.1, 0.3], 8, inputs=lambda t: [np.sin(3.0 * t)])
    whole, window = lg.window_norms(run, 8), lg.window_norms(run, 3)
    assert np.allclose(whole[:, 0], lg.jacobian_norm(run), rtol=1e-12, atol=0)
    first = lg.OdeRecurrence(field, "leapfrog", [0.1, 0.3], 3, inputs=lambda t: [np.sin(3.0 * t)])
    assert np.allclose(window[:, 0], lg.jacobian_norm(first), rtol=1e-12, atol=0)


def scaling_cell(*values):
    """s' = diag(2^e, 2^-e) s with e = values[n] at step n, which is the third component of the state."""
    a, b, n = sympy.symbols("a b n")
    size = sympy.Piecewise(*((2.0**e, n < i + 0.5) for i, e in enumerate(values)), (1.0, True))
    back = sympy.Piecewise(*((2.0**-e, n < i + 0.5) for i, e in enumerate(values)), (1.0, True))
    return lg.symbolic_cell([a * size, b * back, n + 1], [a, b, n], name="scaling_of_the_tests")


def test_what_leaves_float64_and_comes_back():
    """A window whose factors are far outside float64 in either direction is exact nevertheless."""
    run = lg.unroll(scaling_cell(600, 600, -600, -600, -600, 600), 6)
    assert np.array_equal(lg.log_window_norms(run, 4)[:1], [0.0])
    assert np.array_equal(lg.window_norms(run, 4)[:1], [1.0])
    logs = lg.log_window_norms(run, 3) / np.log(2.0)
    assert np.allclose(logs, [600.0, 600.0, 1800.0, 600.0], rtol=1e-15, atol=0)
    assert lg.window_norms(run, 3)[2] == np.inf
    both = lg.finite_time_exponents(run, 3, k=1)[:, 0]
    assert np.allclose(both, lg.finite_time_exponents(run, 3), rtol=1e-14, atol=0)


def test_neurons_that_do_not_see_one_another_take_the_same_norms_as_the_full_matrix(monkeypatch):
    rng = np.random.default_rng(4)
    cell = lg.cell("lru", 5, 2, rng=0)
    assert cell.decoupled
    run = lg.unroll(cell, inputs=rng.normal(size=(2, 20, 2)))
    found = lg.window_norms(run, 6), lg.finite_time_exponents(run, 6, k=3)
    monkeypatch.setattr(type(cell), "decoupled", False, raising=False)
    dense = lg.cell("lru", 5, 2, rng=0)
    dense.decoupled = False
    other = lg.unroll(dense, inputs=run.drive())
    assert np.allclose(found[0], lg.window_norms(other, 6), rtol=1e-13, atol=0)
    assert np.allclose(found[1], lg.finite_time_exponents(other, 6, k=3), rtol=0, atol=1e-12)


def test_pieces_of_a_run_change_no_number(monkeypatch):
    rng = np.random.default_rng(5)
    run = lg.unroll(lg.cell("gru", 6, 2, rng=0), inputs=rng.normal(size=(3, 41, 2)))
    at_once = [lg.window_norms(run, w) for w in (2, 7, 20, 21, 40)]
    monkeypatch.setattr(windows, "BYTES_AT_ONCE", 4096)
    for w, expected in zip((2, 7, 20, 21, 40), at_once, strict=True):
        assert np.array_equal(lg.window_norms(run, w), expected)


# Catches: products that are taken together while one of them leaves the range, a column that dies on the way,
# and a panel that begins at the wrong step.
def test_steps_that_are_multiplied_together_change_no_number(monkeypatch):
    rng = np.random.default_rng(8)
    calm = lg.unroll(lg.cell("lstm", 3, 1, rng=0), inputs=rng.normal(size=(2, 90, 1)))
    jumps = np.where(np.arange(90) < 45, 60, -110) + rng.integers(-20, 20, 90)
    a, n = sympy.symbols("a n")  # a shrinks beyond float64 beside a component that stays, and then grows
    pit = lg.symbolic_cell(
        [a * sympy.Piecewise((2.0**-60, n < 44.5), (2.0**110, True)), n + 1], [a, n], name="pit_of_the_tests"
    )
    nilpotent = lg.cell("vanilla", 3, activation="identity")
    nilpotent = nilpotent.with_parameters(W=np.diag([1.5, 2.0], k=1), b=np.zeros(3))
    runs = calm, lg.unroll(scaling_cell(*jumps.tolist()), 90), lg.unroll(nilpotent, 40), lg.unroll(pit, 78)
    together = [lg.log_window_norms(run, w) for run in runs for w in (2, 17, 33, 40)]
    monkeypatch.setattr(windows, "PANEL", 1)
    alone = [lg.log_window_norms(run, w) for run in runs for w in (2, 17, 33, 40)]
    assert all(np.array_equal(a, b) for a, b in zip(together, alone, strict=True))
    totals = np.cumsum(np.append(0, jumps))
    expected = np.abs(totals[40:] - totals[:-40]) * np.log(2.0)
    assert np.allclose(together[7], expected, rtol=1e-14, atol=0)
    totals = np.cumsum(np.append(0, np.where(np.arange(78) < 45, -60, 110)))
    expected = np.maximum(totals[40:] - totals[:-40], 0) * np.log(2.0)
    assert np.allclose(together[15], expected, rtol=1e-14, atol=0)
    J = products(calm.cell, calm.states()[0], calm.drive()[0], 33)
    norms = np.linalg.norm(J, 2, axis=(1, 2))
    assert np.abs(np.exp(together[2][0]) / norms - 1.0).max() <= 1e-12


def test_finite_time_exponents_are_singular_values_of_the_windows():
    rng = np.random.default_rng(6)
    run = lg.unroll(lg.cell("lstm", 3, 1, rng=0), inputs=rng.normal(size=(12, 1)))
    found = lg.finite_time_exponents(run, 5, k=3, block="state")
    J = products(run.cell, run.states(), run.drive()[0], 5)
    assert np.allclose(found, np.log(np.linalg.svd(J, compute_uv=False)[:, :3]) / 5.0, rtol=0, atol=1e-10)
    assert np.allclose(found[:, 0], lg.finite_time_exponents(run, 5, block="state"), rtol=1e-12, atol=0)


def test_a_batch_has_its_axes_and_an_overflowed_member_is_nan():
    cell = lg.cell("vanilla", 2, 1, activation="relu").with_parameters(
        W=[[0.0, 3.0], [3.0, 0.0]], V=np.ones((2, 1)), b=[0.0, 0.0]
    )
    inputs = np.zeros((2, 3, 900, 1))
    inputs[1, 2] = 1.0  # grows by 3 a step, beyond float64
    with pytest.warns(RuntimeWarning):
        found = lg.window_norms(lg.unroll(cell, inputs=inputs), 10)
    assert found.shape == (2, 3, 891)
    assert np.isnan(found[1, 2]).all() and np.isfinite(found[0]).all() and np.isfinite(found[1, :2]).all()


def test_what_makes_no_window_is_refused():
    run = lg.unroll(lg.cell("vanilla", 3), n_steps=5)
    with pytest.raises(ValueError, match="width must be at most n_steps = 5"):
        lg.window_norms(run, 6)
    with pytest.raises(ValueError, match="k must be at most 3"):
        lg.finite_time_exponents(run, 2, k=4)
    with pytest.raises(TypeError, match="run must be a recurrence"):
        lg.window_norms(run.cell, 2)
