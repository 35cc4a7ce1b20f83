"""Is a cluster ready? Read from its objects; what is missing is said in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nodeport_lab.testbeds.cluster import conditions
from nodeport_lab.testbeds.cluster.connection import Connection
from nodeport_lab.testbeds.kind import cni

Workload = tuple[str, str, str]
"""Kind, namespace, name."""

_CALICO = (("DaemonSet", "calico-system", "calico-node"),)
_CILIUM = (("DaemonSet", "kube-system", "cilium"), ("Deployment", "kube-system", "cilium-operator"))
_DNS = (("Deployment", "kube-system", "coredns"),)
_IF_THERE = (
    ("DaemonSet", "kube-system", "kube-proxy"),
    ("DaemonSet", "kube-system", "cilium-envoy"),
)
_STUCK = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "CrashLoopBackOff"}
_STATUSES = ("initContainerStatuses", "containerStatuses")
_SHOWN = 3


def missing(connection: Connection, dataplane: str | None, nodes: int) -> str | None:
    """The first thing that a cluster lacks until it is ready; None: nothing.

    Args:
        connection: to the cluster.
        dataplane: its name; None: its CNI plugin is somebody else's, who installs it as they
            like.
        nodes: how many there have to be.
    """
    return next(_lacks(connection, dataplane, nodes), None)


def stuck(connection: Connection) -> str | None:
    """Pods that wait for what may never come, with their reasons; None: there are none."""
    found = []
    for pod in connection.list("v1", "Pod"):
        for container, reason, _ in conditions.waiting(pod, _STATUSES):
            if reason in _STUCK:
                name = f"{pod['metadata'].get('namespace')}/{pod['metadata']['name']}"
                found.append(f"{name}: {reason} {container.get('image')}")
    return "; ".join(found[:_SHOWN]) or None


def _lacks(connection: Connection, dataplane: str | None, nodes: int) -> Iterator[str]:
    if dataplane is not None:
        yield from _not_installed(connection, calico=cni.is_calico(dataplane))
    yield from _not_ready(connection, nodes)
    yield from _not_rolled_out(connection, _IF_THERE, if_there=True)
    if dataplane == "calico-ebpf":
        proxy = connection.find("apps/v1", "DaemonSet", "kube-proxy", "kube-system") or {}
        if (proxy.get("status") or {}).get("currentNumberScheduled", 0):
            yield "kube-proxy still runs beside the eBPF dataplane"
    yield from _not_rolled_out(connection, _DNS)


def _not_installed(connection: Connection, *, calico: bool) -> Iterator[str]:
    if calico:
        status = connection.find("operator.tigera.io/v1", "TigeraStatus", "calico")
        if not conditions.holds(status, "Available"):
            yield f"TigeraStatus calico is not available{_message(status)}"
    yield from _not_rolled_out(connection, _CALICO if calico else _CILIUM)


def _not_ready(connection: Connection, nodes: int) -> Iterator[str]:
    found = connection.list("v1", "Node")
    if len(found) < nodes:
        yield f"{len(found)} of {nodes} nodes have joined"
    waiting = [node["metadata"]["name"] for node in found if not conditions.holds(node, "Ready")]
    if waiting:
        yield f"node {', '.join(sorted(waiting))} is not ready"


def _not_rolled_out(
    connection: Connection, workloads: Sequence[Workload], *, if_there: bool = False
) -> Iterator[str]:
    for kind, namespace, name in workloads:
        found = connection.find("apps/v1", kind, name, namespace)
        if found is None and if_there:
            continue
        if not _rolled_out(found, kind):
            yield f"{kind} {namespace}/{name} is not rolled out"


def _message(found: Mapping[str, Any] | None) -> str:
    said = [str(one["message"]) for one in conditions.said(found) if one.get("message")]
    return f" ({said[0]})" if said else ""


def _rolled_out(found: Mapping[str, Any] | None, kind: str) -> bool:
    """As `kubectl rollout status` sees it."""
    if found is None:
        return False
    status = found.get("status") or {}
    if status.get("observedGeneration", 0) < found["metadata"].get("generation", 0):
        return False
    if kind == "Deployment":
        wanted = (found.get("spec") or {}).get("replicas", 1)
        return bool(
            status.get("updatedReplicas", 0) >= wanted
            and status.get("availableReplicas", 0) >= wanted
        )
    wanted = status.get("desiredNumberScheduled")
    if wanted is None:
        return False
    updated, ready = status.get("updatedNumberScheduled", 0), status.get("numberAvailable", 0)
    return bool(updated >= wanted and ready >= wanted)
