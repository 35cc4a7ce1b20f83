"""Which pods stand behind a Service port."""

from __future__ import annotations

import pytest

from nodeport_lab.model import ContainerPort, Pod, Protocol, Scenario, Service, ServicePort
from nodeport_lab.services import Endpoint, endpoints

ONE = Pod("red", "one", "n1", (("app", "web"), ("tier", "a")), (ContainerPort(8080, name="http"),))
TWO = Pod("red", "two", "n2", (("app", "web"),), (ContainerPort(8081, name="http"),))
NAMELESS = Pod("red", "nameless", "n2", (("app", "web"),), (ContainerPort(8082),))
HOST = Pod("red", "host", "n1", (("app", "node"),), (), host_network=True)
ELSEWHERE = Pod("blue", "one", "n1", (("app", "web"),), (ContainerPort(8080, name="http"),))
SCENARIO = Scenario("test", (), (), (ONE, TWO, NAMELESS, HOST, ELSEWHERE), (), ())


def web(target: int | str, **selector: str) -> tuple[Endpoint, ...]:
    """Endpoints of a Service in namespace red with this target port and selector."""
    port = ServicePort(80, target)
    return endpoints(SCENARIO, Service("red", "web", tuple(selector.items()), (port,)), port)


def test_endpoints_are_the_selected_pods_of_the_services_namespace() -> None:
    """They come in the order of the scenario; every label of the selector must match."""
    assert (Endpoint(ONE, 9090), Endpoint(TWO, 9090), Endpoint(NAMELESS, 9090)) == web(
        9090, app="web"
    )
    assert (Endpoint(ONE, 9090),) == web(9090, app="web", tier="a")


def test_a_named_target_port_is_looked_up_on_each_pod() -> None:
    """The same name may be another number on another pod; without it a pod is no endpoint."""
    assert (Endpoint(ONE, 8080), Endpoint(TWO, 8081)) == web("http", app="web")


def test_a_named_target_port_must_have_the_ports_protocol() -> None:
    """A TCP port of that name does not serve a UDP Service port."""
    port = ServicePort(80, "http", Protocol.UDP)

    assert () == endpoints(SCENARIO, Service("red", "web", (("app", "web"),), (port,)), port)


def test_a_host_network_pod_can_be_an_endpoint() -> None:
    """Services select by label alone; NetworkPolicy is what treats such pods differently."""
    assert (Endpoint(HOST, 7070),) == web(7070, app="node")


@pytest.mark.parametrize("selector", [{}, {"app": "nothing"}])
def test_no_selector_or_no_match_means_no_endpoints(selector: dict[str, str]) -> None:
    """A Service without a selector does not mean every pod."""
    assert () == web(8080, **selector)
