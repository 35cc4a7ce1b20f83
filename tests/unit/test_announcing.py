"""Which node answers for an address outside, and how it says so."""

from __future__ import annotations

from nodeport_lab.experiment import Question, runnable, suite_scenario
from nodeport_lab.suites import SUITES
from nodeport_lab.testbeds.embedded.addressing import plan_network
from nodeport_lab.testbeds.embedded.announcing import announcement, announcers
from nodeport_lab.variations import vary
from nodeport_lab.venues import Whereabouts, venue


def who(traffic_policy: str, *lost: str) -> dict[str, tuple[str, ...]]:
    """The announcing nodes of a scenario with servers on dev-worker and dev-worker2."""
    scenario = suite_scenario(SUITES["remedy-virtual-ip-local"])
    scenario = vary(scenario, {"externalTrafficPolicy": traffic_policy})
    return announcers(scenario, plan_network(scenario), frozenset(lost))


def test_one_worker_answers_and_the_next_one_after_it() -> None:
    """Whether it has a server or not."""
    assert {"dev-worker3": ("172.18.0.230",)} == who("Cluster")
    assert {"dev-worker2": ("172.18.0.230",)} == who("Cluster", "dev-worker3")


def test_with_a_local_policy_only_nodes_with_a_server_answer() -> None:
    """Until none of them is left."""
    assert {"dev-worker2": ("172.18.0.230",)} == who("Local")
    assert {"dev-worker": ("172.18.0.230",)} == who("Local", "dev-worker2")
    assert {} == who("Local", "dev-worker", "dev-worker2")


def test_a_node_without_addresses_announces_nothing() -> None:
    """Services of type NodePort have none."""
    scenario = suite_scenario(SUITES["ingress"])

    assert {} == announcers(scenario, plan_network(scenario))


def test_an_announcement_is_an_arp_request_for_the_own_address() -> None:
    """To everyone; sender and target are the same address, as RFC 5227 has it."""
    frame = announcement("02:00:00:01:00:03", "172.18.0.230")

    assert frame.hex(" ") == (
        "ff ff ff ff ff ff 02 00 00 01 00 03 08 06 "
        "00 01 08 00 06 04 00 01 "
        "02 00 00 01 00 03 ac 12 00 e6 00 00 00 00 00 00 ac 12 00 e6"
    )


def test_no_node_of_a_cluster_is_lost() -> None:
    """The stage is left out with the reason, before a cluster is asked anything."""
    question = Question("cilium", {}, None, "remedy-virtual-ip-local-loss")

    with venue("live", Whereabouts(context="somewhere")) as place:
        answerable, (reason,) = runnable([question], place)

    assert [] == answerable
    assert reason == (
        "cilium: the suite remedy-virtual-ip-local-loss lets a node die, which is done to none of "
        "the testbed live; run it on the embedded one"
    )
