"""Bad input gives one clear error that names the argument; unusual but sound input gives the right answer."""

import numpy as np
import pytest

from integrators import SCHEMES, NeuralField, Scheme, get_scheme, harmonic, integrate, register
from sensitivity import OdeRecurrence, jacobian, jacobian_norm, log_jacobian_norm

pytestmark = pytest.mark.nojit

W = np.array([[0.5, -0.25], [1.0, 0.125]])
B = np.array([0.25, -0.5])
V = np.array([[1.0, 0.0, 2.0], [0.5, -1.0, 0.25]])
FIELD, DRIVEN = NeuralField(W, B), NeuralField(W, B, V)
GOOD = {"field": FIELD, "scheme": "leapfrog", "step": 0.1, "n_steps": 4}
INPUTS = np.arange(12.0).reshape(4, 3) / 10


def run(function, **changes):
    arguments = {**GOOD, **changes}
    if function is integrate:
        arguments = {"y0": None, "p0": None, **arguments}
        arguments.pop("block", None)
    return function(**arguments)


BAD_STEPS = [
    (0.0, ValueError, "step must be positive, got 0"),
    (-0.1, ValueError, "step must be positive, got -0.1; integrate backwards by negating p0"),
    ([0.1, -0.1], ValueError, "step must be positive"),
    (np.nan, ValueError, "step holds nan"),
    ([0.1, np.nan], ValueError, r"step holds nan at index \(1,\)"),
    (np.inf, ValueError, "step holds inf"),
    (0.1 + 0j, TypeError, "step is complex"),
    ("0.1", TypeError, "step has dtype"),
    (None, TypeError, "step has dtype object"),
    (True, TypeError, "step has dtype bool"),
    ([[0.1, 0.2], [0.3]], ValueError, "step is not a rectangular array"),
]
BAD_COUNTS = [
    (-1, ValueError, "n_steps must be at least 0, got -1"),
    (2.5, TypeError, "n_steps must be a whole number, got 2.5"),
    (4.0, TypeError, "n_steps must be a whole number, got 4.0"),
    (True, TypeError, "n_steps must be a whole number, got True"),
    (np.True_, TypeError, "n_steps must be a whole number"),
    ("4", TypeError, "n_steps must be a whole number, got '4'"),
    (None, TypeError, "n_steps must be a whole number, got None"),
    ([4], TypeError, "n_steps must be a whole number"),
    (np.nan, TypeError, "n_steps must be a whole number, got nan"),
]
BAD_NAMES = [
    ("leapfrogg", ValueError, "scheme 'leapfrogg' is not known. Did you mean 'leapfrog'"),
    ("Leapfrog", ValueError, "Did you mean 'leapfrog'"),
    ("storm_verlet", ValueError, "Did you mean 'stormer_verlet'"),
    ("qqqq", ValueError, "Known: .*leapfrog"),
    ("", ValueError, "scheme '' is not known"),
    (3, TypeError, "scheme must be a name or a Scheme, got 3"),
    (None, TypeError, "scheme must be a name or a Scheme, got None"),
]
BAD_FIELDS = [
    (W, TypeError, "field must be a Field such as NeuralField, got ndarray"),
    (NeuralField, TypeError, "field must be a Field such as NeuralField, got type"),
    (None, TypeError, "field must be a Field"),
]
BAD_THREADS = [
    (0, ValueError, "threads must be at least 1"),
    (-2, ValueError, "threads must be at least 1"),
    (1.5, TypeError, "threads must be a whole number"),
    (True, TypeError, "threads must be a whole number"),
]
BAD_VECTORS = [
    ([1.0], ValueError, r"has shape \(1,\); the field's dimension asks for \(2,\)"),
    (np.zeros((2, 1)), ValueError, "has 2 dimensions"),
    (0.5, ValueError, r"has shape \(\)"),
    ([], ValueError, r"has shape \(0,\)"),
    ([1.0, np.nan], ValueError, r"holds nan at index \(1,\)"),
    ([1.0, -np.inf], ValueError, "holds -inf at index"),
    ([1j, 0], TypeError, "is complex"),
    (["a", "b"], TypeError, "has dtype"),
    ([True, False], TypeError, "has dtype bool"),
]
CASES = [
    *(({"step": value}, error, message) for value, error, message in BAD_STEPS),
    *(({"n_steps": value}, error, message) for value, error, message in BAD_COUNTS),
    *(({"scheme": value}, error, message) for value, error, message in BAD_NAMES),
    *(({"field": value}, error, message) for value, error, message in BAD_FIELDS),
    *(({"threads": value, "step": [0.1, 0.2]}, error, message) for value, error, message in BAD_THREADS),
    *(
        ({name: value}, error, f"{name} {message}")
        for name in ("y0", "p0")
        for value, error, message in BAD_VECTORS
    ),
]


@pytest.mark.parametrize("function", [integrate, jacobian, jacobian_norm, log_jacobian_norm])
@pytest.mark.parametrize(("changes", "error", "message"), CASES)
def test_a_bad_argument_is_named(function, changes, error, message):
    with pytest.raises(error, match=message):
        run(function, **changes)


@pytest.mark.parametrize("function", [integrate, jacobian_norm])
@pytest.mark.parametrize(
    ("inputs", "error", "message"),
    [
        (
            INPUTS[:3],
            ValueError,
            r"inputs has shape \(3, 3\); n_steps = 4 and the field's 3 inputs ask for \(4, 3\)",
        ),
        (INPUTS[:, :2], ValueError, r"inputs has shape \(4, 2\)"),
        (INPUTS[:, 0], ValueError, r"inputs has shape \(4,\)"),
        (INPUTS[None], ValueError, "inputs has 3 dimensions"),
        (0.5, ValueError, "inputs has 0 dimensions"),
        ([], ValueError, r"inputs has shape \(0,\)"),
        (INPUTS * np.nan, ValueError, "inputs holds nan"),
        (INPUTS * 1j, TypeError, "inputs is complex"),
        (INPUTS.astype(str), TypeError, "inputs has dtype"),
        ("abc", TypeError, "inputs has dtype"),
        (lambda t: [1.0, 2.0], ValueError, r"inputs\(0\) has 2 entries; the field takes 3"),
        (lambda t: 1.0, ValueError, r"inputs\(0\) has 1 entries"),
        (lambda t: [1.0, 2.0, np.inf if t > 0.15 else 0.0], ValueError, r"inputs\(0.2\) holds inf"),
        (lambda t: [1.0, 2.0, 3.0][: 3 if t == 0 else 1], ValueError, r"inputs\(0.1\) has 1 entries"),
        (lambda t: np.zeros((3, 1)), ValueError, r"inputs\(0\) has 2 dimensions"),
        (lambda t: [1j, 0, 0], TypeError, r"inputs\(0\) is complex"),
        (lambda t: None, TypeError, r"inputs\(0\) has dtype object"),
    ],
)
def test_bad_inputs_are_named(function, inputs, error, message):
    with pytest.raises(error, match=message):
        run(function, field=DRIVEN, inputs=inputs)


@pytest.mark.parametrize("inputs", [np.zeros((4, 0)), np.zeros((4, 1)), [], lambda t: []])
def test_inputs_for_an_undriven_field(inputs):
    with pytest.raises(ValueError, match="inputs were given, but the field takes none"):
        run(jacobian, inputs=inputs)


@pytest.mark.parametrize(
    ("scheme", "block", "message"),
    [
        (
            "leapfrog",
            "momentun",
            "block 'momentun' is not known; this recurrence has 'position', 'momentum', 'phase'",
        ),
        ("leapfrog", 3, "block 3 is not known"),
        ("euler", "phase", "block='phase' asks for a second-order system"),
        ("euler", "momentum", "block 'momentum' is not known; this recurrence has 'position'"),
    ],
)
def test_blocks(scheme, block, message):
    with pytest.raises(ValueError, match=message):
        run(jacobian, scheme=scheme, block=block)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([[1, 2]], [0]), ValueError, r"W has shape \(1, 2\); it must be square"),
        (([1.0, 2.0], [0]), ValueError, "W has 1 dimensions"),
        ((np.zeros((0, 0)), []), ValueError, "W has shape .0, 0.; it must be square and not empty"),
        (([[np.nan]], [0]), ValueError, "W holds nan at index .0, 0."),
        (([[1j]], [0]), TypeError, "W is complex"),
        (([["a"]], [0]), TypeError, "W has dtype"),
        (([[None]], [0]), TypeError, "W has dtype object"),
        (([[1, 2], [3]], [0]), ValueError, "W is not a rectangular array"),
        (([[1.0]], [0, 1]), ValueError, r"b has shape \(2,\); W of shape \(1, 1\) asks for \(1,\)"),
        (([[1.0]], 0.0), ValueError, "b has 0 dimensions"),
        (([[1.0]], [np.inf]), ValueError, "b holds inf"),
        (([[1.0]], [0], [[1.0], [2.0]]), ValueError, r"V has shape \(2, 1\); W of shape \(1, 1\) asks for"),
        (([[1.0]], [0], [1.0]), ValueError, "V has 1 dimensions"),
        (([[1.0]], [0], [[np.nan]]), ValueError, "V holds nan"),
        (([[1.0]], [0], None, "tanhh"), ValueError, "activation 'tanhh' is not known. Did you mean 'tanh'"),
        (
            ([[1.0]], [0], None, "sigmoidal"),
            ValueError,
            "activation 'sigmoidal' is not known.* Known: .*logistic",
        ),
        (([[1.0]], [0], None, np.tanh), ValueError, "activation <ufunc 'tanh'> is not known"),
    ],
)
def test_weights(arguments, error, message):
    with pytest.raises(error, match=message):
        NeuralField(*arguments)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: NeuralField.random(0), ValueError, "d must be at least 1, got 0"),
        (lambda: NeuralField.random(-3), ValueError, "d must be at least 1"),
        (lambda: NeuralField.random(2.0), TypeError, "d must be a whole number"),
        (lambda: NeuralField.random(2, inputs=-1), ValueError, "inputs must be at least 0"),
        (lambda: NeuralField.antisymmetric([[1, 2]], [0], 0.1), ValueError, r"W has shape \(1, 2\)"),
        (lambda: NeuralField.antisymmetric(W, B, np.nan), ValueError, "gamma holds nan"),
        (lambda: NeuralField.antisymmetric(W, B, [0.1, 0.2]), ValueError, "gamma has 1 dimensions"),
    ],
)
def test_named_constructors(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_the_paper_s_set_up_is_drawn_in_the_stated_order():
    field = NeuralField.random(3, rng=7, inputs=2)
    rng = np.random.default_rng(7)
    for drawn, shape in ((field.W, (3, 3)), (field.b, 3), (field.V, (3, 2))):
        np.testing.assert_array_equal(drawn, rng.uniform(0, 1 / 3, shape))


@pytest.mark.parametrize(
    ("verb", "columns", "error", "message"),
    [
        ("pushforward", np.zeros((2, 1)), ValueError, "columns has 2 rows; the state .* has 4"),
        ("pushforward", np.zeros(4), ValueError, "columns has 1 dimensions"),
        ("pullback", np.full((4, 1), np.nan), ValueError, "cotangents holds nan"),
        ("pullback", np.zeros((4, 1)) * 1j, TypeError, "cotangents is complex"),
        ("parameter_gradient", np.zeros(3), ValueError, "cotangent has 3 rows"),
        ("parameter_gradient", [1.0, 2.0, np.nan, 0.0], ValueError, "cotangent holds nan"),
    ],
)
def test_columns_of_the_verbs(verb, columns, error, message):
    with pytest.raises(error, match=message):
        getattr(OdeRecurrence(FIELD, "leapfrog", 0.1, 3), verb)(columns)


# ---------------------------------------------------------------------------------------- the right answer


@pytest.mark.parametrize("driven", [False, True])
@pytest.mark.parametrize("name", SCHEMES)
def test_no_steps_give_the_identity_exactly(name, driven):
    field = DRIVEN if driven else FIELD
    choices = [np.zeros((0, 3)), lambda t: [t, 0, 0], None] if driven else [None]
    size = 2 if SCHEMES[name].form == "first_order" else 4
    for inputs in choices:
        for step in (0.1, [0.1, 0.2]):
            arguments = (field, name, step, 0, [1.0, 2.0], [3.0, 4.0], inputs)
            shape = np.shape(step)
            np.testing.assert_array_equal(jacobian(*arguments), np.broadcast_to(np.eye(2), (*shape, 2, 2)))
            np.testing.assert_array_equal(jacobian_norm(*arguments), np.ones(shape))
            np.testing.assert_array_equal(log_jacobian_norm(*arguments), np.zeros(shape))
            recurrence = OdeRecurrence(*arguments)
            expected = np.broadcast_to([1.0, 2.0, 3.0, 4.0][:size], (*shape, size))
            np.testing.assert_array_equal(recurrence.run(), expected)
            identity = np.broadcast_to(np.eye(size), (*shape, size, size))
            np.testing.assert_array_equal(recurrence.pushforward(np.eye(size)).unscaled(), identity)
            np.testing.assert_array_equal(recurrence.pullback(np.eye(size)).unscaled(), identity)
            gradient = recurrence.parameter_gradient(np.ones(size))
            np.testing.assert_array_equal(gradient, np.zeros((*shape, field.theta.size)))
            path = integrate(field, name, [1.0, 2.0], [3.0, 4.0], step, 0, inputs)
            np.testing.assert_array_equal(path.y, np.broadcast_to([1.0, 2.0], (*shape, 1, 2)))
            if size == 4:
                np.testing.assert_array_equal(jacobian(*arguments, block="phase"), identity)
                np.testing.assert_array_equal(path.p, np.broadcast_to([3.0, 4.0], (*shape, 1, 2)))


@pytest.mark.parametrize("shape", [(0,), (2, 0), (0, 3)])
@pytest.mark.parametrize("n_steps", [0, 5])
def test_no_members_give_empty_results(shape, n_steps):
    steps = np.zeros(shape)
    for threads in (None, 1, 3):
        assert jacobian(FIELD, "leapfrog", steps, n_steps, threads=threads).shape == (*shape, 2, 2)
        assert jacobian_norm(FIELD, "leapfrog", steps, n_steps, threads=threads).shape == shape
        assert log_jacobian_norm(FIELD, "leapfrog", steps, n_steps, threads=threads).shape == shape
        assert integrate(FIELD, "leapfrog", None, None, steps, n_steps, threads=threads).y.shape == (
            *shape,
            n_steps + 1,
            2,
        )


def test_step_shapes_lead_result_shapes():
    steps = np.linspace(0.01, 0.2, 6)
    flat = jacobian(FIELD, "leapfrog", steps, 5)
    for shape in ((2, 3), (1, 6), (6, 1), (3, 1, 2)):
        shaped = jacobian(FIELD, "leapfrog", steps.reshape(shape), 5)
        np.testing.assert_array_equal(shaped, flat.reshape(*shape, 2, 2))
    path = integrate(FIELD, "leapfrog", None, None, steps.reshape(2, 3), 5)
    assert path.y.shape == path.p.shape == (2, 3, 6, 2)
    assert path.t.shape == (2, 3, 6)
    assert isinstance(jacobian_norm(FIELD, "leapfrog", 0.1, 5), float)
    np.testing.assert_array_equal(
        jacobian(FIELD, "leapfrog", np.array(0.1), 5), jacobian(FIELD, "leapfrog", 0.1, 5)
    )


def unusual(array):
    """The same numbers in other layouts and dtypes, none of them writable."""
    array = np.asarray(array, dtype=float)
    spaced = np.zeros(tuple(2 * n for n in array.shape))
    window = spaced[tuple(slice(None, None, 2) for _ in array.shape)]
    window[...] = array
    backwards = array[::-1].copy()[::-1]
    byteswapped = array.astype(">f8")
    small = array.astype(np.float32)
    variants = [array.copy(), np.asfortranarray(array), window, backwards, byteswapped, small]
    for variant in variants:
        variant.flags.writeable = False
    assert (small == array).all(), "choose numbers that float32 holds"
    return [*variants, array.tolist()]


def test_layouts_and_dtypes_do_not_matter():
    weights = np.array([[0.5, -0.25, 2.0], [1.0, 0.125, 0.0], [0.75, -1.0, 0.5]])
    b, y0, p0 = np.array([0.25, -0.5, 1.0]), np.array([1.0, 0.5, -0.25]), np.array([0.0, 2.0, 1.5])
    v, steps = np.array([[1.0, 2.0], [0.5, 0.0], [-1.0, 0.25]]), np.array([0.25, 0.125])
    inputs = np.arange(10.0).reshape(5, 2) / 8

    def results(weights, b, v, steps, y0, p0, inputs):
        field = NeuralField(weights, b, v)
        recurrence = OdeRecurrence(field, "yoshida4", steps, 5, y0, p0, inputs)
        return (
            recurrence.run(),
            recurrence.pushforward(np.eye(6)[:, ::2]).unscaled(),
            recurrence.pullback(np.asfortranarray(np.eye(6))).unscaled(),
            integrate(field, "yoshida4", y0, p0, steps, 5, inputs).p,
        )

    given = (weights, b, v, steps, y0, p0, inputs)
    plain = results(*given)
    for variants in zip(*map(unusual, given), strict=True):
        copies = [np.array(variant) for variant in variants]
        for found, expected in zip(results(*variants), plain, strict=True):
            np.testing.assert_array_equal(found, expected)
        for variant, copy in zip(variants, copies, strict=True):
            np.testing.assert_array_equal(variant, copy)


def test_integers_are_numbers():
    field = NeuralField([[1, -2], [3, 0]], [0, 1])
    floats = NeuralField([[1.0, -2.0], [3.0, 0.0]], [0.0, 1.0])
    found = integrate(field, "leapfrog", [1, 0], np.array([0, 2], dtype=np.int8), np.int64(1), np.int16(4))
    expected = integrate(floats, "leapfrog", [1.0, 0.0], [0.0, 2.0], 1.0, 4)
    np.testing.assert_array_equal(found.y, expected.y)


def test_nothing_given_is_changed():
    given = {
        "y0": np.array([1.0, 2.0]),
        "p0": np.array([0.5, -1.0]),
        "step": np.array([0.1, 0.2]),
        "inputs": INPUTS,
    }
    copies = {name: array.copy() for name, array in given.items()}
    for function in (integrate, jacobian, jacobian_norm, log_jacobian_norm):
        run(function, field=DRIVEN, **given)
    columns = np.eye(4)
    recurrence = OdeRecurrence(DRIVEN, "leapfrog", given["step"], 4, given["y0"], given["p0"], INPUTS)
    for verb in (recurrence.pushforward, recurrence.pullback, lambda c: recurrence.parameter_gradient(c[0])):
        verb(columns)
    for name, array in given.items():
        np.testing.assert_array_equal(array, copies[name])
    np.testing.assert_array_equal(columns, np.eye(4))


def test_results_do_not_share_memory_with_what_was_given():
    y0 = np.array([1.0, 2.0])
    recurrence = OdeRecurrence(FIELD, "leapfrog", 0.1, 3, y0)
    before = recurrence.run()
    y0[:] = 100.0
    np.testing.assert_array_equal(recurrence.run(), before)
    path = integrate(FIELD, "leapfrog", y0, None, 0.1, 0)
    path.y[:] = 0.0
    np.testing.assert_array_equal(y0, [100.0, 100.0])


def test_inputs_of_width_one_may_be_a_vector():
    field = NeuralField(W, B, V[:, :1])
    np.testing.assert_array_equal(
        jacobian(field, "leapfrog", 0.1, 4, inputs=INPUTS[:, 0]),
        jacobian(field, "leapfrog", 0.1, 4, inputs=INPUTS[:, :1]),
    )
    scalar = jacobian(field, "leapfrog", 0.1, 4, inputs=lambda t: t)
    np.testing.assert_array_equal(scalar, jacobian(field, "leapfrog", 0.1, 4, inputs=lambda t: np.array([t])))


def test_no_inputs_mean_zero_inputs():
    np.testing.assert_array_equal(
        jacobian(DRIVEN, "yoshida4", 0.1, 4), jacobian(DRIVEN, "yoshida4", 0.1, 4, inputs=np.zeros((4, 3)))
    )
    np.testing.assert_array_equal(jacobian(DRIVEN, "yoshida4", 0.1, 4), jacobian(FIELD, "yoshida4", 0.1, 4))


def test_one_unit_takes_numbers_for_vectors():
    field = harmonic()
    np.testing.assert_array_equal(
        integrate(field, "leapfrog", 1.0, 0.5, 0.1, 4).y, integrate(field, "leapfrog", [1.0], [0.5], 0.1, 4).y
    )


def test_first_order_schemes_do_not_use_the_velocity():
    np.testing.assert_array_equal(
        jacobian(FIELD, "euler", 0.1, 4, [1, 2], [5, 6]), jacobian(FIELD, "euler", 0.1, 4, [1, 2])
    )


def test_aliases_and_records_name_the_same_scheme():
    for name in ("stormer_verlet", SCHEMES["leapfrog"], get_scheme("verlet")):
        np.testing.assert_array_equal(jacobian(FIELD, name, 0.1, 4), jacobian(FIELD, "leapfrog", 0.1, 4))


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", " "])
def test_the_number_of_threads_in_the_environment(monkeypatch, value):
    monkeypatch.setenv("LEAPGRAD_THREADS", value)
    with pytest.raises(ValueError, match="LEAPGRAD_THREADS must be a positive whole number"):
        jacobian_norm(FIELD, "leapfrog", [0.1, 0.2], 4)
    monkeypatch.setenv("LEAPGRAD_THREADS", "3")
    jacobian_norm(FIELD, "leapfrog", [0.1, 0.2], 4)


# ---------------------------------------------------------------------------------------- unusual schemes

UNUSUAL = [
    # A leapfrog between a kick and its inverse: the end kicks of neighbouring steps cancel.
    Scheme("conjugated", 2, a=(0, "1/2", "1/2", 0), b=("3/10", 1, 0, "-3/10")),
    Scheme("idle_drifts", 2, a=(0, 0, "1/2", 0, "1/2", 0), b=("1/8", "1/8", "1/4", "1/4", "1/8", "1/8")),
    Scheme("no_first_kick", 1, a=(0, 1), b=(0, 1)),
    Scheme("euler_in_two", 1, a=(0, 0), b=("1/4", "3/4"), form="first_order"),
]


@pytest.mark.parametrize("n_steps", [1, 2, 7])
@pytest.mark.parametrize("scheme", UNUSUAL, ids=lambda s: s.name)
def test_unusual_schemes_against_the_naive_twin(scheme, n_steps):
    import naive

    F = naive.neural(W, B, V, "tanh")
    inputs = np.random.default_rng(0).normal(size=(n_steps, 3))
    y0, p0 = np.array([0.5, -1.0]), np.array([0.25, 0.75])
    first = scheme.form == "first_order"
    for given in (inputs, lambda t: np.array([np.sin(t), t, 1.0])):

        def end(state, given=given):
            y, p = naive.trajectory(scheme, F, state[:2], state[2:], 0.2, n_steps, given)[-1]
            return np.concatenate([y, p])[: 2 if first else 4]

        start = np.concatenate([y0, p0])
        J = naive.complex_step(end, start)[:, : 2 if first else 4]
        recurrence = OdeRecurrence(DRIVEN, scheme, [0.2, 0.1], n_steps, y0, p0, given)
        np.testing.assert_allclose(recurrence.run()[0], end(start), atol=1e-13)
        columns = np.eye(recurrence.state_size)
        np.testing.assert_allclose(recurrence.pushforward(columns).unscaled()[0], J, atol=1e-13)
        np.testing.assert_allclose(recurrence.pullback(columns).unscaled()[0], J.T, atol=1e-13)
        path = integrate(DRIVEN, scheme, y0, p0, [0.2, 0.1], n_steps, given)
        states = naive.trajectory(scheme, F, y0, p0, 0.2, n_steps, given)
        np.testing.assert_allclose(path.y[0], [y for y, _ in states], atol=1e-13)
        if not first:
            np.testing.assert_allclose(path.p[0], [p for _, p in states], atol=1e-13)


def test_a_registered_scheme_runs_by_name():
    register(Scheme("ruth3_of_the_tests", 3, a=("1", "-2/3", "2/3"), b=("-1/24", "3/4", "7/24")))
    M = jacobian(harmonic(), "ruth3_of_the_tests", 0.1, 100, block="phase")
    assert abs(np.linalg.det(M) - 1) < 1e-13
