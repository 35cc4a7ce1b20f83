"""The cluster: nodes and subnets, from a configuration file of kind (v1alpha4).

The configuration is taken for what kind makes of it: names of nodes and defaults as in
kind 0.33. Options that change nothing in an experiment are accepted.
"""

from dataclasses import dataclass
from ipaddress import IPv4Network

from nodeport_lab.manifests.documents import Field, read_documents
from nodeport_lab.manifests.fields import check_fields
from nodeport_lab.manifests.labels import read_labels
from nodeport_lab.manifests.syntax import cidr, dns_subdomain, is_ipv6, one_of
from nodeport_lab.manifests.wording import shown
from nodeport_lab.model import Node

_API_VERSION = "kind.x-k8s.io/v1alpha4"
_ROLES = ("control-plane", "worker")
_PATCH = {"group": "str", "version": "str", "kind": "str", "patch": "str"}
_TYPES = {
    "Cluster": {
        "apiVersion": "str!",
        "kind": "str!",
        "name": "str",
        "nodes": "[Node]",
        "networking": "Networking",
        "featureGates": "{bool}",
        "runtimeConfig": "{str}",
        "kubeadmConfigPatches": "[str]",
        "kubeadmConfigPatchesJSON6902": "[Patch]",
        "containerdConfigPatches": "[str]",
        "containerdConfigPatchesJSON6902": "[str]",
    },
    "Networking": {
        "ipFamily": "str",
        "apiServerPort": "int",
        "apiServerAddress": "str",
        "podSubnet": "str",
        "serviceSubnet": "str",
        "disableDefaultCNI": "bool",
        "kubeProxyMode": "str",
        "dnsSearch": "[str]",
    },
    "Node": {
        "role": "str",
        "image": "str",
        "labels": "{str}",
        "extraMounts": "[Mount]",
        "extraPortMappings": "[PortMapping]",
        "kubeadmConfigPatches": "[str]",
        "kubeadmConfigPatchesJSON6902": "[Patch]",
    },
    "Patch": _PATCH,
    "Mount": {
        "containerPath": "str",
        "hostPath": "str",
        "readOnly": "bool",
        "selinuxRelabel": "bool",
        "propagation": "str",
    },
    "PortMapping": {
        "containerPort": "int",
        "hostPort": "int",
        "listenAddress": "str",
        "protocol": "str",
    },
}


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster as its configuration describes it.

    Attributes:
        name: its name.
        nodes: in the order of the configuration.
        node_labels: node name -> the labels that the node will have.
        pod_cidr: subnet of the pods.
        service_cidr: subnet of the cluster IPs.
        notes: what was accepted and will not be probed.
    """

    name: str
    nodes: tuple[Node, ...]
    node_labels: dict[str, dict[str, str]]
    pod_cidr: IPv4Network
    service_cidr: IPv4Network
    notes: tuple[str, ...]


def read_cluster(text: str | bytes, source: str) -> Cluster:
    """Read the configuration of one cluster.

    Args:
        text: the configuration.
        source: its name for errors, usually its path.

    Raises:
        ManifestError: the configuration is not one that kind accepts, or has no worker.
    """
    documents = read_documents(text, source)
    if len(documents) != 1:
        nothing = Field(source, 1, "", None)
        raise nothing.error(f"{len(documents)} documents stand here; describe one cluster")
    config = documents[0]
    check_fields(config, "Cluster", _TYPES)
    for name, expected in (("kind", "Cluster"), ("apiVersion", _API_VERSION)):
        if config.get(name).value != expected:
            message = f"{shown(config.get(name).value)} is no configuration of kind"
            raise config.get(name).error(f"{message}; write {expected}")
    name = config.get("name").must(dns_subdomain) if config.get("name").value else "kind"
    nodes, node_labels = _nodes(name, config.get("nodes"))
    networking = config.get("networking")
    if _word(networking.get("ipFamily"), ("ipv4", "ipv6", "dual")) == "ipv6":
        message = "this cluster has no IPv4 and the lab probes IPv4"
        raise networking.get("ipFamily").error(f"{message}; write ipv4 or dual")
    _word(networking.get("kubeProxyMode"), ("iptables", "nftables", "ipvs", "none"))
    pod_cidr = _ipv4_subnet(networking.get("podSubnet"), "10.244.0.0/16")
    service_cidr = _ipv4_subnet(networking.get("serviceSubnet"), "10.96.0.0/16")
    if pod_cidr.overlaps(service_cidr):
        message = f"{service_cidr} overlaps the pods' subnet {pod_cidr}"
        raise networking.get("serviceSubnet").error(f"{message}; choose another range")
    return Cluster(name, nodes, node_labels, pod_cidr, service_cidr, tuple(_notes(networking)))


def _nodes(cluster: str, fields: Field) -> tuple[tuple[Node, ...], dict[str, dict[str, str]]]:
    count = dict.fromkeys(_ROLES, 0)
    nodes: list[Node] = []
    labels: dict[str, dict[str, str]] = {}
    for field in fields.items():
        role = _word(field.get("role"), _ROLES) or "control-plane"
        count[role] += 1
        number = "" if count[role] == 1 else str(count[role])  # kind counts from the second on
        name = f"{cluster}-{role}{number}"
        nodes.append(Node(name, control_plane=role == "control-plane"))
        labels[name] = {
            **dict(read_labels(field.get("labels"))),
            "kubernetes.io/hostname": name,
            "kubernetes.io/os": "linux",
        }
    if not count["control-plane"] or not count["worker"]:
        missing = next(role for role in _ROLES if not count[role])
        message = f"the cluster has no {missing}"
        raise fields.error(f"{message}; add a node with `role: {missing}`")
    return tuple(nodes), labels


def _word(field: Field, choices: tuple[str, ...]) -> str | None:
    return str(field.must(one_of(choices))) if field.value else None


def _ipv4_subnet(field: Field, default: str) -> IPv4Network:
    """The IPv4 part of a subnet; a dual-stack cluster gives two ranges."""
    ranges = str(field.value or default).split(",")
    for text in ranges:
        if problem := cidr(text):
            raise field.error(problem)
    for text in ranges:
        if not is_ipv6(text):
            return IPv4Network(text)
    raise field.error("there is no IPv4 range here and the lab probes IPv4; add one")


def _notes(networking: Field) -> list[str]:
    subnets = [networking.get("podSubnet"), networking.get("serviceSubnet")]
    dual = [field for field in subnets if is_ipv6(field.value or "")]
    if networking.get("ipFamily").value == "dual":
        dual = [networking.get("ipFamily")]
    return [f"{field.place}: IPv6 is accepted and never probed" for field in dual]
