"""Options of `leapgrad train` by name: the defaults, and what was found to work on single tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any

from integrators.naming import nearest

from .start import Start

__all__ = ["BUDGET_RECIPES", "DEFAULT", "NONE", "OFF", "RECIPES", "TASK_RECIPES", "filled", "recipe_of"]

OFF = "off"
"""The value of --clip that leaves gradients as they are."""
NONE = "none"
"""The value of --recipe that means the defaults of all tasks."""

DEFAULT: Mapping[str, Any] = MappingProxyType(
    {
        **{one.name: one.default for one in fields(Start) if one.name != "kind"},
        "start": "published", "turns": "10:40",
        "model": "hamiltonian", "d": 10, "step_units": False, "rate": 0.01, "factors": "", "batch": 100,
        "epochs": None,  # see `enough_epochs`
        "clip": 1.0, "watch": "validation", "seed": 0,
    }
)  # fmt: skip

_PEER = {
    "start": "uniform", "input_scale": 1.0, "rate": 0.01, "batch": 128, "epochs": 14, "clip": 1.0,
    "cosine": True, "validation": 0,
}  # fmt: skip
# What the search of docs/results/tables found at every length: W begins unstable, of the order of 1/ε². A run
# there stops at 90 %; one that goes on needs half its rate on shock preservation, or it is thrown back.
_THRESHOLDS = {
    "model": "hamiltonian", "d": 10, "step": "10/N", "start": "thresholds", "input_scale": 1.2,
    "coupling": 0.5, "step_units": True, "rate": 0.01, "batch": 100, "clip": 0.1,
}  # fmt: skip
_DAMPED = {"model": "antisymmetric", "d": 20, "step": "50/N", "rate": 0.01, "batch": 100, "clip": 0.1}

RECIPES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        # Units that see up and down (harmonic 0) and left and right (harmonics 1, 2 of a row of 28 pixels),
        # nearly linear at first: with wide V the run is chaotic from the start, and nothing is learned.
        "mnist": {
            "d": 96, "step": "176/N", "start": "oscillators", "input_scale": 0.05, "turns": "8:35",
            "coupling": 0.0, "rows": 28, "harmonics": 3, "rate": 0.02, "factors": "W=0.01,V=0.1,b=0.1",
            "batch": 128, "epochs": 14, "clip": 1.0, "cosine": True, "validation": 0,
        },
        # As many hidden parameters, epochs and sequences in a batch as above; ε, rate and start by the loss
        # of trials of 100 to 250 iterations, on the first 55 000 training sequences.
        "mnist-antisymmetric": {**_PEER, "model": "antisymmetric", "d": 137, "step": "16/N", "gamma": 0.01},
        "mnist-lstm": {**_PEER, "model": "lstm", "d": 48, "start": "chrono"},
    }
)  # fmt: skip
"""Sequential MNIST: name → options that differ from `DEFAULT`. They name every setting that the kept results
depend on, so that a default that changes changes none of them."""

BUDGET_RECIPES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "mnist-lem": {
            "model": "lem", "d": 64, "step": "0.2", "start": "published", "rate": 0.005, "batch": 32,
            "epochs": 3, "clip": 1.0, "cosine": True, "validation": 5000,
        },
    }
)  # fmt: skip
"""What learns most of sequential MNIST in some minutes of one core, by `leapgrad reproduce mnist`;
its number of parameters is another."""

TASK_RECIPES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "shock": {**_THRESHOLDS, "growth": 0.2, "bias_scale": 1.0, "rate": 0.005, "epochs": 40},
        "shock_std": {**_THRESHOLDS, "growth": 0.2, "bias_scale": 3.0, "rate": 0.005},
        "xor": {**_THRESHOLDS, "growth": 1.0, "bias_scale": 1.0},
        "shock-antisymmetric": {**_DAMPED, "gamma": 0.0},
        "shock_std-antisymmetric": {**_DAMPED, "gamma": 0.0},
        "xor-antisymmetric": {**_DAMPED, "gamma": 0.01},
    }
)
"""The same for generated tasks, which take theirs by themselves, see `recipe_of`."""

OWN_START = ("start", "growth", "bias_scale", "step_units", "coupling", "input_scale", "weight_scale")
"""Options of a start. If one of them is given, no recipe is chosen automatically."""


def recipe_of(task: str, given: Mapping[str, Any]) -> str | None:
    """The recipe that a generated task has for a model, where none is named and no start is given."""
    if any(given.get(name) is not None for name in OWN_START):
        return None
    model = given.get("model") or DEFAULT["model"]
    name = task if model == DEFAULT["model"] else f"{task}-{model}"
    return name if name in TASK_RECIPES else None


def filled(given: Mapping[str, Any], recipe: str | None) -> dict[str, Any]:
    """The options as given; those that are None from the recipe, or else from `DEFAULT`.

    Raises
    ------
    ValueError
        If there is no recipe of that name.
    """
    recipes = {**RECIPES, **BUDGET_RECIPES, **TASK_RECIPES, NONE: {}}
    if recipe is not None and recipe not in recipes:
        raise nearest("recipe", recipe, recipes)
    chosen = {**DEFAULT, **recipes[recipe or NONE]}
    return {name: chosen.get(name) if value is None else value for name, value in given.items()}
