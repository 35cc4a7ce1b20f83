"""Links to other hosts, asked of a host on loopback."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from nodeport_lab.book.links import Link, ask_hosts
from nodeport_lab.errors import NotebookError


class Host(BaseHTTPRequestHandler):
    """One page is there; every other is not."""

    def do_HEAD(self) -> None:
        """The same without a body; no answer here has one."""
        self.do_GET()

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(200 if self.path == "/there" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def host() -> Iterator[str]:
    """A host on loopback and its URL."""
    server = HTTPServer(("127.0.0.1", 0), Host)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """A book of one page, without words yet."""
    (tmp_path / "_toc.yml").write_text("{format: jb-book, root: index}\n")
    (tmp_path / "_config.yml").write_text("execute: {execute_notebooks: 'off'}\n")
    return tmp_path


def test_lost_links_are_told_from_others(host: str, book: Path) -> None:
    """Each that leads nowhere with its place and what the host said; the rest is counted."""
    (book / "index.md").write_text(f"# Start\n\n[one]({host}/there)\n\n[other]({host}/gone)\n")

    asked, (lost,) = ask_hosts(book, book)

    assert 2 == asked
    assert Link(f"{host}/gone", "index.md", 5, lost.reason) == lost
    assert "404" in lost.reason


def test_a_book_that_cannot_be_read_is_an_error(book: Path) -> None:
    """No account of links is not an account without lost ones."""
    (book / "_toc.yml").write_text("{format: jb-book, root: nowhere}\n")

    with pytest.raises(NotebookError, match=r"^the book cannot be asked for its links:"):
        ask_hosts(book, book)
