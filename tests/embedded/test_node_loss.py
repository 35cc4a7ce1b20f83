"""A node dies, and with it the address that it announced: who takes over, and who notices."""

from __future__ import annotations

import pytest

from nodeport_lab.cells import LOAD_BALANCER, enumerate_cells, host_clients, outside_clients
from nodeport_lab.dataplanes import DATAPLANES
from nodeport_lab.dataplanes.names import node_namespace
from nodeport_lab.errors import TestbedError
from nodeport_lab.experiment import suite_scenario
from nodeport_lab.model import Verdict
from nodeport_lab.suites import SUITES
from nodeport_lab.testbeds.embedded import EmbeddedTestbed
from nodeport_lab.testbeds.interface import Probe
from nodeport_lab.variations import vary

DEADLINE = 0.2


def probes(testbed: EmbeddedTestbed) -> list[Probe]:
    """The address, dialled by both machines outside."""
    cells = enumerate_cells(testbed.scenario, testbed.network, outside_clients())
    return [cell.probe for cell in cells if cell.route == LOAD_BALANCER]


def verdicts(testbed: EmbeddedTestbed) -> list[Verdict]:
    """How they fare."""
    return [result.verdict for result in testbed.probe(probes(testbed), DEADLINE)]


@pytest.mark.parametrize("dataplane", ["calico-iptables", "cilium-kpr"])
def test_the_address_moves_when_its_node_dies(dataplane: str) -> None:
    """Who has dialled it before reaches it on the next node at once: it said where it is now."""
    scenario = suite_scenario(SUITES["remedy-virtual-ip-after"])
    with EmbeddedTestbed(scenario, DATAPLANES[dataplane], {}) as testbed:
        assert [Verdict.ALLOWED] * 2 == verdicts(testbed)

        testbed.lab.request("cut", namespace=node_namespace("dev-worker3"))
        assert [Verdict.ERROR] * 2 == verdicts(testbed)

        assert "dev-worker3" == testbed.lose_announcer()
        assert [Verdict.ALLOWED] * 2 == verdicts(testbed)
        assert ["host:dev-worker", "host:dev-worker2"] == [
            client.name for client in host_clients(scenario) if testbed.has(client)
        ]
        assert {"dev-worker", "dev-worker2"} == {pod.node for pod in testbed.scenario.pods}


def test_with_a_local_policy_a_node_with_a_server_takes_over() -> None:
    """Two have one; when the second dies, its server is no endpoint any more."""
    suite = SUITES["remedy-virtual-ip-local-loss"]
    scenario = vary(suite_scenario(suite), {"externalTrafficPolicy": "Local"})
    with EmbeddedTestbed(scenario, DATAPLANES["calico-iptables"], {}) as testbed:
        first = testbed.probe(probes(testbed), DEADLINE)
        assert "dev-worker2" == testbed.lose_announcer()
        second = testbed.probe(probes(testbed), DEADLINE)

        assert ["nodeport-lab/hello-second-0"] * 2 == [result.backend for result in first]
        assert ["nodeport-lab/hello-0"] * 2 == [result.backend for result in second]

        assert "dev-worker" == testbed.lose_announcer()
        with pytest.raises(TestbedError, match="no node answers for an address outside"):
            testbed.lose_announcer()
