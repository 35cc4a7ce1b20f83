"""Suites: what they name exists, and each asks something."""

from __future__ import annotations

from contextlib import suppress
from itertools import product

import pytest

from nodeport_lab.cells import Cell, enumerate_cells
from nodeport_lab.dataplanes import DATAPLANES
from nodeport_lab.errors import LabError, UnknownNameError
from nodeport_lab.experiment import policy_names, questions_of, suite_scenario
from nodeport_lab.model import ClientKind, Direction, Protocol, Relation
from nodeport_lab.remedies import REMEDIES
from nodeport_lab.suites import (
    SUITES,
    Suite,
    every_combination,
    find_suites,
    one_option_at_a_time,
)
from nodeport_lab.testbeds.embedded.addressing import plan_network
from nodeport_lab.variations import BACKEND, VARIATIONS, split, vary

EVERY_SUITE = pytest.mark.parametrize("suite", SUITES.values(), ids=SUITES)


def cells_of(suite: Suite) -> tuple[Cell, ...]:
    """Every cell that a suite asks about, with nothing varied."""
    scenario = suite_scenario(suite)
    callers = suite.callers(scenario)
    return enumerate_cells(scenario, plan_network(scenario), callers, suite.protocol)


def relations(suite: str) -> set[Relation]:
    """How dialled nodes relate to clients in a suite."""
    return {cell.relation for cell in cells_of(SUITES[suite]) if cell.relation}


@EVERY_SUITE
def test_what_a_suite_names_exists(suite: Suite) -> None:
    """Its manifests can be read; its dataplanes, policies and Services are there."""
    scenario = suite_scenario(suite)

    assert set(suite.dataplanes) <= set(DATAPLANES)
    assert set(suite.policies or ()) <= set(policy_names(scenario))
    assert set(suite.services or ()) <= {service.name for service in scenario.services}
    assert len(policy_names(scenario)) > 1


@EVERY_SUITE
def test_every_suite_asks_something(suite: Suite) -> None:
    """Each of its clients has cells, all over its protocol."""
    cells = cells_of(suite)

    assert set(suite.callers(suite_scenario(suite))) == {cell.client for cell in cells}
    assert {suite.protocol} == {cell.probe.protocol for cell in cells}


@EVERY_SUITE
def test_every_configuration_is_accepted(suite: Suite) -> None:
    """No suite sets an option that its dataplane refuses, or the same twice."""
    scenario = suite_scenario(suite)
    for name in suite.dataplanes:
        configurations = [dict(each) for each in suite.configurations(DATAPLANES[name])]
        assert configurations
        completed = []
        for configuration in configurations:
            options, varied = split(configuration)
            vary(scenario, varied)
            completed.append((DATAPLANES[name].complete(options), varied))
        assert all(completed.count(each) == 1 for each in completed)


@pytest.mark.parametrize("name", DATAPLANES)
def test_the_options_suite_tries_every_value_once(name: str) -> None:
    """Each value that is no default stands alone, or with the option that it requires."""
    dataplane = DATAPLANES[name]
    first, *changed = one_option_at_a_time(dataplane)

    settable = {**dataplane.options, **VARIATIONS}
    assert {} == first
    assert [
        (option, value)
        for option in settable
        if option != BACKEND
        for value in settable[option].values[1:]
    ] == [next(iter(each.items())) for each in changed]
    for each in changed:
        (option, value), *needed = each.items()
        required = settable[option].requires
        assert needed == ([required[value]] if value in required else [])


@pytest.mark.parametrize("name", DATAPLANES)
def test_every_combination_is_every_one_that_the_dataplane_accepts(name: str) -> None:
    """None is left out but those that it refuses, and none of those is asked for."""
    dataplane = DATAPLANES[name]
    options = dataplane.options
    accepted = []
    for values in product(*(option.values for option in options.values())):
        with suppress(LabError):
            accepted.append(dataplane.complete(dict(zip(options, values, strict=True))))

    assert accepted == [dict(one) for one in every_combination(dataplane)]


def test_the_placement_suite_tries_every_place() -> None:
    """As placed, moved, on both workers, and in the node's network."""
    placed = [question.options[BACKEND] for question in questions_of("placement", ["cilium"])]

    assert list(VARIATIONS[BACKEND].values) == placed


def test_all_is_every_suite_but_the_report() -> None:
    """What the report asks is part of egress: nothing is lost."""
    assert set(SUITES) - {"report"} == {suite.name for suite in find_suites("all")}
    report, egress = SUITES["report"], SUITES["egress"]
    assert set(policy_names(suite_scenario(report))) <= set(policy_names(suite_scenario(egress)))
    assert set(report.dataplanes) <= set(egress.dataplanes)
    assert {(cell.client.name, cell.route, cell.dialled_node) for cell in cells_of(report)} <= {
        (cell.client.name, cell.route, cell.dialled_node) for cell in cells_of(egress)
    }


def test_an_unknown_suite_lists_the_known_ones() -> None:
    """Whoever mistypes sees what there is, `all` included, and not every stage of a remedy."""
    with pytest.raises(UnknownNameError) as raised:
        find_suites("everything")

    remedies = [f"remedy-{name}" for name in REMEDIES]
    alone = [name for name in SUITES if not name.startswith("remedy-")]
    assert (*alone, "all", "remedies", *remedies) == raised.value.known


def test_an_unknown_stage_lists_those_of_its_remedy() -> None:
    """Whoever names the remedy rightly is shown its stages."""
    with pytest.raises(UnknownNameError) as raised:
        find_suites("remedy-gateway-legs")

    assert REMEDIES["gateway"].stages
    assert tuple(map(REMEDIES["gateway"].suite, REMEDIES["gateway"].stages)) == raised.value.known


def test_the_ingress_suite_has_every_kind_of_client_in_every_place() -> None:
    """Pods, host-network pods and processes on the server's node and on another; outsiders."""
    suite = SUITES["ingress"]
    scenario = suite_scenario(suite)
    (server,) = [pod for pod in scenario.pods if pod.ports]
    placed = {(client.kind, client.node == server.node) for client in suite.callers(scenario)}

    assert {
        (ClientKind.POD, True),
        (ClientKind.POD, False),
        (ClientKind.HOST_POD, True),
        (ClientKind.HOST_POD, False),
        (ClientKind.HOST, True),
        (ClientKind.HOST, False),
        (ClientKind.EXTERNAL, False),
    } == placed
    assert server.name in {client.name for client in suite.callers(scenario)}


def test_the_ingress_suite_has_policies_for_the_server_alone() -> None:
    """All of them select the server, on its way in."""
    scenario = suite_scenario(SUITES["ingress"])

    assert {frozenset({Direction.INGRESS})} == {policy.directions for policy in scenario.policies}
    assert {(("app", "hello"),)} == {
        policy.pod_selector.match_labels for policy in scenario.policies
    }


@pytest.mark.parametrize("suite", ["egress", "ingress"])
def test_the_atlas_has_every_relation(suite: str) -> None:
    """Own node, the backend's node, and a node that hosts neither."""
    assert set(Relation) == relations(suite)


def test_the_ports_suite_tries_every_port_in_both_directions() -> None:
    """Target port, Service port, node port and the port's name."""
    names = {policy.name for policy in suite_scenario(SUITES["ports"]).policies}

    assert {
        f"{direction}-port-{port}"
        for direction in Direction
        for port in ("named", "node", "service", "target")
    } == names


def test_only_the_udp_suite_is_about_datagrams() -> None:
    """It dials its own server, which the same policies select."""
    over_udp = [suite for suite in SUITES.values() if suite.protocol is Protocol.UDP]

    assert [SUITES["udp"]] == over_udp
    assert {"echo"} == {cell.server for cell in cells_of(SUITES["udp"])}


def test_a_suite_has_one_question_per_dataplane_and_configuration() -> None:
    """Dataplanes may be chosen; the suite's policies hold unless others are named."""
    assert 6 == len(questions_of("egress"))
    (question,) = questions_of("udp", ["calico-ebpf"], ["both"])
    assert ("calico-ebpf", {}, ["both"], "udp") == (
        question.dataplane,
        dict(question.options),
        question.policies,
        question.suite,
    )
