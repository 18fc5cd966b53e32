"""The closed loop is the open cell with its own output as input: values and Jacobians, cell by cell."""

import numpy as np
import pytest

import leapgrad as lg
from sensitivity.recurrences.registry import MODELS

REFUSED = "close_loop cannot stand for"


def pieces(cell, s, x):
    """Φ(s, x), ∂Φ/∂s and ∂Φ/∂x of the open cell."""
    state, by_state = cell.linearise(s, x)
    by_input = np.array([cell.adjoint(s, x, unit)[1] for unit in np.eye(cell.dim)])
    return state, by_state, by_input


@pytest.mark.parametrize("model", sorted(MODELS))
@pytest.mark.parametrize("whole", (False, True))
def test_every_cell_against_the_open_one(model, whole):
    rng = np.random.default_rng(1)
    cell = lg.cell(model, 4, 2, rng=0)
    width = cell.dim if whole else cell.d
    C, c = 0.5 * rng.normal(size=(2, width)), rng.normal(size=2)
    if "b" in cell.kind.vectors:
        with pytest.raises(ValueError, match="offset of readout has no place"):
            lg.close_loop(cell, (C, c))
        c = np.zeros(2)
    try:
        free = lg.close_loop(cell, (C, c))
    except ValueError as error:
        layout = cell.layout
        assert REFUSED in str(error) and (layout.input_to > layout.first or layout.tied)
        return
    assert free.n_inputs == 0 and free.dim == cell.dim
    s = np.abs(0.3 * rng.normal(size=cell.dim))  # second moments are not negative
    state, by_state, by_input = pieces(cell, s, C @ s[:width] + c)
    by_state[:, :width] += by_input @ C
    own, jacobian = free.linearise(s)
    scale = max(1.0, np.abs(by_state).max())
    assert np.abs(own - state).max() <= 1e-13 * max(1.0, np.abs(state).max())
    assert np.abs(jacobian - by_state).max() <= 1e-12 * scale


# Catches: an offset of zero that is added to rows which have no bias.
@pytest.mark.parametrize("model", ["s6", "lstm", "mingru", "lru"])
def test_a_readout_without_an_offset(model):
    rng = np.random.default_rng(4)
    cell, C = lg.cell(model, 4, 2, rng=0), rng.normal(size=(2, 4))
    free = lg.close_loop(cell, C)
    s = 0.3 * rng.normal(size=cell.dim)
    state, by_state, by_input = pieces(cell, s, C @ s[:4])
    by_state[:, :4] += by_input @ C
    own, jacobian = free.linearise(s)
    assert np.abs(own - state).max() <= 1e-13
    assert np.abs(jacobian - by_state).max() <= 1e-12


def test_a_run_is_the_loop_by_hand():
    rng = np.random.default_rng(2)
    cell, C, c = lg.cell("lstm", 5, 2, rng=3), rng.normal(size=(2, 5)), rng.normal(size=2)
    s = rng.normal(size=10)
    run = lg.unroll(lg.close_loop(cell, (C, c)), 12, s)
    product = np.eye(10)
    for _ in range(12):
        s, by_state, by_input = pieces(cell, s, C @ s[:5] + c)
        by_state[:, :5] += by_input @ C
        product = by_state @ product
    assert np.allclose(run.run(), s, rtol=0, atol=1e-13)
    assert np.allclose(lg.jacobian(run, block="state"), product, rtol=0, atol=1e-12 * np.abs(product).max())


def test_the_radius_of_a_linear_loop():
    line = lg.cell("vanilla", 2, 1, activation="identity")
    line = line.with_parameters(W=[[1.0, 0.0], [1.0, 0.5]], V=[[1.0], [0.0]], b=[0.0, 0.0])
    free = lg.close_loop(line, [[0.0, 1.0]])
    assert np.array_equal(lg.jacobian(lg.unroll(free, 1)), [[1.0, 1.0], [1.0, 0.5]])
    rate = lg.log_jacobian_norm(lg.unroll(free, 400)) / 400
    assert np.exp(rate) == pytest.approx(0.75 + np.sqrt(17) / 4, abs=1e-12)
    assert lg.growth_exponents(lg.unroll(free, 400)).exponents[0] == pytest.approx(rate, abs=1e-9)


def test_a_layer_of_torch_is_a_readout():
    torch = pytest.importorskip("torch")
    lstm, head = torch.nn.LSTM(3, 6).double(), torch.nn.Linear(6, 3).double()
    free = lg.close_loop(lg.from_torch(lstm), head)
    h = c = torch.zeros(1, 1, 6, dtype=torch.float64)
    for _ in range(7):
        _, (h, c) = lstm(head(h[-1])[None], (h, c))
    found = lg.unroll(free, 7).run()
    assert np.abs(found - torch.cat([h.ravel(), c.ravel()]).detach().numpy()).max() <= 1e-14


def test_what_makes_no_loop_is_refused():
    cell = lg.cell("lstm", 4, 2)
    with pytest.raises(TypeError, match="cell must be a Cell"):
        lg.close_loop([[1.0]], [[1.0]])
    with pytest.raises(ValueError, match="has no inputs"):
        lg.close_loop(lg.cell("lstm", 4), np.zeros((2, 4)))
    with pytest.raises(ValueError, match=r"readout has shape \(2, 5\)"):
        lg.close_loop(cell, np.zeros((2, 5)))
    with pytest.raises(ValueError, match=r"offset of readout has shape \(3,\)"):
        lg.close_loop(cell, (np.zeros((2, 4)), np.zeros(3)))
    with pytest.raises(ValueError, match=REFUSED):
        lg.close_loop(lg.cell("gru_before", 4, 2), np.zeros((2, 4)))
