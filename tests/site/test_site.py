"""The built site: complete, described, linked, and silent towards other hosts."""

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pydata_sphinx_theme
import pytest
from fontTools.ttLib import TTFont

from nodeport_lab.book.lean import names_in_page
from nodeport_lab.book.render import read
from nodeport_lab.book.site import documents
from nodeport_lab.dataplanes import DATAPLANES
from nodeport_lab.locations import repository_root

from .conftest import Site

PAGES = documents(repository_root())
LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}
NOT_LOADED = {"canonical", "next", "prev", "search", "index", "author"}


class Elements(HTMLParser):
    """Every start tag of a page with its attributes."""

    def __init__(self, page: Path) -> None:
        """Read a page."""
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the tag."""
        self.found.append((tag, {name: value or "" for name, value in attrs}))

    def all(self, tag: str) -> Iterator[dict[str, str]]:
        """The attributes of each element with this tag."""
        return (attributes for name, attributes in self.found if name == tag)

    @property
    def targets(self) -> set[str]:
        """What a link may point to."""
        return {attributes["id"] for _, attributes in self.found if "id" in attributes}


@pytest.fixture(params=PAGES)
def page(request: pytest.FixtureRequest, site: Site) -> Path:
    """Every page of the table of contents."""
    return site.html / f"{request.param}.html"


def test_build_says_that_outputs_are_stored(site: Site) -> None:
    """Where the testbed cannot run, terminal and site say so and give the reason."""
    text = (site.html / "chapters" / "reproducibility.html").read_text(encoding="utf-8")
    data = json.loads((site.html / "reproducibility.json").read_text(encoding="utf-8"))

    assert (
        "the embedded testbed cannot run here: this machine makes no user namespaces",
        "the site shows the stored outputs; nothing was executed",
    ) == site.said
    assert "Stored outputs" in text
    assert "this machine makes no user namespaces" in text
    assert "stored" == data["outputs"]
    assert "this machine makes no user namespaces" in data["reason"]


def test_landing_page_shows_picture_and_verdicts_of_the_runs(site: Site) -> None:
    """The start page's picture and words are those of the runs, not typed ones."""
    start = Elements(site.html / "index.html")
    text = (site.html / "index.html").read_text(encoding="utf-8")
    run = read(repository_root() / "notebooks" / "runs" / "claims.ipynb")
    (described,) = (cell.metadata.mystnb.image.alt for cell in run.cells if cell.id == "heat-map")

    assert described in [image.get("alt") for image in start.all("img")]
    assert {"allowed", "timeout"} == set(
        re.findall(r'<span class="pasted-text">([^<]*)</span>', text)
    )


@pytest.mark.parametrize("direction", ["egress", "ingress"])
def test_atlas_pages_show_every_dataplane_in_words(site: Site, direction: str) -> None:
    """One table with all of them, each with its basis, and a word behind every symbol."""
    path = site.html / "chapters" / f"{direction}-atlas.html"
    text = path.read_text(encoding="utf-8")
    symbols = [one for one in Elements(path).all("span") if one.get("role") == "img"]

    for dataplane in DATAPLANES.values():
        assert f"{dataplane.name}<small>{dataplane.basis}</small>" in text
    assert {"allowed", "timeout"} == {one["aria-label"] for one in symbols}
    assert "What policy saw" in text


def test_page_loads_nothing_from_another_host(page: Path) -> None:
    """Everything that a page loads lies beside it: the book opens without a network."""
    loaded = [
        attributes[LOADED[tag]]
        for tag, attributes in Elements(page).found
        if tag in LOADED and LOADED[tag] in attributes and attributes.get("rel") not in NOT_LOADED
    ]

    assert [] == [url for url in loaded if re.match(r"(https?:)?//", url)]


def test_styles_load_nothing_from_another_host(site: Site) -> None:
    """No style sheet imports or shows anything that is not beside it."""
    for sheet in site.html.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")

        assert [] == re.findall(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//[^)\s]*", text), sheet


def test_icons_of_pages_are_in_the_fonts(site: Site) -> None:
    """What the site's fonts were left with is enough for every icon that a page names."""
    theme = Path(pydata_sphinx_theme.__file__).parent / "theme" / "pydata_sphinx_theme" / "static"
    rules = re.findall(
        r'((?:\.fa-[\w-]+:before,?)+)\{content:"\\([0-9a-f]+)"',
        (theme / "styles" / "pydata-sphinx-theme.css").read_text(encoding="utf-8"),
    )
    known = {
        name: int(code, 16) for names, code in rules for name in re.findall(r"fa-[\w-]+", names)
    }
    named = {
        name
        for page in site.html.rglob("*.html")
        for name in names_in_page(page.read_text(encoding="utf-8"))
        if name in known
    }
    letters: set[int] = set()
    for path in site.html.rglob("*.woff2"):
        with TTFont(path) as font:
            letters |= set(font.getBestCmap())

    assert {"fa-magnifying-glass", "fa-chevron-down", "fa-list"} <= named
    assert {known[name] for name in named} <= letters


def test_images_are_described(page: Path) -> None:
    """Every picture has a text alternative that is no file name."""
    for image in Elements(page).all("img"):
        assert image.get("alt")
        assert not re.search(r"\.(png|svg|jpe?g)$", image["alt"])


def test_links_within_the_site_lead_somewhere(page: Path) -> None:
    """Every relative link has its page, and its place on it."""
    broken = []
    for link in Elements(page).all("a"):
        url = urlsplit(link.get("href", ""))
        if url.scheme or url.netloc or not (url.path or url.fragment):
            continue
        target = page.parent / unquote(url.path) if url.path else page
        if not target.exists() or (
            url.fragment
            and target.suffix == ".html"
            and unquote(url.fragment) not in Elements(target).targets
        ):
            broken.append(link["href"])

    assert [] == broken
