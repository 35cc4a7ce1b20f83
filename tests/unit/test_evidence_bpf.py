"""What Calico's eBPF maps hold, read from text in the documented forms.

Samples: see `support/node_samples.py`; none was recorded on a cluster.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.node_samples import BPF_CONNECTIONS, instructions, programs

from nodeport_lab.model import Direction, Protocol
from nodeport_lab.testbeds.cluster.evidence.calico_bpf import (
    find,
    hits,
    parse_conntrack,
    parse_policies,
)
from nodeport_lab.testbeds.cluster.evidence.conntrack import Entry, Tuple


def test_a_translated_connection_has_three_addresses() -> None:
    """The client's, what it dialled, and the backend."""
    first, *_ = parse_conntrack(BPF_CONNECTIONS)

    assert first == Entry(
        Protocol.TCP,
        "ESTABLISHED",
        original=Tuple("10.244.1.7:40001", "172.18.0.3:30080"),
        reply=Tuple("10.244.2.9:8080", "10.244.1.7:40001"),
        answered=True,
    )


def test_a_connection_that_connect_has_translated_is_found_by_its_source() -> None:
    """What was dialled appears nowhere then."""
    found = find(parse_conntrack(BPF_CONNECTIONS), Protocol.TCP, "10.244.1.7:40002")

    assert found is not None
    assert "10.244.2.9:8080" == found.destination == found.original.destination
    assert not found.answered


def test_a_changed_source_port_is_traced_back() -> None:
    """The client knows the port that it had, the backend the other one."""
    found = find(parse_conntrack(BPF_CONNECTIONS), Protocol.UDP, "10.244.1.7:40009")

    assert found is not None
    assert "10.244.1.7:40003" == found.source
    assert found.state is None


def test_other_protocols_and_what_is_no_address_are_left_out() -> None:
    """And two connections of one source are no evidence of either."""
    entries = parse_conntrack(BPF_CONNECTIONS)

    assert [40001, 40002, 40003, 40004] == [
        int(entry.source.partition(":")[2]) for entry in entries
    ]
    assert "RESET" == entries[3].state
    assert find([*entries, entries[0]], Protocol.TCP, "10.244.1.7:40001") is None
    assert () == parse_conntrack("ConntrackKey{proto=6 10.0.0.1:1 <-> 10.0.0.2:2} -> Entry{}")


@pytest.mark.parametrize("dump", [programs, instructions], ids=["newer", "older"])
def test_rules_that_met_packets_are_named(dump: Callable[[int, int], str]) -> None:
    """By policy and place; what ends a tier, and profiles, belong to no policy."""
    before, after = parse_policies(dump(1, 5)), parse_policies(dump(4, 5))

    assert {
        ("cali0123456789a", Direction.EGRESS, "both", 1): 4,
        ("cali0123456789a", Direction.EGRESS, "both", 2): 5,
    } == after
    assert ["egress rule 1 of both met 3 packets"] == [str(hit) for hit in hits(before, after)]


def test_a_count_that_began_anew_is_taken_as_it_is() -> None:
    """Felix has loaded another program."""
    (hit,) = hits(parse_policies(programs(8, 0)), parse_policies(programs(2, 0)))

    assert 2 == hit.packets


def test_a_dump_that_failed_has_no_rules() -> None:
    """It complains in a log line."""
    assert {} == parse_policies('level=error msg="Failed to dump policy info."')
