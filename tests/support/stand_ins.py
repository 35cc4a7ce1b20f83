"""Stand-ins for docker, podman, kind and helm, and for the API of the cluster they make.

Imitated: that `kind create` makes containers which `docker ps` then lists, that it writes a
kubeconfig, that `kind delete` and `docker rm` remove them, what `docker info` and `podman
info` say (the fields that are read), the versions that programs print, and a cluster in which
everything that is applied is ready at once. Nothing else: no node runs, no image is loaded.
Every call is recorded with its arguments.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nodeport_lab.testbeds.cluster.failures import ClusterError

NODES = ("dev-control-plane", "dev-worker", "dev-worker2")

DOCKER_INFO: dict[str, Any] = {
    "ServerVersion": "28.2.2",
    "CgroupVersion": "2",
    "KernelVersion": "6.12.0-1-amd64",
    "OperatingSystem": "Debian GNU/Linux 13 (trixie)",
    "OSType": "linux",
    "Architecture": "x86_64",
    "SecurityOptions": ["name=seccomp,profile=builtin", "name=cgroupns"],
}
PODMAN_INFO: dict[str, Any] = {
    "host": {
        "arch": "amd64",
        "os": "linux",
        "cgroupVersion": "v2",
        "kernel": "6.12.0-1-amd64",
        "serviceIsRemote": False,
        "security": {"rootless": False},
    },
    "version": {"Version": "5.4.2"},
}

_ENGINE = """#!/bin/sh
echo "{name} $*" >> {folder}/calls
case "$1" in
info)
  test -e {folder}/{name}-fails && {{ cat {folder}/{name}-fails >&2; exit 1; }}
  cat {folder}/{name}.json ;;
context) echo unix:///run/docker.sock ;;
ps)
  case "$*" in
  *--all*) cat {folder}/containers {folder}/stopped 2>/dev/null ;;
  *) cat {folder}/containers 2>/dev/null ;;
  esac
  exit 0 ;;
rm) rm -f {folder}/containers {folder}/stopped ;;
image)
  case "$2" in
  inspect) grep -qxF "$3" {folder}/images 2>/dev/null ;;
  save) while test $# -gt 1; do test "$1" = --output && echo tar > "$2"; shift; done ;;
  esac ;;
esac
"""
_KIND = """#!/bin/sh
echo "kind $* provider=$KIND_EXPERIMENTAL_PROVIDER" >> {folder}/calls
case "$1" in
version) cat {folder}/kind-version ;;
create)
  cp "$6" {folder}/configuration.yaml
  if test -e {folder}/create-leaves || ! test -e {folder}/create-fails; then
    n=0
    for node in {nodes}; do n=$((n + 1)); echo "id$n $node"; done > {folder}/containers
  fi
  test -e {folder}/create-hangs && {{ echo $$ > {folder}/create-hangs; exec sleep 30; }}
  test -e {folder}/create-fails && {{ cat {folder}/create-fails >&2; exit 1; }}
  echo "apiVersion: v1" > "$8" ;;
delete)
  test -e {folder}/delete-fails && exit 1
  rm -f {folder}/containers {folder}/stopped ;;
load)
  test -e {folder}/load-fails && {{ cat {folder}/load-fails >&2; exit 1; }}
  cp "$3" {folder}/loaded ;;
esac
"""
_HELM = """#!/bin/sh
echo "helm $*" >> {folder}/calls
case "$1" in
version) echo v4.3.0 ;;
upgrade) test -e {folder}/helm-fails && {{ cat {folder}/helm-fails >&2; exit 1; }}; exit 0 ;;
esac
"""


@dataclass
class Programs:
    """A folder of stand-in programs, and of the files by which they are told how to behave.

    Attributes:
        folder: to be put in front of PATH.
    """

    folder: Path

    def __post_init__(self) -> None:
        """Write docker, kind and helm."""
        self.folder.mkdir()
        self.write("docker", _ENGINE)
        self.write("kind", _KIND)
        self.write("helm", _HELM)
        self.says("docker.json", json.dumps(DOCKER_INFO))
        self.says("kind-version", "kind v0.33.0 go1.26.8 linux/amd64\n")

    def write(self, name: str, text: str) -> None:
        """Write one program."""
        file = self.folder / name
        file.write_text(text.format(name=name, folder=self.folder, nodes=" ".join(NODES)))
        file.chmod(0o755)

    def podman(self, **host: object) -> None:
        """Have podman in docker's place."""
        (self.folder / "docker").unlink(missing_ok=True)
        self.write("podman", _ENGINE)
        info = {**PODMAN_INFO, "host": {**PODMAN_INFO["host"], **host}}
        self.says("podman.json", json.dumps(info))

    def docker(self, **info: object) -> None:
        """Have docker say something else about its machine."""
        self.says("docker.json", json.dumps({**DOCKER_INFO, **info}))

    def says(self, name: str, text: str) -> None:
        """Write a file that a program reads, like `create-fails` with what kind complains of."""
        (self.folder / name).write_text(text)

    def remove(self, name: str) -> None:
        """Take a program, or what it was told, away."""
        (self.folder / name).unlink()

    @property
    def calls(self) -> list[str]:
        """Every call so far."""
        file = self.folder / "calls"
        return file.read_text().splitlines() if file.exists() else []

    @property
    def created(self) -> bool:
        """Whether kind was ever asked to create anything."""
        return any(call.startswith("kind create") for call in self.calls)

    @property
    def containers(self) -> list[str]:
        """The nodes that there are."""
        file = self.folder / "containers"
        return [line.split()[1] for line in file.read_text().splitlines()] if file.exists() else []

    @property
    def path(self) -> str:
        """A PATH with these programs, and the shell's own, and no real ones of the same name."""
        return f"{self.folder}{os.pathsep}{self.folder.parent / 'tools'}"

    def link_tools(self) -> None:
        """Link what the stand-ins themselves need."""
        tools = self.folder.parent / "tools"
        tools.mkdir()
        for name in ("cat", "cp", "grep", "rm", "sleep", "sh"):
            found = next(Path(at, name) for at in ("/usr/bin", "/bin") if Path(at, name).exists())
            (tools / name).symlink_to(found)


@dataclass
class Api:
    """The cluster's API: what is applied is there, and ready, unless told otherwise.

    Attributes:
        applied: the manifests, in their order.
        refuses: kinds whose application fails.
        missing: names that are not found although they are waited for.
        closed: whether the connection was closed.
    """

    applied: list[Mapping[str, Any]] = field(default_factory=list)
    refuses: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)
    closed: bool = False

    def version(self) -> str:
        """The API server's version."""
        return "v1.36.4"

    def apply(self, manifest: Mapping[str, Any]) -> Mapping[str, Any]:
        """Keep a manifest."""
        kind = manifest["kind"]
        if kind in self.refuses:
            raise ClusterError(f"apply {kind}: the cluster refuses it; see why", 422)
        self.applied.append(manifest)
        return manifest

    def find(
        self, api_version: str, kind: str, name: str, namespace: str | None = None
    ) -> dict[str, Any] | None:
        """An object that is ready."""
        del api_version, namespace
        if name in self.missing or (kind == "DaemonSet" and name == "kube-proxy"):
            return None
        conditions = [{"type": kind, "status": "True"} for kind in ("Available", "Established")]
        return {
            "metadata": {"name": name, "generation": 1},
            "spec": {"replicas": 1},
            "status": {
                "observedGeneration": 1,
                "conditions": conditions,
                "updatedReplicas": 1,
                "availableReplicas": 1,
                "desiredNumberScheduled": 3,
                "updatedNumberScheduled": 3,
                "numberAvailable": 3,
            },
        }

    def list(self, api_version: str, kind: str) -> list[dict[str, Any]]:
        """The nodes; there are no pods."""
        del api_version
        if kind != "Node":
            return []
        ready = {"conditions": [{"type": "Ready", "status": "True"}]}
        return [{"metadata": {"name": name}, "status": ready} for name in NODES]

    def close(self) -> None:
        """Close it."""
        self.closed = True
