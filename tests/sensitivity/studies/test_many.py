"""The bounds of many networks at once are those of each alone, and nothing that breaks one passes."""

import numpy as np
import pytest
from study_rows import put

from sensitivity.studies import Study, many, together, verify
from sensitivity.studies.cell import arrays_of, case_of, networks_of
from sensitivity.studies.storage import verify as verifying
from sensitivity.studies.storage.job import encode
from sensitivity.studies.storage.store import Store

GRIDS = {
    "schemes": {"scheme": ["leapfrog", "euler", "yoshida4", "explicit_euler"], "d": [1, 2, 5]},
    "activations": {"activation": ["tanh", "sin", "relu", "sigmoid", "identity"], "inputs": [0, 2]},
    "weights": {"gamma": [None, 0.0, 0.3], "weight_scale": [0.0, 1.0, 1e3], "n_steps": [0, 7, 4000]},
    "steps": {"d": 3, "step": [1e-300, 1e-3, 0.5, 40.0, 1e150]},
}


def study_of(name, quantities=("norm", "log_norm", "bounds")):
    grid = {"d": 2, "n_steps": 12, "seed": range(4), "step": [0.01, 0.3], **GRIDS[name]}
    return Study(grid, list(quantities))


# Catches: other bits than the bound of one network, on which the comparison of stored bounds rests.
@pytest.mark.parametrize("name", GRIDS)
def test_bounds_are_those_of_each_network_alone(name):
    groups = {}
    for cell in study_of(name).cells():
        groups.setdefault(cell.kind, []).append(cell)
    known = 0
    for cells in groups.values():
        networks = networks_of(cells)
        assert networks.slopes.tolist() == [case_of(cell).model.lipschitz for cell in cells]
        for upper, lower, its, slope, cell in zip(*networks.bounds, networks.slopes, cells, strict=True):
            assert its == (slope > 0.0)
            if its:
                case = case_of(cell)
                np.testing.assert_array_equal(upper, case.log_bound(), err_msg=str(cell))
                np.testing.assert_array_equal(lower, case.least_singular_value(), err_msg=str(cell))
                known += 1
    assert known >= 4


# Catches: one network without a slope that sends all others the long way.
def test_a_network_without_weights_is_left_out_alone():
    cells = list(study_of("weights").cells())
    numbers = [encode(cell, arrays_of(cell)).numbers for cell in cells]
    found = many.within_bounds(cells, numbers)
    assert found.tolist() == [
        cell.parameters["weight_scale"] > 0.0 or bool(cell.parameters["gamma"]) for cell in cells
    ]


def forged(folder, cell, name, change):
    arrays = {key: array.copy() for key, array in Store(folder).read(cell).items()}
    arrays[name][-1] += change
    put(folder, cell, encode(cell, arrays))


@pytest.mark.parametrize(
    ("name", "change"),
    [("norm", 1e9), ("log_norm", 30.0), ("log_bound", 1e-12), ("least_singular_value", 1e-12)],
)
def test_one_forged_network_among_many_is_found(tmp_path, name, change):
    study = study_of("schemes")
    study.run(tmp_path, progress=False)
    assert verify(tmp_path, progress=False).ok
    forged(tmp_path, list(study.cells())[5], name, change)
    found = verify(tmp_path, progress=False)
    assert found.sound == study.n_cells - 1 and len(found.violations) == 1


# Catches: networks that are looked at one by one after all.
def test_networks_are_not_built_one_by_one(tmp_path, monkeypatch):
    study = Study({"d": 2, "n_steps": 5, "seed": range(50), "step": [0.1, 0.2]})
    study.run(tmp_path, progress=False)
    alone = []
    monkeypatch.setattr(verifying, "case_of", lambda cell: alone.append(cell) or case_of(cell))
    assert verify(tmp_path, progress=False).sound == 50 and not alone
    monkeypatch.setattr(together, "bounds_by_slope", lambda *case: (np.full((50, 2), 9.0), np.ones((50, 2))))
    assert verify(tmp_path, progress=False).sound == 50 and len(alone) == 50


def test_other_models_and_quantities_are_left_to_themselves():
    grids = [({"model": "lstm", "d": 2, "seed": [0, 1]}, "norm"), ({"d": 2, "seed": [0, 1]}, "profile")]
    for grid, quantity in grids:
        cells = list(Study({"n_steps": 3, **grid}, quantity).cells())
        numbers = [encode(cell, arrays_of(cell)).numbers for cell in cells]
        assert not many.within_bounds(cells, numbers).any()
