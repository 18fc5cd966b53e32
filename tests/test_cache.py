"""The disk cache: what it keys on, that no damage to it reaches a run, and that other processes profit."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from conftest import NOJIT
from numba import types

import integrators.compiled
from integrators.compiled import Kernel, cache_folder, code_digest, helper
from integrators.textbook import leaves

ROOT = Path(__file__).resolve().parent.parent
SIGNATURE = types.void(types.float64[::1])

pytestmark = pytest.mark.skipif(NOJIT, reason="nothing is compiled, so nothing is cached")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty cache of this test alone."""
    monkeypatch.setenv("LEAPGRAD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def add_one(values):
    for i in range(values.size):
        values[i] += 1.0


def fresh(function=add_one):
    """The kernel as a new process would make it: nothing of it is compiled yet."""
    return Kernel(function, SIGNATURE)


def use(kernel):
    """Run the kernel; whether its code came from the disk."""
    values = np.zeros(3)
    kernel(values)
    np.testing.assert_array_equal(values, np.ones(3))
    stats = kernel.dispatcher.stats
    return sum(stats.cache_hits.values()) > 0


def kernels(folder):
    """The cache files of kernels, without the tiles that every process loads before its first kernel."""
    return sorted(p for p in folder.iterdir() if p.suffix == ".kernel" and ".simd.tiles." not in p.name)


def test_a_kernel_is_compiled_once(folder):
    assert not use(fresh())
    assert len(kernels(folder)) == 1
    assert use(fresh())
    assert all(path.suffix == ".kernel" for path in folder.iterdir()), "litter"


@pytest.mark.parametrize("word", ["off", "OFF", "0", "no", "none", "false"])
def test_the_cache_can_be_switched_off(word, monkeypatch, tmp_path):
    monkeypatch.setenv("LEAPGRAD_CACHE", word)
    monkeypatch.chdir(tmp_path)
    assert cache_folder() is None
    assert not use(fresh())
    assert not use(fresh())
    assert not any(tmp_path.iterdir())


def damage_nothing_left(content):
    return b""


def damage_cut_short(content):
    return content[: len(content) // 2]


def damage_only_checksum(content):
    return content[:32]


def damage_first_byte(content):
    return bytes([content[0] ^ 1]) + content[1:]


def damage_one_byte(content):
    middle = len(content) * 2 // 3
    return content[:middle] + bytes([content[middle] ^ 0x10]) + content[middle + 1 :]


def damage_last_byte(content):
    return content[:-1] + bytes([content[-1] ^ 0x80])


def damage_longer(content):
    return content + b"\0"


def damage_other_content(content):
    return b"GIF89a" * 100


def signed(content):
    import hashlib

    return hashlib.sha256(content).digest() + content


def damage_signed_rubbish(content):
    return signed(b"not a pickle")


def damage_signed_other_pickle(content):
    import pickle

    return signed(pickle.dumps({"some": "thing"}))


DAMAGE = [value for name, value in sorted(globals().items()) if name.startswith("damage_")]


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_not_used_and_is_mended(damage, folder):
    use(fresh())
    (path,) = kernels(folder)
    path.write_bytes(damage(path.read_bytes()))
    assert not use(fresh())
    assert use(fresh())


def test_a_folder_in_the_place_of_a_file(folder):
    use(fresh())
    (path,) = kernels(folder)
    path.unlink()
    path.mkdir()
    assert not use(fresh())


def test_a_vanished_folder(folder):
    kernel = fresh()
    assert cache_folder() == folder
    folder.rmdir()
    folder.write_text("a file where the folder was")
    assert cache_folder() is None
    assert not use(kernel)


def test_a_disk_that_fills_up_costs_nothing_but_time(folder, monkeypatch):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(integrators.compiled.tempfile, "mkstemp", full)
    assert not use(fresh())
    assert kernels(folder) == []


def test_a_read_only_package_uses_the_user_s_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("LEAPGRAD_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(integrators.compiled.sys, "platform", "linux")
    package = Path(integrators.compiled.__file__).parent
    assert cache_folder() == package / "__pycache__"
    writable = integrators.compiled._writable
    # Root may write everywhere, so that a folder without permission would not do.
    monkeypatch.setattr(
        integrators.compiled, "_writable", lambda path: not path.is_relative_to(package) and writable(path)
    )
    assert cache_folder() == tmp_path / "leapgrad"
    assert not use(fresh())
    assert len(kernels(tmp_path / "leapgrad")) == 1
    assert use(fresh())
    monkeypatch.setattr(integrators.compiled, "_writable", lambda path: False)
    assert cache_folder() is None
    assert not use(fresh())


# ---------------------------------------------------------------------------------------- the key


@helper
def doubled(x):
    return 2.0 * x


@helper
def tripled(x):
    return 3.0 * x


def digest(source, **names):
    """The key of `function(values)`, defined by `source` with `names` among its globals."""
    namespace = {"__name__": __name__, **names}
    exec(source, namespace)
    return code_digest(namespace["function"])


def test_the_key_follows_everything_a_kernel_refers_to():
    call = "def function(v):\n    v[0] = g(v[0])"
    other = "def function(v):\n    v[0] = g(v[0]) + 1"
    constant = "def function(v):\n    v[0] = 1.5"
    default = "def function(v, w=G):\n    v[0] = w"
    kinds = [
        digest(call, g=doubled),
        digest(call, g=tripled),
        digest(call, g=Kernel(add_one, SIGNATURE)),
        digest(other, g=doubled),
        digest(constant),
        digest(constant.replace("1.5", "2.5")),
        digest(default, G=1.0),
        digest(default, G=2.0),
    ]
    for name in (1, 2, 1.0, np.int64(1), np.float32(1), 1j, 2j, (1, 2), (1, (2, 3)), "a", b"a", b"b", None):
        kinds.append(digest("def function(v):\n    v[0] = g", g=name))
    for array in (
        np.zeros(2),
        np.ones(2),
        np.zeros(3),
        np.zeros(2, np.float32),
        np.arange(2000.0),
        -np.arange(2000.0),
    ):
        kinds.append(digest("def function(v):\n    v[0] = g[0]", g=array))
    assert len(set(kinds)) == len(kinds)
    assert digest(call, g=doubled) == kinds[0]


def test_the_key_reaches_through_helpers_and_closures():
    def inner(factor):
        @helper
        def scaled(x):
            return factor * x

        return scaled

    def outer(scaled):
        @helper
        def call(x):
            return scaled(x)

        return call

    source = "def function(v):\n    v[0] = g(v[0])"
    keys = [digest(source, g=outer(inner(factor))) for factor in (1.0, 2.0, 1.0)]
    assert keys[0] == keys[2] != keys[1]


def test_the_key_reaches_into_modules_of_the_package(monkeypatch):
    source = "def function(v):\n    v[0] = integrators.arithmetic.exp_negative(v[0])[0]"
    code = compile(source, "test", "exec")

    def key():
        namespace = {"__name__": "integrators.somewhere", "integrators": integrators}
        exec(code, namespace)
        return code_digest(namespace["function"])

    import integrators.arithmetic

    before = key()
    monkeypatch.setattr(integrators.arithmetic, "exp_negative", doubled)
    assert key() != before


def test_the_key_knows_the_fields_of_a_named_tuple(folder):
    from typing import NamedTuple

    two = (types.float64[::1],) * 2
    paths = set()
    for names in (("a", "b"), ("b", "a")):
        kind = NamedTuple("Pair", [(name, object) for name in names])
        signature = types.void(types.NamedTuple(two, kind))

        def read(pair):
            pair.a[0] = pair.b[0]

        kernel = Kernel(read, signature)
        kernel.dispatcher  # noqa: B018
        paths |= {path.name for path in kernels(folder)}
    assert len(paths) == 2, "swapped fields would load the other kernel"


def test_a_changed_kernel_replaces_its_old_file(folder):
    names = []
    for text in ("values[0] = values[1] = values[2] = 1.0", "values[:] = 1.0"):
        namespace = {"__name__": "some_module"}
        exec(f"def kernel(values):\n    {text}", namespace)
        assert not use(fresh(namespace["kernel"]))
        (path,) = kernels(folder)
        names.append(path.name)
    assert names[0] != names[1]


def test_leaves_of_different_fields_keep_their_own_files(folder):
    @helper
    def linear(theta, y, x, force, jacobian):
        force[0, 0] = y[0, 0]
        jacobian[0, 0, 0] = 1.0

    @helper
    def nothing(theta, y, x, slopes):
        pass

    for name in ("one", "two"):
        leaves(linear, nothing, name)[0].dispatcher  # noqa: B018
    assert len(kernels(folder)) == 2
    again = leaves(linear, nothing, "one")[0]
    again.dispatcher  # noqa: B018
    assert sum(again.dispatcher.stats.cache_hits.values()) == 1


def test_names_of_cache_files_are_plain(folder):
    def local(values):
        for i in range(values.size):
            values[i] += 1.0

    use(fresh(local))
    (path,) = kernels(folder)
    assert not set(path.name) & set('<>:"/\\|?*')


# ---------------------------------------------------------------------------------------- other processes

SCRIPT = """
import sys, numpy as np
from numba import types
from integrators.compiled import Kernel, helper

@helper
def step(x):
    return x + {increment}

def kernel(values):
    for i in range(values.size):
        values[i] = step(values[i])

made = Kernel(kernel, types.void(types.float64[::1]))
values = np.zeros(3)
made(values)
assert (values == {increment}).all()
print(sum(made.dispatcher.stats.cache_hits.values()))
"""


def start(cache, increment=1.0):
    environment = {**os.environ, "LEAPGRAD_CACHE": str(cache), "PYTHONPATH": str(ROOT)}
    script = textwrap.dedent(SCRIPT).format(increment=increment)
    return subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def finish(process):
    out, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    assert error == ""
    return int(out)


def test_processes_share_a_cache(tmp_path):
    # Two at the same time on an empty cache, then one that finds their work, then one with a changed helper,
    # which clears that work away: it must not start before the other has loaded it.
    together = [start(tmp_path), start(tmp_path)]
    assert [finish(process) for process in together] in ([0, 0], [0, 1], [1, 0])
    assert len(kernels(tmp_path)) == 1
    assert all(path.suffix == ".kernel" for path in tmp_path.iterdir()), "litter"
    assert finish(start(tmp_path)) == 1
    assert finish(start(tmp_path, increment=2.0)) == 0


def test_a_second_process_compiles_nothing_for_a_jacobian(tmp_path):
    script = """
    import numpy as np
    from integrators import NeuralField, pendulum
    from integrators import flow, neural
    from sensitivity import jacobian
    jacobian(NeuralField.random(3), "leapfrog", 0.1, 5)
    jacobian(pendulum(), "leapfrog", 0.1, 5)
    used = [flow.advance, neural.neural_kick, pendulum().kick]
    print(sum(sum(k.dispatcher.stats.cache_misses.values()) for k in used))
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("LEAPGRAD_CACHE", None)

    def misses():
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, env=environment
        )
        assert done.returncode == 0, done.stderr
        return int(done.stdout)

    misses()
    assert misses() == 0
