"""The images of a cluster: who names them, what is used instead, and what pins them."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from nodeport_lab.errors import LabError, ManifestError, UnknownNameError
from nodeport_lab.locations import manifests_directory
from nodeport_lab.testbeds.cluster.images import by_tag, chosen, names
from nodeport_lab.testbeds.kind import cni
from nodeport_lab.testbeds.kind.archives import settled

_VALUES = "cilium/values.yaml"
_CHART = (("", "digest", ""), ("operator", "genericDigest", "-generic"), ("envoy", "digest", ""))
"""Place in the values of Cilium's chart, the digest's name there, what is added to the name.

Source: cilium/cilium, install/kubernetes/cilium, values.yaml and templates/_helpers.tpl.
"""


@dataclass(frozen=True, slots=True)
class Images:
    """The images that something in a cluster names.

    Attributes:
        node: of the nodes.
        workloads: of the lab's own manifests.
        manifests: of the manifests that are applied for the CNI plugin.
        chart: place in the values of Cilium's chart -> image.
        made: those that Calico's operator asks for itself, and by which nothing names them.
        overrides: image -> what to use instead.
        loaded: names by which the nodes have images already.
    """

    node: str
    workloads: tuple[str, ...]
    manifests: tuple[str, ...] = ()
    chart: Mapping[str, str] = field(default_factory=dict)
    made: tuple[str, ...] = ()
    overrides: Mapping[str, str] = field(default_factory=dict)
    loaded: frozenset[str] = frozenset()

    def check(self) -> None:
        """Accept overrides of images that something names.

        Raises:
            LabError: Calico's operator makes its reference itself.
            UnknownNameError: nothing names it; a mistake would otherwise go unnoticed.
        """
        named = (*self.workloads, *self.manifests, *self.chart.values())
        known = {name for image in named for name in names(image)}
        for image in self.overrides:
            if image in known:
                continue
            if image in {name for made in self.made for name in names(made)}:
                raise LabError(
                    f"{image} is asked for by Calico's operator, which takes a registry and a path "
                    "for all of its images and no other name for one; set calicoInstallation: "
                    "{registry: ..., imagePath: ...} in the file of overrides"
                )
            raise UnknownNameError("image", image, list(named))

    def used(self, image: str) -> str:
        """The reference that a pod asks for."""
        return settled(chosen(image, self.overrides), self.loaded)

    @property
    def replaced(self) -> dict[str, str]:
        """Image of a manifest -> what a pod asks for, where that is something else."""
        named = (*self.workloads, *self.manifests)
        return {image: self.used(image) for image in named if self.used(image) != image}

    @property
    def values(self) -> dict[str, Any]:
        """What of it the values of Cilium's chart have to say."""
        values: dict[str, Any] = {}
        for place, image in self.chart.items():
            told: dict[str, Any] = {}
            if chosen(image, self.overrides) != image:
                told = {"override": self.used(image)}
            elif self.used(image) != image:
                told = {"useDigest": False}
            if told:
                values |= {place: {"image": told}} if place else {"image": told}
        return values

    @property
    def unpinned(self) -> list[str]:
        """Those that are pinned by their tag alone, as they are asked for."""
        named = (self.node, *map(self.used, (*self.workloads, *self.manifests)))
        every = (*named, *map(self.used, self.chart.values()), *self.made)
        return [image for image in dict.fromkeys(every) if by_tag(image)]


def of_workloads() -> tuple[str, ...]:
    """The images of the lab's own manifests."""
    folder = manifests_directory()
    files = sorted(
        file for place in ("workloads", "suites") for file in (folder / place).rglob("*.yaml")
    )
    found = (
        image
        for file in files
        for document in yaml.safe_load_all(file.read_text(encoding="utf-8"))
        for image in named(document)
    )
    return tuple(dict.fromkeys(found))


def named(value: object) -> Iterator[str]:
    """Every `image` that a manifest names, at any depth."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "image" and isinstance(inner, str):
                yield inner
            else:
                yield from named(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from named(inner)


def of_chart(file: Path, values: Mapping[str, Any]) -> dict[str, str]:
    """Place in the values of Cilium's chart -> the image that it leads to.

    Args:
        file: the archive of the chart.
        values: laid over the chart's own.

    Raises:
        ManifestError: it is no chart of Cilium.
    """
    try:
        with tarfile.open(file) as archive:
            content = archive.extractfile(_VALUES)
            own = yaml.safe_load(content.read() if content else b"") or {}
        merged = cni.merged(own, values)
    except (OSError, tarfile.TarError, KeyError, yaml.YAMLError, TypeError, ValueError) as error:
        told = " ".join(str(error).split())
        raise ManifestError(f"{file} is no chart of Cilium ({told}); name another copy") from error
    found = {}
    for place, digest, suffix in _CHART:
        image = _inner(merged, place).get("image")
        if isinstance(image, dict) and image.get("repository"):
            found[place] = _reference(image, digest, suffix)
    return found


def _inner(values: Mapping[str, Any], place: str) -> Mapping[str, Any]:
    inner = values.get(place) if place else values
    return inner if isinstance(inner, dict) else {}


def _reference(image: Mapping[str, Any], digest: str, suffix: str) -> str:
    if image.get("override"):
        return str(image["override"])
    pinned = f"@{image[digest]}" if image.get("useDigest") and image.get(digest) else ""
    return f"{image['repository']}{suffix}{image.get('suffix') or ''}:{image.get('tag')}{pinned}"


def of_manifests(manifests: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The images that manifests name; those inside of definitions of resources are none."""
    return tuple(
        dict.fromkeys(
            image
            for manifest in manifests
            if manifest["kind"] != "CustomResourceDefinition"
            for image in named(dict(manifest))
        )
    )
