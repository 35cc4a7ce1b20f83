"""Everything that can be refused before a cluster is created, one sentence each."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from nodeport_lab.errors import PrerequisiteError
from nodeport_lab.testbeds.kind import cni, programs
from nodeport_lab.testbeds.kind.engine import Host
from nodeport_lab.testbeds.kind.pins import Pins, load

Version = tuple[int, int]

_QUICK = 30.0  # seconds
_ROOM = 8 << 30  # bytes: the node image, and the CNI's images once per node
_CGROUP_V1 = 1
_NO_CGROUP_V1_FROM = (1, 35)  # kubelet's failCgroupV1 is true by default from here on
_OLDEST_HELM = 3
_KERNELS = {
    # Source: Calico's requirements for nftables mode and for eBPF
    "calico-nftables": (5, 13),
    "calico-ebpf": (5, 10),
}
_NFTABLES_FROM = (1, 31)  # kube-proxy's nftables mode is on by default since its beta
_BTF = Path("/sys/kernel/btf/vmlinux")


def check_kind(pins: Pins) -> None:
    """Accept the kind that is installed.

    Raises:
        PrerequisiteError: there is none, or it is too old.
    """
    programs.check("kind", "the testbed kind")
    told = programs.attempt(["kind", "version"], within=_QUICK).output
    found = re.search(r"v(\d+)\.(\d+)", told)
    if found is None or _pair(found) < minor(pins.oldest_kind):
        version = f"{found[0]}.x" if found else "of an unknown version"
        raise PrerequisiteError(
            f"kind is {version}, and loading images into the nodes needs {pins.oldest_kind} or "
            f"newer; install {pins.kind_version} from {pins.kind.url}"
        )


def check_helm() -> None:
    """Accept the helm that is installed.

    Raises:
        PrerequisiteError: there is none, or it is too old.
    """
    programs.check("helm", "installing Cilium")
    told = programs.attempt(["helm", "version", "--short"], within=_QUICK).output
    found = re.search(r"v?(\d+)\.(\d+)", told)
    if found is None or _pair(found)[0] < _OLDEST_HELM:
        raise PrerequisiteError(
            f"helm is of version {told.strip() or 'unknown'}, and Cilium's chart needs "
            f"{_OLDEST_HELM} or newer; install it from https://helm.sh/docs/intro/install/"
        )


def check_host(host: Host, dataplane: str) -> None:
    """Accept the machine that nodes run on: its cgroups, its kernel and its disk.

    Raises:
        PrerequisiteError: it lacks something.
    """
    if host.rootless and host.cgroup == _CGROUP_V1:
        raise PrerequisiteError(
            "a rootless engine needs cgroup v2 and this machine has v1; boot with "
            "systemd.unified_cgroup_hierarchy=1, or run the engine as root"
        )
    needed, found = _KERNELS.get(dataplane), re.match(r"(\d+)\.(\d+)", host.kernel)
    if needed is not None and found is not None and _pair(found) < needed:
        raise PrerequisiteError(
            f"{dataplane} needs Linux {needed[0]}.{needed[1]} or newer and the nodes would run on "
            f"{host.kernel}; choose another dataplane or a newer kernel"
        )
    if dataplane == "calico-ebpf" and host.here and not _BTF.exists():
        raise PrerequisiteError(
            f"calico-ebpf needs a kernel that describes its types and there is no {_BTF}; use a "
            "kernel with CONFIG_DEBUG_INFO_BTF, or choose another dataplane"
        )
    if host.here and host.storage is not None:
        _check_room(host.storage)


def node_image(pins: Pins, host: Host) -> str:
    """The image of the nodes for a host."""
    return pins.old_node if host.cgroup == _CGROUP_V1 else pins.node


def check_pair(pins: Pins, host: Host, dataplane: str, image: str, *, own_calico: bool) -> None:
    """Accept an image of nodes for a host and a dataplane.

    Args:
        pins: with the user's overrides.
        host: where the nodes run.
        dataplane: its name.
        image: of the nodes; of an image without a version nothing is known, and all is fine.
        own_calico: whether the user overrides Calico's manifests, so that its version is
            not known.

    Raises:
        PrerequisiteError: they do not go together.
    """
    tag = re.search(r":v(\d+)\.(\d+)", image)
    if tag is None:
        return
    version, told = _pair(tag), f"Kubernetes {tag[1]}.{tag[2]}"
    if host.cgroup == _CGROUP_V1 and version >= _NO_CGROUP_V1_FROM:
        raise PrerequisiteError(
            f"this machine has cgroup v1, which {told} refuses; use the node image "
            f"{load().old_node}, or boot with systemd.unified_cgroup_hierarchy=1"
        )
    if dataplane == "calico-nftables" and version < _NFTABLES_FROM:
        raise PrerequisiteError(
            f"calico-nftables needs kube-proxy's nftables mode, which {told} lacks; use a node "
            "image of 1.31 or newer"
        )
    if not cni.is_calico(dataplane) or own_calico or pins.calico_kubernetes is None:
        return
    oldest, newest = pins.calico_kubernetes
    if not minor(oldest) <= version <= minor(newest):
        raise PrerequisiteError(
            f"Calico {pins.calico_version} is tested with Kubernetes {oldest} to {newest} and the "
            f"node image {image} has {tag[1]}.{tag[2]}; choose another node image, or override "
            "Calico's manifests as well"
        )


def minor(version: str) -> Version:
    """`v0.32.0` or `1.36` as a pair of numbers."""
    first, second = version.removeprefix("v").split(".")[:2]
    return int(first), int(second)


def _check_room(storage: Path) -> None:
    try:
        free = shutil.disk_usage(storage).free
    except OSError:
        return  # not for this user to see; the engine will complain itself
    if free < _ROOM:
        raise PrerequisiteError(
            f"{storage} has {free >> 20} MiB left and a cluster needs about {_ROOM >> 20} MiB; "
            "free some space, for example with: docker system prune"
        )


def _pair(found: re.Match[str]) -> Version:
    return int(found[1]), int(found[2])
