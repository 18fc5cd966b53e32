"""The disk cache: what it keys on, that no damage to it reaches a run, and that other processes profit."""

import hashlib
import io
import os
import pickle
import stat
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import NOJIT
from numba import types
from numba.core.cpu import CPUContext

import integrators.codegen.kernel_files
from integrators.codegen import kernel_cache
from integrators.codegen.compiled import Kernel, helper
from integrators.codegen.kernel_cache import cache_folder
from integrators.codegen.kernel_files import code_digest
from integrators.fields.textbook import callbacks

ROOT = Path(__file__).resolve().parents[3]
SIGNATURE = types.void(types.float64[::1])

pytestmark = pytest.mark.skipif(NOJIT, reason="nothing is compiled, so nothing is cached")


@pytest.fixture(autouse=True)
def _nothing_said_yet(monkeypatch):
    monkeypatch.setattr(kernel_cache, "_said", threading.Event())


def of_user(base):
    """The folder of this user inside of a cache folder."""
    return base / f"leapgrad-{kernel_cache._user()}"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty cache of this test alone: where its kernels come to lie."""
    monkeypatch.setenv("LEAPGRAD_CACHE", str(tmp_path / "cache"))
    return of_user(tmp_path / "cache")


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


def summed(name, content):
    return hashlib.sha256(name.encode() + b"\0" + content).digest() + content


def damage_nothing_left(content, name):
    return b""


def damage_cut_short(content, name):
    return content[: len(content) // 2]


def damage_only_checksum(content, name):
    return content[:32]


def damage_first_byte(content, name):
    return bytes([content[0] ^ 1]) + content[1:]


def damage_one_byte(content, name):
    middle = len(content) * 2 // 3
    return content[:middle] + bytes([content[middle] ^ 0x10]) + content[middle + 1 :]


def damage_last_byte(content, name):
    return content[:-1] + bytes([content[-1] ^ 0x80])


def damage_longer(content, name):
    return content + b"\0"


def damage_other_content(content, name):
    return b"GIF89a" * 100


def damage_summed_rubbish(content, name):
    return summed(name, b"not a pickle")


def damage_summed_other_pickle(content, name):
    return summed(name, pickle.dumps({"some": "thing"}))


def damage_another_name(content, name):
    return summed(f"x{name}", content[32:])


DAMAGE = [value for name, value in sorted(globals().items()) if name.startswith("damage_")]


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_not_used_and_is_mended(damage, folder):
    use(fresh())
    (path,) = kernels(folder)
    path.write_bytes(damage(path.read_bytes(), path.name))
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
    with pytest.warns(RuntimeWarning, match="LEAPGRAD_CACHE"):
        assert not use(kernel)


def test_a_disk_that_fills_up_costs_nothing_but_time(folder, monkeypatch):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kernel_cache.tempfile, "mkstemp", full)
    with pytest.warns(RuntimeWarning, match="No space left") as said:
        assert not use(fresh())
    assert len(said) == 1
    assert not use(fresh())
    assert kernels(folder) == []


def package_at(monkeypatch, path):
    """As if the package lay in `path`."""
    path.mkdir(parents=True, exist_ok=True)
    monkeypatch.delenv("LEAPGRAD_CACHE", raising=False)
    monkeypatch.setattr(kernel_cache, "__file__", str(path / "kernel_cache.py"))
    return path / "__pycache__"


def read_only(monkeypatch, *folders):
    """Root may write everywhere, so that a folder without permission would not do."""
    writable = kernel_cache._writable
    monkeypatch.setattr(
        kernel_cache,
        "_writable",
        lambda path: not any(path.is_relative_to(folder) for folder in folders) and writable(path),
    )


def test_a_read_only_package_uses_the_user_s_folder(monkeypatch, tmp_path):
    beside = package_at(monkeypatch, tmp_path / "package")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(kernel_cache.sys, "platform", "linux")
    assert cache_folder() == of_user(beside)
    read_only(monkeypatch, beside)
    user = of_user(tmp_path / "leapgrad")
    assert cache_folder() == user
    assert not use(fresh())
    assert len(kernels(user)) == 1
    assert use(fresh())
    read_only(monkeypatch, tmp_path)
    assert cache_folder() is None
    assert use(fresh()), "what can be read there is read"
    kernels(user)[0].unlink()
    with pytest.warns(RuntimeWarning, match="(?s)compiles them anew.*LEAPGRAD_CACHE") as said:
        assert not use(fresh())
    assert not use(fresh()) and len(said) == 1


# Catches: a home folder that is looked for where it is not needed, and a user without one.
def test_a_user_without_a_home_folder(monkeypatch, tmp_path):
    def nowhere():
        raise RuntimeError("Could not determine home directory.")

    beside = package_at(monkeypatch, tmp_path)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(kernel_cache.sys, "platform", "linux")
    monkeypatch.setattr(kernel_cache.Path, "home", nowhere)
    assert cache_folder() == of_user(beside)
    assert not use(fresh()) and use(fresh())
    read_only(monkeypatch, tmp_path)
    kernels(of_user(beside))[0].unlink()
    with pytest.warns(RuntimeWarning, match="no home folder"):
        assert not use(fresh())


# ---------------------------------------------------------------------------------------- whom to believe

POSIX = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs owners and modes of files")
ROOT_ONLY = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")


class Planted:
    """A pickle that leaves a trace where it is read."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (str(self.trace),)


@pytest.mark.parametrize("wish", ["kernels", "./kernels", "../kernels", "$HOME/kernels", "~~/x"])
def test_a_relative_folder_is_refused(wish, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LEAPGRAD_CACHE", wish)
    with pytest.raises(ValueError, match="LEAPGRAD_CACHE must be an absolute path") as raised:
        use(fresh())
    assert repr(wish) in str(raised.value) and not any(tmp_path.iterdir())
    assert ("in full" in str(raised.value)) is (wish[0] in "~$")


def test_the_tilde_is_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("LEAPGRAD_CACHE", "~/kernels")
    assert cache_folder() == of_user(tmp_path / "kernels")


@POSIX
@pytest.mark.parametrize("umask", [0o000, 0o002, 0o022, 0o077])
def test_new_folders_and_files_are_this_user_s_alone(umask, folder, monkeypatch, tmp_path):
    before = os.umask(umask)
    try:
        use(fresh())
        assert use(fresh())
        for path in (folder.parent, folder):
            assert stat.S_IMODE(path.stat().st_mode) == 0o700
        assert stat.S_IMODE(kernels(folder)[0].stat().st_mode) == 0o600
        beside = package_at(monkeypatch, tmp_path / "package")
        assert cache_folder() == of_user(beside)
        assert stat.S_IMODE(beside.stat().st_mode) == 0o755, "Python keeps its byte code there"
    finally:
        os.umask(before)


# Catches: a pickle of somebody else's that runs.
@POSIX
@pytest.mark.parametrize("mode", [0o777, 0o775, 0o722, 0o2777])
@pytest.mark.parametrize("whose", ["the folder", "the user's folder in it"])
def test_a_folder_that_others_may_write_to_is_refused(whose, mode, folder, tmp_path):
    use(fresh())
    (path,) = kernels(folder)
    path.write_bytes(summed(path.name, pickle.dumps(Planted(tmp_path / "trace"))))
    (folder.parent if whose == "the folder" else folder).chmod(mode)
    assert cache_folder() is None
    with pytest.warns(RuntimeWarning, match="others may write to it"):
        assert not use(fresh())
    assert not (tmp_path / "trace").exists()


@POSIX
def test_a_sticky_folder_for_everybody_will_do(folder):
    folder.parent.mkdir()
    folder.parent.chmod(0o1777)
    assert not use(fresh()) and use(fresh())


# Catches: a checkout made with umask 002, as Debian and Fedora have it, without any cache.
@POSIX
def test_a_package_that_its_group_may_write_to_uses_the_user_s_folder(monkeypatch, tmp_path):
    beside = package_at(monkeypatch, tmp_path / "package")
    beside.mkdir()
    beside.chmod(0o775)
    monkeypatch.setattr(kernel_cache.sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == of_user(tmp_path / "leapgrad")
    assert not use(fresh()) and use(fresh())


def swap_mode(path, planted):
    path.write_bytes(planted)
    path.chmod(0o666)


def swap_link(path, planted):
    path.unlink()
    other = path.parent.parent / "elsewhere"
    other.write_bytes(planted)
    path.symlink_to(other)


def swap_fifo(path, planted):
    path.unlink()
    os.mkfifo(path, 0o600)


def swap_owner(path, planted):
    path.write_bytes(planted)
    os.chown(path, 12345, 12345)


@POSIX
@pytest.mark.parametrize("swap", [swap_mode, swap_link, swap_fifo, pytest.param(swap_owner, marks=ROOT_ONLY)])
def test_a_file_that_is_not_this_user_s_alone_is_not_read(swap, folder, tmp_path):
    use(fresh())
    (path,) = kernels(folder)
    swap(path, summed(path.name, pickle.dumps(Planted(tmp_path / "trace"))))
    assert not use(fresh())
    assert not (tmp_path / "trace").exists()
    assert use(fresh()), "mended"


@ROOT_ONLY
@pytest.mark.parametrize("whose", ["the folder", "the user's folder in it"])
def test_a_folder_of_another_user_is_refused(whose, folder):
    assert cache_folder() == folder
    os.chown(folder.parent if whose == "the folder" else folder, 12345, 12345)
    assert cache_folder() is None
    with pytest.warns(RuntimeWarning, match="belongs to another user"):
        assert not use(fresh())


@POSIX
def test_a_link_in_the_place_of_the_user_s_folder_is_refused(folder, tmp_path):
    folder.parent.mkdir()
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.warns(RuntimeWarning, match="this is no folder"):
        assert not use(fresh())
    assert not any((tmp_path / "elsewhere").iterdir())


# ------------------------------------------------------------------------------------------ what goes


def test_kernels_that_nobody_uses_go(folder, monkeypatch):
    use(fresh())
    (used,) = kernels(folder)
    long_ago = time.time() - 40 * 86400
    old = folder / "leapgrad.some.other.kernel"
    unfinished = folder / ".leapgrad-abc"
    for path in (old, unfinished, used):
        path.write_bytes(b"" if path != used else path.read_bytes())
        os.utime(path, (long_ago, long_ago))
    assert use(fresh()), "which makes it young again"

    def another(values):
        for i in range(values.size):
            values[i] += 2.0 / 2.0

    assert not use(fresh(another))
    assert not old.exists() and not unfinished.exists() and used in kernels(folder)
    os.utime(used, (time.time() - 100, time.time() - 100))
    monkeypatch.setattr(kernel_cache, "KEPT_BYTES", 1)
    fresh(another).for_dtype(np.float32).dispatcher  # noqa: B018
    assert not used.exists()


def test_kernels_of_an_earlier_layout_go(folder):
    folder.parent.mkdir(mode=0o700)
    old, other = folder.parent / "leapgrad.flow.advance.abc.kernel", folder.parent / "other.kernel"
    old.touch(), other.touch()
    use(fresh())
    assert not old.exists() and other.exists()


@pytest.mark.parametrize("change", ["-O", "-OO", "numba", "cpu", "file"])
def test_others_who_share_a_folder_do_not_displace_each_other(change, folder, monkeypatch):
    use(fresh())
    function = add_one
    with monkeypatch.context() as patch:
        if change.startswith("-"):
            flags = SimpleNamespace(optimize=len(change) - 1)
            patch.setattr(
                integrators.codegen.kernel_files, "sys", SimpleNamespace(flags=flags, version=sys.version)
            )
        elif change == "numba":
            patch.setattr(integrators.codegen.kernel_files, "_NUMBA", SimpleNamespace(__version__="0.0"))
        elif change == "cpu":
            patch.setattr(integrators.codegen.kernel_files.platform, "machine", lambda: "vax")
        else:
            source = "def add_one(values):\n    for i in range(3):\n        values[i] += 1.0"
            namespace = {"__name__": __name__}
            exec(compile(source, "/another/checkout.py", "exec"), namespace)
            function = namespace["add_one"]
        assert not use(fresh(function))
    assert len(kernels(folder)) == 2
    assert use(fresh())


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
    source = "def function(v):\n    v[0] = integrators.codegen.primitives.exp_negative(v[0])[0]"
    code = compile(source, "test", "exec")

    def key():
        namespace = {"__name__": "integrators.somewhere", "integrators": integrators}
        exec(code, namespace)
        return code_digest(namespace["function"])

    import integrators.codegen.primitives

    before = key()
    monkeypatch.setattr(integrators.codegen.primitives, "exp_negative", doubled)
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
        callbacks(linear, nothing, name)[0].dispatcher  # noqa: B018
    assert len(kernels(folder)) == 2
    again = callbacks(linear, nothing, "one")[0]
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
from integrators.codegen.compiled import Kernel, helper

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
    assert len(kernels(of_user(tmp_path))) == 1
    assert all(path.suffix == ".kernel" for path in of_user(tmp_path).iterdir()), "litter"
    assert finish(start(tmp_path)) == 1
    assert finish(start(tmp_path, increment=2.0)) == 0


def test_a_second_process_compiles_nothing_for_a_jacobian(tmp_path):
    script = """
    import numpy as np
    from integrators import NeuralField, pendulum
    from integrators.fields import field as kicks, neural
    from sensitivity import jacobian
    jacobian(NeuralField.random(3), "leapfrog", 0.1, 5)
    jacobian(pendulum(), "leapfrog", 0.1, 5)
    used = [kicks.kicks_forward, neural.neural_kick, pendulum().kick]
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


WARM = """
import sys
import numpy as np
from numba.core.cpu import CPUContext
import leapgrad as lg
from sensitivity.recurrences.registry import MODELS

registered = []
refresh = CPUContext.refresh
CPUContext.refresh = lambda self: (registered.append(1), refresh(self))
digest = 0.0
for name in lg.SCHEMES:
    field = lg.NeuralField.random(3, rng=0)
    digest += lg.jacobian(field, name, 0.1, 5).sum() + lg.log_jacobian_norm(field, name, 0.1, 5)
for name in MODELS:
    run = lg.unroll(lg.cell(name, 4, 2, rng=0), inputs=np.ones((5, 2)))
    digest += lg.jacobian(run).sum() + lg.log_jacobian_norm(run)
print(digest.hex(), len(registered), "numba.np.arrayobj" in sys.modules)
"""


def ran(script, **environment):
    """What a script prints, whose process must not die."""
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.skipif(sys.platform != "linux", reason="symbols are read from object code of Linux")
def test_all_cells_and_schemes_run_from_a_warm_cache_without_registering_all_of_numba():
    first, *_ = ran(WARM)
    assert ran(WARM) == [first, "0", "False"], "the numbers, no registration, no module for arrays"


FOREIGN = """
import ctypes, llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.cpu import CPUContext
from numba.extending import intrinsic
from integrators.codegen.compiled import Kernel

refresh, registered = CPUContext.refresh, []
CPUContext.refresh = lambda self: (registered.append(1), {mend}, refresh(self))
count = ctypes.CFUNCTYPE(ctypes.c_double)(lambda: 42.0)

def define():
    llvm.add_symbol("leapgrad_test_foreign", ctypes.cast(count, ctypes.c_void_p).value)

@intrinsic
def foreign(typingctx):
    def codegen(context, builder, signature, arguments):
        define()
        kind = ir.FunctionType(ir.DoubleType(), [])
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, "leapgrad_test_foreign"), ())
    return types.float64(), codegen

def kernel(values):
    values[0] = foreign()

made = Kernel(kernel, types.void(types.float64[::1]))
values = np.zeros(1)
made(values)
print(values[0], sum(made.dispatcher.stats.cache_hits.values()), len(registered) > 0)
"""


def test_code_that_refers_to_what_is_missing_is_not_loaded(tmp_path):
    # LLVM ends the process at a symbol that nobody defines.
    missing = FOREIGN.format(mend="None")
    assert ran(missing, LEAPGRAD_CACHE=str(tmp_path))[:2] == ["42.0", "0"]
    assert ran(missing, LEAPGRAD_CACHE=str(tmp_path)) == ["42.0", "0", "True"]
    # What Numba defines when it registers everything is found there.
    found = FOREIGN.format(mend="define()")
    assert ran(found, LEAPGRAD_CACHE=str(tmp_path)) == ["42.0", "1", "True"]


def test_object_code_of_another_format_is_loaded_with_all_of_numba(folder, monkeypatch):
    registered = []
    refresh = CPUContext.refresh
    monkeypatch.setattr(integrators.codegen.kernel_files, "symbols_of", lambda code: None)
    monkeypatch.setattr(CPUContext, "refresh", lambda self: (registered.append(1), refresh(self)))
    assert not use(fresh())
    registered.clear()
    assert use(fresh())
    assert registered


class Terminal(io.StringIO):
    def isatty(self):
        return True


# Catches: a terminal that stays blank for a minute; and a line that says "compiling" of code that is loaded.
def test_a_terminal_is_told_of_what_is_compiled_and_only_then(folder, monkeypatch, capsys):
    for expected in (1, 0):
        monkeypatch.setattr(sys, "stderr", Terminal())
        use(fresh())
        assert sys.stderr.getvalue().count("compiling the numerical code, once: add_one") == expected
    monkeypatch.setenv("LEAPGRAD_CACHE", "off")
    monkeypatch.setattr(sys, "stderr", Terminal())
    use(fresh())
    assert "once: add_one" in sys.stderr.getvalue()
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    use(fresh())
    assert sys.stderr.getvalue() == ""
