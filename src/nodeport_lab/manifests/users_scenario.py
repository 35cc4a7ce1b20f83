"""A cluster for other people's manifests: what they leave to a real one is decided here.

Nodes, subnets, namespaces that nobody wrote down: each is chosen so that the answer says
as much as possible, the same way every time, and each choice is noted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network, ip_address

from nodeport_lab.errors import ManifestError
from nodeport_lab.manifests.cluster import Cluster
from nodeport_lab.manifests.documents import Field
from nodeport_lab.manifests.objects import Object
from nodeport_lab.manifests.placement import ROOM
from nodeport_lab.manifests.scenario import BUILT_IN_NAMESPACES, build_scenario
from nodeport_lab.manifests.services import HEADLESS
from nodeport_lab.manifests.slices import endpoint_pods
from nodeport_lab.manifests.users import Reading
from nodeport_lab.manifests.users_cluster import cluster_ips, service_subnet, users_cluster
from nodeport_lab.manifests.workloads import WORKLOAD_KINDS
from nodeport_lab.model import ContainerPort, IPBlock, NetworkPolicy, Scenario, Service
from nodeport_lab.services import selected_pods

DEFAULT_NODES = 3
MOST_PODS = 2_000
MOST_EXCEPTIONS = 1_000
"""Of one ipBlock: what netfilter takes in one rule."""


@dataclass(frozen=True, slots=True)
class UsersManifests:
    """A scenario, and where each of its objects was written.

    Attributes:
        scenario: pods, Services, policies on the nodes that were made for them.
        objects: (kind, namespace, name) -> the object of the manifest.
        notes: what was assumed or left out, in sentences.
    """

    scenario: Scenario
    objects: Mapping[tuple[str, str, str], Object]
    notes: tuple[str, ...]

    def field(self, kind: str, namespace: str, name: str) -> Field:
        """All of an object, with its place."""
        return self.objects[kind, namespace, name].field


def users_scenario(
    reading: Reading,
    nodes: int = DEFAULT_NODES,
    subnets: Mapping[str, IPv4Network] | None = None,
    *,
    together: bool = False,
) -> UsersManifests:
    """Make a cluster for what was read.

    Args:
        reading: the objects.
        nodes: how many workers at least; a control plane that runs no pods comes besides,
            so that there is always a node without a backend.
        subnets: those of the real cluster, as far as they are known.
        together: put pods on one node where the manifests leave it open, instead of in turn.

    Raises:
        ManifestError: objects that clash or need something that is not there.
    """
    known = subnets or {}
    objects, notes = _distinct(reading.objects)
    objects, owned, dropped = _without_makers(objects)
    notes += dropped
    workloads = [found for found in objects if found.kind in WORKLOAD_KINDS]
    services = [found for found in objects if found.kind == "Service"]
    objects, assumed = _with_namespaces(objects)
    notes += assumed
    service_cidr, said = service_subnet(services, known.get("services"))
    notes += said
    objects = tuple(_within(found, service_cidr) for found in objects)
    pods_wanted = sum(_wanted(found, nodes) for found in workloads)
    if pods_wanted > MOST_PODS:
        raise ManifestError(
            f"these manifests make {pods_wanted} pods and the lab has room for {MOST_PODS}; "
            "check fewer namespaces at a time"
        )
    at_least = max(nodes, -(-pods_wanted // ROOM))
    cluster = users_cluster(workloads, at_least, known.get("pods"), service_cidr)
    scenario = build_scenario(cluster, objects, together=together)
    slices = [found for found in objects if found.kind == "EndpointSlice"]
    by_slice, unserved = endpoint_pods(slices, scenario)
    notes += unserved
    scenario = replace(
        scenario,
        pods=tuple(
            replace(pod, workload=owned.get(pod.key, pod.workload)) for pod in scenario.pods
        ),
        services=tuple(
            _checked_outside(
                replace(service, endpoint_pods=by_slice.get(service.key, ())), objects, cluster
            )
            for service in scenario.services
        ),
        policies=tuple(map(_bounded, scenario.policies)),
    )
    scenario, listening = _listening(scenario)
    _refuse_shared_addresses(scenario.services)
    notes += [*scenario.notes, *listening, *_explained(scenario)]
    return UsersManifests(
        scenario,
        {(found.kind, found.namespace, found.name): found for found in objects},
        tuple(notes),
    )


def _distinct(objects: Sequence[Object]) -> tuple[tuple[Object, ...], list[str]]:
    """Objects without exact repetitions; others of the same name are refused later."""
    seen: dict[tuple[str, str, str], list[Object]] = {}
    kept: list[Object] = []
    notes = []
    for found in objects:
        same = seen.setdefault((found.kind, found.namespace, found.name), [])
        if any(other.field.value == found.field.value for other in same):
            notes.append(f"{found.field.place}: {found.kind} {found.name} stands here once more")
            continue
        same.append(found)
        kept.append(found)
    return tuple(kept), notes


def _without_makers(
    objects: tuple[Object, ...],
) -> tuple[tuple[Object, ...], dict[str, str], list[str]]:
    """Leave out what made pods that are there themselves, as in `kubectl get all -o yaml`.

    Returns:
        the objects, pod key -> name of what made it, and notes.
    """
    made_by: dict[str, str] = {}
    makers: set[tuple[str, str, str]] = set()
    parents = {
        (found.kind, found.namespace, found.name): _controller(found)
        for found in objects
        if found.kind in WORKLOAD_KINDS
    }
    for found in objects:
        owner = _controller(found) if found.kind == "Pod" else None
        seen = set()
        while owner is not None and owner not in seen:
            seen.add(owner)
            kind, name = owner
            makers.add((kind, found.namespace, name))
            made_by[f"{found.namespace}/{found.name}"] = name
            above = parents.get((kind, found.namespace, name))
            if above is None and kind == "ReplicaSet" and "-" in name:
                guess = ("Deployment", name.rpartition("-")[0])
                above = guess if (guess[0], found.namespace, guess[1]) in parents else None
            owner = above
    kept = tuple(
        found for found in objects if (found.kind, found.namespace, found.name) not in makers
    )
    left = len(objects) - len(kept)
    note = f"{left} objects are left out because the pods that they made are given themselves"
    return kept, made_by, [note] if left else []


def _controller(found: Object) -> tuple[str, str] | None:
    for owner in found.field.get("metadata", "ownerReferences").items():
        if owner.get("controller").value:
            return str(owner.get("kind").value), str(owner.get("name").value)
    return None


def _with_namespaces(objects: tuple[Object, ...]) -> tuple[tuple[Object, ...], list[str]]:
    given = {found.name for found in objects if found.kind == "Namespace"}
    missing = dict.fromkeys(
        found.namespace
        for found in objects
        if found.kind != "Namespace" and found.namespace not in {*given, *BUILT_IN_NAMESPACES}
    )
    made = tuple(
        Object("Namespace", "", name, Field("assumed", 1, "", {"metadata": {"name": name}}))
        for name in missing
    )
    if not made:
        return objects, []
    note = (
        f"no manifest describes the {'namespaces' if len(made) > 1 else 'namespace'} "
        f"{', '.join(missing)}; assumed with no label but kubernetes.io/metadata.name"
    )
    return (*made, *objects), [note]


def _within(found: Object, service_cidr: IPv4Network) -> Object:
    """A Service without a cluster IP that its cluster here cannot give it."""
    if found.kind != "Service":
        return found
    if all(IPv4Address(one) in service_cidr for one in cluster_ips(found)):
        return found
    spec = {
        name: part
        for name, part in found.spec.value.items()
        if name not in {"clusterIP", "clusterIPs"}
    }
    return replace(found, field=replace(found.field, value={**found.field.value, "spec": spec}))


def _wanted(found: Object, nodes: int) -> int:
    if found.kind in {"Pod", "DaemonSet"}:
        return 1 if found.kind == "Pod" else nodes
    number = found.spec.get("parallelism" if found.kind == "Job" else "replicas").value
    return 1 if number is None else max(0, int(number))


def _bounded(policy: NetworkPolicy) -> NetworkPolicy:
    for rule in (*policy.ingress, *policy.egress):
        for peer in rule.peers:
            if isinstance(peer, IPBlock) and len(peer.except_) > MOST_EXCEPTIONS:
                raise ManifestError(
                    f"NetworkPolicy {policy.namespace}/{policy.name}: an ipBlock has "
                    f"{len(peer.except_)} exceptions and the lab takes {MOST_EXCEPTIONS}; "
                    "join neighbouring ranges"
                )
    return policy


def _listening(scenario: Scenario) -> tuple[Scenario, list[str]]:
    """Let pods listen on what Services send them, declared or not, and on nothing twice."""
    wanted: dict[str, dict[tuple[object, int], ContainerPort]] = {}
    undeclared: dict[str, None] = {}
    for service in scenario.services:
        for port in service.ports:
            if not isinstance(port.target_port, int):
                continue
            for pod in selected_pods(scenario, service):
                key = (port.protocol, port.target_port)
                if all((one.protocol, one.port) != key for one in pod.ports):
                    own = ContainerPort(port.target_port, port.protocol)
                    wanted.setdefault(pod.key, {})[key] = own
                    undeclared.setdefault(f"{service.key} (port {port.target_port})")
    pods = tuple(
        replace(pod, ports=(*dict.fromkeys(pod.ports), *wanted.get(pod.key, {}).values()))
        for pod in scenario.pods
    )
    note = (
        "containers need not declare their ports: pods listen, too, on what these Services send "
        f"them: {', '.join(undeclared)}"
    )
    return replace(scenario, pods=pods), [note] if undeclared else []


def _explained(scenario: Scenario) -> Iterator[str]:
    """What asking by a Service cannot show."""
    for service in scenario.services:
        if service.type_ == "ExternalName":
            yield f"Service {service.key} is a name for a host outside; there is nothing to dial"
        elif service.cluster_ip == HEADLESS:
            yield (
                f"Service {service.key} is headless: its name stands for the addresses of its "
                "pods, so its answers are those of pod-ip"
            )
        elif not selected_pods(scenario, service):
            yield f"no pod stands behind Service {service.key}; it is not dialled"


def _checked_outside(service: Service, objects: Sequence[Object], cluster: Cluster) -> Service:
    """A Service whose external IPs are ones that Kubernetes and the lab accept."""
    if not service.external_ips:
        return service
    (found,) = (
        one
        for one in objects
        if (one.kind, one.namespace, one.name) == ("Service", service.namespace, service.name)
    )
    for field in found.spec.get("externalIPs").items():
        given = ip_address(field.value)
        if given.is_unspecified or given.is_loopback or given.is_link_local or given.is_multicast:
            message = f"{given} cannot stand for a Service outside of the cluster"
            raise field.error(f"{message}; use an address that is routed to the nodes")
        if any(given in subnet for subnet in (cluster.pod_cidr, cluster.service_cidr)):
            message = f"{given} belongs to the cluster's own pods or Services"
            raise field.error(f"{message}; use another, or name your subnets with --subnet")
    return service


def _refuse_shared_addresses(services: Sequence[Service]) -> None:
    owners: dict[tuple[str, object, int], str] = {}
    for service in services:
        for outside in dict.fromkeys(service.external_ips):
            for port in service.ports:
                owner = owners.setdefault((outside, port.protocol, port.port), service.key)
                if owner != service.key:
                    raise ManifestError(
                        f"Service {service.key}: port {port.port} of the external IP {outside} "
                        f"belongs to the Service {owner} already; choose another"
                    )
