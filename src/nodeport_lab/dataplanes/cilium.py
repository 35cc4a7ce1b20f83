"""Cilium with kube-proxy kept (kubeProxyReplacement=false), modelled on netfilter.

Translation: cluster IPs before the pod's veth; node ports by kube-proxy, after policy.
Policy: at the pod's veth. Leaving the pod in nat-free prerouting before any node port is
translated (bpf_lxc.c, cil_from_container), entering it in postrouting after every
translation (cil_lxc_policy). Matches on identities: selectors select pods, an ipBlock
selects neither pods nor, unless `policyCIDRMatchMode` is `nodes`, addresses of nodes
(Documentation/security/policy/layer3.rst; cilium/cilium#9209, #12277, #27464).

Semantics of Cilium 1.18 in tunnel mode. An identity travels in the low 14 bits of the
packet's mark inside a node and in the VXLAN header (GBP) between nodes. What arrives
without one is looked up by its source address; an address of this very node that was not
sent by the node itself stays `world` (cilium/cilium#17144, #23603, #25650).
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network

from nodeport_lab.dataplanes.connect import connect_table
from nodeport_lab.dataplanes.declaration import (
    CompiledPolicies,
    Dataplane,
    Option,
    Options,
)
from nodeport_lab.dataplanes.kube_proxy import node_table
from nodeport_lab.dataplanes.names import (
    TUNNEL_DEVICE,
    host_interface,
    node_namespace,
    pod_namespace,
    pods_on,
)
from nodeport_lab.dataplanes.nftables import Table, elements
from nodeport_lab.dataplanes.policy_chains import (
    Compiler,
    Hook,
    PeerMatcher,
    match_block,
    match_pods,
)
from nodeport_lab.model import Direction, IPBlock, Network, NetworkPolicy, Pod, Scenario
from nodeport_lab.policy import Clause

PREFIX = "lxc"
FROM_CONTAINER = Hook("from-container", Direction.EGRESS, "from-container")
TO_CONTAINER = Hook("to-container", Direction.INGRESS, "to-container")
HOOKS = (FROM_CONTAINER, TO_CONTAINER)

# Reserved identities as in pkg/identity/numericidentity.go; BY_ADDRESS and the numbers of
# pods are this model's own.
IDENTITY_MASK = 0x3FFF
HOST = 1
WORLD = 2
REMOTE_NODE = 6
BY_ADDRESS = 0x2000
FIRST_POD = 256

MATCH_MODE = "policyCIDRMatchMode"


def translate(scenario: Scenario, network: Network, _options: Options) -> dict[str, list[Table]]:
    """kube-proxy and masquerading on every node, cluster IPs in every pod."""
    tables = {
        node_namespace(node.name): [
            node_table(scenario, network, node.name),
            _carry_identities(scenario, network, node.name),
        ]
        for node in scenario.nodes
    }
    for pod in scenario.pods:
        if not pod.host_network:
            tables[pod_namespace(pod)] = [connect_table(scenario, network)]
    return tables


def police(
    scenario: Scenario, network: Network, policies: Sequence[NetworkPolicy], options: Options
) -> CompiledPolicies:
    """Both policy programs of every pod."""
    match = _matcher(scenario, network, nodes_by_cidr=options[MATCH_MODE] == "nodes")
    compiler = Compiler(scenario, network, policies, match, PREFIX)
    tables = {}
    for node in scenario.nodes:
        table = Table("cilium")
        pods = pods_on(scenario, node)
        established = "ct state established,related accept"
        # The node itself may always talk to its pods (--allow-localhost=auto).
        from_host = f"meta mark & {IDENTITY_MASK:#x} == {HOST} accept"
        leaving = [established, *compiler.dispatch(table, FROM_CONTAINER, pods)]
        entering = [established, from_host, *compiler.dispatch(table, TO_CONTAINER, pods)]
        table.chain(
            "from-container",
            leaving,
            hook="type filter hook prerouting priority -150; policy accept",
        )
        table.chain(
            "to-container",
            entering,
            hook="type filter hook postrouting priority 110; policy accept",
        )
        tables[node_namespace(node.name)] = table
    return CompiledPolicies(tables, HOOKS, compiler.references)


def identities(scenario: Scenario) -> dict[str, int]:
    """Pod key -> identity; pods of one namespace with equal labels share theirs."""
    kinds = sorted({_kind(pod) for pod in scenario.pods})
    numbers = {kind: FIRST_POD + position for position, kind in enumerate(kinds)}
    return {pod.key: numbers[_kind(pod)] for pod in scenario.pods if not pod.host_network}


def _kind(pod: Pod) -> tuple[str, tuple[tuple[str, str], ...]]:
    return pod.namespace, tuple(sorted(pod.labels))


def _matcher(scenario: Scenario, network: Network, *, nodes_by_cidr: bool) -> PeerMatcher:
    numbers = identities(scenario)
    pods = [network.pods[pod.key] for pod in scenario.pods if not pod.host_network]
    nodes = _node_addresses(network)

    def leaving(clause: Clause) -> list[str]:
        if isinstance(clause.peer, IPBlock):
            block = match_block(clause.peer, "ip daddr")
            hidden = pods if nodes_by_cidr else [*pods, *nodes]
            return [] if block is None else [f"{block} ip daddr != {elements(hidden)}"]
        found = match_pods(clause.peer or frozenset(), network, "ip daddr")
        return [] if found is None else [found]

    def entering(clause: Clause) -> list[str]:
        who = f"meta mark & {IDENTITY_MASK:#x}"
        if isinstance(clause.peer, IPBlock):
            block = match_block(clause.peer, "ip saddr")
            if block is None:
                return []
            by_address = [BY_ADDRESS, REMOTE_NODE] if nodes_by_cidr else [BY_ADDRESS]
            found = [f"{who} {elements(by_address)} {block}"]
            if clause.peer.cidr == IPv4Network("0.0.0.0/0"):
                # The identity `world` has no address; only the whole range contains it.
                found.append(f"{who} == {WORLD}")
            return found
        chosen = sorted({numbers[key] for key in clause.peer or ()})
        return [f"{who} {elements(chosen)}"] if chosen else []

    def match(clause: Clause, direction: Direction) -> list[str]:
        if clause.peer is None:
            return [""]
        return leaving(clause) if direction is Direction.EGRESS else entering(clause)

    return match


def _carry_identities(scenario: Scenario, network: Network, node: str) -> Table:
    """Set, carry and look up identities on one node; masquerade what leaves the cluster."""
    table = Table("cilium-datapath")
    numbers = identities(scenario)
    who = f"meta mark & {IDENTITY_MASK:#x}"
    unknown = f"{who} == 0"
    by_interface = [
        f'"{host_interface(PREFIX, pod)}" : {numbers[pod.key]:#x}'
        for pod in scenario.pods
        if pod.node == node and not pod.host_network
    ]
    own = [network.nodes[node], network.tunnels[node]]
    others = [address for address in _node_addresses(network) if address not in own]
    if by_interface:
        table.chain(
            "identify",
            [f"meta mark set iifname map {elements(by_interface)}"],
            hook="type filter hook prerouting priority -160; policy accept",
        )
    table.chain(
        "identify-host",
        [f"meta mark set meta mark | {HOST}"],
        hook="type filter hook output priority -150; policy accept",
    )
    table.chain(
        "resolve",
        [
            f'oifname "{TUNNEL_DEVICE}" {unknown} meta mark set meta mark | {WORLD}',
            f'oifname "{TUNNEL_DEVICE}" {who} == {HOST} meta mark set {REMOTE_NODE}',
            f"{unknown} ip saddr {elements(own)} meta mark set meta mark | {WORLD}",
            f"{unknown} ip saddr {elements(others)} meta mark set meta mark | {REMOTE_NODE}",
            f"{unknown} meta mark set meta mark | {BY_ADDRESS}",
        ],
        hook="type filter hook postrouting priority 105; policy accept",
    )
    table.chain(
        "leave-cluster",
        [
            f'ip saddr {network.pod_cidr} oifname "{TUNNEL_DEVICE}" return',
            f"ip saddr {network.pod_cidr} ip daddr != {network.pod_cidr} masquerade",
        ],
        hook="type nat hook postrouting priority 101; policy accept",
    )
    return table


def _node_addresses(network: Network) -> list[IPv4Address]:
    return [*network.nodes.values(), *network.tunnels.values()]


CILIUM = Dataplane(
    name="cilium",
    basis="modelled",
    summary=(
        "Cilium 1.18 with kube-proxy kept, tunnel mode: policy is evaluated at the pod's "
        "veth before kube-proxy translates a node port, and matches identities. Modelled."
    ),
    interface_prefix=PREFIX,
    tunnel=True,
    translate=translate,
    police=police,
    options={
        MATCH_MODE: Option(
            ("none", "nodes"),
            "which cluster addresses an ipBlock may select besides those outside",
        )
    },
)
