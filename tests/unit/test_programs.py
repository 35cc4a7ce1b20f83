"""Which programs pods run, how they are started, and how their logs join connections."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from nodeport_lab import experiment
from nodeport_lab.book.runs import load
from nodeport_lab.errors import ManifestError, TestbedError
from nodeport_lab.experiment import Question, suite_scenario
from nodeport_lab.manifests import load_scenario, read_objects
from nodeport_lab.manifests.programs import program_names, with_programs
from nodeport_lab.manifests.users import read_users_text
from nodeport_lab.model import ContainerPort, Pod, Program, Scenario
from nodeport_lab.remedies import REMEDIES
from nodeport_lab.suites import SUITES
from nodeport_lab.testbeds.embedded import programs
from nodeport_lab.testbeds.embedded.processes import PassedOn, followed, passed_on
from nodeport_lab.testbeds.live.venue import LiveVenue

MANIFESTS = Path(__file__).parents[2] / "manifests"

POD = """
apiVersion: v1
kind: Pod
metadata: {name: proxy, namespace: n}
spec:
  containers:
    - name: first
      image: registry.example:5000/team/sidecar:1
    - name: proxy
      image: docker.io/library/haproxy:3.0@sha256:0000
      volumeMounts: [{name: settings, mountPath: /etc/proxy}, {name: scratch, mountPath: /tmp}]
  volumes: [{name: settings, configMap: {name: settings}}, {name: scratch, emptyDir: {}}]
"""
SETTINGS = """
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: n}
data: {proxy.cfg: "listen here"}
"""


def scenario_of(*pods: Pod) -> Scenario:
    """A scenario of some pods and nothing else."""
    return Scenario("dev", (), (), pods, (), ())


def equipped(*texts: str) -> Program | None:
    """The program that the pod `proxy` has by some manifests."""
    objects = [found for text in texts for found in read_objects(text, "x.yaml")]
    bare = Pod("n", "proxy", "dev-worker", workload="proxy")
    return with_programs(scenario_of(bare), objects).pods[0].program


def test_a_program_has_the_name_of_its_image_and_the_files_of_its_config_maps() -> None:
    """Registry, tag and digest do not count; other volumes hold no files."""
    assert Program("haproxy", (), (("/etc/proxy/proxy.cfg", "listen here"),)) == equipped(
        POD, SETTINGS
    )


def test_other_images_have_no_program() -> None:
    """They get stand-ins, as ever."""
    assert equipped(POD.replace("library/haproxy", "library/haproxy-exporter")) is None


def test_a_missing_config_map_is_named() -> None:
    """A pod that mounts what is not there would never start."""
    with pytest.raises(ManifestError, match=r"configMap.name: there is no ConfigMap 'settings'"):
        equipped(POD)


def test_the_gateway_of_the_manifests_is_haproxy_with_its_configuration() -> None:
    """The pod runs what its ConfigMap says, the server beside it is a stand-in."""
    found = load_scenario(MANIFESTS, folders=("workloads", "services", "suites/gateway"))
    by_name = {pod.name: pod.program for pod in found.pods}
    gateway = by_name["gateway-0"]
    assert gateway is not None
    assert [path for path, _ in gateway.files] == ["/usr/local/etc/haproxy/haproxy.cfg"]
    assert by_name["hello-0"] is None


def test_config_maps_and_programs_of_users_are_left_alone() -> None:
    """Nothing of a user's manifests is ever run; a ConfigMap counts as left out."""
    reading = read_users_text(f"{POD}---{SETTINGS}", "user.yaml")
    assert ["Pod"] == [found.kind for found in reading.objects]
    assert ["ConfigMap"] == [ignored.kind for ignored in reading.ignored]


def test_a_command_is_run_by_what_this_machine_has() -> None:
    """Python is this interpreter; a file of a ConfigMap comes by standard input."""
    command = ("python", "-m", "package.module", "/etc/settings.json", "/etc/other.json")
    files = (("/etc/settings.json", "{}"),)
    pod = Pod(
        "n",
        "issuer",
        "dev-worker",
        ports=(ContainerPort(8080),),
        program=Program("nodeport-lab", command, files),
    )
    (order,) = programs.orders(scenario_of(pod))
    expected = [sys.executable, "-m", "package.module", "/dev/stdin", "/etc/other.json"]
    assert expected == order["command"]
    assert [8080] == order["ports"]
    assert order["input"] == "{}"


@pytest.mark.parametrize("command", [(), ("sh", "-c", "true")])
def test_other_commands_are_refused(command: tuple[str, ...]) -> None:
    """Two programs are known, and nothing else is started."""
    pod = Pod("n", "issuer", "dev-worker", program=Program("nodeport-lab", command))
    with pytest.raises(TestbedError, match="give it one of these in its manifest: haproxy, python"):
        list(programs.orders(scenario_of(pod)))


def test_a_missing_program_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence, with what to type."""
    monkeypatch.setattr(programs, "find_program", lambda _name: None)
    told = programs.missing({"haproxy", "nodeport-lab"})
    assert told is not None
    assert told.endswith("install it with: apt-get install haproxy")
    assert programs.missing({"nodeport-lab"}) is None


def test_the_log_of_a_program_tells_what_it_passed_on() -> None:
    """Lines of another form are the program's own affair."""
    log = b"""Loading success.
10.0.0.1:1024 -> 10.0.0.2:40000 -> 10.0.0.3:8080 200
10.0.0.1:1024 -> 10.0.0.2:40001 -> 10.0.0.3:8080 503
"""
    assert {
        1024: [
            PassedOn("n/p", "10.0.0.1:1024", 40000),
            PassedOn("n/p", "10.0.0.1:1024", 40001),
        ]
    } == passed_on("n/p", log)


def test_connections_are_followed_through_several_programs() -> None:
    """Each is followed by what it caused, and a circle ends."""
    log = {
        1: [PassedOn("n/gateway", "a:1", 10)],
        10: [PassedOn("n/app", "b:10", 20), PassedOn("n/app", "b:10", 21)],
        21: [PassedOn("n/gateway", "c:21", 1)],
    }
    ports, asked = followed([1, 2], log)
    assert [1, 10, 20, 21, 2] == ports
    assert ["n/gateway", "n/app", "n/app", "n/gateway"] == [pod for pod, *_ in asked]


def test_a_cluster_refuses_suites_that_run_programs() -> None:
    """One sentence, before the cluster is asked anything."""
    question = Question("cilium", suite="remedy-oauth2-split")
    told = experiment._unspoken(question, LiveVenue("some-context"))  # noqa: SLF001
    assert told == (
        "the suite remedy-oauth2-split runs programs in pods, and the testbed live runs none of "
        "nodeport-lab; run it on the embedded one"
    )


def test_runs_need_what_their_suites_run() -> None:
    """A notebook whose remedy runs an installed program says so in the list of runs."""
    root = Path(__file__).parents[2]
    for spec in load(root / "notebooks"):
        remedy = REMEDIES.get(str(spec.parameters.get("remedy")))
        stages = remedy.stages if remedy else ()
        needed = {
            name
            for stage in stages
            for name in program_names(suite_scenario(SUITES[remedy.suite(stage)]))  # type: ignore[union-attr]
        }
        if remedy:
            assert needed & programs.INSTALLED.keys() == set(spec.needs), spec.id
