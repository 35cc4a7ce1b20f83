"""What is taken from the site, and what has to stay."""

import io

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.ttLib import TTFont
from fontTools.ttLib.tables._g_l_y_f import Glyph
from PIL import Image, ImageDraw

from nodeport_lab.book import lean


@pytest.mark.parametrize(
    ("css", "kept"),
    [
        ("a{color:red}", "a{color:red}"),
        (".used{top:0}", ".used{top:0}"),
        (".unused{top:0}", ""),
        ("#unused a{top:0}", ""),
        (".used.unused,.used>p{top:0}", ".used>p{top:0}"),
        (".used:not(.unused){top:0}", ".used:not(.unused){top:0}"),
        ("[class*=unused]{top:0}", "[class*=unused]{top:0}"),
        (".bs-tooltip-auto{top:0}", ".bs-tooltip-auto{top:0}"),
        ("@media print{.unused{top:0}.used{top:0}}", "@media print{.used{top:0}}"),
        ("@media print{.unused{top:0}}", ""),
        ("@supports (top:0){@media print{.used{top:0}}}",) * 2,
        ("@font-face{font-family:unused}", "@font-face{font-family:unused}"),
        ("@keyframes unused{0%{top:0}}", "@keyframes unused{0%{top:0}}"),
        ('.used{content:"a.b{"}', '.used{content:"a.b{"}'),
        (".used{.unused{top:0}}", ".used{.unused{top:0}}"),
    ],
)
def test_rules_go_that_nothing_can_match(css: str, kept: str) -> None:
    """A selector goes if it needs a class or an id that nothing has; all else stays."""
    assert kept == lean.pruned(css, {"used", "bs-", "-"})


def test_names_and_words_are_found() -> None:
    """A page names classes and ids; a script may make a class of any word."""
    page = """<p class="a b-c" id='d'>e</p><p class = "f">"""

    assert {"a", "b-c", "d", "f"} == lean.names_in_page(page)
    loaded = '<script defer src="../_static/one.js?v=1"></script><script src="two.js"></script>'
    assert {"one.js", "two.js"} == lean.scripts_of_page(loaded)
    assert {"add", "g-h", "bs-", "n", "auto"} >= lean.words_in_script("add('g-h',`bs-${n}`)")
    assert "bs-" in lean.words_in_script("add('g-h',`bs-${n}`)")


def test_a_font_keeps_the_letters_that_are_shown() -> None:
    """An icon that no style sheet shows is gone; the others stay, in the same file format."""
    builder = FontBuilder(1000)
    builder.setupGlyphOrder([".notdef", "one", "two"])
    builder.setupCharacterMap({0xF001: "one", 0xF002: "two"})
    builder.setupGlyf({name: Glyph() for name in (".notdef", "one", "two")})
    builder.setupHorizontalMetrics(dict.fromkeys((".notdef", "one", "two"), (500, 0)))
    builder.setupHorizontalHeader()
    builder.setupPost()
    builder.font.flavor = "woff2"
    buffer = io.BytesIO()
    builder.save(buffer)

    with TTFont(io.BytesIO(lean.letters(buffer.getvalue(), {"\uf001", "a"}))) as font:
        assert [0xF001] == list(font.getBestCmap())
        assert "woff2" == font.flavor


def test_a_picture_of_few_colours_is_the_same_picture() -> None:
    """Smaller, and not one pixel differs; doing it again changes nothing."""
    picture = Image.new("RGBA", (200, 100), "white")
    ImageDraw.Draw(picture).rectangle((20, 20, 80, 60), fill="#009e73", outline="black")
    buffer = io.BytesIO()
    picture.save(buffer, "png")

    small = lean.few_shades(buffer.getvalue())

    assert len(small) < len(buffer.getvalue())
    with Image.open(io.BytesIO(small)) as found:
        assert picture.convert("RGB").tobytes() == found.convert("RGB").tobytes()
    assert small == lean.few_shades(small)
