"""Stacks of cells with pointwise layers between them against publications in plain NumPy, and PyTorch."""

import pickle

import naive_cells
import naive_stacks
import numpy as np
import pytest

import leapgrad as lg
from integrators.cells.stacks.wiring import Wiring
from integrators.run.backpropagation import backpropagate
from sensitivity.cli import main
from sensitivity.recurrences.registry import STACKS
from sensitivity.studies.models import size_of_run
from sensitivity.training.models import Shape, make_network

P, H, N_IN, LAYERS, N = 3, 4, 2, 2, 40


def moved(cell, seed=3):
    """The stack with every parameter off its start, also those of batch norms; variances stay positive."""
    rng = np.random.default_rng(seed)
    cell = cell.with_free(cell.free + cell.free_trainable * 0.3 * rng.normal(size=cell.free.size))
    fixed = {
        name: np.abs(value + 0.3 * rng.normal(size=value.shape))
        for name, value in cell.parameters.items()
        if name.endswith(("norm.mean", "norm.var"))
    }
    return cell.with_parameters(**fixed)


def drawn_dense(rng, rows, columns):
    return {"W": rng.normal(size=(rows, columns)) / 2, "b": rng.normal(size=rows) / 2}


def published_linoss(rng):
    layers = [
        {
            "mean": rng.normal(size=H), "var": rng.uniform(0.5, 2.0, H), "A_diag": rng.uniform(-0.1, 1.0, P),
            "steps": rng.normal(size=P), "B": rng.normal(size=(P, H)) + 1j * rng.normal(size=(P, H)),
            "C": rng.normal(size=(H, P)) + 1j * rng.normal(size=(H, P)), "D": rng.normal(size=H),
            "w1": drawn_dense(rng, H, H), "w2": drawn_dense(rng, H, H),
        }
        for _ in range(LAYERS)
    ]  # fmt: skip
    return {"encoder": drawn_dense(rng, H, N_IN), "layers": layers}


def of_dense(name, p):
    return {f"{name}.W": p["W"], f"{name}.b": p["b"]}


def linoss_of(net):
    """Our stack of the published one: a complex B makes two copies of each oscillator."""
    given = of_dense("encoder", net["encoder"])
    for number, layer in enumerate(net["layers"]):
        name = f"layer{number}"
        twice = {"A_free": layer["A_diag"], "dt_logit": layer["steps"]}
        given |= {f"{name}.{key}": np.tile(value, 2) for key, value in twice.items()}
        given[f"{name}.V"] = np.concatenate([layer["B"].real, layer["B"].imag])
        given[f"{name}.C"] = np.concatenate([layer["C"].real, -layer["C"].imag], axis=1)
        given |= {f"{name}.D": layer["D"], f"{name}.norm.mean": layer["mean"]}
        given |= {f"{name}.norm.var": layer["var"]}
        given |= of_dense(f"{name}.out", layer["w1"]) | of_dense(f"{name}.gate", layer["w2"])
    cell = lg.cell("linoss_block", 2 * P, N_IN, layers=LAYERS, width=H, output="last")
    return cell.with_parameters(**given)


def published_lru(rng):
    layers = [
        {
            "scale": rng.normal(size=H), "bias": rng.normal(size=H), "mean": rng.normal(size=H),
            "var": rng.uniform(0.5, 2.0, H), "nu_log": np.log(-np.log(rng.uniform(0.7, 0.99, P))),
            "theta_log": np.log(rng.uniform(0.1, 3.0, P)), "B_re": rng.normal(size=(P, H)),
            "B_im": rng.normal(size=(P, H)), "C_re": rng.normal(size=(H, P)), "C_im": rng.normal(size=(H, P)),
            "D": rng.normal(size=H), "w1": drawn_dense(rng, H, H), "w2": drawn_dense(rng, H, H),
        }
        for _ in range(LAYERS)
    ]  # fmt: skip
    return {"encoder": drawn_dense(rng, H, N_IN), "layers": layers}


def lru_of(net):
    given = of_dense("encoder", net["encoder"])
    for number, layer in enumerate(net["layers"]):
        name = f"layer{number}"
        given |= {f"{name}.nu": layer["nu_log"], f"{name}.theta": layer["theta_log"]}
        given[f"{name}.V"] = np.concatenate([layer["B_re"], layer["B_im"]])
        given[f"{name}.C"] = np.concatenate([layer["C_re"], -layer["C_im"]], axis=1)
        norm = {"w": "scale", "b": "bias", "mean": "mean", "var": "var"}
        given |= {f"{name}.norm.{ours}": layer[theirs] for ours, theirs in norm.items()}
        given[f"{name}.D"] = layer["D"]
        given |= of_dense(f"{name}.out", layer["w1"]) | of_dense(f"{name}.gate", layer["w2"])
    cell = lg.cell("lru_block", P, N_IN, layers=LAYERS, width=H, output="last")
    return cell.with_parameters(**given)


PUBLISHED = {
    "linoss": (published_linoss, linoss_of, naive_stacks.linoss_network, (LAYERS, 4, P)),
    "lru": (published_lru, lru_of, naive_stacks.lru_network, (LAYERS, 2, P)),
}


@pytest.fixture(params=PUBLISHED)
def published(request):
    """A network, our stack of it, its step on a flat state with the output, and inputs."""
    draw, ours, step, shape = PUBLISHED[request.param]
    rng = np.random.default_rng(7)
    net = draw(rng)

    def flat_step(s, x):
        state, out = step(net, s[: np.prod(shape)].reshape(shape), x)
        return np.concatenate([state.ravel(), out])

    return ours(net), flat_step, rng.normal(size=(N, N_IN)), rng.normal(size=(np.prod(shape) + H)) / 2


def test_trajectories_are_those_of_the_publications(published):
    cell, step, inputs, s = published
    found = lg.unroll(cell, s0=s, inputs=inputs).states()
    for row, x in zip(found[1:], inputs, strict=True):
        s = step(s, x)
        assert np.abs(row - s).max() <= 1e-12 * max(1.0, np.abs(s).max())


def test_one_step_jacobians_are_those_of_complex_steps(published):
    cell, step, inputs, s = published
    for x in inputs[:5]:
        _, J = cell.linearise(s, x)
        expected = naive_stacks.jacobian(lambda at, x=x: step(at, x), s)
        assert np.abs(J - expected).max() <= 1e-13 * np.abs(expected).max()
        s = step(s, x)


def test_products_are_those_of_complex_steps(published):
    cell, step, inputs, s = published
    product, start = np.eye(s.size), s
    for x in inputs:
        product = naive_stacks.jacobian(lambda at, x=x: step(at, x), s) @ product
        s = step(s, x)
    run = lg.unroll(cell, s0=start, inputs=inputs)
    assert np.abs(lg.jacobian(run, block="state") - product).max() <= 1e-12 * np.abs(product).max()
    part = cell.blocks["cells"]
    expected = np.linalg.norm(product[part, part], 2)
    assert lg.jacobian_norm(run) == pytest.approx(expected, rel=1e-12)
    assert np.exp(lg.gradient_profile(run).log_norms[0]) == pytest.approx(expected, rel=1e-11)


DESIGNS = [
    {"norm": "layer", "prenorm": True, "activation": "gelu", "gate": "glu"},
    {"norm": "rms", "prenorm": False, "activation": "gelu_tanh", "gate": "half_glu"},
    {"norm": "batch", "prenorm": True, "activation": "silu", "gate": "none"},
    {"norm": "layer", "prenorm": False, "activation": "tanh", "gate": "half_glu"},
    {"norm": "none", "prenorm": True, "activation": "gelu", "gate": "glu"},
]
READ = {"linoss_imex": slice(5, 10), "s4d": slice(0, 10), "lstm": slice(0, 5), "h2": slice(0, 10)}


def twin(cell, layer, design):
    """The step of a stack on a flat state in plain NumPy."""
    naive, p = getattr(naive_cells, "lru" if layer == "s4d" else layer), cell.parameters
    size = cell.cells[0].dim

    def step(s, x, parameters=p):
        def of(number, state, u):
            own = {
                name.removeprefix(f"layer{number}."): value
                for name, value in parameters.items()
                if name.startswith(f"layer{number}.")
            }
            return naive(own, state, u, cell.step_size, ())

        states = s[: 2 * size].reshape(2, size)
        new, e = naive_stacks.stack(parameters, of, states, x, READ[layer], design)
        return np.concatenate([*new, e])

    return step


@pytest.mark.parametrize("layer", READ)
@pytest.mark.parametrize("design", DESIGNS, ids=lambda design: "-".join(map(str, design.values())))
def test_every_part_of_a_block_and_all_its_derivatives(layer, design):
    cell = moved(lg.stack(layer, 5, 3, layers=2, width=4, output="last", **design))
    step, rng = twin(cell, layer, design), np.random.default_rng(11)
    s, x, lam = rng.normal(size=cell.dim), rng.normal(size=3), rng.normal(size=cell.dim)
    value, J = cell.linearise(s, x)
    assert np.abs(value - step(s, x)).max() <= 1e-13 * np.abs(value).max()
    expected = naive_stacks.jacobian(lambda at: step(at, x), s)
    assert np.abs(J - expected).max() <= 1e-13 * max(1.0, np.abs(expected).max())
    by_state, by_input, _ = cell.adjoint(s, x, lam)
    assert np.abs(by_state - expected.T @ lam).max() <= 1e-13 * max(1.0, np.abs(expected).max())
    along = naive_stacks.jacobian(lambda at: step(s, at), x)
    assert np.abs(by_input - along.T @ lam).max() <= 1e-13 * max(1.0, np.abs(along).max())
    by_theta = cell.unstructured().adjoint(s, x, lam)[2]
    marks = cell.unstructured().free_trainable
    for j in np.flatnonzero(marks):
        theta = cell.theta.astype(complex)
        theta[j] += 1j * naive_cells.EPS
        slope = np.imag(step(s, x, cell.unpack(theta)[0])) / naive_cells.EPS @ lam
        assert abs(by_theta[j] - slope) <= 1e-12 * max(1.0, abs(slope)), j
    assert marks.sum() > 40


@pytest.mark.nojit
def test_uncompiled():
    design = {"norm": "layer", "prenorm": True, "activation": "gelu", "gate": "glu"}
    cell = moved(lg.stack("linoss_imex", 5, 3, layers=2, width=4, output="mean", **design))
    rng = np.random.default_rng(11)
    s, x, lam = rng.normal(size=cell.dim), rng.normal(size=3), rng.normal(size=cell.dim)
    J = cell.linearise(s, x)[1]
    assert np.abs(cell.adjoint(s, x, lam)[0] - J.T @ lam).max() <= 1e-13 * np.abs(J).max()


def test_the_mean_of_the_output_is_kept():
    given = {"layers": 2, "width": 4, "norm": "rms"}
    last, mean = (lg.stack("lru", 3, 2, output=word, **given) for word in ("last", "mean"))
    inputs = np.random.default_rng(2).normal(size=(25, 2))
    every = lg.unroll(last, inputs=inputs).states()[1:, last.blocks["out"]]
    found = lg.unroll(mean, inputs=inputs).run()[mean.blocks["out"]]
    assert np.abs(found - every.mean(axis=0)).max() <= 1e-14
    assert np.array_equal(last.theta, mean.theta)


def test_a_cell_depends_on_those_below_it_alone_and_has_its_own_bound():
    cell = moved(lg.cell("linoss_block", 4, 2, layers=3, width=5))
    run = lg.unroll(cell, inputs=np.random.default_rng(2).normal(size=(60, 2)))
    J, size = lg.jacobian(run), cell.cells[0].dim
    for number, own in enumerate(cell.cells):
        part = slice(number * size, (number + 1) * size)
        assert not J[part, part.stop :].any() and (number == 2 or np.abs(J[part.stop :, part]).max() > 1e-3)
        alone = lg.jacobian(lg.unroll(own, 60))
        assert np.abs(J[part, part] - alone).max() <= 1e-13 * np.abs(alone).max()
        names = {bound.name: bound for bound in lg.bounds.of_recurrence(run, block=f"layer{number}")}
        norm = lg.log_jacobian_norm(run, block=f"layer{number}")
        assert 0.0 <= names["linoss_block"].log_tightness(norm) < 3.0
    assert "linoss_block" not in {bound.name for bound in lg.bounds.of_recurrence(run)}
    assert np.isnan(cell.log_bound(1.0, 60))


def test_bits_depend_neither_on_the_batch_nor_on_threads_nor_on_tangents():
    cell = moved(lg.cell("s5_block", 4, 2, layers=2, width=5))
    inputs = np.random.default_rng(2).normal(size=(11, 30, 2))
    runs = [lg.unroll(cell, inputs=inputs, threads=threads) for threads in (1, 3)]
    J = lg.jacobian(runs[0])
    assert np.array_equal(J, lg.jacobian(runs[1]))
    assert np.array_equal(J[4], lg.jacobian(lg.unroll(cell, inputs=inputs[4])))
    states = runs[0].run()
    assert np.array_equal(states[4], lg.unroll(cell, inputs=inputs[4]).run())
    one = cell.linearise(states[0], inputs[0, 0])[0]
    assert np.array_equal(one, cell.stepped(states[0], inputs[0, 0]))


def test_checkpoints_and_gradients_in_time_agree_with_the_whole_run():
    cell = moved(lg.cell("lru_block", 4, 2, layers=2, width=5))
    run = lg.unroll(cell, inputs=np.random.default_rng(2).normal(size=(50, 2)))
    lam = np.random.default_rng(3).normal(size=(cell.dim, 1))
    whole, pieces = backpropagate(run, lam, inputs=True), backpropagate(run, lam, inputs=True, memory_bytes=1)
    for found, expected in zip(pieces, whole, strict=True):
        assert np.array_equal(found, expected)
    assert np.abs(run.pullback(lam).values[:, 0] - whole.s0[0]).max() <= 1e-13 * np.abs(whole.s0).max()
    norms = lg.parameter_sensitivity(run)
    assert norms["layer0.V"].frobenius > 0.0 and norms["layer0.norm.mean"].frobenius == 0.0


@pytest.mark.parametrize("name", STACKS)
def test_the_published_start(name):
    cell = lg.cell(name, 6, 3, layers=2, rng=4)
    again = lg.cell(name, 6, 3, layers=2, rng=4)
    assert cell == again and cell == pickle.loads(pickle.dumps(cell)) and hash(cell) == hash(again)
    assert cell != lg.cell(name, 6, 3, layers=2, rng=5)
    assert np.isfinite(lg.log_jacobian_norm(lg.unroll(cell, inputs=np.ones((20, 3)))))
    alone = lg.cell(name, 3)
    assert alone.n_inputs == 0 and np.isfinite(lg.jacobian(lg.unroll(alone, 10, np.ones(6)))).all()


def test_the_step_of_cells_that_have_one():
    cells = [lg.cell("h2", 3, 4, rng=number, step=0.2) for number in range(2)]
    cell = lg.stack(cells, n_inputs=2, norm="layer")
    inputs = np.random.default_rng(2).normal(size=(10, 2))
    both = lg.jacobian(lg.unroll(cell, inputs=inputs, step=[0.1, 0.2]))
    assert np.array_equal(both[1], lg.jacobian(lg.unroll(cell, inputs=inputs)))
    assert np.abs(both[0] - both[1]).max() > 1e-3


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"layer": "lruu", "d": 3}, "is not known"),
        ({"layer": "lru", "d": 0}, "d must be at least 1"),
        ({"layer": "lru", "d": 3, "norm": "weight"}, "norm must be one of layer, rms, batch, none"),
        ({"layer": "lru", "d": 3, "gate": "relu"}, "gate must be one of"),
        ({"layer": "lru", "d": 3, "output": "first"}, "output must be one of"),
        ({"layer": "lru", "d": 3, "activation": "mish"}, "activation must be one of gelu"),
        ({"layer": "lru", "d": 3, "width": 0}, "width must be at least 1"),
        ({"layer": "lru", "d": 3, "layers": 0}, "layers must be at least 1"),
        ({"layer": "lru", "d": 3, "prenorm": 2}, "prenorm must be True or False"),
        ({"layer": "lru", "d": 3, "epsilon": 0.0}, "epsilon must be positive"),
        ({"layer": "lru", "d": 3, "gamma": 1.0}, "unexpected keyword argument 'gamma'; it takes"),
        ({"layer": "restart_rnn", "d": 3}, "without a clock"),
        ({"layer": []}, "layer must be the name of a model or a sequence of cells"),
        ({"layer": [lg.cell("lru", 3, 4), lg.cell("lru", 3, 5)], "n_inputs": 2}, "cell 0 of the stack takes"),
        ({"layer": [lg.cell("lru", 3, 4), lg.cell("lru", 2, 4)], "n_inputs": 2}, "cell 1 of the stack is"),
        ({"layer": [lg.cell("lru", 3, 4)], "n_inputs": 2, "gamma": 1.0}, "'gamma' is no setting"),
        ({"layer": [lg.cell("lru", 3, 4)], "n_inputs": 2, "layers": 2}, "layers must be left out"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_one_sentence(given, message):
    with pytest.raises((ValueError, TypeError)) as caught:
        lg.stack(**given)
    assert message in str(caught.value) and str(caught.value).endswith(".") and "\n" not in str(caught.value)


def test_wrong_parameters_are_one_sentence():
    cell = lg.cell("lru_block", 3, 2)
    with pytest.raises(ValueError, match=r"no parameter 'layer0\.Q'"):
        cell.with_parameters(**{"layer0.Q": np.ones(3)})
    with pytest.raises(ValueError, match=r"layer0\.C has shape \(2, 2\); lru_block asks for \(3, 6\)"):
        cell.with_parameters(**{"layer0.C": np.ones((2, 2))})
    with pytest.raises(ValueError, match="before they are stacked"):
        cell.structured(None)
    with pytest.raises(ValueError, match="theta has shape"):
        cell.with_theta(np.ones(3))


def test_signals_that_do_not_depend_on_the_state_are_known():
    wiring = Wiring(2, 0)
    e = wiring.affine("encoder", wiring.input, np.ones((3, 2)), np.zeros(3))
    s = wiring.cell(0, e, 4)
    wiring.add(e, wiring.affine("C", type(e)(s.start + 2, 2), np.ones((3, 2))))
    assert [row[-1] for row in wiring.table] == [0, 1, 1, 1]


def test_gradients_are_those_of_torch():
    torch = pytest.importorskip("torch")  # an extra, for benchmarks
    net = published_lru(np.random.default_rng(7))
    cell, inputs = lru_of(net), np.random.default_rng(1).normal(size=(N, N_IN))
    tensors = {
        name: torch.tensor(value, dtype=torch.float64, requires_grad=True)
        for name, value in cell.free_parameters.items()
    }
    s0 = np.random.default_rng(2).normal(size=cell.dim)
    lam = np.random.default_rng(3).normal(size=cell.dim)
    start = torch.tensor(s0, requires_grad=True)
    end = torch_lru(torch, tensors, start, torch.tensor(inputs))
    end.backward(torch.tensor(lam))
    run = lg.unroll(cell, s0=s0, inputs=inputs)
    assert np.abs(run.run() - end.detach().numpy()).max() <= 1e-12
    found = backpropagate(run, lam[:, None])
    named = cell.unpack_free(cell.gradient_by_free(found.theta))[0]
    scale = max(float(t.grad.abs().max()) for t in tensors.values() if t.grad is not None)
    for name, tensor in tensors.items():
        if tensor.grad is not None and not name.endswith(("norm.mean", "norm.var")):
            assert np.abs(named[name] - tensor.grad.numpy()).max() <= 1e-11 * scale, name
    assert np.abs(found.s0[0] - start.grad.numpy()).max() <= 1e-11 * float(start.grad.abs().max())


def torch_lru(torch, p, state, inputs):
    """The state and output after all steps of an LRU network, by PyTorch."""
    d, count = P, LAYERS
    h = [torch.complex(*state[2 * d * k : 2 * d * (k + 1)].reshape(2, d)) for k in range(count)]
    e = None
    for x in inputs:
        e = torch.nn.functional.linear(x, p["encoder.W"], p["encoder.b"])
        for k in range(count):
            own = {
                name.removeprefix(f"layer{k}."): v for name, v in p.items() if name.startswith(f"layer{k}.")
            }
            u = torch.nn.functional.batch_norm(
                e[None], own["norm.mean"].detach(), own["norm.var"].detach(), own["norm.w"], own["norm.b"]
            )[0]
            lam = torch.exp(torch.complex(-torch.exp(own["nu"]), torch.exp(own["theta"])))
            gamma = torch.sqrt(1.0 - torch.exp(-2.0 * torch.exp(own["nu"])))
            B = torch.complex(own["V"][:d], own["V"][d:])
            h[k] = lam * h[k] + gamma * (B @ torch.complex(u, torch.zeros_like(u)))
            y = own["C"] @ torch.cat([h[k].real, h[k].imag]) + own["D"] * u
            a = torch.nn.functional.gelu(y, approximate="tanh")
            gate = torch.sigmoid(torch.nn.functional.linear(a, own["gate.W"], own["gate.b"]))
            e = e + torch.nn.functional.linear(a, own["out.W"], own["out.b"]) * gate
    return torch.cat([*(torch.cat([z.real, z.imag]) for z in h), e])


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
def test_files_bring_back_the_same_bits(tmp_path, suffix):
    if suffix == "safetensors":
        pytest.importorskip("safetensors")  # an extra
    path = tmp_path / f"stack.{suffix}"
    stacks = [
        moved(lg.cell("linoss_block", 4, 2, layers=2, width=3)),
        lg.cell("lru_block", 3, 2, output="mean", gate="none"),
        lg.stack("lstm", 3, 2, layers=2, norm="rms"),
        lg.stack("mingru", 3, 0, layers=2, positive=True),
        lg.stack([lg.cell("h2", 3, 4, step=0.2)], n_inputs=2),
    ]
    for stack in stacks:
        lg.save_weights(path, stack)
        again = lg.load_weights(path)
        assert again == stack and again.unpack(again.theta)[0].keys() == stack.parameters.keys()
        assert np.array_equal(again.free, stack.free) and np.array_equal(again.theta, stack.theta)
    lg.save_weights(path, stacks[0])
    assert lg.load_weights(path, "linoss_block", layers=2) == stacks[0]
    with pytest.raises(ValueError, match="lru_block was asked for, but linoss_block is what"):
        lg.load_weights(path, "lru_block")
    with pytest.raises(ValueError, match="layers=3 contradicts"):
        lg.load_weights(path, layers=3)
    with pytest.raises(ValueError, match="has no hyperparameter 'gamma'"):
        lg.load_weights(path, gamma=3)
    with pytest.raises(ValueError, match=r"layer0\.C is missing"):
        lg.load_weights(path, ignore=["layer0.C"])


def test_training_reads_the_mean_of_the_output(capsys):
    words = ["--set", "layers=2", "--d", "6", "--n-steps", "20", "--train", "40", "--test", "20"]
    assert main(["train", "gaussian_mean", "--model", "linoss_block", *words, "--epochs", "1"]) == 0
    assert "linoss_block" in capsys.readouterr().out
    network = make_network("linoss_block", Shape(4, 15, 2), layers=2)
    assert network.block == "out" and network.shapes["R_out"] == (2, 4)
    rng = np.random.default_rng(0)
    inputs, labels = rng.normal(size=(15, 2, 9)), rng.integers(0, 2, 9)
    theta = 0.5 * rng.normal(size=network.n_parameters)
    found = network.gradient(theta, inputs, labels).gradient
    direction = rng.normal(size=theta.size)
    along = [network.gradient(theta + h * direction, inputs, labels).loss for h in (1e-5, -1e-5)]
    assert found @ direction == pytest.approx((along[0] - along[1]) / 2e-5, rel=1e-6)
    other = make_network("linoss_block", Shape(4, 15, 2), layers=2, activation="silu")
    assert network.describe() != other.describe() and network.shapes == other.shapes


@pytest.mark.parametrize("name", STACKS)
@pytest.mark.parametrize(
    "verb",
    [
        "norm",
        "profile",
        "growth",
        "bound --products",
        "parameters",
        "windows",
        "directions",
        "memory",
        "report",
    ],
)
def test_every_verb_takes_every_stack(name, verb, capsys):
    words = [
        *verb.split(),
        "--model",
        name,
        "--set",
        "layers=2",
        "--d",
        "3",
        "--n-steps",
        "20",
        "--n-inputs",
        "2",
    ]
    assert main(words) == 0
    out, error = capsys.readouterr()
    assert out and not error


def test_the_size_of_a_study_is_that_of_the_whole_stack():
    parameters = {"d": 5, "n_steps": 30, "seed": 0, "inputs": 2, "layers": 3, "width": 4}
    cell = lg.cell("linoss_block", 5, 2, layers=3, width=4)
    size = size_of_run("linoss_block", parameters)
    assert (size.state, size.d, size.parameters) == (cell.dim, 30, cell.theta.size)
    assert size_of_run("linoss_block", {"d": 5, "n_steps": 30, "seed": 0}).state == 10


def test_a_stack_is_a_model_of_studies_and_comparisons(tmp_path, capsys):
    words = ["--set", "layers=2", "--d", "3", "--n-steps", "20", "--n-inputs", "2"]
    assert main(["sweep", "--model", "lru_block", "--out", str(tmp_path / "study"), *words]) == 0
    assert (
        main(["compare", "lru_block", "stack", "--d", "3", "--n-steps", "20", "--set", "stack.layer=lstm"])
        == 0
    )
    assert "stack" in capsys.readouterr().out
    assert main(["certify", "--model", "lru_block", *words]) == 2
    assert "a stack or a function of another library" in capsys.readouterr().err
