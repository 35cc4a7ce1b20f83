"""What the book says of its repository, from one setting."""

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import yaml

from nodeport_lab.book import repository
from nodeport_lab.errors import NotebookError
from nodeport_lab.locations import repository_root


def test_the_setting_is_empty_here() -> None:
    """Nobody's repository is named before somebody publishes."""
    config = yaml.safe_load((repository_root() / "_config.yml").read_text(encoding="utf-8"))

    assert "" == config["repository"]["url"]


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("", ""),
        ("https://github.com/owner/name", "https://github.com/owner/name"),
        ("https://git.example.org/owner/name/", "https://git.example.org/owner/name"),
    ],
)
def test_a_repository_is_taken(url: str, kept: str) -> None:
    """Any host will do, and none."""
    assert kept == repository.check(url)


@pytest.mark.parametrize(
    "url",
    ["owner/name", "http://github.com/o/n", "https://github.com/o", 'https://x.org/o/n"onclick='],
)
def test_what_is_no_repository_is_refused(url: str) -> None:
    """One sentence with the setting, the file and what to write."""
    with pytest.raises(NotebookError, match=r"^repository\.url in _config\.yml is .* write https:"):
        repository.check(url)


@pytest.mark.parametrize(
    ("url", "site"),
    [
        ("https://github.com/Owner/name", "https://owner.github.io/name/"),
        ("https://github.com/owner/owner.github.io", "https://owner.github.io/"),
        ("https://gitlab.com/owner/name", "https://owner.gitlab.io/name/"),
        ("https://git.example.org/owner/name", None),
        ("", None),
    ],
)
def test_pages_lie_where_the_host_puts_them(url: str, site: str | None) -> None:
    """Known for two hosts, and nothing is made up for others."""
    assert site == repository.pages(url)


def test_sitemap_lists_every_page() -> None:
    """Valid XML with an absolute URL for each page."""
    found = ET.fromstring(repository.sitemap("https://o.github.io/n/", ["b.html", "a&b"]))  # noqa: S314 - our own

    space = "{http://www.sitemaps.org/schemas/sitemap/0.9}"
    assert ["https://o.github.io/n/a&b", "https://o.github.io/n/b.html"] == [
        place.text for place in found.iter(f"{space}loc")
    ]


def test_citation_names_the_repository_once_there_is_one() -> None:
    """The committed file names none; with a URL it stays a valid file and has it."""
    text = Path(repository_root() / "CITATION.cff").read_text(encoding="utf-8")

    assert text == repository.citation(text, "")
    assert "repository-code" not in yaml.safe_load(text)
    assert {
        **yaml.safe_load(text),
        "repository-code": "https://github.com/o/n",
        "url": "https://o.github.io/n/",
    } == yaml.safe_load(repository.citation(text, "https://github.com/o/n"))
