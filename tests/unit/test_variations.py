"""Variations: a scenario with one thing changed, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nodeport_lab.dataplanes import DATAPLANES
from nodeport_lab.errors import UnknownNameError
from nodeport_lab.model import ContainerPort, Node, Pod, Scenario, Service, ServicePort
from nodeport_lab.services import endpoints
from nodeport_lab.variations import VARIATIONS, departures, split, vary

SERVES = (("app", "web"),)
FIRST = Pod("red", "web-0", "w1", SERVES, (ContainerPort(8080),), workload="web")
LAST = Pod("red", "web-1", "w3", SERVES, (ContainerPort(8080),), workload="web")
CALLER = Pod("red", "caller", "w1", workload="caller")
PORT = ServicePort(80, 8080, node_port=30080)
WEB = Service("red", "web", SERVES, (PORT,), "NodePort")
SCENARIO = Scenario(
    "test",
    (Node("cp", control_plane=True), Node("w1"), Node("w2"), Node("w3")),
    (),
    (FIRST, CALLER, LAST),
    (WEB,),
    (),
)


@pytest.mark.parametrize(
    "chosen", [{}, {"backend": "as-placed", "externalTrafficPolicy": "Cluster"}]
)
def test_without_a_change_the_scenario_stays_as_it_is(chosen: dict[str, str]) -> None:
    """Nothing chosen, or defaults chosen, is the scenario of the manifests."""
    assert SCENARIO == vary(SCENARIO, chosen)


def test_what_a_manifest_says_is_kept_where_nothing_is_chosen() -> None:
    """A Service that is Local by itself stays so, until a variation says otherwise."""
    local = replace(SCENARIO, services=(replace(WEB, external_traffic_policy="Local"),))

    assert local == vary(local, {"backend": "as-placed"})
    assert SCENARIO == vary(local, {"externalTrafficPolicy": "Cluster"})


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("externalTrafficPolicy", replace(WEB, external_traffic_policy="Local")),
        ("internalTrafficPolicy", replace(WEB, internal_traffic_policy="Local")),
    ],
)
def test_a_traffic_policy_changes_services_and_no_more(name: str, expected: Service) -> None:
    """The other traffic policy and the pods stay as they were."""
    assert replace(SCENARIO, services=(expected,)) == vary(SCENARIO, {name: "Local"})


def test_a_moved_backend_runs_on_the_next_worker() -> None:
    """From the last worker it goes to the first; never to the control plane."""
    moved = vary(SCENARIO, {"backend": "moved"})

    assert {"web-0": "w2", "caller": "w1", "web-1": "w1"} == {
        pod.name: pod.node for pod in moved.pods
    }
    assert SCENARIO.services == moved.services


def test_both_adds_a_backend_on_the_next_worker() -> None:
    """Each server stays and gets a second one; both stand behind the Service."""
    both = vary(SCENARIO, {"backend": "both"})

    assert ["w1", "w2", "w3", "w1"] == [
        endpoint.pod.node for endpoint in endpoints(both, WEB, PORT)
    ]
    assert set(SCENARIO.pods) <= set(both.pods)


def test_every_pod_keeps_a_name_of_its_own() -> None:
    """Two replicas do not become two pods of one name."""
    both = vary(SCENARIO, {"backend": "both"})

    keys = [pod.key for pod in both.pods]
    assert len(set(keys)) == len(keys) == 5


def test_a_host_network_backend_stays_on_its_node() -> None:
    """Servers move into their node's network; clients do not."""
    varied = vary(SCENARIO, {"backend": "host-network"})

    assert (replace(FIRST, host_network=True), CALLER, replace(LAST, host_network=True)) == (
        varied.pods
    )


@pytest.mark.parametrize(
    ("chosen", "known"),
    [
        ({"weather": "rain"}, tuple(VARIATIONS)),
        ({"backend": "nowhere"}, ("as-placed", "moved", "both", "host-network")),
        ({"externalTrafficPolicy": "local"}, ("Cluster", "Local")),
    ],
)
def test_an_unknown_variation_or_value_lists_the_known_ones(
    chosen: dict[str, str], known: tuple[str, ...]
) -> None:
    """Whoever mistypes sees what there is."""
    with pytest.raises(UnknownNameError) as raised:
        vary(SCENARIO, chosen)

    assert known == raised.value.known


@pytest.mark.parametrize("name", DATAPLANES)
def test_no_option_has_the_name_of_a_variation(name: str) -> None:
    """Both are set with -o: a name that were both would go to one of them unseen."""
    assert set() == set(DATAPLANES[name].options) & set(VARIATIONS)


def test_options_and_variations_are_told_apart() -> None:
    """What no variation knows is the dataplane's to accept or to refuse."""
    chosen = {"backend": "both", "natOutgoing": "Disabled", "unheard-of": "x"}

    assert ({"natOutgoing": "Disabled", "unheard-of": "x"}, {"backend": "both"}) == split(chosen)


def test_departures_are_what_is_not_at_its_default() -> None:
    """Options of the dataplane and variations alike; what neither knows is left out."""
    chosen = {
        "encapsulation": "VXLANCrossSubnet",
        "natOutgoing": "Disabled",
        "backend": "moved",
        "internalTrafficPolicy": "Cluster",
        "policyCIDRMatchMode": "nodes",
    }

    assert {"natOutgoing": "Disabled", "backend": "moved"} == departures("calico-iptables", chosen)
    assert {"backend": "moved"} == departures("a dataplane of tomorrow", chosen)
