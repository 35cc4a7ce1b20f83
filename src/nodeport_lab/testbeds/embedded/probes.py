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
AT_ONCE = 500  # sockets open at the same time
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_REFUSALS = (ConnectionRefusedError,)


@dataclass(frozen=True, slots=True)
class Flow:
    """What to dial: from which namespace and address to which address and port."""

    namespace: str
    source: str
    destination: str
    port: int


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
        sock, port = _open(opened[flow.namespace], flow.source, ports)
        task = asyncio.ensure_future(dial(number, sock, port))
        running.add(task)
        task.add_done_callback(running.discard)
    if running:
        await asyncio.gather(*running)
    return [attempts[number] for number in range(len(flows))]


def _open(namespace: int, address: str, ports: Iterator[int]) -> tuple[socket.socket, int]:
    with namespaces.inside(namespace):
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    # A reset instead of a farewell: nothing is left waiting in TIME_WAIT.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    while True:
        port = next(ports)
        try:
            sock.bind((address, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                sock.close()
                raise
        else:
            return sock, port


async def _dial(sock: socket.socket, flow: Flow, port: int, deadline: float) -> Attempt:
    loop = asyncio.get_running_loop()
    start = time.perf_counter()
    end, detail = "answered", None
    try:
        async with asyncio.timeout(deadline):
            await loop.sock_connect(sock, (flow.destination, flow.port))
            await loop.sock_sendall(sock, REQUEST % flow.destination.encode())
            answer = b""
            while chunk := await loop.sock_recv(sock, 4096):
                answer += chunk
    except TimeoutError:
        end = "silent"
    except _REFUSALS:
        end = "refused"
    except OSError as error:
        end, detail = "failed", f"{error.strerror or error} (errno {error.errno})"
    else:
        if not (answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(ANSWER)):
            end, detail = "failed", f"unexpected answer {answer[:60]!r}"
    finally:
        sock.close()
    return Attempt(end, port, (time.perf_counter() - start) * 1000, detail)
