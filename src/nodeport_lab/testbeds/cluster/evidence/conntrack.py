"""The kernel's connection table: what a connection was translated to on its way.

An entry holds two tuples: as the client sent it, and as the answer comes back. Where they
are no mirror images an address was translated on this node (conntrack(8)). A connection
whose first packet was dropped has no entry, since entries are confirmed after the last
hook; so no entry says nothing, and is never read as a denial.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address

from nodeport_lab.model import Protocol

_PROTOCOLS = {"tcp": Protocol.TCP, "udp": Protocol.UDP}
_WORD = re.compile(r"(src|dst|sport|dport)=(\S+)")
_STATE = re.compile(r"^[A-Z][A-Z_0-9]+$")
_TUPLE = ("src", "dst", "sport", "dport")


@dataclass(frozen=True, slots=True)
class Tuple:
    """One direction of a connection; both ends are `address:port`."""

    source: str
    destination: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A connection as a node knows it.

    Attributes:
        protocol: TCP or UDP.
        state: of TCP (`ESTABLISHED`, `SYN_SENT`); None for UDP.
        original: as the client sent it.
        reply: as the answer comes back to this node.
        answered: whether a packet came back.
    """

    protocol: Protocol
    state: str | None
    original: Tuple
    reply: Tuple
    answered: bool

    @property
    def destination(self) -> str:
        """Where this node sent the connection: the pod's `address:port` after translation."""
        return self.reply.source

    @property
    def source(self) -> str:
        """As whom it sent it: the node's own address after a masquerade."""
        return self.reply.destination


def parse(text: str) -> tuple[Entry, ...]:
    """The TCP and UDP connections over IPv4 of `conntrack -L` or `/proc/net/nf_conntrack`.

    Both write `[ipv4 2] tcp 6 431999 ESTABLISHED src=… dst=… sport=… dport=… [UNREPLIED]
    src=… dst=… sport=… dport=… [ASSURED] …` (the first two words only with `-o extended`,
    and in /proc); what else stands in a line is left out, and lines of another form are.
    """
    return tuple(entry for line in text.splitlines() for entry in _entry(line))


def find(
    entries: Iterable[Entry], protocol: Protocol, source: str, destination: str
) -> Entry | None:
    """The entry of a connection by what the client knows of it; None unless there is one.

    Args:
        entries: of the client's node.
        protocol: of the connection.
        source: the client's `address:port`.
        destination: the `address:port` that it dialled.
    """
    found = [
        entry
        for entry in entries
        if entry.protocol is protocol and entry.original == Tuple(source, destination)
    ]
    return found[0] if len(found) == 1 else None


def _entry(line: str) -> Iterator[Entry]:
    words = line.split()
    protocol = next((_PROTOCOLS[word] for word in words[:3] if word in _PROTOCOLS), None)
    fields = _WORD.findall(line)
    if protocol is None or [name for name, _ in fields[:8]] != [*_TUPLE, *_TUPLE]:
        return
    values = [value for _, value in fields]
    if not all(map(is_ipv4, (*values[0:2], *values[4:6]))):
        return
    first = next(number for number, word in enumerate(words) if word.startswith("src="))
    state = next((word for word in words[:first] if _STATE.fullmatch(word)), None)
    yield Entry(
        protocol,
        state,
        original=_tuple(*values[0:4]),
        reply=_tuple(*values[4:8]),
        answered="[UNREPLIED]" not in words,
    )


def _tuple(source: str, destination: str, source_port: str, destination_port: str) -> Tuple:
    return Tuple(f"{source}:{source_port}", f"{destination}:{destination_port}")


def is_ipv4(text: str) -> bool:
    """Whether a text is an IPv4 address."""
    try:
        IPv4Address(text)
    except ValueError:
        return False
    return True
