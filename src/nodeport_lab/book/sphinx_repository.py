"""A Sphinx extension: links to the repository, citation and map of the site, if there is a URL."""

from __future__ import annotations

from pathlib import Path

from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ConfigError

from nodeport_lab.book import repository
from nodeport_lab.errors import NotebookError

_FIRST = 100  # before the theme asks for its options
_BUTTONS = ("use_repository_button", "use_issues_button", "use_edit_page_button")


def setup(app: Sphinx) -> dict[str, bool]:
    """Join a build; Sphinx calls it."""
    app.connect("config-inited", _configure, priority=_FIRST)
    app.connect("build-finished", _finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _configure(_app: Sphinx, config: Config) -> None:
    try:
        url = repository.check(str(config.html_theme_options.get("repository_url") or ""))
    except NotebookError as error:
        raise ConfigError(str(error)) from error
    config.html_theme_options |= {"repository_url": url, **dict.fromkeys(_BUTTONS, bool(url))}
    config.html_baseurl = repository.pages(url) or ""


def _finish(app: Sphinx, problem: Exception | None) -> None:
    if problem is not None or app.builder.format != "html":
        return
    html = Path(app.outdir)
    url = app.config.html_theme_options["repository_url"]
    cited = html / "CITATION.cff"
    if url and cited.is_file():
        original = (Path(app.srcdir) / cited.name).read_text(encoding="utf-8")
        cited.write_text(repository.citation(original, url), encoding="utf-8")
    if app.config.html_baseurl:
        names = (f"{document}.html" for document in app.env.found_docs)
        map_of_site = repository.sitemap(app.config.html_baseurl, names)
        (html / "sitemap.xml").write_text(map_of_site, encoding="utf-8")
