"""Programs of the project's own manifests: what a container runs in earnest.

Most pods of a scenario have a stand-in behind their ports. Where the image is one of
`PROGRAMS`, a testbed that can starts the program itself, with the texts of the ConfigMaps
that the container mounts. Manifests of users are never read here: nothing of theirs is run.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from nodeport_lab.manifests.documents import Field
from nodeport_lab.manifests.objects import Object
from nodeport_lab.manifests.workloads import WORKLOAD_KINDS, pod_spec_of
from nodeport_lab.model import Program, Scenario

HAPROXY = "haproxy"
LAB = "nodeport-lab"
PROGRAMS = (HAPROXY, LAB)
"""Images whose program can be started: the proxy, and the stand-ins of this very package."""

_ConfigMaps = Mapping[tuple[str, str], Field]


def with_programs(scenario: Scenario, objects: Iterable[Object]) -> Scenario:
    """The scenario with the programs of its pods.

    Args:
        scenario: made of these objects.
        objects: the workloads and ConfigMaps among them are read.

    Raises:
        ManifestError: a container mounts a ConfigMap that is not there.
    """
    found = tuple(objects)
    maps = {
        (one.namespace, one.name): one.field.get("data") for one in found if one.kind == "ConfigMap"
    }
    programs = {
        (one.namespace, one.name): program
        for one in found
        if one.kind in WORKLOAD_KINDS
        for program in _programs(one, maps)
    }
    if not programs:
        return scenario
    pods = (
        replace(pod, program=programs.get((pod.namespace, pod.workload))) for pod in scenario.pods
    )
    return replace(scenario, pods=tuple(pods))


def program_names(scenario: Scenario) -> frozenset[str]:
    """The programs that the pods of a scenario run."""
    return frozenset(pod.program.name for pod in scenario.pods if pod.program is not None)


def _programs(workload: Object, maps: _ConfigMaps) -> Iterator[Program]:
    """The program of the first container that has one."""
    spec = pod_spec_of(workload)
    for container in spec.get("containers").items():
        name = image_name(container.get("image").value or "")
        if name in PROGRAMS:
            command = (*container.get("command").items(), *container.get("args").items())
            files = tuple(_files(workload.namespace, container, spec, maps))
            yield Program(name, tuple(word.value for word in command), files)
            return


def image_name(image: str) -> str:
    """`docker.io/library/haproxy:3.2@sha256:...` -> `haproxy`."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[0]


def _files(
    namespace: str, container: Field, spec: Field, maps: _ConfigMaps
) -> Iterator[tuple[str, str]]:
    volumes = {
        volume.get("name").value: volume.get("configMap", "name")
        for volume in spec.get("volumes").items()
    }
    for mount in container.get("volumeMounts").items():
        reference = volumes.get(mount.get("name").value)
        if reference is None or reference.value is None:
            continue
        if (namespace, reference.value) not in maps:
            message = f"there is no ConfigMap {reference.value!r} in the namespace {namespace!r}"
            raise reference.error(f"{message}; add its manifest")
        for name, text in maps[namespace, reference.value].members():
            yield f"{mount.get('mountPath').value}/{name}", text.value
