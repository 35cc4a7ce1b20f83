"""What is installed, exactly: versions, addresses and checksums, read from `pins.yml`."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Any

import yaml

from nodeport_lab.errors import LabError

_CGROUP_V1 = 1
_CALICO = re.compile(r"v\d+\.\d+\.\d+")
_CILIUM = re.compile(r"\d+\.\d+\.\d+")


@dataclass(frozen=True, slots=True)
class Artefact:
    """A file to be fetched.

    Attributes:
        name: what it is called in a file of overrides.
        url: where it lies; may be the path of a file.
        sha256: of its content, in hexadecimal digits; None: not known, and not checked.
        source: where the checksum was read.
    """

    name: str
    url: str
    sha256: str | None
    source: str


@dataclass(frozen=True, slots=True)
class Pins:
    """Everything that is pinned.

    Attributes:
        kind: the program, as of the version that was tried.
        kind_version: that version, like `v0.33.0`.
        oldest_kind: the oldest version that works.
        node: image of the nodes, by digest.
        old_node: the same, for hosts with cgroup v1.
        calico_version: like `v3.32.1`.
        calico_kubernetes: oldest and newest minor version of Kubernetes that Calico is
            tested with; None: not known.
        calico: manifests, in the order in which they are applied.
        cilium: value of the option `ciliumVersion` -> Helm chart.
        calico_images: those that Calico's operator, and its manifest, ask for; no digest of
            them is known.
    """

    kind: Artefact
    kind_version: str
    oldest_kind: str
    node: str
    old_node: str
    calico_version: str
    calico_kubernetes: tuple[str, str] | None
    calico: tuple[Artefact, ...]
    cilium: dict[str, Artefact]
    calico_images: tuple[str, ...]

    def with_calico(self, version: str) -> Pins:
        """The same with another version of Calico, of which nothing is verified.

        Its files lie where those of the pinned version lie, under its own tag.

        Raises:
            LabError: it is no version.
        """
        if not _CALICO.fullmatch(version):
            raise LabError(f"{version!r} is no version of Calico; write it like v3.33.1")
        if version == self.calico_version:
            return self
        return replace(
            self,
            calico_version=version,
            calico_kubernetes=None,
            calico=tuple(
                replace(
                    one,
                    url=one.url.replace(f"/{self.calico_version}/", f"/{version}/"),
                    sha256=None,
                    source="nowhere",
                )
                for one in self.calico
            ),
            calico_images=(f"quay.io/calico/*:{version}",),
        )

    def with_cilium(self, version: str, option: str) -> Pins:
        """The same with another patch of a version of Cilium, of which nothing is verified.

        Args:
            version: of the chart.
            option: the value of the option `ciliumVersion` that it goes with.

        Raises:
            LabError: it is no version, or none of that value.
        """
        if not _CILIUM.fullmatch(version) or not version.startswith(f"{option}."):
            raise LabError(
                f"{version!r} is no version of Cilium {option}; write it like {option}.4, or "
                "choose another one with -o ciliumVersion"
            )
        pinned = self.cilium[option]
        url = f"{pinned.url.rpartition('/')[0]}/cilium-{version}.tgz"
        if url == pinned.url:
            return self
        return replace(
            self,
            cilium={
                **self.cilium,
                option: replace(pinned, url=url, sha256=None, source="nowhere"),
            },
        )


@cache
def load() -> Pins:
    """Read the pins that the package carries."""
    text = resources.files(__package__).joinpath("pins.yml").read_text(encoding="utf-8")
    read: dict[str, Any] = yaml.safe_load(text)
    nodes = {
        node["cgroup"] == _CGROUP_V1: f"{node['image']}@{node['digest']}" for node in read["nodes"]
    }
    kind, calico = read["kind"], read["calico"]
    oldest, newest = calico["kubernetes"]
    return Pins(
        kind=Artefact("kind", kind["url"], kind["sha256"], kind["source"]),
        kind_version=kind["version"],
        oldest_kind=kind["oldest"],
        node=nodes[False],
        old_node=nodes[True],
        calico_version=calico["version"],
        calico_kubernetes=(oldest, newest),
        calico=tuple(
            Artefact(one["name"], one["url"], one["sha256"], calico["source"])
            for one in calico["manifests"]
        ),
        cilium={
            one["option"]: Artefact(
                f"cilium-{one['version']}.tgz", one["url"], one["sha256"], one["source"]
            )
            for one in read["cilium"]
        },
        calico_images=tuple(calico["images"]),
    )
