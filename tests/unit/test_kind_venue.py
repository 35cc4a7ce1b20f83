"""A cluster of the lab's own as a venue, its readiness, and the commands' output.

The API is imitated (support.live_cluster and support.stand_ins), and so are the programs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
import typer
from support.live_cluster import LiveCluster
from support.stand_ins import NODES, Api, Programs
from typer.testing import CliRunner

from nodeport_lab.cli.down import down_command
from nodeport_lab.cli.status import status_command
from nodeport_lab.cli.up import up_command
from nodeport_lab.dataplanes import DATAPLANES
from nodeport_lab.errors import LabError, ManifestError, PrerequisiteError
from nodeport_lab.testbeds.cluster.connection import Connection
from nodeport_lab.testbeds.kind import KindVenue, cluster, installation, lock, observing, state
from nodeport_lab.testbeds.kind.state import Asked, State

CILIUM = DATAPLANES["cilium"]


@pytest.fixture(autouse=True)
def _own_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("KIND_EXPERIMENTAL_PROVIDER", raising=False)


def made(*, finished: bool = True) -> State:
    """Remember a cluster that runs Cilium in nodes mode."""
    options = CILIUM.complete({"policyCIDRMatchMode": "nodes"})
    asked = Asked("docker", "cilium", options, {"nodes": [{"role": "worker"}]}, {})
    found = State("dev", asked, reachable=True, containers={"id1": "dev-worker"})
    found = replace(found, images={"a:v1": "mirror/a:v1"}).stepped(cluster.CREATE, 60)
    if finished:
        found = found.stepped(cluster.INSTALL, 20).stepped(cluster.WAIT, 30)
    state.save(found)
    return found


def venue(api: LiveCluster) -> KindVenue:
    """The venue, over an imitated API."""
    found = KindVenue("dev")
    found.__dict__["connection"] = cast("Connection", api)
    return found


def config_map(**data: str) -> dict[str, Any]:
    """Cilium's configuration."""
    return {
        "metadata": {"name": "cilium-config", "namespace": "kube-system"},
        "data": {key.replace("_", "-"): value for key, value in data.items()},
    }


def test_what_the_cluster_does_not_tell_is_known_from_what_was_asked_for() -> None:
    """Dataplane and options alike."""
    made()
    found = venue(LiveCluster())
    assert (found.name, found.basis(CILIUM)) == ("kind", "live")
    assert found.dataplane.value == "cilium"
    assert found.options(CILIUM, {})["policyCIDRMatchMode"] == "nodes"
    assert "nodeport-lab up" in found.dataplane.source


def test_what_the_cluster_tells_counts_more_than_what_was_asked_for() -> None:
    """Somebody has reconfigured it since."""
    made()
    api = LiveCluster()
    api.add("ConfigMap", config_map(kube_proxy_replacement="false", routing_mode="native"))
    found = venue(api)
    assert found.options(CILIUM, {})["routingMode"] == "native"
    assert found.options(CILIUM, {})["policyCIDRMatchMode"] == "none"


def test_another_dataplane_or_option_is_refused() -> None:
    """As on any cluster."""
    made()
    found = venue(LiveCluster())
    with pytest.raises(PrerequisiteError, match=r"runs cilium .* not calico-iptables"):
        found.options(DATAPLANES["calico-iptables"], {})
    with pytest.raises(PrerequisiteError, match="policyCIDRMatchMode=nodes"):
        found.options(CILIUM, {"policyCIDRMatchMode": "none"})


def test_no_cluster_and_one_that_was_not_finished_are_refused() -> None:
    """With what to run."""
    with pytest.raises(PrerequisiteError, match="nodeport-lab up -d DATAPLANE --name dev"):
        KindVenue("dev")
    made(finished=False)
    with pytest.raises(PrerequisiteError, match="was not finished; run nodeport-lab up"):
        KindVenue("dev")


class Objects:
    """An API with these objects, by kind and name."""

    def __init__(self, objects: Mapping[tuple[str, str], Mapping[str, Any]]) -> None:
        """Have these objects."""
        self.objects = objects

    def find(
        self, _api_version: str, kind: str, name: str, namespace: str | None = None
    ) -> Mapping[str, Any] | None:
        """One of them."""
        del namespace
        return self.objects.get((kind, name))

    def list(self, _api_version: str, kind: str) -> list[Mapping[str, Any]]:
        """All of a kind."""
        return [found for (of, _), found in self.objects.items() if of == kind]


def daemons(wanted: int, ready: int, **more: int) -> dict[str, Any]:
    """A DaemonSet."""
    status = {
        "desiredNumberScheduled": wanted,
        "currentNumberScheduled": wanted,
        "updatedNumberScheduled": ready,
        "numberAvailable": ready,
        "observedGeneration": 2,
        **more,
    }
    return {"metadata": {"generation": 2}, "status": status}


def condition(name: str, status: str = "True", message: str = "") -> dict[str, Any]:
    """Something with a condition."""
    one = {"type": name, "status": status, "message": message}
    return {"metadata": {"name": "dev-worker"}, "status": {"conditions": [one]}}


DNS = {
    "metadata": {},
    "spec": {"replicas": 2},
    "status": {"updatedReplicas": 2, "availableReplicas": 2},
}
READY = {
    ("TigeraStatus", "calico"): condition("Available"),
    ("DaemonSet", "calico-node"): daemons(1, 1),
    ("Node", "dev-worker"): condition("Ready"),
    ("Deployment", "coredns"): DNS,
}


@pytest.mark.parametrize(
    ("dataplane", "objects", "told"),
    [
        ("calico-iptables", {}, None),
        (
            "calico-iptables",
            {("TigeraStatus", "calico"): condition("Available", "False", "no typha")},
            "TigeraStatus calico is not available (no typha)",
        ),
        (
            "calico-iptables",
            {("DaemonSet", "calico-node"): daemons(3, 2)},
            "DaemonSet calico-system/calico-node is not rolled out",
        ),
        (
            "calico-iptables",
            {("DaemonSet", "calico-node"): daemons(1, 1, observedGeneration=1)},
            "DaemonSet calico-system/calico-node is not rolled out",
        ),
        (
            "calico-iptables",
            {("Node", "dev-worker"): condition("Ready", "False")},
            "node dev-worker is not ready",
        ),
        (
            "calico-iptables",
            {("Deployment", "coredns"): {**DNS, "status": {"updatedReplicas": 2}}},
            "Deployment kube-system/coredns is not rolled out",
        ),
        ("calico-iptables", {("DaemonSet", "kube-proxy"): daemons(1, 1)}, None),
        (
            "calico-iptables",
            {("DaemonSet", "kube-proxy"): daemons(1, 0)},
            "DaemonSet kube-system/kube-proxy is not rolled out",
        ),
        (
            "calico-ebpf",
            {("DaemonSet", "kube-proxy"): daemons(1, 1)},
            "kube-proxy still runs beside the eBPF dataplane",
        ),
        ("calico-ebpf", {("DaemonSet", "kube-proxy"): daemons(0, 0)}, None),
        ("cilium", {}, "DaemonSet kube-system/cilium is not rolled out"),
    ],
)
def test_a_cluster_is_ready_when_everything_that_it_needs_runs(
    dataplane: str, objects: dict[tuple[str, str], dict[str, Any]], told: str | None
) -> None:
    """The first thing that lacks is named."""
    api = cast("Connection", Objects({**READY, **objects}))
    assert observing.missing(api, dataplane, 1) == told


def test_nodes_that_have_not_joined_are_waited_for() -> None:
    """Workers are let in by kubeadm one after the other."""
    api = cast("Connection", Objects(READY))
    assert observing.missing(api, "calico-iptables", 3) == "1 of 3 nodes have joined"


def test_an_image_that_cannot_be_pulled_is_named() -> None:
    """It is the usual reason without a registry."""
    waiting = {"state": {"waiting": {"reason": "ImagePullBackOff"}}, "image": "quay.io/a:v1"}
    pod = {
        "metadata": {"namespace": "kube-system", "name": "cilium-x"},
        "status": {"initContainerStatuses": [waiting]},
    }
    api = cast("Connection", Objects({("Pod", "cilium-x"): pod}))
    assert observing.stuck(api) == "kube-system/cilium-x: ImagePullBackOff quay.io/a:v1"


@pytest.mark.parametrize("text", ["{", "[1, 2]", "kind: X\n"])
def test_a_manifest_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    """An override may be anything."""
    file = tmp_path / "own.yaml"
    file.write_text(text)
    with pytest.raises(ManifestError, match="name another copy"):
        installation.read(file)


def test_a_state_of_another_form_is_refused() -> None:
    """It names the way out."""
    made()
    file = state.directory("dev") / "cluster.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "form": 99}))
    with pytest.raises(PrerequisiteError, match="written by another version"):
        state.load("dev")


# --- the commands ---------------------------------------------------------------------


def run(command: Any, *arguments: str) -> tuple[int, str]:  # noqa: ANN401 - a command
    """Exit code and output of a command."""
    app = typer.Typer()
    app.command()(command)
    ended = CliRunner().invoke(app, arguments)
    if ended.exception is not None and not isinstance(ended.exception, SystemExit):
        raise ended.exception
    return ended.exit_code, ended.output


def test_the_commands_say_what_they_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Up without a CNI plugin needs no API here; status then cannot know."""
    programs = Programs(tmp_path / "bin")
    programs.link_tools()
    monkeypatch.setenv("PATH", programs.path)
    api = cast("Connection", Api())
    monkeypatch.setattr(cluster, "up", partial(cluster.up, opened=lambda *_: api))
    code, told = run(up_command, "-d", "cilium", "--skip-cni")
    assert code == 0, told
    assert "create nodes: 0.0 s" in told
    assert "--context kind-dev get nodes" in told
    code, told = run(status_command)
    assert code == 1
    assert "cilium ciliumVersion=1.18" in told
    assert all(f"{node}: runs" in told for node in NODES)
    assert "not known to be ready: no CNI plugin was installed by nodeport-lab" in told
    assert run(down_command) == (0, f"Removed {', '.join(NODES)}.\n")
    assert run(down_command) == (0, "There is no cluster dev; nothing to remove.\n")


def test_a_run_holds_the_clusters_lock() -> None:
    """Its node ports are fixed, and `down` would take the nodes away beneath it."""
    made()
    found = venue(LiveCluster())
    with lock.held("dev", "nodeport-lab up"), pytest.raises(PrerequisiteError, match="in use"):
        found.open().__enter__()
    with found.open(), pytest.raises(PrerequisiteError, match=r"in use by nodeport-lab run \(pro"):
        cluster.down("dev")


def test_single_images_come_from_the_command_line_and_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what has no digest then is listed by up and by status."""
    programs = Programs(tmp_path / "bin")
    programs.link_tools()
    monkeypatch.setenv("PATH", programs.path)
    monkeypatch.setenv("NODEPORT_LAB_IMAGES", "docker.io/curlimages/curl=mirror/curl:8")
    api = cast("Connection", Api())
    monkeypatch.setattr(cluster, "up", partial(cluster.up, opened=lambda *_: api))
    code, told = run(up_command, "-d", "cilium", "--skip-cni", "--node-image", "mirror/n:v1.36.4")
    assert code == 0, told
    listed = "pinned by tag only, without a checksum: mirror/n:v1.36.4, mirror/curl:8"
    assert listed in told
    assert listed in run(status_command)[1]
    with pytest.raises(LabError, match="--image 'x' has no value; write it like curlimages/curl="):
        run(up_command, "-d", "cilium", "--image", "x")
