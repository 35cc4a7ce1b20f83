"""kube-proxy in iptables mode: Service addresses become pod addresses on a node.

Same order as `pkg/proxy/iptables/proxier.go` in kubernetes/kubernetes: nat PREROUTING
and OUTPUT look up cluster IPs, then node ports on any local address; nat POSTROUTING
masquerades what was marked. Chains are named after kube-proxy's. Left out: session
affinity, and the randomised source port of the masquerade, so that a flow keeps the
source port by which its hops are joined.
"""

from __future__ import annotations

from collections.abc import Sequence

from nodeport_lab.dataplanes.nftables import Table, elements, identifier
from nodeport_lab.model import Network, Protocol, Scenario, Service, ServicePort
from nodeport_lab.services import Endpoint, endpoints

MASQUERADE = 0x4000  # kube-proxy's --iptables-masquerade-bit, default 14
MARK = f"meta mark set meta mark | {MASQUERADE:#x}"


def node_table(scenario: Scenario, network: Network, node: str) -> Table:
    """The whole of kube-proxy's work on one node."""
    table = Table("kube-proxy")
    by_cluster_ip: list[str] = []
    by_node_port: list[str] = []
    unserved: list[str] = []
    for service in scenario.services:
        for port in _probed_ports(service):
            protocol = port.protocol.lower()
            backends = endpoints(scenario, service, port)
            here = tuple(backend for backend in backends if backend.pod.node == node)
            label = (service.namespace, service.name, port.name or str(port.port))
            cluster_ip = network.cluster_ips.get(service.key)
            everywhere = identifier("KUBE-SVC", *label)
            local_only = identifier("KUBE-SVL", *label)
            if backends:
                _add_balancing(table, everywhere, network, protocol, backends)
                _add_balancing(table, local_only, network, protocol, here)
            if cluster_ip is not None:
                key = f"{cluster_ip} . {protocol} . {port.port}"
                if not backends:
                    unserved.append(key)
                    continue
                internal = service.internal_traffic_policy == "Local"
                name = identifier("KUBE-CLUSTER-IP", *label)
                table.chain(
                    name,
                    [
                        f"ip saddr != {network.pod_cidr} {MARK}",
                        f"goto {local_only if internal else everywhere}",
                    ],
                )
                by_cluster_ip.append(f"{key} : goto {name}")
            if port.node_port is not None and backends:
                name = identifier("KUBE-EXT", *label)
                if service.external_traffic_policy == "Local":
                    external = [
                        f"ip saddr {network.pod_cidr} goto {everywhere}",
                        f"fib saddr type local {MARK}",
                        f"fib saddr type local goto {everywhere}",
                        f"goto {local_only}",
                    ]
                else:
                    external = [MARK, f"goto {everywhere}"]
                table.chain(name, external)
                by_node_port.append(f"{protocol} . {port.node_port} : goto {name}")
    services = []
    if by_cluster_ip:
        services.append(f"ip daddr . meta l4proto . th dport vmap {elements(by_cluster_ip)}")
    if by_node_port:
        services.append(
            "ip daddr != 127.0.0.0/8 fib daddr type local "
            f"meta l4proto . th dport vmap {elements(by_node_port)}"
        )
    table.chain("KUBE-SERVICES", services)
    table.chain(
        "PREROUTING",
        ["jump KUBE-SERVICES"],
        hook="type nat hook prerouting priority -100; policy accept",
    )
    table.chain(
        "OUTPUT", ["jump KUBE-SERVICES"], hook="type nat hook output priority -100; policy accept"
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
    if unserved:
        reject = f"ip daddr . meta l4proto . th dport {elements(unserved)} reject"
        for hook in ("forward", "output"):
            table.chain(
                f"KUBE-EXTERNAL-SERVICES-{hook}",
                [reject],
                hook=f"type filter hook {hook} priority -10; policy accept",
            )
    return table


def cluster_ip_table(scenario: Scenario, network: Network) -> Table:
    """Cluster IPs translated inside the pod, at the moment it connects.

    Stands for an engine that rewrites a Service address before the packet reaches the
    pod's veth (Cilium's handling of cluster IPs for pods).
    """
    table = Table("cluster-ip")
    by_cluster_ip: list[str] = []
    for service in scenario.services:
        for port in _probed_ports(service):
            backends = endpoints(scenario, service, port)
            cluster_ip = network.cluster_ips.get(service.key)
            if cluster_ip is None or not backends:
                continue
            protocol = port.protocol.lower()
            name = identifier("service", service.namespace, service.name, str(port.port))
            _add_balancing(table, name, network, protocol, backends)
            by_cluster_ip.append(f"{cluster_ip} . {protocol} . {port.port} : goto {name}")
    rules = (
        [f"ip daddr . meta l4proto . th dport vmap {elements(by_cluster_ip)}"]
        if by_cluster_ip
        else []
    )
    table.chain("output", rules, hook="type nat hook output priority -100; policy accept")
    return table


def _add_balancing(
    table: Table, name: str, network: Network, protocol: str, backends: Sequence[Endpoint]
) -> None:
    """KUBE-SVC with its KUBE-SEPs: pick a backend, mark a hairpin, translate."""
    picks = []
    for number, backend in enumerate(backends):
        address = network.pods[backend.pod.key]
        endpoint = identifier("KUBE-SEP", *name.split("/")[1:], str(number), name.split("/")[0])
        table.chain(
            endpoint,
            [
                f"ip saddr {address} {MARK}",
                f"meta l4proto {protocol} dnat to {address}:{backend.port}",
            ],
        )
        picks.append(f"{number} : goto {endpoint}")
    pick = f"numgen random mod {len(picks)} vmap {elements(picks)}"
    table.chain(name, [pick] if picks else ["drop"])


def _probed_ports(service: Service) -> list[ServicePort]:
    return [port for port in service.ports if port.protocol is not Protocol.SCTP]
