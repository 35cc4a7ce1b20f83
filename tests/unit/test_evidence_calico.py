"""Calico's counters, read from text in the form that Felix and netfilter write.

Samples: see `support/node_samples.py`.
"""

from __future__ import annotations

import pytest
from support.node_samples import POD, POLICY, listed, saved

from nodeport_lab.errors import TestbedError
from nodeport_lab.model import Direction
from nodeport_lab.testbeds.cluster.evidence.calico_counters import (
    Hit,
    hits,
    parse_iptables,
    parse_nftables,
)


def test_iptables_shows_the_rule_and_the_drop_that_counted() -> None:
    """Jumps, marks that begin a tier, and what was counted before do not count."""
    found = hits(parse_iptables(saved(3, 4)), parse_iptables(saved(5, 10)))

    assert {
        Hit(Direction.EGRESS, POD, None, number=5, packets=6),
        Hit(Direction.EGRESS, POLICY, "both", number=2, packets=2),
    } == set(found)
    assert {POD: True, POLICY: False} == {hit.chain: hit.dropped for hit in found}


def test_nftables_shows_the_same() -> None:
    """The chains are the same, under the name of their hook."""
    found = hits(parse_nftables(listed(3, 4)), parse_nftables(listed(5, 10)))

    assert {
        Hit(Direction.EGRESS, POD, None, number=3, packets=6),
        Hit(Direction.EGRESS, POLICY, "both", number=2, packets=2),
    } == set(found)


@pytest.mark.parametrize(
    ("comment", "name"),
    [
        ("Policy lab/knp.default.both egress", "both"),
        ("Policy lab/both egress", "both"),
        ("KubernetesNetworkPolicy lab/both egress", "both"),
        ("Policy something else", None),
        ("Something", None),
    ],
)
def test_a_policys_name_is_that_of_the_manifest(comment: str, name: str | None) -> None:
    """Felix's comments differ by version; an unknown one is no name."""
    found = hits((), parse_iptables(saved(1, 0, name=comment)))

    assert [name] == [hit.policy for hit in found if not hit.dropped]


def test_nothing_met_nothing() -> None:
    """Two readings that are the same name no rule."""
    rules = parse_iptables(saved(3, 4))

    assert () == hits(rules, rules)


def test_a_chain_that_was_written_again_counts_from_nothing() -> None:
    """A counter below the earlier one began anew: what it shows was met since."""
    found = hits(parse_iptables(saved(30, 40)), parse_iptables(saved(2, 0)))

    assert [(POLICY, 2)] == [(hit.chain, hit.packets) for hit in found]


def test_a_rule_that_moved_is_still_the_same() -> None:
    """Felix's hash names it, not its place."""
    before = saved(3, 4)
    first = next(line for line in before.splitlines(keepends=True) if "bbbbbbbbbbbbbbb1" in line)
    after = saved(5, 4).replace(first, "")

    assert [(1, 2)] == [
        (hit.number, hit.packets) for hit in hits(parse_iptables(before), parse_iptables(after))
    ]


def test_no_packets_are_not_decisions() -> None:
    """Ingress chains are told apart from egress ones."""
    text = saved(1, 1).replace("cali-fw-", "cali-tw-").replace("cali-po-", "cali-pi-")

    assert {Direction.INGRESS} == {hit.direction for hit in hits((), parse_iptables(text))}


def test_rules_of_others_are_left_out() -> None:
    """Kube-proxy's, Docker's, and everything that is no rule."""
    text = "[7:420] -A KUBE-FORWARD -j DROP\n[x:1] -A cali-po-a -j DROP\n-A cali-po-a -j DROP\n"

    assert () == parse_iptables(text)


@pytest.mark.parametrize("text", ["", "{}", "[]", "Error: No such file or directory"])
def test_what_is_no_table_is_one_error(text: str) -> None:
    """Calico may run without its table, or nft may be another program."""
    with pytest.raises(TestbedError, match="nft -j list table ip calico"):
        parse_nftables(text)
