"""The languages of the book: the one that it is written in, and its translations."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Language:
    """A language that the site is built in.

    Attributes:
        code: as Sphinx and gettext name it.
        tag: as HTML names it (BCP 47).
        name: as its own readers name it.
        folder: where its pages lie, seen from the site's root; empty for the root itself.
    """

    code: str
    tag: str
    name: str
    folder: str


ENGLISH = Language("en", "en", "English", "")
"""What chapters and templates are written in."""

TRANSLATIONS = (Language("zh_CN", "zh-CN", "简体中文", "zh_CN"),)
"""Each has its catalogues in `locales/CODE/LC_MESSAGES` and its terms in `locales/terms.yml`."""

LANGUAGES = (ENGLISH, *TRANSLATIONS)


def address(page: str, origin: Language, target: Language) -> str:
    """The relative address of the same page in another language.

    It is relative, so that it also leads there where the site is opened as files.

    Args:
        page: the page without suffix, seen from the language's own folder.
        origin: the language of the page that links.
        target: the language of the page that is linked to.
    """
    here = posixpath.dirname(posixpath.join("/", origin.folder, page))
    return posixpath.relpath(posixpath.join("/", target.folder, f"{page}.html"), here)
