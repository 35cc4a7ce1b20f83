"""The spelling of the book's prose: British English by hunspell, with the book's own terms.

Only sentences are looked at: no code, no links, no names of directives.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml
from markdown_it import MarkdownIt

from nodeport_lab.book.render import read
from nodeport_lab.errors import PrerequisiteError

TERMS = Path("chapters/words.txt")
"""Words that hunspell does not know and the book needs, one a line, seen from the root."""

RUNS = Path("notebooks/runs.yml")
PAGES = ("*.md", "chapters/*.md", "examples/*.md", "results/*.md")
_DICTIONARY = "en_GB"
_REMEDY = "install it with: sudo apt-get install hunspell hunspell-en-gb"

_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
_NOT_PROSE = re.compile(r"\{[a-z:-]+\}|https?://\S+|^\([\w-]+\)=$")
_WORD = re.compile(r"(?<![\w./@-])[^\W\d_]+(?:['’][^\W\d_]+)*(?![\w@])")  # noqa: RUF001
_MARKDOWN = MarkdownIt("commonmark").enable("table")


@dataclass(frozen=True, slots=True)
class Word:
    """A word of the book and where it stands."""

    text: str
    source: str
    line: int


def words(text: str, source: str) -> Iterator[Word]:
    """Every word of a page's prose.

    Args:
        text: MyST Markdown.
        source: what to name as the place.
    """
    text = _FRONT_MATTER.sub(lambda found: "\n" * found[0].count("\n"), text)
    for block in _MARKDOWN.parse(text):
        if block.type != "inline" or block.map is None:
            continue
        line = block.map[0] + 1
        for piece in block.children or ():
            if piece.type in ("softbreak", "hardbreak"):
                line += 1
            elif piece.type == "text":
                prose = _NOT_PROSE.sub(" ", piece.content)
                yield from (Word(found, source, line) for found in _WORD.findall(prose))


def words_of_book(root: Path) -> Iterator[Word]:
    """Every word of chapters, templates of notebooks, and the titles and summaries of runs."""
    for pattern in PAGES:
        for path in sorted(root.glob(pattern)):
            yield from words(path.read_text(encoding="utf-8"), str(path.relative_to(root)))
    for path in sorted((root / "notebooks" / "templates").glob("*.ipynb")):
        for cell in read(path).cells:
            if cell.cell_type == "markdown":
                yield from words(cell.source, f"{path.relative_to(root)}, cell {cell.id}")
    for run in yaml.safe_load((root / RUNS).read_text(encoding="utf-8")):
        for key in ("title", "summary"):
            yield from words(run.get(key, ""), f"{RUNS}, {key} of {run['id']}")


def misspelt(found: Iterable[Word], terms: Path) -> list[Word]:
    """The words that neither hunspell's dictionary nor the book's list has.

    Args:
        found: words.
        terms: a file with further words, one a line.

    Raises:
        PrerequisiteError: there is no hunspell, or it has no British dictionary.
    """
    found = list(found)
    asked = "\n".join(sorted({_plain(word) for word in found}))
    command = ["hunspell", "-l", "-d", _DICTIONARY, "-i", "utf-8", "-p", str(terms.resolve())]
    try:
        answer = subprocess.run(  # noqa: S603 - a fixed command
            command, input=asked, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise PrerequisiteError(f"hunspell, which checks spelling, is missing; {_REMEDY}") from None
    if answer.returncode != 0:
        raise PrerequisiteError(
            f"hunspell has no British dictionary ({answer.stderr.strip()}); {_REMEDY}"
        )
    unknown = set(answer.stdout.split())
    return [word for word in found if _plain(word) in unknown]


def _plain(word: Word) -> str:
    """A word as dictionaries have it: whatever may have a name may own something."""
    return word.text.replace("’", "'").removesuffix("'s")  # noqa: RUF001
