"""Sphinx: what `make docs` builds into build/docs. Pages under _generated are written by generate.py."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
# Sphinx runs this file by its path, so that its own package is not found without this; hence the late import.
sys.path.insert(0, str(ROOT))

from docs.made_pages import linked  # noqa: E402

project = "leapgrad"
author = "leapgrad developers"
copyright = "leapgrad developers; BSD-3-Clause licence"
release = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
version = release

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.viewcode", "sphinx_copybutton", "numpydoc"]
html_math_renderer = "mathml"  # browsers show it without a script, and so without a network
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb", ".rst": "restructuredtext"}
# performance.md is included by a page of _generated; made.md stands for these pages in the clone.
exclude_patterns = ["_build", "performance.md", "made.md", "_generated/gallery/*/README.md"]
smartquotes = False  # f'(y) is a derivative
nitpicky = False
default_role = "literal"

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # the notebooks carry their outputs; tests execute them
nb_merge_streams = True

autodoc_typehints = "none"  # the docstrings have types, shapes and units
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

html_theme = "furo"
html_title = f"leapgrad {release}"
html_static_path = ["images", "static"]
html_css_files = ["custom.css"]
html_show_sphinx = False
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
html_theme_options = {"navigation_with_keys": True}


def plain(_app: Any, _what: str, _name: str, _object: Any, _options: Any, lines: list[str]) -> None:
    """Let formulas stand in docstrings as written: shapes (*members, D), norms |x|, names with underscores.

    Inside ``…``, `…` and examples nothing is touched.
    """
    for number, line in enumerate(lines):
        if line.lstrip().startswith((">>>", "...", ".. ")) or ("`" in line and line.count("`") % 2):
            continue
        parts = re.split(r"(``[^`]*``|:\w+:`[^`]*`|`[^`]*`)", line)
        for i in range(0, len(parts), 2):
            if not re.fullmatch(r"\s*[-=*]+\s*", parts[i]):
                parts[i] = re.sub(r"[*|]", r"\\\g<0>", parts[i])
                parts[i] = re.sub(r"(?<=\w)_(?!\w)", r"\\_", parts[i])
        lines[number] = "".join(parts)


def without_routing(
    _app: Any, _what: str, name: str, _object: Any, _skip: bool, _options: Any
) -> bool | None:
    """Leave out what scikit-learn adds to every estimator; its texts refer to its own glossary."""
    return True if re.fullmatch(r"set_\w+_request", name) else None


def _inline(writer: Any, node: Any) -> None:
    writer.body.append(_mathml(node, "inline"))
    _leave_out_the_text()


def _displayed(writer: Any, node: Any) -> None:
    # Long formulas scroll inside their line on a telephone.
    writer.body.append(writer.starttag(node, "div", CLASS="math", style="overflow-x: auto"))
    writer.body.append(_mathml(node, "block") + "</div>\n")
    _leave_out_the_text()


def _mathml(node: Any, display: str) -> str:
    from latex2mathml.converter import convert  # tests import this file without the extra docs

    return convert(node.astext(), display=display)


def _leave_out_the_text() -> None:
    from docutils.nodes import SkipNode

    raise SkipNode


def to_made_pages(_app: Any, _page: str, source: list[str]) -> None:
    """Links that lead to made.md in the clone."""
    source[0] = linked(source[0])


def setup(app: Any) -> None:
    app.connect("source-read", to_made_pages)
    app.add_html_math_renderer("mathml", (_inline, None), (_displayed, None))
    app.connect("autodoc-skip-member", without_routing)
    app.connect("autodoc-process-docstring", plain, priority=100)
