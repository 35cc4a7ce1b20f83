"""The kernel's trace is read as it is printed. Samples: see `traces/record.py`."""

from pathlib import Path

import pytest

from nodeport_lab.trace import End, EventKind, Passage, Tuple, parse, passages, way

TRACES = Path(__file__).parent / "traces"

# Lines as nftables 1.0.6 prints them.
PACKET = (
    'trace id eefd3ccc ip calico-2 FORWARD packet: iif "calia8fac258b97" oif "eth0" '
    "ether saddr 3e:24:a8:fe:3c:7e ether daddr ce:87:94:85:fb:02 ip saddr 10.244.1.2 "
    "ip daddr 10.244.1.3 ip dscp cs0 ip ecn not-ect ip ttl 63 ip id 8732 ip length 60 "
    "tcp sport 1024 tcp dport 8080 tcp flags == syn tcp window 64240 "
)
RULE = (
    "trace id eefd3ccc ip calico-2 egress-policy/lab/both rule ip daddr 10.244.1.3 "
    "meta mark set meta mark | 0x00010000 return (verdict return)"
)
POLICY = "trace id eefd3ccc ip calico-2 FORWARD policy accept meta mark 0x00044000 "


def told(sample: str) -> dict[str, str]:
    """A recorded trace: place -> text."""
    _, *parts = (TRACES / f"{sample}.txt").read_text().split("# place: ")
    return {place: text for place, _, text in (part.partition("\n") for part in parts)}


def way_in(sample: str, start: str, destination: str) -> list[tuple[str, Passage]]:
    """The way of a packet in a recorded trace."""
    read = {place: passages(text) for place, text in told(sample).items()}
    return list(way(read, start, destination, "tcp"))


def passage(first_line: str, *lines: str) -> Passage:
    """The only passage in some lines."""
    (found,) = passages("\n".join([first_line, *lines]))
    return found


def entry(packet: str = "aa", chain: str = "prerouting") -> str:
    """A packet that enters a namespace."""
    return PACKET.replace("calico-2 FORWARD", f"lab-trace {chain}").replace("eefd3ccc", packet)


def test_a_packet_line_tells_addresses_and_interfaces() -> None:
    """Addresses with ports, both interfaces, time to live and number of a packet are read."""
    (event,) = parse(PACKET)

    assert event.header is not None
    assert (EventKind.PACKET, "calico-2", "FORWARD") == (event.kind, event.table, event.chain)
    assert Tuple("tcp", "10.244.1.2:1024", "10.244.1.3:8080") == event.addresses
    assert ("calia8fac258b97", "eth0") == (event.header.arrived_by, event.header.leaves_by)
    assert (63, 8732, True) == (event.header.ttl, event.header.number, event.header.opens)


@pytest.mark.parametrize(
    ("line", "kind", "chain", "verdict"),
    [
        (RULE, EventKind.RULE, "egress-policy/lab/both", "return"),
        (POLICY, EventKind.POLICY, "FORWARD", "accept"),
        (f"{RULE[:-15]}drop (verdict drop)", EventKind.RULE, "egress-policy/lab/both", "drop"),
    ],
)
def test_rules_and_policies_have_a_verdict(
    line: str, kind: EventKind, chain: str, verdict: str
) -> None:
    """What matched, in which chain, and what came of it."""
    (event,) = parse(line)

    assert (kind, chain, verdict) == (event.kind, event.chain, event.verdict)


@pytest.mark.parametrize(
    ("flags", "opens"),
    [
        ("tcp flags == syn", True),
        ("tcp flags syn", True),
        ("tcp flags == 0x12", False),
        ("tcp flags syn | ack", False),
        ("tcp flags == ack", False),
    ],
)
def test_only_a_syn_alone_opens_a_connection(flags: str, *, opens: bool) -> None:
    """The answer to a SYN carries that flag, too, and begins nothing."""
    (event,) = parse(PACKET.replace("tcp flags == syn", flags))

    assert event.header is not None
    assert opens == event.header.opens


def test_any_datagram_may_open() -> None:
    """UDP has no flags."""
    (event,) = parse(PACKET.replace("tcp flags == syn tcp window 64240", "").replace("tcp", "udp"))

    assert event.header is not None
    assert event.header.opens


def test_other_lines_are_passed_over() -> None:
    """A message of nft, an empty line or another family is no event."""
    assert [] == list(parse("# comment\n\ntrace id 1 ip6 filter input policy accept\n"))


def test_a_packet_without_ports_has_no_header() -> None:
    """ICMP is told of, and cannot be part of a walk."""
    (event,) = parse(PACKET.partition("tcp sport")[0] + "icmp type echo-request icmp code net")

    assert event.header is None


def test_a_number_given_again_begins_a_new_passage() -> None:
    """The kernel numbers packets by where they lie in memory, so numbers come back."""
    first, second = passages(f"{entry()}\n{RULE}\n{entry()}\n{POLICY}")

    assert [1, 1] == [len(first.events), len(second.events)]
    recorded = passages(told("own-node")["dev-worker"])
    assert len({each.events[0].packet for each in recorded}) < len(recorded)


def test_packets_told_of_by_turns_are_kept_apart() -> None:
    """Events of two packets at the same time belong to their own."""
    rule = RULE.replace("eefd3ccc", "bb")

    first, second = passages("\n".join([entry("aa"), entry("bb"), rule]))

    assert [1, 2] == [len(first.events), len(second.events)]


@pytest.mark.parametrize(
    ("chain", "end"),
    [("postrouting", End.LEFT), ("input", End.ARRIVED), (None, End.LOST)],
)
def test_the_last_chain_tells_how_a_passage_ended(chain: str | None, end: End) -> None:
    """Only what was neither dropped nor lost meets the last chain of the tracer."""
    last = [entry(chain=chain)] if chain else []

    assert end is passage(entry(), *last).end


def test_the_way_goes_through_every_place_in_order() -> None:
    """Also where a node is passed twice, before and after the node that was dialled."""
    found = way_in("other-node", "nodeport-lab/client-a", "172.18.0.4:30080")

    assert [
        "nodeport-lab/client-a",
        "dev-worker",
        "dev-worker2",
        "dev-worker",
        "nodeport-lab/hello-0",
    ] == [place for place, _ in found]


def test_replies_outer_packets_and_the_tracers_own_are_no_part_of_the_way() -> None:
    """Of all that was traced, one packet's passages are left, one number, one direction."""
    found = way_in("tunnel", "nodeport-lab/client-b", "172.18.0.5:30080")

    entries = [passage.entry for _, passage in found if passage.entry]
    assert 4 == len(found) == len(entries)
    assert 1 == len({entry.number for entry in entries})
    assert {"10.244.2.2:1024"} == {entry.addresses.source for entry in entries}


def test_a_packet_sent_again_is_another_one() -> None:
    """Only the first attempt is followed, not a retransmission or the next datagram."""
    sent = entry(chain="output")
    again = sent.replace("ip id 8732", "ip id 8733")
    told_by_node = passages(f"{entry()}\n{entry().replace('ip id 8732', 'ip id 8733')}")
    read = {"pod": passages(f"{sent}\n{again}"), "node": told_by_node}

    found = way(read, "pod", "10.244.1.3:8080", "tcp")

    assert [("pod", 8732), ("node", 8732)] == [
        (place, passage.entry.number) for place, passage in found if passage.entry
    ]


def test_no_way_to_what_nobody_dialled() -> None:
    """Without the client's packet there is nothing to follow."""
    assert [] == way_in("own-node", "nodeport-lab/client-a", "172.18.0.9:30080")
    assert () == way({}, "nodeport-lab/client-a", "172.18.0.3:30080", "tcp")
