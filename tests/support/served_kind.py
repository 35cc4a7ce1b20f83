"""The cluster that stand-in kind makes, served over real HTTP: Calico can be installed in it.

Imitated besides `support.served_cluster`: that definitions are established at once, and that
Tigera's operator answers an Installation with a DaemonSet that is rolled out and a status that
is available. No image is named that anything pulls.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from support.served_cluster import ServedCluster

_MORE = {
    "apiextensions.k8s.io/v1": {
        "customresourcedefinitions": ("CustomResourceDefinition", False),
    },
    "operator.tigera.io/v1": {
        "installations": ("Installation", False),
        "tigerastatuses": ("TigeraStatus", False),
    },
}
_DEPLOYED = {"observedGeneration": 1, "updatedReplicas": 1, "availableReplicas": 1}
_ROLLED_OUT = {
    "observedGeneration": 1,
    "desiredNumberScheduled": 3,
    "updatedNumberScheduled": 3,
    "numberAvailable": 3,
}
_CALICO_NODE = {
    "metadata": {"name": "calico-node", "namespace": "calico-system", "generation": 1},
    "spec": {
        "template": {
            "spec": {
                "containers": [{"name": "calico-node", "image": "quay.io/calico/node:v3.32.1"}]
            }
        }
    },
    "status": _ROLLED_OUT,
}


@dataclass
class ServedKind(ServedCluster):
    """The cluster as kind leaves it: nodes, and no CNI plugin."""

    def __post_init__(self) -> None:
        """Take Calico away again, and wait for its installation."""
        super().__post_init__()
        api = self.api
        del api.objects["daemonsets", "kube-system", "calico-node"]
        del api.objects["felixconfigurations", None, "default"]
        api.resources |= _MORE
        api.resources["apps/v1"] = {
            **api.resources["apps/v1"],
            "deployments": ("Deployment", True),
        }
        metadata = {"name": "coredns", "namespace": "kube-system", "generation": 1}
        self.add(
            "deployments",
            {"metadata": metadata, "spec": {"replicas": 1}, "status": _DEPLOYED},
        )
        api.applied = self._applied

    def _applied(self, resource: str, body: dict[str, Any]) -> None:
        if resource == "customresourcedefinitions":
            body["status"] = {"conditions": [_true("Established")]}
        if resource == "installations":
            self.add("daemonsets", _CALICO_NODE)
            status = {"conditions": [_true("Available")]}
            self.add("tigerastatuses", {"metadata": {"name": "calico"}, "status": status})


def _true(kind: str) -> Mapping[str, str]:
    return {"type": kind, "status": "True"}
