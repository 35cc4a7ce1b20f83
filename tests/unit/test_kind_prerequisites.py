"""What is refused before anything is created, each in one sentence with its remedy.

docker, podman, kind and helm are stand-ins that say what the real ones say; `docker info`
without an engine was recorded from docker 28.2.2. Downloads come from a small HTTP server.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from support.stand_ins import Programs

from nodeport_lab.dataplanes import DATAPLANES
from nodeport_lab.errors import LabError, PrerequisiteError, TestbedError, UnknownNameError
from nodeport_lab.testbeds.kind import downloads, overrides, pins, prerequisites, programs
from nodeport_lab.testbeds.kind.engine import Engine
from nodeport_lab.testbeds.kind.overrides import Overrides
from nodeport_lab.testbeds.kind.pins import Artefact
from nodeport_lab.testbeds.kind.request import Request, plan

NO_ENGINE = (
    "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. "
    "Is the docker daemon running?\n"
)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """Stand-in programs and directories of the test's own."""
    found = Programs(tmp_path / "bin")
    found.link_tools()
    monkeypatch.setenv("PATH", found.path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("KIND_EXPERIMENTAL_PROVIDER", raising=False)
    monkeypatch.delenv(overrides.VARIABLE, raising=False)
    return found


def planned(dataplane: str = "cilium", node_image: str | None = None) -> str:
    """The nodes' image of a request that nothing stands against."""
    own = Overrides(node_image=node_image)
    asked = plan(Request("dev", DATAPLANES[dataplane], overrides=own)).asked
    return str(asked.configuration["nodes"][0]["image"])


def no_engine_program(bench: Programs) -> None:
    """Take docker away; podman is not there either."""
    bench.remove("docker")


def rootless_cgroup_v1(bench: Programs) -> None:
    """A rootless engine on an old machine."""
    bench.docker(CgroupVersion="1", SecurityOptions=["name=rootless"])


@pytest.mark.parametrize(
    ("dataplane", "broken", "told"),
    [
        ("cilium", lambda bench: bench.remove("kind"), "program kind is missing.*kind.sigs"),
        ("cilium", lambda bench: bench.remove("helm"), "program helm is missing.*helm.sh"),
        ("cilium", no_engine_program, "neither docker nor podman is here"),
        (
            "cilium",
            lambda bench: bench.says("docker-fails", NO_ENGINE),
            "docker does not answer.*systemctl start docker",
        ),
        (
            "cilium",
            lambda bench: bench.says("docker-fails", "permission denied while trying\n"),
            "does not let this user in.*group docker",
        ),
        (
            "cilium",
            lambda bench: bench.says("kind-version", "kind v0.31.0 go1.25 linux/amd64"),
            r"kind is v0.31.x.*install v0.33.0 from https://github.com/kubernetes-sigs/kind",
        ),
        ("cilium", rootless_cgroup_v1, "a rootless engine needs cgroup v2"),
        (
            "calico-nftables",
            lambda bench: bench.docker(KernelVersion="5.10.0-8"),
            "needs Linux 5.13 or newer",
        ),
        (
            "calico-ebpf",
            lambda bench: bench.docker(KernelVersion="5.4.0"),
            "needs Linux 5.10 or newer",
        ),
    ],
)
def test_what_the_machine_lacks_is_refused_before_anything_is_created(
    bench: Programs, dataplane: str, broken: Callable[[Programs], None], told: str
) -> None:
    """One sentence, with the remedy."""
    broken(bench)
    with pytest.raises(PrerequisiteError, match=told):
        planned(dataplane)
    assert not bench.created


def test_calico_needs_no_helm(bench: Programs) -> None:
    """Its operator's manifests are applied by the lab itself."""
    bench.remove("helm")
    assert planned("calico-iptables") == pins.load().node


def test_cgroup_v1_gets_older_nodes_and_refuses_newer_ones(bench: Programs) -> None:
    """Kubelets from 1.35 on do not start there."""
    bench.docker(CgroupVersion="1")
    assert planned() == pins.load().old_node
    with pytest.raises(PrerequisiteError, match=r"cgroup v1, which Kubernetes 1.35.*v1.34.11"):
        planned(node_image="kindest/node:v1.35.8")


def test_a_pair_of_versions_that_is_not_supported_is_refused(bench: Programs) -> None:
    """Of Cilium no list of versions is known, and nothing is refused."""
    newer = "kindest/node:v1.37.0"
    with pytest.raises(PrerequisiteError, match=r"Calico v3.32.1 is tested with.*1.34 to 1.36"):
        planned("calico-iptables", newer)
    assert planned("cilium", newer) == newer
    with pytest.raises(PrerequisiteError, match=r"nftables mode, which Kubernetes 1\.30 lacks"):
        planned("calico-nftables", "kindest/node:v1.30.0")
    assert not bench.created


def test_a_full_disk_is_refused(
    bench: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine's own directory is looked at, where it is on this machine."""
    monkeypatch.setattr(prerequisites, "_ROOM", 1 << 62)
    bench.docker(DockerRootDir=str(tmp_path))
    with pytest.raises(PrerequisiteError, match=r"MiB left.*docker system prune"):
        planned()
    bench.docker(DockerRootDir=str(tmp_path), OperatingSystem="Docker Desktop")
    assert planned()


def test_a_provider_that_is_not_supported_is_refused(
    bench: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And one that is named but missing, too."""
    monkeypatch.setenv("KIND_EXPERIMENTAL_PROVIDER", "nerdctl")
    with pytest.raises(LabError, match="nerdctl is not supported here; set it to docker or to"):
        planned()
    monkeypatch.setenv("KIND_EXPERIMENTAL_PROVIDER", "podman")
    with pytest.raises(PrerequisiteError, match="program podman is missing"):
        planned()
    assert not bench.created


def test_nodes_are_reached_from_here_only_with_a_local_engine_of_roots(bench: Programs) -> None:
    """A rootless engine keeps its networks to itself, a virtual machine too."""
    docker = Engine("docker")
    assert docker.host().reachable
    bench.docker(OperatingSystem="Docker Desktop")
    assert not docker.host().reachable
    bench.docker(SecurityOptions=["name=rootless"])
    assert not docker.host().reachable
    bench.podman()
    assert Engine("podman").host().reachable
    bench.podman(serviceIsRemote=True)
    assert not Engine("podman").host().reachable
    bench.podman(security={"rootless": True}, cgroupVersion="v1")
    host = Engine("podman").host()
    assert (host.reachable, host.cgroup, host.platform) == (False, 1, "linux/amd64")


def test_a_program_that_hangs_is_stopped(bench: Programs) -> None:
    """With the command in the sentence."""
    bench.write("helm", "#!/bin/sh\nexec sleep 30\n")
    with pytest.raises(TestbedError, match=r"`helm version` did not end within 0.2 s"):
        programs.run(["helm", "version"], within=0.2)


# --- downloads ------------------------------------------------------------------------


class Server(ThreadingHTTPServer):
    """Serves one file, and counts."""

    asked = 0


class Handler(BaseHTTPRequestHandler):
    """`/file` is there, everything else is not."""

    def do_GET(self) -> None:
        """Answer."""
        assert isinstance(self.server, Server)
        self.server.asked += 1
        found = self.path == "/file"
        self.send_response(200 if found else 404)
        self.end_headers()
        self.wfile.write(b"content" if found else b"")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    """A server on this machine."""
    with Server(("127.0.0.1", 0), Handler) as found:
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield found
        found.shutdown()
        thread.join()


def artefact(url: str, content: bytes = b"content") -> Artefact:
    """A file with the checksum of some content."""
    return Artefact("file.yaml", url, hashlib.sha256(content).hexdigest(), "this test")


@pytest.mark.usefixtures("bench")
def test_a_file_is_fetched_once_and_checked(server: Server) -> None:
    """A copy that was changed in the cache is fetched again."""
    wanted = artefact(f"http://127.0.0.1:{server.server_port}/file")
    kept = downloads.fetch(wanted)
    assert (kept.read_bytes(), downloads.fetch(wanted), server.asked) == (b"content", kept, 1)
    kept.write_bytes(b"changed")
    assert downloads.fetch(wanted).read_bytes() == b"content"
    assert server.asked == 2
    assert [kept] == list(kept.parent.iterdir())


@pytest.mark.usefixtures("bench")
def test_another_content_is_not_used_and_not_kept(server: Server) -> None:
    """The sentence has both checksums."""
    wanted = artefact(f"http://127.0.0.1:{server.server_port}/file", b"other")
    with pytest.raises(PrerequisiteError, match=rf"has the SHA-256 .* not {wanted.sha256}"):
        downloads.fetch(wanted)
    assert not downloads.cache_directory().exists()


@pytest.mark.usefixtures("bench")
def test_what_cannot_be_fetched_names_the_way_out(server: Server, tmp_path: Path) -> None:
    """No such file, no such server, no such path."""
    with pytest.raises(PrerequisiteError, match=r"Not Found.*file of overrides"):
        downloads.fetch(artefact(f"http://127.0.0.1:{server.server_port}/other"))
    with pytest.raises(PrerequisiteError, match=r"cannot be fetched.*file of overrides"):
        downloads.fetch(artefact("http://127.0.0.1:1/file"))
    with pytest.raises(PrerequisiteError, match="cannot be read"):
        downloads.fetch(artefact(str(tmp_path / "nowhere")))


# --- overrides ------------------------------------------------------------------------


def test_overrides_take_the_place_of_pins_and_paths_are_the_files_own(tmp_path: Path) -> None:
    """What is not overridden keeps its pin and its checksum."""
    file = tmp_path / "own.yaml"
    document = {
        "nodeImage": "mirror/node:v1.36.4",
        "manifests": {"tigera-operator.yaml": {"url": "copies/operator.yaml"}},
        "charts": {"cilium-1.20.0.tgz": {"url": "https://mirror/c.tgz", "sha256": "0" * 64}},
    }
    file.write_text(yaml.safe_dump(document))
    found, pinned = overrides.load(file).applied(pins.load()), pins.load()
    assert (found.node, found.old_node) == ("mirror/node:v1.36.4", "mirror/node:v1.36.4")
    assert found.calico[0] == pinned.calico[0]
    assert found.calico[1].url == str(tmp_path / "copies" / "operator.yaml")
    assert found.calico[1].sha256 == pinned.calico[1].sha256
    assert found.cilium["1.20"].sha256 == "0" * 64
    assert found.cilium["1.18"] == pinned.cilium["1.18"]


def test_the_environment_names_the_file_where_nobody_else_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without either there are none."""
    monkeypatch.delenv(overrides.VARIABLE, raising=False)
    assert overrides.load(None) == Overrides()
    file = tmp_path / "own.yaml"
    file.write_text("nodeImage: mirror/node:v1\n")
    monkeypatch.setenv(overrides.VARIABLE, str(file))
    assert overrides.load(None).node_image == "mirror/node:v1"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("nodeimage: x\n", "nodeimage"),
        (
            "manifests: {tigera-operator.yaml: {sha256: abc}}\n",
            r"manifests\['tigera-operator.yaml'\]",
        ),
        ("[1]\n", "the document: "),
        ("{\n", "cannot be read"),
    ],
)
def test_a_file_of_overrides_that_says_something_else_is_refused(
    tmp_path: Path, text: str, told: str
) -> None:
    """With its place."""
    file = tmp_path / "own.yaml"
    file.write_text(text)
    with pytest.raises(LabError, match=told):
        overrides.load(file)


def test_an_override_of_what_is_not_used_is_refused() -> None:
    """A typing error would otherwise go unnoticed."""
    own = Overrides(charts={"cilium-1.19.tgz": {"url": "x"}})
    with pytest.raises(UnknownNameError, match=r"cilium-1\.18\.12\.tgz, cilium-1\.20\.0\.tgz"):
        own.applied(pins.load())


def test_what_the_command_line_states_counts_more_than_the_file(tmp_path: Path) -> None:
    """Name by name; a checksum follows the address."""
    file = tmp_path / "own.yaml"
    file.write_text("nodeImage: file/node:v1\nimages: {a: file/a, b: file/b}\n")
    own = overrides.stated(
        "mine/node:v1",
        {"a": "mine/a"},
        {"tigera-operator.yaml": f"copy.yaml#sha256={'1' * 64}"},
        {"cilium-1.20.0.tgz": "https://mirror/c.tgz"},
    ).over(overrides.load(file))
    assert own.node_image == "mine/node:v1"
    assert own.images == {"a": "mine/a", "b": "file/b"}
    found, pinned = own.applied(pins.load()), pins.load()
    assert (found.calico[1].url, found.calico[1].sha256) == ("copy.yaml", "1" * 64)
    assert found.cilium["1.20"].sha256 == pinned.cilium["1.20"].sha256


def test_a_checksum_that_is_none_is_refused() -> None:
    """It would otherwise not be checked."""
    with pytest.raises(LabError, match="'sha256=abc' is no checksum"):
        overrides.stated(None, {}, {"tigera-operator.yaml": "x.yaml#sha256=abc"}, {})


@pytest.mark.usefixtures("bench")
def test_what_has_no_known_checksum_is_fetched_anew_each_time(server: Server) -> None:
    """It may have changed, and nothing would tell."""
    found = Artefact("file", f"http://127.0.0.1:{server.server_port}/file", None, "nowhere")
    assert downloads.fetch(found).read_bytes() == downloads.fetch(found).read_bytes()
    assert server.asked == 2
