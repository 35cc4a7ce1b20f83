"""What the lab remembers of a cluster that it made, in a directory of its own."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nodeport_lab.errors import PrerequisiteError

_FORM = 1
_PRIVATE = 0o700


@dataclass(frozen=True, slots=True)
class Asked:
    """What a cluster was asked to be; another request may use it if it asks for the same.

    Attributes:
        engine: `docker` or `podman`.
        dataplane: its name.
        options: of the dataplane, complete.
        configuration: as given to kind.
        cni: what is installed: the checksums of files, and what they are told.
    """

    engine: str
    dataplane: str
    options: Mapping[str, str]
    configuration: Mapping[str, Any]
    cni: Mapping[str, Any]

    def differences(self, other: Asked) -> list[str]:
        """What another request asks for that this one does not, in words."""
        found = [
            f"{name} {mine}, not {theirs}"
            for name, mine, theirs in (
                ("engine", self.engine, other.engine),
                ("dataplane", self.dataplane, other.dataplane),
            )
            if mine != theirs
        ]
        if self.dataplane == other.dataplane:
            found += [
                f"{name}={self.options.get(name)}, not {value}"
                for name, value in other.options.items()
                if self.options.get(name) != value
            ]
        if found:
            return found
        if self.configuration != other.configuration:
            found.append("other nodes, another node image or other subnets")
        if self.cni != other.cni:
            found.append("another version or configuration of its CNI plugin")
        return found


@dataclass(frozen=True, slots=True)
class State:
    """A cluster as far as it has come.

    Attributes:
        name: of the cluster.
        asked: what it is to be.
        reachable: whether this machine reaches the nodes' addresses.
        images: image of a manifest -> what to use instead.
        containers: container id -> node; None until kind has made them.
        steps: step -> seconds that it took, for those that are done.
        unpinned: images and files whose content no checksum vouches for.
    """

    name: str
    asked: Asked
    reachable: bool
    images: Mapping[str, str] = field(default_factory=dict)
    containers: Mapping[str, str] | None = None
    steps: Mapping[str, float] = field(default_factory=dict)
    unpinned: tuple[str, ...] = ()

    @property
    def context(self) -> str:
        """Name of the context in the kubeconfig; kind chooses it."""
        return f"kind-{self.name}"

    @property
    def kubeconfig(self) -> Path:
        """The cluster's own kubeconfig; the user's is never written."""
        return directory(self.name) / "kubeconfig"

    def stepped(self, step: str, seconds: float) -> State:
        """The same with one step more; of a step that is made again the first time counts."""
        return dataclasses.replace(
            self, steps={**self.steps, step: self.steps.get(step, round(seconds, 1))}
        )


def root() -> Path:
    """The directory of all clusters."""
    home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(home) / "nodeport-lab" / "clusters"


def directory(name: str) -> Path:
    """The directory of one cluster."""
    return root() / name


def names() -> list[str]:
    """The clusters that are remembered."""
    return sorted(found.parent.name for found in root().glob("*/cluster.json"))


def load(name: str) -> State | None:
    """What is remembered of a cluster; None: nothing.

    Raises:
        PrerequisiteError: it cannot be read.
    """
    file = directory(name) / "cluster.json"
    try:
        read = json.loads(file.read_text(encoding="utf-8"))
        if read.pop("form") != _FORM:
            raise PrerequisiteError(
                f"{file} was written by another version of nodeport-lab; remove the cluster with: "
                f"kind delete cluster --name {name}, and then the folder {file.parent}"
            )
        unpinned = tuple(read.pop("unpinned", ()))
        return State(**{**read, "asked": Asked(**read["asked"]), "unpinned": unpinned})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise PrerequisiteError(
            f"{file} cannot be read ({error}); remove the cluster with: kind delete cluster "
            f"--name {name}, and then the folder {file.parent}"
        ) from error


def save(state: State) -> None:
    """Remember a cluster; others cannot read it.

    Raises:
        PrerequisiteError: the directory cannot be written.
    """
    folder = directory(state.name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(_PRIVATE)
        part = folder / "cluster.json.part"
        text = json.dumps({"form": _FORM, **dataclasses.asdict(state)}, indent=1)
        part.write_text(text + "\n", encoding="utf-8")
        part.replace(folder / "cluster.json")
    except OSError as error:
        raise PrerequisiteError(
            f"{folder} cannot be written ({error.strerror}); free some space, or set "
            "XDG_STATE_HOME to a directory of your own"
        ) from error


def forget(name: str) -> None:
    """Remove what is remembered of a cluster, its kubeconfig too."""
    shutil.rmtree(directory(name), ignore_errors=True)
