"""Service addresses translated inside the pod, at the moment it connects.

Stands for engines that rewrite the destination before a packet reaches the pod's veth:
programs at connect() (a socket load balancer) and Cilium's handling of cluster IPs for
pods. The application keeps the dialled address as its peer; everything outside of the
pod sees the backend.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address

from nodeport_lab.dataplanes.balancing import add_backends
from nodeport_lab.dataplanes.nftables import Table, elements
from nodeport_lab.model import Network, Scenario
from nodeport_lab.services import served_ports


def connect_table(
    scenario: Scenario, network: Network, node_addresses: Sequence[IPv4Address] = ()
) -> Table:
    """Translation in one pod: cluster IPs, and node ports of these nodes' addresses."""
    table = Table("at-connect")
    entries = []
    for served in served_ports(scenario):
        if not served.backends:
            continue
        chain = add_backends(
            table, ("service", *served.label), network, served.protocol, served.backends
        )
        cluster_ip = network.cluster_ips.get(served.service.key)
        if cluster_ip is not None:
            entries.append(f"{cluster_ip} . {served.protocol} . {served.port.port} : goto {chain}")
        if served.port.node_port is not None:
            entries += [
                f"{address} . {served.protocol} . {served.port.node_port} : goto {chain}"
                for address in node_addresses
            ]
    rules = [f"ip daddr . meta l4proto . th dport vmap {elements(entries)}"] if entries else []
    table.chain("output", rules, hook="type nat hook output priority -100; policy accept")
    return table
