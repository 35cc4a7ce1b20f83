"""Every page in a browser: quiet, as wide as its window, and usable by everybody.

Each page is opened once, as on a phone, and then looked at in a wide window in the light and in
the dark: opening is what takes time.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, Page, expect

from nodeport_lab.book.languages import TRANSLATIONS
from nodeport_lab.book.runs import load
from nodeport_lab.book.site import documents
from nodeport_lab.locations import repository_root

from .conftest import PATIENCE, Site

pytestmark = pytest.mark.browser

RUNS = load(repository_root() / "notebooks")
TRANSLATED = tuple(
    f"{language.folder}/{page}"
    for language in TRANSLATIONS
    for page in ("index", "notebooks/runs/claims")
)
"""They share the structure of the English ones; these show what translation adds."""

PAGES = (*documents(repository_root()), "search", "genindex", *TRANSLATED)

Size = tuple[int, int]
Scheme = Literal["dark", "light"]
WIDE: Size = (1280, 844)
PHONE: Size = (390, 844)

ALL_RULES: dict[str, Any] = {
    "resultTypes": ["violations"],
    "preload": False,  # axe would ask for the style sheets again, which a file may not
}
CONTRAST = {**ALL_RULES, "runOnly": ["color-contrast"]}
STRUCTURE = {**ALL_RULES, "rules": {"color-contrast": {"enabled": False}}}

TOLERATED = {
    # A report on manifests names its parts; a chapter that shows three reports has three of each.
    "landmark-unique",
}
"""Rules of axe whose faults are neither serious nor critical, and stay."""

LIKE_ANOTHER = {
    f"notebooks/runs/{spec.id}"
    for number, spec in enumerate(RUNS)
    if spec.template in [other.template for other in RUNS[:number]]
}
"""Runs of a template that has been looked at in the light already; in the dark all are."""

SAME_EVERYWHERE = ".bd-sidebar-primary"
"""The table of contents: the same on all pages, so that one of them stands for all."""


@dataclass(frozen=True, slots=True)
class Window:
    """One window for all pages, with what it asked for and what was logged in it."""

    page: Page
    asked: list[str] = field(default_factory=list)
    logged: list[str] = field(default_factory=list)

    def open(self, url: str, size: Size, scheme: Scheme) -> None:
        """Open a page as somebody does who comes from elsewhere."""
        self.show(size, scheme)
        self.asked.clear()
        self.logged.clear()
        self.page.goto(url)

    def show(self, size: Size, scheme: Scheme) -> None:
        """Change the window, not the page."""
        self.page.set_viewport_size({"width": size[0], "height": size[1]})
        self.page.emulate_media(color_scheme=scheme)

    def overflow(self) -> int:
        """By how many pixels the page is wider than its window."""
        return int(
            self.page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
        )

    def faults(
        self, options: dict[str, Any], but: tuple[str, ...] = (SAME_EVERYWHERE,)
    ) -> list[str]:
        """What axe finds but for some parts: impact, rule, how often, the first place."""
        found = self.page.evaluate(
            "([context, options]) => axe.run(context, options).then((all) => all.violations)",
            [{"exclude": list(but)}, options],
        )
        return [
            f"{fault['impact']} {fault['id']}: {fault['help']}: {len(fault['nodes'])} places, "
            f"{fault['nodes'][0]['target']}: {fault['nodes'][0]['failureSummary']}"
            for fault in found
            if fault["impact"] in ("serious", "critical") or fault["id"] not in TOLERATED
        ]


@pytest.fixture(scope="module")
def window(browser: Browser) -> Iterator[Window]:
    """A window in which axe stands ready on every page."""
    context = browser.new_context(reduced_motion="reduce")  # no colour on its way to another
    context.set_default_timeout(PATIENCE)
    context.add_init_script(AXE_SCRIPT)
    window = Window(context.new_page())
    window.page.on("request", lambda one: window.asked.append(one.url))
    window.page.on(
        "console", lambda one: window.logged.append(one.text) if one.type != "log" else None
    )
    window.page.on("pageerror", lambda error: window.logged.append(str(error)))
    yield window
    context.close()


@pytest.mark.parametrize("name", PAGES)
def test_page_is_quiet_fits_and_excludes_nobody(name: str, window: Window, site: Site) -> None:
    """No other host, no complaint, no scrolling sideways, and nothing for axe to find."""
    window.open((site.html / f"{name}.html").as_uri(), PHONE, "light")
    narrow = window.overflow()
    phone = window.faults(STRUCTURE)
    window.show(WIDE, "light")
    light = [] if name in LIKE_ANOTHER else window.faults(CONTRAST)
    window.show(WIDE, "dark")
    dark = window.faults(CONTRAST)

    assert {"file"} >= {urlsplit(url).scheme for url in window.asked} - {"data", "blob"}
    assert [] == window.logged
    assert (0, 0) == (narrow, window.overflow())
    assert ([], [], []) == (phone, light, dark)


def test_search_finds_a_page(window: Window, site: Site) -> None:
    """From the field beside any page, in a file, with nothing but what lies in the site."""
    window.open((site.html / "chapters" / "method.html").as_uri(), WIDE, "light")
    window.page.locator(".search-button-field").click()
    window.page.locator("#pst-search-dialog input[type=search]").fill("masquerade")
    window.page.keyboard.press("Enter")
    window.page.wait_for_url("**/search.html?q=masquerade")
    first = window.page.locator("#search-results li a").first
    first.wait_for()

    first.click()
    window.page.wait_for_load_state()

    assert "masquerade" in window.page.locator("article").inner_text().lower()
    assert [] == window.logged


def test_page_is_used_by_keyboard(window: Window, site: Site) -> None:
    """The first stop leads past the table of contents; folds open by keys; the focus is seen."""
    page = window.page
    window.open((site.html / "index.html").as_uri(), WIDE, "light")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to main content")
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")

    assert page.evaluate("document.activeElement.closest('main') !== null")

    fold = page.locator("#pst-primary-sidebar details").first
    fold.locator("summary").focus()
    outline = fold.locator(".toctree-toggle").evaluate("(one) => getComputedStyle(one).outline")
    closed = fold.get_attribute("open")
    page.keyboard.press("Enter")

    assert closed is None
    assert fold.get_attribute("open") is not None
    assert fold.get_by_role("link").first.is_visible()
    assert "none" not in outline


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_table_of_contents_excludes_nobody(scheme: Scheme, window: Window, site: Site) -> None:
    """What stands beside all pages is looked at beside one of them."""
    window.open((site.html / "index.html").as_uri(), WIDE, scheme)

    assert [] == window.faults(ALL_RULES, but=())


def test_axe_finds_what_is_wrong(window: Window, site: Site) -> None:
    """A picture without words, pale text and a nameless fold are found: axe does look."""
    window.open((site.html / "index.html").as_uri(), PHONE, "light")
    window.page.evaluate(
        """() => document.querySelector("article").insertAdjacentHTML("beforeend",
            `<img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=">
             <p style="color: #777; background: #888">pale</p>
             <details><summary></summary>unnamed</details>`)"""
    )

    found = "\n".join(window.faults(ALL_RULES))

    for rule in ("critical image-alt", "serious color-contrast", "serious summary-name"):
        assert rule in found


def test_start_page_is_light(window: Window, site: Site) -> None:
    """Less than 500 kB with all that it loads."""
    window.open((site.html / "index.html").as_uri(), WIDE, "light")
    window.page.wait_for_load_state("networkidle")
    files = [Path(unquote(urlsplit(url).path)) for url in window.asked if url.startswith("file:")]
    assert {".html", ".css", ".js", ".png", ".woff2"} == {path.suffix for path in files}
    assert 500_000 > sum(path.stat().st_size for path in files)
