"""The connection table, read from lines in the documented form.

Samples: see `support/node_samples.py`.
"""

import pytest
from support.node_samples import DATAGRAM, OWN_NODE, UNTRANSLATED

from nodeport_lab.model import Protocol
from nodeport_lab.testbeds.cluster.evidence.conntrack import Entry, Tuple, find, parse

CLIENT = "10.244.1.7:40001"
PING = (
    "ipv4     2 icmp     1 29 src=10.0.0.1 dst=10.0.0.2 type=8 code=0 id=7 src=10.0.0.2 "
    "dst=10.0.0.1 type=0 code=0 id=7 mark=0 use=1"
)


def test_a_translated_connection_shows_both_sides() -> None:
    """Dialled at its own node, it went to the pod, and from the node's address."""
    (entry,) = parse(OWN_NODE)

    assert entry == Entry(
        Protocol.TCP,
        "ESTABLISHED",
        original=Tuple("10.244.1.7:40001", "172.18.0.3:30080"),
        reply=Tuple("10.244.2.9:8080", "172.18.0.3:40001"),
        answered=True,
    )
    assert "10.244.2.9:8080" == entry.destination
    assert "172.18.0.3:40001" == entry.source


def test_what_this_node_did_not_translate_is_its_mirror_image() -> None:
    """The form without the layer-3 protocol, of a connection that nobody has answered."""
    (entry,) = parse(UNTRANSLATED)

    assert (entry.original.destination, entry.original.source) == (entry.destination, entry.source)
    assert ("SYN_SENT", False) == (entry.state, entry.answered)


def test_udp_has_no_state_and_counters_do_not_disturb() -> None:
    """With nf_conntrack_acct every tuple carries counters."""
    (entry,) = parse(DATAGRAM)

    assert (Protocol.UDP, None, "10.244.0.2:53") == (
        entry.protocol,
        entry.state,
        entry.destination,
    )


def test_an_entry_is_found_by_what_the_client_knows() -> None:
    """TCP and UDP may use the same port at once."""
    entries = parse(f"{UNTRANSLATED}\n{DATAGRAM}\n{OWN_NODE}")

    assert parse(OWN_NODE) == (find(entries, Protocol.TCP, CLIENT, "172.18.0.3:30080"),)
    assert parse(DATAGRAM) == (find(entries, Protocol.UDP, CLIENT, "10.96.0.10:53"),)


@pytest.mark.parametrize("destination", ["172.18.0.3:30081", "10.244.2.9:8080"])
def test_no_entry_is_none(destination: str) -> None:
    """A dropped connection leaves none; that is no guess at what became of it."""
    assert find(parse(OWN_NODE), Protocol.TCP, CLIENT, destination) is None


def test_two_entries_are_none() -> None:
    """Of two zones, say: which of them it was is not known."""
    assert find(parse(f"{OWN_NODE}\n{OWN_NODE}"), Protocol.TCP, CLIENT, "172.18.0.3:30080") is None


@pytest.mark.parametrize(
    "line",
    [
        "",
        "conntrack v1.4.8 (conntrack-tools): 3 flow entries have been shown.",
        PING,
        OWN_NODE.replace("10.244.1.7", "fd00::7"),
        OWN_NODE.partition(" src=10.244.2.9")[0],
        OWN_NODE.replace("tcp ", "sctp"),
    ],
)
def test_other_lines_are_left_out(line: str) -> None:
    """Other protocols, IPv6, summaries, and what was cut off."""
    assert () == parse(line)
