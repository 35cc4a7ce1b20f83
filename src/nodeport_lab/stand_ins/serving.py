"""What the stand-ins have in common: settings, pages, and calls that the log tells of."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Callable
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingTCPServer
from typing import Any, NamedTuple
from urllib.parse import urlsplit

PATIENCE = 5.0  # seconds that a call may take; policy's drops are known at once
_BACKLOG = 128
_TEXT = "text/plain; charset=utf-8"
_JSON = "application/json"

Settings = dict[str, Any]


class Page(NamedTuple):
    """An answer: a status, a body, and what else its head says."""

    status: int
    body: str
    fields: tuple[tuple[str, str], ...] = (("Content-Type", _TEXT),)


class Asked(NamedTuple):
    """A request: its path with the query, its body, the host asked for, and who asks."""

    path: str
    body: str
    host: str
    caller: str


def text(body: str, status: int = 200) -> Page:
    """A page of plain text."""
    return Page(status, body)


def document(value: object) -> Page:
    """A page of JSON."""
    return Page(200, json.dumps(value), (("Content-Type", _JSON),))


def redirection(url: str) -> Page:
    """A page that sends a browser on."""
    return Page(302, "", (("Location", url),))


def serve(answer: Callable[[Settings, Asked], Page]) -> None:
    """Answer requests for ever, with settings from the file that is the only argument."""
    settings: Settings = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            address, port = self.client_address[:2]
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            asked = Asked(self.path, body, self.headers["Host"], f"{address}:{port}")
            page = answer(settings, asked)
            self.send_response(page.status)
            for name, value in (*page.fields, ("Content-Length", str(len(page.body.encode())))):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(page.body.encode())

        do_POST = do_GET  # noqa: N815 - the name that http.server looks for

        def log_message(self, *_: object) -> None:
            """Keep the log to what was passed on."""

    class Server(ThreadingTCPServer):  # one for HTTP asks the DNS for its own name first
        request_queue_size = _BACKLOG
        allow_reuse_address = True
        daemon_threads = True

    Server(("", settings["port"]), Handler).serve_forever()


def call(caller: str, url: str, body: str | None = None) -> Any:  # noqa: ANN401 - any JSON value
    """Ask another server because of a caller, and say so in the log.

    Raises:
        OSError: nobody answers, or not with a document.
    """
    place = urlsplit(url)
    there = place.hostname or "", place.port or 80
    with socket.socket() as sock:
        sock.settimeout(PATIENCE)
        sock.bind(("", 0))  # the port is known, and told, before anybody answers
        own = sock.getsockname()[1]
        print(f"{caller} -> 0.0.0.0:{own} -> {there[0]}:{there[1]} opened", flush=True)  # noqa: T201 - its log
        sock.connect(there)
        connection = HTTPConnection(*there)
        connection.sock = sock
        path = f"{place.path or '/'}?{place.query}" if place.query else place.path or "/"
        connection.request("GET" if body is None else "POST", path, body)
        return _document(connection.getresponse())


def _document(answer: HTTPResponse) -> Any:  # noqa: ANN401 - any JSON value
    if answer.status != 200 or not answer.headers["Content-Type"].startswith(_JSON):  # noqa: PLR2004
        raise OSError(f"HTTP status {answer.status}")
    return json.loads(answer.read())
