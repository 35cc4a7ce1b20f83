"""What the suites are for, shown by packets: actors, placements, traffic policies, routes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import pytest

from nodeport_lab import advice
from nodeport_lab.cells import Cell, as_client, enumerate_cells
from nodeport_lab.dataplanes import DATAPLANES
from nodeport_lab.errors import LabError
from nodeport_lab.experiment import (
    Question,
    find_policy,
    questions_of,
    run_all,
    runnable,
    suite_scenario,
)
from nodeport_lab.model import (
    Decision,
    Direction,
    LabelSelector,
    NetworkPolicy,
    Observation,
    Protocol,
    Run,
    Scenario,
    Verdict,
)
from nodeport_lab.suites import SUITES
from nodeport_lab.testbeds.embedded import EmbeddedTestbed
from nodeport_lab.testbeds.embedded.addressing import EXTERNAL, ROUTED
from nodeport_lab.testbeds.interface import Probe

DEADLINE = 0.2
ALLOWED = {"allowed"}
EVERY_DATAPLANE = pytest.mark.parametrize("dataplane", DATAPLANES)
MASQUERADING = ("calico-iptables", "calico-nftables", "cilium")
"""Where kube-proxy serves node ports."""
OUTSIDE = {name: str(address) for name, address, _ in (EXTERNAL, ROUTED)}


@cache
def as_it_is() -> dict[tuple[str, str], Run]:
    """Three suites on every dataplane with its defaults: (suite, dataplane) -> run."""
    policies = {
        "ingress": ["no-policy", "ingress-podselector-client"],
        "egress": ["no-policy"],
        "udp": ["no-policy", "podselector-server"],
    }
    runs = asked(
        *(
            Question(dataplane, {}, names, suite)
            for suite, names in policies.items()
            for dataplane in DATAPLANES
        )
    )
    return {(run.suite, run.dataplane): run for run in runs}


@cache
def changed() -> dict[tuple[str, str, str], Run]:
    """The report's clients without policy: (dataplane, option or variation, value) -> run."""
    placed = questions_of("placement", None, ["no-policy"])
    questions, unanswered = runnable([*placed, *questions_of("options", None, ["no-policy"])])
    assert all("encapsulation=IPIP" in reason for reason in unanswered)
    return {
        (run.dataplane, *next(iter(question.options.items()), ("defaults", ""))): run
        for question, run in zip(questions, asked(*questions), strict=True)
    }


def asked(*questions: Question) -> list[Run]:
    """The questions' runs, all at once."""
    return run_all(questions, deadline=DEADLINE)


def some(cells: Sequence[Observation], **wanted: object) -> list[Observation]:
    """The cells whose fields have these values."""
    return [
        cell
        for cell in cells
        if all(getattr(cell, name) == value for name, value in wanted.items())
    ]


def at_the_servers_door(cell: Observation) -> Decision:
    """The one decision about the way in."""
    (decision,) = [one for one in cell.decisions if one.direction is Direction.INGRESS]
    return decision


def address(text: str | None) -> str:
    """The address of `address:port`."""
    assert text is not None
    return text.rpartition(":")[0]


# --- actors ---------------------------------------------------------------------------


@EVERY_DATAPLANE
def test_everybody_reaches_the_server_without_policy(dataplane: str) -> None:
    """Every kind of client, by every route that it has, the server itself included."""
    cells = some(as_it_is()["ingress", dataplane].observations, policy="no-policy")

    assert ALLOWED == {cell.outcome for cell in cells}
    assert {"hello-0", "client-c", "host-pod-b", "host:dev-worker2", *OUTSIDE} <= {
        cell.client for cell in cells
    }


@EVERY_DATAPLANE
@pytest.mark.parametrize("client", OUTSIDE)
def test_a_machine_outside_keeps_its_address_up_to_the_servers_node(
    dataplane: str, client: str
) -> None:
    """Policy sees the machine, except where kube-proxy masquerades before policy."""
    cells = some(as_it_is()["ingress", dataplane].observations, policy="no-policy", client=client)
    (cell,) = some(cells, dialled_node="dev-worker")

    before_masquerade = dataplane != "cilium"
    seen = address(at_the_servers_door(cell).seen_source)
    assert (seen == OUTSIDE[client]) is before_masquerade
    kept = dataplane not in MASQUERADING
    assert (address(cell.application_source) == OUTSIDE[client]) is kept


@EVERY_DATAPLANE
@pytest.mark.parametrize("client", OUTSIDE)
def test_a_machine_outside_by_way_of_another_node(dataplane: str, client: str) -> None:
    """The node in between takes its place, except with Calico's eBPF dataplane."""
    cells = some(as_it_is()["ingress", dataplane].observations, policy="no-policy", client=client)
    through = [cell for cell in cells if cell.dialled_node != "dev-worker"]

    assert 3 == len(through)
    for cell in through:
        seen = address(at_the_servers_door(cell).seen_source)
        assert (seen == OUTSIDE[client]) is (dataplane == "calico-ebpf")


@pytest.mark.parametrize("dataplane", ["cilium-kpr", "cilium-kpr-hostns"])
def test_direct_server_return_keeps_the_address_of_a_machine_outside(dataplane: str) -> None:
    """Whichever node it dials; answers go back through that node."""
    (run,) = asked(
        Question(dataplane, {"loadBalancerMode": "dsr"}, ["ingress-ipblock-external"], "ingress")
    )
    cells = [cell for cell in run.observations if cell.client in OUTSIDE]

    assert {(client, "allowed", OUTSIDE[client]) for client in OUTSIDE} == {
        (cell.client, cell.outcome, address(cell.application_source)) for cell in cells
    }
    assert 4 == len({cell.dialled_node for cell in cells})


@EVERY_DATAPLANE
def test_an_ingress_policy_is_held_against_everybody(dataplane: str) -> None:
    """Pods directly are let in, machines outside are not; processes of the own node are."""
    cells = some(as_it_is()["ingress", dataplane].observations, policy="ingress-podselector-client")
    directly = [cell for cell in cells if cell.route == "pod-ip"]

    assert ALLOWED == {cell.outcome for cell in directly if cell.client.startswith("client-")}
    assert {"timeout"} == {cell.outcome for cell in cells if cell.client in OUTSIDE}
    assert ALLOWED == {cell.outcome for cell in directly if cell.client == "host:dev-worker"}
    assert {"timeout"} == {cell.outcome for cell in directly if cell.client == "host:dev-worker2"}
    assert {Direction.INGRESS} == {cell.direction for cell in cells}


# --- placements and traffic policies --------------------------------------------------


@EVERY_DATAPLANE
@pytest.mark.parametrize(
    ("value", "nodes"),
    [
        ("moved", {"dev-worker2"}),
        ("both", {"dev-worker", "dev-worker2"}),
        ("host-network", {"dev-worker"}),
    ],
)
def test_a_backend_is_reached_wherever_it_runs(dataplane: str, value: str, nodes: set[str]) -> None:
    """On another worker, on both, in the node's network: every control cell has a path."""
    cells = changed()[dataplane, "backend", value].observations

    assert ALLOWED == {cell.outcome for cell in cells}
    assert nodes == {cell.backend_node for cell in cells if cell.route == "pod-ip"}
    assert {cell.backend_node for cell in cells} <= nodes


@EVERY_DATAPLANE
def test_a_local_node_port_without_a_backend_is_no_path(dataplane: str) -> None:
    """Nobody serves it there; who translates at the client asks no other node."""
    cells = changed()[dataplane, "externalTrafficPolicy", "Local"].observations

    by_node = {
        (cell.client, cell.dialled_node): cell.outcome for cell in cells if cell.route == "nodeport"
    }
    at_dialled = {"calico-ebpf": False, "cilium-kpr": False}.get(dataplane, True)
    elsewhere = "no path" if at_dialled else "allowed"
    assert {
        ("client-a", "dev-control-plane"): elsewhere,
        ("client-a", "dev-worker"): "allowed",
        ("client-a", "dev-worker2"): elsewhere,
        ("client-b", "dev-control-plane"): elsewhere,
        ("client-b", "dev-worker"): "allowed",
        ("client-b", "dev-worker2"): "allowed",  # for pods the own node asks every backend
    } == by_node
    assert ALLOWED == {cell.outcome for cell in cells if cell.route != "nodeport"}


@EVERY_DATAPLANE
def test_a_local_cluster_ip_without_a_backend_is_no_path(dataplane: str) -> None:
    """Only the client beside the backend gets through."""
    cells = changed()[dataplane, "internalTrafficPolicy", "Local"].observations

    assert {("client-a", "allowed"), ("client-b", "no path")} == {
        (cell.client, cell.outcome) for cell in cells if cell.route == "cluster-ip"
    }
    assert ALLOWED == {cell.outcome for cell in cells if cell.route == "pod-ip"}


def test_with_a_local_policy_a_machine_outside_keeps_its_address() -> None:
    """kube-proxy does not masquerade for it, and drops on nodes without a backend."""
    question = Question(
        "calico-iptables", {"externalTrafficPolicy": "Local"}, ["no-policy"], "ingress"
    )
    (run,) = asked(question)
    cells = [cell for cell in run.observations if cell.client in OUTSIDE]

    assert {("dev-worker", "allowed")} == {
        (cell.dialled_node, cell.outcome) for cell in cells if cell.outcome != "no path"
    }
    for cell in some(cells, outcome="allowed"):
        assert OUTSIDE[cell.client] == address(cell.application_source)


@EVERY_DATAPLANE
def test_no_option_takes_a_path_away(dataplane: str) -> None:
    """Whatever is set, every cell has a path, but for a Local traffic policy's."""
    outcomes = {
        (name, value): {cell.outcome for cell in run.observations}
        for (one, name, value), run in changed().items()
        if one == dataplane and not name.endswith("TrafficPolicy")
    }

    assert len(outcomes) > 4
    assert dict.fromkeys(outcomes, ALLOWED) == outcomes


# --- routes and protocols -------------------------------------------------------------


@EVERY_DATAPLANE
def test_addresses_outside_of_the_cluster_reach_the_server(dataplane: str) -> None:
    """A load balancer's address and an external IP, from every pod."""
    cells = as_it_is()["egress", dataplane].observations
    outside = [cell for cell in cells if cell.route in {"load-balancer", "external-ip"}]

    assert {(cell.client, cell.route) for cell in outside} == {
        (client, route)
        for client in {cell.client for cell in cells}
        for route in ("load-balancer", "external-ip")
    }
    assert {("allowed", "dev-worker", "hello-outside", None, 80)} == {
        (cell.outcome, cell.backend_node, cell.service, cell.dialled_node, cell.port)
        for cell in outside
    }


@EVERY_DATAPLANE
def test_datagrams_are_allowed_and_denied(dataplane: str) -> None:
    """Over UDP a reply is `allowed`, and silence after a recorded drop is `timeout`."""
    cells = as_it_is()["udp", dataplane].observations
    by_label = some(cells, policy="podselector-server")

    assert {(Protocol.UDP, "echo")} == {(cell.protocol, cell.server) for cell in cells}
    assert ALLOWED == {cell.outcome for cell in some(cells, policy="no-policy")}
    assert ALLOWED == {cell.outcome for cell in by_label if cell.route != "nodeport"}
    at_client = dataplane in {"calico-ebpf", "cilium-kpr"}
    third = {cell.outcome for cell in by_label if cell.dialled_node == "dev-control-plane"}
    assert (ALLOWED if at_client else {"timeout"}) == third


@pytest.mark.parametrize("dataplane", ["calico-iptables", "cilium-kpr"])
def test_a_datagram_to_nobody_is_refused(dataplane: str) -> None:
    """Port unreachable is a refusal; under a policy that denies it is a time-out."""
    scenario = suite_scenario(SUITES["udp"])
    deny = find_policy(scenario, "deny-egress")
    assert deny is not None
    (client,) = [as_client(pod) for pod in scenario.pods if pod.name == "client-b"]
    (server,) = [pod for pod in scenario.pods if pod.workload == "echo"]
    with EmbeddedTestbed(scenario, DATAPLANES[dataplane], {}) as testbed:
        probe = Probe(client, str(testbed.network.pods[server.key]), 9999, Protocol.UDP)
        (refused,) = testbed.probe([probe], DEADLINE)
        testbed.apply([deny])
        (denied,) = testbed.probe([probe], DEADLINE)

    assert (Verdict.REFUSED, Verdict.TIMEOUT) == (refused.verdict, denied.verdict)
    assert {"not-selected"} == {decision.rule for decision in refused.decisions}
    assert ["default-deny"] == [decision.rule for decision in denied.decisions]


def test_a_datagram_that_is_sent_again_is_judged_once() -> None:
    """A probe sends up to three; the same decision about each of them is one decision."""
    scenario = suite_scenario(SUITES["udp"])
    (server,) = [pod for pod in scenario.pods if pod.workload == "echo"]
    nobody = NetworkPolicy(
        server.namespace, "nobody", LabelSelector(server.labels), frozenset({Direction.INGRESS})
    )
    with EmbeddedTestbed(scenario, DATAPLANES["calico-iptables"], {}) as testbed:
        cells = [
            cell
            for cell in enumerate_cells(scenario, testbed.network, protocol=Protocol.UDP)
            if cell.service == "echo"
        ]
        testbed.apply([nobody])
        results = testbed.probe([cell.probe for cell in cells], DEADLINE)

    for result in results:
        assert ["not-selected", "default-deny"] == [one.rule for one in result.decisions]


# --- advice ---------------------------------------------------------------------------


def ask(
    scenario: Scenario, dataplane: str, policy: str, client: str, route: tuple[str, str | None]
) -> tuple[advice.Advice, Cell]:
    """Ask which rule would let a cell through that a policy denies."""
    denying = find_policy(scenario, policy)
    assert denying is not None
    with EmbeddedTestbed(scenario, DATAPLANES[dataplane], {}) as testbed:
        cells = enumerate_cells(scenario, testbed.network)
        (cell,) = [
            one
            for one in cells
            if (one.client.name, one.route, one.dialled_node) == (client, *route)
        ]
        return advice.advise(testbed, scenario, denying, cells, cell, DEADLINE), cell


def test_a_rule_is_found_and_what_else_it_opens_is_listed(scenario: Scenario) -> None:
    """Calico, own node, only node addresses allowed: the server by label and port."""
    found, asked = ask(
        scenario, "calico-iptables", "ipblock-nodes", "client-a", ("nodeport", "dev-worker")
    )

    assert found.chosen is not None
    assert "egress: pods labelled app=hello, port 8080" == found.chosen.words
    assert ((found.chosen, True),) == found.tried
    assert {
        ("client-a", "cluster-ip", None),
        ("client-a", "pod-ip", None),
        ("client-b", "nodeport", "dev-worker2"),
        ("client-b", "cluster-ip", None),
        ("client-b", "pod-ip", None),
    } == {(cell.client.name, cell.route, cell.dialled_node) for cell in found.opened}
    assert asked not in found.opened


def test_narrow_rules_are_tried_first(scenario: Scenario) -> None:
    """Calico, other node, only the server allowed: the label does not help again."""
    found, _ = ask(
        scenario, "calico-iptables", "podselector-server", "client-a", ("nodeport", "dev-worker2")
    )

    assert found.chosen is not None
    assert "egress: the nodes' addresses, port 30080" == found.chosen.words
    assert [False, False, True] == [helped for _, helped in found.tried]


@pytest.mark.parametrize("node", ["dev-worker", "dev-worker2"])
def test_none_is_found_where_none_works(scenario: Scenario, node: str) -> None:
    """By default no rule of Cilium beside kube-proxy lets a pod reach any node's port."""
    found, _ = ask(scenario, "cilium", "podselector-server", "client-a", ("nodeport", node))

    assert found.chosen is None
    assert () == found.opened
    assert 8 == len(found.tried)
    assert not any(helped for _, helped in found.tried)


def test_advice_is_for_denied_cells_only(scenario: Scenario) -> None:
    """A cell that the policy allows has nothing to mend."""
    with pytest.raises(LabError, match="name a cell that the policy denies"):
        ask(scenario, "calico-iptables", "ipblock-nodes", "client-a", ("nodeport", "dev-worker2"))
