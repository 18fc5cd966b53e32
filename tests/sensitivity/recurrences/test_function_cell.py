"""Steps of PyTorch and JAX against the cells of leapgrad, and what is no step."""

import importlib.util

import numpy as np
import pytest

import leapgrad as lg
from sensitivity.recurrences.autodiff import Arrangement, Tree
from sensitivity.recurrences.function_cell import check_repeats

RNG = np.random.default_rng(0)
BUILT_IN = lg.cell("gru", 5, 2, rng=0)
INPUTS = RNG.normal(size=(3, 30, 2))


def gru_arrays():
    """W and V in PyTorch's order r, z, n, with the biases that belong to the two products."""
    p, d = BUILT_IN.parameters, 5
    W = np.concatenate([p["W"][d:], p["W"][:d]])
    b_q, b_r, b_z, b_n = np.split(p["b"], 4)
    return {
        "weight_ih": p["V"].copy(),
        "weight_hh": W,
        "bias_ih": np.concatenate([b_r, b_z, b_n]),
        "bias_hh": np.concatenate([np.zeros(2 * d), b_q]),
    }


def gru_step(sigmoid, tanh):
    """A GRU step in the functions of a library."""

    def step(params, h, x):
        from_x = params["weight_ih"] @ x + params["bias_ih"]
        from_h = params["weight_hh"] @ h + params["bias_hh"]
        r, z = sigmoid(from_x[:5] + from_h[:5]), sigmoid(from_x[5:10] + from_h[5:10])
        n = tanh(from_x[10:] + r * from_h[10:])
        return (1 - z) * n + z * h

    return step


def by_jax():
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    params = {name: jax.numpy.asarray(value) for name, value in gru_arrays().items()}
    step = gru_step(jax.nn.sigmoid, jax.numpy.tanh)
    with_values = lg.from_function(step, jax.numpy.zeros(5), params)
    return with_values.with_parameters(**gru_arrays())  # float64, whatever JAX kept of them


def by_torch():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    params = {name: torch.tensor(value) for name, value in gru_arrays().items()}
    return lg.from_function(gru_step(torch.sigmoid, torch.tanh), torch.zeros(5), params)


def by_module():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    module = torch.nn.GRUCell(2, 5).double()
    with torch.no_grad():
        for name, value in gru_arrays().items():
            getattr(module, name).copy_(torch.tensor(value))
    return lg.from_function(module, torch.zeros(5))


@pytest.mark.parametrize("make", (by_jax, by_torch, by_module))
def test_a_gru_is_the_built_in_one(make):
    cell = make()
    assert (cell.d, cell.n_inputs, cell.free.size) == (5, 2, 135)
    run, built_in = lg.unroll(cell, inputs=INPUTS), lg.unroll(BUILT_IN, inputs=INPUTS)
    assert np.abs(run.run() - built_in.run()).max() <= 1e-13
    assert np.abs(run.states() - built_in.states()).max() <= 1e-13
    for verb in (
        lg.jacobian_norm,
        lg.log_jacobian_norm,
        lambda r: lg.gradient_profile(r).norms,
        lambda r: lg.gradient_profile(r, of="inputs").norms,
        lambda r: lg.growth_exponents(r, k=2).exponents,
        lambda r: lg.singular_values(r, k=2, method="lanczos").unscaled(),
        lambda r: lg.log_singular_values(r)[:, :3],
        lambda r: lg.window_norms(r, 7),
        lambda r: lg.readout_ceiling(r, np.ones(30)).correlation,
        lambda r: lg.parameter_sensitivity(r)["weight_ih" if r is run else "V"].frobenius,
    ):
        assert np.allclose(verb(run), verb(built_in), rtol=1e-11, atol=1e-12)
    assert np.abs(lg.jacobian(run) - lg.jacobian(built_in)).max() <= 1e-12
    loss = RNG.normal(size=(3, 31, 5))
    ours, theirs = run.backpropagate(loss, inputs=True), built_in.backpropagate(loss, inputs=True)
    assert np.abs(ours.inputs - theirs.inputs).max() <= 1e-12
    by_weights = cell.unpack(ours.theta)[0]["weight_ih"]
    assert np.abs(by_weights - BUILT_IN.unpack_free(theirs.theta)[0]["V"]).max() <= 1e-12


@pytest.mark.parametrize("make", (by_jax, by_torch))
def test_results_do_not_depend_on_threads_or_columns(make):
    cell = make()
    one, two = (lg.unroll(cell, inputs=INPUTS, threads=n) for n in (1, 2))
    assert np.array_equal(lg.jacobian(one), lg.jacobian(two)) and np.array_equal(one.run(), two.run())
    *_, last = np.moveaxis(one.states(), 1, 0)
    assert np.array_equal(one.run(), last)


def test_states_in_several_parts_have_blocks():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    torch.manual_seed(1)
    module = torch.nn.LSTMCell(2, 4).double()
    cell = lg.from_function(module, (torch.zeros(4), torch.zeros(4)), n_inputs=2)
    lstm = torch.nn.LSTM(2, 4).double()
    with torch.no_grad():
        for name, value in module.named_parameters():
            getattr(lstm, f"{name}_l0").copy_(value)
    h, c = RNG.normal(size=(2, 4))
    run = lg.unroll(cell, inputs=INPUTS[0], s0=(torch.tensor(h), torch.tensor(c)))
    other = lg.unroll(lg.from_torch(lstm), inputs=INPUTS[0], s0=np.concatenate([h, c]))
    assert dict(cell.blocks) == {"0": slice(0, 4), "1": slice(4, 8)}
    assert np.abs(lg.jacobian(run) - lg.jacobian(other)).max() <= 1e-13
    assert lg.jacobian_norm(run, block="0") == pytest.approx(lg.jacobian_norm(other, block="h"), rel=1e-12)


def test_growth_outside_float64():
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    scale = jax.numpy.asarray([2.0, 0.5])
    cell = lg.from_function(lambda s: (scale * s, s.sum()), np.zeros(2))
    run = lg.unroll(cell, 3000)
    assert lg.log_jacobian_norm(run) == pytest.approx(3000 * np.log(2.0), rel=1e-14)
    assert lg.gradient_profile(run, at=[0]).log_norms[0] == pytest.approx(3000 * np.log(2.0), rel=1e-14)
    assert np.allclose(lg.growth_exponents(run).exponents, [np.log(2.0), -np.log(2.0)], rtol=1e-13, atol=0)


def test_the_initial_state_of_the_function_is_where_a_run_begins():
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    cell = lg.from_function(lambda s: jax.numpy.cos(s), np.array([0.1, 0.2]))
    assert np.array_equal(lg.unroll(cell, 0).run(), [0.1, 0.2])
    assert np.allclose(lg.unroll(cell, 3).run(), np.cos(np.cos(np.cos([0.1, 0.2]))), rtol=0, atol=1e-15)
    assert np.array_equal(lg.unroll(cell, 0, s0=[0.5, 0.6]).run(), [0.5, 0.6])


def test_the_arguments_of_a_step_are_told_by_name_or_number():
    for step, has_params, expected in (
        (lambda s: s, False, ("state",)),
        (lambda s, x: s, False, ("state", "input")),
        (lambda a, b, c: a, True, ("state", "input", "params")),
        (lambda params, carry, x: carry, True, ("params", "state", "input")),
        (lambda x, h: h, False, ("input", "state")),
        (lambda a, b: a, True, ("state", "params")),
        (lambda h, theta, eps=0.1: h, True, ("state", "params")),
    ):
        assert tuple(Arrangement.of(step, has_params)) == expected
    with pytest.raises(TypeError, match="step must take"):
        Arrangement.of(lambda a, b, c, d: a, True)


def test_trees_are_taken_apart_and_put_together():
    tree = Tree.of({"a": (np.ones((2, 2)), [3.0, 4.0]), "b": 5, "c": None}, "params")
    assert tree.names == ("a.0", "a.1") and tree.shapes == ((2, 2), (2,))
    again = tree.rebuilt(2.0 * tree.values)
    assert again["b"] == 5 and again["c"] is None and np.array_equal(again["a"][1], [6.0, 8.0])


def test_what_is_no_step_is_refused():
    with pytest.raises(TypeError, match="step must be a function of one step"):
        lg.from_function(3.0, np.zeros(2))
    with pytest.raises(TypeError, match="step must be a function of PyTorch or JAX"):
        lg.from_function(lambda s: 2.0 * s, np.zeros(2))
    with pytest.raises(ValueError, match="s0 has no entries"):
        lg.from_function(lambda s: s, np.zeros(0))
    with pytest.raises(ValueError, match="not finite"):
        lg.from_function(lambda s: s, np.array([np.nan]))
    with pytest.raises(ValueError, match="library must be 'torch' or 'jax'"):
        lg.from_function(lambda s: s, np.zeros(2), library="numpy")


def test_a_step_that_differs_from_call_to_call_is_refused():
    rng, calls = np.random.default_rng(1), []

    def counted(theta, s, x):
        calls.append(s)
        return s * len(calls)

    for step in (lambda theta, s, x: s * rng.integers(0, 2, s.size) * 2.0, counted):  # dropout, a counter
        with pytest.raises(ValueError, match=r"another state .* same arguments.*eval\(\) mode"):
            check_repeats(step, np.zeros(0), np.zeros(20), 0)
    check_repeats(lambda theta, s, x: s * np.nan, np.zeros(0), np.zeros(3), 2)
    check_repeats(lambda theta, s, x: np.sin(s), np.zeros(0), np.zeros(3), 2)


def test_dropout_in_training_is_refused():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    module = torch.nn.Sequential(torch.nn.Linear(20, 20), torch.nn.Dropout(0.5))
    with pytest.raises(ValueError, match="another state"):
        lg.from_function(module, torch.zeros(20))
    assert lg.from_function(module.eval(), torch.zeros(20)).dim == 20


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed")
def test_steps_that_do_not_fit_are_refused():
    import jax.numpy as jnp

    with pytest.raises(ValueError, match="step must return a state like s0"):
        lg.from_function(lambda s: jnp.concatenate([s, s]), jnp.zeros(2))
    with pytest.raises(ValueError, match="n_inputs is needed"):
        lg.from_function(lambda s, x: s + x.sum(), jnp.zeros(2))
    with pytest.raises(ValueError, match="n_inputs = 3, but step takes no input"):
        lg.from_function(lambda s: jnp.sin(s), jnp.zeros(2), n_inputs=3)
    cell = lg.from_function(lambda s, x: s + x.sum(), jnp.zeros(2), n_inputs=3)
    with pytest.raises(TypeError, match="is a function"):
        lg.close_loop(cell, np.zeros((3, 2)))
    with pytest.raises(TypeError, match="function of another library"):
        lg.certify(lg.unroll(cell, 3))
    with pytest.raises(ValueError, match="has no parameter 'W'"):
        cell.with_parameters(W=[1.0])


# Catches: zero in the place of the state that the function was given with, where `unroll` is not taken.
def test_a_recurrence_of_a_function_starts_where_its_state_is():
    jax = pytest.importorskip("jax")
    cell = lg.from_function(lambda s: 0.5 * jax.numpy.sin(s), np.array([0.1, 0.2]))
    np.testing.assert_array_equal(lg.Recurrence(cell, 3).start, lg.unroll(cell, 3).start)
