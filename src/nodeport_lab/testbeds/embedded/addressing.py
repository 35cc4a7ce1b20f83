"""The addresses that the embedded testbed gives to a scenario."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

from nodeport_lab.errors import ManifestError
from nodeport_lab.model import Network, Scenario

NODE_CIDR = IPv4Network("172.18.0.0/24")  # what Docker usually gives the network `kind`
GATEWAY = NODE_CIDR[1]
_EXTERNAL = 250
EXTERNAL = ("external", NODE_CIDR[_EXTERNAL], None)
"""A machine on the nodes' network: name, address, router."""
ROUTED = ("external-routed", IPv4Address("203.0.113.10"), IPv4Address("203.0.113.1"))
"""A machine behind a router (addresses for documentation, RFC 5737)."""
_FIRST_LOAD_BALANCER = 230
_FIRST_NODE = 2
_FIRST_POD = 2  # .0 names the subnet, .1 is the node's tunnel device
_FIRST_CLUSTER_IP = 10


def plan_network(scenario: Scenario, *, tunnel: bool = False) -> Network:
    """Hand out addresses, the same ones for the same scenario.

    Args:
        scenario: what needs addresses.
        tunnel: whether nodes get a tunnel device, with the first address of their pods.

    Raises:
        ManifestError: there are more nodes, pods or Services than addresses.
    """
    pod_cidrs = dict(
        zip((node.name for node in scenario.nodes), _node_subnets(scenario), strict=False)
    )
    if len(pod_cidrs) < len(scenario.nodes) or len(scenario.nodes) > NODE_CIDR.num_addresses - 4:
        raise ManifestError(
            f"{len(scenario.nodes)} nodes do not fit into {NODE_CIDR} and {scenario.pod_cidr}; "
            "use fewer nodes or a larger podSubnet"
        )
    nodes = {
        node.name: NODE_CIDR[_FIRST_NODE + number] for number, node in enumerate(scenario.nodes)
    }
    free = {name: _addresses(subnet, _FIRST_POD) for name, subnet in pod_cidrs.items()}
    pods = {}
    for pod in scenario.pods:
        address = nodes[pod.node] if pod.host_network else next(free[pod.node], None)
        if address is None:
            raise ManifestError(
                f"node {pod.node} has more pods than addresses in {pod_cidrs[pod.node]}; "
                "spread the pods over more nodes"
            )
        pods[pod.key] = address
    return Network(
        node_cidr=NODE_CIDR,
        pod_cidr=scenario.pod_cidr,
        service_cidr=scenario.service_cidr,
        nodes=nodes,
        node_pod_cidrs=pod_cidrs,
        pods=pods,
        cluster_ips=_cluster_ips(scenario),
        load_balancers=_load_balancers(scenario),
        tunnels={name: subnet[1] for name, subnet in pod_cidrs.items()} if tunnel else {},
    )


def _load_balancers(scenario: Scenario) -> dict[str, IPv4Address]:
    """An address on the nodes' network for each Service of that type, none of them a node's."""
    services = [service for service in scenario.services if service.type_ == "LoadBalancer"]
    after_nodes = _FIRST_NODE + len(scenario.nodes)
    numbers = (
        *range(_FIRST_LOAD_BALANCER, _EXTERNAL),
        *range(_FIRST_LOAD_BALANCER - 1, after_nodes - 1, -1),
    )
    if len(services) > len(numbers):
        raise ManifestError(
            f"{len(services)} Services of type LoadBalancer do not fit into {NODE_CIDR} beside the "
            f"nodes; use at most {len(numbers)}"
        )
    return {
        service.key: NODE_CIDR[number] for service, number in zip(services, numbers, strict=False)
    }


def _node_subnets(scenario: Scenario) -> Iterator[IPv4Network]:
    return scenario.pod_cidr.subnets(new_prefix=max(24, scenario.pod_cidr.prefixlen))


def _addresses(subnet: IPv4Network, first: int) -> Iterator[IPv4Address]:
    return (subnet[number] for number in range(first, subnet.num_addresses - 1))


def _cluster_ips(scenario: Scenario) -> dict[str, IPv4Address]:
    given = {
        service.key: IPv4Address(service.cluster_ip)
        for service in scenario.services
        if service.cluster_ip not in (None, "None")
    }
    free = (
        address
        for address in _addresses(scenario.service_cidr, _FIRST_CLUSTER_IP)
        if address not in given.values()
    )
    for service in scenario.services:
        if service.key not in given and service.cluster_ip != "None":
            address = next(free, None)
            if address is None:
                raise ManifestError(
                    f"{scenario.service_cidr} has no cluster IP left for Service {service.key}; "
                    "use a larger serviceSubnet"
                )
            given[service.key] = address
    return given
