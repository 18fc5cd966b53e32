"""The names of PyTorch beside ours are those that a state dict has."""

import re

import numpy as np
import pytest

from integrators import NeuralField
from sensitivity import cell, from_arrays, to_torch
from sensitivity.weights.torch_names import rows_of, torch_names


# Catches: a name that no module has, and a parameter that is called by the name of another.
@pytest.mark.parametrize(("model", "gates"), [("vanilla", 1), ("lstm", 4), ("gru", 3)])
@pytest.mark.parametrize("layers", [1, 2])
def test_every_name_is_one_of_a_state_dict_and_has_its_numbers(model, gates, layers):
    rng = np.random.default_rng(0)
    one = from_arrays(
        {
            f"{name}_l{layer}": rng.normal(size=(gates * 3, *width))
            for layer in range(layers)
            for name, width in (
                ("weight_ih", (3 if layer else 2,)), ("weight_hh", (3,)), ("bias_ih", ()), ("bias_hh", ())
            )
        }
    )  # fmt: skip
    assert one.name == model
    state, names = to_torch(one), torch_names(one)
    found = [name for theirs in names.values() for name in re.split(r" \+ |, ", theirs)]
    assert sorted(found) == sorted(state)
    for number, own in enumerate(one.unpack(one.theta)):
        for letter in "WVb":
            theirs = names[f"{letter}{number}" if layers > 1 else letter]
            sums = sum(np.abs(state[name]).sum() for name in re.split(r" \+ |, ", theirs))
            assert sums == pytest.approx(np.abs(own[letter]).sum())
    assert bool(rows_of(one)) == (model != "vanilla")


def test_what_pytorch_does_not_have_gets_no_names():
    for other in (cell("cornn", 3), cell("gru_before", 3, 2), NeuralField.random(3)):
        assert torch_names(other) == {} and rows_of(other) == ""
    assert set(torch_names(cell("lstm", 3))) == {"W", "b"}
    assert set(torch_names(from_arrays(to_torch(cell("gru", 3, 2))))) == {"W", "V", "b"}
