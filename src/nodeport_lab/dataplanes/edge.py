"""Node ports for clients outside of the cluster, where no kube-proxy serves them.

The node that is dialled translates. Either it puts its own address in place of the
client's when the backend is elsewhere, or it keeps the client's address; then replies have
to come back through it, so the backend's node remembers from which node a connection
came (in the connection's mark) and routes the replies there.
"""

from __future__ import annotations

from nodeport_lab.dataplanes.balancing import add_backends
from nodeport_lab.dataplanes.names import node_mac, return_mark, tunnel_mac
from nodeport_lab.dataplanes.nftables import Table, element_sets, elements
from nodeport_lab.model import Network, Scenario
from nodeport_lab.services import Endpoint, ServedPort, outside_addresses, served_ports

_SNAT = 0x4000
_PINNED = 0x8000


def edge_table(scenario: Scenario, network: Network, node: str, *, keep_source: bool) -> Table:
    """What a node does with connections that arrive for its own node ports."""
    table = Table("node-port")
    entries = []
    for served in served_ports(scenario):
        outside = outside_addresses(network, served.service)
        if not served.backends or (served.port.node_port is None and not outside):
            continue
        chain = add_backends(
            table,
            ("external", *served.label),
            network,
            served.protocol,
            _eligible(served, node),
            before=lambda backend: _replace_source(backend, node, keep_source=keep_source),
        )
        addressed = [(address, served.port.port) for address in outside]
        if served.port.node_port is not None:
            addressed.append((network.nodes[node], served.port.node_port))
        entries += [
            f"{address} . {served.protocol} . {port} : goto {chain}" for address, port in addressed
        ]
    lookups = [f"ip daddr . meta l4proto . th dport vmap {some}" for some in element_sets(entries)]
    table.chain("prerouting", lookups, hook="type nat hook prerouting priority -100; policy accept")
    table.chain(
        "postrouting",
        [
            f"meta mark & {_SNAT:#x} == 0 return",
            f"meta mark set meta mark ^ {_SNAT:#x}",
            "masquerade",
        ],
        hook="type nat hook postrouting priority 100; policy accept",
    )
    if keep_source:
        _pin_returns(table, scenario, network, node)
    return table


def _eligible(served: ServedPort, node: str) -> list[Endpoint]:
    only_here = served.service.external_traffic_policy == "Local"
    return [backend for backend in served.backends if not only_here or backend.pod.node == node]


def _replace_source(backend: Endpoint, node: str, *, keep_source: bool) -> list[str]:
    if keep_source or backend.pod.node == node:
        return []
    return [f"meta mark set meta mark | {_SNAT:#x}"]


def _pin_returns(table: Table, scenario: Scenario, network: Network, node: str) -> None:
    if len(scenario.nodes) == 1:
        return  # nobody else forwards to it
    origins = elements(
        f"{mac} : {return_mark(number):#x}"
        for number, other in enumerate(scenario.nodes)
        if other.name != node
        for mac in (node_mac(number), tunnel_mac(number))
    )
    returning = f"ct direction reply ct mark & {_PINNED:#x} != 0 meta mark set ct mark"
    table.chain(
        "remember-origin",
        [
            f"ct state new ip saddr != {network.pod_cidr} ct mark set ether saddr map {origins}",
            returning,
        ],
        hook="type filter hook prerouting priority -155; policy accept",
    )
    table.chain(
        "return-to-origin",
        [returning],
        hook="type route hook output priority -150; policy accept",
    )
