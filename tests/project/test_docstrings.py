"""The docstrings of public names: each has an example that runs, and a line for every parameter."""

from __future__ import annotations

import doctest
import importlib
import inspect
import re
from enum import Enum

import pytest

from docs.api import PACKAGES, public_names
from docs.api import docstring as docstring_of

OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
NAMES = [(package, name) for package in PACKAGES for name in public_names(package)]
NO_OTHERS = re.compile(r"(not listed|[Pp]arameters)[^.]* are those of|[Ss]ame as|[Nn]atural logarithm of `")
"""A docstring may send its reader to another function for the parameters."""


def value_of(package, name):
    value = importlib.import_module(package)
    for part in name.split("."):
        value = getattr(value, part)
    return value


def texts(package, name):
    """The docstring of a name, and those of what a class has of its own."""
    value = value_of(package, name)
    yield name, docstring_of(package, name)
    if inspect.isclass(value):
        for inner, member in vars(value).items():
            if not inner.startswith("_"):
                yield f"{name}.{inner}", inspect.getdoc(getattr(member, "__func__", member)) or ""


def run(where, text):
    """The number of examples of a docstring; a failure is an AssertionError with doctest's report."""
    test = doctest.DocTestParser().get_doctest(text, {"__name__": "__main__"}, where, None, 0)
    said = []
    failed = doctest.DocTestRunner(optionflags=OPTIONS).run(test, out=said.append).failed
    assert not failed, "".join(said)
    return len(test.examples)


@pytest.mark.parametrize(("package", "name"), NAMES, ids=[f"{p}.{n}" for p, n in NAMES])
def test_examples_run(package, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    counts = {where: run(where, text) for where, text in texts(package, name)}
    if not inspect.ismodule(value_of(package, name)):
        assert counts[name], f"{package}.{name} has no example"


def test_a_wrong_example_is_found():
    with pytest.raises(AssertionError, match="Expected"):
        run("here", ">>> 1 + 1\n3")


@pytest.mark.parametrize(("package", "name"), NAMES, ids=[f"{p}.{n}" for p, n in NAMES])
def test_every_parameter_has_a_line(package, name):
    value, text = value_of(package, name), docstring_of(package, name)
    if inspect.isclass(value):  # dataclasses list their fields as attributes
        sections = r"(?:Parameters|Attributes)"
    elif inspect.isfunction(value):
        sections = "Parameters"
    else:
        return
    unlike = inspect.isclass(value) and (issubclass(value, Enum) or getattr(value, "_is_protocol", False))
    if unlike or NO_OTHERS.search(text):
        return
    listed, section_of = set(), rf"^{sections}\n-+\n(.*?)(?=^\w+\n-{{4,}}$|\Z)"
    for section in re.findall(section_of, text, re.MULTILINE | re.DOTALL):
        for line in re.findall(r"^(\S.*)$", section, re.MULTILINE):
            listed |= set(re.findall(r"\**(\w+)", line.split(" : ")[0]))
    signature = inspect.signature(value)
    missing = [parameter for parameter in signature.parameters if parameter not in listed]
    assert not missing, f"{package}.{name}: no line for {', '.join(missing)}"
