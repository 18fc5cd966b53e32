"""Networks of any cell: layers, cells of one's own, structures that training keeps, and where they start."""

import json
import pickle

import naive_cells
import naive_structures
import numpy as np
import pytest

import naive
from integrators import symbolic_cell
from sensitivity.cli import main
from sensitivity.recurrences.cells.gated import GRU_BEFORE, LSTM, gru_before, lstm
from sensitivity.recurrences.cells.initial import uniform
from sensitivity.recurrences.cells.orthogonal import EXPRNN, SCURNN
from sensitivity.recurrences.cells.oscillators import unicornn
from sensitivity.recurrences.cells.vanilla import vanilla
from sensitivity.recurrences.registry import MODELS, make
from sensitivity.recurrences.structures.matrices import above_diagonal
from sensitivity.recurrences.structures.spectral import Exponential
from sensitivity.training.classifier import SequenceClassifier
from sensitivity.training.data.tasks import TASKS
from sensitivity.training.models import MODELS as NETWORKS
from sensitivity.training.models import Shape, make_network
from sensitivity.training.networks import cell_network
from sensitivity.training.networks.cell_network import CellNetwork
from sensitivity.training.networks.ode_network import OdeNetwork
from sensitivity.training.start import Start
from sensitivity.training.trainer import Recipe, Split, train

N_STEPS = 5


def batch(network, n=5, seed=3):
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(network.n_steps, network.n_inputs, n))
    return inputs, rng.integers(0, network.n_classes, n)


def near_start(network, seed=1):
    theta = Start().draw(network, seed)
    return theta + 0.2 * np.random.default_rng(seed).normal(size=theta.size)


def naive_loss(network, twin, inputs, labels, structure=None):
    """θ → (loss,) for complex θ, by the published equations, layer above layer."""
    cell = network.cell
    first = cell.kind.state[0]

    def loss(theta):
        parts, free = network.named(theta), cell.free.astype(theta.dtype)
        free[cell.free_trainable] = theta[: int(cell.free_trainable.sum())]
        layers, total = cell.unpack_free(free), 0.0
        if structure is not None:
            layers = [naive_structures.parameters(structure, own, cell.d) for own in layers]
        size = cell.dim // len(layers)
        clock = cell.clock(network.n_steps)
        for x, label in zip(inputs.transpose(2, 0, 1), labels, strict=True):
            states = [np.zeros(size, theta.dtype) for _ in layers]
            for i, row in enumerate(x):
                drive = row
                for layer, own in enumerate(layers):
                    states[layer] = twin(own, states[layer], drive, cell.step_size, clock[i])
                    drive = states[layer][: cell.d]
            whole = np.concatenate(states)
            seen = (
                whole
                if network.block == "state"
                else whole[cell.blocks.get(network.block, cell.blocks.get(first))]
            )
            scores = parts["R_out"] @ seen + parts["r_out"]
            total = total + np.log(np.exp(scores).sum()) - scores[label]
        return np.array([total / len(labels)])

    return loss


def check(network, twin, structure=None, tolerance=1e-12):
    theta, (inputs, labels) = near_start(network), batch(network)
    found = network.gradient(theta, inputs, labels)
    loss = naive_loss(network, twin, inputs, labels, structure)
    assert found.loss == pytest.approx(loss(theta)[0], rel=1e-12)
    assert naive.relative(found.gradient, naive.complex_step(loss, theta)[0]) < tolerance
    scores = network.scores(theta, inputs)
    assert found.right == int((scores.argmax(axis=0) == labels).sum())
    top = scores - scores.max(axis=0)
    losses = np.log(np.exp(top).sum(axis=0)) - top[labels, range(len(labels))]
    assert losses.mean() == pytest.approx(found.loss, rel=1e-12)
    assert network.named(theta).keys() == network.shapes.keys()
    assert np.array_equal(network.with_theta(theta).free[network.cell.free_trainable],
                          theta[: int(network.cell.free_trainable.sum())])  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_every_cell_by_its_free_parameters(name):
    network = CellNetwork(make(name, 4, 2, rng=7), N_STEPS, n_classes=3, threads=1)
    check(network, getattr(naive_cells, name), name)


@pytest.mark.parametrize("layers", (2, 3))
@pytest.mark.parametrize("name", ("lstm", "gru_before", "unicornn"))
def test_layers(name, layers):
    d, kinds = 3, {"lstm": LSTM, "gru_before": GRU_BEFORE}
    if name == "unicornn":
        cell = unicornn(d, 2, layers=layers)
    else:
        kind, rng = kinds[name], np.random.default_rng(0)
        cell = kind.layers(d, 2, [uniform(kind, d, d if k else 2, rng) for k in range(layers)])
    network = CellNetwork(cell, N_STEPS, n_classes=3, threads=2)
    check(network, getattr(naive_cells, name))
    assert network.block.endswith(str(layers - 1)) and "V1" in network.shapes
    theta, data = near_start(network), batch(network)
    alone = CellNetwork(cell, N_STEPS, n_classes=3, threads=1)
    assert np.array_equal(alone.gradient(theta, *data).gradient, network.gradient(theta, *data).gradient)
    assert network.recurrent_parameters == cell.free_trainable.sum() - sum(
        part[key].size for part in cell.unpack_free(cell.free) for key in ("V", "b")
    )


def test_layers_with_a_structure():
    rng = np.random.default_rng(0)
    parts = [{"A": rng.normal(size=6), "V": rng.normal(size=(4, m))} for m in (2, 4)]
    network = CellNetwork(EXPRNN.layers(4, 2, parts), N_STEPS, n_classes=3)
    check(network, naive_cells.exprnn, "exprnn")
    assert network.recurrent_parameters == 12


@pytest.mark.parametrize("block", ("u", "state"))
def test_cells_of_ones_own_with_inputs(block):
    import sympy

    u, v, x, y, a, b = sympy.symbols("u v x y a b")
    expressions = [sympy.tanh(a * u - v + x), sympy.sin(b * u * v) + 0.3 * x * y]
    cell = symbolic_cell(expressions, [u, v], [x, y], {a: 0.7, b: -0.4})

    def twin(p, s, drive, h, clock):
        return np.array([np.tanh(p["a"][0] * s[0] - s[1] + drive[0]),
                         np.sin(p["b"][0] * s[0] * s[1]) + 0.3 * drive[0] * drive[1]])  # fmt: skip

    network = CellNetwork(cell, N_STEPS, n_classes=3, block=block)
    assert list(network.shapes) == ["a", "b", "R_out", "r_out"]
    check(network, twin)
    with pytest.raises(ValueError, match="has no matrix on its state; it has V, a, b"):
        network.weights(near_start(network))


def test_what_is_read_out_has_a_name():
    network = CellNetwork(make("enrnn", 6, 1), N_STEPS, block="h1")
    assert network.shapes["R_out"] == (2, 3) and network.describe()["block"] == "h1"
    check(network, naive_cells.enrnn, "enrnn")
    with pytest.raises(ValueError, match=r"block 'H' is not known. Did you mean 'h'"):
        CellNetwork(lstm(3, 1), N_STEPS, block="H")
    import sympy

    s, r = sympy.symbols("s R_out")
    with pytest.raises(ValueError, match="has a parameter R_out, which is what the readout is called"):
        CellNetwork(symbolic_cell([r * s], [s], parameters={r: 1.0}), N_STEPS)


MATRICES = [name for name in naive_structures.BY_NAME if "W" in make(name, 2).kind.structure.makes]
VECTORS = [name for name in naive_structures.BY_NAME if name not in MATRICES]


@pytest.mark.parametrize("name", VECTORS)
def test_training_keeps_rates_and_poles_where_they_belong(name):
    network = CellNetwork(make(name, 5, 1, rng=2), 8, threads=1)
    data = TASKS["gaussian_mean"].sample(60, 8, 0)
    theta = Start().draw(network, 0)
    run = train(network, Split(data, data), Recipe(rate=0.2, batch=20, epochs=10), theta)
    cell = network.with_theta(run.theta)
    made = [cell.parameters[key] for key in cell.kind.structure.makes]
    before = [network.with_theta(theta).parameters[key] for key in cell.kind.structure.makes]
    assert max(np.abs(a - b).max() for a, b in zip(made, before, strict=True)) > 1e-3
    expected = naive_structures.made(name, cell.free_parameters, 5)
    for key, value in zip(cell.kind.structure.makes, made, strict=True):
        assert np.allclose(value, expected[key], rtol=1e-12, atol=1e-13)
    assert cell.log_bound(1.0, 50) < 10.0


@pytest.mark.parametrize("name", MATRICES)
def test_training_keeps_the_structure(name):
    """Twelve epochs of large steps of Adam; the loss goes down, and W stays where it belongs."""
    task = TASKS["gaussian_mean"]
    data = Split(task.sample(200, 8, 0), task.sample(40, 8, 1))
    network = CellNetwork(make(name, 8, 1, rng=2), 8, threads=1)
    theta = Start().draw(network, 0)
    run = train(network, data, Recipe(rate=0.05, batch=20, epochs=12, clip=1.0), theta)
    assert run.trace.loss[-1] < 0.5 * run.trace.loss[1] and np.abs(run.theta - theta).max() > 0.1
    W, before = (network.with_theta(t).parameters["W"] for t in (run.theta, theta))
    assert np.abs(W - before).max() > 0.05
    if name in ("scornn", "exprnn", "urnn", "scurnn"):
        assert np.abs(W.T @ W - np.eye(len(W))).max() <= 1e-12
    if name in ("urnn", "scurnn"):
        assert np.array_equal(W[:8, :8], W[8:, 8:]) and np.array_equal(W[:8, 8:], -W[8:, :8])
    if name == "enrnn":
        assert not W[4:, :4].any() and np.abs(W[:4, :4].T @ W[:4, :4] - np.eye(4)).max() <= 1e-12
        assert np.abs(np.linalg.eigvals(W[4:, 4:])).max() == pytest.approx(1.0, abs=1e-12)
    if "antisymmetric" in name:
        assert np.array_equal(W + 0.01 * np.eye(8), -(W + 0.01 * np.eye(8)).T)
    again = train(network, data, Recipe(rate=0.05, batch=20, epochs=12, clip=1.0), theta)
    assert np.array_equal(again.theta, run.theta)


def test_a_tanh_cell_with_an_orthogonal_matrix_can_be_trained():
    cell = vanilla(5, 2).structured(Exponential(), A=np.zeros((5, 5)))
    network = CellNetwork(cell, N_STEPS, n_classes=3)
    check(network, naive_cells.vanilla, "exprnn")


# --------------------------------------------------------------------------------------------- starts


@pytest.mark.parametrize("name", MODELS)
def test_a_network_starts_from_the_parameters_of_its_cell(name):
    cell = make(name, 6, 2, rng=11)
    network = CellNetwork(cell, N_STEPS, n_classes=3)
    theta = Start(readout_scale=0.5).draw(network, 4)
    assert np.array_equal(network.with_theta(theta).theta, cell.theta)
    parts = network.named(theta)
    assert np.abs(parts["R_out"]).max() <= 0.5 / np.sqrt(6) and not parts["r_out"].any()
    other = network.named(Start().draw(network, 5))
    assert not np.array_equal(parts["R_out"], other["R_out"])


@pytest.mark.parametrize("name", [name for name in MODELS if name not in ("euler", "antisymmetric")])
def test_networks_by_name_start_as_published_anew_for_every_seed(name):
    network = make_network(name, Shape(6, N_STEPS, 2, 3))
    for seed in (0, 3):
        theta = Start().draw(network, seed)
        fresh = make(name, 6, 2, rng=seed)
        assert np.array_equal(network.with_theta(theta).free[fresh.free_trainable],
                              fresh.free[fresh.free_trainable])  # fmt: skip
        # What is fixed, such as the permutation of urnn, belongs to the network.
        assert np.array_equal(network.with_theta(theta).free[~fresh.free_trainable],
                              network.cell.free[~fresh.free_trainable])  # fmt: skip


@pytest.mark.parametrize("network", [
    make_network("lstm", Shape(5, 7, 2, 3)),
    make_network("vanilla", Shape(5, 7, 2, 3), activation="relu"),
    OdeNetwork(5, 7, 0.1, n_inputs=2),
    OdeNetwork(5, 7, 0.1, n_inputs=2, scheme="euler", gamma=0.1),
])  # fmt: skip
def test_the_networks_of_kept_results_start_with_the_bits_they_had(network):
    rng, expected = np.random.default_rng(8), []
    for name, shape in network.shapes.items():
        limit = 1.0 / np.sqrt(5)
        expected.append(rng.uniform(-limit, limit, shape).ravel() * (name not in ("r", "r_out")))
    for start in (Start(), Start("uniform")):
        assert np.array_equal(start.draw(network, 8), np.concatenate(expected))


def test_scales_of_a_start():
    cell = make("scornn", 6, 2, rng=1)
    network = CellNetwork(cell, N_STEPS)
    parts = network.named(Start(input_scale=3.0, bias_scale=0.25).draw(network, 0))
    assert 2.0 < np.abs(parts["V"]).max() <= 3.0 and 0.1 < np.abs(parts["b"]).max() <= 0.25
    assert np.array_equal(parts["A"], cell.free_parameters["A"])
    with pytest.raises(ValueError, match=r"weight_scale = 2 needs a network with a W of its own; .* A, V, b"):
        Start(weight_scale=2.0).draw(network, 0)
    with pytest.raises(ValueError, match='"oscillators" needs a step'):
        Start("oscillators").draw(network, 0)
    plain = CellNetwork(vanilla(6, 2), N_STEPS)
    whole, half = (plain.named(Start(weight_scale=s).draw(plain, 0))["W"] for s in (1.0, 0.5))
    assert np.array_equal(0.5 * whole, half)
    uniform_ = network.named(Start("uniform").draw(network, 0))
    assert np.abs(uniform_["A"]).max() <= 1.0 / np.sqrt(6) and np.unique(uniform_["A"]).size == 15


def test_weights_that_were_given_are_the_start():
    A = naive_structures.skew(np.arange(10.0), 5)
    network = CellNetwork(EXPRNN(5, 1, A=A, V=np.ones((5, 1))), N_STEPS)
    parts = network.named(Start().draw(network, 0))
    assert np.array_equal(parts["A"], above_diagonal(A)) and (parts["V"] == 1.0).all()


def test_networks_with_other_fixed_parameters_are_described_as_such():
    cells = [make("scornn", 4, 1, negative=n) for n in (0, 1)]
    cells += [make("gated_antisymmetric", 4, 1, gamma=g) for g in (0.0, 0.1)] + [
        make("urnn", 4, 1, rng=s) for s in (0, 1)
    ]
    told = [json.dumps(CellNetwork(cell, N_STEPS).describe()) for cell in cells]
    assert len(set(told)) == len(told)


@pytest.mark.parametrize("name", ("scornn", "urnn", "lstm"))
def test_networks_pickle_with_their_start(name):
    network = make_network(name, Shape(4, N_STEPS, 2, 3))
    again, theta = pickle.loads(pickle.dumps(network)), Start().draw(network, 3)
    inputs, labels = batch(network)
    assert np.array_equal(Start().draw(again, 3), theta)
    assert np.array_equal(again.gradient(theta, inputs, labels).gradient,
                          network.gradient(theta, inputs, labels).gradient)  # fmt: skip


def test_what_is_no_cell_or_no_parameters_is_refused():
    with pytest.raises(
        TypeError, match=r"cell must be a Cell, as sensitivity.cell and own_cell make it, got str"
    ):
        CellNetwork("lstm", N_STEPS)
    network = CellNetwork(lstm(3, 1), N_STEPS)
    theta, (inputs, labels) = Start().draw(network, 0), batch(network)
    with pytest.raises(ValueError, match=r"theta has shape \(67,\); this network asks for \(68,\)"):
        network.gradient(theta[:-1], inputs, labels)


def test_every_cell_can_be_named_for_training():
    assert set(NETWORKS) == {*MODELS, "hamiltonian"}
    network = make_network("unicornn", Shape(4, N_STEPS), layers=2, step=0.2)
    assert network.cell.layout.layers == 2 and network.cell.step_size == 0.2
    assert make_network("scornn", Shape(4, N_STEPS), negative=0).cell.free_parameters["D"].sum() == 4.0
    with pytest.raises(ValueError, match="model 'scornn' has no option step; it takes negative"):
        make_network("scornn", Shape(4, N_STEPS), step=0.1)
    assert SCURNN.structure is not None and gru_before(2).kind.structure is None


@pytest.mark.parametrize("name", ("scornn", "gru", "cornn"))
def test_every_cell_is_trained_by_its_name(name, capsys):
    asked = ["train", "gaussian_mean", "--model", name, "--d", "4", "--n-steps", "6", "--train", "200"]
    assert main([*asked, "--epochs", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["network"]["cell"] == name
    data = TASKS["gaussian_mean"].sample(120, 6, 0)
    fitted = SequenceClassifier(name, d=4, epochs=1, progress=False).fit(
        data.values.transpose(2, 0, 1), data.labels
    )
    assert fitted.predict(data.values.transpose(2, 0, 1)).shape == (120,)


def test_a_step_is_no_option_of_a_cell_without_one(capsys):
    assert main(["train", "gaussian_mean", "--model", "gru", "--step", "0.1"]) == 2
    assert "model 'gru' has no option step" in capsys.readouterr().err


# Catches: a gradient from slopes of another step or sequence, or with u from a wrong place.
@pytest.mark.parametrize("name", ("lstm", "gru", "lem", "gru_before", "staggered", "unicornn"))
def test_slopes_kept_for_the_way_back_change_no_bit(name, monkeypatch):
    def gradient():
        network = CellNetwork(make(name, 6, 2, rng=0), N_STEPS)
        theta = near_start(network)
        return network.entry_rows, network.gradient(theta, *batch(network, 19)).gradient

    rows, kept = gradient()
    monkeypatch.setattr(cell_network, "CONDENSED_BYTES", 0)
    fewer, anew = gradient()
    assert fewer < rows
    np.testing.assert_array_equal(kept, anew)
