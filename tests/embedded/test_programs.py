"""Programs in pods: a real HAProxy passes real requests on, and is gone with its lab."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from nodeport_lab.cells import CLUSTER_IP, enumerate_cells, outside_clients, pod_clients
from nodeport_lab.dataplanes import DATAPLANES
from nodeport_lab.errors import LabError, PrerequisiteError, TestbedError
from nodeport_lab.experiment import questions_of, run, runnable
from nodeport_lab.model import Action, Direction, Program, Scenario, Verdict
from nodeport_lab.testbeds.embedded import EmbeddedTestbed, EmbeddedVenue, programs
from nodeport_lab.testbeds.interface import DEFAULT_DEADLINE

CALICO = DATAPLANES["calico-iptables"]
FOLDERS = ("workloads", "services", "suites/gateway", "suites/remedy-gateway")

# A process that owns a lab with a proxy in it, says so, and waits to be killed.
OWNER = """
import time
from nodeport_lab.dataplanes import DATAPLANES
from nodeport_lab.testbeds.embedded import EmbeddedTestbed, EmbeddedVenue
scenario = EmbeddedVenue().scenario("dev", ("workloads", "services", "suites/gateway"))
with EmbeddedTestbed(scenario, DATAPLANES["calico-iptables"], {}) as running:
    print(running.lab.pid, flush=True)
    time.sleep(60)
"""


def gateway_scenario() -> Scenario:
    """The report's scenario with the proxy in front of the server."""
    return EmbeddedVenue().scenario("dev", FOLDERS)


def proxies_below(pid: int) -> set[int]:
    """The running HAProxy processes below a process."""
    found = set[int]()
    with suppress(FileNotFoundError, ProcessLookupError):
        if Path(f"/proc/{pid}/comm").read_text().strip() == "haproxy":
            found.add(pid)
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            for number in children.read_text().split():
                found |= proxies_below(int(number))
    return found


def test_a_proxy_passes_requests_on_and_both_legs_are_seen() -> None:
    """The server sees the proxy's address and is told the client's; four decisions tell it."""
    scenario = gateway_scenario()
    with EmbeddedTestbed(scenario, CALICO, {}) as testbed:
        assert testbed.versions["haproxy"][0].isdigit()
        cell = next(
            cell
            for cell in enumerate_cells(scenario, testbed.network, pod_clients(scenario))
            if cell.service == "gateway" and cell.route == CLUSTER_IP
        )
        testbed.apply(scenario.policies)
        (result,) = testbed.probe([cell.probe], DEFAULT_DEADLINE)
        addresses = testbed.network.pods
    client = cell.client.pod
    assert client is not None
    assert result.verdict is Verdict.ALLOWED, result.detail
    assert result.backend == "nodeport-lab/hello-0"
    assert result.application_source is not None
    assert result.application_source.startswith(f"{addresses['nodeport-lab/gateway-0']}:")
    assert str(addresses[client.key]) == result.forwarded_for
    assert [
        "clients-to-gateway",
        "gateway-from-everyone",
        "gateway-to-server",
        "server-from-gateway",
    ] == [decision.policy for decision in result.decisions]


def test_a_denied_second_leg_is_a_timeout_that_the_proxy_tells() -> None:
    """The client has an answer, 503; the drop behind the proxy stands among the decisions."""
    scenario = gateway_scenario()
    (first, *_) = outside_clients()
    denied = [one for one in scenario.policies if one.name == "clients-to-gateway"]
    with EmbeddedTestbed(scenario, CALICO, {}) as testbed:
        cell = next(
            cell
            for cell in enumerate_cells(scenario, testbed.network, [first])
            if cell.service == "gateway"
        )
        selects_hello = EmbeddedVenue().scenario("dev", ("workloads", "suites/ingress")).policies
        testbed.apply([*denied, *(one for one in selects_hello if one.name == "ingress-deny")])
        (result,) = testbed.probe([cell.probe], DEFAULT_DEADLINE)
    assert result.verdict is Verdict.TIMEOUT
    assert result.detail == "unexpected answer: HTTP status 503"
    assert result.backend == "nodeport-lab/gateway-0"
    last = result.decisions[-1]
    assert (Direction.INGRESS, Action.DENY) == (last.direction, last.action)
    assert last.policy == "ingress-deny"


def test_a_sign_in_follows_policy_over_all_of_its_connections() -> None:
    """A browser is sent on; the portal calls on its behalf, and its policy decides on that."""
    made = run("calico-iptables", suite="remedy-oauth2-before")
    found = {
        (cell.policy, cell.server): cell for cell in made.observations if cell.relation is not None
    }
    assert "haproxy" not in made.versions
    assert found["no-policy", "portal-b"].verdict is Verdict.ALLOWED, found["no-policy", "portal-b"]
    assert found["portal-to-issuer", "portal-a"].verdict is Verdict.ALLOWED
    denied = found["portal-to-issuer", "portal-b"]
    assert denied.verdict is Verdict.TIMEOUT
    last = denied.decisions[-1]
    assert ("dev-worker2", "portal-to-issuer", Action.DENY) == (last.node, last.policy, last.action)
    assert last.seen_destination.endswith(":30091")


def test_a_portal_rejects_an_issuer_by_another_name() -> None:
    """The packets arrive, and the sign-in fails all the same."""
    made = run("cilium-kpr", suite="remedy-oauth2-internal-url")
    told = {cell.detail for cell in made.observations if cell.server == "portal-a"}
    assert len(told) == 1
    assert str(*told).startswith("unexpected answer: HTTP status 502: the portal does not trust")
    assert str(*told).endswith("not http://issuer.nodeport-lab.svc.cluster.local")


def test_a_missing_program_is_told_before_anything_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One sentence names the program and the package; no lab was started."""
    monkeypatch.setattr(programs, "find_program", lambda _name: None)
    testbed = EmbeddedTestbed(gateway_scenario(), CALICO, {})
    with pytest.raises(PrerequisiteError, match=r"haproxy is missing.*apt-get install haproxy"):
        testbed.__enter__()
    with pytest.raises(TestbedError, match="not running"):
        testbed.lab  # noqa: B018 - it is asked for
    answerable, reasons = runnable(questions_of("remedy-gateway", ["cilium"]))
    assert ["remedy-gateway-before"] == [question.suite for question in answerable]
    assert all("haproxy is missing" in reason for reason in reasons)
    with pytest.raises(LabError, match="remedy-gateway-proxy runs programs in pods"):
        run("cilium", suite="remedy-gateway-proxy")


def test_a_program_that_cannot_start_is_told_in_its_own_words() -> None:
    """A broken configuration is not waited for, and HAProxy's complaint is passed on."""
    found = gateway_scenario()
    command = ("haproxy", "-db", "-f", "haproxy.cfg")
    broken = Program("haproxy", command, (("haproxy.cfg", "nonsense\n"),))
    pods = (replace(pod, program=pod.program and broken) for pod in found.pods)
    scenario = replace(found, pods=tuple(pods))
    with (
        pytest.raises(TestbedError, match=r"gateway-0 does not listen .*unknown keyword"),
        EmbeddedTestbed(scenario, CALICO, {}),
    ):
        pass


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_whatever_ends_the_owner_ends_the_proxy(number: int) -> None:
    """After kill -9 and after Ctrl-C no HAProxy of the lab is left."""
    with subprocess.Popen(
        [sys.executable, "-c", OWNER],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as owner:
        assert owner.stdout is not None
        running = proxies_below(int(owner.stdout.readline()))
        assert running
        os.kill(owner.pid, number)
    until = time.monotonic() + 5
    while alive := {pid for pid in running if Path(f"/proc/{pid}").exists()}:
        assert time.monotonic() < until, alive
        time.sleep(0.02)
