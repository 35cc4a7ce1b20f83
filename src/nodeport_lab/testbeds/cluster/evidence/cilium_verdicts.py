"""Cilium's policy verdicts: one event for each new connection that a policy was asked about.

They are read from Hubble (`hubble observe -o jsonpb --type policy-verdict`, the message
`flow.Flow` of api/v1/flow/flow.proto) or from the agent's monitor (`cilium-dbg monitor -t
policy-verdict -t drop`, printed by pkg/monitor/datapath_policy.go). Both tell addresses and
ports as the program at the endpoint saw them, so a `Decision` can be made of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nodeport_lab.model import Action, Decision, Direction, Protocol

HOOK = "Cilium, policy verdict at the endpoint"
NO_MATCH = "none"

_POLICY_VERDICT = (
    5  # event type of flow.proto's messages (pkg/monitor/api, MessageTypePolicyVerdict)
)
_MATCHES = (NO_MATCH, "L3-Only", "L3-L4", "L4-Only", "all", "L3-Proto", "Proto-Only")
"""By number of pkg/monitor/api, PolicyMatchType; protobuf's JSON leaves a zero out."""
_ACTIONS = {"FORWARDED": "allow", "DROPPED": "deny", "AUDIT": "audit", "REDIRECTED": "redirect"}
_DIRECTIONS = {"EGRESS": Direction.EGRESS, "INGRESS": Direction.INGRESS}
_PROTOCOLS = {"6": Protocol.TCP, "17": Protocol.UDP}
_LINE = re.compile(
    r"Policy verdict log: flow \S+ local EP ID \d+, remote ID (?P<remote>[^,]+), "
    r"proto (?P<protocol>\d+), (?P<direction>ingress|egress), action (?P<action>\w+), "
    r"(?:auth: [^,]+, )?match (?P<match>[^,]+), (?P<source>[0-9.]+:\d+) -> "
    r"(?P<destination>[0-9.]+:\d+)(?: .*)?"
)


@dataclass(frozen=True, slots=True)
class PolicyVerdict:
    """What Cilium decided about the first packet of a connection.

    Attributes:
        direction: the side on which the policy was evaluated.
        protocol: TCP or UDP.
        source: `address:port` as seen at the endpoint.
        destination: the same of the destination.
        action: `allow`, `deny`, `audit` (let through, but would be denied) or `redirect`
            (to a proxy).
        match: what the deciding entry of the policy map goes by: `L3-Only`, `L3-L4`,
            `L4-Only`, `all`, `L3-Proto`, `Proto-Only`, or `none`.
        policies: names of the policies that the entry comes from (since Cilium 1.17, from
            Hubble only).
        node: the node's name in the cluster; None where the source does not say it.
    """

    direction: Direction
    protocol: Protocol
    source: str
    destination: str
    action: str
    match: str
    policies: tuple[str, ...] = ()
    node: str | None = None


def parse_hubble(text: str) -> tuple[PolicyVerdict, ...]:
    """The policy verdicts over IPv4 among Hubble's lines; whatever else is printed is left out."""
    return tuple(found for line in text.splitlines() for found in _from_hubble(line))


def parse_monitor(text: str, node: str | None = None) -> tuple[PolicyVerdict, ...]:
    """The policy verdicts over IPv4 that the monitor of a node's agent printed.

    Lines of `-t drop` name no direction and repeat the verdict: they are left out.
    """
    return tuple(
        PolicyVerdict(
            Direction(found["direction"]),
            _PROTOCOLS[found["protocol"]],
            found["source"],
            found["destination"],
            found["action"],
            found["match"],
            node=node,
        )
        for line in text.splitlines()
        if (found := _LINE.fullmatch(line.strip())) and found["protocol"] in _PROTOCOLS
    )


def decision(verdict: PolicyVerdict, node: str) -> Decision | None:
    """The verdict as a decision, where it is one.

    Args:
        verdict: what Cilium told.
        node: name of the node in the scenario.

    Returns:
        None for `audit`, where nothing is enforced. `policy` is None where Cilium names
        none or several. Cilium does not keep which rule of a manifest an entry comes from:
        `rule` is `default-deny` where nothing matched, else what the entry goes by.
    """
    if verdict.action not in {"allow", "deny", "redirect"}:
        return None
    denied = verdict.action == "deny"
    unmatched = denied and verdict.match == NO_MATCH
    return Decision(
        direction=verdict.direction,
        node=node,
        hook=HOOK,
        seen_source=verdict.source,
        seen_destination=verdict.destination,
        policy=verdict.policies[0] if len(verdict.policies) == 1 else None,
        rule="default-deny" if unmatched else f"match {verdict.match}",
        action=Action.DENY if denied else Action.ALLOW,
    )


def _from_hubble(line: str) -> Iterator[PolicyVerdict]:
    try:
        flow: Mapping[str, Any] = json.loads(line)["flow"]
        if flow["event_type"]["type"] != _POLICY_VERDICT or flow.get("is_reply"):
            return
        direction = _DIRECTIONS[flow["traffic_direction"]]
        ((name, ports),) = flow["l4"].items()
        addresses = flow["IP"]
        if addresses.get("ipVersion") not in {"IPv4", None}:
            return
        yield PolicyVerdict(
            direction,
            Protocol(name),
            f"{addresses['source']}:{ports['source_port']}",
            f"{addresses['destination']}:{ports['destination_port']}",
            _ACTIONS[flow["verdict"]],
            _MATCHES[flow.get("policy_match_type", 0)],
            tuple(_policies(flow, direction)),
            _node(flow.get("node_name")),
        )
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        return  # a lost-events notice, a log line, an event of another kind


def _policies(flow: Mapping[str, Any], direction: Direction) -> Iterator[str]:
    for how in ("allowed_by", "denied_by"):
        for policy in flow.get(f"{direction}_{how}", ()):
            if policy.get("name"):
                yield policy["name"]


def _node(name: str | None) -> str | None:
    """The node, without the cluster's name that Hubble may put before it."""
    return name.rpartition("/")[2] or None if name else None
