"""A scenario as objects for one cluster: its nodes, its namespaces, its node ports.

The scenario keeps the names of the manifests, so that records of different clusters can
be compared cell by cell; only what is sent to the API server has the cluster's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

from nodeport_lab.errors import PrerequisiteError, UnknownNameError
from nodeport_lab.manifests import Object
from nodeport_lab.manifests.rendering import render_policy
from nodeport_lab.model import (
    IPBlock,
    LabelSelector,
    NetworkPolicy,
    Pod,
    PodPeer,
    PolicyPort,
    PolicyRule,
    Protocol,
    Scenario,
    Service,
)
from nodeport_lab.services import served_ports
from nodeport_lab.testbeds.cluster.facts import ClusterNode
from nodeport_lab.testbeds.cluster.images import chosen

HOSTNAME = "kubernetes.io/hostname"
NAME_LABEL = "kubernetes.io/metadata.name"
ENFORCE = "pod-security.kubernetes.io/enforce"
"""Label of a namespace: the Pod Security Standard that admission holds pods to."""

Manifest = dict[str, Any]
NodePorts = Mapping[tuple[Protocol, int], int]
"""Protocol and node port of the manifests -> the one that the cluster has allocated."""


@dataclass(frozen=True, slots=True)
class Site:
    """What a scenario finds in a cluster.

    Attributes:
        nodes: node of the scenario -> node of the cluster.
        namespaces: namespace of the scenario -> namespace of the cluster.
        images: image of a manifest, with or without tag and digest -> what to use instead.
        keep_addresses: keep the node ports and cluster IPs of the manifests; False leaves
            them to the cluster.
        host_network: whether pods in the node's network are admitted.
        outside: whether Services may have addresses outside of the cluster, by a load
            balancer or as externalIPs.
    """

    nodes: Mapping[str, ClusterNode]
    namespaces: Mapping[str, str]
    images: Mapping[str, str] = field(default_factory=dict)
    keep_addresses: bool = False
    host_network: bool = False
    outside: bool = False


def map_nodes(
    scenario: Scenario, nodes: Sequence[ClusterNode], stated: Mapping[str, str] | None = None
) -> dict[str, ClusterNode]:
    """Which node of the cluster stands for which node of the scenario.

    Workers are taken in turn; a node with the control plane's role stands for a worker
    only where there are not enough others. A control plane that cannot be seen, as in
    managed clusters, has no node.

    Args:
        scenario: whose nodes are wanted.
        nodes: of the cluster.
        stated: node of the scenario -> name of the cluster's node, where it matters.

    Raises:
        PrerequisiteError: the cluster has too few nodes.
        UnknownNameError: a stated node does not exist, or is not usable.
    """
    found: dict[str, ClusterNode] = {}
    usable = {node.name: node for node in nodes if node.usable and node.address is not None}
    addressed = {node.name: node for node in nodes if node.address is not None}
    for wanted, name in (stated or {}).items():
        if wanted not in {node.name for node in scenario.nodes}:
            raise UnknownNameError("node", wanted, [node.name for node in scenario.nodes])
        if name not in addressed:
            raise UnknownNameError("node of the cluster", name, list(addressed))
        found[wanted] = addressed[name]
    taken = {node.name for node in found.values()}
    free = sorted(
        (node for node in usable.values() if node.name not in taken),
        key=lambda node: (node.control_plane, node.name),
    )
    for worker in (node for node in scenario.nodes if not node.control_plane):
        if worker.name not in found:
            if not free:
                workers = sum(not node.control_plane for node in scenario.nodes)
                raise PrerequisiteError(
                    f"the scenario has {workers} workers and this cluster only {len(usable)} ready "
                    "nodes that take ordinary pods; choose a suite that needs fewer, or add a node"
                )
            found[worker.name] = free.pop(0)
    taken = {node.name for node in found.values()}
    planes = (node for node in addressed.values() if node.control_plane and node.name not in taken)
    for plane in (node for node in scenario.nodes if node.control_plane):
        if plane.name not in found and (node := next(planes, None)):
            found[plane.name] = node
    return {node.name: found[node.name] for node in scenario.nodes if node.name in found}


def fit(scenario: Scenario, site: Site) -> tuple[Scenario, tuple[str, ...]]:
    """The part of a scenario that a cluster can hold, and a sentence for each part it cannot.

    Raises:
        PrerequisiteError: a server would have to run in a node's network, and may not.
    """
    nodes = tuple(node for node in scenario.nodes if node.name in site.nodes)
    left_out = [
        f"the cluster shows no node in the place of {node.name}"
        for node in scenario.nodes
        if node not in nodes
    ]
    pods = []
    for pod in scenario.pods:
        if pod.host_network and not site.host_network:
            if pod.ports:
                raise PrerequisiteError(
                    f"the server {pod.key} would run in its node's network, which the namespace "
                    f"{site.namespaces[pod.namespace]} does not admit; use a namespace without "
                    "Pod Security restrictions, or another variation"
                )
            left_out.append(f"{pod.key} would run in its node's network, which is not admitted")
        else:
            pods.append(pod)
    services = []
    for service in scenario.services:
        if not site.outside and (service.type_ == "LoadBalancer" or service.external_ips):
            left_out.append(
                f"Service {service.key} has addresses outside of the cluster; it is not created"
            )
        else:
            services.append(service)
    fitting = replace(scenario, nodes=nodes, pods=tuple(pods), services=tuple(services))
    return fitting, tuple(left_out)


def used_namespaces(scenario: Scenario) -> tuple[str, ...]:
    """The namespaces in which a scenario has something, in its order."""
    used = {
        one.namespace
        for some in (scenario.pods, scenario.services, scenario.policies)
        for one in some
    }
    return tuple(namespace.name for namespace in scenario.namespaces if namespace.name in used)


def namespace_manifest(scenario: Scenario, name: str, site: Site) -> Manifest:
    """A namespace of the scenario, with the strictest Pod Security Standard that it can have."""
    labels = next(dict(one.labels) for one in scenario.namespaces if one.name == name)
    in_host = any(pod.host_network for pod in scenario.pods if pod.namespace == name)
    labels.pop(NAME_LABEL, None)  # the API server sets it
    labels.setdefault(ENFORCE, "privileged" if in_host else "restricted")
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": site.namespaces[name], "labels": labels},
    }


def pod_manifest(
    pod: Pod, objects: Iterable[Object], site: Site, *, template: Pod | None = None
) -> Manifest:
    """A pod of the scenario: the spec of its manifest, where and how the scenario has it.

    Args:
        pod: what to create.
        objects: the manifests.
        site: the cluster.
        template: another pod whose spec is used, for a pod that no manifest describes.

    Raises:
        PrerequisiteError: no manifest describes the pod.
    """
    spec = deepcopy(_pod_spec(template or pod, objects))
    spec.pop("nodeName", None)
    spec["nodeSelector"] = {HOSTNAME: site.nodes[pod.node].hostname}
    spec.pop("hostNetwork", None)
    if pod.host_network:
        spec["hostNetwork"] = True
    for container in (*spec.get("initContainers", ()), *spec["containers"]):
        container["image"] = chosen(container.get("image", ""), site.images)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": pod.name,
            "namespace": site.namespaces[pod.namespace],
            "labels": dict(pod.labels),
        },
        "spec": spec,
    }


def service_manifest(service: Service, objects: Iterable[Object], site: Site) -> Manifest:
    """A Service of the scenario, with its traffic policies.

    Raises:
        PrerequisiteError: no manifest describes the Service.
    """
    found = _find(objects, ("Service",), service.namespace, service.name)
    spec = deepcopy(found.spec.value)
    spec["internalTrafficPolicy"] = service.internal_traffic_policy
    if service.type_ in {"NodePort", "LoadBalancer"}:
        spec["externalTrafficPolicy"] = service.external_traffic_policy
    if not site.keep_addresses:
        for port in spec.get("ports") or ():
            port.pop("nodePort", None)
        if spec.get("clusterIP") != "None":
            for name in ("clusterIP", "clusterIPs"):
                spec.pop(name, None)
    namespace = site.namespaces[service.namespace]
    metadata = {"name": service.name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


def allocated(service: Service, created: Mapping[str, Any]) -> Service:
    """A Service with the node ports that the cluster has given it."""
    given = {
        (port.get("protocol", "TCP"), port["port"]): port.get("nodePort")
        for port in created["spec"].get("ports") or ()
    }
    return replace(
        service,
        ports=tuple(
            replace(port, node_port=given.get((str(port.protocol), port.port)) or None)
            for port in service.ports
        ),
    )


def node_ports(before: Scenario, after: Scenario) -> dict[tuple[Protocol, int], int]:
    """Node port of the manifests -> node port of the cluster."""
    new = {served.label: served.port.node_port for served in served_ports(after)}
    return {
        (served.port.protocol, served.port.node_port): number
        for served in served_ports(before)
        if served.port.node_port is not None and (number := new.get(served.label)) is not None
    }


def policy_manifest(
    policy: NetworkPolicy, site: Site, ports: NodePorts, *, spared: str | None = None
) -> Manifest:
    """A policy for this cluster: its namespaces, its node ports.

    A port that a manifest names because it is the node port follows the allocated one.

    Args:
        policy: as in the scenario.
        site: the cluster.
        ports: what became of the node ports.
        spared: key of a label; pods that have it are not selected. It keeps a policy for
            every pod of a namespace away from the lab's own.

    Raises:
        PrerequisiteError: a range of ports includes a node port and not the allocated one.
    """
    placed = replace(
        policy,
        namespace=site.namespaces[policy.namespace],
        ingress=tuple(_rule(rule, policy, site, ports) for rule in policy.ingress),
        egress=tuple(_rule(rule, policy, site, ports) for rule in policy.egress),
    )
    manifest = render_policy(placed)
    if spared is not None:
        selector = manifest["spec"]["podSelector"]
        selector.setdefault("matchExpressions", []).append(
            {"key": spared, "operator": "DoesNotExist"}
        )
    return manifest


def _rule(rule: PolicyRule, policy: NetworkPolicy, site: Site, ports: NodePorts) -> PolicyRule:
    return PolicyRule(
        peers=tuple(_peer(peer, site) for peer in rule.peers),
        ports=tuple(_port(clause, policy, ports) for clause in rule.ports),
    )


def _peer(peer: IPBlock | PodPeer, site: Site) -> IPBlock | PodPeer:
    if isinstance(peer, IPBlock) or peer.namespace_selector is None:
        return peer
    return replace(peer, namespace_selector=_namespaces(peer.namespace_selector, site))


def _namespaces(selector: LabelSelector, site: Site) -> LabelSelector:
    def own(name: str) -> str:
        return site.namespaces.get(name, name)

    return LabelSelector(
        tuple(
            (key, own(value) if key == NAME_LABEL else value)
            for key, value in selector.match_labels
        ),
        tuple(
            replace(requirement, values=tuple(map(own, requirement.values)))
            if requirement.key == NAME_LABEL
            else requirement
            for requirement in selector.match_expressions
        ),
    )


def _port(clause: PolicyPort, policy: NetworkPolicy, ports: NodePorts) -> PolicyPort:
    if not isinstance(clause.port, int):
        return clause
    if clause.end_port is None:
        return replace(clause, port=ports.get((clause.protocol, clause.port), clause.port))
    for (protocol, old), new in ports.items():
        named = range(clause.port, clause.end_port + 1)
        if protocol is clause.protocol and old in named and new not in named:
            raise PrerequisiteError(
                f"policy {policy.name} allows the ports {clause.port}-{clause.end_port}, among "
                f"them the node port {old}, and the cluster has allocated {new} instead; "
                "widen the range, or name the node port alone"
            )
    return clause


def _pod_spec(pod: Pod, objects: Iterable[Object]) -> Manifest:
    found = _find(objects, ("Pod", "Deployment"), pod.namespace, pod.workload or pod.name)
    field_ = found.spec if found.kind == "Pod" else found.spec.get("template", "spec")
    spec: Manifest = field_.value
    return spec


def _find(objects: Iterable[Object], kinds: Sequence[str], namespace: str, name: str) -> Object:
    for found in objects:
        if (found.namespace, found.name) == (namespace, name) and found.kind in kinds:
            return found
    raise PrerequisiteError(
        f"no manifest describes the {kinds[0]} {namespace}/{name}; a cluster needs manifests, "
        "add one to the scenario's folders"
    )
