"""Evidence on the nodes of a cluster, by commands that only read.

`Evidence.before()` is called when policies are in force and before connections are tried,
`Evidence.after()` when they have ended; the testbed gives its flows to both and each client
port to one flow at a time:

    evidence = Evidence(connection, "calico-iptables", nodes, address_of)
    evidence.before(flows)
    ...                                  # the connections
    for found in evidence.after(flows):  # one for each flow, in order
        found.decisions, found.conntrack, found.missing
    evidence.hits                        # node -> Calico's rules that met packets
    evidence.unknown                     # what could not be read -> why

| dataplane | pod on each node | what it is asked for |
|---|---|---|
| calico-iptables | calico-node | `iptables-nft-save -c -t filter`, or legacy; conntrack |
| calico-nftables | calico-node | `nft -j list table ip calico`; conntrack |
| cilium | cilium | policy verdicts; conntrack, since kube-proxy translates by it |
| cilium-kpr, cilium-kpr-hostns | cilium | policy verdicts |
| calico-ebpf | calico-node | `calico-node -bpf policy dump`, of each pod, and `conntrack dump` |

Policy verdicts are those of `hubble observe`, or of `cilium-dbg monitor` where Hubble is off.
Conntrack is `conntrack -L -o extended`, or `/proc/net/nf_conntrack` where the image lacks
the program. The monitor's text is read, since it has no JSON form of a policy verdict
(pkg/monitor/datapath_policy.go prints the same line with `--json`). What cannot be read is None
with a reason, and never fails a run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Protocol as Interface

from nodeport_lab.errors import LabError
from nodeport_lab.model import Client, Decision, Direction, Protocol
from nodeport_lab.testbeds.cluster.evidence import (
    calico_bpf,
    calico_counters,
    cilium_verdicts,
    conntrack,
)
from nodeport_lab.testbeds.cluster.evidence.agents import DEADLINE, Agents, Cluster

LISTEN = 15.0  # seconds that the monitor is listened to where Hubble is off
_WARM_UP = 1.0  # seconds until a monitor that was started listens

_CONNTRACK = (("conntrack", "-L", "-o", "extended"), ("cat", "/proc/net/nf_conntrack"))
_IPTABLES = (
    ("iptables-nft-save", "-c", "-t", "filter"),
    ("iptables-legacy-save", "-c", "-t", "filter"),
)
_NFTABLES = (("nft", "-j", "list", "table", "ip", "calico"),)
_BPF_CONNTRACK = (("calico-node", "-bpf", "conntrack", "dump"),)
_BPF_POLICIES = (
    (
        "sh",
        "-c",
        "for i in /sys/class/net/cali*; do calico-node -bpf policy dump ${i##*/} all; done",
    ),
)
_NOW = (("date", "-u", "+%Y-%m-%dT%H:%M:%SZ"),)
_HUBBLE = ("hubble", "observe", "--type", "policy-verdict", "-o", "jsonpb", "--since")
_HUBBLE_ON = (("hubble", "status"),)
_MONITOR = ("cilium-dbg", "monitor", "-t", "policy-verdict", "-t", "drop")


class Flow(Interface):
    """A connection by the addresses that its client knows; `cluster.testbed.Flow` is one."""

    @property
    def client(self) -> Client:
        """Who calls."""

    @property
    def address(self) -> str:
        """What it dials."""

    @property
    def port(self) -> int:
        """The port it dials."""

    @property
    def protocol(self) -> Protocol:
        """Over what."""

    @property
    def source_port(self) -> int:
        """The client's own port."""


@dataclass(frozen=True, slots=True)
class ProbeEvidence:
    """What a connection left behind on the nodes.

    Attributes:
        decisions: evaluations of policy, egress before ingress; empty where there is no
            evidence of any.
        conntrack: the connection on the client's node; None where there is none, or it
            could not be read.
        missing: why something is not known, a sentence each.
    """

    decisions: tuple[Decision, ...] = ()
    conntrack: conntrack.Entry | None = None
    missing: tuple[str, ...] = ()


@dataclass(slots=True)
class Evidence:
    """Reads the nodes before and after connections are tried.

    Attributes:
        cluster: a connection to it.
        dataplane: name of the dataplane, which decides what there is to read.
        nodes: node of the scenario -> node of the cluster.
        address_of: the address from which a client calls on its node; None: not known.
        listen: seconds of the monitor where Hubble is off; connections must end within.
        hits: node of the scenario -> Calico's rules that met packets between the readings.
    """

    cluster: Cluster
    dataplane: str
    nodes: Mapping[str, str]
    address_of: Callable[[Client], IPv4Address | None]
    listen: float = LISTEN
    hits: dict[str, tuple[calico_counters.Hit, ...]] = field(default_factory=dict)
    _agents: Agents = field(init=False)
    _counted: dict[str, tuple[calico_counters.CountedRule, ...]] = field(default_factory=dict)
    _programs: dict[str, Mapping[calico_bpf.Rule, int]] = field(default_factory=dict)
    _since: dict[str, str] = field(default_factory=dict)
    _heard: dict[str, Future[str | None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Know whose pods to ask."""
        self._agents = Agents(self.cluster, self.dataplane.partition("-")[0], self.nodes)

    @property
    def unknown(self) -> dict[str, str]:
        """What could not be read -> why."""
        return self._agents.unknown

    def before(self, flows: Sequence[Flow]) -> None:
        """Take the first reading; policies are in force, and no connection is open yet."""
        self.hits.clear()
        self._counted.clear()
        self._programs.clear()
        self._since.clear()
        self._heard.clear()
        if not flows:
            return
        for node in self._agents.on:
            if self._counts:
                rules = self._rules(node)
                if rules is not None:
                    self._counted[node] = rules
            if self._loads and (counts := self._program(node)) is not None:
                self._programs[node] = counts
            if self._tells:
                self._listen(node)
        if self._heard:
            time.sleep(_WARM_UP)

    def after(self, flows: Sequence[Flow]) -> list[ProbeEvidence]:
        """Take the second reading and join it with the flows, in their order."""
        if not flows:
            return []
        entries = {
            node: found
            for node in self._agents.on
            if (self._tracks or self._loads) and (found := self._connections(node)) is not None
        }
        for node, before in self._counted.items():
            rules = self._rules(node)
            if rules is not None:
                self.hits[node] = calico_counters.hits(before, rules)
        for node, counted in self._programs.items():
            counts = self._program(node)
            if counts is not None:
                self.hits[node] = calico_bpf.hits(counted, counts)
        decided = self._decided() if self._tells else []
        return [self._joined(flow, entries, decided) for flow in flows]

    @property
    def _counts(self) -> bool:
        return self.dataplane in {"calico-iptables", "calico-nftables"}

    @property
    def _tells(self) -> bool:
        return self.dataplane.startswith("cilium")

    @property
    def _loads(self) -> bool:
        """Whether policies are eBPF programs of Calico's."""
        return self.dataplane == "calico-ebpf"

    @property
    def _tracks(self) -> bool:
        """Whether the kernel's connection table is what translates Services."""
        return self._counts or self.dataplane == "cilium"

    def _joined(
        self,
        flow: Flow,
        entries: Mapping[str, Sequence[conntrack.Entry]],
        decided: Sequence[tuple[Protocol, Decision]],
    ) -> ProbeEvidence:
        address = self.address_of(flow.client)
        if address is None:
            return ProbeEvidence(missing=(f"the address of {flow.client.name} is not known",))
        source = f"{address}:{flow.source_port}"
        missing = [f"{what}: {why}" for what, why in self.unknown.items()]
        entry = None
        if flow.client.node is None:
            missing.append(f"conntrack: {flow.client.name} is on no node")
        elif flow.client.node in entries:
            known = entries[flow.client.node]
            if self._loads:
                entry = calico_bpf.find(known, flow.protocol, source)
            else:
                dialled = f"{flow.address}:{flow.port}"
                entry = conntrack.find(known, flow.protocol, source, dialled)
        decisions = dict.fromkeys(
            one
            for protocol, one in decided
            if protocol is flow.protocol and one.seen_source == source
        )
        ordered = sorted(decisions, key=lambda one: one.direction is Direction.INGRESS)
        if len({one.direction for one in ordered}) < len(ordered):
            missing.append("policy verdicts: several on one side of the connection differ")
            ordered = []
        return ProbeEvidence(tuple(ordered), entry, tuple(missing))

    def _decided(self) -> list[tuple[Protocol, Decision]]:
        """Every decision that a node told of since `before`."""
        found = []
        for node, verdicts in self._verdicts():
            for verdict in verdicts:
                made = cilium_verdicts.decision(verdict, node)
                if made is not None:
                    found.append((verdict.protocol, made))
        return found

    def _verdicts(self) -> list[tuple[str, tuple[cilium_verdicts.PolicyVerdict, ...]]]:
        found = []
        for node, since in self._since.items():
            text = self._agents.read(node, "policy verdicts", ((*_HUBBLE, since),))
            if text is not None:
                found.append((node, cilium_verdicts.parse_hubble(text)))
        for node, heard in self._heard.items():
            text = heard.result()
            if text is not None:
                found.append((node, cilium_verdicts.parse_monitor(text, self.nodes[node])))
        return found

    def _listen(self, node: str) -> None:
        """Note the node's time, for Hubble; without it, have the monitor listen from now on."""
        if self._agents.read(node, "policy verdicts", _HUBBLE_ON, quietly=True) is not None:
            now = self._agents.read(node, "policy verdicts", _NOW)
            if now is not None:
                self._since[node] = now.strip()
            return
        pool = ThreadPoolExecutor(max_workers=1)
        command = ("timeout", f"{self.listen:g}", *_MONITOR)
        self._heard[node] = pool.submit(self._overhear, node, command)
        pool.shutdown(wait=False)

    def _overhear(self, node: str, command: Sequence[str]) -> str | None:
        """What the monitor printed; `timeout` ends it, which is no failure (exit code 124)."""
        return self._agents.read(
            node, "policy verdicts", (command,), good=(0, 124), deadline=self.listen + DEADLINE
        )

    def _connections(self, node: str) -> tuple[conntrack.Entry, ...] | None:
        commands = _BPF_CONNTRACK if self._loads else _CONNTRACK
        parse = calico_bpf.parse_conntrack if self._loads else conntrack.parse
        text = self._agents.read(node, "conntrack", commands)
        return None if text is None else parse(text)

    def _program(self, node: str) -> dict[calico_bpf.Rule, int] | None:
        """The counts of the policies' programs; an answer without any pod's is none."""
        what = "policy counters"
        text = self._agents.read(node, what, _BPF_POLICIES)
        if text is None:
            return None
        if "IfaceName: " not in text:
            self.unknown.setdefault(what, f"node {self.nodes[node]} has no program of a pod")
            return None
        return calico_bpf.parse_policies(text)

    def _rules(self, node: str) -> tuple[calico_counters.CountedRule, ...] | None:
        what = "policy counters"
        if self.dataplane == "calico-nftables":
            text = self._agents.read(node, what, _NFTABLES)
            try:
                return None if text is None else calico_counters.parse_nftables(text)
            except LabError as error:
                self.unknown[what] = str(error)
                return None
        for command in _IPTABLES:
            text = self._agents.read(node, what, (command,), quietly=command is not _IPTABLES[-1])
            rules = calico_counters.parse_iptables(text or "")
            if rules:
                return rules
        self.unknown.setdefault(what, f"node {self.nodes[node]} has no rules of Calico")
        return None


@dataclass(slots=True)
class DecisionWitness:
    """Evidence for a testbed: decisions, and the rest in words."""

    evidence: Evidence
    _told: list[str] = field(default_factory=list)

    def before(self, flows: Sequence[Flow]) -> None:
        """See `Evidence.before`."""
        self.evidence.before(flows)

    def after(self, flows: Sequence[Flow]) -> Sequence[tuple[Decision, ...]]:
        """The decisions on each flow, none where there is no evidence."""
        evidence = self.evidence.after(flows)
        self._told = [
            _translation(flow, found.conntrack)
            for flow, found in zip(flows, evidence, strict=True)
            if found.conntrack is not None
        ]
        self._told += [
            f"on {node} {hit}" for node, hits in self.evidence.hits.items() for hit in hits
        ]
        return [found.decisions for found in evidence]

    def told(self) -> Sequence[str]:
        """Translations that conntrack knows of, and Calico's rules that met packets."""
        return self._told

    def unknown(self) -> Mapping[str, str]:
        """See `Evidence.unknown`."""
        return self.evidence.unknown


def _translation(flow: Flow, entry: conntrack.Entry) -> str:
    state = f", {entry.state}" if entry.state else ""
    return (
        f"{flow.client.name} {entry.original.source} to {entry.original.destination}: "
        f"{flow.client.node} sent it to {entry.destination} as {entry.source}{state}"
    )
