"""What the wheel holds and declares, what the lock pins, and that the pieces name one version."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from email import message_from_string
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("integrators", "leapgrad", "proofs", "sensitivity")
CORE = {"matplotlib", "numba", "numpy", "scipy", "sympy", "threadpoolctl", "tqdm"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DIST_INFO = f"leapgrad-{PROJECT['version']}.dist-info"

# Stray files such as a used checkout holds; none of them may reach the wheel.
LITTER = (
    "benchmarks/__main__.py",
    "build/figures/figure_1.png",
    "integrators/__pycache__/flow.kick-1.py311.nbi",
    "sensitivity/__pycache__/cli.cpython-311.pyc",
    "sensitivity/kernel.nbc",
    "tests/test_nothing.py",
)


def run(*arguments: str, cwd: Path) -> str:
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A clean copy of what goes into the wheel: a build of it neither touches nor depends on the checkout."""
    root = tmp_path_factory.mktemp("source")
    caches = shutil.ignore_patterns("__pycache__", "*.nbc", "*.nbi", "*.pyc")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, root / package, ignore=caches)
    shutil.copytree(ROOT / "notebooks", root / "notebooks")
    shutil.copytree(ROOT / "docs" / "results", root / "docs" / "results")
    for name in (".gitignore", "LICENSE", "README.md", "pyproject.toml"):
        shutil.copy(ROOT / name, root / name)
    return root


@pytest.fixture(scope="module")
def files(source):
    """The files of the four packages with data, notebooks and kept results, before any litter is added."""
    found = (path for package in PACKAGES for path in (source / package).rglob("*") if path.is_file())
    books = {f"sensitivity/notebooks/{path.name}" for path in (source / "notebooks").glob("*.ipynb")}
    results = source / "docs" / "results"
    kept = {
        f"sensitivity/results_kept/{path.relative_to(results).as_posix()}"
        for path in results.glob("*/*.json")
    }
    assert books and kept
    return {path.relative_to(source).as_posix() for path in found} | books | kept


@pytest.fixture(scope="module")
def wheel(source, files, tmp_path_factory):
    """The wheel of that copy with the litter added, built without network."""
    for name in LITTER:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text("", encoding="utf-8")
    folder = tmp_path_factory.mktemp("dist")
    run("-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder), cwd=source)
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


@pytest.fixture(scope="module")
def declared(wheel):
    return message_from_string(wheel.read(f"{DIST_INFO}/METADATA").decode())


@pytest.fixture(scope="module")
def pins():
    """The lock, one requirement a line."""
    lines = (ROOT / "constraints" / "lock.txt").read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if not line.startswith("#")]


def test_wheel_holds_the_four_packages_and_nothing_else(wheel, files):
    held = {name for name in wheel.namelist() if not name.startswith(f"{DIST_INFO}/")}
    assert held == files
    for package in PACKAGES:
        assert {f"{package}/__init__.py", f"{package}/py.typed"} <= held


def test_wheel_declares_the_seven_core_dependencies_as_open_ranges(declared):
    core = [line for line in map(Requirement, declared.get_all("Requires-Dist")) if line.marker is None]
    assert {canonicalize_name(line.name) for line in core} == CORE
    for line in core:
        assert [bound.operator for bound in line.specifier] == [">="], f"{line} is not an open range"


def test_wheel_declares_command_extras_python_license_and_readme(wheel, declared):
    assert "leapgrad = sensitivity.cli:main" in wheel.read(f"{DIST_INFO}/entry_points.txt").decode()
    extras = {"bench", "certify", "dev", "docs", "notebooks", "studies"}
    assert extras <= set(declared.get_all("Provides-Extra"))
    assert declared["Requires-Python"] == ">=3.11"
    assert declared["License-Expression"] == "BSD-3-Clause"
    assert f"{DIST_INFO}/licenses/LICENSE" in wheel.namelist()
    assert declared.get_payload() == (ROOT / "README.md").read_text(encoding="utf-8")


def test_command_runs_from_the_wheel_outside_the_checkout(wheel, tmp_path):
    wheel.extractall(tmp_path)
    script = f"""
import sys
from pathlib import Path
sys.path = [{str(tmp_path)!r}] + [p for p in sys.path if Path(p).resolve() != Path({str(ROOT)!r})]
sys.argv = ["leapgrad", "--help"]
import sensitivity
assert Path(sensitivity.__file__).is_relative_to({str(tmp_path)!r}), sensitivity.__file__
from sensitivity.cli import main
sys.exit(main())
"""
    assert "reproduce" in run("-I", "-c", script, cwd=tmp_path)
    copying = script.replace('"--help"', '"notebooks", "course"')
    assert "8 notebooks in course" in run("-I", "-c", copying, cwd=tmp_path)
    assert {path.name for path in (tmp_path / "course").glob("*.ipynb")} == {
        path.name for path in (ROOT / "notebooks").glob("*.ipynb")
    }


def test_the_source_archive_builds_the_same_wheel(source, wheel, tmp_path):
    """From what is in the archive alone, without network: nothing of a wheel comes from a checkout."""
    run("-m", "hatchling", "build", "--target", "sdist", "--directory", str(tmp_path), cwd=source)
    (archive,) = tmp_path.glob("*.tar.gz")
    shutil.unpack_archive(archive, tmp_path, filter="data")
    run("-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path),
        cwd=tmp_path / archive.name.removesuffix(".tar.gz"))  # fmt: skip
    (again,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(again) as built:
        assert sorted(built.namelist()) == sorted(wheel.namelist())


def test_what_moved_is_where_the_page_on_migration_says():
    page = (ROOT / "docs" / "migration.md").read_text(encoding="utf-8")
    new = [line.split("|")[2] for line in page.splitlines() if line.startswith("| `from ")]
    imports = [found for cell in new for found in re.findall(r"`(from leapgrad import [^`]+)`", cell)]
    assert len(imports) == len(new) > 10
    for line in imports:
        exec(line, {})


def test_the_changelog_begins_with_what_is_not_released_and_the_version_of_the_project():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    heads = re.findall(r"^## \[(.+?)\](?: - \d{4}-\d\d-\d\d)?$", text, re.MULTILINE)
    assert heads[:2] == ["Unreleased", PROJECT["version"]] and len(heads) == text.count("\n## ")
    assert [Version(head) for head in heads[1:]] == sorted(map(Version, heads[1:]), reverse=True)


def test_lock_holds_one_exact_version_of_everything_the_project_asks_for(pins):
    for pin in pins:
        exact = re.fullmatch(r"==[^,*]+", str(pin.specifier))
        assert exact and pin.url is None, f"{pin} is not one exact version"
    asked = chain(PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
    for wanted in map(Requirement, asked):
        if wanted.name == PROJECT["name"]:
            continue
        same = [pin for pin in pins if canonicalize_name(pin.name) == canonicalize_name(wanted.name)]
        assert same, f"{wanted.name} is not in the lock: run make lock"
        for pin in same:
            (bound,) = pin.specifier
            assert bound.version in wanted.specifier, f"{pin} is outside {wanted}: run make lock"
            assert not Version(bound.version).is_prerelease, f"{pin} is a pre-release"


def test_citation_names_the_version_of_the_project():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {PROJECT['version']}\n" in citation
