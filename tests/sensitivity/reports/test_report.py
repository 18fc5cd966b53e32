"""A report says what the other verbs say, and its verdict is computed from the numbers."""

import json

import numpy as np
import pytest

import leapgrad as lg
from sensitivity.reports.saturation import saturation
from sensitivity.reports.verdict import verdict_of
from sensitivity.text import json_text

RNG = np.random.default_rng(0)


def line(weight):
    return lg.cell("vanilla", 1, activation="identity").with_parameters(W=[[weight]], b=[0.0])


def test_the_numbers_are_those_of_the_other_verbs():
    cell, inputs = lg.cell("gru", 6, 2, rng=0), RNG.normal(size=(5, 40, 2))
    run, found = lg.unroll(cell, inputs=inputs), lg.report(cell, inputs)
    assert (found.n_steps, found.members, found.block) == (40, 5, "state")
    assert np.allclose(found.log_norms[:, -1], lg.log_jacobian_norm(run), rtol=1e-10, atol=0)
    shorter = lg.unroll(cell, inputs=inputs[:, : found.steps[10]])
    assert np.allclose(found.log_norms[:, 10], lg.log_jacobian_norm(shorter), rtol=1e-9, atol=1e-12)
    assert np.array_equal(found.log_profile, lg.gradient_profile(run, at=found.index).log_norms)
    assert np.array_equal(found.exponents, lg.growth_exponents(run, k=3).exponents)
    assert np.allclose(found.log_bounds[:, -1], cell.log_bound(1.0, 40), rtol=1e-14, atol=0)
    assert sum(found.shares.values()) == pytest.approx(1.0, abs=1e-12)
    assert set(found.shares) == {"W", "V", "b"}


@pytest.mark.parametrize(
    ("weight", "word", "length"),
    [(0.5, "vanishes", 1 / np.log(2)), (2.0, "explodes", 1 / np.log(2)), (1.0, "holds", np.inf)],
)
def test_the_verdict_has_the_length_scale_of_a_line(weight, word, length):
    found = lg.report(line(weight), n_steps=300)
    assert found.verdict.word == word and found.verdict.length == pytest.approx(length, rel=1e-9)
    assert f"The gradient {word}" in found.sentence
    assert found.verdict.log_norm == pytest.approx(300 * np.log(weight), rel=1e-12)


def test_verdicts_of_norms():
    steps = np.array([1, 10, 100])
    assert verdict_of(steps, np.array([[0.0, -50.0, -49.0]])).rate == pytest.approx(-0.49)
    assert verdict_of(steps, np.array([[0.0, 0.0, -np.inf]])).rate == -np.inf
    assert verdict_of(steps, np.full((2, 3), np.nan)).word == "overflows"
    assert verdict_of(steps, np.array([[0.0, 1.0, 4.0], [np.nan] * 3])).word == "holds"


def test_a_run_that_overflows_and_a_batch_of_which_a_member_does():
    cell = lg.cell("vanilla", 1, 1, activation="relu").with_parameters(W=[[3.0]], V=[[1.0]], b=[0.0])
    alone = lg.report(cell, np.ones((900, 1)))
    assert alone.verdict.word == "overflows" and "leaves float64 within 900 steps" in alone.sentence
    inputs = -np.ones((2, 900, 1))
    inputs[1] = 1.0
    found = lg.report(cell, inputs)
    assert "The state of 1 of the members leaves float64" in found.sentence
    assert found.verdict.word == "vanishes" and np.isnan(found.log_norms[1]).all()
    assert str(alone) and str(found)


def test_saturated_units():
    cell = lg.cell("vanilla", 3, 1).with_parameters(
        W=np.zeros((3, 3)), V=[[0.0], [50.0], [0.0]], b=[0.0, 0.0, 9.0]
    )
    run = lg.unroll(cell, inputs=np.array([1.0, -1.0, 0.0, 1.0])[:, None])
    assert np.array_equal(saturation(run), [0.0, 0.75, 1.0])
    lstm = lg.cell("lstm", 4, 2, rng=0)
    closed = lstm.with_parameters(b=np.repeat([-20.0, 0.0, 0.0, -20.0], 4) + np.tile([0.0, 20, 20, 20], 4))
    share = saturation(lg.unroll(closed, inputs=RNG.normal(size=(30, 2))))
    assert share[0] == 1.0 and (share[1:] < 0.5).all()
    field = lg.NeuralField(np.zeros((2, 2)), [0.0, 9.0])
    assert np.array_equal(saturation(lg.unroll(field, 5, scheme="leapfrog", step=0.1)), [0.0, 1.0])
    assert np.isnan(saturation(lg.unroll(lg.cell("gru_before", 3), 5))).all()


def test_models_of_every_kind_are_taken(tmp_path):
    cell = lg.cell("lstm", 4, 2, rng=0)
    path = tmp_path / "weights.npz"
    lg.save_weights(path, cell)
    inputs = RNG.normal(size=(25, 2))
    expected = lg.report(cell, inputs)
    assert lg.report(path, inputs) == lg.report(str(path), inputs) == expected
    assert lg.report(lg.unroll(cell, inputs=inputs)) == expected
    field = lg.report(lg.NeuralField.random(3, rng=0), n_steps=30, scheme="leapfrog", step=[0.1, 0.2])
    assert field.members == 2 and field.block == "position" and (field.log_bounds >= field.log_norms).all()
    assert lg.report(lg.cell("cornn", 4), n_steps=20, step=0.1).block == "y"
    with pytest.raises(TypeError, match="inputs belongs to models"):
        lg.report(lg.unroll(cell, inputs=inputs), inputs)
    with pytest.raises(ValueError, match="no file of weights"):
        lg.report("lstm")


def test_a_torch_module_in_memory():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.LSTM(3, 8, batch_first=True))
    x = torch.randn(4, 50, 3)
    found = lg.report(model, x)
    other = lg.report(lg.from_torch(model), x.numpy())
    assert found == other and found.members == 4


def test_it_is_drawn_printed_and_written_as_json():
    found = lg.report(lg.cell("lstm", 4, 1, rng=0), RNG.normal(size=(3, 30, 1)))
    data = json.loads(json_text(found.as_dict()))
    assert data["verdict"]["word"] == "vanishes" and len(data["log_norms"]) == 3
    assert data["verdict"]["sentence"] == found.sentence == str(found).splitlines()[-1]
    assert len(found.plot()) == 4
