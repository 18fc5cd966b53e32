"""The settings of cells: each constructor takes what its table allows, and refuses the rest in a sentence."""

import inspect

import numpy as np
import pytest

from integrators import NeuralField
from integrators.fields.activations import ACTIVATIONS
from sensitivity.cli import main
from sensitivity.recurrences.case import case_of
from sensitivity.recurrences.registry import MODELS, builder, canonical, hyperparameters, make, reference
from sensitivity.recurrences.settings import OWN_SETTINGS, SETTINGS

NOT_A_NUMBER = ("a", None, True, [1.0, 2.0], 1j, object())
WRONG = {
    "d": (0, -1, 2.0, "3", None, True),
    "n_inputs": (-1, 1.5, "2", None),
    "rng": (-1, 2.5, "seed"),
    "step": (0, 0.0, -0.1, np.nan, np.inf, *NOT_A_NUMBER),
    "tau": (0, 0.0, -1.0, np.nan, np.inf, 1e-310, *NOT_A_NUMBER),
    "activation": ("selu", None, 3, ""),
    "layers": (0, -1, 1.5, "2"),
    "restart": (-3, 2.5, 40.0, None, "never"),
    "negative": (-1, 5, 99, 1.5, "all"),
    "split": (-1, 5, 99, 1.5, "half"),
    "imex": (2, 0.5, "yes", None),
    "grid": (-1.0, 0.3, np.nan, "fine"),
    "beta": (-0.1, 1.5, np.nan, "a"),
    "A": (-0.1, np.nan, [1.0, 2.0], [[1.0] * 4], "a", 1j),
    "G": (-0.1, np.inf, [1.0, 2.0], "a"),
    "dt": (0.0, -0.5, np.nan, [1.0, 2.0], "a"),
    "z": (0.0, 1.0, -0.1, 1.5, [0.5, 0.5], "a"),
    "c": (0.0, -1.0, np.inf, *NOT_A_NUMBER),
    **dict.fromkeys(("r_min", "r_max"), (0.0, 1.0, -0.1, np.nan, *NOT_A_NUMBER)),
    "discretisation": ("euler", None, 3),
    "variant": ("IMEX1", "imex", None, 3),
    **dict.fromkeys(("exponential", "normalised", "positive", "tied"), (2, 0.5, "yes", None)),
    **dict.fromkeys(
        ("alpha", "epsilon", "eta", "gamma", "mu", "s", "scale"), (np.nan, -np.inf, *NOT_A_NUMBER)
    ),
}
# Where a model means something else by a setting.
WRONG_OF = {("s6", "A"): (0.0, [-1.0, 1.0, 1.0, 1.0], np.nan, [-1.0, -2.0], [[1.0] * 4], "a", 1j)}


def cases():
    for name in MODELS:
        for setting in inspect.signature(builder(name)).parameters:
            for case, value in enumerate(WRONG_OF.get((name, setting), WRONG[setting])):
                yield pytest.param(name, setting, value, id=f"{name}-{setting}-{case}")


@pytest.mark.parametrize(("name", "setting", "value"), list(cases()))
def test_a_wrong_setting_is_one_sentence(name, setting, value):
    with pytest.raises((ValueError, TypeError)) as caught:
        builder(name)(**({"d": 4} | {setting: value}))
    message = str(caught.value)
    assert setting in message and message.endswith(".") and "\n" not in message


def test_every_setting_is_in_the_table():
    assert (
        set(WRONG)
        == set(SETTINGS)
        == {s for name in MODELS for s in inspect.signature(builder(name)).parameters}
    )


def test_every_setting_of_a_model_alone_is_in_its_table():
    assert set(WRONG_OF) == set(OWN_SETTINGS)


def test_settings_on_their_edges():
    assert np.isfinite(make("scornn", 4, negative=0).theta).all()
    assert np.isfinite(make("scornn", 4, negative=4).theta).all()
    for split in (0, 1, 4):
        cell = make("enrnn", 4, split=split)
        assert np.isfinite(cell.theta).all() and cell.blocks["h1"] == slice(0, split)
    assert make("nesterov_lstm", 2, restart=np.int64(3)).parameters["restart"] == 3.0
    assert make("adam_rnn", 2, beta=1).parameters["beta"] == 1.0
    assert make("cornn", 2, imex=np.True_).parameters["imex"] == 1.0
    assert make("leaky", 2, tau=np.float32(4.0)).step_size == 0.25
    assert (
        make("lstm", 2, rng=np.random.default_rng(3)).theta.tobytes()
        == make("lstm", 2, rng=3).theta.tobytes()
    )


@pytest.mark.parametrize("name", [n for n in MODELS if "activation" in (make(n, 2).kind.constants or {})])
def test_every_cell_with_an_activation_takes_one(name):
    assert "activation" in hyperparameters(name)
    for given, code in (("sin", "sin"), ("ReLU", "relu"), ("Sigmoid", "logistic")):
        assert make(name, 3, activation=given).parameters["activation"] == ACTIVATIONS[code].code
    with pytest.raises(ValueError, match="Did you mean 'tanh'"):
        make(name, 3, activation="tahn")


def test_activations_by_the_names_of_other_libraries():
    for given, name in (("RELU", "relu"), (" Tanh", "tanh"), ("linear", "identity"), ("atan", "arctan")):
        assert ACTIVATIONS[given].name == name and given in ACTIVATIONS
    assert "gelu" not in ACTIVATIONS and list(ACTIVATIONS) == [record.name for record in ACTIVATIONS.values()]
    assert NeuralField.random(3, activation="ReLU").activation.name == "relu"


def test_models_by_the_names_of_other_libraries():
    assert canonical("RNN") == canonical("rnn") == canonical("Vanilla") == "vanilla"
    assert make("LSTM", 2).name == "lstm" and make("GRU", 2).name == "gru"
    assert case_of("hamiltonian", make("Hamiltonian", 2), 3).recurrence.state_size == 4
    for wrong in ("lstn", None, 3, ""):
        with pytest.raises(ValueError, match="is not known"):
            make(wrong, 2)


def test_unknown_settings_of_a_constructor_are_listed():
    with pytest.raises(TypeError, match=r"leaky: .*'gain'; it takes d, n_inputs, rng, tau, activation\."):
        builder("leaky")(3, gain=1.0)


def test_every_model_cites_its_own_paper(capsys):
    assert "Le, N. Jaitly" in reference("irnn") and "Chang" in reference("antisymmetric")
    assert "Yue" in reference("residual") and "Elman" in reference("rnn")
    assert main(["compare", "--list"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line.strip()}
    for name in MODELS:
        assert reference(name) in lines[name]


def test_wrong_settings_on_the_command_line(capsys):
    for words, message in (
        (["--model", "leaky", "--set", "tau=0"], "tau must be positive, got 0."),
        (["--model", "enrnn", "--set", "split=99"], "split must lie between 0 and d = 10, got 99."),
        (["--model", "restart_rnn", "--set", "restart=2.5"], "restart must be a whole number, got 2.5."),
    ):
        assert main(["norm", *words]) == 2
        assert message in capsys.readouterr().err


# Catches: 2.5 cut to the code of relu, and codes of no activation, by which nothing is computed.
@pytest.mark.parametrize("code", [2.5, 99, -1])
def test_only_codes_of_activations_are_taken(code):
    with pytest.raises(ValueError, match="activation must be the code of an activation"):
        make("vanilla", 2).with_parameters(activation=code)
    assert (
        make("vanilla", 2).with_parameters(activation=ACTIVATIONS["relu"].code).parameters["activation"] == 2
    )
