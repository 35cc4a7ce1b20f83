"""A scenario in a cluster: what is created, what is dialled, what becomes of failures.

The cluster is imitated in memory (`support.live_cluster`); curl's command lines and its
output are those that `test_live_curl` tries with the real curl.
"""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, cast

import pytest
from support.live_cluster import LiveCluster, node

from nodeport_lab.cells import as_client, enumerate_cells, pod_clients
from nodeport_lab.dataplanes import find_dataplane
from nodeport_lab.errors import LabError, PrerequisiteError, TestbedError, UnknownNameError
from nodeport_lab.experiment import Question, runnable
from nodeport_lab.model import (
    Client,
    ClientKind,
    LabelSelector,
    NetworkPolicy,
    Protocol,
    Scenario,
    Verdict,
)
from nodeport_lab.suites import everyone
from nodeport_lab.testbeds.cluster.connection import Connection
from nodeport_lab.testbeds.cluster.enforcement import CANARY
from nodeport_lab.testbeds.cluster.testbed import ClusterTestbed
from nodeport_lab.testbeds.cluster.venue import Choices, ClusterVenue
from nodeport_lab.testbeds.interface import Probe, ProbeResult
from nodeport_lab.testbeds.live import LiveVenue
from nodeport_lab.variations import vary

FOLDERS = ("workloads", "services", "policies")
SUBNETS = {
    "kind": "ServiceCIDR",
    "metadata": {"name": "kubernetes"},
    "spec": {"cidrs": ["10.111.0.0/16"]},
}
POOL = {"metadata": {"name": "default"}, "spec": {"cidr": "10.42.0.0/16", "natOutgoing": True}}
CALICO = find_dataplane("calico-iptables")


@pytest.fixture
def cluster() -> LiveCluster:
    """A cluster that tells its subnets."""
    found = LiveCluster()
    found.add("ServiceCIDR", SUBNETS)
    found.add("IPPool", POOL)
    return found


def venue(cluster: LiveCluster, choices: Choices | None = None, **how: Any) -> ClusterVenue:  # noqa: ANN401
    """A venue on the imitated cluster."""
    settings = {"keep_addresses": False, "external": False, **how}
    return ClusterVenue(
        "live",
        lambda: cast("Connection", cluster),
        choices or Choices(patience=1),
        begin=cluster.begin,
        **settings,
    )


def probes(testbed: ClusterTestbed) -> list[Probe]:
    """Every probe of the scenario's own clients."""
    callers = [client for client in pod_clients(testbed.scenario) if testbed.has(client)]
    cells = enumerate_cells(testbed.scenario, testbed.network, callers)
    return [cell.probe for cell in cells]


def policy(scenario: Scenario, name: str) -> NetworkPolicy:
    """A policy by its name."""
    return next(one for one in scenario.policies if one.name == name)


def verdicts(results: Sequence[ProbeResult]) -> set[Verdict]:
    """What was met at all."""
    return {result.verdict for result in results}


def test_a_scenario_comes_and_goes(cluster: LiveCluster) -> None:
    """Everything that was created is deleted, and what was there before is still there."""
    before = dict(cluster.objects)
    place = venue(cluster)
    scenario = place.scenario("dev", FOLDERS)

    with place.open() as set_up, set_up(scenario, CALICO, {}) as testbed:
        names = {name for kind, _, name in cluster.objects if kind == "Pod"}
        assert {"hello-0", "client-a", "client-b", "canary-server"} < names
        assert 10 == len(probes(testbed))
        assert {Verdict.ALLOWED} == verdicts(testbed.probe(probes(testbed), 0.5))

    assert before == cluster.objects
    created = [line.removeprefix("create ") for line in cluster.log if line.startswith("create ")]
    deleted = [line.removeprefix("delete ") for line in cluster.log if line.startswith("delete ")]
    assert sorted(created) == sorted(deleted)


def test_the_scenario_has_the_cluster_s_addresses_and_its_own_names(cluster: LiveCluster) -> None:
    """Records of different clusters are compared by the names of the manifests."""
    place = venue(cluster)

    with place.open() as set_up, set_up(place.scenario("dev", FOLDERS), CALICO, {}) as testbed:
        network, scenario, facts = testbed.network, testbed.scenario, testbed.facts()

    assert {"dev-control-plane", "dev-worker", "dev-worker2"} == network.nodes.keys()
    assert "192.0.2.11" == str(network.nodes["dev-worker"])
    assert "10.42.0.0/16" == str(network.pod_cidr)
    assert "10.111.0.0/16" == str(network.service_cidr)
    assert "192.0.2.8/29" == str(network.node_cidr)
    (service,) = scenario.services
    assert service.ports[0].node_port not in {None, 30080}
    assert {"nodeport-lab"} == {pod.namespace for pod in scenario.pods}
    assert "worker-x" == facts.nodes["dev-worker"]


def test_policies_follow_the_cluster(cluster: LiveCluster) -> None:
    """Subnets, namespaces and node ports are the cluster's in what is applied."""
    place = venue(cluster)
    folders = (*FOLDERS, "suites/ports")
    scenario = place.scenario("dev", folders)

    with place.open() as set_up, set_up(scenario, CALICO, {}) as testbed:
        port = testbed.scenario.services[0].ports[0].node_port

        def applied(name: str) -> dict[str, Any]:
            testbed.apply([policy(scenario, name)])
            spec = next(
                found["spec"]
                for (kind, _, called), found in cluster.objects.items()
                if (kind, called) == ("NetworkPolicy", name)
            )
            return cast("dict[str, Any]", spec)

        nodes = applied("ipblock-nodes")["egress"][0]["to"][0]["ipBlock"]["cidr"]
        by_name = applied("namespaceselector")["egress"][0]["to"][0]["namespaceSelector"]
        by_port = applied("egress-port-node")["egress"][0]["ports"][0]["port"]

    assert "192.0.2.8/29" == nodes
    assert {"nodeport-lab-k3x7q"} == set(by_name["matchLabels"].values())
    assert port == by_port


def test_a_denied_cell_is_a_time_out_and_the_next_policy_replaces_the_last(
    cluster: LiveCluster,
) -> None:
    """Exactly the given policies are in force, none in the end."""
    cluster.lag = 0.3
    place = venue(cluster)
    scenario = place.scenario("dev", FOLDERS)

    with place.open() as set_up, set_up(scenario, CALICO, {}) as testbed:
        testbed.apply([policy(scenario, "deny-egress")])
        denied = testbed.probe(probes(testbed), 0.5)
        testbed.apply([])
        allowed = testbed.probe(probes(testbed), 0.5)

    assert {Verdict.TIMEOUT} == verdicts(denied)
    assert {Verdict.ALLOWED} == verdicts(allowed)
    enforced_after = testbed.facts().enforced_after_ms
    assert 300 <= (enforced_after["deny-egress"] or 0) < 1000


def test_a_policy_for_every_pod_spares_the_canaries(cluster: LiveCluster) -> None:
    """They must answer for the change of policies, not meet it."""
    place = venue(cluster)
    scenario = place.scenario("dev", FOLDERS)
    everyone = replace(policy(scenario, "deny-egress"), pod_selector=LabelSelector())

    with place.open() as set_up, set_up(scenario, CALICO, {}) as testbed:
        testbed.apply([everyone])
        applied = next(
            found
            for (kind, _, name), found in cluster.objects.items()
            if (kind, name) == ("NetworkPolicy", "deny-egress")
        )
        testbed.apply([])  # the canaries' way opens, although everyone's was closed

    expressions = applied["spec"]["podSelector"]["matchExpressions"]
    assert [{"key": CANARY, "operator": "DoesNotExist"}] == expressions


def test_where_policy_is_not_enforced_nothing_is_observed(cluster: LiveCluster) -> None:
    """A CNI that ignores policies would make every cell `allowed`."""
    cluster.lag = None
    place = venue(cluster, Choices(patience=0.3))
    scenario = place.scenario("dev", FOLDERS)

    with (
        pytest.raises(TestbedError, match="policy is not enforced in this cluster"),
        place.open() as set_up,
        set_up(scenario, CALICO, {}),
    ):
        pass

    assert not [key for key in cluster.objects if key[0] in {"Pod", "Namespace", "NetworkPolicy"}]


def test_where_canaries_cannot_be_asked_the_answer_is_inconclusive(cluster: LiveCluster) -> None:
    """An exec that fails says nothing about policy."""
    cluster.broken["canary-dev-worker"] = "container not found"
    place = venue(cluster, Choices(patience=0.3))
    scenario = place.scenario("dev", FOLDERS)

    with (
        pytest.raises(TestbedError, match=r"inconclusive .*dev-worker: .*container not found"),
        place.open() as set_up,
        set_up(scenario, CALICO, {}),
    ):
        pass


def test_a_policy_that_is_enforced_nowhere_later_on_is_told(cluster: LiveCluster) -> None:
    """The agent died in the middle of a run."""
    place = venue(cluster, Choices(patience=0.4))
    scenario = place.scenario("dev", FOLDERS)

    with place.open() as set_up, set_up(scenario, CALICO, {}) as testbed:
        testbed.apply([policy(scenario, "both")])
        cluster.lag = None
        with pytest.raises(TestbedError, match=r"not enforced within 0.4 s on dev-worker"):
            testbed.apply([policy(scenario, "deny-egress")])


def test_a_broken_exec_is_an_error_and_never_a_time_out(cluster: LiveCluster) -> None:
    """Only the cells of that client."""
    place = venue(cluster)
    scenario = place.scenario("dev", FOLDERS)

    with place.open() as set_up, set_up(scenario, CALICO, {}) as testbed:
        cluster.broken["client-a"] = "the connection broke"
        some = probes(testbed)
        results = testbed.probe(some, 0.5)

    of_a = [r for p, r in zip(some, results, strict=True) if p.client.name == "client-a"]
    of_b = [r for p, r in zip(some, results, strict=True) if p.client.name == "client-b"]
    assert {Verdict.ERROR} == verdicts(of_a)
    assert all("the connection broke" in str(result.detail) for result in of_a)
    assert {Verdict.ALLOWED} == verdicts(of_b)


def test_one_lost_packet_is_no_denial(cluster: LiveCluster) -> None:
    """The second connection is answered."""
    place = venue(cluster)
    scenario = place.scenario("dev", FOLDERS)
    silent = {"exitcode": 28, "time_connect": 0, "time_total": 0.5}
    seen: set[tuple[str, str, int]] = set()

    def once(pod: str, address: str, port: int) -> dict[str, Any] | None:
        if (pod, address, port) in seen:
            return None
        seen.add((pod, address, port))
        return silent

    with place.open() as set_up, set_up(scenario, CALICO, {}) as testbed:
        cluster.answer = once
        results = testbed.probe(probes(testbed), 0.5)
        cluster.answer = lambda _pod, _address, _port: silent
        again = testbed.probe(probes(testbed), 0.5)

    assert {Verdict.ALLOWED} == verdicts(results)
    assert {Verdict.TIMEOUT} == verdicts(again)


def test_a_source_port_in_use_is_replaced_by_another(cluster: LiveCluster) -> None:
    """Such a probe has sent nothing; only where it keeps failing is it an error."""
    place = venue(cluster)
    scenario = place.scenario("dev", FOLDERS)
    in_use = {"exitcode": 45, "errormsg": "bind failed with errno 98: Address in use"}
    times = iter([in_use, in_use, None])

    with place.open() as set_up, set_up(scenario, CALICO, {}) as testbed:
        one = probes(testbed)[:1]
        cluster.answer = lambda _pod, _address, _port: next(times)
        (found,) = testbed.probe(one, 0.5)
        cluster.answer = lambda _pod, _address, _port: in_use
        (never,) = testbed.probe(one, 0.5)

    assert Verdict.ALLOWED is found.verdict
    assert (Verdict.ERROR, "the source port was in use") == (never.verdict, never.detail)
    dialled = [command[command.index("--local-port") + 1] for _, command in cluster.execs]
    assert len(dialled) == len(set(dialled))


def test_the_only_backend_is_named_and_one_of_several_is_not(cluster: LiveCluster) -> None:
    """Who has answered is known where nobody else can have."""
    place = venue(cluster)
    scenario = place.scenario("dev", FOLDERS)

    with place.open() as set_up:
        with set_up(scenario, CALICO, {}) as testbed:
            one = {result.backend for result in testbed.probe(probes(testbed), 0.5)}
        with set_up(vary(scenario, {"backend": "both"}), CALICO, {}) as testbed:
            some = probes(testbed)
            both = testbed.probe(some, 0.5)
            by_pod = {
                result.backend
                for probe, result in zip(some, both, strict=True)
                if probe.address in map(str, testbed.network.pods.values())
            }

    assert {"nodeport-lab/hello-0"} == one
    assert {"nodeport-lab/hello-0", "nodeport-lab/hello-0-copy"} == by_pod
    assert None in {result.backend for result in both}


def test_who_is_a_client_here(cluster: LiveCluster) -> None:
    """Pods with curl are; servers, processes on nodes and machines outside are not."""
    place = venue(cluster)
    scenario = place.scenario("dev", FOLDERS)

    with place.open() as set_up, set_up(scenario, CALICO, {}) as testbed:
        server = next(pod for pod in testbed.scenario.pods if pod.ports)
        assert all(map(testbed.has, pod_clients(testbed.scenario)))
        assert testbed.has(Client(server.name, ClientKind.POD, server.node, server))
        assert not testbed.has(Client("host:dev-worker", ClientKind.HOST, "dev-worker"))
        assert not testbed.has(Client("external", ClientKind.EXTERNAL))
    with venue(cluster, external=True).open() as set_up:
        there = set_up(scenario, CALICO, {})
        assert there.has(Client("external", ClientKind.EXTERNAL))
        assert not there.has(Client("external-routed", ClientKind.EXTERNAL))


def test_who_does_not_call_is_told_with_the_reason(cluster: LiveCluster) -> None:
    """A cell that is missing in a record should not be looked for."""
    place = venue(cluster)
    scenario = place.scenario("dev", FOLDERS)

    with place.open() as set_up, set_up(scenario, CALICO, {}) as testbed:
        facts = testbed.facts(everyone(testbed.scenario))

    assert (
        "host:dev-worker does not call, since no program can be run on a node itself",
        "host:dev-worker2 does not call, since no program can be run on a node itself",
        "external does not call, since this machine does not reach the nodes",
        "external-routed does not call, since no machine behind a router is at hand",
    ) == facts.left_out


def test_a_server_calls_by_the_container_beside_it(cluster: LiveCluster) -> None:
    """Its own image has no curl; a server without such a container does not call."""
    place = venue(cluster)
    scenario = place.scenario("dev", ("workloads", "services", "suites/udp", "policies"))

    with place.open() as set_up, set_up(scenario, CALICO, {}) as testbed:
        hello, echo = (as_client(pod) for pod in testbed.scenario.pods if pod.ports)
        (result,) = testbed.probe([Probe(hello, "10.111.0.9", 80)], 0.5)
        facts = testbed.facts([hello, echo])

    assert Verdict.ALLOWED is result.verdict
    assert "curl" == cluster.containers["hello-0"]
    assert None is cluster.containers["canary-dev-worker"]
    assert ("echo-0 does not call, since no container beside it has curl",) == facts.left_out


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_a_process_on_a_node_calls_where_a_command_leads_there(cluster: LiveCluster) -> None:
    """Imitated by `env` on this machine, and a port that nobody listens on."""
    asked: list[str] = []

    def on_node(node: str) -> tuple[str, ...]:
        asked.append(node)
        return ("env",) if node == "worker-x" else ("env", "no-such-program")

    place = venue(cluster, on_node=on_node)
    scenario = place.scenario("dev", FOLDERS)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]

    with place.open() as set_up, set_up(scenario, CALICO, {}) as testbed:
        there = [
            Client(f"host:{node}", ClientKind.HOST, node) for node in ("dev-worker", "dev-worker2")
        ]
        assert all(map(testbed.has, there))
        results = testbed.probe([Probe(one, "127.0.0.1", port) for one in there], 0.5)

    assert [Verdict.REFUSED, Verdict.ERROR] == [result.verdict for result in results]
    assert {"worker-x", "worker-y"} == set(asked)


def test_a_hundred_probes_a_second(cluster: LiveCluster) -> None:
    """With 100 ms for each exec; 80 targets of a client take four, side by side."""
    place = venue(cluster)
    scenario = place.scenario("dev", FOLDERS)

    with place.open() as set_up, set_up(scenario, CALICO, {}) as testbed:
        many = probes(testbed) * 16
        cluster.latency, cluster.execs = 0.1, []
        start = time.perf_counter()
        results = testbed.probe(many, 0.5)
        rate = len(results) / (time.perf_counter() - start)

    assert 160 == len(results)
    assert len(cluster.execs) <= 8
    assert rate > 100


def test_udp_is_refused_with_a_reason(cluster: LiveCluster) -> None:
    """An error that says why, and no verdict."""
    place = venue(cluster)
    scenario = place.scenario("dev", FOLDERS)

    with place.open() as set_up, set_up(scenario, CALICO, {}) as testbed:
        (result,) = testbed.probe([replace(probes(testbed)[0], protocol=Protocol.UDP)], 0.5)

    assert Verdict.ERROR is result.verdict
    assert "UDP is not probed on a cluster" in str(result.detail)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_this_machine_calls_as_the_client_outside(cluster: LiveCluster) -> None:
    """By its own curl, here against a port of its own that nobody listens on."""
    place = venue(cluster, external=True)
    scenario = place.scenario("dev", FOLDERS)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]

    with place.open() as set_up, set_up(scenario, CALICO, {}) as testbed:
        outside = Client("external", ClientKind.EXTERNAL)
        (result,) = testbed.probe([Probe(outside, "127.0.0.1", port)], 0.5)

    assert Verdict.REFUSED is result.verdict


# --- the namespace, and who else is there ------------------------------------------------


def given(cluster: LiveCluster, **labels: str) -> Choices:
    """A namespace that is there already."""
    cluster.add("Namespace", {"metadata": {"name": "team-a", "labels": labels}})
    return Choices(namespace="team-a", patience=1)


def foreign(selector: dict[str, Any]) -> dict[str, Any]:
    """A policy that somebody else has made."""
    metadata = {"name": "default-deny", "namespace": "team-a"}
    return {"metadata": metadata, "spec": {"podSelector": selector, "policyTypes": ["Ingress"]}}


def test_a_given_namespace_is_used_and_stays(cluster: LiveCluster) -> None:
    """No namespace is created or deleted."""
    place = venue(cluster, given(cluster))

    with place.open() as set_up, set_up(place.scenario("dev", FOLDERS), CALICO, {}):
        assert {"team-a"} == {key[1] for key in cluster.objects if key[0] == "Pod"}

    assert ("Namespace", None, "team-a") in cluster.objects
    assert not [line for line in cluster.log if "Namespace" in line]


def test_somebody_else_s_policy_that_selects_our_pods_is_refused(cluster: LiveCluster) -> None:
    """Results would be of both."""
    place = venue(cluster, given(cluster))
    cluster.add("NetworkPolicy", foreign({}))

    refused = pytest.raises(PrerequisiteError, match=r"team-a/default-deny is not the lab's")
    with place.open() as set_up, refused:
        set_up(place.scenario("dev", FOLDERS), CALICO, {})

    assert [] == cluster.log


def test_somebody_else_s_policy_for_other_pods_is_left_alone(cluster: LiveCluster) -> None:
    """It has no say here."""
    place = venue(cluster, given(cluster))
    cluster.add("NetworkPolicy", foreign({"matchLabels": {"app": "shop"}}))

    with place.open() as set_up, set_up(place.scenario("dev", FOLDERS), CALICO, {}):
        pass

    assert ("NetworkPolicy", "team-a", "default-deny") in cluster.objects


def test_somebody_else_s_policy_of_the_same_name_is_never_replaced(cluster: LiveCluster) -> None:
    """The API refuses a second one, and the first is not deleted on the way out."""
    place = venue(cluster, given(cluster))
    other = foreign({"matchLabels": {"app": "shop"}})
    other["metadata"]["name"] = "deny-egress"
    cluster.add("NetworkPolicy", other)
    scenario = place.scenario("dev", FOLDERS)

    refused = pytest.raises(LabError, match="exists already")
    with refused, place.open() as set_up, set_up(scenario, CALICO, {}) as testbed:
        testbed.apply([policy(scenario, "deny-egress")])

    assert {"app": "shop"} == (
        cluster.objects["NetworkPolicy", "team-a", "deny-egress"]["spec"]["podSelector"][
            "matchLabels"
        ]
    )


def test_an_interrupt_leaves_nothing_behind(cluster: LiveCluster) -> None:
    """Ctrl-C in the middle of a run."""
    before = dict(cluster.objects)
    place = venue(cluster)
    scenario = place.scenario("dev", FOLDERS)

    def interrupted() -> None:
        with place.open() as set_up, set_up(scenario, CALICO, {}) as testbed:
            testbed.apply([policy(scenario, "both")])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()

    assert before == cluster.objects


def test_missing_rights_are_told_before_anything_is_created(cluster: LiveCluster) -> None:
    """With what each is for."""
    cluster.denied = {("create", "pods/exec"), ("create", "namespaces")}

    with (
        pytest.raises(PrerequisiteError, match=r"create pods/exec \(curl .*create namespaces"),
        venue(cluster).open(),
    ):
        pass
    assert [] == cluster.log


def test_a_namespace_that_is_not_there_is_refused(cluster: LiveCluster) -> None:
    """It is not created under a name that was meant to exist."""
    with (
        pytest.raises(PrerequisiteError, match="there is no namespace team-b"),
        venue(cluster, Choices(namespace="team-b")).open(),
    ):
        pass


@pytest.mark.parametrize(("standard", "there"), [("privileged", True), ("restricted", False)])
def test_clients_in_the_node_s_network_come_where_they_are_admitted(
    cluster: LiveCluster,
    standard: str,
    there: bool,  # noqa: FBT001 - an expectation
) -> None:
    """Where the Pod Security Standard forbids them they are left out, and it is said."""
    cluster.add("Node", node("worker-z", "192.0.2.13"))
    choices = given(cluster, **{"pod-security.kubernetes.io/enforce": standard})
    place = venue(cluster, choices)
    scenario = place.scenario("atlas", ("workloads", "suites/actors", "services"))
    client = next(one for one in pod_clients(scenario) if one.name == "host-pod-a")

    with place.open() as set_up, set_up(scenario, CALICO, {}) as testbed:
        assert there is testbed.has(client)
        assert there is (("Pod", "team-a", "host-pod-a") in cluster.objects)
        assert there is not any("host-pod-a" in one for one in testbed.facts().left_out)


def test_a_dry_run_creates_nothing_and_says_everything(cluster: LiveCluster) -> None:
    """Pods with their nodes, Services, policies, and what would be dialled."""
    place = venue(cluster)

    lines = place.preview(place.scenario("dev", FOLDERS))

    assert [] == cluster.log
    assert [] == cluster.execs
    text = "\n".join(lines)
    assert "create Namespace nodeport-lab-RUN (Pod Security Standard restricted)" in text
    assert "create Pod nodeport-lab-RUN/client-a on node worker-x (dev-worker)" in text
    assert "create Pod nodeport-lab-RUN/canary-server" in text
    assert "create NetworkPolicy nodeport-lab-RUN/ipblock-nodes" in text
    assert "dial from nodeport-lab-RUN/client-b" in text
    assert "delete all of it again" == lines[-1]


# --- what the cluster is, and what the user says it is -------------------------------------


def test_too_few_nodes_are_refused_before_anything_is_created(cluster: LiveCluster) -> None:
    """The atlas has three workers, this cluster two."""
    with pytest.raises(PrerequisiteError, match="3 workers and this cluster only 2"):
        venue(cluster).scenario("atlas", FOLDERS)


def test_a_policy_that_needs_an_unknown_subnet_is_refused_with_the_reason() -> None:
    """And accepted once the user states it."""
    cluster = LiveCluster()

    with pytest.raises(PrerequisiteError, match=r"'pods'.*pods: there is no IPPool"):
        venue(cluster).scenario("dev", FOLDERS)
    pods, services = IPv4Network("10.42.0.0/16"), IPv4Network("10.111.0.0/16")
    stated = venue(cluster, Choices(pod_cidr=pods, service_cidr=services))
    assert pods == stated.scenario("dev", FOLDERS).pod_cidr


def test_what_is_stated_and_what_is_found_must_agree(cluster: LiveCluster) -> None:
    """A subnet, a dataplane and an option that the cluster says otherwise."""
    with pytest.raises(PrerequisiteError, match=r"subnet of the pods is 10.42.0.0/16 \(IPPool\)"):
        venue(cluster, Choices(pod_cidr=IPv4Network("10.9.0.0/16"))).scenario("dev", FOLDERS)
    cluster.add(
        "FelixConfiguration",
        {"metadata": {"name": "default"}, "spec": {"nftablesMode": "Disabled"}},
    )
    place = venue(cluster)
    assert {"encapsulation": "None", "natOutgoing": "Enabled"}.items() <= place.options(
        CALICO, {}
    ).items()
    with pytest.raises(
        PrerequisiteError, match=r"natOutgoing=Enabled \(IPPool\), not natOutgoing=D"
    ):
        place.options(CALICO, {"natOutgoing": "Disabled"})
    with pytest.raises(PrerequisiteError, match="runs calico-iptables"):
        place.options(find_dataplane("cilium"), {})
    assert place.obstacle(find_dataplane("cilium"), {}) is not None
    assert place.obstacle(CALICO, {}) is None


def test_questions_about_other_clusters_are_parted_with_their_reasons(
    cluster: LiveCluster,
) -> None:
    """Another dataplane or option does not keep the cluster's own questions from running."""
    cluster.add(
        "FelixConfiguration",
        {"metadata": {"name": "default"}, "spec": {"nftablesMode": "Disabled"}},
    )
    own = Question("calico-iptables", {"natOutgoing": "Enabled"})
    others = [Question("calico-iptables", {"natOutgoing": "Disabled"}), Question("cilium")]
    answerable, reasons = runnable([others[0], own, others[1]], venue(cluster))

    assert [own] == answerable
    assert [
        "calico-iptables with natOutgoing=Disabled: this cluster has natOutgoing=Enabled",
        "cilium: this cluster runs calico-iptables",
    ] == [reason.partition(" (")[0] for reason in reasons]


def test_an_option_that_nobody_knows_is_absent_and_one_that_does_not_exist_is_refused(
    cluster: LiveCluster,
) -> None:
    """What is not known is not filled in with a default."""
    place = venue(cluster)
    cilium = find_dataplane("cilium")
    del cluster.objects["IPPool", None, "default"]

    assert {"policyCIDRMatchMode": "nodes"} == place.options(
        cilium, {"policyCIDRMatchMode": "nodes"}
    )
    with pytest.raises(UnknownNameError):
        place.options(cilium, {"natOutgoing": "Enabled"})
    with pytest.raises(UnknownNameError):
        place.options(cilium, {"policyCIDRMatchMode": "all"})
    assert "live" == place.basis(cilium)


def test_other_kinds_of_policies_are_reported(cluster: LiveCluster) -> None:
    """They may have a say, and the lab does not read them."""
    cluster.add("CiliumClusterwideNetworkPolicy", {"metadata": {"name": "lockdown"}})

    place = venue(cluster)
    scenario = place.scenario("dev", FOLDERS)

    with place.open() as set_up, set_up(scenario, CALICO, {}) as testbed:
        others = testbed.facts().other_policies

    assert ("CiliumClusterwideNetworkPolicy lockdown",) == others
    assert any("not touched: Cilium" in line for line in place.preview(scenario))


def test_the_live_venue_asks_nothing_before_it_must(tmp_path: Path) -> None:
    """A wrong context is told, with those that exist, when the cluster is first needed."""
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text(
        "{apiVersion: v1, kind: Config, current-context: dev, users: [{name: u, user: {}}], "
        "clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}], "
        "contexts: [{name: dev, context: {cluster: c, user: u}}]}"
    )
    place = LiveVenue("prod", Choices(namespace="team-a"), kubeconfig=kubeconfig)

    assert ("live", "prod", 1, 1) == (
        place.name,
        place.context,
        place.at_once,
        place.spread,
    )
    with pytest.raises(UnknownNameError, match="'prod'; choose one of: dev"):
        place.scenario("dev", FOLDERS)
    place.close()
