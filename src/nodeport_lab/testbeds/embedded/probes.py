"""Probes: real connections from inside pods, all driven by one event loop.

A probe over TCP is one HTTP request, and one more for each redirection, as a browser does.

A socket stays in the namespace in which it was made, so each one is made inside the
client's namespace and used from outside. Every probe binds a source port of its own;
by it, its packets are recognised at every hook.
"""

from __future__ import annotations

import asyncio
import errno
import itertools
import socket
import struct
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from nodeport_lab.testbeds.embedded import namespaces

REQUEST = b"GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n"
HTTP = 80
HTTP_OK = 200
MOST_REDIRECTIONS = 5
_REDIRECTIONS = frozenset({301, 302, 303, 307, 308})
_LONGEST_DETAIL = 200  # characters
ANSWER = b"Hello World!\n"
DATAGRAM = b"echo nodeport-lab"
ECHO = b"nodeport-lab"
DATAGRAMS = 3  # one may be lost, none is a reason to call a path closed
AT_ONCE = 500  # sockets open at the same time
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_REFUSALS = (ConnectionRefusedError,)


@dataclass(frozen=True, slots=True)
class Flow:
    """What to dial: from which namespace, to which address and port, over TCP or UDP."""

    namespace: str
    destination: str
    port: int
    protocol: str = "TCP"


@dataclass(frozen=True, slots=True)
class Attempt:
    """How dialling ended.

    Attributes:
        end: `answered`, `silent`, `refused` or `failed`.
        source_port: of the first connection.
        elapsed_ms: from dialling to the end.
        detail: what was wrong with the answer, or what failed.
        redirected: source ports of the connections that redirections led to.
        by_proxy: source ports of those whose answer a proxy passed on (RFC 9110, Via).
    """

    end: str
    source_port: int
    elapsed_ms: float
    detail: str | None = None
    redirected: tuple[int, ...] = ()
    by_proxy: tuple[int, ...] = ()


@dataclass(slots=True)
class _Trail:
    """How a probe goes on where it is redirected, and what it leaves on its way.

    Attributes:
        another: makes a socket more where the first one was made; with its source port.
        names: host name -> address.
        redirected: see Attempt, as well as `by_proxy`; told also where a probe is cut short.
    """

    another: Callable[[], tuple[socket.socket, int]]
    names: Mapping[str, str]
    redirected: list[int] = field(default_factory=list)
    by_proxy: list[int] = field(default_factory=list)


def source_ports() -> Iterator[int]:
    """Ports for clients, without the node port range; the first comes back after 61,000."""
    return itertools.cycle([*range(1024, 30000), *range(32768, 65536)])


async def dial_all(
    flows: Sequence[Flow],
    opened: dict[str, int],
    ports: Iterator[int],
    deadline: float,
    names: Mapping[str, str] | None = None,
) -> list[Attempt]:
    """Dial every flow, many at once.

    Args:
        flows: what to dial.
        opened: namespace name -> descriptor.
        ports: where unused source ports come from.
        deadline: seconds that each connection and answer may take together.
        names: host name -> address, for redirections.

    Returns:
        one attempt per flow, in the same order.
    """
    attempts: dict[int, Attempt] = {}
    waiting = iter(sorted(range(len(flows)), key=lambda number: flows[number].namespace))
    gate = asyncio.Semaphore(AT_ONCE)
    running: set[asyncio.Task[None]] = set()

    async def dial(number: int, sock: socket.socket, port: int) -> None:
        flow = flows[number]

        def another() -> tuple[socket.socket, int]:
            return _open(opened[flow.namespace], flow.protocol, ports)

        try:
            trail = _Trail(another, names or {})
            attempts[number] = await _dial(sock, flow, port, deadline, trail)
        finally:
            gate.release()

    for number in waiting:
        await gate.acquire()
        flow = flows[number]
        sock, port = _open(opened[flow.namespace], flow.protocol, ports)
        task = asyncio.ensure_future(dial(number, sock, port))
        running.add(task)
        task.add_done_callback(running.discard)
    if running:
        await asyncio.gather(*running)
    return [attempts[number] for number in range(len(flows))]


def _open(namespace: int, protocol: str, ports: Iterator[int]) -> tuple[socket.socket, int]:
    kind = socket.SOCK_DGRAM if protocol == "UDP" else socket.SOCK_STREAM
    with namespaces.inside(namespace):
        sock = socket.socket(socket.AF_INET, kind | socket.SOCK_NONBLOCK)
    # A reset instead of a farewell: nothing is left waiting in TIME_WAIT.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    while True:
        port = next(ports)
        try:
            sock.bind(("0.0.0.0", port))  # noqa: S104 - the route decides on the address
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                sock.close()
                raise
        else:
            return sock, port


async def _dial(
    sock: socket.socket, flow: Flow, port: int, deadline: float, trail: _Trail
) -> Attempt:
    start = time.perf_counter()
    end, detail = "answered", None
    try:
        async with asyncio.timeout(deadline):
            if flow.protocol == "UDP":
                detail = await _datagrams(sock, flow, deadline)
            else:
                detail = await _pages(sock, flow, port, trail)
    except TimeoutError:
        end = "silent"
    except _REFUSALS:
        end = "refused"
    except OSError as error:
        end, detail = "failed", f"{error.strerror or error} (errno {error.errno})"
    else:
        end = "failed" if detail else "answered"
    finally:
        sock.close()
    elapsed = (time.perf_counter() - start) * 1000
    return Attempt(end, port, elapsed, detail, tuple(trail.redirected), tuple(trail.by_proxy))


async def _pages(sock: socket.socket, flow: Flow, port: int, trail: _Trail) -> str | None:
    """A page, and those to which it redirects; returns what was wrong with the last one."""
    host = flow.destination if flow.port == HTTP else f"{flow.destination}:{flow.port}"
    answer = await _request(sock, (flow.destination, flow.port), host, "/")
    while True:
        head, _, body = answer.partition(b"\r\n\r\n")
        status, fields = _read_head(head)
        if "via" in fields:
            trail.by_proxy.append(port)
        if status not in _REDIRECTIONS or len(trail.redirected) == MOST_REDIRECTIONS:
            break
        place = urlsplit(fields.get("location", ""))
        host = place.hostname or ""
        sock, port = trail.another()
        trail.redirected.append(port)
        path = f"{place.path or '/'}?{place.query}" if place.query else place.path or "/"
        with sock:
            address = (trail.names.get(host, host), place.port or HTTP)
            answer = await _request(sock, address, place.netloc, path)
    if status == HTTP_OK and body == ANSWER:
        return None
    fault = f"unexpected answer: HTTP status {status}" if status else "unexpected answer"
    if not fields.get("content-type", "").startswith("text/plain"):
        return fault  # a page for people, which says no more
    said = body.decode(errors="replace").strip().partition("\n")[0]
    return f"{fault}: {said[:_LONGEST_DETAIL]}"


def _read_head(head: bytes) -> tuple[int, dict[str, str]]:
    """Status and fields of an answer; the status is 0 where it is no HTTP."""
    first, *lines = head.decode(errors="replace").split("\r\n")
    words = first.split()
    status = int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
    fields = (line.partition(":") for line in lines)
    return status, {name.lower(): value.strip() for name, _, value in fields}


async def _request(sock: socket.socket, address: tuple[str, int], host: str, path: str) -> bytes:
    """One HTTP request and everything that comes back."""
    loop = asyncio.get_running_loop()
    await loop.sock_connect(sock, address)
    await loop.sock_sendall(sock, REQUEST % (path.encode(), host.encode()))
    answer = b""
    while chunk := await loop.sock_recv(sock, 4096):
        answer += chunk
    return answer


async def _datagrams(sock: socket.socket, flow: Flow, deadline: float) -> str | None:
    """Up to three datagrams until one comes back; a connected socket hears of refusals."""
    loop = asyncio.get_running_loop()
    await loop.sock_connect(sock, (flow.destination, flow.port))
    while True:
        await loop.sock_sendall(sock, DATAGRAM)
        try:
            async with asyncio.timeout(deadline / DATAGRAMS):
                answer = await loop.sock_recv(sock, 4096)
        except TimeoutError:
            continue  # the outer deadline ends this
        return None if answer == ECHO else f"unexpected answer {answer[:60]!r}"
