"""Arrays in files: what was saved comes back, and whatever is odd is refused before it fills the memory."""

import io
import zipfile

import numpy as np
import pytest

from sensitivity import manifest
from sensitivity.cli import main
from sensitivity.weights.array_files import read_arrays


def saved(**arrays):
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def test_arrays_are_those_that_were_saved(tmp_path):
    arrays = {
        "W": np.arange(6.0).reshape(2, 3),
        "F": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "word": np.array("tanh"),
        "none": np.zeros((0, 4)),
        "half": np.ones(3, np.float16),
    }
    np.savez_compressed(tmp_path / "w.npz", **arrays)
    found = read_arrays(tmp_path / "w.npz")
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype
    np.save(tmp_path / "W.npy", arrays["W"])
    np.testing.assert_array_equal(read_arrays(tmp_path / "W.npy")[""], arrays["W"])


def promising(shape):
    """An .npy file whose header promises more than it holds."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return stream.getvalue() + bytes(16)


def archive(**members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members.items():
            packed.writestr(f"{name}.npy", content)
    return stream.getvalue()


def twice():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed, pytest.warns(UserWarning):
        for _ in range(2):
            packed.writestr("W.npy", promising((2,)))
    return stream.getvalue()


def flipped(content):
    place = content.index(b"\x93NUMPY") + 130
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


WRONG = {
    "empty": (lambda: b"", "is empty"),
    "text": (lambda: b"W = 1", "is neither"),
    "huge promise": (lambda: promising((10**12, 10**6)), "its header promises"),
    "negative promise": (lambda: promising((-2, -1)), "its header promises"),
    "huge member": (lambda: archive(W=promising((10**15,))), "'W' of .* its header promises"),
    "bomb": (lambda: archive(W=bytes(1 << 29)), "would unpack to"),
    "twice": (twice, "'W' twice"),
    "cut": (lambda: saved(W=np.zeros(9))[:-30], "cannot be read"),
    "objects": (lambda: saved(W=np.array([{}])), "Python objects"),
    "text inside": (lambda: archive(W=b"hello"), "'W' of .* is not an array"),
    "deep header": (
        lambda: archive(W=b"\x93NUMPY\x01\x00" + (9000).to_bytes(2, "little") + b"(" * 9000),
        "is not an array",
    ),
    "flipped bit": (lambda: flipped(saved(W=np.zeros(9))), "cannot be read .*CRC"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_with_an_array_file_is_said(tmp_path, case):
    content, fragment = WRONG[case]
    (tmp_path / "w.npz").write_bytes(content())
    with pytest.raises(ValueError, match=fragment) as caught:
        read_arrays(tmp_path / "w.npz")
    assert "w.npz" in str(caught.value) and "\n" not in str(caught.value)


def test_the_command_line_refuses_what_would_fill_the_memory(tmp_path, capsys):
    (tmp_path / "bomb.npz").write_bytes(archive(W=bytes(1 << 29), b=bytes(10)))
    assert main(["norm", "--weights", str(tmp_path / "bomb.npz")]) == 2
    assert "would unpack to" in capsys.readouterr().err


# Catches: metadata parsed for every cell.
def test_the_version_is_looked_up_once(monkeypatch):
    first = manifest.leapgrad_version()
    monkeypatch.setattr(manifest.metadata, "version", lambda package: pytest.fail("looked up again"))
    assert manifest.leapgrad_version() == first
