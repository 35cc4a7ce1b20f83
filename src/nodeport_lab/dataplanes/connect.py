"""Service addresses translated before anything outside of the client sees the packet.

Stands for programs at connect() (a socket load balancer) and for per-packet load
balancing at the pod's veth ahead of policy: either way policy sees the backend. The
application keeps the dialled address as its peer.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address

from nodeport_lab.dataplanes.balancing import add_backends
from nodeport_lab.dataplanes.nftables import Table, element_sets
from nodeport_lab.model import Network, Scenario
from nodeport_lab.services import ServedPort, outside_addresses, served_ports


def connect_table(
    scenario: Scenario,
    network: Network,
    node: str,
    node_addresses: Sequence[IPv4Address] = (),
) -> Table:
    """Translation where connections begin: in a pod, or on a node for its processes.

    Args:
        scenario: Services and pods.
        network: their addresses.
        node: where the client is; internalTrafficPolicy Local keeps to its backends.
        node_addresses: whose node ports are translated, besides every cluster IP.
    """
    table = Table("at-connect")
    table.chain(
        "output",
        translation_rules(table, scenario, network, node, node_addresses),
        hook="type nat hook output priority -100; policy accept",
    )
    return table


def translation_rules(  # noqa: PLR0913, PLR0917 - Services, and where they are looked up
    table: Table,
    scenario: Scenario,
    network: Network,
    node: str,
    node_addresses: Sequence[IPv4Address],
    hook: str = "output",
) -> list[str]:
    """Add the chains of every Service; return the rules that look destinations up.

    Addresses outside are translated wherever node ports are; an engine that knows cluster
    IPs alone leaves both to kube-proxy. A Service whose internalTrafficPolicy leaves no
    backend here refuses, ahead of translation, in the filter hook of the same name.
    """
    entries: list[str] = []
    refused: list[str] = []
    for served in served_ports(scenario):
        if not served.backends:
            continue
        only_here = served.service.internal_traffic_policy == "Local"
        backends = [
            backend for backend in served.backends if not only_here or backend.pod.node == node
        ]
        keys = _keys(served, network, node_addresses)
        if not backends:
            refused += keys
            continue
        chain = add_backends(table, ("service", *served.label), network, served.protocol, backends)
        entries += [f"{key} : goto {chain}" for key in keys]
    if refused:
        table.chain(
            "refuse",
            [f"ip daddr . meta l4proto . th dport {some} reject" for some in element_sets(refused)],
            hook=f"type filter hook {hook} priority -110; policy accept",
        )
    return [f"ip daddr . meta l4proto . th dport vmap {some}" for some in element_sets(entries)]


def _keys(served: ServedPort, network: Network, node_addresses: Sequence[IPv4Address]) -> list[str]:
    """What is dialled for a Service port: `address . protocol . port`."""
    dialled = []
    cluster_ip = network.cluster_ips.get(served.service.key)
    if cluster_ip is not None:
        dialled.append((cluster_ip, served.port.port))
    if node_addresses:
        outside = outside_addresses(network, served.service)
        dialled += [(address, served.port.port) for address in outside]
    if served.port.node_port is not None:
        dialled += [(address, served.port.node_port) for address in node_addresses]
    return [f"{address} . {served.protocol} . {port}" for address, port in dialled]
