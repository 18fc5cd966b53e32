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
