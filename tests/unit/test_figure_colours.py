"""Figures for everybody: black on every colour is readable, by WCAG 2.2, 1.4.3 (AA)."""

import pytest
from matplotlib.colors import to_rgb

from nodeport_lab.report import figure, walk_figure
from nodeport_lab.report.words import SYMBOLS


def luminance(colour: str) -> float:
    """Relative luminance as WCAG defines it, 0 to 1."""
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in to_rgb(colour)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """The ratio of two colours, 1 to 21."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize(
    "ground",
    [
        *figure._COLOURS.values(),  # noqa: SLF001 - the colours are what is tested
        walk_figure._PLAIN,  # noqa: SLF001
        walk_figure._GOOD,  # noqa: SLF001
        walk_figure._BAD,  # noqa: SLF001
        walk_figure._CHANGED,  # noqa: SLF001
    ],
)
def test_black_is_readable_on_every_ground(ground: str) -> None:
    """4.5 to 1 at least, for symbols and for small text."""
    assert contrast("black", ground) >= 4.5


def test_pale_text_is_readable_on_white() -> None:
    """Lanes that were not reached are named in grey."""
    assert contrast(walk_figure._FAINT, "white") >= 4.5  # noqa: SLF001


def test_every_colour_has_its_symbol() -> None:
    """Nobody needs the colours: each stands beside a symbol of its own."""
    assert figure._COLOURS.keys() <= SYMBOLS.keys()  # noqa: SLF001
    assert len({SYMBOLS[outcome] for outcome in figure._COLOURS}) == len(figure._COLOURS)  # noqa: SLF001
