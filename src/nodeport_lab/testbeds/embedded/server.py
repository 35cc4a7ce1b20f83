"""The stand-ins for servers: `Hello World!` over HTTP, an echo over UDP; they log callers.

The first takes the place of the image helloworld-go, which no image registry can be asked
for here: any path, the same body.
"""

from __future__ import annotations

import asyncio
import re
import socket
from typing import cast

from nodeport_lab.testbeds.embedded import namespaces
from nodeport_lab.testbeds.embedded.probes import ANSWER

RESPONSE = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(ANSWER), ANSWER)
)
_BACKLOG = 1024
_LONGEST_HEAD = 8192  # bytes of a request that are kept

Server = asyncio.Server | asyncio.DatagramTransport
"""What listens; `close` ends it."""

CallLog = dict[int, tuple[str, str, str | None]]
"""Caller's source port -> name of the pod that answered, `address:port` that it saw, and the
address that a proxy told it of (`X-Forwarded-For`)."""

_FORWARDED_FOR = re.compile(rb"^x-forwarded-for: *([0-9.]+)", re.IGNORECASE | re.MULTILINE)


class HelloWorld(asyncio.Protocol):
    """One connection to the server: one request, one answer."""

    def __init__(self, pod: str, log: CallLog) -> None:
        """Answer for `pod` and note callers in `log`."""
        self._pod = pod
        self._log = log
        self._received = b""
        self._caller = ("", 0)
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Log the caller."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - narrows the type
        self._transport = transport
        self._caller = transport.get_extra_info("peername")
        self._note(None)

    def data_received(self, data: bytes) -> None:
        """Answer once the request's head is complete."""
        self._received = (self._received + data)[-_LONGEST_HEAD:]
        if self._received.endswith(b"\r\n\r\n") and self._transport is not None:
            if told := _FORWARDED_FOR.search(self._received):
                self._note(told[1].decode())
            self._transport.write(RESPONSE)
            self._transport.close()

    def _note(self, forwarded_for: str | None) -> None:
        address, port = self._caller
        self._log[port] = (self._pod, f"{address}:{port}", forwarded_for)


class Echo(asyncio.DatagramProtocol):
    """The UDP server: `echo TEXT` is answered with TEXT, as the image agnhost does."""

    def __init__(self, pod: str, log: CallLog) -> None:
        """Answer for `pod` and note callers in `log`."""
        self._pod = pod
        self._log = log
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what answers are sent with."""
        # Not isinstance: asyncio's own transport does not derive from the class before 3.12.
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Log the caller and answer."""
        address, port = addr
        self._log[port] = (self._pod, f"{address}:{port}", None)
        if self._transport is not None:
            self._transport.sendto(data.removeprefix(b"echo "), addr)


async def listen(pod: str, namespace: int, port: int, protocol: str, log: CallLog) -> Server:
    """Serve on every address of a namespace."""
    datagrams = protocol == "UDP"
    with namespaces.inside(namespace):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if datagrams else socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("0.0.0.0", port))  # noqa: S104 - the namespace is the pod's own
    loop = asyncio.get_running_loop()
    if datagrams:
        sock.setblocking(False)  # noqa: FBT003 - its only argument
        transport, _ = await loop.create_datagram_endpoint(lambda: Echo(pod, log), sock=sock)
        return transport
    return await loop.create_server(lambda: HelloWorld(pod, log), sock=sock, backlog=_BACKLOG)
