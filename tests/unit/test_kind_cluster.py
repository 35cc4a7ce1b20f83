"""`up`, `status` and `down`: what they do, refuse, leave behind and remove.

docker, kind, helm and the cluster's API are stand-ins (see support.stand_ins): what is tested
is which calls are made, in which order, with which arguments, and what is remembered. No node
runs; Calico's manifests and Cilium's chart are small files of the test.
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from support import archives
from support.stand_ins import NODES, Api, Programs

from nodeport_lab.dataplanes import DATAPLANES
from nodeport_lab.errors import LabError, PrerequisiteError, TestbedError
from nodeport_lab.testbeds.cluster.connection import Connection
from nodeport_lab.testbeds.kind import cluster, lock, overrides, state
from nodeport_lab.testbeds.kind.overrides import Overrides
from nodeport_lab.testbeds.kind.request import Request
from nodeport_lab.testbeds.kind.state import State

CRDS = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: installations.operator.tigera.io}
"""
OPERATOR = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: tigera-operator, namespace: tigera-operator}
spec: {template: {spec: {containers: [{name: operator, image: "quay.io/tigera/operator:v1"}]}}}
---
apiVersion: v1
kind: Namespace
metadata: {name: tigera-operator}
---
"""


VERSIONS = ("1.18.12", "1.20.0")


class Bench:
    """Stand-in programs, a stand-in API, and what `up` told of its steps."""

    def __init__(self, folder: Path) -> None:
        """Lay out the programs, and own copies of what would be fetched."""
        self.programs = Programs(folder / "bin")
        self.programs.link_tools()
        self.api = Api()
        self.told: list[tuple[str, str | None, float | None]] = []
        self.connections: list[tuple[Path, str]] = []
        files = {
            "v1_crd_projectcalico_org.yaml": CRDS,
            "tigera-operator.yaml": OPERATOR,
        }
        for name, text in files.items():
            (folder / name).write_text(text)
        charts = [archives.chart(folder / f"cilium-{one}.tgz", one) for one in VERSIONS]
        own = {}
        for name in (*files, *(chart.name for chart in charts)):
            digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
            own[name] = {"url": name, "sha256": digest}
        calico = {name: one for name, one in own.items() if name.endswith(".yaml")}
        cilium = {name: one for name, one in own.items() if name.endswith(".tgz")}
        self.file = folder / "overrides.yaml"
        self.file.write_text(yaml.safe_dump({"manifests": calico, "charts": cilium}))

    @property
    def overrides(self) -> Overrides:
        """The own copies."""
        return overrides.load(self.file)

    def request(self, dataplane: str = "cilium", **more: Any) -> Request:  # noqa: ANN401 - fields
        """A request for the cluster dev."""
        fields = {"overrides": self.overrides, **more}
        return Request("dev", DATAPLANES[dataplane], **fields)

    def opened(self, kubeconfig: Path, context: str) -> Connection:
        """The stand-in API."""
        self.connections.append((kubeconfig, context))
        return cast("Connection", self.api)

    def progress(self, step: str, said: str | None = None, seconds: float | None = None) -> None:
        """Note a step."""
        self.told.append((step, said, seconds))

    def up(self, asked: Request | None = None) -> State:
        """Make it."""
        return cluster.up(asked or self.request(), self.progress, opened=self.opened)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A machine with stand-ins, and directories of its own."""
    found = Bench(tmp_path)
    monkeypatch.setenv("PATH", found.programs.path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "users"))
    monkeypatch.delenv("KIND_EXPERIMENTAL_PROVIDER", raising=False)
    monkeypatch.delenv(overrides.VARIABLE, raising=False)
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    return found


def test_up_makes_nodes_installs_cilium_and_times_every_step(bench: Bench) -> None:
    """No waiting in kind itself, and the user's kubeconfig is not touched."""
    made = bench.up()
    folder = state.directory("dev")
    (create,) = [call for call in bench.programs.calls if call.startswith("kind create")]
    assert create == (
        f"kind create cluster --name dev --config {folder}/kind.yaml --kubeconfig "
        f"{folder}/kubeconfig --wait 0s provider=docker"
    )
    (helm,) = [call for call in bench.programs.calls if call.startswith("helm upgrade")]
    assert "upgrade --install cilium" in helm
    assert f"--kubeconfig {folder}/kubeconfig --kube-context kind-dev" in helm
    values = yaml.safe_load((folder / "cilium-values.yaml").read_text())
    assert values["kubeProxyReplacement"] == "false"
    assert list(made.steps) == [
        cluster.CHECK,
        cluster.CREATE,
        cluster.INSTALL,
        cluster.WAIT,
    ]
    ended = [step for step, _, seconds in bench.told if seconds is not None]
    assert ended == list(made.steps)
    assert bench.connections == [(folder / "kubeconfig", "kind-dev")]
    assert bench.api.closed
    assert not Path(os.environ["KUBECONFIG"]).exists()


def test_what_is_remembered_is_private(bench: Bench) -> None:
    """The kubeconfig holds a key."""
    made = bench.up()
    assert made.kubeconfig.stat().st_mode & 0o777 == 0o600
    assert made.kubeconfig.parent.stat().st_mode & 0o777 == 0o700
    assert state.load("dev") == made


def test_calico_is_applied_definitions_first_then_the_operator_then_what_it_is_asked(
    bench: Bench,
) -> None:
    """A namespace comes before what lives in it, and images can be replaced."""
    own = replace(bench.overrides, images={"quay.io/tigera/operator:v1": "mirror/operator:v1"})
    bench.up(bench.request("calico-iptables", overrides=own))
    assert [one["kind"] for one in bench.api.applied] == [
        "CustomResourceDefinition",
        "Namespace",
        "Deployment",
        "FelixConfiguration",
        "Installation",
    ]
    assert "mirror/operator:v1" in str(bench.api.applied[2])
    assert not any(call.startswith("helm") for call in bench.programs.calls)


def test_a_cluster_that_matches_is_used_again(bench: Bench) -> None:
    """Nothing is created or installed twice."""
    bench.up()
    before = len(bench.programs.calls)
    again = bench.up()
    later = bench.programs.calls[before:]
    assert not any(call.startswith(("kind create", "helm upgrade")) for call in later)
    assert again.containers == {f"id{number}": name for number, name in enumerate(NODES, 1)}


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"dataplane": "cilium-kpr"}, "dataplane cilium, not cilium-kpr"),
        ({"options": {"policyCIDRMatchMode": "nodes"}}, "policyCIDRMatchMode=none, not nodes"),
        ({"shape": "atlas"}, "other nodes, another node image or other subnets"),
    ],
)
def test_a_cluster_that_differs_is_refused(bench: Bench, other: dict[str, Any], told: str) -> None:
    """With the difference, and how to get rid of it."""
    bench.up()
    with pytest.raises(PrerequisiteError, match=f"{told}.*nodeport-lab down --name dev"):
        bench.up(bench.request(**other))
    assert bench.programs.containers == list(NODES)


def test_other_values_of_the_chart_are_a_difference_too(bench: Bench) -> None:
    """They come from the user's file."""
    bench.up()
    own = replace(bench.overrides, cilium_values={"debug": {"enabled": True}})
    with pytest.raises(PrerequisiteError, match="another version or configuration of its CNI"):
        bench.up(bench.request(overrides=own))


def test_a_cluster_of_somebody_else_is_neither_used_nor_removed(bench: Bench) -> None:
    """It has the name, and the lab knows nothing of it."""
    bench.programs.says("containers", "other1 dev-control-plane\n")
    with pytest.raises(PrerequisiteError, match="nodeport-lab did not make"):
        bench.up()
    with pytest.raises(PrerequisiteError, match="nodeport-lab did not make"):
        cluster.down("dev")
    assert bench.programs.containers == ["dev-control-plane"]


def test_a_namesake_made_after_ours_was_removed_is_somebody_elses(bench: Bench) -> None:
    """Containers are known by their ids, not by their names."""
    bench.up()
    bench.programs.says("containers", "other1 dev-control-plane\n")
    with pytest.raises(PrerequisiteError, match="nodeport-lab did not make"):
        bench.up()
    with pytest.raises(PrerequisiteError, match="nodeport-lab did not make"):
        cluster.down("dev")
    assert bench.programs.containers == ["dev-control-plane"]


def test_a_cluster_whose_nodes_are_gone_is_made_anew(bench: Bench) -> None:
    """Somebody has removed it with kind."""
    bench.up()
    bench.programs.remove("containers")
    bench.up()
    creations = [call for call in bench.programs.calls if call.startswith("kind create")]
    assert len(creations) == 2


def test_a_cluster_whose_nodes_stand_still_is_refused(bench: Bench) -> None:
    """Their addresses may change when they start."""
    bench.up()
    (bench.programs.folder / "containers").rename(bench.programs.folder / "stopped")
    with pytest.raises(PrerequisiteError, match="not all nodes of the cluster dev run"):
        bench.up()
    assert cluster.down("dev")
    assert state.load("dev") is None


def test_what_kind_complains_of_is_told_and_nothing_is_left(bench: Bench) -> None:
    """It was kind itself that removed its nodes."""
    bench.programs.says("create-fails", "Creating cluster\nERROR: failed to create: port taken\n")
    with pytest.raises(TestbedError, match=r"failed to create: port taken; nothing is left"):
        bench.up()
    assert state.load("dev") is None
    assert not state.directory("dev").exists()


def test_a_full_disk_is_told_as_such(bench: Bench) -> None:
    """Whichever program met it."""
    bench.programs.says("create-fails", "ERROR: write /x: no space left on device\n")
    with pytest.raises(TestbedError, match="found the disk full; free some space"):
        bench.up()


def test_nodes_that_kind_has_left_are_named_and_down_removes_them(bench: Bench) -> None:
    """A half-made cluster is not used."""
    bench.programs.says("create-fails", "ERROR: kubeadm init failed\n")
    bench.programs.says("create-leaves", "")
    with pytest.raises(TestbedError, match=r"dev-worker2.*nodeport-lab down --name dev"):
        bench.up()
    assert cluster.status("dev", opened=bench.opened).ready is False
    with pytest.raises(PrerequisiteError, match="half-made"):
        bench.up()
    assert cluster.down("dev") == sorted(NODES)
    assert bench.programs.containers == []
    assert not state.directory("dev").exists()


def failing_install(bench: Bench) -> None:
    """Have the installation of Cilium fail."""
    bench.programs.says("helm-fails", "Error: chart is broken\n")


def failing_load(bench: Bench) -> None:
    """Have loading an archive fail."""
    bench.programs.says("load-fails", "ERROR: failed to load image\n")


def never_ready(bench: Bench) -> None:
    """Have a DaemonSet never come."""
    bench.api.missing.add("cilium")


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (failing_load, "failed to load image"),
        (failing_install, "chart is broken"),
        (never_ready, "DaemonSet kube-system/cilium is not rolled out"),
    ],
)
def test_after_a_failure_up_goes_on_where_it_was_and_down_removes_it(
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
    broken: Callable[[Bench], None],
    told: str,
) -> None:
    """The nodes are not made again."""
    monkeypatch.setattr(cluster, "_READY_WITHIN", 0.1)
    archive = archives.saved(bench.file.parent / "images.tar", "curl:1")
    asked = bench.request(load_images=(str(archive),))
    broken(bench)
    with pytest.raises(TestbedError, match=f"{told}.*nodeport-lab down --name dev"):
        bench.up(asked)
    for name in ("helm-fails", "load-fails"):
        (bench.programs.folder / name).unlink(missing_ok=True)
    bench.api.missing.clear()
    assert cluster.WAIT in bench.up(asked).steps
    creations = [call for call in bench.programs.calls if call.startswith("kind create")]
    assert len(creations) == 1
    assert cluster.down("dev") == sorted(NODES)


def test_a_refused_manifest_fails_up_with_the_clusters_own_words(bench: Bench) -> None:
    """And what is left is said."""
    bench.api.refuses.add("Installation")
    with pytest.raises(TestbedError, match=r"apply Installation: the cluster refuses it.*left"):
        bench.up(bench.request("calico-iptables"))
    assert bench.api.closed


@pytest.mark.parametrize(
    ("last", "left"),
    [
        (cluster.CHECK, False),
        (cluster.CREATE, False),
        (cluster.INSTALL, True),
        (cluster.WAIT, True),
    ],
)
def test_ctrl_c_at_any_step_says_what_is_left(bench: Bench, last: str, left: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """And `down` removes it, whatever it is."""

    def interrupted(step: str, said: str | None = None, seconds: float | None = None) -> None:
        del said, seconds
        if step == last:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cluster.up(bench.request(), interrupted, opened=bench.opened)
    assert ("down --name dev" in cluster.what_is_left("dev")) is left
    assert cluster.down("dev") == (sorted(NODES) if left else [])
    assert bench.programs.containers == []
    assert cluster.what_is_left("dev") == "nothing is left behind"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_kind_works_stops_kind_and_exits_with_130(
    bench: Bench, number: signal.Signals
) -> None:
    """The real command in a process of its own; the stand-in would go on for 30 s."""
    bench.programs.says("create-hangs", "")
    with hanging_up(bench) as process:
        process.send_signal(number)
        _, told = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "interrupted; what is left are the containers dev-control-plane" in told
    assert "nodeport-lab down --name dev" in told
    hanging = int((bench.programs.folder / "create-hangs").read_text())
    assert not Path(f"/proc/{hanging}").exists()
    assert cluster.down("dev") == sorted(NODES)


def test_two_commands_do_not_change_one_cluster_at_once(bench: Bench) -> None:
    """The second one is refused by name; it may come when the first has ended."""
    bench.programs.says("create-hangs", "")
    with hanging_up(bench) as process:
        told = rf"dev is in use by nodeport-lab up \(process {process.pid}\); wait until"
        with pytest.raises(PrerequisiteError, match=told):
            bench.up()
        with pytest.raises(PrerequisiteError, match=told):
            cluster.down("dev")
        process.kill()  # with no chance to unlock anything
        process.communicate(timeout=10)
    (bench.programs.folder / "create-hangs").unlink()
    assert cluster.down("dev") == sorted(NODES)


def test_commands_may_change_two_clusters_at_once(bench: Bench) -> None:
    """Each has a lock of its own, which outlives what is remembered of it."""
    with lock.held("other", "nodeport-lab up"):
        bench.up()
        assert cluster.down("dev") == sorted(NODES)
        with pytest.raises(PrerequisiteError, match="other is in use"):
            cluster.down("other")
    assert cluster.down("other") == []


def test_a_lock_that_cannot_be_had_is_told_in_a_sentence(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is created."""
    monkeypatch.setenv("XDG_STATE_HOME", str(bench.file))
    with pytest.raises(PrerequisiteError, match=r"cannot be written.*set XDG_STATE_HOME"):
        bench.up()
    assert not bench.programs.calls


@contextmanager
def hanging_up(bench: Bench) -> Iterator[subprocess.Popen[str]]:
    """`nodeport-lab up` in a process of its own, while its kind creates nodes."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from nodeport_lab.cli import main; main()",
            *("up", "-d", "cilium", "--overrides", str(bench.file)),
        ],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        end = time.monotonic() + 20
        hangs = bench.programs.folder / "create-hangs"
        while not hangs.read_text() and time.monotonic() < end:
            process.poll()
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def test_without_a_cni_plugin_up_waits_for_the_api_only_and_can_install_it_later(
    bench: Bench,
) -> None:
    """Helm is not even asked for."""
    bench.programs.remove("helm")
    bench.api.missing.add("cilium")
    made = bench.up(bench.request(skip_cni=True))
    assert list(made.steps) == [cluster.CHECK, cluster.CREATE, cluster.WAIT]
    assert cluster.status("dev", opened=bench.opened).ready is None
    with pytest.raises(PrerequisiteError, match="program helm is missing"):
        bench.up()


def values_of_cilium() -> dict[str, Any]:
    """What helm was given."""
    text = (state.directory("dev") / "cilium-values.yaml").read_text()
    values: dict[str, Any] = yaml.safe_load(text)
    return values


def test_images_are_loaded_from_archives_and_saved_for_one_platform_first(bench: Bench) -> None:
    """As nodes refuse an index that names other platforms."""
    archive = archives.oci(bench.file.parent / "images.tar", "quay.io/cilium/other:v1")
    bench.programs.says("images", "quay.io/cilium/cilium:v1.18.12\n")
    bench.up(bench.request(load_images=(str(archive), "quay.io/cilium/cilium:v1.18.12")))
    calls = [call for call in bench.programs.calls if " image save" in call or "kind load" in call]
    assert calls[0] == f"kind load image-archive {archive} --name dev provider=docker"
    assert calls[1].startswith("docker image save --platform linux/amd64 --output ")
    assert calls[1].endswith(" quay.io/cilium/cilium:v1.18.12")
    assert calls[2].startswith("kind load image-archive ")
    assert not any("load docker-image" in call for call in calls)


def test_the_chart_keeps_the_digests_of_what_was_not_loaded_by_its_tag(bench: Bench) -> None:
    """Of three images one is in the nodes by its tag, and one by its digest."""
    folder = bench.file.parent
    by_tag = archives.saved(folder / "agent.tar", "quay.io/cilium/cilium:v1.18.12")
    by_digest = archives.oci(
        folder / "operator.tar",
        "quay.io/cilium/operator-generic:v1.18.12",
        f"quay.io/cilium/operator-generic@{archives.DIGEST}",
    )
    made = bench.up(bench.request(load_images=(str(by_tag), str(by_digest))))
    values = values_of_cilium()
    assert values["image"] == {"pullPolicy": "IfNotPresent", "useDigest": False}
    assert values["operator"] == {"replicas": 1}
    assert "envoy" not in values
    assert made.unpinned == ("quay.io/cilium/cilium:v1.18.12",)


def test_loaded_workloads_are_asked_for_by_their_tag(bench: Bench) -> None:
    """Also where a manifest names a digest alone, as the only tag of its repository."""
    archive = archives.saved(
        bench.file.parent / "w.tar",
        "curlimages/curl:8.22.0",
        "ghcr.io/knative/helloworld-go:latest",
    )
    bench.up()
    made = bench.up(bench.request(load_images=(str(archive),)))
    assert set(made.images.values()) == {
        "docker.io/curlimages/curl:8.22.0",
        "ghcr.io/knative/helloworld-go:latest",
    }
    assert all("@sha256:" in image for image in made.images)


def test_single_images_of_the_chart_are_replaced(bench: Bench) -> None:
    """By the reference that stands in the chart itself, with or without its digest and tag."""
    own = {
        "quay.io/cilium/cilium": "mirror/agent:v1",
        "quay.io/cilium/operator-generic:v1.18.12": f"mirror/operator@{archives.DIGEST}",
        "docker.io/curlimages/curl:8.22.0": "mirror/curl:8",
    }
    made = bench.up(bench.request(overrides=replace(bench.overrides, images=own)))
    values = values_of_cilium()
    assert values["image"]["override"] == "mirror/agent:v1"
    assert values["operator"]["image"] == {"override": f"mirror/operator@{archives.DIGEST}"}
    assert "envoy" not in values
    assert list(made.images.values()) == ["mirror/curl:8"]
    assert made.unpinned == ("mirror/curl:8", "mirror/agent:v1")


@pytest.mark.parametrize(
    ("dataplane", "image", "told"),
    [
        ("cilium", "quay.io/cilium/cilium:v1.17.0", "there is no image 'quay.io/cilium/cilium:v1"),
        ("cilium", "quay.io/tigera/operator", "choose one of: .*curlimages/curl:8.22.0.*envoy"),
        ("calico-iptables", "quay.io/cilium/cilium", "choose one of: .*quay.io/tigera/operator:v1"),
        ("calico-iptables", "quay.io/calico/node", "registry and a path for all.*calicoInstall"),
    ],
)
def test_an_override_of_an_image_that_nothing_names_is_refused(
    bench: Bench, dataplane: str, image: str, told: str
) -> None:
    """Before anything is created, with what there is."""
    own = replace(bench.overrides, images={image: "mirror/x:v1"})
    with pytest.raises(LabError, match=told):
        bench.up(bench.request(dataplane, overrides=own))
    assert not bench.programs.created


def test_what_is_pinned_by_its_tag_is_remembered(bench: Bench) -> None:
    """No digest of Calico's images is known; of the nodes' and the workloads' each is."""
    made = bench.up(bench.request("calico-iptables"))
    assert made.unpinned[0] == "quay.io/tigera/operator:v1"
    assert "quay.io/calico/node:v3.32.1" in made.unpinned
    assert not any("@sha256:" in one or "kindest" in one for one in made.unpinned)
    assert cluster.status("dev", opened=bench.opened).state.unpinned == made.unpinned
    assert bench.up(bench.request("calico-iptables")).unpinned == made.unpinned


def test_another_version_of_calico_is_used_without_checksums_and_says_so(bench: Bench) -> None:
    """Its files are those of its own tag, or the user's; its images those of its operator."""
    own = {name: {"url": one["url"]} for name, one in bench.overrides.manifests.items()}
    newest = bench.request(
        "calico-iptables",
        overrides=replace(bench.overrides, manifests=own),
        cni_version="v3.33.1",
    )
    made = bench.up(newest)
    assert "quay.io/calico/*:v3.33.1" in made.unpinned
    assert [one for one in made.unpinned if one.endswith("/tigera-operator.yaml")]
    with pytest.raises(PrerequisiteError, match="another version or configuration of its CNI"):
        bench.up(bench.request("calico-iptables"))


def test_another_patch_of_cilium_is_used_without_a_checksum_and_says_so(bench: Bench) -> None:
    """Of the version that the option names."""
    charts = {name: {"url": one["url"]} for name, one in bench.overrides.charts.items()}
    asked = bench.request(overrides=replace(bench.overrides, charts=charts), cni_version="1.18.13")
    assert [one for one in bench.up(asked).unpinned if one.endswith("/cilium-1.18.12.tgz")]


@pytest.mark.parametrize(
    ("dataplane", "version", "told"),
    [
        ("cilium", "v3.33.1", "'v3.33.1' is no version of Cilium 1.18; write it like 1.18.4"),
        ("cilium", "1.20.4", "or choose another one with -o ciliumVersion"),
        ("calico-ebpf", "../x", r"'../x' is no version of Calico; write it like v3.33.1"),
    ],
)
def test_a_version_that_is_none_is_refused(
    bench: Bench, dataplane: str, version: str, told: str
) -> None:
    """It becomes part of an address."""
    with pytest.raises(LabError, match=told):
        bench.up(bench.request(dataplane, cni_version=version))
    assert not bench.programs.created


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({"other": "x"}, "is no archive of images"),
        ({"oci-layout": {}, "index.json": []}, "is no archive of images"),
        ({"manifest.json": [{"RepoTags": None}]}, "no image in .* has a name"),
        (
            {
                "oci-layout": {},
                "index.json": {
                    "manifests": [
                        {
                            "digest": archives.DIGEST,
                            "annotations": {"io.containerd.image.name": "a@sha256:other"},
                        }
                    ]
                },
            },
            "no image in .* has a name",
        ),
    ],
)
def test_an_archive_without_images_is_refused_before_anything_is_created(
    bench: Bench, members: dict[str, object], told: str
) -> None:
    """A name with the digest of something else is none."""
    archive = archives.write(bench.file.parent / "images.tar", members)
    with pytest.raises(PrerequisiteError, match=told):
        bench.up(bench.request(load_images=(str(archive),)))
    assert not bench.programs.created


def test_an_image_by_its_digest_is_not_taken_from_the_engine(bench: Bench) -> None:
    """What the engine saves then has no name."""
    with pytest.raises(PrerequisiteError, match="name it by its tag"):
        bench.up(bench.request(load_images=(f"curl@{archives.DIGEST}",)))
    assert not bench.programs.created


def test_an_image_that_is_nowhere_is_refused_before_anything_is_created(bench: Bench) -> None:
    """It is neither a file nor known to the engine."""
    with pytest.raises(PrerequisiteError, match="neither an archive nor an image that docker has"):
        bench.up(bench.request(load_images=("nowhere:v1",)))
    assert not bench.programs.created


def test_podman_is_told_to_kind_and_saves_without_a_platform(bench: Bench) -> None:
    """It is used where docker is not there."""
    bench.programs.podman()
    bench.programs.says("images", "hello:v1\n")
    bench.up(bench.request(load_images=("hello:v1",)))
    assert any("kind create" in call and "provider=podman" in call for call in bench.programs.calls)
    (save,) = [call for call in bench.programs.calls if " image save" in call]
    assert "--platform" not in save


@pytest.mark.parametrize("how", ["no kind", "kind fails"])
def test_down_needs_only_the_engine(bench: Bench, how: str) -> None:
    """It removes the containers itself then."""
    bench.up()
    if how == "no kind":
        bench.programs.remove("kind")
    else:
        bench.programs.says("delete-fails", "")
    assert cluster.down("dev") == sorted(NODES)
    assert "docker rm --force --volumes id1 id2 id3" in bench.programs.calls
    assert not state.directory("dev").exists()


def test_down_twice_and_of_nothing_is_fine(bench: Bench) -> None:
    """Also where the engine has lost the containers."""
    assert cluster.down("dev") == []
    bench.up()
    bench.programs.remove("containers")
    assert cluster.status("dev", opened=bench.opened).ready is False
    assert cluster.down("dev") == []
    assert state.load("dev") is None


def test_down_says_when_the_engine_does_not_run(bench: Bench) -> None:
    """Forgetting the cluster would leave its containers behind."""
    bench.up()
    bench.programs.says("docker-fails", "Cannot connect to the Docker daemon\n")
    with pytest.raises(PrerequisiteError, match="docker does not answer"):
        cluster.down("dev")
    assert state.load("dev") is not None


def test_status_tells_nodes_and_what_is_amiss(bench: Bench) -> None:
    """Read from the cluster's own objects."""
    with pytest.raises(PrerequisiteError, match=r"has made no cluster dev.*nodeport-lab up"):
        cluster.status("dev", opened=bench.opened)
    bench.up()
    found = cluster.status("dev", opened=bench.opened)
    assert (found.ready, found.said, found.nodes) == (True, None, dict.fromkeys(NODES, True))
    bench.api.missing.add("coredns")
    found = cluster.status("dev", opened=bench.opened)
    assert (found.ready, found.said) == (False, "Deployment kube-system/coredns is not rolled out")


def test_a_state_that_cannot_be_read_is_told_with_the_way_out(bench: Bench) -> None:
    """It names what to remove by hand."""
    bench.up()
    (state.directory("dev") / "cluster.json").write_text("{")
    with pytest.raises(LabError, match="kind delete cluster --name dev"):
        cluster.down("dev")
