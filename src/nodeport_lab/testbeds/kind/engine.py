"""The container engine behind kind, docker or podman: what it is and which nodes it has."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nodeport_lab.errors import LabError, PrerequisiteError, TestbedError
from nodeport_lab.testbeds.kind import programs

PROVIDER = "KIND_EXPERIMENTAL_PROVIDER"
"""The variable by which kind is told of an engine; it is heeded here as well."""

ENGINES = ("docker", "podman")
_QUICK = 30.0  # seconds for a question
_SLOW = 600.0  # seconds for an image
_LABEL = "io.x-k8s.kind.cluster"  # source: kind, pkg/cluster/internal/providers/common
_START = {
    "docker": "start it with: sudo systemctl start docker (or start Docker Desktop)",
    "podman": "start it with: podman machine start, or see: podman info",
}
_NO_PLATFORM = ("unknown flag", "requires API version")  # Docker 20.10's client, its daemon
_PLATFORMS = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True)
class Host:
    """The machine that containers run on, as the engine describes it.

    Attributes:
        version: of the engine.
        cgroup: 1 or 2; None where the engine does not tell.
        kernel: its release; empty where the engine does not tell.
        storage: the directory of images, on that machine; None: not told.
        rootless: whether the engine runs without root's rights.
        platform: like `linux/amd64`.
        here: whether it is this machine, and no virtual or remote one.
    """

    version: str
    cgroup: int | None
    kernel: str
    storage: Path | None
    rootless: bool
    platform: str
    here: bool

    @property
    def reachable(self) -> bool:
        """Whether this machine reaches the nodes' addresses.

        A rootless engine keeps its networks in a network namespace of its own.
        """
        return self.here and not self.rootless


@dataclass(frozen=True, slots=True)
class Engine:
    """A container engine's program."""

    name: str

    @classmethod
    def find(cls) -> Engine:
        """The engine that kind would use, of those that are supported here.

        Raises:
            LabError: kind is told to use another one.
            PrerequisiteError: there is none.
        """
        told = os.environ.get(PROVIDER)
        if told:
            if told not in ENGINES:
                raise LabError(
                    f"{PROVIDER}={told} is not supported here; set it to docker or to podman"
                )
            programs.check(told, f"{PROVIDER}={told}")
            return cls(told)
        for name in ENGINES:
            if shutil.which(name):
                return cls(name)
        raise PrerequisiteError(
            "neither docker nor podman is here, and kind needs one of them; install docker from "
            "https://docs.docker.com/engine/install/"
        )

    @property
    def environment(self) -> dict[str, str]:
        """What kind has to find in its environment."""
        return {PROVIDER: self.name}

    def host(self) -> Host:
        """Ask the engine about its machine.

        Raises:
            PrerequisiteError: the engine does not run, or does not let this user in.
        """
        form = "{{json .}}" if self.name == "docker" else "json"
        ended = programs.attempt([self.name, "info", "--format", form], within=_QUICK)
        told = _parsed(ended.output)
        if ended.code != 0 or not told:
            raise PrerequisiteError(self._obstacle(ended.complaint))
        return self._docker(told) if self.name == "docker" else _podman(told)

    def nodes(self, cluster: str, *, stopped: bool = True) -> dict[str, str]:
        """Container id -> name, of the nodes of a kind cluster.

        Args:
            cluster: its name.
            stopped: whether those that do not run belong to them.

        Raises:
            TestbedError: the engine does not answer.
        """
        listed = programs.run(
            [
                self.name,
                "ps",
                *(["--all"] if stopped else []),
                "--no-trunc",
                "--filter",
                f"label={_LABEL}={cluster}",
                "--format",
                "{{.ID}} {{.Names}}",
            ],
            within=_QUICK,
        )
        pairs = (line.split(maxsplit=1) for line in listed.splitlines())
        return {pair[0]: pair[1] for pair in pairs if len(pair) > 1}

    def remove(self, containers: Sequence[str]) -> None:
        """Remove containers and their volumes, running or not."""
        if containers:
            programs.run([self.name, "rm", "--force", "--volumes", *containers], within=_SLOW)

    def has_image(self, image: str) -> bool:
        """Whether the engine has an image."""
        ended = programs.attempt([self.name, "image", "inspect", image], within=_QUICK)
        return ended.code == 0

    def save(self, image: str, platform: str, archive: Path) -> None:
        """Write one platform's part of an image to an archive.

        Without the platform, Docker's newer store writes an index that names parts which are
        not there, and nodes refuse it (kubernetes-sigs/kind#3795). Podman keeps one platform
        and knows no such option, nor does a Docker older than that store, which needs none.
        """
        save = [self.name, "image", "save"]
        rest = ["--output", str(archive), image]
        if self.name == "docker":
            try:
                programs.run([*save, "--platform", platform, *rest], within=_SLOW)
            except TestbedError as error:
                if not any(words in str(error) for words in _NO_PLATFORM):
                    raise
            else:
                return
        programs.run([*save, *rest], within=_SLOW)

    def _docker(self, told: dict[str, Any]) -> Host:
        told_cgroup = str(told.get("CgroupVersion") or "")
        security = told.get("SecurityOptions") or ()
        system, machine = str(told.get("OSType") or "linux"), str(told.get("Architecture") or "")
        return Host(
            version=str(told.get("ServerVersion") or ""),
            cgroup=int(told_cgroup) if told_cgroup.isdigit() else None,
            kernel=str(told.get("KernelVersion") or ""),
            storage=Path(told["DockerRootDir"]) if told.get("DockerRootDir") else None,
            rootless=any("name=rootless" in option for option in security),
            platform=f"{system}/{_PLATFORMS.get(machine, machine)}",
            here=self._is_here(str(told.get("OperatingSystem") or "")),
        )

    @staticmethod
    def _is_here(system: str) -> bool:
        if sys.platform != "linux" or "Docker Desktop" in system:
            return False
        ended = programs.attempt(
            ["docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"],
            within=_QUICK,
        )
        return ended.output.strip().startswith("unix://")

    def _obstacle(self, complaint: str) -> str:
        if "permission denied" in complaint.lower():
            return (
                f"{self.name} does not let this user in ({complaint}); add the user to the group "
                "docker, or use podman"
            )
        return f"{self.name} does not answer ({complaint}); {_START[self.name]}"


def _podman(told: dict[str, Any]) -> Host:
    host, store = told.get("host") or {}, told.get("store") or {}
    cgroup = re.fullmatch(r"v([12])", str(host.get("cgroupVersion") or ""))
    root = store.get("graphRoot")
    return Host(
        version=str((told.get("version") or {}).get("Version") or ""),
        cgroup=int(cgroup[1]) if cgroup else None,
        kernel=str(host.get("kernel") or ""),
        storage=Path(root) if root else None,
        rootless=bool((host.get("security") or {}).get("rootless")),
        platform=f"{host.get('os') or 'linux'}/{host.get('arch') or ''}",
        here=sys.platform == "linux" and not host.get("serviceIsRemote"),
    )


def _parsed(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except ValueError as error:
        raise TestbedError(
            f"the container engine described itself in an unknown form ({text[:60]!r}); "
            "check its version"
        ) from error
    return found if isinstance(found, dict) else {}
