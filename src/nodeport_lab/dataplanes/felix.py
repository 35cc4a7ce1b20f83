"""Calico's policy, whichever engine carries it out: after translation, by address.

Felix evaluates policy where a packet is forwarded (chains of the filter table, or a
program at the pod's veth that looks Services up first), and again nowhere. It matches
addresses literally: an ipBlock is a range, a selector is the set of the selected pods'
addresses (felix/rules/policy.go, endpoints.go and static.go in projectcalico/calico).
"""

from __future__ import annotations

from collections.abc import Sequence

from nodeport_lab.dataplanes.declaration import CompiledPolicies, Options
from nodeport_lab.dataplanes.kube_proxy import MASQUERADE
from nodeport_lab.dataplanes.names import node_namespace, pods_on
from nodeport_lab.dataplanes.nftables import Table, elements
from nodeport_lab.dataplanes.options import (
    CHAIN_INSERT_MODE,
    DEFAULT_ENDPOINT_TO_HOST_ACTION,
    NAT_OUTGOING,
    NAT_OUTGOING_EXCLUSIONS,
)
from nodeport_lab.dataplanes.policy_chains import (
    Compiler,
    Hook,
    PeerMatcher,
    match_block,
    match_pods,
)
from nodeport_lab.model import Direction, IPBlock, Network, NetworkPolicy, Scenario
from nodeport_lab.policy import Clause

PREFIX = "cali"


def police(  # noqa: PLR0913, PLR0917 - a compilation has this many inputs
    scenario: Scenario,
    network: Network,
    policies: Sequence[NetworkPolicy],
    options: Options,
    forwarded: str,
    delivered: str,
) -> CompiledPolicies:
    """Felix's chains on every node.

    Args:
        scenario: whose pods are policed.
        network: their addresses.
        policies: what is in force.
        options: of the dataplane.
        forwarded: what people call the place where forwarded packets are policed.
        delivered: the same for packets from pods to the node itself.
    """
    egress = Hook("egress-forward", Direction.EGRESS, forwarded)
    to_host = Hook("egress-input", Direction.EGRESS, delivered)
    ingress = Hook("ingress-forward", Direction.INGRESS, forwarded)
    compiler = Compiler(scenario, network, policies, match_address(network), PREFIX)
    tables = {}
    for node in scenario.nodes:
        table = Table("calico")
        pods = pods_on(scenario, node)
        established = "ct state established,related accept"
        table.chain(
            "FORWARD",
            [
                *_before_felix(options),
                established,
                "ct state invalid drop",
                *compiler.dispatch(table, egress, pods),
                *compiler.dispatch(table, ingress, pods),
            ],
            hook="type filter hook forward priority 0; policy accept",
        )
        table.chain(
            "INPUT",
            [
                established,
                *compiler.dispatch(table, to_host, pods),
                *_endpoint_to_host(options),
            ],
            hook="type filter hook input priority 0; policy accept",
        )
        tables[node_namespace(node.name)] = table
    return CompiledPolicies(tables, (egress, to_host, ingress), compiler.references)


def match_address(network: Network) -> PeerMatcher:
    """What Calico matches on: addresses, literally."""

    def match(clause: Clause, direction: Direction) -> list[str]:
        address = "ip daddr" if direction is Direction.EGRESS else "ip saddr"
        if clause.peer is None:
            return [""]
        if isinstance(clause.peer, IPBlock):
            found = match_block(clause.peer, address)
        else:
            found = match_pods(clause.peer, network, address)
        return [] if found is None else [found]

    return match


def nat_outgoing(network: Network, options: Options) -> Table:
    """Masquerade what leaves the pods' network (felix/rules/nat.go), if it is on."""
    table = Table("calico-nat")
    outside = f"ip saddr {network.pod_cidr} ip daddr != {network.pod_cidr}"
    if options.get(NAT_OUTGOING_EXCLUSIONS) == "IPPoolsAndHostIPs":
        outside += f" ip daddr != {elements([*network.nodes.values(), *network.tunnels.values()])}"
    table.chain(
        "POSTROUTING",
        [f"{outside} masquerade"] if options[NAT_OUTGOING] == "Enabled" else [],
        hook="type nat hook postrouting priority 110; policy accept",
    )
    return table


def _before_felix(options: Options) -> list[str]:
    """With ChainInsertMode Append, KUBE-FORWARD accepts what kube-proxy marked first."""
    if options.get(CHAIN_INSERT_MODE) != "Append":
        return []
    return [f"meta mark & {MASQUERADE:#x} != 0 accept"]


def _endpoint_to_host(options: Options) -> list[str]:
    if options.get(DEFAULT_ENDPOINT_TO_HOST_ACTION) != "Drop":
        return []
    return [f'iifname "{PREFIX}*" drop']
