"""A walk says what the kernel's trace says. Samples: see `traces/record.py`."""

import io
from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from nodeport_lab.cells import enumerate_cells
from nodeport_lab.dataplanes import find_dataplane
from nodeport_lab.errand import Errand, atlas_scenario
from nodeport_lab.errors import LabError, TestbedError, UnknownNameError
from nodeport_lab.experiment import find_policy
from nodeport_lab.model import (
    Action,
    IPBlock,
    LabelSelector,
    NetworkPolicy,
    Operator,
    PodPeer,
    PolicyPort,
    PolicyRule,
    Protocol,
    Requirement,
    Run,
    Scenario,
    Verdict,
)
from nodeport_lab.report import walk_figure, walk_text, walk_words
from nodeport_lab.suites import everyone
from nodeport_lab.testbeds.embedded.addressing import plan_network
from nodeport_lab.testbeds.interface import ProbeResult
from nodeport_lab.trace import End, passages
from nodeport_lab.walk import (
    Drop,
    Exemption,
    Lane,
    Mismatch,
    Place,
    PlaceKind,
    Role,
    Side,
    Walk,
)
from nodeport_lab.walk_reader import Setting, read_walk
from nodeport_lab.walker import walk

TRACES = Path(__file__).parent / "traces"
SERVER = "nodeport-lab/hello-0"
NODES = IPv4Network("172.18.0.0/24")
ALLOWED = ProbeResult(Verdict.ALLOWED, SERVER, "172.18.0.3:1024", (), 1.0)
TIMEOUT = ProbeResult(Verdict.TIMEOUT, None, None, (), 500.0)
SILENT = ProbeResult(Verdict.ERROR, None, None, (), 500.0, "no answer")

# Sample -> dataplane, policy, client, route, result; as in `traces/record.py`.
SAMPLES = {
    "own-node": ("calico-iptables", "podselector-server", "client-a", "nodeport:dev-worker"),
    "other-node": ("calico-iptables", "ipblock-nodes", "client-a", "nodeport:dev-worker2"),
    "denied": ("cilium", "both", "client-a", "nodeport:dev-worker2"),
    "tunnel": ("cilium-kpr", "podselector-server", "client-b", "nodeport:dev-worker3"),
    "host": ("cilium", "ingress-deny", "host:dev-worker", "cluster-ip"),
}


def told(sample: str) -> dict[str, str]:
    """A recorded trace: place -> text."""
    _, *parts = (TRACES / f"{sample}.txt").read_text().split("# place: ")
    return {place: text for place, _, text in (part.partition("\n") for part in parts)}


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    """The scenario that the samples were recorded with."""
    return atlas_scenario()


def read(
    scenario: Scenario,
    sample: str,
    *,
    policies: tuple[NetworkPolicy, ...] | None = None,
    trace: Mapping[str, str] | None = None,
    control: ProbeResult = ALLOWED,
) -> Walk:
    """The walk of a sample; policies and the trace may be others than the recorded."""
    name, policy, client, route = SAMPLES[sample]
    dataplane = find_dataplane(name)
    options = dataplane.complete({})
    network = plan_network(scenario, tunnel=dataplane.tunnel(options) is not None)
    found = find_policy(scenario, policy)
    assert found is not None
    callers = [each for each in everyone(scenario) if each.name == client]
    cells = enumerate_cells(scenario, network, callers)
    result = TIMEOUT if sample == "denied" else ALLOWED
    return read_walk(
        Run("embedded", name, options, dataplane.basis, {}),
        Setting(scenario, network, dataplane, options, policies or (found,)),
        next(cell for cell in cells if cell.way == route),
        result if control is ALLOWED else control,
        control,
        {place: passages(text) for place, text in (trace or told(sample)).items()},
    )


def printed(walked: Walk, width: int = 80) -> str:
    """The walk's text."""
    buffer = io.StringIO()
    Console(file=buffer, width=width).print(walk_text.render(walked))
    return buffer.getvalue()


def test_own_nodes_port_is_translated_on_the_clients_node(scenario: Scenario) -> None:
    """Each translation stands in its place, with the chain that did it."""
    walked = read(scenario, "own-node")

    assert [
        (
            "dev-worker",
            Side.DESTINATION,
            "172.18.0.3:30080",
            "10.244.1.3:8080",
            "KUBE-SVC-endpoint/nodeport-lab/hello/http/0",
        ),
        ("dev-worker", Side.SOURCE, "10.244.1.2:1024", "172.18.0.3:1024", "POSTROUTING"),
    ] == [
        (place.name, step.side, step.before, step.after, step.rule.chain if step.rule else None)
        for place, step in walked.translations
    ]


def test_other_nodes_port_is_translated_there(scenario: Scenario) -> None:
    """The client's node replaces the source, the dialled node the destination."""
    walked = read(scenario, "other-node")

    assert [
        ("dev-worker", Side.SOURCE, "calico-nat"),
        ("dev-worker2", Side.DESTINATION, "kube-proxy"),
        ("dev-worker2", Side.SOURCE, "kube-proxy"),
    ] == [
        (place.name, step.side, step.rule.table if step.rule else None)
        for place, step in walked.translations
    ]


def test_translation_at_connect_is_the_clients_own(scenario: Scenario) -> None:
    """A socket load balancer leaves its trace in the pod, ahead of every node."""
    walked = read(scenario, "tunnel")

    ((place, step),) = walked.translations
    assert Place("client-b", PlaceKind.POD) == place
    assert step.rule is not None
    assert "at-connect" == step.rule.table


def test_decisions_are_read_from_the_trace(scenario: Scenario) -> None:
    """Hook, tuple, rule and action of each evaluation, in packet order."""
    walked = read(scenario, "own-node")

    assert [
        ("client-a", "filter FORWARD", "10.244.1.3:8080", "egress[0].to[0]", Action.ALLOW),
        ("hello-0", "filter FORWARD", "10.244.1.3:8080", "not-selected", Action.ALLOW),
    ] == [
        (
            each.pod,
            each.decision.hook,
            each.decision.seen_destination,
            each.decision.rule,
            each.decision.action,
        )
        for each in walked.evaluations
    ]


def test_a_denial_lists_every_clause_and_why_it_did_not_match(scenario: Scenario) -> None:
    """Clauses come from the policy, because nft tells of matching rules alone."""
    (evaluation,) = read(scenario, "denied").evaluations

    assert Action.DENY is evaluation.decision.action
    assert [
        ("egress[0].to[0]", Mismatch.MEANING),
        ("egress[1].to[0]", Mismatch.ADDRESS),
    ] == [(each.path, each.mismatch) for each in evaluation.considered]


@pytest.mark.parametrize(
    ("peer", "ports", "mismatch"),
    [
        (IPBlock(NODES), (), Mismatch.MEANING),
        (IPBlock(NODES), (PolicyPort(port=30080),), Mismatch.MEANING),
        (IPBlock(NODES), (PolicyPort(port=30000, end_port=30100),), Mismatch.MEANING),
        (IPBlock(NODES), (PolicyPort(port=8080),), Mismatch.PORT),
        (IPBlock(NODES), (PolicyPort(Protocol.UDP),), Mismatch.PORT),
        (IPBlock(NODES), (PolicyPort(port="http"),), Mismatch.PORT),
        (IPBlock(NODES, (IPv4Network("172.18.0.4/32"),)), (), Mismatch.ADDRESS),
        (PodPeer(LabelSelector()), (), Mismatch.ADDRESS),
        (None, (PolicyPort(port=8080),), Mismatch.PORT),
    ],
)
def test_why_a_clause_did_not_match(
    scenario: Scenario,
    peer: IPBlock | PodPeer | None,
    ports: tuple[PolicyPort, ...],
    mismatch: Mismatch,
) -> None:
    """Another address, another port, or a dataplane that goes by something else."""
    recorded = find_policy(scenario, "both")
    assert recorded is not None
    # Two clauses, like the recorded policy, so that decisions have the same numbers.
    rules = (PolicyRule((peer,) if peer else (), ports), recorded.egress[1])

    (evaluation,) = read(
        scenario, "denied", policies=(replace(recorded, egress=rules),)
    ).evaluations

    assert mismatch is evaluation.considered[0].mismatch


def test_clauses_after_the_one_that_matched_were_not_tried(scenario: Scenario) -> None:
    """A packet that is allowed meets no further clause."""
    recorded = find_policy(scenario, "podselector-server")
    assert recorded is not None
    longer = replace(recorded, egress=(*recorded.egress, PolicyRule((IPBlock(NODES),))))

    evaluation, _ = read(scenario, "own-node", policies=(longer,)).evaluations

    assert [("egress[0].to[0]", True)] == [
        (each.path, each.matched) for each in evaluation.considered
    ]


def test_places_beyond_a_drop_are_lanes_that_were_not_reached(scenario: Scenario) -> None:
    """The figure and the text show where the packet would have gone."""
    assert [
        Lane(Place("client-a", PlaceKind.POD), (), reached=True),
        Lane(Place("dev-worker", PlaceKind.NODE), (Role.CLIENT, Role.SERVER), reached=True),
        Lane(Place("dev-worker2", PlaceKind.NODE), (Role.DIALLED,), reached=False),
        Lane(Place("hello-0", PlaceKind.POD), (), reached=False),
    ] == list(read(scenario, "denied").lanes)


def test_a_way_to_its_end_has_no_other_lanes(scenario: Scenario) -> None:
    """A node that translation leaves aside was not missed: the dialled one, with a socket LB."""
    walked = read(scenario, "tunnel")

    assert ["client-b", "dev-worker2", "dev-worker", "hello-0"] == [
        lane.place.name for lane in walked.lanes
    ]
    assert all(lane.reached for lane in walked.lanes)


def test_a_rule_that_accepts_ahead_of_policy_is_told(scenario: Scenario) -> None:
    """A node's own packets pass to its pods, whatever the policy."""
    walked = read(scenario, "host")

    exemptions = [
        step for visit in walked.visits for step in visit.steps if isinstance(step, Exemption)
    ]
    assert [("cilium", "to-container")] == [
        (step.rule.table, step.rule.chain) for step in exemptions
    ]
    assert () == walked.evaluations


def test_a_rule_that_drops_without_policy_is_told(scenario: Scenario) -> None:
    """A Service without an eligible backend drops; that is no denial."""
    trace = told("host")
    before, _, _ = trace["dev-worker"].partition("trace id")
    lines = trace["dev-worker"].splitlines()
    cut = next(number for number, line in enumerate(lines) if "vmap" in line and "tcp" in line)
    chain = lines[cut].replace("(verdict goto", "drop (verdict drop); was (verdict goto")
    trace["dev-worker"] = "\n".join([before, *lines[:cut], chain])
    trace.pop(SERVER)

    walked = read(scenario, "host", trace=trace, control=SILENT)

    (visit,) = walked.visits
    assert End.LOST is visit.end
    assert [Drop] == [type(step) for step in visit.steps]
    assert "no path" == walked.outcome
    assert "dropped by kube-proxy" in walk_words.verdict(walked)


def test_decisions_in_an_unknown_form_are_an_error(scenario: Scenario) -> None:
    """Another version of nft may print marks differently; a guess would be worse."""
    trace = {place: text.replace("mark |", "mark !!") for place, text in told("denied").items()}

    with pytest.raises(TestbedError, match="names no decision at from-container"):
        read(scenario, "denied", trace=trace)


def test_the_application_logs_what_arrived(scenario: Scenario) -> None:
    """The last place says which address the server saw."""
    walked = read(scenario, "own-node")

    assert End.ARRIVED is walked.visits[-1].end
    assert walked.application_source == walked.visits[-1].entered.source
    assert "the application logs 172.18.0.3:1024" in printed(walked)


@pytest.mark.parametrize("sample", sorted(SAMPLES))
def test_the_text_fits_and_ends_with_the_verdict(scenario: Scenario, sample: str) -> None:
    """80 columns are enough, and the last line is the answer."""
    lines = printed(read(scenario, sample)).splitlines()

    assert max(map(len, lines)) <= 80
    assert lines[-1].startswith("✗ timeout" if sample == "denied" else "✓ allowed: hello-0")


def test_the_text_of_a_denial(scenario: Scenario) -> None:
    """Where it happened, what was seen, what did not match and why."""
    assert """\
dev-worker (node: the client's and the server's), by lxca8fac258b97
  sees 10.244.1.2:1024 → 172.18.0.4:30080
  policy: egress of client-a at from-container
    saw 10.244.1.2:1024 → 172.18.0.4:30080
    ✗ both egress[0].to[0]: ipBlock 172.18.0.0/24; 172.18.0.4 is in it, but cilium does not match \
it by its address
    ✗ both egress[1].to[0]: pods app=hello; 172.18.0.4 is not one of them
    ✗ denied: no clause matched (default-deny)

dev-worker2 (node: dialled): not reached

hello-0 (pod): not reached

✗ timeout: dropped on dev-worker, egress of client-a at from-container
""" in printed(read(scenario, "denied"), 200)


def test_raw_lines_are_those_of_the_packet_alone(scenario: Scenario) -> None:
    """Place after place, without replies and without the tracer's own packets."""
    lines = walk_text.raw(read(scenario, "other-node")).splitlines()

    assert [
        "# client-a (pod)",
        "# dev-worker (node)",
        "# dev-worker2 (node)",
        "# dev-worker (node)",
        "# hello-0 (pod)",
    ] == [line for line in lines if line.startswith("#")]
    assert not any("127.0.0.1" in line or "tcp sport 8080" in line for line in lines)
    recorded = "\n".join(told("other-node").values())
    assert all(line in recorded for line in lines if line and not line.startswith("#"))


@pytest.mark.parametrize(
    ("peer", "words"),
    [
        (None, "any peer"),
        (IPBlock(IPv4Network("10.0.0.0/8")), "ipBlock 10.0.0.0/8"),
        (
            IPBlock(IPv4Network("10.0.0.0/8"), (IPv4Network("10.1.0.0/16"),)),
            "ipBlock 10.0.0.0/8 except 10.1.0.0/16",
        ),
        (PodPeer(LabelSelector((("app", "hello"),))), "pods app=hello"),
        (PodPeer(LabelSelector()), "pods (any)"),
        (
            PodPeer(namespace_selector=LabelSelector((("team", "a"),))),
            "pods in namespaces team=a",
        ),
        (
            PodPeer(
                LabelSelector(
                    match_expressions=(
                        Requirement("tier", Operator.IN, ("front", "back")),
                        Requirement("tier", Operator.NOT_IN, ("edge",)),
                        Requirement("app", Operator.EXISTS),
                        Requirement("old", Operator.DOES_NOT_EXIST),
                    )
                )
            ),
            "pods tier in (front,back),tier notin (edge),app,!old",
        ),
    ],
)
def test_peers_in_words(peer: IPBlock | PodPeer | None, words: str) -> None:
    """A peer reads as kubectl would write it."""
    assert words == walk_words.peer(peer)


def test_ports_in_words() -> None:
    """Numbers, ranges, names, or any port of a protocol."""
    ports = (
        PolicyPort(port=8080),
        PolicyPort(port=9000, end_port=9010),
        PolicyPort(port="http"),
        PolicyPort(Protocol.UDP),
    )

    assert "port 8080/TCP or 9000-9010/TCP or http/TCP or any/UDP" == walk_words.ports(ports)


def test_the_same_walk_draws_the_same_bytes(scenario: Scenario) -> None:
    """Also where the kernel gave the client another port."""
    walked = read(scenario, "own-node")
    again = read(
        scenario,
        "own-node",
        trace={
            place: text.replace("port 1024 ", "port 40404 ")
            for place, text in told("own-node").items()
        },
    )

    assert walked != again
    assert walk_figure.draw(walked).svg() == walk_figure.draw(again).svg()


def test_the_figure_describes_itself(scenario: Scenario) -> None:
    """Who cannot see the picture reads the same story, in the SVG as in a notebook."""
    picture = walk_figure.draw(read(scenario, "other-node"))

    drawn = ET.fromstring(picture.svg())  # noqa: S314 - our own
    assert "img" == drawn.get("role")
    assert (
        "Packet walk on calico-iptables under ipblock-nodes: client-a dials 172.18.0.4:30080 "
        "(nodeport:dev-worker2). On dev-worker the egress policy of client-a sees "
        "10.244.1.2 → 172.18.0.4:30080 and allows it (ipblock-nodes egress[0].to[0]) and the "
        "source becomes 172.18.0.3. On dev-worker2 the destination becomes 10.244.1.3:8080 and "
        "the source becomes 172.18.0.4. On dev-worker the ingress policy of hello-0 sees "
        "172.18.0.4 → 10.244.1.3:8080 and allows it (not-selected). The application logs "
        "172.18.0.3. Verdict: allowed."
    ) == repr(picture)
    assert repr(picture) == drawn.get("aria-label")
    assert repr(picture) == drawn.findtext("{http://www.w3.org/2000/svg}desc")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"client": "nobody"}, "there is no client 'nobody'; choose one of: client-a"),
        ({"policy": "nothing"}, "there is no policy 'nothing'; choose one of: no-policy"),
        ({"dataplane": "antrea"}, "there is no dataplane 'antrea'"),
        ({"route": "tunnel"}, "there is no route 'tunnel'; choose one of: pod-ip, cluster-ip"),
        ({"route": "nodeport"}, "there is no route 'nodeport'"),
        ({"route": "nodeport:mars"}, "there is no node 'mars'; choose one of: dev-control-plane"),
        ({"options": {"encapsulation": "GRE"}}, "there is no value of encapsulation 'GRE'"),
        ({"testbed": "moon"}, "there is no testbed 'moon'"),
    ],
)
def test_unknown_names_are_refused_with_the_valid_ones(
    changes: dict[str, Any], message: str
) -> None:
    """Before anything is created."""
    errand = replace(Errand("calico-iptables", "client-a", "pod-ip"), **changes)

    with pytest.raises(UnknownNameError) as refusal:
        walk(errand)

    assert str(refusal.value).startswith(message)


def test_a_route_that_leads_nowhere_is_refused_by_name() -> None:
    """Nothing routes a cluster IP to a machine outside; what is possible is said."""
    with pytest.raises(LabError) as refusal:
        walk(Errand("cilium", "external", "cluster-ip"))

    assert (
        "no Service of the scenario can be reached by cluster-ip from external; possible from "
        "there: nodeport:dev-control-plane, nodeport:dev-worker, nodeport:dev-worker2, "
        "nodeport:dev-worker3, load-balancer, external-ip"
    ) == str(refusal.value)
