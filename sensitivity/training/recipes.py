"""Options of `leapgrad train` by name: the defaults, and what was found to work on sequential MNIST."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from integrators.naming import nearest

__all__ = ["DEFAULT", "RECIPES", "filled"]

DEFAULT: Mapping[str, Any] = MappingProxyType(
    {
        "model": "hamiltonian",
        "d": 10,
        "start": "uniform",
        "input_scale": None,
        "turns": "10:40",
        "coupling": 0.1,
        "rows": 1,
        "harmonics": 1,
        "rate": 0.01,
        "factors": "",
        "batch": 100,
        "epochs": 20,
        "seed": 0,
    }
)

_PEER = {"input_scale": 1.0, "rate": 0.01, "batch": 128, "epochs": 14, "clip": 1.0, "cosine": True}

RECIPES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        # Units that see up and down (harmonic 0) and left and right (harmonics 1, 2 of a row of 28 pixels),
        # nearly linear at first: with wide V the run is chaotic from the start, and nothing is learned.
        "mnist": {
            "d": 96,
            "step": "176/N",
            "start": "oscillators",
            "input_scale": 0.05,
            "turns": "8:35",
            "coupling": 0.0,
            "rows": 28,
            "harmonics": 3,
            "rate": 0.02,
            "factors": "W=0.01,V=0.1,b=0.1",
            "batch": 128,
            "epochs": 14,
            "clip": 1.0,
            "cosine": True,
        },
        # As many hidden parameters, epochs and sequences in a batch as above; ε, rate and start by the loss
        # of trials of 100 to 250 iterations, on the first 55 000 training sequences.
        "mnist-antisymmetric": {
            **_PEER,
            "model": "antisymmetric",
            "d": 137,
            "step": "16/N",
            "gamma": 0.01,
        },
        "mnist-lstm": {
            **_PEER,
            "model": "lstm",
            "d": 48,
            "start": "chrono",
        },
    }
)
"""Name → options that differ from `DEFAULT`."""


def filled(given: Mapping[str, Any], recipe: str | None) -> dict[str, Any]:
    """The options as given; those that are None from the recipe, or else from `DEFAULT`.

    Raises
    ------
    ValueError
        If there is no recipe of that name.
    """
    if recipe is not None and recipe not in RECIPES:
        raise nearest("recipe", recipe, RECIPES)
    chosen = {**DEFAULT, **(RECIPES[recipe] if recipe else {})}
    return {name: chosen.get(name) if value is None else value for name, value in given.items()}
