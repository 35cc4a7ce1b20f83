"""From what a user asks for to everything that is needed to make it; nothing is created."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from nodeport_lab.dataplanes import Dataplane
from nodeport_lab.dataplanes.options import CILIUM_VERSION
from nodeport_lab.errors import PrerequisiteError, UnknownNameError
from nodeport_lab.locations import manifests_directory
from nodeport_lab.testbeds.cluster.images import normal, parts
from nodeport_lab.testbeds.kind import (
    archives,
    cni,
    configuration,
    downloads,
    images,
    installation,
    pins,
    prerequisites,
)
from nodeport_lab.testbeds.kind.engine import Engine, Host
from nodeport_lab.testbeds.kind.images import Images
from nodeport_lab.testbeds.kind.overrides import Overrides
from nodeport_lab.testbeds.kind.pins import Artefact, Pins
from nodeport_lab.testbeds.kind.state import Asked


@dataclass(frozen=True, slots=True)
class Request:
    """What a user asks for.

    Attributes:
        name: of the cluster.
        dataplane: that runs in it.
        options: of the dataplane, as far as chosen.
        shape: a file of `manifests/kind/`, without its ending.
        overrides: what to use instead of what is pinned.
        skip_cni: leave the installation of the CNI plugin to the user.
        load_images: archives, and images of the engine, that go into the nodes.
        cni_version: of Calico or Cilium instead of the pinned one, unverified.
    """

    name: str
    dataplane: Dataplane
    options: Mapping[str, str] = field(default_factory=dict)
    shape: str = "dev"
    overrides: Overrides = field(default_factory=Overrides)
    skip_cni: bool = False
    load_images: Sequence[str] = ()
    cni_version: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be made of a request.

    Attributes:
        request: the request.
        engine: that runs the nodes.
        host: where they run.
        asked: what the cluster is to be.
        artefacts: files of the CNI plugin, in the order in which they are applied.
        made: images that Calico's operator asks for.
        loaded: names by which the nodes will have images.
    """

    request: Request
    engine: Engine
    host: Host
    asked: Asked
    artefacts: tuple[Artefact, ...]
    made: tuple[str, ...] = ()
    loaded: frozenset[str] = frozenset()

    @property
    def objects(self) -> list[dict[str, Any]]:
        """Calico's objects."""
        return list(self.asked.cni["objects"])

    @property
    def values(self) -> dict[str, Any]:
        """The values of Cilium's chart, but for its images."""
        return dict(self.asked.cni["values"])

    def files(self) -> list[Path]:
        """The files of the CNI plugin, fetched and checked."""
        return [downloads.fetch(artefact) for artefact in self.artefacts]

    def images(self, files: Sequence[Path]) -> Images:
        """What names which image.

        Args:
            files: of the CNI plugin; none where it is not installed now.
        """
        calico = cni.is_calico(self.asked.dataplane)
        manifests = [one for file in files if calico for one in installation.read(file)]
        named = images.of_manifests(manifests)
        return Images(
            node=str(self.asked.configuration["nodes"][0]["image"]),
            workloads=images.of_workloads(),
            manifests=named,
            chart=images.of_chart(files[0], self.values) if files and not calico else {},
            made=tuple(one for one in self.made if one not in named) if files else (),
            overrides=self.request.overrides.images,
            loaded=self.loaded,
        )

    @property
    def unverified(self) -> list[str]:
        """Files of the CNI plugin that have no known checksum."""
        return [artefact.url for artefact in self.artefacts if artefact.sha256 is None]


def plan(request: Request) -> Plan:
    """Check a request against this machine and say what will be made.

    Raises:
        LabError: it cannot be had; with the reason and the remedy.
    """
    configuration.check_name(request.name)
    name = request.dataplane.name
    options = configuration.complete(request.dataplane, request.options)
    pinned = request.overrides.applied(_pins(request, options))
    base = _shape(request.shape)
    engine = Engine.find()
    prerequisites.check_kind(pinned)
    if not cni.is_calico(name) and not request.skip_cni:
        prerequisites.check_helm()
    host = engine.host()
    prerequisites.check_host(host, name)
    image = prerequisites.node_image(pinned, host)
    own = bool(request.overrides.manifests) or request.skip_cni
    prerequisites.check_pair(pinned, host, name, image, own_calico=own)
    loaded = frozenset(name for image in request.load_images for name in _names_of(image, engine))
    configured = configuration.configure(base, request.name, request.dataplane, options, image)
    pods = configuration.pod_subnet(configured)
    if cni.is_calico(name):
        artefacts = pinned.calico
        felix, wanted = cni.calico(_manifest("calico"), name, options, pods)
        over = {"spec": request.overrides.calico_installation}
        told: dict[str, Any] = {"objects": [felix, cni.merged(wanted, over)]}
    else:
        artefacts = (pinned.cilium[options[CILIUM_VERSION]],)
        values = cni.cilium(_manifest("cilium"), name, options, request.name, pods)
        told = {"values": cni.merged(values, request.overrides.cilium_values)}
    told["files"] = {one.name: one.sha256 for one in artefacts}
    told["images"] = dict(request.overrides.images)
    asked = Asked(engine.name, name, options, configured, told)
    made = pinned.calico_images if cni.is_calico(name) else ()
    return Plan(request, engine, host, asked, artefacts, made, loaded)


def _pins(request: Request, options: Mapping[str, str]) -> Pins:
    version, pinned = request.cni_version, pins.load()
    if version is None:
        return pinned
    if cni.is_calico(request.dataplane.name):
        return pinned.with_calico(version)
    return pinned.with_cilium(version, options[CILIUM_VERSION])


def _shape(name: str) -> dict[str, Any]:
    folder = manifests_directory() / "kind"
    known = sorted(file.stem for file in folder.glob("*.yaml"))
    if name not in known:
        raise UnknownNameError("configuration of kind", name, known)
    read: dict[str, Any] = yaml.safe_load((folder / f"{name}.yaml").read_text(encoding="utf-8"))
    return read


def _manifest(name: str) -> dict[str, Any]:
    file = manifests_directory() / "cni" / f"{name}.yaml"
    read: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return read


def _names_of(image: str, engine: Engine) -> Iterator[str]:
    """The names by which the nodes will have what `--load-images` is given."""
    if Path(image).is_file():
        yield from archives.read(Path(image))
        return
    repository, tag, digest = parts(image)
    if digest:
        raise PrerequisiteError(
            f"{image}: an image that {engine.name} saves by its digest has no name in the nodes; "
            "name it by its tag, or an archive that has the digest as a name"
        )
    if not engine.has_image(image):
        raise PrerequisiteError(
            f"{image} is neither an archive nor an image that {engine.name} has; name a file, "
            f"or pull it first with: {engine.name} pull {image}"
        )
    yield normal(f"{repository}:{tag or 'latest'}")
