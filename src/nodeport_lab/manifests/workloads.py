"""Pods and what makes pods: what they run and where they ask to run it."""

from dataclasses import dataclass

from nodeport_lab.manifests.documents import Field
from nodeport_lab.manifests.labels import check_labels, read_labels, read_selector
from nodeport_lab.manifests.objects import Object
from nodeport_lab.manifests.protocols import read_protocol
from nodeport_lab.manifests.syntax import dns_label, port_name, port_number
from nodeport_lab.model import ContainerPort
from nodeport_lab.policy import selector_matches

MAX_REPLICAS = 250
"""The most pods that one workload may ask for: as many as a node has addresses."""

WORKLOAD_KINDS = ("Pod", "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job")
"""The kinds that are pods or make pods."""

ON_EVERY_NODE = "DaemonSet"
"""The kind whose pods are as many as there are nodes for them."""

_Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Workload:
    """A Pod, or the pods that an object makes, before they are placed on nodes.

    Attributes:
        object: the object of the manifest.
        pod_names: the pods, in order: the Pod itself, or `NAME-0`, `NAME-1`, ...; of a
            DaemonSet one, which stands for as many as it finds nodes.
        labels: labels that all of its pods have; see `pod_labels`.
        ports: ports that the containers declare.
        pod_spec: the spec of the pods, with its place.
    """

    object: Object
    pod_names: tuple[str, ...]
    labels: tuple[tuple[str, str], ...]
    ports: tuple[ContainerPort, ...]
    pod_spec: Field


def read_workload(workload: Object) -> Workload:
    """An object of one of the `WORKLOAD_KINDS`.

    Raises:
        ManifestError: a value that Kubernetes does not accept.
    """
    if workload.kind == "Pod":
        names: tuple[str, ...] = (workload.name,)
        metadata, pod_spec = workload.field.get("metadata"), workload.spec
    else:
        first = workload.spec.get("ordinals", "start").value or 0  # of a StatefulSet
        names = tuple(f"{workload.name}-{first + number}" for number in range(_count(workload)))
        template = workload.spec.get("template")
        metadata, pod_spec = template.get("metadata"), template.get("spec")
        if workload.kind != "Job":  # a cluster gives Jobs selectors of its own
            _check_selector(workload.spec.get("selector"), metadata.get("labels"))
    if pod_spec.value is None:
        raise pod_spec.error("this field is missing; describe the containers in it")
    check_labels(pod_spec.get("nodeSelector"))
    return Workload(
        object=workload,
        pod_names=names,
        labels=read_labels(metadata.get("labels")),
        ports=_ports(pod_spec),
        pod_spec=pod_spec,
    )


def pod_labels(workload: Workload, name: str) -> _Labels:
    """The labels of one of the pods, those included that its controller adds.

    Source: the Kubernetes documentation, "StatefulSets" (pod name and index labels) and
    "Well-Known Labels" (batch.kubernetes.io/job-name).
    """
    own = dict(workload.labels)
    match workload.object.kind:
        case "StatefulSet":
            own["statefulset.kubernetes.io/pod-name"] = name
            own["apps.kubernetes.io/pod-index"] = name.rpartition("-")[2]
        case "Job":
            own.setdefault("batch.kubernetes.io/job-name", workload.object.name)
            own.setdefault("job-name", workload.object.name)
    return tuple(sorted(own.items()))


def pod_spec_of(found: Object) -> Field:
    """The spec of the pods of a workload, wherever its kind keeps it."""
    return found.spec if found.kind == "Pod" else found.spec.get("template", "spec")


def _count(workload: Object) -> int:
    """How many pods an object makes."""
    if workload.kind == ON_EVERY_NODE:
        return 1
    field = workload.spec.get("parallelism" if workload.kind == "Job" else "replicas")
    number: int = 1 if field.value is None else field.value
    if number not in range(MAX_REPLICAS + 1):
        message = f"{number} pods are not possible here"
        raise field.error(f"{message}; ask for 0 to {MAX_REPLICAS}")
    return number


def _check_selector(selector: Field, labels: Field) -> None:
    parsed = read_selector(selector)
    if not parsed.match_labels and not parsed.match_expressions:
        raise selector.error("an empty selector would claim every pod; name the pods' labels")
    if not selector_matches(parsed, dict(read_labels(labels))):
        message = "the selector does not select the pods of the template"
        raise selector.error(f"{message}; give both the same labels")


def _ports(pod_spec: Field) -> tuple[ContainerPort, ...]:
    containers = pod_spec.get("containers")
    if not containers.value:
        raise containers.error("a pod needs at least one container; add it")
    names: set[str] = set()
    ports: list[ContainerPort] = []
    for container in [*pod_spec.get("initContainers").items(), *containers.items()]:
        name = container.get("name")
        if name.must(dns_label) in names:
            raise name.error(f"two containers are called {name.value!r}; rename one")
        names.add(name.value)
        declared = _container_ports(container)
        # Of the init containers only a sidecar runs on and can be reached.
        if container.path.startswith(containers.path) or _is_sidecar(container):
            ports.extend(declared)
    return tuple(ports)


def _is_sidecar(init_container: Field) -> bool:
    return bool(init_container.get("restartPolicy").value == "Always")


def _container_ports(container: Field) -> list[ContainerPort]:
    ports: list[ContainerPort] = []
    names: set[str] = set()
    for declared in container.get("ports").items():
        name, host_port = declared.get("name"), declared.get("hostPort")
        if name.value is not None:
            if name.must(port_name) in names:
                raise name.error(f"two ports are called {name.value!r}; rename one")
            names.add(name.value)
        if host_port.value is not None:
            host_port.must(port_number)
        number = declared.get("containerPort").must(port_number)
        protocol = read_protocol(declared.get("protocol"))
        ports.append(ContainerPort(number, protocol, name.value))
    return ports
