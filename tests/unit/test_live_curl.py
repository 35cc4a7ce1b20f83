"""One parallel curl for many targets, tried with the real curl against sockets on loopback."""

from __future__ import annotations

import json
import random
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

import pytest

from nodeport_lab.model import Verdict
from nodeport_lab.testbeds.cluster.curl import Attempt, Target, commands, read

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
HERE = "127.0.0.1"


class Hello(BaseHTTPRequestHandler):
    """Answers `/` as the server of the book does; notes from where it was called."""

    protocol_version = "HTTP/1.1"
    callers: list[int]

    def do_GET(self) -> None:
        """Answer."""
        type(self).callers.append(self.client_address[1])
        self.send_response(200)
        self.send_header("Content-Length", "13")
        self.end_headers()
        self.wfile.write(b"Hello World!\n")

    def log_message(self, *_args: object) -> None:
        """Stay quiet."""


class Unwell(Hello):
    """Answers with a status that no server of the book has."""

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(503)
        self.send_header("Content-Length", "0")
        self.end_headers()


@dataclass(frozen=True)
class Ports:
    """Ports on loopback that behave in the ways that a probe may meet."""

    hello: int
    unwell: int
    full: int
    dumb: int
    closed: int


@pytest.fixture(scope="module")
def ports() -> Iterator[Ports]:
    """Servers, a socket whose queue is full, one that never answers, one nobody has."""
    with ExitStack() as stack:

        def serve(handler: type[BaseHTTPRequestHandler]) -> int:
            server = stack.enter_context(ThreadingHTTPServer((HERE, 0), handler))
            threading.Thread(target=server.serve_forever, daemon=True).start()
            stack.callback(server.shutdown)
            return int(server.server_address[1])

        def listening(backlog: int) -> int:
            sock = stack.enter_context(socket.socket())
            sock.bind((HERE, 0))
            sock.listen(backlog)
            return int(sock.getsockname()[1])

        Hello.callers = []
        full = listening(0)
        for _ in range(3):  # the kernel drops further SYNs, as a policy does
            caller = stack.enter_context(socket.socket())
            caller.setblocking(False)  # noqa: FBT003 - its only argument
            caller.connect_ex((HERE, full))
        with socket.socket() as nobody:
            nobody.bind((HERE, 0))
            closed = int(nobody.getsockname()[1])
        yield Ports(serve(Hello), serve(Unwell), full, listening(5), closed)


source_ports = count(random.randrange(10000, 29000))  # noqa: S311 - those of the last run may linger


def targets(*dialled: int) -> list[Target]:
    """Targets on loopback, with source ports that nobody has."""
    return [Target(HERE, port, next(source_ports)) for port in dialled]


def dial(some: Sequence[Target], deadline: float = 0.4) -> list[Attempt]:
    """Run the commands and read their results."""
    attempts: list[Attempt] = []
    for batch, command in commands(some, deadline):
        ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
        attempts += read(batch, ended.stdout, ended.stderr, None)
    return attempts


def test_each_way_of_ending_has_its_verdict(ports: Ports) -> None:
    """Answered, refused, dropped, accepted and silent, and a wrong answer, in one command."""
    some = targets(ports.hello, ports.closed, ports.full, ports.dumb, ports.unwell)

    allowed, refused, silent, dumb, unwell = dial(some)

    assert Attempt(Verdict.ALLOWED, allowed.elapsed_ms, HERE) == allowed
    assert Verdict.REFUSED is refused.verdict
    assert Verdict.TIMEOUT is silent.verdict
    assert 390 <= silent.elapsed_ms < 1500
    assert (Verdict.ERROR, "connected, and no answer came in time") == (dumb.verdict, dumb.detail)
    assert "unexpected answer: HTTP status 503" == unwell.detail


def test_the_source_port_is_the_one_that_was_asked_for(ports: Ports) -> None:
    """What a hook records is joined with the probe by its source port."""
    some = targets(ports.hello, ports.hello)

    assert {Verdict.ALLOWED} == {attempt.verdict for attempt in dial(some)}
    assert {target.source_port for target in some} <= set(Hello.callers)


def test_a_source_port_in_use_is_an_error_and_never_a_denial(ports: Ports) -> None:
    """Another process has the port: curl cannot bind it, and no packet was sent."""
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))  # noqa: S104 - curl binds the same
        taken.listen()
        (attempt,) = dial([Target(HERE, ports.hello, taken.getsockname()[1])])

    assert Verdict.ERROR is attempt.verdict
    assert attempt.port_in_use


def test_two_hundred_silent_targets_take_one_deadline_per_command(ports: Ports) -> None:
    """Probes of one command wait together."""
    some = targets(*[ports.full] * 30)

    attempts = dial(some, 0.5)

    assert {Verdict.TIMEOUT} == {attempt.verdict for attempt in attempts}
    assert max(attempt.elapsed_ms for attempt in attempts) < 1500


def test_long_commands_are_split_and_every_target_is_dialled_once() -> None:
    """A request's URL has a limit; no target may be lost on the cut."""
    some = [Target(f"10.0.{number // 250}.{number % 250}", 30080, 20000) for number in range(700)]

    parts = list(commands(some, 0.5))

    assert some == [target for batch, _ in parts for target in batch]
    assert len(parts) > 1
    for _, command in parts:
        assert sum(len(argument) for argument in command) < 6000
        assert "--next" not in command[command.index("--verbose") : command.index("--silent")]


def test_a_single_target_is_dialled_however_short_the_limit() -> None:
    """A limit never makes an empty command."""
    assert 2 == len(list(commands(targets(1, 2), 0.5, longest=1)))


LINE = {"exitcode": 0, "response_code": 200, "time_connect": 0.1, "time_total": 0.2}


def reading(*lines: str, stderr: str = "", failure: str | None = None) -> list[Attempt]:
    """What is read for two targets."""
    two = [Target("10.0.0.1", 80, 10000), Target("10.0.0.2", 80, 10001)]
    return read(two, "\n".join(lines), stderr, failure)


def test_a_missing_or_broken_line_is_an_error() -> None:
    """The exec broke off in the middle: what is known counts, the rest is no denial."""
    cut = "1 " + json.dumps(LINE)[:20]

    first, second = reading("0 " + json.dumps(LINE), cut, failure="the connection broke")

    assert Verdict.ALLOWED is first.verdict
    assert (Verdict.ERROR, "the connection broke") == (second.verdict, second.detail)


def test_output_that_is_no_curl_at_all_is_an_error() -> None:
    """A shell's complaint, a number alone, a list: nothing of it is a result."""
    attempts = reading("sh: curl: not found", "0", "0 []", "0 {}", stderr="curl: (2) no URL\n")

    assert {Verdict.ERROR} == {attempt.verdict for attempt in attempts}
    assert "curl said nothing of it (curl: (2) no URL)" == attempts[0].detail


NOT_CONNECTED = {"exitcode": 7, "time_connect": 0, "time_total": 0.01}
OLD = "* connect to 10.0.0.1 port 80 failed: %s\n"  # curl 7.88
NEW = "* connect to 10.0.0.1 port 80 from 10.244.1.5 port 10000 failed: %s\n"  # curl 8


@pytest.mark.parametrize("form", [OLD, NEW])
@pytest.mark.parametrize(
    ("reason", "verdict"),
    [
        ("Connection refused", Verdict.REFUSED),
        ("No route to host", Verdict.ERROR),
        ("Host is unreachable", Verdict.ERROR),  # musl's words
        ("Network unreachable", Verdict.ERROR),
        ("Permission denied", Verdict.ERROR),
    ],
)
def test_only_a_refused_connection_is_refused(form: str, reason: str, verdict: Verdict) -> None:
    """Whoever prohibits a way is not a server without a listener; as on the embedded testbed."""
    attempt, _ = reading("0 " + json.dumps(NOT_CONNECTED), stderr=form % reason)

    assert verdict is attempt.verdict
    assert attempt.detail in {None, reason}


def test_without_a_reason_a_failed_connection_is_an_error() -> None:
    """Not said, or said twice and differently: it is not guessed."""
    line = "0 " + json.dumps(NOT_CONNECTED)
    both = OLD % "Connection refused" + OLD % "No route to host"

    assert Verdict.ERROR is reading(line)[0].verdict
    assert Verdict.ERROR is reading(line, stderr=both)[0].verdict


def test_reasons_of_one_address_are_told_apart_by_source_port() -> None:
    """Two probes of the same target, as by two Services with the same backend."""
    two = [Target("10.0.0.1", 80, 10000), Target("10.0.0.1", 80, 10001)]
    stdout = "\n".join(f"{number} {json.dumps(NOT_CONNECTED)}" for number in range(2))
    stderr = NEW % "Connection refused" + NEW.replace("10000", "10001") % "No route to host"

    first, second = read(two, stdout, stderr, None)

    assert Verdict.REFUSED is first.verdict
    assert "No route to host" == second.detail


def test_any_other_code_of_curl_is_an_error_with_its_message() -> None:
    """For example an empty reply."""
    line = {**LINE, "exitcode": 52, "errormsg": "Empty reply from server"}

    attempt, _ = reading("0 " + json.dumps(line))

    assert "curl ended with code 52: Empty reply from server" == attempt.detail
