"""The site in its languages: whole, linked page by page, and searchable."""

import re
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import Browser

from nodeport_lab.book.catalogues import extract, faults, load
from nodeport_lab.book.languages import ENGLISH, LANGUAGES, TRANSLATIONS, Language, address
from nodeport_lab.book.site import documents
from nodeport_lab.book.sphinx_languages import OUTPUTS
from nodeport_lab.locations import repository_root

from .conftest import Site
from .test_site import Elements

PAGES = (*documents(repository_root()), "search", "genindex")

elements = cache(Elements)


def place(site: Site, language: Language, page: str) -> Path:
    """The file of a page."""
    return site.html / language.folder / f"{page}.html"


def test_no_sentence_of_the_book_is_without_translation() -> None:
    """Chapters, start page, the text of runs, the theme's labels: `make catalogues` finds none."""
    templates = extract(repository_root())

    assert {"chapters", "index", "notebooks", "sphinx"} == set(templates)
    for language in TRANSLATIONS:
        for domain, template in templates.items():
            assert [] == list(faults(template, load(repository_root(), language, domain)))


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda one: one.code)
def test_every_page_leads_to_itself_in_the_other_languages(site: Site, language: Language) -> None:
    """The switch and the head of a page name the same page, and each its own language."""
    for page in PAGES:
        path = place(site, language, page)
        found = elements(path)
        links = {one["hreflang"]: one["href"] for one in found.all("a") if "hreflang" in one}
        stated = {one["hreflang"]: one["href"] for one in found.all("link") if "hreflang" in one}

        assert [language.tag] == [one.get("lang") for one in found.all("html")]
        assert {one.tag: address(page, language, one) for one in LANGUAGES if one != language} == (
            links
        )
        assert {**links, language.tag: f"{path.stem}.html"} == {
            tag: link for tag, link in stated.items() if tag != "x-default"
        }
        assert stated["x-default"] == stated[ENGLISH.tag]
        for link in stated.values():
            assert (path.parent / link).is_file(), link


@pytest.mark.parametrize("language", TRANSLATIONS, ids=lambda one: one.code)
def test_translated_pages_are_linked_and_described(site: Site, language: Language) -> None:
    """Links lead to pages and to places on them; pictures keep a text alternative."""
    for page in PAGES:
        path = place(site, language, page)
        for image in elements(path).all("img"):
            assert image.get("alt"), page
        for link in elements(path).all("a"):
            url = urlsplit(link.get("href", ""))
            if url.scheme or not (url.path or url.fragment):
                continue
            target = (path.parent / unquote(url.path)).resolve() if url.path else path
            assert target.exists(), (page, link["href"])
            if url.fragment and target.suffix == ".html":
                assert unquote(url.fragment) in elements(target).targets, (page, link["href"])


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda one: one.code)
@pytest.mark.parametrize("page", ["index", "chapters/remedies", "notebooks/runs/claims"])
def test_outputs_say_that_they_are_english(site: Site, page: str, language: Language) -> None:
    """Cells, pasted tables and pasted words, where the page around them is not English."""
    found = elements(place(site, language, page))
    outputs = [
        one
        for one in (*found.all("div"), *found.all("span"))
        if not OUTPUTS.isdisjoint(one.get("class", "").split())
    ]

    assert outputs
    expected = {None} if language == ENGLISH else {ENGLISH.tag}
    assert expected == {one.get("lang") for one in outputs}


@pytest.mark.browser
@pytest.mark.parametrize("page", ["index", "chapters/explorer", "notebooks/runs/exercises"])
def test_the_switch_keeps_page_and_place(site: Site, browser: Browser, page: str) -> None:
    """From English to Chinese and back, opened as files, on a phone, without a complaint."""
    context = browser.new_context(viewport={"width": 390, "height": 844})
    shown = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    context.on("console", lambda one: said.append(one.text) if one.type != "log" else None)
    context.on("weberror", lambda one: said.append(str(one.error)))
    context.on("request", lambda one: asked.append(one.url))
    shown.goto(place(site, ENGLISH, page).as_uri() + "#place")

    for language in (*TRANSLATIONS, ENGLISH):
        shown.locator(f".language-switch a[hreflang='{language.tag}']").click()
        shown.wait_for_url(place(site, language, page).as_uri() + "#place")
        assert language.tag == shown.evaluate("document.documentElement.lang")
        assert shown.evaluate(
            "document.documentElement.scrollWidth === document.documentElement.clientWidth"
        )
    context.close()

    assert [] == said
    assert {"file"} == {urlsplit(url).scheme for url in asked} - {"data"}


@pytest.mark.browser
def test_search_finds_chinese(site: Site, browser: Browser) -> None:
    """A word from the middle of a sentence is found, though no space marks it."""
    context = browser.new_context()
    shown = context.new_page()
    shown.goto(place(site, TRANSLATIONS[0], "search").as_uri() + "?q=网络插件")
    links = shown.locator("#search-results ul.search a")
    links.first.wait_for()
    found = links.evaluate_all("(all) => all.map((one) => one.getAttribute('href'))")
    context.close()

    assert "index.html" in [re.sub(r"[?#].*", "", link) for link in found]
