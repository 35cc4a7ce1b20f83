"""Addresses and NodePorts of Services: no two the same, and none left open.

The cluster IP that a manifest leaves open is the testbed's to give; the NodePort is given
here, so that the same manifests always make the same scenario.
"""

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

from nodeport_lab.manifests.objects import Object
from nodeport_lab.manifests.services import HEADLESS, TYPES_WITH_NODE_PORTS
from nodeport_lab.manifests.syntax import NODE_PORTS
from nodeport_lab.model import Protocol, Service, ServicePort

# Kubernetes leaves the low end of the range to Services that choose their own NodePort
# (KEP-3668) and hands out the others first.
_CHOSEN = 86
_HAND_OUT_ORDER = (*NODE_PORTS[_CHOSEN:], *NODE_PORTS[:_CHOSEN])


def allocate(
    services: list[tuple[Object, Service]], service_cidr: IPv4Network
) -> tuple[Service, ...]:
    """Check what the manifests chose and give a NodePort to every port that needs one.

    Args:
        services: each Service as it stands in the manifest and as read.
        service_cidr: the cluster's subnet of cluster IPs.

    Raises:
        ManifestError: a cluster IP outside the subnet, or one that is there twice.
    """
    addresses: dict[str, str] = {}
    node_ports: dict[tuple[Protocol, int], str] = {}
    for found, service in services:
        _take_address(found, service, addresses, service_cidr)
        for port, field in zip(service.ports, found.spec.get("ports").items(), strict=True):
            if port.node_port is None:
                continue
            if owner := node_ports.get((port.protocol, port.node_port)):
                message = f"{port.node_port} belongs to the Service {owner} already"
                raise field.get("nodePort").error(f"{message}; choose another NodePort")
            node_ports[port.protocol, port.node_port] = service.key
    return tuple(
        replace(service, ports=tuple(_ports(found, service, node_ports)))
        for found, service in services
    )


def _take_address(
    found: Object, service: Service, taken: dict[str, str], service_cidr: IPv4Network
) -> None:
    if service.cluster_ip in {None, HEADLESS}:
        return
    address = IPv4Address(service.cluster_ip)
    field = found.spec.get("clusterIP")
    if address not in service_cidr:
        message = f"{address} is outside the cluster's service subnet"
        raise field.error(f"{message}; choose one in {service_cidr} or remove this field")
    if owner := taken.get(str(address)):
        message = f"{address} belongs to the Service {owner} already"
        raise field.error(f"{message}; choose another one or remove this field")
    taken[str(address)] = service.key


def _ports(
    found: Object, service: Service, taken: dict[tuple[Protocol, int], str]
) -> Iterator[ServicePort]:
    wanted = service.type_ in TYPES_WITH_NODE_PORTS and not (
        service.type_ == "LoadBalancer"
        and found.spec.get("allocateLoadBalancerNodePorts").value is False
    )
    for port in service.ports:
        if port.node_port is not None or not wanted:
            yield port
            continue
        free = (number for number in _HAND_OUT_ORDER if (port.protocol, number) not in taken)
        number = next(free, None)
        if number is None:
            message = "every NodePort of the cluster is in use"
            raise found.spec.get("ports").error(f"{message}; use fewer Services of type NodePort")
        taken[port.protocol, number] = service.key
        yield replace(port, node_port=number)
