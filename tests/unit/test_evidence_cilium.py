"""Cilium's policy verdicts, read from text in the documented form.

Samples: see `support/node_samples.py`.
"""

from __future__ import annotations

import pytest
from support.node_samples import line

from nodeport_lab.model import Action, Decision, Direction, Protocol
from nodeport_lab.testbeds.cluster.evidence.cilium_verdicts import (
    HOOK,
    PolicyVerdict,
    decision,
    parse_hubble,
    parse_monitor,
)

DENIED = PolicyVerdict(
    Direction.EGRESS,
    Protocol.TCP,
    "10.244.1.7:40001",
    "172.18.0.4:30080",
    "deny",
    "none",
    node="dev-worker",
)


def allowed_by(*names: str) -> list[dict[str, object]]:
    """Policies as a flow names them."""
    return [{"name": name, "namespace": "lab", "kind": "NetworkPolicy"} for name in names]


def test_a_denial_without_a_match_is_the_default_deny() -> None:
    """No entry of the policy map matched, and nobody's policy can be named for that."""
    (verdict,) = parse_hubble(line())

    assert DENIED == verdict
    assert Decision(
        direction=Direction.EGRESS,
        node="node-1",
        hook=HOOK,
        seen_source="10.244.1.7:40001",
        seen_destination="172.18.0.4:30080",
        policy=None,
        rule="default-deny",
        action=Action.DENY,
    ) == decision(verdict, "node-1")


@pytest.mark.parametrize(
    ("names", "policy"), [(("both",), "both"), ((), None), (("both", "ipblock-any"), None)]
)
def test_an_allowing_policy_is_named_where_it_is_one(
    names: tuple[str, ...], policy: str | None
) -> None:
    """Cilium before 1.17 names none; of several, which one it was is not known."""
    allowed = line(verdict="FORWARDED", policy_match_type=2, egress_allowed_by=allowed_by(*names))
    (verdict,) = parse_hubble(allowed)

    made = decision(verdict, "node-1")

    assert names == verdict.policies
    assert made is not None
    assert (Action.ALLOW, policy, "match L3-L4") == (made.action, made.policy, made.rule)


def test_only_the_policies_of_the_direction_count() -> None:
    """A flow may carry the other side's as well."""
    text = line(
        verdict="FORWARDED",
        traffic_direction="INGRESS",
        policy_match_type=1,
        egress_allowed_by=allowed_by("other"),
        ingress_allowed_by=allowed_by("mine"),
    )

    (verdict,) = parse_hubble(text)

    assert (Direction.INGRESS, ("mine",)) == (verdict.direction, verdict.policies)


def test_an_audited_packet_was_not_decided_about() -> None:
    """It was let through although it would be denied: neither of the two is true."""
    (verdict,) = parse_hubble(line(verdict="AUDIT"))

    assert "audit" == verdict.action
    assert decision(verdict, "node-1") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "level=info msg=connected",
        '{"lost_events": {"source": "HUBBLE_RING_BUFFER", "num_events_lost": "3"}}',
        '{"flow": null}',
        "[1]",
        line(event_type={"type": 4}),
        line(event_type=None),
        line(is_reply=True),
        line(l4=None),
        line(l4={"ICMPv4": {"type": 8}}),
        line(IP={"source": "fd00::7", "destination": "fd00::8", "ipVersion": "IPv6"}),
        line(verdict="TRACED"),
        line(traffic_direction="TRAFFIC_DIRECTION_UNKNOWN"),
        line(policy_match_type=99),
    ],
)
def test_other_events_are_left_out(text: str) -> None:
    """Traces, replies, other protocols, and what a later version may invent."""
    assert [DENIED] == list(parse_hubble(f"{text}\n{line()}\n"))


EGRESS = "proto 6, egress, action deny, match none, 10.244.1.7:40001 -> 172.18.0.4:30080 tcp SYN"

WITH_AUTH = EGRESS.replace("match", "auth: disabled, match")


@pytest.mark.parametrize(
    "text",
    [
        f"Policy verdict log: flow 0x4a9eceac local EP ID 423, remote ID 6, {EGRESS}",
        f"Policy verdict log: flow 0x0 local EP ID 423, remote ID host, {WITH_AUTH}",
    ],
)
def test_the_monitor_tells_the_same(text: str) -> None:
    """With and without authentication, identities as numbers or by name."""
    printed = (
        "Listening for events on 8 CPUs with 64x4096 of shared memory\n"
        "Press Ctrl-C to quit\n"
        f"{text}\n"
        "xx drop (Policy denied) flow 0x4a9eceac to endpoint 0, ifindex 12, file "
        "bpf_lxc.c:1311, , identity 24753->remote-node: 10.244.1.7:40001 -> "
        "172.18.0.4:30080 tcp SYN\n"
    )

    assert (DENIED,) == parse_monitor(printed, "dev-worker")


def test_the_monitor_tells_of_udp_and_ingress() -> None:
    """And of packets that a policy allows."""
    text = (
        "Policy verdict log: flow 0x0 local EP ID 9, remote ID 24753, proto 17, ingress, "
        "action allow, auth: disabled, match L3-L4, 10.244.1.7:40001 -> 10.244.2.9:53 udp"
    )

    (verdict,) = parse_monitor(text)

    assert (Protocol.UDP, Direction.INGRESS) == (verdict.protocol, verdict.direction)
    assert ("allow", "L3-L4", None) == (verdict.action, verdict.match, verdict.node)


def test_other_lines_of_the_monitor_are_left_out() -> None:
    """ICMP and IPv6 among them."""
    text = "Policy verdict log: flow 0x0 local EP ID 9, remote ID 1, proto 1, ingress, action "
    six = EGRESS.replace("10.244.1.7:40001", "[fd00::7]:40001")

    assert () == parse_monitor(
        f"{text}allow, match all, 10.244.1.7 -> 10.244.2.9 EchoRequest\n"
        f"Policy verdict log: flow 0x0 local EP ID 9, remote ID 1, {six}\n"
    )
