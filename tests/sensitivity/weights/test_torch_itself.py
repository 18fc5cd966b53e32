"""Cells read from PyTorch's modules give the states and Jacobians that PyTorch gives."""

import numpy as np
import pytest

import leapgrad as lg

torch = pytest.importorskip("torch")  # an extra, for benchmarks
KINDS = {
    "relu": ("RNN", {"nonlinearity": "relu"}),
    "rnn": ("RNN", {}),
    "lstm": ("LSTM", {}),
    "gru": ("GRU", {}),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layers", (1, 2))
@pytest.mark.parametrize("bias", (True, False))
def test_states_and_jacobians(kind, layers, bias):
    torch.manual_seed(1)
    name, settings = KINDS[kind]
    made = getattr(torch.nn, name)(3, 4, layers, bias=bias, **settings).double()
    assert all(p.requires_grad for p in made.parameters())
    x, blocks = torch.randn(6, 3, dtype=torch.float64), 2 if kind == "lstm" else 1

    def last(flat):
        parts = flat.reshape(layers, blocks, 4)
        given = (parts[:, 0], parts[:, 1]) if blocks == 2 else parts[:, 0]
        _, end = made(x, given)
        return torch.stack(end if blocks == 2 else (end,), dim=1).reshape(-1)

    start = 0.3 * torch.randn(4 * layers * blocks, dtype=torch.float64)
    expected = torch.autograd.functional.jacobian(last, start).numpy()
    run = lg.unroll(lg.from_torch(made), s0=start.numpy(), inputs=x.numpy())
    assert np.abs(run.run() - last(start).detach().numpy()).max() <= 1e-14
    assert np.abs(lg.jacobian(run, block="state") - expected).max() <= 1e-13 * max(
        1.0, np.abs(expected).max()
    )


@pytest.mark.parametrize("settings", ({"bidirectional": True}, {"proj_size": 2}))
def test_what_is_no_cell_of_ours_is_refused(settings):
    with pytest.raises(ValueError, match=r"bidirectional|projection"):
        lg.from_torch(torch.nn.LSTM(3, 4, **settings))


# Catches: rows of the wrong direction, and a second direction that reads the sequence forwards.
@pytest.mark.parametrize("kind", ("GRU", "LSTM"))
def test_both_directions_of_a_bidirectional_layer_by_their_names(kind):
    torch.manual_seed(2)
    made = getattr(torch.nn, kind)(3, 4, bidirectional=True).double()
    w, x = made.state_dict(), torch.randn(6, 3, dtype=torch.float64)
    ways = {
        "forward": ({name: v for name, v in w.items() if name.endswith("_l0")}, x),
        "backward": (
            {n.removesuffix("_reverse"): v for n, v in w.items() if n.endswith("_reverse")},
            x.flip(0),
        ),
    }
    outputs = made(x)[0].detach().numpy()
    for way, (weights, given) in ways.items():
        last = lg.unroll(lg.from_torch(weights), inputs=given).run()[:4]
        expected = outputs[-1, :4] if way == "forward" else outputs[0, 4:]
        assert np.abs(last - expected).max() <= 1e-15


# Catches: an error of PyTorch, and no sentence, where inputs come from a layer below or are of another type.
def test_tensors_of_every_kind_are_inputs_states_and_cotangents():
    torch.manual_seed(3)
    cell = lg.from_torch(torch.nn.LSTM(3, 4))
    x = torch.nn.Linear(3, 3)(torch.randn(2, 5, 3))
    assert x.requires_grad
    h = (torch.zeros(1, 2, 4), torch.ones(1, 2, 4).requires_grad_())
    run = lg.unroll(cell, inputs=x, s0=h)
    plain = lg.unroll(cell, inputs=x.detach().double().numpy(), s0=tuple(part.detach().numpy() for part in h))
    assert np.array_equal(lg.jacobian(run), lg.jacobian(plain))
    cotangents = torch.randn(2, 6, 8, dtype=torch.float64, requires_grad=True)
    assert np.array_equal(
        lg.truncated_gradient(run, cotangents, 2),
        lg.truncated_gradient(plain, cotangents.detach().numpy(), 2),
    )
    half = lg.unroll(cell, inputs=x.detach().to(torch.bfloat16))
    assert np.array_equal(half.run(), lg.unroll(cell, inputs=x.detach().bfloat16().double().numpy()).run())
    with pytest.raises(TypeError, match="inputs cannot be had as a NumPy array"):
        lg.unroll(cell, inputs=torch.zeros(5, 3, device="meta"))


def test_the_three_lines_of_the_landing_page():
    import re
    from pathlib import Path

    page = (Path(__file__).resolve().parents[3] / "docs" / "index.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```{code-block} python\n(.*?)```", page, re.DOTALL)
    assert len(code.splitlines()) == 3
    module, x = torch.nn.LSTM(3, 8), np.random.default_rng(0).normal(size=(30, 3))
    found = {"module": module, "x": x}
    exec(code, found)
    run = lg.unroll(lg.from_torch(module), inputs=x)
    np.testing.assert_array_equal(
        lg.gradient_profile(found["run"]).log_norms, lg.gradient_profile(run).log_norms
    )
