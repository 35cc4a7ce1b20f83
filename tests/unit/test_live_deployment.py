"""A scenario as objects for one cluster."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.live_cluster import NODES, node

from nodeport_lab.errors import PrerequisiteError, UnknownNameError
from nodeport_lab.locations import manifests_directory
from nodeport_lab.manifests import load_scenario, read_directory, read_objects
from nodeport_lab.model import Pod, PolicyPort, PolicyRule, Protocol, Scenario
from nodeport_lab.testbeds.cluster.deployment import (
    ENFORCE,
    Site,
    fit,
    map_nodes,
    namespace_manifest,
    node_ports,
    pod_manifest,
    policy_manifest,
    service_manifest,
)
from nodeport_lab.testbeds.cluster.facts import ClusterNode, Readings, read_nodes
from nodeport_lab.variations import vary

FOLDERS = ("workloads", "suites/actors", "services", "policies", "suites/ports", "suites/outside")
DIGEST = "sha256:58adaa4e8dca9c988bae2aba4ab3434a0bb2da16bbe3f92dec39ec7785166777"
OBJECTS = read_directory(manifests_directory(), FOLDERS)


@pytest.fixture(scope="module")
def atlas() -> Scenario:
    """Three workers, pods of every kind, Services of every kind."""
    return load_scenario(manifests_directory(), "atlas", folders=FOLDERS)


def cluster(*more: dict[str, Any]) -> tuple[ClusterNode, ...]:
    """The nodes of a cluster."""
    return read_nodes(Readings([*NODES, *more]))


THIRD = node("worker-z", "192.0.2.13")


def site(scenario: Scenario, **how: Any) -> Site:  # noqa: ANN401 - fields of Site
    """A cluster with enough nodes, and a namespace of another name."""
    return Site(map_nodes(scenario, cluster(THIRD)), {"nodeport-lab": "lab-1"}, **how)


def test_nodes_are_mapped_in_order_workers_to_workers(atlas: Scenario) -> None:
    """The same cluster always gives the same mapping."""
    found = {name: node.name for name, node in map_nodes(atlas, cluster(THIRD)).items()}

    assert {
        "dev-control-plane": "plane",
        "dev-worker": "worker-x",
        "dev-worker2": "worker-y",
        "dev-worker3": "worker-z",
    } == found


def test_a_stated_node_is_taken_and_the_others_follow(atlas: Scenario) -> None:
    """For clusters where it matters which node is which."""
    found = map_nodes(atlas, cluster(THIRD), {"dev-worker": "worker-z"})

    assert ["worker-z", "worker-x", "worker-y"] == [
        found[name].name for name in ("dev-worker", "dev-worker2", "dev-worker3")
    ]
    for stated in ({"dev-worker": "worker-q"}, {"dev-worker9": "worker-z"}):
        with pytest.raises(UnknownNameError):
            map_nodes(atlas, cluster(THIRD), stated)


def test_an_open_control_plane_helps_out_and_a_hidden_one_is_absent(atlas: Scenario) -> None:
    """Small clusters run pods on it; managed ones do not show it."""
    role = {"node-role.kubernetes.io/control-plane": ""}
    small = read_nodes(Readings([node("a-plane", "192.0.2.1", labels=role), *NODES[1:]]))

    found = map_nodes(atlas, small)

    assert "a-plane" == found["dev-worker3"].name
    assert "dev-control-plane" not in found
    fitting, left_out = fit(atlas, Site(found, {"nodeport-lab": "x"}, host_network=True))
    assert "dev-control-plane" not in [node.name for node in fitting.nodes]
    assert "the cluster shows no node in the place of dev-control-plane" in left_out


def test_a_pod_has_its_manifest_s_spec_on_the_cluster_s_node(atlas: Scenario) -> None:
    """Everything else is as it was written; labels and name are the scenario's."""
    hello = next(pod for pod in atlas.pods if pod.name == "hello-0")

    manifest = pod_manifest(hello, OBJECTS, site(atlas))

    assert ("hello-0", "lab-1") == (manifest["metadata"]["name"], manifest["metadata"]["namespace"])
    assert {"app": "hello"} == manifest["metadata"]["labels"]
    assert {"kubernetes.io/hostname": "worker-x"} == manifest["spec"]["nodeSelector"]
    assert "hostNetwork" not in manifest["spec"]
    assert "readinessProbe" in manifest["spec"]["containers"][0]


def test_every_pod_meets_the_restricted_standard(atlas: Scenario) -> None:
    """As https://kubernetes.io/docs/concepts/security/pod-security-standards/ asks for it."""
    for pod in atlas.pods:
        spec = pod_manifest(pod, OBJECTS, site(atlas))["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert "RuntimeDefault" == spec["securityContext"]["seccompProfile"]["type"]
        for container in spec["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert ["ALL"] == container["securityContext"]["capabilities"]["drop"]


def test_variations_come_along(atlas: Scenario) -> None:
    """Moved, copied, and in the node's network; traffic policies on the Service."""
    both = vary(atlas, {"backend": "both", "externalTrafficPolicy": "Local"})
    copy = next(pod for pod in both.pods if pod.name == "hello-0-copy")
    host = vary(atlas, {"backend": "host-network"})
    server = next(pod for pod in host.pods if pod.name == "hello-0")
    service = next(one for one in both.services if one.name == "hello")

    assert {"kubernetes.io/hostname": "worker-y"} == pod_manifest(copy, OBJECTS, site(both))[
        "spec"
    ]["nodeSelector"]
    assert pod_manifest(server, OBJECTS, site(host))["spec"]["hostNetwork"] is True
    assert (
        "Local" == service_manifest(service, OBJECTS, site(both))["spec"]["externalTrafficPolicy"]
    )


def test_the_manifests_themselves_are_not_changed(atlas: Scenario) -> None:
    """They are read once and used for every testbed."""
    before = repr(OBJECTS)
    for pod in atlas.pods:
        pod_manifest(pod, OBJECTS, site(atlas, images={"docker.io/curlimages/curl": "x"}))
    for service in atlas.services:
        service_manifest(service, OBJECTS, site(atlas))

    assert before == repr(OBJECTS)


def test_node_ports_are_left_to_the_cluster_or_kept(atlas: Scenario) -> None:
    """A guest takes what it gets; kind's cluster is the lab's own."""
    service = next(one for one in atlas.services if one.name == "hello")

    guest = service_manifest(service, OBJECTS, site(atlas))["spec"]["ports"][0]
    own = service_manifest(service, OBJECTS, site(atlas, keep_addresses=True))["spec"]["ports"][0]

    assert "nodePort" not in guest
    assert 30080 == own["nodePort"]


@pytest.mark.parametrize(
    "name",
    [
        "docker.io/curlimages/curl",
        "docker.io/curlimages/curl:8.22.0",
        f"docker.io/curlimages/curl:8.22.0@{DIGEST}",
    ],
)
def test_images_are_replaced_by_any_of_their_names(atlas: Scenario, name: str) -> None:
    """For registries behind a wall."""
    client = next(pod for pod in atlas.pods if pod.name == "client-a")
    here = site(atlas, images={name: "registry.example/curl:1"})

    assert (
        "registry.example/curl:1"
        == pod_manifest(client, OBJECTS, here)["spec"]["containers"][0]["image"]
    )


def test_services_with_addresses_outside_are_left_out_unless_allowed(atlas: Scenario) -> None:
    """An externalIP draws traffic of the nodes' network; a load balancer may cost money."""
    without, left_out = fit(atlas, site(atlas, host_network=True))
    with_, _ = fit(atlas, site(atlas, host_network=True, outside=True))

    assert ["hello"] == [service.name for service in without.services]
    assert any("hello-outside" in reason for reason in left_out)
    assert atlas.services == with_.services


def test_a_server_in_the_node_s_network_needs_to_be_admitted(atlas: Scenario) -> None:
    """Without it there would be no experiment."""
    host = vary(atlas, {"backend": "host-network"})

    with pytest.raises(PrerequisiteError, match="does not admit"):
        fit(host, site(host))
    assert fit(host, site(host, host_network=True))[0].pods == host.pods


def test_a_created_namespace_is_as_strict_as_its_pods_allow(atlas: Scenario) -> None:
    """Restricted, unless a pod is in its node's network."""
    plain = replace(atlas, pods=tuple(pod for pod in atlas.pods if not pod.host_network))

    for scenario, standard in ((plain, "restricted"), (atlas, "privileged")):
        manifest = namespace_manifest(scenario, "nodeport-lab", site(atlas))
        assert "lab-1" == manifest["metadata"]["name"]
        assert {ENFORCE: standard} == manifest["metadata"]["labels"]


def test_what_no_manifest_describes_is_refused(atlas: Scenario) -> None:
    """A scenario made in Python has no images."""
    with pytest.raises(PrerequisiteError, match="no manifest describes the Pod nodeport-lab/ghost"):
        pod_manifest(Pod("nodeport-lab", "ghost", "dev-worker"), OBJECTS, site(atlas))


def rendered(scenario: Scenario, name: str, ports: dict[tuple[Protocol, int], int]) -> Any:  # noqa: ANN401
    """A policy of the scenario for the cluster."""
    policy = next(one for one in scenario.policies if one.name == name)
    return policy_manifest(policy, site(scenario), ports)


def test_ports_that_stand_for_the_node_port_follow_it(atlas: Scenario) -> None:
    """Others stay, also the same number of another protocol."""
    moved = {(Protocol.TCP, 30080): 31234}

    assert (
        31234 == rendered(atlas, "egress-port-node", moved)["spec"]["egress"][0]["ports"][0]["port"]
    )
    assert (
        8080
        == rendered(atlas, "egress-port-target", moved)["spec"]["egress"][0]["ports"][0]["port"]
    )
    udp = {(Protocol.UDP, 30080): 31234}
    assert (
        30080 == rendered(atlas, "egress-port-node", udp)["spec"]["egress"][0]["ports"][0]["port"]
    )


def test_a_range_that_loses_the_node_port_is_refused(atlas: Scenario) -> None:
    """One that still holds it is fine."""
    policy = next(one for one in atlas.policies if one.name == "egress-port-node")
    narrow = replace(policy, egress=(PolicyRule(ports=(PolicyPort(Protocol.TCP, 30000, 30100),)),))

    policy_manifest(narrow, site(atlas), {(Protocol.TCP, 30080): 30090})
    with pytest.raises(PrerequisiteError, match=r"30000-30100.*30080.*31234"):
        policy_manifest(narrow, site(atlas), {(Protocol.TCP, 30080): 31234})


def test_namespaces_in_selectors_are_the_cluster_s(atlas: Scenario) -> None:
    """Only as values of the label that is the namespace's name."""
    spec = rendered(atlas, "namespaceselector", {})["spec"]

    assert {"kubernetes.io/metadata.name": "lab-1"} == (
        spec["egress"][0]["to"][0]["namespaceSelector"]["matchLabels"]
    )


def test_every_manifest_made_is_one_that_kubernetes_accepts(atlas: Scenario) -> None:
    """Checked by the same table as the manifests of the book."""
    import json  # noqa: PLC0415 - only here

    here = site(atlas, outside=True, host_network=True)
    made = [
        *(pod_manifest(pod, OBJECTS, here) for pod in atlas.pods),
        *(service_manifest(service, OBJECTS, here) for service in atlas.services),
        *(policy_manifest(policy, here, {}, spared="a/b") for policy in atlas.policies),
        namespace_manifest(atlas, "nodeport-lab", here),
    ]

    assert len(made) == sum(len(read_objects(json.dumps(one), "made")) for one in made)


def test_node_ports_are_joined_by_service_and_port(atlas: Scenario) -> None:
    """What the manifests say and what the cluster has given."""
    given = replace(
        atlas,
        services=tuple(
            replace(one, ports=tuple(replace(port, node_port=31000) for port in one.ports))
            for one in atlas.services
            if one.name == "hello"
        ),
    )

    assert {(Protocol.TCP, 30080): 31000} == node_ports(atlas, given)
