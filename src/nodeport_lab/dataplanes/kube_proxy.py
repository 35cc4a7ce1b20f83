"""kube-proxy in iptables or nftables mode: Service addresses become pod addresses on a node.

Same order as pkg/proxy/{iptables,nftables}/proxier.go in kubernetes/kubernetes: nat
PREROUTING and OUTPUT look up cluster IPs, then node ports on the node's own addresses;
nat POSTROUTING masquerades what was marked. Chains are named after the iptables mode's.
Left out: session affinity, and the random source port of the masquerade, so that a flow
keeps the port by which its hops are joined.
"""

from __future__ import annotations

from nodeport_lab.dataplanes.balancing import add_backends
from nodeport_lab.dataplanes.nftables import Table, element_sets, identifier
from nodeport_lab.model import Network, Scenario
from nodeport_lab.services import ServedPort, outside_addresses, served_ports

MASQUERADE = 0x4000  # kube-proxy's --iptables-masquerade-bit, default 14
MARK = f"meta mark set meta mark | {MASQUERADE:#x}"


def node_table(
    scenario: Scenario,
    network: Network,
    node: str,
    *,
    primary_only: bool = False,
    masquerade_all: bool = False,
) -> Table:
    """The whole of kube-proxy's work on one node.

    Args:
        scenario: Services and pods.
        network: their addresses.
        node: the node's name.
        primary_only: node ports on the node's primary address only (the default of
            --nodeport-addresses in nftables mode) instead of on every local address.
        masquerade_all: masquerade cluster IPs whatever the source (--masquerade-all).
    """
    table = Table("kube-proxy")
    reachable = (
        f"ip daddr {network.nodes[node]}"
        if primary_only
        else "ip daddr != 127.0.0.0/8 fib daddr type local"
    )
    to_mark = "" if masquerade_all else f"ip saddr != {network.pod_cidr} "
    lookups = _lookups(table, scenario, network, node, reachable, f"{to_mark}{MARK}")
    table.chain("KUBE-SERVICES", lookups)
    for name, hook in (("PREROUTING", "prerouting"), ("OUTPUT", "output")):
        table.chain(
            name,
            ["jump KUBE-SERVICES"],
            hook=f"type nat hook {hook} priority -100; policy accept",
        )
    table.chain(
        "POSTROUTING",
        [
            f"meta mark & {MASQUERADE:#x} == 0 return",
            f"meta mark set meta mark ^ {MASQUERADE:#x}",
            "masquerade",
        ],
        hook="type nat hook postrouting priority 100; policy accept",
    )
    _refuse_unserved(table, scenario, network)
    return table


def _lookups(  # noqa: PLR0913, PLR0917 - a node's Services and how it treats them
    table: Table,
    scenario: Scenario,
    network: Network,
    node: str,
    node_port_addresses: str,
    mark_internal: str,
) -> list[str]:
    """KUBE-SERVICES: cluster IPs and addresses outside first, node ports last."""
    by_address, by_node_port = [], []
    for served in served_ports(scenario):
        if not served.backends:
            continue
        here = tuple(backend for backend in served.backends if backend.pod.node == node)
        everywhere, local_only = (
            add_backends(
                table,
                (kind, *served.label),
                network,
                served.protocol,
                backends,
                before=lambda backend: [f"ip saddr {network.pods[backend.pod.key]} {MARK}"],
            )
            for kind, backends in (("KUBE-SVC", served.backends), ("KUBE-SVL", here))
        )
        cluster_ip = network.cluster_ips.get(served.service.key)
        if cluster_ip is not None:
            chain = _internal(table, served, mark_internal, everywhere, local_only)
            by_address.append(
                f"{cluster_ip} . {served.protocol} . {served.port.port} : goto {chain}"
            )
        outside = outside_addresses(network, served.service)
        if served.port.node_port is None and not outside:
            continue
        chain = _external(table, served, network, everywhere, local_only)
        by_address += [
            f"{address} . {served.protocol} . {served.port.port} : goto {chain}"
            for address in outside
        ]
        if served.port.node_port is not None:
            by_node_port.append(f"{served.protocol} . {served.port.node_port} : goto {chain}")
    return [
        *(f"ip daddr . meta l4proto . th dport vmap {some}" for some in element_sets(by_address)),
        *(
            f"{node_port_addresses} meta l4proto . th dport vmap {some}"
            for some in element_sets(by_node_port)
        ),
    ]


def _internal(table: Table, served: ServedPort, mark: str, everywhere: str, local_only: str) -> str:
    """A cluster IP: sources outside of the cluster's pods are masqueraded."""
    chain = identifier("KUBE-CLUSTER-IP", *served.label)
    only_here = served.service.internal_traffic_policy == "Local"
    table.chain(chain, [mark, f"goto {local_only if only_here else everywhere}"])
    return chain


def _external(
    table: Table, served: ServedPort, network: Network, everywhere: str, local_only: str
) -> str:
    """KUBE-EXT: masquerade all, or with the policy Local only what the node itself sends."""
    chain = identifier("KUBE-EXT", *served.label)
    if served.service.external_traffic_policy == "Local":
        rules = [
            f"ip saddr {network.pod_cidr} goto {everywhere}",
            f"fib saddr type local {MARK}",
            f"fib saddr type local goto {everywhere}",
            f"goto {local_only}",
        ]
    else:
        rules = [MARK, f"goto {everywhere}"]
    table.chain(chain, rules)
    return chain


def _refuse_unserved(table: Table, scenario: Scenario, network: Network) -> None:
    """KUBE-SERVICES of the filter table: a cluster IP without endpoints refuses."""
    unserved = [
        f"{network.cluster_ips[served.service.key]} . {served.protocol} . {served.port.port}"
        for served in served_ports(scenario)
        if not served.backends and served.service.key in network.cluster_ips
    ]
    if unserved:
        for hook in ("forward", "output"):
            table.chain(
                f"REFUSE-{hook}",
                [
                    f"ip daddr . meta l4proto . th dport {some} reject"
                    for some in element_sets(unserved)
                ],
                hook=f"type filter hook {hook} priority -10; policy accept",
            )
