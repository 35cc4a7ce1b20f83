"""Cilium's policy programs and identities, modelled on netfilter.

Policy is evaluated at the pod's veth: leaving the pod in prerouting, before any node port
is translated on a node (bpf/bpf_lxc.c, cil_from_container), entering it in postrouting,
after every translation (cil_lxc_policy). It matches identities: selectors select pods; an
ipBlock selects addresses outside of the cluster, neither pods nor nodes, unless
`policyCIDRMatchMode` says otherwise (Documentation/security/policy/layer3.rst;
cilium/cilium#9209, #12277, #27464, #45194).

An identity travels in the low 14 bits of the packet's mark inside a node, and in the VXLAN
header (GBP) between nodes. What arrives without one is looked up by its source address; an
address of this very node that was not sent by the node itself stays `world`
(cilium/cilium#17144, #23603, #25650).
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network

from nodeport_lab.dataplanes.declaration import CompiledPolicies, Options
from nodeport_lab.dataplanes.names import (
    TUNNEL_DEVICE,
    host_interface,
    node_namespace,
    pods_on,
)
from nodeport_lab.dataplanes.nftables import Table, elements
from nodeport_lab.dataplanes.options import CILIUM_VERSION, MATCH_MODE, ROUTING_MODE
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
EVERYTHING = IPv4Network("0.0.0.0/0")
_WHO = f"meta mark & {IDENTITY_MASK:#x}"


def police(
    scenario: Scenario, network: Network, policies: Sequence[NetworkPolicy], options: Options
) -> CompiledPolicies:
    """Both policy programs of every pod."""
    match = match_identity(scenario, network, options)
    compiler = Compiler(scenario, network, policies, match, PREFIX)
    tables = {}
    for node in scenario.nodes:
        table = Table("cilium")
        pods = pods_on(scenario, node)
        established = "ct state established,related accept"
        # The node itself may always talk to its pods (--allow-localhost=auto).
        from_host = f"{_WHO} == {HOST} accept"
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


def match_identity(scenario: Scenario, network: Network, options: Options) -> PeerMatcher:
    """What Cilium matches on: identities, and ranges of addresses that have none."""
    numbers = identities(scenario)

    def match(clause: Clause, direction: Direction) -> list[str]:
        peer = clause.peer
        leaving = direction is Direction.EGRESS
        if peer is None:
            return [""]
        if isinstance(peer, IPBlock):
            match_range = _destination_in if leaving else _source_in
            return match_range(peer, scenario, network, options)
        if leaving:
            found = match_pods(peer, network, "ip daddr")
            return [] if found is None else [found]
        chosen = sorted({numbers[key] for key in peer})
        return [f"{_WHO} {elements(chosen)}"] if chosen else []

    return match


def _destination_in(
    block: IPBlock, scenario: Scenario, network: Network, options: Options
) -> list[str]:
    found = match_block(block, "ip daddr")
    hidden = _hidden(scenario, network, block, options)
    if found is None:
        return []
    return [f"{found} ip daddr != {elements(hidden)}" if hidden else found]


def _source_in(
    block: IPBlock, scenario: Scenario, _network: Network, options: Options
) -> list[str]:
    found = match_block(block, "ip saddr")
    if found is None:
        return []
    addressed = [BY_ADDRESS]
    if options[MATCH_MODE] == "nodes" and not _wildcard_is_world(block, options):
        addressed.append(REMOTE_NODE)
    if options[MATCH_MODE] == "pods":
        addressed += sorted(set(identities(scenario).values()))
    # The identity `world` has no address; only the whole range contains it.
    world = [f"{_WHO} == {WORLD}"] if block.cidr == EVERYTHING else []
    return [f"{_WHO} {elements(addressed)} {found}", *world]


def _hidden(
    scenario: Scenario, network: Network, block: IPBlock, options: Options
) -> list[IPv4Address]:
    """The cluster's own addresses that an ipBlock does not select."""
    mode = options[MATCH_MODE]
    pods = [network.pods[pod.key] for pod in scenario.pods if not pod.host_network]
    nodes = _node_addresses(network)
    if mode == "nodes" and not _wildcard_is_world(block, options):
        return pods
    if mode == "pods":
        return nodes
    return [*pods, *nodes]


def _wildcard_is_world(block: IPBlock, options: Options) -> bool:
    """Since 1.19, 0.0.0.0/0 leaves nodes out even in match mode nodes (cilium#47827)."""
    return block.cidr == EVERYTHING and options[CILIUM_VERSION] != "1.18"


def identity_table(scenario: Scenario, network: Network, node: str) -> Table:
    """Set, carry and look up identities on one node; masquerade what leaves the cluster."""
    table = Table("cilium-datapath")
    numbers = identities(scenario)
    tunnelled = f'oifname "{TUNNEL_DEVICE}"'
    unknown = f"{_WHO} == 0"
    by_interface = [
        f'"{host_interface(PREFIX, pod)}" : {numbers[pod.key]:#x}'
        for pod in scenario.pods
        if pod.node == node and not pod.host_network
    ]
    own = [found[node] for found in (network.nodes, network.tunnels) if node in found]
    known = [f"{network.pods[key]} : {number:#x}" for key, number in numbers.items()]
    others = [address for address in _node_addresses(network) if address not in own]
    # Nobody has an identity where every pod is the host network's; nft takes no empty set.
    by_source = [f"{unknown} meta mark set ip saddr map {elements(known)}"] if known else []
    remote = (
        [f"{unknown} ip saddr {elements(others)} meta mark set meta mark | {REMOTE_NODE}"]
        if others
        else []
    )
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
            f"{tunnelled} {unknown} ip saddr {elements(own)} meta mark set meta mark | {WORLD}",
            f"{tunnelled} {_WHO} == {HOST} meta mark set {REMOTE_NODE}",
            *by_source,
            f"{unknown} ip saddr {elements(own)} meta mark set meta mark | {WORLD}",
            *remote,
            f"{unknown} meta mark set meta mark | {BY_ADDRESS}",
        ],
        hook="type filter hook postrouting priority 105; policy accept",
    )
    table.chain(
        "leave-cluster",
        [
            # A process on the node picks the tunnel's address for a backend in the tunnel;
            # here it was picked for the address that it dialled, before translation.
            f"{tunnelled} ip saddr {network.nodes[node]} masquerade",
            f"{tunnelled} ip saddr {network.pod_cidr} return",
            f"ip saddr {network.pod_cidr} ip daddr != {network.pod_cidr} masquerade",
        ],
        hook="type nat hook postrouting priority 101; policy accept",
    )
    return table


def _node_addresses(network: Network) -> list[IPv4Address]:
    return [*network.nodes.values(), *network.tunnels.values()]


def tunnel(options: Options) -> str | None:
    """VXLAN with the sender's identity in its header, or plain routing."""
    return "vxlan" if options[ROUTING_MODE] == "tunnel" else None
