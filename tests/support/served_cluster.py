"""A whole cluster behind the API server of `kubernetes_api`, for the real command.

Real: the command line, the client, HTTP, websockets, the objects that are created and
deleted. Imitated: kubelets (a pod is ready at once, or never), the allocation of addresses and
node ports, curl's output (`imitated_curl`), and a policy engine that knows egress by ipBlock
and by the labels of pods, and sees the address that was dialled. That is nobody's dataplane:
what is tested is that verdicts follow the policies that are really there, not what they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from itertools import count
from typing import Any

from support import imitated_curl
from support.kubernetes_api import KubernetesApi, Ran
from support.live_cluster import PLANE, node, selects

NODES = (
    PLANE,
    node("worker-x", "192.0.2.11", spec={"podCIDR": "10.42.1.0/24"}),
    node("worker-y", "192.0.2.12", spec={"podCIDR": "10.42.2.0/24"}),
)
_MORE = {
    "apps/v1": {"daemonsets": ("DaemonSet", True)},
    "crd.projectcalico.org/v1": {
        "felixconfigurations": ("FelixConfiguration", False),
        "globalnetworkpolicies": ("GlobalNetworkPolicy", False),
        "ippools": ("IPPool", False),
    },
}
_CALICO_NODE = {
    "metadata": {"name": "calico-node", "namespace": "kube-system"},
    "spec": {
        "template": {
            "spec": {
                "containers": [
                    {
                        "name": "calico-node",
                        "image": "quay.io/calico/node:v3.32.1",
                        "env": [{"name": "FELIX_DEFAULTENDPOINTTOHOSTACTION", "value": "ACCEPT"}],
                    }
                ]
            }
        }
    },
}
_POOL = {
    "metadata": {"name": "default"},
    "spec": {"cidr": "10.42.0.0/16", "natOutgoing": True, "vxlanMode": "CrossSubnet"},
}
_FELIX = {"metadata": {"name": "default"}, "spec": {"nftablesMode": "Disabled"}}
_KUBEADM = {
    "metadata": {"name": "kubeadm-config", "namespace": "kube-system"},
    "data": {"ClusterConfiguration": "networking:\n  serviceSubnet: 10.111.0.0/16\n"},
}
_READY = [{"type": "Ready", "status": "True"}]


@dataclass
class ServedCluster:
    """The cluster; its API is `api`, and faults are injected there.

    Attributes:
        api: the server's state.
        enforces: whether policies are heeded.
        starts: whether pods become ready.
        conflicts: how many requests to create a Service meet a quota that changes.
    """

    api: KubernetesApi = field(default_factory=KubernetesApi)
    enforces: bool = True
    starts: bool = True
    conflicts: int = 0

    def __post_init__(self) -> None:
        """Put in what a cluster with Calico has."""
        self._numbers = count(1)
        api = self.api
        api.resources["v1"] = {**api.resources["v1"], "configmaps": ("ConfigMap", True)}
        api.resources |= _MORE
        api.admit, api.run = self._admit, self._run
        for one in NODES:
            self.add("nodes", one)
        self.add("daemonsets", _CALICO_NODE)
        self.add("felixconfigurations", _FELIX)
        self.add("ippools", _POOL)
        self.add("configmaps", _KUBEADM)

    def add(self, resource: str, manifest: Mapping[str, Any]) -> None:
        """Put something in that the lab did not create."""
        metadata = {"uid": "theirs", **manifest["metadata"]}
        key = (resource, metadata.get("namespace"), metadata["name"])
        self.api.objects[key] = {**manifest, "metadata": metadata}

    def _admit(self, resource: str, body: dict[str, Any]) -> str | None:
        number = next(self._numbers)
        if resource == "services":
            if self.conflicts:
                self.conflicts -= 1
                return "Conflict"
            body["spec"].setdefault("clusterIP", f"10.111.0.{number}")
            for port in body["spec"]["ports"]:
                port.setdefault("nodePort", 31000 + number)
        if resource == "pods" and self.starts:
            hostname = body["spec"]["nodeSelector"]["kubernetes.io/hostname"]
            network = IPv4Network(self.api.objects["nodes", None, hostname]["spec"]["podCIDR"])
            address = str(network[number])
            body["status"] = {"conditions": _READY, "podIPs": [{"ip": address}]}
        return None

    def _run(self, pod: str, command: Sequence[str]) -> Ran | None:
        found = next(
            (
                body
                for (resource, _, name), body in self.api.objects.items()
                if (resource, name) == ("pods", pod)
            ),
            None,
        )
        if found is None:
            return None

        def met(address: str, port: int) -> Mapping[str, Any]:
            del port
            if not self._allowed(found, IPv4Address(address)):
                return imitated_curl.SILENCE
            return imitated_curl.ANSWERED

        return Ran(*imitated_curl.run(command, met))

    def _allowed(self, pod: Mapping[str, Any], address: IPv4Address) -> bool:
        metadata = pod["metadata"]
        specs = [
            body["spec"]
            for (resource, namespace, _), body in list(self.api.objects.items())
            if (resource, namespace) == ("networkpolicies", metadata["namespace"])
            and "Egress" in body["spec"]["policyTypes"]
            and selects(body["spec"]["podSelector"], metadata.get("labels") or {})
        ]
        if not specs or not self.enforces:
            return True
        peers = [peer for spec in specs for rule in spec["egress"] for peer in rule["to"]]
        return any(self._is(peer, metadata["namespace"], address) for peer in peers)

    def _is(self, peer: Mapping[str, Any], namespace: str, address: IPv4Address) -> bool:
        if "ipBlock" in peer:
            return address in IPv4Network(peer["ipBlock"]["cidr"])
        return any(
            selects(peer.get("podSelector") or {}, body["metadata"].get("labels") or {})
            and str(address) == body["status"]["podIPs"][0]["ip"]
            for (resource, place, _), body in list(self.api.objects.items())
            if (resource, place) == ("pods", namespace)
        )
