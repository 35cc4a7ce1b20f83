"""Links to other hosts: asked on demand, reported, and never a reason for a build to fail.

Links within the site are another matter: the tests of the site follow all of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from nodeport_lab.book.site import jupyter_book
from nodeport_lab.errors import NotebookError

_GONE = {"broken", "timeout"}


@dataclass(frozen=True, slots=True)
class Link:
    """A link that leads nowhere, where it stands, and what its host said."""

    url: str
    file: str
    line: int
    reason: str


def ask_hosts(source: Path, output: Path) -> tuple[int, list[Link]]:
    """Ask every host that a book links to for the page.

    Args:
        source: the book.
        output: a folder for Sphinx's account of it.

    Returns:
        How many links were asked for, and those that lead nowhere.

    Raises:
        NotebookError: the book cannot be read.
    """
    account = output / "_build" / "html" / "output.json"  # whatever the builder's name
    account.unlink(missing_ok=True)
    answer = jupyter_book(source, output, "--builder", "linkcheck", "--all", "--quiet")
    if not account.is_file():
        raise NotebookError(f"the book cannot be asked for its links:\n{answer.stderr.strip()}")
    lines = account.read_text(encoding="utf-8").splitlines()
    asked = [line for line in lines if json.loads(line)["uri"].startswith("http")]
    return len(asked), list(lost(asked))


def lost(account: Iterable[str]) -> Iterator[Link]:
    """The links that lead nowhere, of the lines of JSON that Sphinx's linkcheck writes."""
    for line in account:
        found = json.loads(line)
        if found["status"] in _GONE:
            yield Link(found["uri"], found["filename"], found["lineno"], found["info"])
