"""Does every link inside the built pages lead to a file and an anchor, and does no page load anything remote?

``python docs/links.py FOLDER``.
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

__all__ = ["broken", "remote"]

LOADING = {"stylesheet", "icon", "preload", "modulepreload", "prefetch"}


class _Page(HTMLParser):
    """Links and anchors of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value and name in ("id", "name"):
                self.anchors.add(value)
            if value and (tag, name) in {("a", "href"), ("img", "src"), ("link", "href"), ("script", "src")}:
                self.links.append(value)
            # A link that only names another page, such as rel="canonical", loads nothing.
            link = (tag, name) == ("link", "href") and dict(attrs).get("rel") in LOADING
            if value and (link or name in ("src", "srcset", "poster")):
                self.loaded.append(value)


def broken(folder: Path) -> tuple[int, list[str]]:
    """How many local links there are, and one line for each that leads nowhere."""
    pages = {path.resolve(): _Page(path.read_text(encoding="utf-8")) for path in folder.rglob("*.html")}
    count, found = 0, []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            count += 1
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                target = target / "index.html"
            there = target.exists()
            if there and parts.fragment and target in pages:
                there = unquote(parts.fragment) in pages[target].anchors
            if not there:
                found.append(f"{path.relative_to(folder.resolve())}: {link}")
    return count, found


def remote(folder: Path) -> list[str]:
    """One line for each script, style, font or picture that a page would fetch from elsewhere."""
    found = []
    for path in folder.rglob("*.html"):
        for address in _Page(path.read_text(encoding="utf-8")).loaded:
            parts = urlsplit(address)
            if parts.netloc or parts.scheme not in ("", "data"):
                found.append(f"{path.relative_to(folder)}: {address}")
    return found


def main() -> int:
    folder = Path(sys.argv[1])
    (count, found), fetched = broken(folder), remote(folder)
    print(*found, *fetched, f"{count} local links, {len(found)} broken; {len(fetched)} remote", sep="\n")
    return 1 if found or fetched or not count else 0


if __name__ == "__main__":
    sys.exit(main())
