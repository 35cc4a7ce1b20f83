"""What is deployed in a cluster, listed by its API, read as if it were files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nodeport_lab.manifests.deployed import LISTED, read_deployed
from nodeport_lab.manifests.users_scenario import users_scenario

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
