"""Text that users bring is read in the encoding it has, and refused where that would be a guess."""

from __future__ import annotations

import gzip
import os

import pytest

from sensitivity.files import read_bytes, read_text, read_toml, user_path

TEXT = '# Größe\nname = "täst"\nd = [2, 10]\n'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("packed", [False, True])
def test_every_marked_unicode_encoding_gives_the_same_text(tmp_path, encoding, ending, packed):
    raw = TEXT.replace("\n", ending).encode(encoding)
    path = tmp_path / "a.toml"
    path.write_bytes(gzip.compress(raw) if packed else raw)
    assert read_text(path) == TEXT
    assert read_toml(path) == {"name": "täst", "d": [2, 10]}


@pytest.mark.parametrize("encoding", ["utf-16-be", "utf-16-le"])
def test_both_byte_orders(tmp_path, encoding):
    path = tmp_path / "a.txt"
    path.write_bytes(("\ufeff" + TEXT).encode(encoding))
    assert read_text(path) == TEXT


def test_a_foreign_byte_is_harmless_in_a_comment_and_refused_elsewhere(tmp_path):
    path = tmp_path / "a.ts"
    path.write_bytes(b"# caf\xe9\n  # \x93quoted\x94\n1 2\n")
    assert read_text(path, comment="#") == "# caf\ufffd\n  # \ufffdquoted\ufffd\n1 2\n"
    with pytest.raises(ValueError, match="line 1 has the byte 0xe9, which is not UTF-8"):
        read_text(path)
    path.write_bytes(b"# a\n1 2 \xe9\n")
    with pytest.raises(ValueError, match=r"a\.ts, line 2 has the byte 0xe9"):
        read_text(path, comment="#")


def test_a_foreign_byte_in_toml(tmp_path):
    path = tmp_path / "a.toml"
    path.write_bytes(b"d = [2] # caf\xe9\n")
    assert read_toml(path) == {"d": [2]}
    for raw in (b'name = "caf\xe9"', b'name = "a # caf\xe9"', b'[grid]\nx = [{y = "\xe9"}]', b'"\xe9" = 1'):
        path.write_bytes(raw)
        with pytest.raises(ValueError, match=r"a\.toml: .* has a byte that is not UTF-8"):
            read_toml(path)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (TEXT.encode("utf-16-le"), "NUL bytes"),
        (b"a\0b", "NUL bytes"),
        (b"\xff\xfea", "begins as UTF-16-LE"),
        (b"PK\x03\x04rest", "zip archive"),
        (b"\x93NUMPY\x01", "NumPy array"),
        (b"\x1f\x8b\x08rubbish", "cannot be unpacked"),
        (gzip.compress(TEXT.encode(), mtime=0)[:-9], "cannot be unpacked"),
        (gzip.compress(bytes(2000), mtime=0), "holds more than 1000 bytes unpacked"),
        (b"#" * 2000, "holds more than 1000 bytes;"),
    ],
)
def test_what_is_no_text_is_named(tmp_path, raw, message):
    path = tmp_path / "a.txt"
    path.write_bytes(raw)
    for read in (read_text, read_toml):
        with pytest.raises(ValueError, match=message) as caught:
            read(path, limit=1000)
        assert "a.txt" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [("d = ", "is not a TOML file"), ("a = " + "[" * 5000 + "]" * 5000, "nested too deeply|not a TOML file")],
)
def test_bad_toml_is_named(tmp_path, text, message):
    path = tmp_path / "a.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_toml(path)


def test_an_empty_file_is_an_empty_text(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"")
    assert read_text(path) == "" and read_toml(path) == {} and read_bytes(path) == b""


def test_what_is_no_file_is_named_and_not_waited_for(tmp_path):
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    os.mkfifo(tmp_path / "pipe")
    for name, message in (("", "folder"), ("none", "No such file"), ("pipe", "pipe"), ("loop", "symbolic")):
        with pytest.raises(OSError, match=message) as caught:
            read_text(tmp_path / name)
        assert caught.value.filename == str(tmp_path / name)


@pytest.mark.parametrize("path", [None, 3, b"a", 1.5, ["a"], True])
def test_a_path_is_a_path(path):
    with pytest.raises(TypeError, match="folder must be a path"):
        user_path(path, "folder")


@pytest.mark.parametrize("path", ["", " ", "a\0b"])
def test_a_path_names_something(path):
    with pytest.raises(ValueError, match="folder must name a file or folder"):
        user_path(path, "folder")


def test_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert user_path("~/a b/ä") == tmp_path / "a b" / "ä"
    assert str(user_path("~nobody-of-this-name/x")) == "~nobody-of-this-name/x"
    (tmp_path / "~x").write_text("here")
    assert read_text("~x") == "here"
