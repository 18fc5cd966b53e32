"""Gradients of the last state by the parameters against the complex step, and closed forms of linear maps."""

import naive_cells
import naive_structures
import numpy as np
import pytest

import leapgrad as lg
import naive
from integrators import SCHEMES
from integrators.run import sweeps
from sensitivity.analysis.memory import parameters
from sensitivity.recurrences.registry import MODELS


def moved(name, d, n_inputs):
    """A model off its published start, where many parameters are zero or equal."""
    cell, rng = lg.cell(name, d, n_inputs, rng=3), np.random.default_rng(3)
    return cell.with_free(cell.free + cell.free_trainable * 0.3 * rng.normal(size=cell.free.size))


def norms_of(matrix):
    spectral = np.linalg.norm(matrix, 2) if matrix.size else 0.0  # NumPy 2.1 has no norm of an empty matrix
    return spectral, np.linalg.norm(matrix)


def by_complex_step(name, cell, inputs, s0):
    """∂s_N/∂(free parameters), shape (D, F)."""
    twin, eps, clock = getattr(naive_cells, name), naive_cells.EPS, cell.clock(len(inputs))
    found = np.zeros((cell.dim, cell.free.size))
    for j in np.flatnonzero(cell.free_trainable):
        free = cell.free.astype(complex)
        free[j] += 1j * eps
        p, s = naive_structures.parameters(name, cell.unpack_free(free)[0], cell.d), s0
        for x, t in zip(inputs, clock, strict=True):
            s = twin(p, s, x, cell.step_size, t)
        found[:, j] = np.imag(s) / eps
    return found


@pytest.mark.parametrize("name", MODELS)
def test_every_cell_against_the_complex_step(name):
    cell, rng = moved(name, 3, 2), np.random.default_rng(0)
    inputs, s0 = rng.normal(size=(7, 2)), np.abs(0.5 * rng.normal(size=cell.dim)) + 0.1
    whole = by_complex_step(name, cell, inputs, s0)
    run = lg.unroll(cell, inputs=inputs, s0=s0)
    block = cell.blocks[cell.default_block] if cell.default_block in cell.blocks else slice(None)
    for found, rows in (
        (lg.parameter_sensitivity(run, block="state"), slice(None)),
        (lg.parameter_sensitivity(run), block),
    ):
        named = cell.unpack_free(whole[rows])[0]
        assert list(found) == list(named)
        largest = max(np.linalg.norm(matrix) for matrix in named.values())
        for parameter, norms in found.items():
            expected = norms_of(named[parameter].reshape(whole[rows].shape[0], -1))
            assert abs(norms.spectral - expected[0]) <= 1e-11 * max(expected[0], 1e-3 * largest)
            assert abs(norms.frobenius - expected[1]) <= 1e-11 * max(expected[1], 1e-3 * largest)


@pytest.mark.parametrize("name", ("lstm", "gru", "momentum_rnn", "antisymmetric", "mingru", "s6"))
def test_both_ways_find_the_same_gradients(name, monkeypatch):
    rng = np.random.default_rng(1)
    cell = moved(name, 4, 2)
    run = lg.unroll(cell, inputs=rng.normal(size=(2, 3, 150, 2)))
    found = lg.parameter_sensitivity(run)
    monkeypatch.setattr(parameters, "_all_together", lambda run: False)
    for parameter, norms in lg.parameter_sensitivity(run).items():
        assert norms.spectral.shape == found[parameter].spectral.shape == (2, 3)
        assert np.allclose(norms.spectral, found[parameter].spectral, rtol=1e-11, atol=0)
        assert np.allclose(norms.log_frobenius, found[parameter].log_frobenius, rtol=0, atol=1e-11)


def test_no_bit_depends_on_threads_or_on_how_many_steps_are_handed_out(monkeypatch):
    rng = np.random.default_rng(7)
    cell, inputs = moved("lstm", 4, 2), rng.normal(size=(5, 170, 2))
    found = lg.parameter_sensitivity(lg.unroll(cell, inputs=inputs, threads=1))
    again = lg.parameter_sensitivity(lg.unroll(cell, inputs=inputs, threads=2))
    monkeypatch.setattr(sweeps, "KEPT_BYTES", 8 * 16 * 8 * 8 * 37)
    pieces = lg.parameter_sensitivity(lg.unroll(cell, inputs=inputs, threads=1))
    alone = lg.parameter_sensitivity(lg.unroll(cell, inputs=inputs[3], threads=1))
    for name, norms in found.items():
        assert norms == again[name] == pieces[name]
        assert norms.log_frobenius[3] == alone[name].log_frobenius


@pytest.mark.parametrize("scheme", sorted(SCHEMES))
def test_every_scheme_against_the_complex_step(scheme, random_field):
    field, rng = random_field(3, 2), np.random.default_rng(2)
    inputs, step, first_order = rng.normal(size=(6, 2)), [0.2, 0.6], SCHEMES[scheme].form == "first_order"
    start = rng.normal(size=3 if first_order else 6)
    run = lg.unroll(field, scheme=scheme, step=step, n_steps=6, inputs=inputs, s0=start)
    found = {block: lg.parameter_sensitivity(run, block=block) for block in ("position", "state")}
    sizes = {"W": field.W, "V": field.V, "b": field.b}
    assert list(found["state"]) == list(sizes)
    for member, h in enumerate(step):
        for parameter, values in sizes.items():
            columns = []
            for j in range(values.size):
                other = {name: value.astype(complex) for name, value in sizes.items()}
                other[parameter].ravel()[j] += 1e-30j

                def force(y, x, p=other):
                    return np.tanh(p["W"] @ y + p["V"] @ x + p["b"])

                y, p = naive.trajectory(SCHEMES[scheme], force, start[:3], start[3:], h, 6, inputs)[-1]
                columns.append(np.imag(y if first_order else np.concatenate([y, p])) / 1e-30)
            matrix = np.array(columns).T
            for block, rows in (("position", matrix[:3]), ("state", matrix)):
                norms, expected = found[block][parameter], norms_of(rows)
                assert norms.spectral[member] == pytest.approx(expected[0], rel=1e-11)
                assert norms.frobenius[member] == pytest.approx(expected[1], rel=1e-11)


def line(weight, n_inputs=1):
    """h' = λ h + v x + b."""
    cell = lg.cell("vanilla", 1, n_inputs, activation="identity")
    return cell.with_parameters(W=[[weight]], V=[[1.0]], b=[0.0])


@pytest.mark.parametrize("together", (True, False))
def test_logarithms_hold_what_float64_does_not(together, monkeypatch):
    """h_N = λ^{N−1} v x_1 + …: by v it is λ^{N−1} x_1, by λ it is (N − 1) λ^{N−2} x_1."""
    monkeypatch.setattr(parameters, "_all_together", lambda run: together)
    inputs = np.zeros((1020, 1))
    inputs[0] = 1.0
    small = lg.parameter_sensitivity(lg.unroll(line(1e-3), inputs=inputs))
    assert small["V"].log_spectral == pytest.approx(1019 * np.log(1e-3), abs=1e-9)
    assert small["V"].spectral == 0.0
    assert small["b"].spectral == pytest.approx(1.0 / (1.0 - 1e-3), rel=1e-14)
    large = lg.parameter_sensitivity(lg.unroll(line(2.0), inputs=inputs))
    assert large["V"].spectral == 2.0**1019
    assert large["W"].log_frobenius == pytest.approx(np.log(1019) + 1018 * np.log(2.0), abs=1e-9)
    assert large["W"].spectral == np.inf


def test_the_curse_of_memory():
    """E (∂h/∂λ)² = (1 + λ²)/(1 − λ²)³ of a stationary autoregression, within three standard errors."""
    rng, weight = np.random.default_rng(4), 0.8
    run = lg.unroll(line(weight), inputs=rng.normal(size=(20_000, 150, 1)))
    squares = lg.parameter_sensitivity(run)["W"].frobenius ** 2
    error = squares.std() / np.sqrt(squares.size)
    assert abs(squares.mean() - (1.0 + weight**2) / (1.0 - weight**2) ** 3) <= 3.0 * error


def test_layers_have_their_numbers_and_a_torch_lstm_the_same_jacobians():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    lstm = torch.nn.LSTM(2, 3, num_layers=2, batch_first=True).double()
    x = torch.randn(1, 6, 2, dtype=torch.float64)
    run = lg.unroll(lg.from_torch(lstm), inputs=x[0].numpy())
    found = lg.parameter_sensitivity(run, block="h1")
    weights = dict(lstm.named_parameters())

    def last(*values):
        return torch.func.functional_call(lstm, dict(zip(weights, values, strict=True)), (x,))[0][0, -1]

    jacobians = torch.func.jacrev(last, argnums=tuple(range(len(weights))))(*weights.values())
    by_name = dict(zip(weights, jacobians, strict=True))
    for layer in range(2):
        for ours, theirs in (("W", "weight_hh_l"), ("V", "weight_ih_l"), ("b", "bias_ih_l")):
            matrix = by_name[f"{theirs}{layer}"].reshape(3, -1).detach().numpy()
            assert found[f"{ours}{layer}"].spectral == pytest.approx(np.linalg.norm(matrix, 2), rel=1e-11)


def test_a_field_of_ones_own_has_theta():
    run = lg.unroll(lg.kepler(), scheme="leapfrog", step=0.01, n_steps=50, s0=[1.0, 0.0, 0.0, 1.0])
    found = lg.parameter_sensitivity(run)
    expected = np.array([run.parameter_gradient(e) for e in np.eye(4)[:2]])
    assert list(found) == ["theta"]
    assert found["theta"].spectral == pytest.approx(np.linalg.norm(expected, 2), rel=1e-12)


def test_an_overflowed_member_is_nan():
    cell = lg.cell("vanilla", 1, 1, activation="relu").with_parameters(W=[[3.0]], V=[[1.0]], b=[0.0])
    inputs = np.zeros((2, 900, 1))
    inputs[1] = 1.0
    with pytest.warns(RuntimeWarning):
        found = lg.parameter_sensitivity(lg.unroll(cell, inputs=inputs))["b"].log_spectral
    assert np.isfinite(found[0]) or found[0] == -np.inf
    assert np.isnan(found[1])


@pytest.mark.parametrize(
    "decay, steps, samples", [(0.5, 40, 1_000_000), pytest.param(0.9, 250, 1_000_000, marks=pytest.mark.slow)]
)
def test_the_curse_of_memory_of_random_inputs(decay, steps, samples):
    """E (∂h/∂λ)² = (1 + λ²)/(1 − λ²)³ for h' = λ h + x with independent standard normal x."""
    cell = lg.cell("vanilla", 1, 1, activation="identity")
    cell = cell.with_parameters(W=[[decay]], V=[[1.0]], b=[0.0])
    rng, group = np.random.default_rng(0), 4_000_000 // steps
    squares = np.concatenate(
        [
            lg.parameter_sensitivity(
                lg.unroll(cell, inputs=rng.standard_normal((min(group, samples - first), steps, 1)))
            )["W"].spectral
            ** 2
            for first in range(0, samples, group)
        ]
    )
    assert squares.size == samples
    error = squares.std() / np.sqrt(samples)
    assert abs(squares.mean() - (1.0 + decay**2) / (1.0 - decay**2) ** 3) <= error


# Catches: what structures of the cells of a stack make (a, b) in the place of their free parameters; norms of
# what is not trained.
@pytest.mark.parametrize("model", ["lru_block", "linoss_block"])
def test_parameters_of_a_stack_are_the_free_ones_of_its_cells(model):
    rng = np.random.default_rng(2)
    cell = lg.cell(model, 2, 1, rng=1)
    s0, x = rng.normal(size=cell.dim), rng.normal(size=(4, 1))
    found = lg.parameter_sensitivity(lg.unroll(cell, inputs=x, s0=s0), block="state")
    run = lg.unroll(cell, inputs=x, s0=s0)
    rows = np.array([run.parameter_gradient(row) for row in np.eye(cell.dim)])
    rows = np.where(cell.free_trainable, rows, 0.0)
    named = cell.unpack_free(np.arange(cell.free.size, dtype=np.float64))[0]
    assert list(found) == list(named)
    for name, places in named.items():
        part = rows[:, places.astype(int).ravel()]
        np.testing.assert_allclose(found[name].spectral, np.linalg.norm(part, 2), rtol=1e-12, atol=1e-300)
        np.testing.assert_allclose(found[name].frobenius, np.linalg.norm(part), rtol=1e-12, atol=1e-300)


# Catches: no names at all for a batch without members.
def test_an_empty_batch_has_the_names_of_all_parameters():
    cell = lg.cell("gru", 2, 1)
    found = lg.parameter_sensitivity(lg.unroll(cell, 3, np.zeros((0, 2))))
    assert list(found) == list(lg.parameter_sensitivity(lg.unroll(cell, 3)))
    assert all(norms.spectral.shape == (0,) for norms in found.values())
