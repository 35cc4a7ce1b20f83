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
from nodeport_lab.dataplanes.names import host_interface, node_namespace
from nodeport_lab.dataplanes.nftables import Table
from nodeport_lab.dataplanes.policy_chains import (
    ClauseMatcher,
    Hook,
    RuleBook,
    add_policy_chains,
    declare_records,
    dispatch,
    evaluate,
    match_block,
    match_pods,
)
from nodeport_lab.model import Direction, IPBlock, Network, NetworkPolicy, Pod, Scenario
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
    book = RuleBook()
    tables = {}
    for node in scenario.nodes:
        table = Table("calico")
        declare_records(table, HOOKS)
        pods = [
            pod for pod in scenario.pods if pod.node == node.name and not pod.host_network
        ]
        from_pods, to_pods = (
            _endpoint_chains(table, book, scenario, network, policies, direction, pods)
            for direction in (Direction.EGRESS, Direction.INGRESS)
        )
        established = "ct state established,related accept"
        forward = [established, "ct state invalid drop"]
        delivered = [established]
        if pods:
            forward += evaluate(FORWARD_EGRESS, dispatch("iifname", from_pods))
            forward += evaluate(FORWARD_INGRESS, dispatch("oifname", to_pods))
            delivered += evaluate(INPUT_EGRESS, dispatch("iifname", from_pods))
        table.chain("FORWARD", forward, hook="type filter hook forward priority 0; policy accept")
        table.chain("INPUT", delivered, hook="type filter hook input priority 0; policy accept")
        tables[node_namespace(node.name)] = table
    return CompiledPolicies(tables, HOOKS, book.references)


def _endpoint_chains(  # noqa: PLR0913 - a compilation has this many inputs
    table: Table,
    book: RuleBook,
    scenario: Scenario,
    network: Network,
    policies: Sequence[NetworkPolicy],
    direction: Direction,
    pods: Sequence[Pod],
) -> dict[str, str]:
    by_pod = add_policy_chains(
        table, book, scenario, network, policies, direction, pods, _matcher(network)
    )
    return {host_interface(PREFIX, pod): by_pod[pod.key] for pod in pods}


def _matcher(network: Network) -> ClauseMatcher:
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
