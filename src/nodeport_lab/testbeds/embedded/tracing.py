"""The kernel's own account: `nft monitor trace`, running while probes travel."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from nodeport_lab.testbeds.embedded import namespaces, netfilter

TABLE = "lab-trace"
RECEIVED, SENT = "prerouting", "output"
"""Chains of the table that every packet enters a namespace by."""
ARRIVED, LEFT = "input", "postrouting"
"""Chains that packets meet last, translated and allowed, if they come that far."""


def _base_chain(hook: str, priority: int, rule: str = "") -> list[str]:
    declaration = f"type filter hook {hook} priority {priority}; policy accept;"
    return [f"  chain {hook} {{", f"    {declaration}", f"    {rule}", "  }"]


_RULESET = "\n".join(
    [
        f"table ip {TABLE} {{",
        *(
            line
            for hook in (RECEIVED, SENT)
            for line in _base_chain(hook, -300, "meta nftrace set 1")
        ),
        *(line for hook in (ARRIVED, LEFT) for line in _base_chain(hook, 300)),
        "}\n",
    ]
)
_BEACON = "127.0.0.1"
_FIRST_BEACON, _LAST_BEACON = 9, 7  # ports that nothing else in a lab dials
_BEACON_EVERY = 0.01  # seconds
_GIVE_UP = 500  # beacons


class Tracer:
    """Traces every packet of some namespaces from `ready` to `collect`.

    nft says neither when it has begun to listen nor when it has told everything, so a
    packet of ours to the loopback address is sent until it shows up, before and after.
    """

    def __init__(self, opened: Mapping[str, int]) -> None:
        """Trace in these namespaces: name -> descriptor."""
        self._opened = opened
        self._monitors: dict[str, subprocess.Popen[bytes]] = {}
        self._heard: dict[str, bytes] = {}

    def __enter__(self) -> Self:
        """Load the rules that mark packets and start the monitors."""
        self._load(_RULESET)
        for name, namespace in self._opened.items():
            monitor = netfilter.start(namespace, "monitor", "trace")
            os.set_blocking(_output(monitor), False)
            self._monitors[name] = monitor
            self._heard[name] = b""
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Stop the monitors and remove the rules."""
        for monitor in self._monitors.values():
            monitor.kill()
            monitor.communicate()
        self._load(f"delete table ip {TABLE}\n")

    async def ready(self) -> None:
        """Return once every monitor listens."""
        await self._beacon(_FIRST_BEACON)
        self._heard = dict.fromkeys(self._heard, b"")

    async def collect(self) -> dict[str, str]:
        """What the kernel told since `ready`: namespace name -> nft's text."""
        await self._beacon(_LAST_BEACON)
        return {name: heard.decode() for name, heard in self._heard.items()}

    def _load(self, text: str) -> None:
        netfilter.load(self._opened, {name: [text] for name in self._opened})

    async def _beacon(self, port: int) -> None:
        wanted = f"udp dport {port} ".encode()
        for _ in range(_GIVE_UP):
            silent = [name for name, heard in self._heard.items() if wanted not in heard]
            if not silent:
                return
            for name in silent:
                with namespaces.inside(self._opened[name]):
                    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                with sock:
                    sock.sendto(b"", (_BEACON, port))
            await asyncio.sleep(_BEACON_EVERY)
            for name in silent:
                self._heard[name] += _read(self._monitors[name])
        raise OSError(f"nft monitor trace told nothing in {', '.join(silent)}")


def _output(monitor: subprocess.Popen[bytes]) -> int:
    assert monitor.stdout is not None  # noqa: S101 - narrows the type
    return monitor.stdout.fileno()


def _read(monitor: subprocess.Popen[bytes]) -> bytes:
    told = b""
    while True:
        try:
            chunk = os.read(_output(monitor), 1 << 16)
        except BlockingIOError:
            return told
        if not chunk:
            raise OSError("nft monitor trace ended")
        told += chunk
