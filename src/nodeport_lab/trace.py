"""Reading the kernel's own trace: what `nft monitor trace` says, as events and passages.

One line per event: a packet as a base chain sees it, a rule that matched, or the policy
of the chain. Format: nft(8), "MONITOR", as printed by nftables 1.0.2 to 1.1. A passage is
all that one packet met in one network namespace.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from nodeport_lab.testbeds.embedded.tracing import ARRIVED, LEFT, RECEIVED, SENT, TABLE

_LINE = re.compile(
    r"trace id (?P<id>\w+) ip (?P<table>\S+) (?P<chain>\S+) "
    r"(?P<kind>packet:|rule|policy|verdict) ?(?P<text>.*)"
)
_VERDICT = re.compile(r"\(verdict (?P<verdict>[a-z]+)")
_ADDRESSES = re.compile(
    r"ip saddr (?P<source>\S+) ip daddr (?P<destination>\S+).*? ip ttl (?P<ttl>\d+) "
    r"ip id (?P<id>\d+).*? (?P<protocol>tcp|udp) sport (?P<sport>\d+) \w+ dport (?P<dport>\d+)"
)
_INTERFACE = re.compile(r'\b(?P<direction>[io]if) "(?P<name>[^"]+)"')
# Only the first segment of a connection has this flag and no other.
_SYN_ALONE = re.compile(r"\btcp flags (== )?syn(?! *\|)")


class EventKind(StrEnum):
    """What an event tells."""

    PACKET = "packet"
    RULE = "rule"
    POLICY = "policy"


@dataclass(frozen=True, slots=True)
class Tuple:
    """Addresses of a packet: both as `address:port`."""

    protocol: str
    source: str
    destination: str

    @property
    def source_port(self) -> str:
        """The port of the client."""
        return self.source.rpartition(":")[2]


@dataclass(frozen=True, slots=True)
class Header:
    """A packet as a base chain sees it.

    Attributes:
        addresses: where it comes from and goes to.
        ttl: how many more routers it may pass; each one takes one away.
        number: the packet's own, the same on its whole way.
        arrived_by: interface on which it came in; None if it was made here.
        leaves_by: interface on which it goes out; None before that is decided.
        opens: whether it may begin a connection: a SYN, or any datagram.
    """

    addresses: Tuple
    ttl: int
    number: int
    arrived_by: str | None
    leaves_by: str | None
    opens: bool


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a trace.

    Attributes:
        packet: the kernel's number for this packet; a later packet may get it again.
        table: nftables table.
        chain: chain in it.
        kind: packet, rule or policy.
        text: the packet's header, the rule, or the policy's verdict, as nft prints it.
        line: the whole line.
        verdict: `accept`, `drop`, `continue`, ... of a rule or policy.
        header: of a packet with ports.
    """

    packet: str
    table: str
    chain: str
    kind: EventKind
    text: str
    line: str
    verdict: str | None = None
    header: Header | None = None

    @property
    def addresses(self) -> Tuple | None:
        """Of a packet with ports."""
        return self.header.addresses if self.header else None


class End(StrEnum):
    """How a packet's passage through a namespace ended."""

    LEFT = "left"
    ARRIVED = "arrived"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Passage:
    """What one packet met in one namespace, from its entry on; at least one event."""

    events: tuple[Event, ...]

    @property
    def entry(self) -> Header | None:
        """The packet when it came in or was made; None for a packet without ports."""
        return self.events[0].header

    @property
    def sent_here(self) -> bool:
        """Whether a process of this namespace made the packet."""
        return self.events[0].chain == SENT

    @property
    def end(self) -> End:
        """Whether it left again, arrived at a process, or did neither."""
        chains = {event.chain for event in self.events if event.table == TABLE}
        if LEFT in chains:
            return End.LEFT
        return End.ARRIVED if ARRIVED in chains else End.LOST


def parse(text: str) -> Iterator[Event]:
    """The events of a trace, in order; lines of another form are passed over."""
    for line in text.splitlines():
        found = _LINE.match(line)
        if found is None:
            continue
        kind = found["kind"].removesuffix(":")
        shown = found["text"].strip()
        yield Event(
            packet=found["id"],
            table=found["table"],
            chain=found["chain"],
            kind=EventKind.POLICY if kind == "verdict" else EventKind(kind),
            text=shown,
            line=line.rstrip(),
            verdict=_verdict(kind, shown),
            header=_header(shown) if kind == "packet" else None,
        )


def passages(text: str) -> tuple[Passage, ...]:
    """The trace of one namespace, packet by packet, in the order in which packets came.

    A packet's number is not enough to tell: the kernel gives it to later packets, too.
    """
    found: list[list[Event]] = []
    current: dict[str, list[Event]] = {}
    for event in parse(text):
        if _enters(event):
            current[event.packet] = [event]
            found.append(current[event.packet])
        elif event.packet in current:
            current[event.packet].append(event)
    return tuple(Passage(tuple(some)) for some in found)


def way(
    told: Mapping[str, Sequence[Passage]], start: str, destination: str, protocol: str
) -> tuple[tuple[str, Passage], ...]:
    """The way of the first packet that somebody sent somewhere: place after place.

    Every namespace tells its own story; what joins them is in the packet itself, its
    number and its client's port. The time to live orders them: it shrinks from node to node.

    Args:
        told: place -> the passages that were traced there.
        start: where it was sent.
        destination: `address:port` that was dialled.
        protocol: `tcp` or `udp`.
    """
    openings = [
        (place, passage, passage.entry)
        for place, some in told.items()
        for passage in some
        if passage.entry is not None
        and passage.entry.opens
        and passage.entry.addresses.protocol == protocol
    ]
    first = next(
        (
            entry
            for place, passage, entry in openings
            if place == start and passage.sent_here and entry.addresses.destination == destination
        ),
        None,
    )
    if first is None:
        return ()
    mine = [
        (place, passage, entry)
        for place, passage, entry in openings
        if entry.number == first.number
        and entry.addresses.source_port == first.addresses.source_port
    ]
    mine.sort(key=lambda each: (-each[2].ttl, not each[1].sent_here))
    return tuple((place, passage) for place, passage, _ in mine)


def _enters(event: Event) -> bool:
    return (
        event.kind is EventKind.PACKET and event.table == TABLE and event.chain in {RECEIVED, SENT}
    )


def _verdict(kind: str, text: str) -> str | None:
    if kind == "policy":
        return text.partition(" ")[0]
    found = _VERDICT.search(text)
    return found["verdict"] if found else None


def _header(text: str) -> Header | None:
    found = _ADDRESSES.search(text)
    if found is None:
        return None
    interfaces = {each["direction"]: each["name"] for each in _INTERFACE.finditer(text)}
    return Header(
        addresses=Tuple(
            found["protocol"],
            f"{found['source']}:{found['sport']}",
            f"{found['destination']}:{found['dport']}",
        ),
        ttl=int(found["ttl"]),
        number=int(found["id"]),
        arrived_by=interfaces.get("iif"),
        leaves_by=interfaces.get("oif"),
        opens=found["protocol"] == "udp" or _SYN_ALONE.search(text) is not None,
    )
