"""Calico with its iptables dataplane, beside kube-proxy in iptables mode.

Translation: kube-proxy, nat PREROUTING, cluster IPs and this node's own node ports.
Policy: Felix in filter FORWARD, after that translation and before any masquerade; in
filter INPUT for what is delivered to the node itself. Matches on addresses, literally.
Sources: felix/rules/static.go, endpoints.go and policy.go in projectcalico/calico;
projectcalico/calico#9869. No encapsulation, natOutgoing on, DefaultEndpointToHostAction
ACCEPT (as the manifests and the operator set it).
"""

from __future__ import annotations

from collections.abc import Sequence

from nodeport_lab.dataplanes.declaration import CompiledPolicies, Dataplane, Options
from nodeport_lab.dataplanes.kube_proxy import node_table
from nodeport_lab.dataplanes.names import node_namespace, pods_on
from nodeport_lab.dataplanes.nftables import Table
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
FORWARD_EGRESS = Hook("egress-forward", Direction.EGRESS, "filter FORWARD")
FORWARD_INGRESS = Hook("ingress-forward", Direction.INGRESS, "filter FORWARD")
INPUT_EGRESS = Hook("egress-input", Direction.EGRESS, "filter INPUT")
HOOKS = (FORWARD_EGRESS, INPUT_EGRESS, FORWARD_INGRESS)


def translate(scenario: Scenario, network: Network, _options: Options) -> dict[str, list[Table]]:
    """kube-proxy and Calico's natOutgoing, on every node."""
    return {
        node_namespace(node.name): [
            node_table(scenario, network, node.name),
            _nat_outgoing(network),
        ]
        for node in scenario.nodes
    }


def police(
    scenario: Scenario, network: Network, policies: Sequence[NetworkPolicy], _options: Options
) -> CompiledPolicies:
    """Felix's chains, on every node."""
    compiler = Compiler(scenario, network, policies, _matcher(network), PREFIX)
    tables = {}
    for node in scenario.nodes:
        table = Table("calico")
        pods = pods_on(scenario, node)
        established = "ct state established,related accept"
        forward = [
            established,
            "ct state invalid drop",
            *compiler.dispatch(table, FORWARD_EGRESS, pods),
            *compiler.dispatch(table, FORWARD_INGRESS, pods),
        ]
        delivered = [established, *compiler.dispatch(table, INPUT_EGRESS, pods)]
        table.chain("FORWARD", forward, hook="type filter hook forward priority 0; policy accept")
        table.chain("INPUT", delivered, hook="type filter hook input priority 0; policy accept")
        tables[node_namespace(node.name)] = table
    return CompiledPolicies(tables, HOOKS, compiler.references)


def _matcher(network: Network) -> PeerMatcher:
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


def _nat_outgoing(network: Network) -> Table:
    table = Table("calico-nat")
    table.chain(
        "POSTROUTING",
        [f"ip saddr {network.pod_cidr} ip daddr != {network.pod_cidr} masquerade"],
        hook="type nat hook postrouting priority 110; policy accept",
    )
    return table


CALICO_IPTABLES = Dataplane(
    name="calico-iptables",
    basis="emulated",
    summary=(
        "Calico's iptables dataplane with kube-proxy in iptables mode: kube-proxy "
        "translates first, policy is evaluated in filter FORWARD and matches addresses."
    ),
    interface_prefix=PREFIX,
    tunnel=False,
    translate=translate,
    police=police,
)
