"""Leading singular vectors against the matrices themselves, maps whose vectors are known, names and signs."""

import numpy as np
import pytest

import leapgrad as lg


def linear(matrix, V=None, activation="identity"):
    matrix = np.asarray(matrix, dtype=float)
    cell = lg.cell("vanilla", len(matrix), 0 if V is None else np.shape(V)[1], activation=activation)
    given = {"W": matrix, "b": np.zeros(len(matrix))} | ({} if V is None else {"V": V})
    return cell.with_parameters(**given)


# Catches: vectors of another matrix, of the other side, of another block, or with signs that differ.
@pytest.mark.parametrize("block", ("state", "h"))
def test_of_the_state_against_the_matrix(block):
    rng = np.random.default_rng(0)
    run = lg.unroll(lg.cell("lstm", 4, 2, rng=1), inputs=rng.normal(size=(2, 3, 12, 2)))
    found, J = lg.singular_directions(run, 4, block=block), lg.jacobian(run, block=block)
    assert found.right.shape == found.left.shape == (*J.shape[:-1], 4)
    assert np.allclose(J @ found.right, found.left * np.exp(found.log_values)[..., None, :], atol=1e-14)
    assert np.allclose(found.log_values, lg.singular_values(run, block=block).log[..., :4], atol=1e-12)
    largest = np.take_along_axis(found.left, np.abs(found.left).argmax(axis=-2)[..., None, :], axis=-2)
    assert (largest > 0.0).all()
    assert found.row_names == found.column_names
    assert found.row_names == tuple(
        f"{b}[{i}]" for b in ("hc" if block == "state" else "h") for i in range(4)
    )


@pytest.mark.parametrize("model", ("lstm", "lru", "unicornn"))
def test_of_the_inputs_against_the_kernels(model):
    rng = np.random.default_rng(1)
    run = lg.unroll(lg.cell(model, 3, 2, rng=1), inputs=rng.normal(size=(2, 15, 2)))
    found, K = lg.singular_directions(run, of="inputs"), np.asarray(lg.memory_kernels(run))
    assert found.right.shape == (2, 15, 2, 2) and found.column_names == ("x[0]", "x[1]")
    scale = np.abs(K).max(axis=(-2, -1))[..., None, None]
    errors = K @ found.right - found.left * np.exp(found.log_values)[..., None, :]
    assert (np.abs(errors) <= 1e-13 * scale).all()
    # Neighbouring vectors do not turn round, and the last one has a positive largest component.
    assert (np.sum(found.left[:, 1:] * found.left[:, :-1], axis=-2) >= 0.0).all()
    last = found.left[:, -1]
    assert (np.take_along_axis(last, np.abs(last).argmax(axis=-2)[:, None], axis=-2) > 0.0).all()


def test_what_is_known_by_hand_and_in_words():
    found = lg.singular_directions(lg.unroll(linear([[0.0, 3.0], [0.5, 0.0]]), 1))
    assert np.allclose(np.exp(found.log_values), [3.0, 0.5], rtol=1e-14)
    words = [found.named(found.right[:, j], found.column_names) for j in (0, 1)]
    assert words == ["h[1]", "h[0]"]
    assert [found.named(found.left[:, j], found.row_names) for j in (0, 1)] == ["h[0]", "h[1]"]
    assert found.named([0.6, -0.8], found.row_names) == "−0.80 h[1] + 0.60 h[0]"
    assert found.named(np.full(400, 0.05), tuple("x" * 400)) == "spread evenly"
    names = tuple(f"h[{i}]" for i in range(5))
    assert found.named([0.7, -0.5, 0.4, 0.3, 0.1], names) == "0.70 h[0] − 0.50 h[1] + 0.40 h[2] + …"
    assert "h[1]" in found._repr_html_()
    run = lg.unroll(lg.NeuralField.random(3, rng=0), scheme="leapfrog", step=0.1, n_steps=5)
    assert lg.singular_directions(run).row_names == ("y[0]", "y[1]", "y[2]")
    assert lg.singular_directions(run, block="phase").row_names[3:] == ("p[0]", "p[1]", "p[2]")


# Catches: singular vectors of a matrix that float64 cannot hold.
def test_inputs_far_outside_float64_in_either_direction():
    V = np.array([[1.0, 2.0], [0.0, 1.0]])
    for factor in (1e3, 1e-3):
        run = lg.unroll(linear(np.diag([factor, 2.0 * factor]), V), inputs=np.zeros((300, 2)))
        found = lg.singular_directions(run, 1, of="inputs")
        assert np.isfinite(found.log_values).all()
        steps = 299 * np.log(2.0 * factor)
        # After 299 steps the second component, doubled each time, is all there is: K_1 = 2^299 (0, 1).
        assert found.log_values[0, 0] == pytest.approx(steps, abs=1e-9)
        assert np.allclose(found.left[0, :, 0], [0.0, 1.0], atol=1e-14)
        assert np.allclose(found.right[0, :, 0], [0.0, 1.0], atol=1e-14)
        assert np.allclose(np.exp(found.log_values[-1, 0]), np.linalg.norm(V, 2), rtol=1e-14)


def test_members_that_overflow_are_nan_and_said_to_be():
    cell = linear([[0.0, 3.0], [3.0, 0.0]], np.ones((2, 1)), "relu")
    inputs = np.zeros((2, 900, 1))
    inputs[1] = 1.0
    with pytest.warns(RuntimeWarning):
        found = lg.singular_directions(lg.unroll(cell, inputs=inputs), of="inputs")
    assert np.isnan(found.log_values[1]).all()
    assert not np.isnan(found.log_values[0]).any()
    assert found.named(found.left[1, 0, :, 0], found.row_names) == "overflowed"


@pytest.mark.parametrize("of", ("state", "inputs"))
def test_the_picture_has_its_vectors_and_names(of):
    rng = np.random.default_rng(2)
    run = lg.unroll(lg.cell("gru", 30, 2, rng=1), inputs=rng.normal(size=(2, 12, 2)))
    found = lg.singular_directions(run, 2, of=of)
    values, causes, effects = found.figure("of the tests").axes[:3]
    _, right, left = found.first_member()
    shown = [np.ma.getdata(panel.collections[0].get_array()) for panel in (causes, effects)]
    expected = (right, left) if of == "state" else (right[:, :, 0].T, left[:, :, 0].T)
    assert all(np.array_equal(a, b) for a, b in zip(shown, expected, strict=True))
    assert values.get_title(loc="left") == "of the tests"
    labels = [label.get_text() for label in effects.get_yticklabels()]
    assert labels[0] == "h[0]" and labels[-1] == "h[29]" and len(labels) <= 20
    assert causes.yaxis_inverted()
    if of == "inputs":
        assert [label.get_text() for label in causes.get_yticklabels()] == ["x[0]", "x[1]"]


def test_what_is_refused():
    run = lg.unroll(lg.cell("vanilla", 3, 2), n_steps=5)
    with pytest.raises(ValueError, match="k must be at most 2, the number of singular values, got 3"):
        lg.singular_directions(run, 3, of="inputs")
    with pytest.raises(ValueError, match="of must be 'state' or 'inputs', got 'input'"):
        lg.singular_directions(run, of="input")
    with pytest.raises(ValueError, match="run has no inputs"):
        lg.singular_directions(lg.unroll(lg.cell("vanilla", 3), n_steps=5), of="inputs")
