"""The packet walk from the kernel's own trace: reading what `nft monitor trace` says.

One line per event: a packet as a base chain sees it, a rule that matched, or the policy
of the chain. Format: nft(8), "MONITOR", as printed by nftables 1.0.2 to 1.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

_LINE = re.compile(
    r"trace id (?P<id>\w+) ip (?P<table>\S+) (?P<chain>\S+) "
    r"(?P<kind>packet:|rule|policy|verdict) ?(?P<text>.*)"
)
_VERDICT = re.compile(r"\(verdict (?P<verdict>[a-z]+)")
_ADDRESSES = re.compile(
    r"ip saddr (?P<source>\S+) ip daddr (?P<destination>\S+).*? (?P<protocol>tcp|udp) "
    r"sport (?P<sport>\d+) \w+ dport (?P<dport>\d+)"
)


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


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a trace.

    Attributes:
        packet: the kernel's number for this packet in this namespace.
        table: nftables table.
        chain: chain in it.
        kind: packet, rule or policy.
        text: the packet's header, the rule, or the policy's verdict, as nft prints it.
        verdict: `accept`, `drop`, `continue`, ... of a rule or policy.
        addresses: of a packet with ports.
    """

    packet: str
    table: str
    chain: str
    kind: EventKind
    text: str
    verdict: str | None = None
    addresses: Tuple | None = None


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
            verdict=_verdict(kind, shown),
            addresses=_addresses(shown) if kind == "packet" else None,
        )


def _verdict(kind: str, text: str) -> str | None:
    if kind == "policy":
        return text.partition(" ")[0]
    found = _VERDICT.search(text)
    return found["verdict"] if found else None


def _addresses(text: str) -> Tuple | None:
    found = _ADDRESSES.search(text)
    if found is None:
        return None
    return Tuple(
        found["protocol"],
        f"{found['source']}:{found['sport']}",
        f"{found['destination']}:{found['dport']}",
    )
