"""A Sphinx extension: what the theme's pages lack for readers who hear them.

Found by axe, which the tests run on every page. It is an extension and no step after the
build, so that `jupyter-book build .` gives the same pages as `make book`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.writers.html5 import HTML5Translator

TEMPLATES = Path(__file__).parent / "templates"
"""They stand in front of the theme's own of the same name."""

_AFTER_THE_THEME = 900


def setup(app: Sphinx) -> dict[str, bool]:
    """Join a build; Sphinx calls it."""
    app.connect("config-inited", _add_templates)
    app.connect("html-page-context", _name_folds, priority=_AFTER_THE_THEME)
    app.add_node(nodes.citation, override=True, html=(_open_citation, _close_citation))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def named(contents: BeautifulSoup) -> BeautifulSoup:
    """The table of contents, in which each fold has the name of the page above it.

    The theme's folds are a bare arrow. The name of the page needs no translation.
    """
    for summary in contents.select("li > details > summary"):
        link = summary.find_parent("li").find("a")  # type: ignore[union-attr]
        if link is not None:
            summary["aria-label"] = link.get_text(" ", strip=True)
    return contents


def _add_templates(_app: Sphinx, config: Config) -> None:
    config.templates_path = [str(TEMPLATES), *config.templates_path]


def _name_folds(
    _app: Sphinx, _page: str, _template: str, context: dict[str, Any], _doctree: object
) -> None:
    generate: Callable[..., BeautifulSoup | str] | None = context.get("generate_toctree_html")
    if generate is None:
        return

    def generate_named(*args: Any, **kwargs: Any) -> BeautifulSoup | str:  # noqa: ANN401 - the theme's
        contents = generate(*args, **kwargs)
        return named(contents) if isinstance(contents, BeautifulSoup) else contents

    context["generate_toctree_html"] = generate_named


def _open_citation(writer: HTML5Translator, citation: nodes.citation) -> None:
    """Docutils writes a list whose entries have a role that no list may have, and deprecated."""
    HTML5Translator.visit_citation(writer, citation)
    writer.body[-1] = writer.body[-1].replace('role="doc-biblioentry"', 'role="listitem"')


def _close_citation(writer: HTML5Translator, citation: nodes.citation) -> None:
    HTML5Translator.depart_citation(writer, citation)
