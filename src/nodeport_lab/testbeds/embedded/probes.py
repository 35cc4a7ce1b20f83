"""Probes: real connections from inside pods, all driven by one event loop.

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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nodeport_lab.testbeds.embedded import namespaces

REQUEST = b"GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n"
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
    """How dialling ended: `answered`, `silent`, `refused` or `failed` (with a detail)."""

    end: str
    source_port: int
    elapsed_ms: float
    detail: str | None = None


def source_ports() -> Iterator[int]:
    """Ports for clients, without the node port range; the first comes back after 61,000."""
    return itertools.cycle([*range(1024, 30000), *range(32768, 65536)])


async def dial_all(
    flows: Sequence[Flow], opened: dict[str, int], ports: Iterator[int], deadline: float
) -> list[Attempt]:
    """Dial every flow, many at once.

    Args:
        flows: what to dial.
        opened: namespace name -> descriptor.
        ports: where unused source ports come from.
        deadline: seconds that each connection and answer may take together.

    Returns:
        one attempt per flow, in the same order.
    """
    attempts: dict[int, Attempt] = {}
    waiting = iter(sorted(range(len(flows)), key=lambda number: flows[number].namespace))
    gate = asyncio.Semaphore(AT_ONCE)
    running: set[asyncio.Task[None]] = set()

    async def dial(number: int, sock: socket.socket, port: int) -> None:
        try:
            attempts[number] = await _dial(sock, flows[number], port, deadline)
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


async def _dial(sock: socket.socket, flow: Flow, port: int, deadline: float) -> Attempt:
    loop = asyncio.get_running_loop()
    start = time.perf_counter()
    exchange = _datagrams if flow.protocol == "UDP" else _request
    end, detail = "answered", None
    try:
        async with asyncio.timeout(deadline):
            detail = await exchange(loop, sock, flow, deadline)
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
    return Attempt(end, port, (time.perf_counter() - start) * 1000, detail)


async def _request(
    loop: asyncio.AbstractEventLoop, sock: socket.socket, flow: Flow, _deadline: float
) -> str | None:
    """One HTTP request; returns what was wrong with the answer."""
    await loop.sock_connect(sock, (flow.destination, flow.port))
    await loop.sock_sendall(sock, REQUEST % flow.destination.encode())
    answer = b""
    while chunk := await loop.sock_recv(sock, 4096):
        answer += chunk
    if answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(ANSWER):
        return None
    return f"unexpected answer {answer[:60]!r}"


async def _datagrams(
    loop: asyncio.AbstractEventLoop, sock: socket.socket, flow: Flow, deadline: float
) -> str | None:
    """Up to three datagrams until one comes back; a connected socket hears of refusals."""
    await loop.sock_connect(sock, (flow.destination, flow.port))
    while True:
        await loop.sock_sendall(sock, DATAGRAM)
        try:
            async with asyncio.timeout(deadline / DATAGRAMS):
                answer = await loop.sock_recv(sock, 4096)
        except TimeoutError:
            continue  # the outer deadline ends this
        return None if answer == ECHO else f"unexpected answer {answer[:60]!r}"
