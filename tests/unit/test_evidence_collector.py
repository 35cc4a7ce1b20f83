"""Which commands read the evidence, in which pods, and what becomes of their failures.

The cluster is imitated: a table of what commands print. Samples: see
`support/node_samples.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Any

import pytest
from support.node_samples import (
    BPF_CONNECTIONS,
    OWN_NODE,
    POLICY,
    VERDICT_LINE,
    line,
    listed,
    programs,
    saved,
)

from nodeport_lab.errors import TestbedError
from nodeport_lab.model import Action, Client, ClientKind, Direction, Protocol
from nodeport_lab.testbeds.cluster.evidence import DecisionWitness, Evidence, collector

CALLER = Client("client-a", ClientKind.POD, "dev-worker")
OUTSIDE = Client("external", ClientKind.EXTERNAL)
NODES = {"dev-worker": "node-1", "dev-worker2": "node-2"}
NOW = "2026-11-23T10:15:00Z"


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """An imitated monitor listens from the beginning."""
    monkeypatch.setattr(collector, "_WARM_UP", 0.0)


@dataclass(frozen=True, slots=True)
class Ended:
    """How an imitated command ended."""

    stdout: str = ""
    stderr: str = ""
    exit_code: int | None = 0
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class Flow:
    """A connection of the caller."""

    client: Client = CALLER
    address: str = "172.18.0.3"
    port: int = 30080
    protocol: Protocol = Protocol.TCP
    source_port: int = 40001


@dataclass
class Imitation:
    """A cluster: pods on nodes, and what each command prints there, reading after reading."""

    labels: str
    namespace: str
    prints: dict[tuple[str, str], list[Ended | Exception]]
    calls: list[tuple[str, str, str | None, tuple[str, ...]]] = field(default_factory=list)

    def list(
        self,
        api_version: str,
        kind: str,
        namespace: str | None = None,
        labels: str | None = None,
    ) -> list[dict[str, Any]]:
        """The agents, in the one namespace that has them; elsewhere one may not look."""
        assert ("v1", "Pod") == (api_version, kind)
        if namespace != self.namespace:
            raise TestbedError(f"may not list pods in {namespace}")
        return [
            {"metadata": {"name": f"agent-{number}"}, "spec": {"nodeName": f"node-{number}"}}
            for number in (1, 2, 3)
            if labels == self.labels
        ]

    def execute(
        self,
        namespace: str,
        pod: str,
        command: Sequence[str],
        *,
        container: str | None = None,
        deadline: float,
    ) -> Ended:
        """The next thing that the command prints in that pod; the last one again and again."""
        assert deadline > 0
        self.calls.append((namespace, pod, container, tuple(command)))
        name = "monitor" if "monitor" in command else " ".join(command[:2])
        answers = self.prints.get((pod, name), [Ended(exit_code=127, stderr="not found\n")])
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def watched(cluster: Imitation, dataplane: str) -> Evidence:
    """Evidence of that cluster; the caller's address is known, others are not."""
    return Evidence(
        cluster,
        dataplane,
        NODES,
        lambda client: IPv4Address("10.244.1.7") if client in {CALLER, OUTSIDE} else None,
        listen=0.1,
    )


def test_iptables_is_read_before_and_after() -> None:
    """In calico-node, on the nodes of the scenario and on no other; the table after."""
    cluster = Imitation(
        "k8s-app=calico-node",
        "calico-system",
        {
            ("agent-1", "iptables-nft-save -c"): [Ended(saved(1, 1)), Ended(saved(4, 1))],
            ("agent-1", "conntrack -L"): [Ended(OWN_NODE)],
        },
    )
    evidence = watched(cluster, "calico-iptables")

    evidence.before([Flow()])
    (found,) = evidence.after([Flow()])

    assert {"agent-1", "agent-2"} == {pod for _, pod, _, _ in cluster.calls}
    assert {("calico-system", "calico-node")} == {
        (where, what) for where, _, what, _ in cluster.calls
    }
    assert [(POLICY, 3)] == [(hit.chain, hit.packets) for hit in evidence.hits["dev-worker"]]
    assert found.conntrack is not None
    assert "10.244.2.9:8080" == found.conntrack.destination
    assert () == found.decisions


def test_what_can_be_read_is_only_read() -> None:
    """No command changes anything: no counter is set to nothing, no entry deleted."""
    for dataplane in ("calico-iptables", "calico-nftables", "calico-ebpf", "cilium", "cilium-kpr"):
        kind = dataplane.partition("-")[0]
        label = {"calico": "k8s-app=calico-node", "cilium": "k8s-app=cilium"}[kind]
        cluster = Imitation(label, "kube-system", {("agent-1", "hubble status"): [Ended()]})
        evidence = watched(cluster, dataplane)
        evidence.before([Flow()])
        evidence.after([Flow()])

        assert cluster.calls
        for *_, command in cluster.calls:
            assert not {"-Z", "-D", "-F", "flush", "reset", "delete"} & set(command)


def test_the_legacy_backend_is_found() -> None:
    """Where Felix writes legacy rules, the other backend prints none of Calico's."""
    cluster = Imitation(
        "k8s-app=calico-node",
        "kube-system",
        {
            ("agent-1", "iptables-nft-save -c"): [Ended("*filter\nCOMMIT\n")],
            ("agent-1", "iptables-legacy-save -c"): [Ended(saved(0, 0)), Ended(saved(0, 2))],
        },
    )
    evidence = watched(cluster, "calico-iptables")
    evidence.before([Flow()])
    evidence.after([Flow()])

    assert [True] == [hit.dropped for hit in evidence.hits["dev-worker"]]


def test_nftables_is_read_as_json() -> None:
    """Of Calico's own table."""
    cluster = Imitation(
        "k8s-app=calico-node",
        "kube-system",
        {("agent-1", "nft -j"): [Ended(listed(0, 0)), Ended(listed(0, 1))]},
    )
    evidence = watched(cluster, "calico-nftables")
    evidence.before([Flow()])
    evidence.after([Flow()])

    assert [True] == [hit.dropped for hit in evidence.hits["dev-worker"]]


def test_without_conntrack_the_kernels_file_is_read() -> None:
    """Cilium's image has no such program."""
    cluster = Imitation(
        "k8s-app=cilium",
        "kube-system",
        {
            ("agent-1", "hubble status"): [Ended()],
            ("agent-1", "date -u"): [Ended(f"{NOW}\n")],
            ("agent-1", "hubble observe"): [Ended()],
            ("agent-1", "cat /proc/net/nf_conntrack"): [Ended(OWN_NODE)],
        },
    )
    evidence = watched(cluster, "cilium")
    evidence.before([Flow()])

    assert evidence.after([Flow()])[0].conntrack is not None


def hubble(*lines: str) -> Imitation:
    """A cluster whose first node has Hubble, which prints these lines."""
    return Imitation(
        "k8s-app=cilium",
        "kube-system",
        {
            ("agent-1", "hubble status"): [Ended("Healthcheck (via unix:///…): Ok\n")],
            ("agent-1", "date -u"): [Ended(f"{NOW}\n")],
            ("agent-1", "hubble observe"): [Ended("\n".join(lines))],
        },
    )


def test_hubble_is_asked_for_what_came_since_the_nodes_own_time() -> None:
    """This machine's clock may be another."""
    cluster = hubble(line())
    evidence = watched(cluster, "cilium-kpr")

    evidence.before([Flow()])
    (found,) = evidence.after([Flow()])

    observed = [command for *_, command in cluster.calls if command[1:2] == ("observe",)]
    assert [NOW] == [command[command.index("--since") + 1] for command in observed]
    (decision,) = found.decisions
    assert (Action.DENY, "dev-worker", "172.18.0.4:30080") == (
        decision.action,
        decision.node,
        decision.seen_destination,
    )


def test_a_decision_belongs_to_the_flow_of_its_source() -> None:
    """By address, port and protocol of the client; a repeated packet decides nothing new."""
    evidence = watched(hubble(line(), line()), "cilium-kpr")
    flows = [Flow(), Flow(source_port=40002), Flow(protocol=Protocol.UDP)]

    evidence.before(flows)

    assert [1, 0, 0] == [len(found.decisions) for found in evidence.after(flows)]


def test_egress_comes_before_ingress() -> None:
    """In the order of the packet, whichever node tells first."""
    allowed: dict[str, Any] = {"verdict": "FORWARDED", "policy_match_type": 2}
    told = (line(**allowed, traffic_direction="INGRESS"), line(**allowed))
    evidence = watched(hubble(*told), "cilium-kpr")
    evidence.before([Flow()])

    (found,) = evidence.after([Flow()])

    assert [Direction.EGRESS, Direction.INGRESS] == [one.direction for one in found.decisions]


def test_decisions_that_contradict_each_other_are_no_evidence() -> None:
    """Denied and allowed on one side: something else is mixed in, and it is said."""
    told = (line(), line(verdict="FORWARDED", policy_match_type=2))
    evidence = watched(hubble(*told), "cilium-kpr")
    evidence.before([Flow()])

    (found,) = evidence.after([Flow()])

    assert () == found.decisions
    assert any("differ" in reason for reason in found.missing)


def test_without_hubble_the_monitor_listens() -> None:
    """`timeout` ends it with 124, which is as it should be."""
    cluster = Imitation(
        "k8s-app=cilium",
        "kube-system",
        {
            ("agent-1", "hubble status"): [Ended(stderr="connection refused", exit_code=1)],
            ("agent-1", "monitor"): [Ended(VERDICT_LINE, exit_code=124)],
        },
    )
    evidence = watched(cluster, "cilium-kpr")

    evidence.before([Flow()])
    (found,) = evidence.after([Flow()])

    assert [Action.DENY] == [decision.action for decision in found.decisions]


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (Ended(exit_code=1, stderr="first\nPermission denied\n"), "Permission denied"),
        (Ended(exit_code=None, failure="the deadline passed"), "the deadline passed"),
        (Ended(exit_code=1), "no reason given"),
        (TestbedError("may not exec in pods"), "may not exec in pods"),
    ],
)
def test_what_cannot_be_read_is_none_with_a_reason(broken: Ended | Exception, reason: str) -> None:
    """A run goes on without evidence, and says why there is none."""
    cluster = Imitation(
        "k8s-app=calico-node",
        "kube-system",
        {
            ("agent-1", name): [broken]
            for name in (
                "iptables-nft-save -c",
                "iptables-legacy-save -c",
                "conntrack -L",
                "cat /proc/net/nf_conntrack",
            )
        },
    )
    cluster.prints |= {("agent-2", name): given for (_, name), given in cluster.prints.items()}
    evidence = watched(cluster, "calico-iptables")
    evidence.before([Flow()])

    (found,) = evidence.after([Flow()])

    assert found.conntrack is None
    assert {} == evidence.hits
    assert {"policy counters", "conntrack"} == evidence.unknown.keys()
    assert all(reason in why for why in evidence.unknown.values())
    assert all(reason in why for why in found.missing)


def test_a_table_that_is_none_is_a_reason_as_well() -> None:
    """Nft that prints something else does not end the run."""
    cluster = Imitation(
        "k8s-app=calico-node", "kube-system", {("agent-1", "nft -j"): [Ended("{}")]}
    )
    evidence = watched(cluster, "calico-nftables")
    evidence.before([Flow()])

    assert {} == evidence.hits
    assert "policy counters" in evidence.unknown


def test_without_an_agent_nothing_is_executed() -> None:
    """Another label, another namespace, or no right to look."""
    cluster = Imitation("k8s-app=another", "kube-system", {})
    evidence = watched(cluster, "cilium")

    evidence.before([Flow()])
    (found,) = evidence.after([Flow()])

    assert [] == cluster.calls
    assert "k8s-app=cilium" in evidence.unknown["node evidence"]
    assert found.missing


def test_calicos_ebpf_maps_are_read_by_calico_node() -> None:
    """Programs of every pod before and after, connections after."""
    cluster = Imitation(
        "k8s-app=calico-node",
        "calico-system",
        {
            ("agent-1", "sh -c"): [Ended(programs(0, 1)), Ended(programs(2, 1))],
            ("agent-1", "calico-node -bpf"): [Ended(BPF_CONNECTIONS)],
        },
    )
    evidence = watched(cluster, "calico-ebpf")
    evidence.before([Flow()])
    (found,) = evidence.after([Flow(address="172.18.0.9")])

    assert ["egress rule 1 of both met 2 packets"] == [
        str(hit) for hit in evidence.hits["dev-worker"]
    ]
    assert found.conntrack is not None
    assert "10.244.2.9:8080" == found.conntrack.destination


def test_a_node_without_programs_is_a_reason() -> None:
    """No pod of Calico's, or a version that prints something else."""
    cluster = Imitation(
        "k8s-app=calico-node",
        "calico-system",
        {(f"agent-{one}", "sh -c"): [Ended("Error: no such file\n")] for one in (1, 2)},
    )
    evidence = watched(cluster, "calico-ebpf")
    evidence.before([Flow()])
    evidence.after([Flow()])

    assert {} == evidence.hits
    assert "node node-1 has no program of a pod" == evidence.unknown["policy counters"]


def test_a_dataplane_that_nobody_knows_leaves_the_nodes_alone() -> None:
    """There are no pods to ask."""
    cluster = Imitation("k8s-app=calico-node", "kube-system", {})
    evidence = watched(cluster, "another")
    evidence.before([Flow()])

    assert 1 == len(evidence.after([Flow()]))
    assert [] == cluster.calls


def test_a_client_that_is_not_on_a_node_has_no_entry() -> None:
    """And one whose address is not known has nothing at all."""
    evidence = watched(hubble(), "cilium-kpr")
    stranger = Flow(client=Client("client-z", ClientKind.POD, "dev-worker"))

    outside, unknown = evidence.after([Flow(client=OUTSIDE), stranger])

    assert "conntrack: external is on no node" in outside.missing
    assert ("the address of client-z is not known",) == unknown.missing


def test_no_flows_need_no_evidence() -> None:
    """Nothing is asked for nothing."""
    cluster = hubble()
    evidence = watched(cluster, "cilium")

    evidence.before([])

    assert [] == evidence.after([])
    assert [] == cluster.calls


def test_a_witness_tells_translations_and_counters_in_words() -> None:
    """They are kept with the run; a counter is no decision on one connection."""
    cluster = Imitation(
        "k8s-app=calico-node",
        "calico-system",
        {
            ("agent-1", "iptables-nft-save -c"): [Ended(saved(1, 1)), Ended(saved(4, 2))],
            ("agent-1", "conntrack -L"): [Ended(OWN_NODE)],
        },
    )
    witness = DecisionWitness(watched(cluster, "calico-iptables"))
    witness.before([Flow()])
    witness.after([Flow()])

    translated, drop, rule = witness.told()
    assert translated.startswith("client-a 10.244.1.7:40001 to 172.18.0.3:30080: dev-worker sent")
    assert "10.244.2.9:8080" in translated
    assert rule.startswith("on dev-worker egress rule")
    assert rule.endswith("met 3 packets")
    assert drop.startswith("on dev-worker the drop at the end of cali-fw-")
    assert {"conntrack", "policy counters"} == witness.unknown().keys()  # of the other node


def test_a_witness_gives_decisions() -> None:
    """What a testbed takes."""
    witness = DecisionWitness(watched(hubble(line()), "cilium-kpr"))
    witness.before([Flow()])

    assert [1] == [len(decisions) for decisions in witness.after([Flow()])]
