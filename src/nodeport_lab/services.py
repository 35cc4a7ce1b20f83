"""Services: which pods stand behind a Service port.

Source: the Kubernetes documentation, "Service" and "EndpointSlices".
"""

from __future__ import annotations

from dataclasses import dataclass

from nodeport_lab.model import Pod, Scenario, Service, ServicePort


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A pod and the port number on which it serves."""

    pod: Pod
    port: int


def endpoints(scenario: Scenario, service: Service, port: ServicePort) -> tuple[Endpoint, ...]:
    """The endpoints of one Service port, in the order of the scenario's pods.

    A Service without a selector has none here. A named target port is looked up on
    each pod; pods that do not declare it are no endpoints.
    """
    if not service.selector:
        return ()
    wanted = set(service.selector)
    return tuple(
        Endpoint(pod, number)
        for pod in scenario.pods
        if pod.namespace == service.namespace and wanted <= set(pod.labels)
        for number in _numbers(pod, port)
    )


def _numbers(pod: Pod, port: ServicePort) -> tuple[int, ...]:
    if isinstance(port.target_port, int):
        return (port.target_port,)
    return tuple(
        declared.port
        for declared in pod.ports
        if declared.name == port.target_port and declared.protocol is port.protocol
    )[:1]
