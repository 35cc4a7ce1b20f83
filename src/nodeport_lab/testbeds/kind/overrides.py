"""What a user has instead of what is pinned: mirrors, own copies, a registry of their own.

It is stated in a file, or one by one on the command line, which counts more.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from nodeport_lab import schemas
from nodeport_lab.errors import LabError, UnknownNameError
from nodeport_lab.testbeds.kind.pins import Artefact, Pins

_CHECKSUM = re.compile(r"sha256=([0-9a-f]{64})")

VARIABLE = "NODEPORT_LAB_OVERRIDES"
"""Names the file of overrides where no command line does."""


@dataclass(frozen=True, slots=True)
class Overrides:
    """The content of a file of overrides.

    Attributes:
        node_image: of the kind nodes.
        images: image as a manifest names it -> image to use.
        manifests: name of a manifest of Calico -> `url`, and `sha256` if it differs.
        charts: name of a chart of Cilium -> the same.
        calico_installation: laid over the spec of Calico's Installation.
        cilium_values: laid over the values of Cilium's chart.
    """

    node_image: str | None = None
    images: Mapping[str, str] = field(default_factory=dict)
    manifests: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    charts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    calico_installation: Mapping[str, Any] = field(default_factory=dict)
    cilium_values: Mapping[str, Any] = field(default_factory=dict)

    def over(self, below: Overrides) -> Overrides:
        """These laid over others, name by name."""
        return Overrides(
            node_image=self.node_image or below.node_image,
            images={**below.images, **self.images},
            manifests={**below.manifests, **self.manifests},
            charts={**below.charts, **self.charts},
            calico_installation={**below.calico_installation, **self.calico_installation},
            cilium_values={**below.cilium_values, **self.cilium_values},
        )

    def applied(self, pins: Pins) -> Pins:
        """The pins with the user's own copies in their places.

        Raises:
            UnknownNameError: a manifest or chart that is not used.
        """
        charts = {chart.name: option for option, chart in pins.cilium.items()}
        _known("manifest of Calico", self.manifests, [one.name for one in pins.calico])
        _known("chart of Cilium", self.charts, list(charts))
        return replace(
            pins,
            node=self.node_image or pins.node,
            old_node=self.node_image or pins.old_node,
            calico=tuple(_replaced(one, self.manifests) for one in pins.calico),
            cilium={option: _replaced(one, self.charts) for option, one in pins.cilium.items()},
        )


def stated(
    node_image: str | None,
    images: Mapping[str, str],
    manifests: Mapping[str, str],
    charts: Mapping[str, str],
) -> Overrides:
    """Overrides as they stand on a command line.

    Args:
        node_image: of the kind nodes.
        images: image as a manifest names it -> image to use.
        manifests: name of a manifest of Calico -> address or file, which may end in
            `#sha256=` and the checksum, as in requirements of pip.
        charts: name of a chart of Cilium -> the same.

    Raises:
        LabError: what follows `#` is no checksum.
    """
    return Overrides(
        node_image=node_image,
        images=dict(images),
        manifests={name: _artefact(where) for name, where in manifests.items()},
        charts={name: _artefact(where) for name, where in charts.items()},
    )


def _artefact(where: str) -> dict[str, str]:
    url, hash_, fragment = where.partition("#")
    if not hash_:
        return {"url": url}
    checksum = _CHECKSUM.fullmatch(fragment)
    if checksum is None:
        raise LabError(
            f"{where}: {fragment!r} is no checksum; write it like #sha256= and 64 small "
            "hexadecimal digits"
        )
    return {"url": url, "sha256": checksum[1]}


def load(file: Path | None) -> Overrides:
    """Read a file of overrides: the one given, the one that the environment names, or none.

    Paths in it are relative to the file.

    Raises:
        LabError: it cannot be read or says something that has no meaning.
    """
    if file is None:
        named = os.environ.get(VARIABLE)
        if not named:
            return Overrides()
        file = Path(named)
    try:
        read = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        told = " ".join(str(error).split())
        raise LabError(f"the file of overrides cannot be read ({told}); correct it") from error
    if fault := schemas.fault(read, schemas.load("overrides", __package__)):
        raise LabError(f"{file}: {fault}; correct the file of overrides")
    return Overrides(
        node_image=read.get("nodeImage"),
        images=read.get("images") or {},
        manifests=_located(read.get("manifests") or {}, file.parent),
        charts=_located(read.get("charts") or {}, file.parent),
        calico_installation=read.get("calicoInstallation") or {},
        cilium_values=read.get("ciliumValues") or {},
    )


def _located(files: Mapping[str, Mapping[str, str]], folder: Path) -> dict[str, dict[str, str]]:
    return {
        name: {
            **one,
            "url": one["url"] if urlsplit(one["url"]).scheme else str(folder / one["url"]),
        }
        for name, one in files.items()
    }


def _known(kind: str, given: Mapping[str, object], known: list[str]) -> None:
    for name in given:
        if name not in known:
            raise UnknownNameError(kind, name, known)


def _replaced(artefact: Artefact, own: Mapping[str, Mapping[str, str]]) -> Artefact:
    chosen = own.get(artefact.name)
    if chosen is None:
        return artefact
    return replace(
        artefact,
        url=chosen["url"],
        sha256=chosen.get("sha256", artefact.sha256),
        source="the user's overrides",
    )
