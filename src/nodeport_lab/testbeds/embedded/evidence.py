"""What the policy hooks wrote down, joined to probes by protocol and source port."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nodeport_lab.dataplanes import CompiledPolicies
from nodeport_lab.dataplanes.policy_chains import DECISION_SHIFT
from nodeport_lab.model import Decision, Direction, Protocol

Evidence = dict[tuple[Protocol, int], tuple[Decision, ...]]
"""(protocol, source port) -> decisions in packet order."""

_ORDER = (Direction.EGRESS, Direction.INGRESS)


def read_records(
    records: Mapping[str, Mapping[str, Sequence[Sequence[Any]]]],
    nodes: Mapping[str, str],
    compiled: CompiledPolicies,
) -> Evidence:
    """Turn the elements of the dynamic sets into decisions.

    Args:
        records: namespace -> set -> elements `source, port, destination, port, mark`.
        nodes: namespace -> name of the node.
        compiled: what was loaded, for the hooks and the meaning of the numbers.

    A connection leaves its client before it reaches its server, so egress comes first.
    """
    found: dict[tuple[Protocol, int], list[Decision]] = {}
    for namespace, sets in records.items():
        for hook in compiled.hooks:
            for protocol in (Protocol.TCP, Protocol.UDP):
                for source, sport, destination, dport, mark in sets.get(
                    f"{hook.name}-{protocol.lower()}", ()
                ):
                    reference = compiled.references[mark >> DECISION_SHIFT]
                    found.setdefault((protocol, sport), []).append(
                        reference.decision(
                            nodes[namespace], hook, f"{source}:{sport}", f"{destination}:{dport}"
                        )
                    )
    return {
        # Of several datagrams of one flow only the first bears the marks of its translation.
        key: tuple(
            sorted(dict.fromkeys(some), key=lambda decision: _ORDER.index(decision.direction))
        )
        for key, some in found.items()
    }
