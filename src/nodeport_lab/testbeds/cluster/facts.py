"""What a cluster says of itself, as far as it may be asked: nodes, subnets, versions.

Everything that is not known is None together with the reason, in most cases the right
that is missing. Nothing is guessed. Where things stand is from the documentation of
Kubernetes (Node, ServiceCIDR), kubeadm (ConfigMap kubeadm-config), Calico (IPPool,
annotations of a Node) and Cilium (CiliumNode, ConfigMap cilium-config).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, collapse_addresses, ip_address, ip_network
from typing import Any

import yaml

from nodeport_lab.testbeds.cluster import conditions
from nodeport_lab.testbeds.cluster.connection import Connection
from nodeport_lab.testbeds.cluster.failures import ClusterError

Manifest = Mapping[str, Any]

_NOT_FOUND, _FORBIDDEN = 404, 403
_ROLES = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
_TUNNELS = ("projectcalico.org/IPv4VXLANTunnelAddr", "projectcalico.org/IPv4IPIPTunnelAddr")
_SYSTEM = "kube-system"


@dataclass(frozen=True, slots=True)
class Fact:
    """Something known and from where, or not known and why.

    Attributes:
        value: None where it is not known.
        source: the object that says it, or the reason why it is not known.
    """

    value: str | None
    source: str


@dataclass(frozen=True, slots=True)
class ClusterNode:
    """A node as the API shows it.

    Attributes:
        name: its name.
        hostname: its label kubernetes.io/hostname, by which pods are sent to it.
        address: its InternalIP; None where it has no IPv4 one.
        control_plane: whether it has the role.
        usable: ready, Linux, and open to pods without tolerations.
        pod_cidr: spec.podCIDR, where it is IPv4.
        tunnel: address of its tunnel device, where Calico or Cilium says it.
        info: status.nodeInfo.
    """

    name: str
    hostname: str
    address: IPv4Address | None
    control_plane: bool
    usable: bool
    pod_cidr: IPv4Network | None = None
    tunnel: IPv4Address | None = None
    info: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Readings:
    """The objects that facts are read from; None or empty where there is none.

    Attributes:
        nodes: every Node.
        unread: name of an attribute -> why it could not be read.
    """

    nodes: Sequence[Manifest] = ()
    kubeadm: Manifest | None = None
    service_cidrs: Sequence[Manifest] = ()
    api_servers: Sequence[Manifest] = ()
    kube_proxy: Manifest | None = None
    kube_proxy_config: Manifest | None = None
    calico_node: Manifest | None = None
    felix: Manifest | None = None
    installation: Manifest | None = None
    pools: Sequence[Manifest] = ()
    cilium: Manifest | None = None
    cilium_config: Manifest | None = None
    cilium_nodes: Sequence[Manifest] = ()
    unread: Mapping[str, str] = field(default_factory=dict)

    def absence(self, attribute: str, what: str) -> str:
        """Why something is not there: it may not be read, or it does not exist."""
        return self.unread.get(attribute, f"there is no {what}")


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Where an object, or a list of them, may stand."""

    kind: str
    api_versions: tuple[str, ...]
    name: str | None = None  # None: a list
    namespaces: tuple[str | None, ...] = (None,)
    labels: str | None = None

    def __str__(self) -> str:
        place = self.namespaces[0]
        return f"{self.kind} {place}/{self.name}" if place else f"{self.kind} {self.name or ''}"


# Calico's own API group first exists only with its API server, or from 3.33 on by default.
_CALICO = ("crd.projectcalico.org/v1", "projectcalico.org/v3")
_WANTED = {
    "kubeadm": _Wanted("ConfigMap", ("v1",), "kubeadm-config", (_SYSTEM,)),
    "service_cidrs": _Wanted("ServiceCIDR", ("networking.k8s.io/v1",)),
    "api_servers": _Wanted("Pod", ("v1",), None, (_SYSTEM,), "component=kube-apiserver"),
    "kube_proxy": _Wanted("DaemonSet", ("apps/v1",), "kube-proxy", (_SYSTEM,)),
    "kube_proxy_config": _Wanted("ConfigMap", ("v1",), "kube-proxy", (_SYSTEM,)),
    "calico_node": _Wanted("DaemonSet", ("apps/v1",), "calico-node", ("calico-system", _SYSTEM)),
    "felix": _Wanted("FelixConfiguration", _CALICO, "default"),
    "installation": _Wanted("Installation", ("operator.tigera.io/v1",), "default"),
    "pools": _Wanted("IPPool", _CALICO),
    "cilium": _Wanted("DaemonSet", ("apps/v1",), "cilium", (_SYSTEM,)),
    "cilium_config": _Wanted("ConfigMap", ("v1",), "cilium-config", (_SYSTEM,)),
    "cilium_nodes": _Wanted("CiliumNode", ("cilium.io/v2",)),
}


def gather(connection: Connection) -> Readings:
    """Read what can be read.

    Raises:
        ClusterError: the nodes cannot be listed, or the API server does not answer.
    """
    found: dict[str, Any] = {"nodes": connection.list("v1", "Node")}
    unread: dict[str, str] = {}
    for attribute, wanted in _WANTED.items():
        try:
            found[attribute] = _look(connection, wanted)
        except ClusterError as error:
            if error.status != _FORBIDDEN:
                raise
            unread[attribute] = f"{str(wanted).strip()} may not be read"
    return Readings(**found, unread=unread)


def _look(connection: Connection, wanted: _Wanted) -> Any:  # noqa: ANN401 - an object or several
    for api_version in wanted.api_versions:
        for namespace in wanted.namespaces:
            try:
                found: Any = (
                    connection.list(api_version, wanted.kind, namespace, wanted.labels)
                    if wanted.name is None
                    else connection.find(api_version, wanted.kind, wanted.name, namespace)
                )
            except ClusterError as error:
                if error.status != _NOT_FOUND:
                    raise
                continue  # the cluster does not know this kind
            if found:
                return found
    return [] if wanted.name is None else None


def read_nodes(readings: Readings) -> tuple[ClusterNode, ...]:
    """Every node, by name."""
    internal = dict(_cilium_addresses(readings.cilium_nodes))
    return tuple(
        _node(node, internal.get(node["metadata"]["name"]))
        for node in sorted(readings.nodes, key=lambda node: str(node["metadata"]["name"]))
    )


def _node(node: Manifest, cilium_internal: IPv4Address | None) -> ClusterNode:
    metadata, spec, status = node["metadata"], node.get("spec") or {}, node.get("status") or {}
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    info = status.get("nodeInfo") or {}
    ready = conditions.holds(node, "Ready")
    closed = spec.get("unschedulable") or any(
        taint.get("effect") in {"NoSchedule", "NoExecute"} for taint in spec.get("taints") or ()
    )
    return ClusterNode(
        name=metadata["name"],
        hostname=labels.get("kubernetes.io/hostname", metadata["name"]),
        address=next(
            (
                found
                for one in status.get("addresses") or ()
                if one.get("type") == "InternalIP" and (found := _ipv4(one.get("address")))
            ),
            None,
        ),
        control_plane=any(role in labels for role in _ROLES),
        usable=ready and not closed and info.get("operatingSystem", "linux") == "linux",
        pod_cidr=_ipv4_network(spec.get("podCIDR")),
        tunnel=next(
            (found for name in _TUNNELS if (found := _ipv4(annotations.get(name)))),
            cilium_internal,
        ),
        info={key: str(value) for key, value in info.items()},
    )


def _cilium_addresses(nodes: Iterable[Manifest]) -> Iterator[tuple[str, IPv4Address]]:
    for node in nodes:
        for one in (node.get("spec") or {}).get("addresses") or ():
            found = _ipv4(one.get("ip"))
            if one.get("type") == "CiliumInternalIP" and found:
                yield node["metadata"]["name"], found


def pod_cidr(readings: Readings) -> Fact:
    """The subnet of all pods: of the CNI's own allocation, else as kubeadm was told."""
    pools = [
        pool["spec"]["cidr"]
        for pool in readings.pools
        if not pool["spec"].get("disabled") and _ipv4_network(pool["spec"].get("cidr"))
    ]
    if len(pools) == 1:
        return Fact(pools[0], "IPPool")
    if pools:
        return Fact(None, f"there are several IPPools: {', '.join(sorted(pools))}")
    data = (readings.cilium_config or {}).get("data") or {}
    of_cilium = data.get("cluster-pool-ipv4-cidr", "")
    if data.get("ipam") == "cluster-pool" and _ipv4_network(of_cilium):
        return Fact(of_cilium, "ConfigMap kube-system/cilium-config")
    told = _kubeadm(readings, "podSubnet")
    if told is not None:
        return Fact(told, "ConfigMap kube-system/kubeadm-config")
    parts = [node.pod_cidr for node in read_nodes(readings) if node.pod_cidr is not None]
    if parts and len(parts) == len(readings.nodes):
        return Fact(str(_smallest(parts)), "the smallest range that holds every node's podCIDR")
    reason = readings.absence("pools", "IPPool")
    return Fact(None, f"{reason}; {readings.absence('kubeadm', 'ConfigMap kubeadm-config')}")


def service_cidr(readings: Readings) -> Fact:
    """The subnet of all cluster IPs."""
    stated = [
        cidr
        for one in readings.service_cidrs
        for cidr in (one.get("spec") or {}).get("cidrs") or ()
        if _ipv4_network(cidr)
    ]
    if len(stated) == 1:
        return Fact(stated[0], "ServiceCIDR")
    if stated:
        return Fact(None, f"there are several ServiceCIDRs: {', '.join(sorted(stated))}")
    told = _kubeadm(readings, "serviceSubnet")
    if told is not None:
        return Fact(told, "ConfigMap kube-system/kubeadm-config")
    for pod in readings.api_servers:
        for container in (pod.get("spec") or {}).get("containers") or ():
            for argument in (*(container.get("command") or ()), *(container.get("args") or ())):
                name, _, value = str(argument).partition("=")
                found = _first_ipv4(value) if name == "--service-cluster-ip-range" else None
                if found:
                    return Fact(found, f"Pod kube-system/{pod['metadata']['name']}")
    reason = readings.absence("service_cidrs", "ServiceCIDR")
    return Fact(None, f"{reason}; {readings.absence('kubeadm', 'ConfigMap kubeadm-config')}")


def node_cidr(nodes: Sequence[ClusterNode], *others: str | None) -> Fact:
    """The smallest range that holds the nodes' addresses and nothing of the other subnets.

    Args:
        nodes: every node of the cluster.
        others: the subnets of pods and Services, where they are known.
    """
    addresses = [node.address for node in nodes if node.address is not None]
    if not addresses:
        return Fact(None, "no node has an IPv4 InternalIP")
    found = _smallest([IPv4Network(address) for address in addresses])
    for other in filter(None, others):
        if found.overlaps(IPv4Network(other)):
            return Fact(None, f"no single range holds the nodes' addresses and spares {other}")
    return Fact(str(found), "the smallest range that holds every node's InternalIP")


def versions(readings: Readings, kubernetes: str) -> dict[str, str]:
    """Component -> version; several are separated by commas, unknown ones are absent."""
    found = {
        "kubernetes": kubernetes.removeprefix("v"),
        "calico": _tag(readings.calico_node, "calico-node"),
        "cilium": _tag(readings.cilium, "cilium-agent"),
        "kube-proxy": _tag(readings.kube_proxy, "kube-proxy"),
    }
    info = [(node.get("status") or {}).get("nodeInfo") or {} for node in readings.nodes]
    for component, key in (
        ("kernel", "kernelVersion"),
        ("container runtime", "containerRuntimeVersion"),
        ("node OS", "osImage"),
        ("kubelet", "kubeletVersion"),
    ):
        some = sorted({str(one[key]).removeprefix("v") for one in info if one.get(key)})
        found[component] = ", ".join(some)
    return {component: version for component, version in found.items() if version}


def kube_proxy_configuration(readings: Readings) -> Mapping[str, Any] | None:
    """kube-proxy's own configuration, from its ConfigMap."""
    data = (readings.kube_proxy_config or {}).get("data") or {}
    return _mapping(data.get("config.conf"))


def _kubeadm(readings: Readings, name: str) -> str | None:
    data = (readings.kubeadm or {}).get("data") or {}
    networking = (_mapping(data.get("ClusterConfiguration")) or {}).get("networking") or {}
    return _first_ipv4(str(networking.get(name) or ""))


def _mapping(text: object) -> Mapping[str, Any] | None:
    if not isinstance(text, str):
        return None
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError:
        return None
    return found if isinstance(found, Mapping) else None


def _tag(daemon_set: Manifest | None, container: str) -> str | None:
    """The tag of a container's image, without digest and `v`."""
    if daemon_set is None:
        return None
    containers = daemon_set["spec"]["template"]["spec"]["containers"]
    image = next((str(one["image"]) for one in containers if one["name"] == container), "")
    name, _, tag = image.partition("@")[0].rpartition("/")[2].partition(":")
    return tag.removeprefix("v") if name and tag else None


def _ipv4(text: object) -> IPv4Address | None:
    try:
        found = ip_address(str(text))
    except ValueError:
        return None
    return found if isinstance(found, IPv4Address) else None


def _ipv4_network(text: object) -> IPv4Network | None:
    try:
        found = ip_network(str(text))
    except ValueError:
        return None
    return found if isinstance(found, IPv4Network) else None


def _first_ipv4(ranges: str) -> str | None:
    return next((part for part in ranges.split(",") if _ipv4_network(part)), None)


def _smallest(ranges: Sequence[IPv4Network]) -> IPv4Network:
    found = next(iter(collapse_addresses(ranges)))
    while not all(part.subnet_of(found) for part in ranges):
        found = found.supernet()
    return found
