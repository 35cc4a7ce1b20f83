"""Services: which pods stand behind a Service port.

Source: the Kubernetes documentation, "Service" and "EndpointSlices".
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from nodeport_lab.model import Network, Pod, Protocol, Scenario, Service, ServicePort


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A pod and the port number on which it serves."""

    pod: Pod
    port: int


@dataclass(frozen=True, slots=True)
class ServedPort:
    """A Service port together with what stands behind it."""

    service: Service
    port: ServicePort
    backends: tuple[Endpoint, ...]

    @property
    def protocol(self) -> str:
        """The protocol as netfilter writes it: `tcp` or `udp`."""
        return self.port.protocol.lower()

    @property
    def label(self) -> tuple[str, str, str]:
        """Namespace, Service and port: unique in a scenario."""
        return self.service.namespace, self.service.name, self.port.name or str(self.port.port)


def outside_addresses(network: Network, service: Service) -> tuple[IPv4Address, ...]:
    """The addresses besides nodes' that stand for a Service outside of the cluster."""
    balanced = network.load_balancers.get(service.key)
    given = tuple(IPv4Address(address) for address in service.external_ips)
    return given if balanced is None else (balanced, *given)


def served_ports(scenario: Scenario) -> tuple[ServedPort, ...]:
    """Every Service port that can be probed (SCTP never is), in the scenario's order."""
    return tuple(
        ServedPort(service, port, endpoints(scenario, service, port))
        for service in scenario.services
        for port in service.ports
        if port.protocol is not Protocol.SCTP
    )


def endpoints(scenario: Scenario, service: Service, port: ServicePort) -> tuple[Endpoint, ...]:
    """The endpoints of one Service port, in the order of the scenario's pods.

    A named target port is looked up on each pod; pods that do not declare it are no
    endpoints.
    """
    return tuple(
        Endpoint(pod, number)
        for pod in selected_pods(scenario, service)
        for number in _numbers(pod, port)
    )


def selected_pods(scenario: Scenario, service: Service) -> tuple[Pod, ...]:
    """The pods behind a Service; without a selector those that EndpointSlices name."""
    if not service.selector:
        return tuple(pod for pod in scenario.pods if pod.key in service.endpoint_pods)
    wanted = set(service.selector)
    return tuple(
        pod
        for pod in scenario.pods
        if pod.namespace == service.namespace and wanted <= set(pod.labels)
    )


def _numbers(pod: Pod, port: ServicePort) -> tuple[int, ...]:
    if isinstance(port.target_port, int):
        return (port.target_port,)
    return tuple(
        declared.port
        for declared in pod.ports
        if declared.name == port.target_port and declared.protocol is port.protocol
    )[:1]
