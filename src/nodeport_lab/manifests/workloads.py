"""Pods and Deployments: what they run and where they ask to run it."""

from dataclasses import dataclass

from nodeport_lab.manifests.documents import Field
from nodeport_lab.manifests.labels import check_labels, read_labels, read_selector
from nodeport_lab.manifests.objects import Object
from nodeport_lab.manifests.protocols import read_protocol
from nodeport_lab.manifests.syntax import dns_label, port_name, port_number
from nodeport_lab.model import ContainerPort
from nodeport_lab.policy import selector_matches

MAX_REPLICAS = 250
"""The most pods that one Deployment may ask for: as many as a node has addresses."""


@dataclass(frozen=True, slots=True)
class Workload:
    """A Pod, or the pods of a Deployment, before they are placed on nodes.

    Attributes:
        object: the object of the manifest.
        pod_names: the pods, in order: the Pod itself, or `NAME-0`, `NAME-1`, ...
        labels: labels of each pod.
        ports: ports that the containers declare.
        pod_spec: the spec of the pods, with its place.
    """

    object: Object
    pod_names: tuple[str, ...]
    labels: tuple[tuple[str, str], ...]
    ports: tuple[ContainerPort, ...]
    pod_spec: Field


def read_workload(workload: Object) -> Workload:
    """A Pod or Deployment.

    Raises:
        ManifestError: a value that Kubernetes does not accept.
    """
    if workload.kind == "Pod":
        names: tuple[str, ...] = (workload.name,)
        metadata, pod_spec = workload.field.get("metadata"), workload.spec
    else:
        names = tuple(f"{workload.name}-{ordinal}" for ordinal in range(_replicas(workload)))
        template = workload.spec.get("template")
        metadata, pod_spec = template.get("metadata"), template.get("spec")
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


def _replicas(deployment: Object) -> int:
    replicas = deployment.spec.get("replicas")
    number: int = 1 if replicas.value is None else replicas.value
    if number not in range(MAX_REPLICAS + 1):
        message = f"{number} pods are not possible here"
        raise replicas.error(f"{message}; ask for 0 to {MAX_REPLICAS}")
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
