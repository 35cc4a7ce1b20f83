"""Sphinx extension: what the book needs to stand in several languages side by side.

The switch between them on every page, translations of what Sphinx leaves alone (captions of
the table of contents, prompts of folded cells, the site's title), outputs that say they are
English, and a search that finds Chinese.
"""

from __future__ import annotations

import re
from html import escape
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.locale import init as init_locale
from sphinx.search.en import SearchEnglish
from sphinx.transforms import SphinxTransform
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.i18n import docname_to_domain
from sphinx.util.typing import ExtensionMetadata

from nodeport_lab.book.languages import ENGLISH, LANGUAGES, address

SIDE_BY_SIDE = "book_languages"
"""The setting that lists the languages built together; without it there is no switch."""

PROMPTS = ("prompt_show", "prompt_hide")
"""Attributes of a cell that MyST-NB sets from its metadata `code_prompt_show` and `…_hide`."""

OUTPUTS = frozenset({"cell_output", "text_html", "pasted-text"})
"""Classes by which MyST-NB tells the output of a cell, and what is pasted from one."""

_WORDS = re.compile(r"[\u3400-\u9fff]+|[^\W\u3400-\u9fff]+")


def split(text: str) -> list[str]:
    """The words of a text for the search index: Chinese as pairs of neighbouring characters.

    Chinese has no spaces between words. Pairs need no dictionary, and a query is cut the
    same way, so that each word of two or more characters is found.
    """
    found: list[str] = []
    for word in _WORDS.findall(text):
        if len(word) > 1 and "\u3400" <= word[0] <= "\u9fff":
            found.extend(word[start : start + 2] for start in range(len(word) - 1))
        else:
            found.append(word)
    return found


class ChinesePairs(SearchEnglish):
    """Search of pages in Chinese, among which names, manifests and outputs stay English."""

    lang = "zh_CN"
    language_name = "Chinese"
    js_splitter_code = r"""
var splitQuery = (query) =>
  (query.match(/[\u3400-\u9fff]+|(?:(?![\u3400-\u9fff])[\p{L}\p{N}_])+/gu) || [])
    .flatMap((word) => word.length > 1 && /^[\u3400-\u9fff]/.test(word)
      ? Array.from({ length: word.length - 1 }, (_, start) => word.slice(start, start + 2))
      : [word]);
"""

    def split(self, input: str) -> list[str]:  # noqa: A002  # the name is Sphinx's
        """The words of a text."""
        return split(input)


class TranslatedCaptions(SphinxTransform):
    """The captions of `_toc.yml`, which come into the page after Sphinx translated it."""

    default_priority = 101  # sphinx-external-toc inserts them at 100

    def apply(self, **_: Any) -> None:  # noqa: ANN401  # the signature is docutils's
        """Translate each caption that has a translation."""
        domain = docname_to_domain(self.env.docname, self.config.gettext_compact)
        folders = [str(self.env.srcdir / name) for name in self.config.locale_dirs]
        catalogue, found = init_locale(folders, self.config.language, domain)
        for toctree in self.document.findall(addnodes.toctree):
            toctree.preserve_original_messages()
            for message in toctree.extract_original_messages() if found else ():
                toctree.apply_translated_message(message, catalogue.gettext(message))


class TranslatedPrompts(SphinxTransform):
    """What stands on a folded cell, which is metadata of the cell and no text of the page."""

    default_priority = 102

    def apply(self, **_: Any) -> None:  # noqa: ANN401  # the signature is docutils's
        """Translate each prompt from the catalogue of the theme."""
        for node in self.document.findall():
            attributes = getattr(node, "attributes", {})
            for prompt in PROMPTS:
                if prompt in attributes:
                    attributes[prompt] = self.app.translator.gettext(attributes[prompt])


class EnglishOutputs(SphinxPostTransform):
    """What runs put out has no translation; a page in another language says that it is English.

    A program that reads the page aloud changes its voice there (WCAG 2.2, 3.1.2).
    """

    default_priority = 10  # MyST-NB pastes outputs of other pages at 5

    def run(self, **_: Any) -> None:  # noqa: ANN401  # the signature is docutils's
        """Mark outputs with a class that docutils writes as the attribute `lang`."""
        if self.config.language == ENGLISH.code:
            return
        for node in self.document.findall(nodes.Element):
            if not OUTPUTS.isdisjoint(node.get("classes", ())):
                node["classes"].append(f"language-{ENGLISH.tag}")


def translate_title(app: Sphinx) -> None:
    """Give the site's title in the language of the build, from the catalogue of the theme."""
    app.config.html_title = app.translator.gettext(app.config.html_title)


def translate_search_field(
    app: Sphinx, _page: str, _template: str, context: dict[str, Any], _doctree: object
) -> None:
    """Translate what the search field says, which themes take from a setting."""
    text = context.get("theme_search_bar_text")
    if text:
        context["theme_search_bar_text"] = app.translator.gettext(text)


def add_switch(
    app: Sphinx, page: str, _template: str, context: dict[str, Any], _doctree: object
) -> None:
    """Tell the templates, and search engines, where the page stands in the other languages."""
    together = [one for one in LANGUAGES if one.code in app.config[SIDE_BY_SIDE]]
    here = [one for one in together if one.code == app.config.language]
    if not here:
        return
    for one in together:
        link = escape(address(page, here[0], one))
        for tag in (one.tag, "x-default") if one == ENGLISH else (one.tag,):
            alternate = f'<link rel="alternate" hreflang="{tag}" href="{link}">'
            context["metatags"] = f"{context.get('metatags', '')}\n{alternate}"
    context["other_languages"] = [
        {"name": one.name, "tag": one.tag, "address": address(page, here[0], one)}
        for one in together
        if one not in here
    ]


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register with Sphinx."""
    app.add_config_value(SIDE_BY_SIDE, [], "html", frozenset({list}))
    app.add_search_language(ChinesePairs)
    app.add_transform(TranslatedCaptions)
    app.add_transform(TranslatedPrompts)
    app.add_post_transform(EnglishOutputs)
    app.connect("builder-inited", translate_title)
    app.connect("html-page-context", translate_search_field)
    app.connect("html-page-context", add_switch)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
