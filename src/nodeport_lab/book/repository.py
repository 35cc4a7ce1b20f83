"""What the book says of its repository, once `repository.url` of `_config.yml` names one.

The setting is empty where nobody publishes: then no page links to a repository, and there is
no map of the site, since nobody knows where it lies.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.sax.saxutils import escape

from nodeport_lab.errors import NotebookError

_URL = re.compile(r"https://(?P<host>[\w.-]+)/(?P<owner>[\w-]+)/(?P<name>[\w.-]+?)/?")
_PAGES = {"github.com": "github.io", "gitlab.com": "gitlab.io"}


def check(url: str) -> str:
    """The URL without a slash at its end; the empty one stays empty.

    Raises:
        NotebookError: it is not that of a repository.
    """
    if url and not _URL.fullmatch(url):
        raise NotebookError(
            f"repository.url in _config.yml is {url!r}, which is no repository; write "
            "https://HOST/OWNER/NAME, or leave it empty"
        )
    return url.rstrip("/")


def pages(url: str) -> str | None:
    """Where the host of a repository publishes its pages; None where that is not known.

    Sources: GitHub Pages, "Types of GitHub Pages sites"; GitLab Pages, "Default domain names".
    """
    parts = _URL.fullmatch(url)
    if parts is None or parts["host"] not in _PAGES:
        return None
    domain = f"{parts['owner'].lower()}.{_PAGES[parts['host']]}"
    return (
        f"https://{domain}/"
        if parts["name"].lower() == domain
        else (f"https://{domain}/{parts['name']}/")
    )


def sitemap(base: str, names: Iterable[str]) -> str:
    """A map of a site for search engines, by sitemaps.org's schema 0.9.

    Args:
        base: the URL of the site, with a slash at its end.
        names: the pages, seen from there.
    """
    entries = "".join(f"<url><loc>{escape(base + name)}</loc></url>\n" for name in sorted(names))
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n'
        f"{entries}</urlset>\n"
    )


def citation(text: str, url: str) -> str:
    """A CITATION.cff that names the repository, and where its pages lie, if they are known."""
    where = {"repository-code": url, "url": pages(url)}
    return text + "".join(f'{key}: "{value}"\n' for key, value in where.items() if value)
