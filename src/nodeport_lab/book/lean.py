"""What a page loads, without what no page uses: rules of style, letters of fonts, shades.

The theme brings rules and icons for every site that there may be. A rule goes only if it
names a class or an id that stands in no page and in no script.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from itertools import pairwise
from typing import Any

import tinycss2
from fontTools import subset
from fontTools.ttLib import TTFont
from PIL import Image

_NAMES = re.compile(r"""\b(?:class|id)\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_LOADED = re.compile(r"""<script\b[^>]*?\bsrc="(?:[^"?]*/)?([^"/?]+)""")
_WORD = re.compile(r"[\w-]+")
_NESTED = frozenset({"media", "supports", "layer", "container"})
_SHADES = 256


def names_in_page(html: str) -> set[str]:
    """Every class and id of a page."""
    return {
        name for found in _NAMES.finditer(html) for name in (found[1] or found[2] or "").split()
    }


def scripts_of_page(html: str) -> set[str]:
    """The file name of every script that a page loads."""
    return set(_LOADED.findall(html))


def words_in_script(script: str) -> set[str]:
    """Every word of a script: any of them may be a class that it gives to an element.

    A word that ends in a hyphen is the beginning of one.
    """
    return set(_WORD.findall(script))


def pruned(css: str, used: AbstractSet[str]) -> str:
    """A style sheet without the selectors that need a class or an id which is not used.

    Its strings come out without escapes.

    Args:
        css: the style sheet.
        used: every class and id that an element of the site may have, and with a hyphen at
            the end what it may begin with.
    """
    beginnings = tuple(name for name in used if name.endswith("-") and name.strip("-"))

    def needed(name: str) -> bool:
        return name in used or name.startswith(beginnings)

    return "".join(_kept(tinycss2.parse_stylesheet(css, skip_comments=True), needed))


def letters(font: bytes, shown: AbstractSet[str]) -> bytes:
    """A font with these letters alone, in its own file format."""
    options = subset.Options()
    with TTFont(io.BytesIO(font)) as whole:
        options.flavor = whole.flavor
        cutter = subset.Subsetter(options)
        cutter.populate(text="".join(shown))
        cutter.subset(whole)
        buffer = io.BytesIO()
        subset.save_font(whole, buffer, options)
    return buffer.getvalue()


def few_shades(png: bytes) -> bytes:
    """A picture with a palette, if that makes it smaller: a figure has few colours."""
    with Image.open(io.BytesIO(png)) as picture:
        if picture.mode == "P":
            return png
        flat = Image.new("RGB", picture.size, "white")
        flat.paste(picture, mask=picture.getchannel("A") if "A" in picture.mode else None)
    buffer = io.BytesIO()
    flat.quantize(_SHADES, dither=Image.Dither.NONE).save(buffer, "png", optimize=True)
    return min(png, buffer.getvalue(), key=len)


def _kept(rules: Iterable[Any], used: Callable[[str], bool]) -> Iterator[str]:
    for rule in rules:
        if rule.type == "qualified-rule":
            selectors = [one for one in _selectors(rule.prelude) if all(map(used, _needs(one)))]
            if selectors:
                yield f"{','.join(map(tinycss2.serialize, selectors))}"
                yield f"{{{tinycss2.serialize(rule.content)}}}"
        elif rule.type == "at-rule" and rule.lower_at_keyword in _NESTED and rule.content:
            within = "".join(_kept(tinycss2.parse_rule_list(rule.content), used))
            if within:
                yield f"@{rule.at_keyword}{tinycss2.serialize(rule.prelude)}{{{within}}}"
        else:
            yield rule.serialize()


def _selectors(prelude: Iterable[Any]) -> Iterator[list[Any]]:
    """The selectors of a rule, which commas part."""
    selector: list[Any] = []
    for part in prelude:
        if part == ",":
            yield selector
            selector = []
        else:
            selector.append(part)
    yield selector


def _needs(selector: list[Any]) -> set[str]:
    """The classes and ids without which a selector matches nothing.

    What stands in a function is left alone: `:not(.a)` matches where there is no `a`.
    """
    return {
        part.value
        for before, part in pairwise([None, *selector])
        if (part.type == "ident" and before == ".") or part.type == "hash"
    }
