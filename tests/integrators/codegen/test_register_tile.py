"""Tiles for every kind of processor: their shape, their code, and the same bits from all of them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import llvmlite.binding as llvm
import numpy as np
import pytest
from llvmlite import ir

from integrators.codegen import processor
from integrators.codegen.processor import Registers, cache_bytes, registers, registers_of
from integrators.codegen.register_tile import SHAPES, emit_tiles

LINUX, ARM = "x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"
TARGETS = {
    "AVX-512": (LINUX, "skylake-avx512", "", Registers(8, 32)),
    "AVX2": (LINUX, "haswell", "", Registers(4, 16)),
    "AVX2 by its features": (LINUX, "x86-64", "+avx2,+fma", Registers(4, 16)),
    "AVX-512 put aside": (LINUX, "skylake-avx512", "-avx512f", Registers(4, 16)),
    "AVX": (LINUX, "sandybridge", "", Registers(4, 16)),
    "SSE2": (LINUX, "x86-64", "", Registers(2, 16)),
    "NEON": (ARM, "neoverse-n1", "", Registers(2, 32)),
    "SVE": (ARM, "neoverse-v1", "", Registers(2, 32)),
    "Apple": ("arm64-apple-darwin", "apple-m1", "", Registers(2, 32)),
}


@pytest.fixture(scope="module", autouse=True)
def all_targets():
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()


@pytest.mark.parametrize("target", TARGETS)
def test_registers_are_those_that_llvm_uses(target):
    *names, expected = TARGETS[target]
    assert registers_of(*names) == expected


def machine_code(triple, name, features, shape):
    """The assembly of the tiles for float64, compiled as Numba does it."""
    module = ir.Module("tiles")
    module.triple = triple
    emit_tiles(module, ir.DoubleType(), shape)
    parsed = llvm.parse_assembly(str(module))
    machine = llvm.Target.from_triple(triple).create_target_machine(name, features, opt=3)
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(parsed, builder)
    return machine.emit_assembly(parsed)


def loops(code):
    """The basic blocks that jump back to their own beginning."""
    for block in re.split(r"\n(?=\.?LBB\w+:)", code):
        label = block.split(":")[0]
        if re.search(rf"\n\s+(?:j\w+|b\.\w+|cbnz\s+\w+,)\s+{re.escape(label)}\b", block):
            yield block


@pytest.mark.parametrize("target", ["AVX-512", "AVX2", "NEON", "SVE"])
def test_the_sums_of_the_largest_tiles_stay_in_registers(target):
    """A loop whose sums do not fit loads and stores them on the stack in every turn: a third of the speed."""
    *names, found = TARGETS[target]
    shape = SHAPES[found]
    expected = {shape.rows * shape.vectors, shape.outer_rows * shape.outer_columns}
    products = {}
    for loop in loops(machine_code(*names, shape)):
        count = len(re.findall(r"\bvfmadd\w+|\bfmla\b", loop))
        vectors = len(re.findall(r"[zyx]mm\d+, .*\(%rsp|\(%rsp.*[zyx]mm\d+|\bq\d+, \[sp", loop))
        products[count] = min(vectors, products.get(count, vectors))
    assert expected <= set(products), "the loops of the largest tiles"
    assert [products[count] for count in expected] == [0, 0][: len(expected)]


# ------------------------------------------------------------------------------------ bits

SCRIPT = """
import hashlib, json, sys
import numpy as np
from integrators import NeuralField, integrate
from integrators.codegen.processor import registers
from integrators.codegen.simd import TILE
from sensitivity import cell, jacobian, unroll
from sensitivity.training.networks.ode_network import OdeNetwork

def digest(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:16]

found, rng = {}, np.random.default_rng(0)
for d in (1, 5, 13, 33, 200):
    field = NeuralField(rng.normal(0.0, d**-0.5, (d, d)), rng.normal(size=d))
    for lanes in (1, 21) if d < 200 else (1,):
        steps = np.geomspace(1e-3, 0.3, lanes)
        found[f"state {d} {lanes}"] = digest(integrate(field, "leapfrog", None, None, steps, 5).y)
        for scheme in ("leapfrog", "euler"):
            J = jacobian(field, scheme, steps, 5, progress=False)
            found[f"Jacobian {scheme} {d} {lanes}"] = digest(J)
if sys.argv[1:] == ["all"]:
    narrow = jacobian(field, "leapfrog", 0.1, 5, dtype="float32", progress=False)
    found["Jacobian in float32"] = digest(narrow)
    cells = ("lstm", 10, 1), ("lstm", 40, 2), ("gru", 5, 11), ("lem", 13, 3), ("staggered", 9, 8)
    for name, d, members in cells:
        run = unroll(cell(name, d, 2, rng=0), inputs=rng.normal(size=(members, 6, 2)))
        lam = rng.normal(size=(members, 7, run.state_size))
        found[f"{name} {d}"] = digest(jacobian(run, block="state"))
        found[f"{name} {d} gradient"] = digest(run.backpropagate(lam).theta)
for d, n in ((1, 8), (10, 40), (13, 100)):
    network = OdeNetwork(d, 19, 0.2, n_inputs=2, n_classes=3)
    theta, inputs = rng.normal(size=network.n_parameters), rng.normal(size=(19, 2, n))
    gradient = network.gradient(theta, inputs, rng.integers(0, 3, n)).gradient
    found[f"gradient {d} {n}"] = digest(gradient)
print(json.dumps({"registers": registers(), "tile": TILE, "found": found}))
"""


def run(*arguments, **environment):
    """The script in a process whose code generator is restricted."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_CPU")}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments],
        capture_output=True,
        text=True,
        timeout=600,
        env={**env, **environment},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def restricted(name, features):
    """Environment for the code of another processor, if this machine can run it."""
    if "x86" not in llvm.get_process_triple():
        pytest.skip("this processor runs one kind of vector registers only")
    wanted = registers_of(llvm.get_process_triple(), name, "")
    if wanted > registers_of(*processor.compiled_for()[0]):
        pytest.skip(f"this processor cannot run the code of {name}")
    return wanted, {"NUMBA_CPU_NAME": name} | ({} if features is None else {"NUMBA_CPU_FEATURES": features})


def compare(name, features, *arguments):
    wanted, environment = restricted(name, features)
    here, there = run(*arguments), run(*arguments, **environment)
    assert tuple(there["registers"]) == wanted and tuple(there["tile"]) == SHAPES[wanted]
    assert there["found"] == here["found"]
    assert len(here["found"]) > 20


def test_bits_do_not_depend_on_the_registers():
    """State, Jacobian, gradient: natively and for AVX2."""
    compare("haswell", "")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "features"), [("haswell", None), ("generic", None)])
def test_bits_of_every_kind_of_code(name, features):
    """With the machine's own features beside the name, and without fused multiply-add, by C's ``fma``."""
    compare(name, features, "all")


# ------------------------------------------------------------------------------------ caches


def test_caches_are_those_of_the_system_or_a_documented_size(monkeypatch):
    assert 1 << 13 <= cache_bytes(1) <= cache_bytes(2) <= 1 << 30
    cache_bytes.cache_clear()
    monkeypatch.setattr(processor.sys, "platform", "win32")
    assert (cache_bytes(1), cache_bytes(2)) == (1 << 15, 1 << 19)
    cache_bytes.cache_clear()


@pytest.mark.parametrize(
    ("size", "expected"), [("48K", 48 << 10), ("2M", 2 << 20), ("", 1 << 19), ("many", 1 << 19)]
)
def test_files_of_the_kernel_that_say_something_else_are_no_error(size, expected, monkeypatch, tmp_path):
    folder = tmp_path / "index2"
    folder.mkdir()
    for name, content in (("type", "Unified"), ("level", "2"), ("size", size)):
        (folder / name).write_text(content + "\n")
    monkeypatch.setattr(processor.sys, "platform", "linux")
    monkeypatch.setattr(processor, "Path", lambda _: Path(tmp_path))
    cache_bytes.cache_clear()
    assert cache_bytes(2) == expected
    cache_bytes.cache_clear()


def test_this_process_uses_the_shape_of_its_registers():
    from integrators.codegen.simd import TILE

    assert SHAPES[registers()] == TILE
    assert np.all(np.array(TILE) > 0)
