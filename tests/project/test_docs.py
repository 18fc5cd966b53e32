"""README and documentation: every code block runs, links lead somewhere, pages are made from what is so."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from sensitivity.cli import main
from sensitivity.studies.study import Study

ROOT = Path(__file__).resolve().parents[2]
WRITTEN = [*sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs" / "executors").glob("*.md"))]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *WRITTEN]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
TARGETS = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
NOT_OURS = ("pip install", "git clone", "cd ", "mpiexec")
"""Shell lines that a test cannot run: they need the network or another program."""


def blocks(page):
    return BLOCK.findall(page.read_text(encoding="utf-8"))


def run_python(code, where):
    if re.match("# (file|row of|end of): ", code):  # test_extend.py writes them into a copy of leapgrad
        return print("a part of a file")
    exec(compile(code, where, "exec"), {"__name__": "example"})


def run_shell(code, where):
    """`leapgrad` lines run here; `make` lines must name a target."""
    for line in code.splitlines():
        words = shlex.split(line, comments=True)
        if not words or line.startswith(NOT_OURS) or where.startswith("extend.md"):
            continue
        if words[0] == "make":
            assert words[1] in TARGETS, f"{where}: make has no target {words[1]}"
            continue
        assert words[0] == "leapgrad", f"{where}: what should become of {line!r}?"
        assert main(words[1:]) == 0, f"{where}: {line}"


def read_toml(code, where):
    """A study: it must be one, and its shell block below finds it as study.toml."""
    Path("study.toml").write_text(code, encoding="utf-8")
    assert Study.from_toml("study.toml").n_cells > 0, where


def nothing(code, where):
    """Text that is shown, not run."""


RUN = {"python": run_python, "sh": run_shell, "toml": read_toml, "text": nothing, "console": nothing}
CASES = [pytest.param(page, id=page.relative_to(ROOT).as_posix()) for page in PAGES if blocks(page)]


def test_there_are_pages_with_examples():
    assert len(CASES) >= 7 and len(re.findall(r"```python", (ROOT / "README.md").read_text())) == 3


@pytest.mark.parametrize("page", CASES)
def test_code_blocks_run_in_order(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    printed = None
    for number, (language, code) in enumerate(blocks(page), start=1):
        where = f"{page.name}, block {number}"
        assert language in RUN, f"{where}: a test runs {', '.join(RUN)}, not {language}"
        capsys.readouterr()
        RUN[language](code, where)
        if language == "python":
            printed = capsys.readouterr().out
            assert printed.strip(), f"{where} prints nothing"
        elif language == "text":  # what the block of Python before it prints
            assert printed == code, f"{where}: it prints {printed!r}"


STANDS_FOR = {"COMMAND": "norm", "SHELL": "bash", "spam": "norm", "activations": "norm"}
"""Words of commands in sentences that stand for others: placeholders, and commands that a page adds."""
SOURCES = [
    *PAGES,
    *sorted((ROOT / "docs" / "results").rglob("*.md")),
    *sorted((ROOT / "notebooks").glob("*.py")),
    *(
        path
        for room in ("integrators", "leapgrad", "proofs", "sensitivity")
        for path in (ROOT / room).rglob("*.py")
    ),
]


def commands_in_sentences(text):
    """The words of every `leapgrad …` that stands between backquotes in a sentence, or in a docstring."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    for found in re.findall(r"`leapgrad ([^`]*)`", text):
        found = re.sub(r"\n\s*#?\s*", " ", found)
        yield shlex.split(re.split(r"\\?\||>", found)[0].replace("…", ""))


# Catches: a sentence that names a command, an option, a claim or a proposition that does not exist.
def test_commands_in_sentences_are_commands():
    from proofs import CATALOGUE
    from sensitivity.cli.command import leaves
    from sensitivity.cli.parser import UsageError, build_parser
    from sensitivity.cli.registry import COMMANDS
    from sensitivity.papers.catalogue import PAPERS, paper
    from sensitivity.papers.hamiltonian.pictures import PICTURES

    paths = [*leaves(COMMANDS), *((command.name,) for command in COMMANDS)]
    claims = {claim for name in PAPERS for claim in paper(name).claims}
    names = {"prove": set(CATALOGUE), "claims": claims, "pictures": set(PICTURES)}
    parser, seen = build_parser(COMMANDS), 0
    for source in SOURCES:
        for words in commands_in_sentences(source.read_text(encoding="utf-8")):
            words, seen = [STANDS_FOR.get(word, word) for word in words], seen + 1
            where = f"{source.relative_to(ROOT)}: leapgrad {' '.join(words)}"
            if tuple(words) in paths or "--help" in words:  # named, and not called
                continue
            try:
                args = parser.parse_args(words)
            except UsageError as error:  # an option may be named without its value, too
                named = "expected one argument" in str(error) or "are required" in str(error)
                assert named, f"{where}: {error}"
                continue
            command = next((word for word in reversed(words) if word in names), None)
            if command is not None:
                assert set(args.names) - {"NAME"} <= names[command], where
    assert seen > 100


# Catches: a page that shows the cells of another study than the one it gives.
def test_pages_of_executors_show_the_cells_of_the_study_they_name():
    folder = ROOT / "docs" / "executors"
    (code,) = [code for language, code in blocks(folder / "local.md") if language == "toml"]
    cells = Study.from_dict(tomllib.loads(code)).n_cells
    for name in ("dask", "mpi", "ray"):
        text = (folder / f"{name}.md").read_text(encoding="utf-8")
        assert "`study.toml` is\nthat of [" in text or "`study.toml` is that of [" in text
        assert f"widths: {cells} cells: 0 kept, {cells} computed" in text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    targets = re.findall(r"\]\(([^)#\s]+)\)", page.read_text(encoding="utf-8"))
    for target in targets:
        if not target.startswith(("http", "_generated/")):  # those are made, and checked, by `make docs`
            assert (page.parent / target).exists(), target


# Catches: a link to a page that only `make docs` makes, which leads nowhere in the clone.
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_made_pages_lead_to_the_page_that_says_where_to_look(page):
    from docs.made_pages import PAGES as MADE
    from docs.made_pages import linked

    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    assert "_generated" not in text
    headings = re.findall(r"^## (.+)$", (ROOT / "docs" / "made.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert [heading.lower() for heading in headings] == list(MADE)
    for section in re.findall(r"\(made\.md#([\w-]+)\)", text):
        assert f"]({MADE[section]})" in linked(text)
    assert "made.md" not in linked(text)


def test_readme_examples_have_ten_lines_at_most():
    for language, code in blocks(ROOT / "README.md"):
        if language == "python":
            lines = [line for line in code.splitlines() if not line.startswith(("import", "from"))]
            assert len(lines) <= 10


@pytest.mark.slow
def test_documentation_builds_without_a_warning(tmp_path):
    """What `make docs` does; the generated pages must be there (`python docs/generate.py`)."""
    pytest.importorskip("sphinx")
    generated = subprocess.run([sys.executable, "docs/generate.py"], cwd=ROOT, capture_output=True, text=True)
    assert generated.returncode == 0, generated.stderr
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-d", tmp_path / "trees", "docs"]
    built = subprocess.run([*command, tmp_path / "html"], cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    checked = subprocess.run(
        [sys.executable, "docs/links.py", tmp_path / "html"], cwd=ROOT, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout


def test_a_broken_link_is_found(tmp_path):
    from docs.links import broken

    (tmp_path / "a.html").write_text('<h1 id="top"></h1><a href="b.html#there"></a><a href="#top"></a>')
    (tmp_path / "b.html").write_text('<a href="a.html#gone"></a><img src="no.png"><p id="there"></p>')
    count, found = broken(tmp_path)
    assert count == 4 and sorted(found) == ["b.html: a.html#gone", "b.html: no.png"]


# Catches: formulas, fonts or signs of buttons that a page fetches from a server.
def test_what_a_page_loads_from_elsewhere_is_found(tmp_path):
    from docs.links import remote

    (tmp_path / "a.html").write_text(
        '<a href="https://a.b/c"></a><link rel="canonical" href="https://a.b"><img src="own.png">'
        '<img src="data:image/png;base64,"><script src="https://cdn.b/x.js"></script>'
        '<link rel="stylesheet" href="//c.d/e.css">'
    )
    assert remote(tmp_path) == ["a.html: https://cdn.b/x.js", "a.html: //c.d/e.css"]


def test_the_api_pages_list_exactly_the_public_names():
    from docs.api import PACKAGES, PAGES, names_of, public_names

    for package in PACKAGES:
        listed = [name for page in PAGES.values() if page.package == package for name in names_of(page)]
        assert sorted(listed) == sorted(public_names(package)), package
    assert {page.package for page in PAGES.values()} <= set(PACKAGES)


def test_every_name_of_an_api_page_is_shown_with_its_docstring():
    from docs.api import PAGES, index, names_of, page

    overview = index()
    for content in PAGES.values():
        text = page(content)
        for name in names_of(content):
            shown = re.search(
                rf"(?:auto(?:function|class|module)|py:data):: {content.package}\.{name}\n", text
            )
            assert shown, name
            entry = re.search(rf"<{content.package}\.{re.escape(name)}>`\n     - (.*)", overview)
            assert entry and len(entry[1]) > 10, f"{name} has no docstring"


def test_the_glossary_explains_the_words_of_the_table():
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    terms = set(re.findall(r"^(\S.*)\n  \S", text, re.MULTILINE))
    asked = """state|step|scheme|field|cell|stage|program|tape|tape entry|callback|batch member|forward sweep
        |backward sweep|tangent|cotangent|segment|block|overflowed|exponent|growth exponent|gradient profile
        |bound|certificate|ledger|verdict|workspace|layout|training trace|start vector"""
    assert {term.strip() for term in asked.split("|")} <= terms
    for term in re.findall(r"\{term\}`([^`]+)`", text):
        assert term in terms, f"{term} is not explained"


def test_the_map_has_every_folder_and_every_file():
    from docs.map import FOLDERS, entries, page

    table = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").partition("## Rooms")[2]
    rooms = re.findall(r"^\| `([\w/]+)` \| \S", table, re.MULTILINE)
    text, folders = page(), set()
    for top in FOLDERS:
        for path, sentence in entries(top):
            assert 10 < len(sentence) < 200, f"{path} should say in a sentence what it holds"
            assert f"| `{path.name}` | " in text
            folders.add(path.parent.as_posix())
    assert len(rooms) == len(set(rooms)) and set(rooms) == folders


def test_the_picture_of_a_norm_names_files_that_there_are():
    from docs.picture import HOPS

    for file, _, _ in HOPS:
        assert (ROOT / file).is_file(), file
    assert (ROOT / "docs" / "images" / "norm.svg").is_file()


def test_the_hooks_before_a_commit_use_the_environment_of_the_project():
    text = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    assert re.findall(r"- repo: (.*)", text) == ["local"]
    entries = re.findall(r"entry: (.*)", text)
    assert {entry.partition(" -m ")[2].split()[0] for entry in entries} == {"ruff", "pyright"}
    assert all(".venv/bin/python -m " in entry for entry in entries)
    assert text.count("language: system") == len(entries) == 3


def test_docstrings_keep_their_formulas():
    """Stars, bars and trailing underscores are text, unless they stand inside quotes or examples."""
    spec = {}
    source = (ROOT / "docs" / "conf.py").read_text(encoding="utf-8")
    spec["__file__"] = str(ROOT / "docs" / "conf.py")
    exec(compile(source, "conf.py", "exec"), spec)
    lines = ["shape (*members, D), |x| and run_ :", "``*code*`` and `x|y`", ">>> f(*a)", "-----"]
    spec["plain"](None, None, None, None, None, lines)
    assert lines == [r"shape (\*members, D), \|x\| and run\_ :", "``*code*`` and `x|y`", ">>> f(*a)", "-----"]


def test_theory_page_shows_each_step_and_mutant():
    from docs.theory import page
    from proofs import check, check_mutants

    report = check("lemma_3_1")
    text = page(report, check_mutants("lemma_3_1"))
    assert all(f". {step.step.name.replace('_', ' ')}\n" in text for step in report.steps)
    assert text.count("\n- decided: ") == len(report.steps) and "**PROVED**" in text
