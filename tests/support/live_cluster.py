"""A cluster in memory, for tests of what stands above the API: it imitates, and says what.

Imitated: the API's objects, allocation of addresses and node ports, rights, exec of the
lab's own curl command (its output in the form of the real one) and a policy engine that
knows one thing: a pod that an egress policy without rules selects reaches nothing, some
time after the policy was created. Everything else is the real code.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from nodeport_lab.testbeds.cluster.execution import Execution
from nodeport_lab.testbeds.cluster.failures import ClusterError
from support import imitated_curl

Manifest = Mapping[str, Any]
Key = tuple[str, str | None, str]


def node(name: str, address: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - parts of a manifest
    """A Node as the API shows it."""
    labels = {"kubernetes.io/hostname": name, **more.get("labels", {})}
    return {
        "metadata": {"name": name, "labels": labels, "annotations": more.get("annotations", {})},
        "spec": {"taints": more.get("taints", []), **more.get("spec", {})},
        "status": {
            "addresses": [
                {"type": "Hostname", "address": name},
                {"type": "InternalIP", "address": address},
            ],
            "conditions": [{"type": "Ready", "status": more.get("ready", "True")}],
            "nodeInfo": {
                "kernelVersion": "6.12.0",
                "containerRuntimeVersion": "containerd://2.3.4",
                "osImage": "Debian GNU/Linux 13 (trixie)",
                "kubeletVersion": "v1.36.4",
                "operatingSystem": more.get("system", "linux"),
            },
        },
    }


PLANE = node(
    "plane",
    "192.0.2.10",
    labels={"node-role.kubernetes.io/control-plane": ""},
    taints=[{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}],
)
NODES = (PLANE, node("worker-x", "192.0.2.11"), node("worker-y", "192.0.2.12"))


@dataclass
class LiveCluster:
    """The cluster: give it objects and habits, and hand it to what expects a Connection.

    Attributes:
        objects: what there is, by kind, namespace and name.
        forbidden: kinds that may not be read.
        denied: verb and resource that may not be done.
        lag: seconds until a policy is in force; None: it never is.
        latency: seconds that an exec takes.
        broken: pod name -> why an exec into it fails.
        answer: what a pod meets at an address and port, where no policy denies it: the
            fields of curl's line.
        execs: pod and command of every exec.
        containers: pod -> the container of its last exec; None: its first.
        log: what was created and deleted, in order.
    """

    objects: dict[Key, dict[str, Any]] = field(default_factory=dict)
    forbidden: set[str] = field(default_factory=set)
    denied: set[tuple[str, str]] = field(default_factory=set)
    lag: float | None = 0.0
    latency: float = 0.0
    broken: dict[str, str] = field(default_factory=dict)
    answer: Callable[[str, str, int], Mapping[str, Any] | None] = lambda _pod, _address, _port: None
    log: list[str] = field(default_factory=list)
    execs: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    containers: dict[str, str | None] = field(default_factory=dict)
    run: str = "k3x7q"

    def __post_init__(self) -> None:
        """Put the nodes in."""
        self._lock = threading.Lock()
        self._born: dict[Key, float] = {}
        self._made: set[Key] = set()
        for one in NODES:
            self.add("Node", one)

    def add(self, kind: str, manifest: Manifest) -> None:
        """Put something in that the lab did not create."""
        metadata = manifest["metadata"]
        self.objects[kind, metadata.get("namespace"), metadata["name"]] = {
            "kind": kind,
            **manifest,
        }

    # --- Connection -------------------------------------------------------------------

    def version(self) -> str:
        """The API server's version."""
        return "v1.36.4"

    def find(
        self, _api_version: str, kind: str, name: str, namespace: str | None = None
    ) -> dict[str, Any] | None:
        """An object, or None."""
        self._check(kind)
        return self.objects.get((kind, namespace, name))

    def list(
        self,
        _api_version: str,
        kind: str,
        namespace: str | None = None,
        labels: str | None = None,
    ) -> list[dict[str, Any]]:
        """Every object of a kind."""
        self._check(kind)
        return [
            found
            for (of_kind, place, _), found in self.objects.items()
            if of_kind == kind
            and namespace in {None, place}
            and (labels is None or labels in _selectors(found))
        ]

    def may(
        self,
        verb: str,
        resource: str,
        *,
        group: str = "",
        namespace: str | None = None,
        subresource: str = "",
    ) -> bool | None:
        """Whether something may be done."""
        del group, namespace
        whole = f"{resource}/{subresource}" if subresource else resource
        return (verb, whole) not in self.denied

    def execute(
        self,
        namespace: str,
        pod: str,
        command: Sequence[str],
        *,
        container: str | None = None,
        deadline: float,
    ) -> Execution:
        """Run the lab's curl command."""
        del deadline
        self.containers[pod] = container
        self.execs.append((pod, tuple(command)))
        time.sleep(self.latency)
        if pod in self.broken:
            return Execution("", "", None, self.broken[pod])
        met = partial(self._line, namespace, pod)
        return Execution(*imitated_curl.run(command, met), 0)

    # --- Hands ------------------------------------------------------------------------

    def create(self, manifest: Manifest) -> dict[str, Any]:
        """Create, allocate, and note it down."""
        metadata = manifest["metadata"]
        key: Key = (manifest["kind"], metadata.get("namespace"), metadata["name"])
        with self._lock:
            if key in self.objects:
                raise ClusterError(f"{key[0]} {key[2]} exists already", 409)
            made = json.loads(json.dumps(manifest))
            if made["kind"] == "Service":
                made["spec"].setdefault("clusterIP", f"10.111.0.{len(self.log) + 1}")
                if made["spec"].get("type") in {"NodePort", "LoadBalancer"}:
                    for number, port in enumerate(made["spec"]["ports"]):
                        port.setdefault("nodePort", 31000 + len(self.log) + number)
            if made["kind"] == "Pod":
                made["status"] = {"podIPs": [{"ip": self._address(made)}]}
            self.objects[key] = made
            self._born[key] = time.monotonic()
            self._made.add(key)
            self.log.append(f"create {key[0]} {key[2]}")
        return dict(made)

    def ready(self, pods: Sequence[Manifest]) -> Sequence[Manifest]:
        """Every pod is ready at once."""
        return [
            self.objects["Pod", pod["metadata"]["namespace"], pod["metadata"]["name"]]
            for pod in pods
        ]

    def remove(self, manifests: Sequence[Manifest]) -> None:
        """Delete what `create` has made."""
        for manifest in manifests:
            metadata = manifest["metadata"]
            key: Key = (manifest["kind"], metadata.get("namespace"), metadata["name"])
            if key in self._made:
                self._made.remove(key)
                del self.objects[key]
                self.log.append(f"delete {key[0]} {key[2]}")

    @contextmanager
    def begin(self, _connection: object) -> Iterator[LiveCluster]:
        """Hands for one run."""
        try:
            yield self
        finally:
            for kind, namespace, name in sorted(self._made, key=lambda key: key[0] == "Namespace"):
                metadata = {"name": name, "namespace": namespace}
                self.remove([{"kind": kind, "metadata": metadata}])

    # --- inside -----------------------------------------------------------------------

    def _check(self, kind: str) -> None:
        if kind in self.forbidden:
            raise ClusterError(f"{kind} may not be read", 403)

    def _address(self, pod: Manifest) -> str:
        wanted = pod["spec"]["nodeSelector"]["kubernetes.io/hostname"]
        if pod["spec"].get("hostNetwork"):
            on = self.objects["Node", None, wanted]
            return str(on["status"]["addresses"][1]["address"])
        return f"10.42.0.{len(self.log) + 1}"

    def _line(self, namespace: str, pod: str, address: str, port: int) -> Mapping[str, Any]:
        if self._denied(namespace, pod):
            return imitated_curl.SILENCE
        return self.answer(pod, address, port) or imitated_curl.ANSWERED

    def _denied(self, namespace: str, pod: str) -> bool:
        labels = self.objects["Pod", namespace, pod]["metadata"].get("labels") or {}
        now = time.monotonic()
        return any(
            self.lag is not None
            and now - self._born.get(key, 0) >= self.lag
            and key[1] == namespace
            and "Egress" in policy["spec"]["policyTypes"]
            and not policy["spec"]["egress"]
            and selects(policy["spec"]["podSelector"], labels)
            for key, policy in list(self.objects.items())
            if key[0] == "NetworkPolicy"
        )


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a selector of labels, and of keys that must be absent, accepts a pod's."""
    absent = [one["key"] for one in selector.get("matchExpressions") or ()]
    return not any(key in labels for key in absent) and all(
        labels.get(key) == value for key, value in (selector.get("matchLabels") or {}).items()
    )


def _selectors(found: Manifest) -> list[str]:
    return [f"{key}={value}" for key, value in (found["metadata"].get("labels") or {}).items()]
