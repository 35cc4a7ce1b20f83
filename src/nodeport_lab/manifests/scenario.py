"""Everything together: a cluster and the objects in it, checked against each other."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from nodeport_lab.manifests.binding import bind_cidrs, check_binding
from nodeport_lab.manifests.cluster import Cluster
from nodeport_lab.manifests.labels import read_labels
from nodeport_lab.manifests.objects import Object
from nodeport_lab.manifests.placement import place
from nodeport_lab.manifests.policies import read_policy
from nodeport_lab.manifests.service_addresses import allocate
from nodeport_lab.manifests.services import is_ipv6_only, read_service
from nodeport_lab.manifests.unprobed import unprobed
from nodeport_lab.manifests.workloads import WORKLOAD_KINDS, read_workload
from nodeport_lab.model import Namespace, NetworkPolicy, Pod, Scenario, Service

NO_POLICY = "no-policy"
"""What an experiment calls the absence of policy; no policy may have this name."""
ALL_POLICIES = "all-policies"
"""What it calls several policies that are in force together."""

BUILT_IN_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
_NAME_LABEL = "kubernetes.io/metadata.name"


def build_scenario(
    cluster: Cluster,
    objects: Iterable[Object],
    facts: Mapping[str, str] | None = None,
    *,
    together: bool = False,
) -> Scenario:
    """Put a cluster and the objects in it together.

    Args:
        cluster: nodes and subnets.
        objects: every object; their order is kept.
        facts: subnets of the testbed that replace annotated CIDRs; None keeps them.
        together: put pods on the first node that they may run on, instead of in turn.

    Raises:
        ManifestError: an object is not one that Kubernetes accepts, two of them clash,
            or one needs something that is not there.
    """
    found = _distinct(objects)
    policies = [_bound(policy, facts) for policy in found if policy.kind == "NetworkPolicy"]
    services = [service for service in found if service.kind == "Service"]
    workloads = [workload for workload in found if workload.kind in WORKLOAD_KINDS]
    scenario = Scenario(
        cluster=cluster.name,
        nodes=cluster.nodes,
        namespaces=_namespaces(found),
        pods=_pods(workloads, cluster, together=together),
        services=_services(services, cluster),
        policies=tuple(_policy(policy) for policy in policies),
        pod_cidr=cluster.pod_cidr,
        service_cidr=cluster.service_cidr,
    )
    # Last, because only values that have been checked can be described.
    notes = (
        note for part in (workloads, services, policies) for one in part for note in unprobed(one)
    )
    return replace(scenario, notes=(*cluster.notes, *notes))


def _distinct(objects: Iterable[Object]) -> tuple[Object, ...]:
    seen: dict[tuple[str, str, str], Object] = {}
    for found in objects:
        key = (found.kind, found.namespace, found.name)
        if key in seen:
            message = f"{found.kind} {found.name!r} stands already in {seen[key].field.place}"
            raise found.field.error(f"{message}; rename or remove one")
        seen[key] = found
    return tuple(seen.values())


def _namespaces(objects: tuple[Object, ...]) -> tuple[Namespace, ...]:
    """The namespaces of the manifests, then the built-in ones that something lives in."""
    labels = {
        found.name: dict(read_labels(found.field.get("metadata", "labels")))
        for found in objects
        if found.kind == "Namespace"
    }
    for found in objects:
        if found.kind == "Namespace" or found.namespace in labels:
            continue
        if found.namespace not in BUILT_IN_NAMESPACES:
            message = f"there is no Namespace {found.namespace!r}"
            raise found.field.get("metadata", "namespace").error(f"{message}; add its manifest")
        labels[found.namespace] = {}
    return tuple(
        Namespace(name, tuple(sorted({**own, _NAME_LABEL: name}.items())))
        for name, own in labels.items()
    )


def _pods(workloads: list[Object], cluster: Cluster, *, together: bool) -> tuple[Pod, ...]:
    pods: dict[str, Pod] = {}
    read = (read_workload(found) for found in workloads)
    for workload, pod in place(read, cluster, together=together):
        if pod.key in pods:
            message = f"its pod {pod.key} would be there twice"
            raise workload.object.field.error(f"{message}; rename this {workload.object.kind}")
        pods[pod.key] = pod
    return tuple(pods.values())


def _services(objects: list[Object], cluster: Cluster) -> tuple[Service, ...]:
    read = [(found, read_service(found)) for found in objects]
    return allocate(
        [(found, service) for found, service in read if not is_ipv6_only(found)],
        cluster.service_cidr,
    )


def _bound(policy: Object, facts: Mapping[str, str] | None) -> Object:
    check_binding(policy)
    return policy if facts is None else bind_cidrs(policy, facts)


def _policy(policy: Object) -> NetworkPolicy:
    if policy.name == NO_POLICY:
        message = f"{NO_POLICY!r} is what the lab calls the absence of policy"
        raise policy.field.get("metadata", "name").error(f"{message}; rename this policy")
    return read_policy(policy)
