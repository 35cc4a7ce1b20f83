"""Walks of real packets: the kernel's trace agrees with what the hooks recorded."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from nodeport_lab.cells import Cell, enumerate_cells
from nodeport_lab.dataplanes import DATAPLANES
from nodeport_lab.errand import Errand, atlas_scenario
from nodeport_lab.experiment import find_policy, suite_scenario
from nodeport_lab.model import Protocol, Run, Scenario, Verdict
from nodeport_lab.report import walk_figure
from nodeport_lab.suites import SUITES, everyone
from nodeport_lab.testbeds.embedded import EmbeddedTestbed
from nodeport_lab.testbeds.interface import ProbeResult
from nodeport_lab.trace import End, passages
from nodeport_lab.walk import Side, Walk
from nodeport_lab.walk_reader import Setting, read_walk
from nodeport_lab.walker import walk

DEADLINE = 1.5  # a traced probe gets no second look
POLICIES = ("no-policy", "both", "podselector-server", "ingress-ipblock-nodes")
CONNECTIONS = {
    ("client-a", "nodeport:dev-worker"),
    ("client-a", "nodeport:dev-worker2"),
    ("client-b", "nodeport:dev-worker"),
    ("client-b", "nodeport:dev-worker2"),
    ("client-b", "nodeport:dev-worker3"),
    ("client-b", "pod-ip"),
    ("client-c", "cluster-ip"),
    ("client-c", "load-balancer"),
    ("client-c", "external-ip"),
    ("host-pod-a", "pod-ip"),
    ("host:dev-worker2", "cluster-ip"),
    ("external", "nodeport:dev-worker2"),
    ("external-routed", "nodeport:dev-worker"),
    ("hello-0", "cluster-ip"),
}
# Where a node port's address is replaced: in the client's pod, on its node, on the other one.
POD, OWN, OTHER = "client-b", "dev-worker2", "dev-worker3"
TRANSLATED_ON = {
    "calico-iptables": (OWN, OTHER),
    "calico-nftables": (OWN, OTHER),
    "calico-ebpf": (POD, POD),
    "cilium": (OWN, OTHER),
    "cilium-kpr": (POD, POD),
    "cilium-kpr-hostns": (POD, OTHER),
}


@pytest.fixture(scope="module")
def atlas() -> Scenario:
    """The scenario that the command uses."""
    return atlas_scenario()


@pytest.fixture(scope="module", params=sorted(DATAPLANES))
def testbed(request: pytest.FixtureRequest, atlas: Scenario) -> Iterator[EmbeddedTestbed]:
    """A running testbed, one per dataplane."""
    with EmbeddedTestbed(atlas, DATAPLANES[request.param], {}) as running:
        yield running


Walked = list[tuple[Cell, ProbeResult, Walk]]


def send(testbed: EmbeddedTestbed, policy: str, cells: Sequence[Cell]) -> Walked:
    """Send packets under a policy; each connection with its result and its walk."""
    found = find_policy(testbed.scenario, policy)
    policies = () if found is None else (found,)
    testbed.apply(policies)
    results, texts = testbed.trace([cell.probe for cell in cells], DEADLINE)
    told = {place: passages(text) for place, text in texts.items()}
    dataplane, options = testbed.dataplane, testbed.options
    run = Run("embedded", dataplane.name, options, dataplane.basis, testbed.versions)
    setting = Setting(testbed.scenario, testbed.network, dataplane, options, policies)
    return [
        (cell, result, read_walk(run, setting, cell, result, result, told))
        for cell, result in zip(cells, results, strict=True)
    ]


def chosen(testbed: EmbeddedTestbed, *connections: tuple[str, str]) -> list[Cell]:
    """The cells of some connections, the first where several Services offer one."""
    cells: dict[tuple[str, str], Cell] = {}
    for cell in enumerate_cells(testbed.scenario, testbed.network, everyone(testbed.scenario)):
        cells.setdefault((cell.client.name, cell.way), cell)
    return [cells[connection] for connection in sorted(connections)]


@pytest.fixture(scope="module", params=POLICIES)
def walked(request: pytest.FixtureRequest, testbed: EmbeddedTestbed) -> Walked:
    """Every connection under a policy."""
    return send(testbed, request.param, chosen(testbed, *CONNECTIONS))


def test_the_walks_decisions_are_those_recorded(walked: Walked) -> None:
    """Two accounts of the kernel, its trace and its dynamic sets, say the same."""
    for cell, result, walk_of in walked:
        decisions = tuple(each.decision for each in walk_of.evaluations)
        assert result.decisions == decisions, (cell.client.name, cell.way)


def test_the_application_logs_the_address_that_arrives(walked: Walked) -> None:
    """The way ends at the server with the address it logged, or it ends earlier."""
    for cell, result, walk_of in walked:
        last = walk_of.visits[-1]
        arrived = last.entered.source if last.end is End.ARRIVED else None
        assert result.application_source == arrived, (cell.client.name, cell.way)
        assert (End.ARRIVED is last.end) == (result.verdict is Verdict.ALLOWED)


def test_every_translation_names_its_rule(walked: Walked) -> None:
    """For a first packet there is always a rule."""
    for cell, _, walk_of in walked:
        nameless = [step for _, step in walk_of.translations if step.rule is None]
        assert [] == nameless, (cell.client.name, cell.way)


def test_node_ports_are_translated_where_the_dataplane_says(testbed: EmbeddedTestbed) -> None:
    """On the client's node, on the dialled one, or in the pod itself."""
    cells = chosen(testbed, (POD, f"nodeport:{OWN}"), (POD, f"nodeport:{OTHER}"))

    places = [
        place.name
        for _, _, walk_of in send(testbed, "no-policy", cells)
        for place, step in walk_of.translations
        if step.side is Side.DESTINATION
    ]

    assert TRANSLATED_ON[testbed.dataplane.name] == tuple(places)


def test_datagrams_have_a_way_too() -> None:
    """Over UDP the first datagram is followed."""
    scenario = suite_scenario(SUITES["udp"])
    with EmbeddedTestbed(scenario, DATAPLANES["calico-iptables"], {}) as running:
        cells = [
            cell
            for cell in enumerate_cells(scenario, running.network, None, Protocol.UDP)
            if (cell.client.name, cell.dialled_node) == ("client-b", "dev-worker")
        ]
        ((_, result, walk_of),) = send(running, "ipblock-nodes", cells)

    assert Verdict.ALLOWED is result.verdict
    assert result.decisions == tuple(each.decision for each in walk_of.evaluations)
    assert result.application_source == walk_of.visits[-1].entered.source
    assert ["client-b", "dev-worker2", "dev-worker", "echo-0"] == [
        visit.place.name for visit in walk_of.visits
    ]


@pytest.mark.parametrize("options", [{"encapsulation": "VXLAN"}, {"backend": "host-network"}])
def test_a_walk_by_names_draws_the_same_figure_again(options: dict[str, str]) -> None:
    """Two labs, two packets, the same bytes: nothing random is in the figure."""
    errand = Errand("calico-iptables", "client-b", "nodeport:dev-worker3", "both", options)

    first, second = (walk_figure.draw(walk(errand)).svg() for _ in range(2))

    assert first == second


def test_without_a_backend_there_is_no_path() -> None:
    """A node that may only use its own backends, and has none, drops; that is no denial."""
    walked = walk(
        Errand(
            "calico-iptables",
            "external",
            "nodeport:dev-worker2",
            "both",
            {"externalTrafficPolicy": "Local"},
        ),
        DEADLINE,
    )

    assert "no path" == walked.outcome
    assert "dev-worker2" == walked.visits[-1].place.name


def call(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `nodeport-lab trace` as a person would, without a terminal."""
    return subprocess.run(
        [str(Path(sys.executable).parent / "nodeport-lab"), "trace", *arguments],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def test_the_command_prints_and_draws_the_walk(tmp_path: Path) -> None:
    """The kernel's lines, the walk in words, and a file with the figure."""
    drawn = tmp_path / "walk.svg"

    ended = call(
        *("-d", "cilium", "-o", "policyCIDRMatchMode=nodes", "--policy", "ipblock-nodes"),
        *("--from", "client-a", "--to", "nodeport:dev-worker2", "--raw", "--svg", str(drawn)),
    )

    assert ("", 0) == (ended.stderr, ended.returncode)
    lines = ended.stdout.splitlines()
    assert "# client-a (pod)" == lines[0]
    assert "✓ allowed: hello-0 answers" == lines[-1]
    assert b"On dev-worker2 the destination becomes 10.244.1.3:8080" in drawn.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--from", "nobody", "--to", "pod-ip"), "there is no client 'nobody'; choose one of: "),
        (("--from", "external", "--to", "pod-ip"), "no Service of the scenario can be reached by"),
        (("--from", "client-a", "--to", "pod-ip", "--svg", "/nowhere/a.svg"), "--svg: there is no"),
    ],
)
def test_the_command_refuses_in_one_sentence(arguments: tuple[str, ...], said: str) -> None:
    """Wrong use leaves with 2 and says what would be right."""
    ended = call("-d", "calico-iptables", *arguments)

    assert 2 == ended.returncode
    assert "" == ended.stdout
    assert ended.stderr.startswith(f"nodeport-lab: {said}")
