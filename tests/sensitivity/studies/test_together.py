"""Networks that are run together have the bits of each alone, whoever runs them and whatever goes wrong."""

import pickle
import warnings
from functools import partial

import numpy as np
import pytest
from study_rows import change, contents, remove, rows_in

from sensitivity.studies import Study, together
from sensitivity.studies.cell import CellBatch, arrays_of
from sensitivity.studies.execution import compute, executors, grid
from sensitivity.studies.execution.compute import compute_jobs, compute_one, packed, sorted_by_kind
from sensitivity.studies.execution.workers import ThreadWorker, WorkerDied
from sensitivity.studies.storage.index import ABSENT, UNSOUND
from sensitivity.studies.storage.job import listed
from sensitivity.studies.storage.store import Store

ALL = ["norm", "log_norm", "bounds"]
GRIDS = {
    "schemes": {"scheme": ["leapfrog", "euler", "yoshida4", "explicit_euler"], "d": [1, 2, 5]},
    "activations": {"activation": ["tanh", "sin", "relu", "sigmoid", "identity"], "inputs": [0, 2]},
    "weights": {"gamma": [None, 0.0, 0.3], "weight_scale": [0.0, 1.0, 1e3, 1e200], "n_steps": [0, 1, 200]},
    "starts": {"y0": [-1.0, 0.0, 2.0], "p0": [0.0, 0.5], "scheme": ["leapfrog", "euler"]},
    "few steps": {"d": 3, "step": [1e-300, 1e-3, 0.5, 40.0, 1e150]},
    "a register of steps": {"d": 3, "step": np.geomspace(1e-3, 10.0, 11).tolist()},
    "blocks of steps": {"d": 30, "seed": range(2), "step": np.geomspace(1e-3, 1.0, 128).tolist()},
    "uneven blocks of steps": {"d": 30, "seed": range(2), "step": np.geomspace(1e-3, 1.0, 100).tolist()},
    "overflow": {"activation": "relu", "y0": 1.0, "n_steps": 300, "step": [0.01, 1e100]},
    "long": {"scheme": ["leapfrog", "euler"], "n_steps": 1000, "weight_scale": [1.0, 30.0]},
}


def study_of(name, quantities=ALL):
    return Study({"d": 2, "n_steps": 12, "seed": range(4), "step": [0.01, 0.3], **GRIDS[name]}, quantities)


def quiet(function, *arguments):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", compute.OVERFLOWED, RuntimeWarning)
        return function(*arguments)


# Catches: another order of drawing, of arithmetic or of padding; a bound, a range or an overflow of the
# neighbour; rows or counts that are mixed up.
@pytest.mark.parametrize("name", GRIDS)
def test_networks_together_have_the_bits_of_each_alone(name, monkeypatch):
    monkeypatch.setattr(together, "ALONE_SECONDS", 1.0)
    cells = sorted_by_kind(study_of(name).cells())
    items = packed(cells)
    assert any(isinstance(item, CellBatch) for item in items)
    answers = quiet(compute_jobs, pickle.loads(pickle.dumps(items)))
    rows = [row for answer in answers for row in answer.rows()]
    alone = [quiet(compute_one, cell) for cell in cells]
    assert rows == [one.row for one in alone]
    assert sum(answer.lost for answer in answers) == sum(one.lost for one in alone)


def test_ordinary_networks_are_not_computed_one_by_one(monkeypatch):
    cells = list(Study({"d": 2, "n_steps": 5, "seed": range(50), "inputs": 1, "step": 0.1}, ALL).cells())
    monkeypatch.setattr("sensitivity.studies.cell.arrays_of", None)
    (answer,) = compute_jobs(packed(cells))
    assert len(answer) == 50


# Catches: a quantity or a model without a compiled loop that is computed by that of another.
@pytest.mark.parametrize(
    ("parameters", "quantity"),
    [({"model": "lstm"}, "norm"), ({}, "profile"), ({"d": 60}, "norm"), ({"n_steps": 10**6}, "norm")],
)
def test_other_networks_are_left_to_themselves(parameters, quantity):
    cells = list(Study({"d": 2, "n_steps": 3, "seed": [0, 1], **parameters}, quantity).cells())
    assert packed(cells) == cells


def test_only_neighbours_of_one_kind_share_a_batch():
    cells = list(Study({"d": [2, 3], "n_steps": 3, "seed": range(3)}, "norm").cells())
    order = [cells[i] for i in (0, 3, 1, 2, 4, 5)]
    assert sorted_by_kind(order) == [order[i] for i in (0, 2, 3, 1, 4, 5)]
    items = packed(order)
    assert [len(item) if isinstance(item, CellBatch) else 1 for item in items] == [1, 1, 2, 2]
    assert [job.digest for job in items[2].jobs()] == [cells[1].digest, cells[2].digest]


# Catches: a whole batch that fails with one of its networks.
def test_a_batch_that_fails_is_tried_one_by_one(tmp_path, monkeypatch):
    def fails(networks):
        raise MemoryError("no room")

    study = Study({"d": 2, "n_steps": 5, "seed": range(20), "step": 0.1}, "log_norm")
    study.run(tmp_path / "plain", progress=False)
    monkeypatch.setitem(together.TOGETHER, next(iter(together.TOGETHER)), fails)
    monkeypatch.setattr(together.Networks, "numbers", fails)
    assert study.run(tmp_path / "failing", progress=False).report.computed == 20
    assert contents(tmp_path / "failing") == contents(tmp_path / "plain")


# Catches: a crash that is blamed on the first network of a batch, or on all of them.
def test_the_network_that_kills_a_worker_is_found_in_its_batch(tmp_path, monkeypatch):
    deaths = []

    class Mortal(ThreadWorker):
        def compute(self, jobs):
            for item in packed(jobs):
                of_item = item.jobs() if isinstance(item, CellBatch) else [item]
                if any(job.parameters["seed"] == 13 for job in of_item):
                    deaths.append(len(of_item))
                    before = jobs[: next(i for i, job in enumerate(jobs) if job.digest == of_item[0].digest)]
                    raise WorkerDied(super().compute(before), "it was killed", len(of_item))
            return super().compute(jobs)

    monkeypatch.setitem(executors.EXECUTORS, "threads", partial(executors._own_workers, Mortal, False))
    monkeypatch.setattr(grid, "TASK_SECONDS", 1e9)
    study = Study({"d": 2, "n_steps": 5, "seed": range(200), "step": 0.1}, "log_norm")
    with pytest.warns(RuntimeWarning, match="1 of 200 cells failed"):
        report = study.run(tmp_path, workers=1, progress=False).report
    assert "seed=13" in report.failed[0][0] and report.computed == 199
    assert len(deaths) <= 12 and deaths[-2:] == [1, 1]


def test_two_processes_and_batches_give_the_bytes_of_one_thread_and_single_cells(tmp_path, monkeypatch):
    study = Study({"d": [1, 2], "n_steps": 5, "seed": range(300), "step": [0.1, 3.0]}, ALL)
    study.run(tmp_path / "together", "processes", workers=2, progress=False)
    monkeypatch.setattr(together, "ALONE_SECONDS", 0.0)
    study.run(tmp_path / "alone", workers=1, progress=False)
    assert contents(tmp_path / "together") == contents(tmp_path / "alone")


# ------------------------------------------------------------------------------------------- what is there


def test_the_index_knows_every_row(tmp_path):
    study = Study(
        {"d": [2, 3], "n_steps": 5, "seed": range(40), "step": [0.1, 0.2]}, "norm", steps_per_cell=1
    )
    study.run(tmp_path, progress=False)
    cells = list(study.cells())
    change(tmp_path, cells[3], numbers=b"12345678")
    change(tmp_path, cells[4], version="0/0")
    change(tmp_path, cells[5], numbers="a text")
    remove(tmp_path, cells[6])
    with Store(tmp_path).writing() as writer:
        index = writer.index()
        (block,) = study.blocks()
        found = index.sizes(block.digests())
        assert index.sizes(next(listed(cells)).digests()).tolist() == found.tolist()
    assert found[:8].tolist() == [8, 8, 8, UNSOUND, UNSOUND, UNSOUND, ABSENT, 8]
    assert (found[8:] == 8).all() and len(index) == 159
    report = study.run(tmp_path, progress=False).report
    assert (report.kept, report.computed, len(report.set_aside)) == (156, 4, 3)


# Catches: an address taken for another one that begins alike.
def test_addresses_that_begin_alike_are_told_apart(tmp_path):
    study = Study({"n_steps": 5, "d": 2, "seed": range(3)}, "norm")
    study.run(tmp_path, progress=False)
    cell = next(study.cells())
    others = [cell.digest[:8] + bytes([i] * 24) for i in (0, 255)]
    with Store(tmp_path).writing() as writer:
        for other in others:
            writer.write(other, compute_one(cell).row)
        writer.flush()
        index = writer.index()
        absent = cell.digest[:8] + bytes([7] * 24)
        wanted = [cell.digest, others[0], absent, others[1]]
        assert index.sizes(b"".join(wanted)).tolist() == [8, UNSOUND, ABSENT, UNSOUND]


@pytest.mark.parametrize("steps_per_cell", [1, 2, 128])
def test_blocks_hold_the_cells_of_a_study_in_order(steps_per_cell):
    grid = {
        "model": ["neural", "lstm"],
        "d": [1, 2],
        "seed": range(700),
        "step": [0.1, 0.2, 0.3],
        "n_steps": 2,
    }
    study = Study(grid, ALL, steps_per_cell=steps_per_cell)
    cells = list(study.cells())
    blocks = list(study.blocks())
    assert b"".join(block.digests() for block in blocks) == b"".join(cell.digest for cell in cells)
    assert [size for block in blocks for size in block.sizes()] == [cell.layout.n_bytes for cell in cells]
    made = [block[i] for block in blocks for i in range(len(block))]
    assert [str(cell) for cell in made] == [str(cell) for cell in cells]
    assert [cell.digest for cell in made] == [cell.digest for cell in cells]


# Catches: an address that leaves out what the numbers depend on.
def test_stored_numbers_are_those_of_the_address(tmp_path):
    study = study_of("starts")
    study.run(tmp_path, progress=False)
    rows = rows_in(tmp_path)
    for cell in study.cells():
        arrays = arrays_of(cell)
        numbers = b"".join(arrays[name].tobytes() for name in sorted(arrays))
        assert rows[cell.address][1] == numbers
