"""Prose is spelt as in Britain; code is not prose."""

from pathlib import Path

import pytest

from nodeport_lab.book.__main__ import main
from nodeport_lab.book.spelling import TERMS, Word, misspelt, words, words_of_book
from nodeport_lab.errors import PrerequisiteError
from nodeport_lab.locations import repository_root

PAGE = """\
---
key: frontmater
---
# A headin

Prose with `codeword`, {doc}`a role`, a [linc](https://example.org/pathword) and
a secondlien; an address 10.0.0.1/notword.

| collumn | x |
| --- | --- |
| cel | IPv4 |

(label)=
:::{note}
A nøte.
:::

```sh
fenced
```
"""


def test_prose_is_told_from_code() -> None:
    """Headings, paragraphs, links' words and cells of tables, each with its line."""
    found = [(word.text, word.line) for word in words(PAGE, "page.md")]

    assert [
        ("A", 4), ("headin", 4), ("Prose", 6), ("with", 6), ("a", 6), ("linc", 6), ("and", 6),
        ("a", 7), ("secondlien", 7), ("an", 7), ("address", 7), ("collumn", 9), ("x", 9),
        ("cel", 11), ("A", 15), ("nøte", 15),
    ] == found  # fmt: skip


def test_unknown_words_are_found(tmp_path: Path) -> None:
    """American spelling and mistakes are; terms of the book's list, owners and quotes are not."""
    terms = tmp_path / "words.txt"
    terms.write_text("veth\n", encoding="utf-8")
    texts = ("veth", "veth’s", "veths", "colour", "color", "neighbour's", "Linux", "teh")  # noqa: RUF001

    found = misspelt([Word(text, "page.md", 1) for text in texts], terms)

    assert ["veths", "color", "teh"] == [word.text for word in found]


def test_the_book_has_words_everywhere() -> None:
    """Chapters, templates and the list of runs are all looked at: thousands of words."""
    found = list(words_of_book(repository_root()))

    assert len(found) > 10_000
    for place in ("chapters/method.md", "notebooks/templates/walk.ipynb", "notebooks/runs.yml"):
        assert any(word.source.startswith(place) for word in found)


def test_a_missing_hunspell_is_one_sentence_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody's spelling passes for good because nothing looked at it."""
    monkeypatch.setenv("PATH", "/nowhere")

    with pytest.raises(PrerequisiteError, match=r"missing; install it with: .* hunspell-en-gb$"):
        misspelt([], TERMS)
    assert 2 == main(["spelling"])
    assert "sudo apt-get install hunspell" in capsys.readouterr().err


def test_a_missing_dictionary_is_one_sentence_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program without the dictionary says nothing about any word."""
    program = tmp_path / "hunspell"
    program.write_text("#!/bin/sh\necho 'no such dictionary' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    with pytest.raises(PrerequisiteError, match=r"no British dictionary .*; install it with"):
        misspelt([], TERMS)


def test_mistakes_are_listed_with_their_places(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 1, and one line for each: path, line, word and what to do."""
    found = [Word("teh", "chapters/method.md", 3)]
    monkeypatch.setattr("nodeport_lab.book.__main__.words_of_book", lambda _root: found)

    assert 1 == main(["spelling"])
    assert "chapters/method.md:3: teh is in no dictionary; mend it" in capsys.readouterr().out
