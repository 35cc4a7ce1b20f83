"""What is deployed in a cluster, listed by its API, read as if it were files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from support.kubernetes_api import KubernetesApi

from nodeport_lab.check.deployed import read_cluster
from nodeport_lab.errors import ManifestError, PrerequisiteError
from nodeport_lab.manifests.deployed import LISTED, read_deployed
from nodeport_lab.manifests.users_scenario import users_scenario
from nodeport_lab.testbeds.cluster.failures import ClusterError

POD = {
    "metadata": {
        "name": "web-5d4f-x",
        "namespace": "shop",
        "labels": {"app": "web"},
        "ownerReferences": [
            {
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "name": "web-5d4f",
                "uid": "u",
                "controller": True,
            }
        ],
        "managedFields": [{"manager": "kubelet"}],
    },
    "spec": {"nodeName": "gke-7", "containers": [{"name": "c", "image": "i"}]},
    "status": {"phase": "Running", "podIP": "10.4.0.9"},
}


def test_a_cluster_is_read_by_lists_alone() -> None:
    """Items come without their kind; pods keep their nodes, and the name of what made them."""
    asked: list[tuple[str, str]] = []

    def list_objects(version: str, kind: str) -> Sequence[Mapping[str, Any]]:
        asked.append((version, kind))
        return [POD] if kind == "Pod" else []

    (pod,) = users_scenario(read_deployed(list_objects, "context dev")).scenario.pods

    assert list(LISTED) == asked
    assert ("gke-7", "web-5d4f") == (pod.node, pod.workload)


def put(api: KubernetesApi, resource: str, name: str, namespace: str | None = None) -> None:
    """Put an object that says nothing but its name into the imitated cluster."""
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    spec: dict[str, Any] = {"podSelector": {}} if resource == "networkpolicies" else {}
    api.objects[resource, namespace, name] = {"metadata": metadata, "spec": spec}


@pytest.fixture
def api() -> Iterator[KubernetesApi]:
    """A cluster with a pod, and a policy in each of two namespaces, over real HTTP."""
    with KubernetesApi().serving() as serving:
        serving.resources["v1"]["secrets"] = ("Secret", True)
        serving.resources["discovery.k8s.io/v1"] = {"endpointslices": ("EndpointSlice", True)}
        serving.objects["pods", "shop", "web-5d4f-x"] = POD
        for name in ("shop", "bank"):
            put(serving, "namespaces", name)
            put(serving, "networkpolicies", f"closed-{name}", name)
            put(serving, "secrets", "token", name)
        yield serving


def names(api: KubernetesApi, folder: Path, *namespaces: str) -> list[str]:
    """What is read of the cluster, each as kind and name."""
    reading = read_cluster(api.kubeconfig(folder), "dev", namespaces, timeout=2)
    return sorted(f"{found.kind} {found.name}" for found in reading.objects)


def test_a_cluster_is_read_over_its_api(api: KubernetesApi, tmp_path: Path) -> None:
    """Everything of all namespaces, by GET alone; nobody asks for Secrets."""
    found = names(api, tmp_path)

    policies = ["NetworkPolicy closed-bank", "NetworkPolicy closed-shop"]
    assert ["Namespace bank", "Namespace shop", *policies, "Pod web-5d4f-x"] == found
    assert {"GET"} == {method for method, _ in api.requests}
    assert not api.asked("GET", "secrets")


def test_one_namespace_can_be_read_with_rights_inside_of_it(
    api: KubernetesApi, tmp_path: Path
) -> None:
    """Nothing that lies outside of the namespace is asked for."""
    found = names(api, tmp_path, "shop")

    assert ["Namespace shop", "NetworkPolicy closed-shop", "Pod web-5d4f-x"] == found
    inside = [path for _, path in api.requests if len(path.strip("/").split("/")) > 3]
    assert inside
    assert all("/namespaces/shop" in path for path in inside)


@pytest.mark.parametrize(("status", "part"), [(403, "/pods"), (403, "endpointslices"), (401, "/")])
def test_a_missing_right_is_one_sentence(
    api: KubernetesApi, tmp_path: Path, status: int, part: str
) -> None:
    """It names what was asked for and what would be enough."""
    api.faults["GET", part] = status

    with pytest.raises(PrerequisiteError, match="the ClusterRole view is enough") as raised:
        names(api, tmp_path)
    assert 1 == str(raised.value).count("; ")
    assert str(status) in str(raised.value)


def test_a_namespace_that_is_not_there_is_told(api: KubernetesApi, tmp_path: Path) -> None:
    """Not taken for an empty one."""
    with pytest.raises(PrerequisiteError, match="no namespace 'shpo'"):
        names(api, tmp_path, "shpo")


def test_a_cluster_that_fails_is_not_a_missing_right(api: KubernetesApi, tmp_path: Path) -> None:
    """The fault is told as what it is."""
    api.faults["GET", "networkpolicies"] = 404

    with pytest.raises(ClusterError, match=r"list NetworkPolicy in all namespaces.*404"):
        names(api, tmp_path)


def test_what_cannot_be_understood_is_named(api: KubernetesApi, tmp_path: Path) -> None:
    """By kind, namespace and name: there is no file to look into."""
    put(api, "networkpolicies", "odd", "shop")
    api.objects["networkpolicies", "shop", "odd"]["spec"] = {"podSelector": "web"}

    with pytest.raises(ManifestError, match=r"dev, NetworkPolicy shop/odd, spec\.podSel"):
        names(api, tmp_path)


def test_fields_of_a_newer_cluster_are_left_out_and_told(
    api: KubernetesApi, tmp_path: Path
) -> None:
    """In a file they would be mistakes; a cluster has accepted them."""
    ports = [{"port": 80, "novelty": 1}]
    spec = {"podSelector": {}, "ingress": [{"ports": ports}, {"ports": ports}], "mood": "calm"}
    api.objects["networkpolicies", "shop", "closed-shop"]["spec"] = spec

    reading = read_cluster(api.kubeconfig(tmp_path), "dev", ["shop"])

    (note,) = reading.notes
    assert "spec.mood of NetworkPolicy, spec.ingress[].ports[].novelty of NetworkPolicy" in note
    assert 1 == note.count("novelty")
