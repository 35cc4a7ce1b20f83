"""A Sphinx extension: at the end of a build, take from the site what no page of it uses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sphinx.application import Sphinx

from nodeport_lab.book import lean

_LAST = 900  # themes and extensions write files at the end of a build as well


def setup(app: Sphinx) -> dict[str, bool]:
    """Join a build; Sphinx calls it."""
    app.connect("build-finished", _finish, priority=_LAST)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def slim(html: Path) -> None:
    """Remove scripts that no page loads; make style sheets, fonts and pictures smaller."""
    used: set[str] = set()
    loaded: set[str] = set()
    for page in html.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        used |= lean.names_in_page(text)
        loaded |= lean.scripts_of_page(text)
    for script in html.rglob("*.js"):
        if script.name in loaded:
            used |= lean.words_in_script(script.read_text(encoding="utf-8"))
        else:
            script.unlink()
    shown: set[str] = set()
    for sheet in html.rglob("*.css"):
        css = lean.pruned(sheet.read_text(encoding="utf-8"), used)
        sheet.write_text(css, encoding="utf-8")
        shown |= set(css)  # an icon is a letter that a style sheet shows
    for kind in ("*.woff2", "*.ttf"):
        _each(html, kind, lambda font: lean.letters(font, shown))
    _each(html, "*.png", lean.few_shades)


def _each(folder: Path, pattern: str, change: Callable[[bytes], bytes]) -> None:
    for path in folder.rglob(pattern):
        path.write_bytes(change(path.read_bytes()))


def _finish(app: Sphinx, problem: Exception | None) -> None:
    if problem is None and app.builder.format == "html":
        slim(Path(app.outdir))
