"""The embedded testbed: a scenario on one dataplane, in a lab of network namespaces."""

from __future__ import annotations

import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

from nodeport_lab.dataplanes import CompiledPolicies, Dataplane
from nodeport_lab.dataplanes.names import (
    TUNNEL_DEVICE,
    client_namespace,
    host_interface,
    node_mac,
    node_namespace,
    pod_namespace,
    return_mark,
    tunnel_mac,
)
from nodeport_lab.dataplanes.nftables import Table, joined, transactions
from nodeport_lab.errors import PrerequisiteError, TestbedError
from nodeport_lab.manifests.programs import program_names
from nodeport_lab.model import (
    Action,
    Client,
    Decision,
    Direction,
    NetworkPolicy,
    Protocol,
    Scenario,
    Service,
    Verdict,
)
from nodeport_lab.services import outside_addresses
from nodeport_lab.testbeds.embedded import programs
from nodeport_lab.testbeds.embedded.addressing import (
    EXTERNAL,
    GATEWAY,
    NODE_CIDR,
    ROUTED,
    plan_network,
)
from nodeport_lab.testbeds.embedded.announcing import announcers
from nodeport_lab.testbeds.embedded.evidence import Evidence, read_records
from nodeport_lab.testbeds.embedded.lab import Lab
from nodeport_lab.testbeds.embedded.netfilter import find_nft
from nodeport_lab.testbeds.embedded.plan import Machine, NodeCable, Plan, PodCable
from nodeport_lab.testbeds.interface import Probe, ProbeResult

SECOND_LOOK = 4  # how many times the deadline a probe gets when nothing explains its silence
_UNREACHED = re.compile(r"HTTP status 50[34]")
"""What a program answers that did not reach the next one in time (RFC 9110, 15.6.4 and 15.6.5)."""
_AT_LEAST_OF_PROGRAMS = 10.0  # seconds, where several processes have to take their turns
_AT_LEAST = 2.0  # seconds of that second look, however busy the machine
# TCP says SYN again after 1 s (TCP_TIMEOUT_INIT of include/net/tcp.h). A second SYN may be sent
# to another backend than the first, so no connection is waited for so long.
_AT_A_TIME = 0.9  # seconds


class EmbeddedTestbed:
    """Real packets between network namespaces, filtered by real netfilter."""

    def __init__(
        self,
        scenario: Scenario,
        dataplane: Dataplane,
        options: Mapping[str, str],
        *,
        lab: Lab | None = None,
        terminal: bool = False,
    ) -> None:
        """Describe the testbed; nothing is created before it is entered.

        Args:
            scenario: what to build.
            dataplane: how packets and policies are treated.
            options: the dataplane's options; checked and completed.
            lab: a running lab to wire anew, which stays the caller's; None for one of
                its own.
            terminal: let commands run by `execute` use this terminal.
        """
        self.scenario = scenario
        self.dataplane = dataplane
        self.options = dataplane.complete(options)
        self._tunnel = dataplane.tunnel(self.options)
        self.network = plan_network(scenario, tunnel=self._tunnel is not None)
        self.versions = {
            "kernel": platform.release(),
            "nftables": nft_version(),
            **programs.versions(program_names(scenario)),
        }
        self._terminal = terminal
        self._generation = 0
        self._lost: frozenset[str] = frozenset()
        self._compiled: CompiledPolicies | None = None
        self._lab = lab
        self._owns_lab = lab is None

    def __enter__(self) -> Self:
        """Wire the lab, load the dataplane, start the servers; no policy is in force."""
        if problem := programs.missing(program_names(self.scenario)):
            raise PrerequisiteError(problem)
        if self._lab is None:
            self._lab = Lab(terminal=self._terminal)
        try:
            self._check_tunnel(self._lab)
            self._lab.request("wire", plan=self._plan().to_json())
            self._lab.request("serve", servers=self._servers())
            if orders := list(programs.orders(self.scenario)):
                self._lab.request("launch", programs=orders, hosts=self._hosts())
            self._translate()
            self.apply(())
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Remove the lab and everything in it, if it is this testbed's own."""
        self._leave()

    def _translate(self, *, anew: bool = False) -> None:
        """Load what rewrites addresses; `anew`: in place of what was loaded before."""
        tables = self.dataplane.translate(self.scenario, self.network, self.options)
        self.lab.request(
            "load",
            rulesets={
                namespace: joined(
                    text
                    for table in some
                    for text in (
                        *([f"delete table ip {table.name}\n"] if anew else ()),
                        *transactions(table),
                    )
                )
                for namespace, some in tables.items()
            },
        )

    def _check_tunnel(self, lab: Lab) -> None:
        kind = self._tunnel
        if kind is None or lab.request("has_device", kind=kind)["has"]:
            return
        others = [
            f"{name}={value}"
            for name, option in self.dataplane.options.items()
            for value in option.values
            if self.dataplane.tunnel({**self.options, name: value}) != kind
        ]
        raise PrerequisiteError(
            f"the kernel of this machine makes no {kind} devices, which {self.dataplane.name} "
            f"needs with these options; choose {' or '.join(others)}, or observe it on a live "
            "cluster"
        )

    def _leave(self) -> None:
        if self._owns_lab:
            self.lab.close()

    @property
    def lab(self) -> Lab:
        """The running lab.

        Raises:
            TestbedError: the testbed has not been entered.
        """
        if self._lab is None:
            raise TestbedError("the embedded testbed is not running; enter it with a with block")
        return self._lab

    def has(self, client: Client) -> bool:
        """Every client is there, but those on nodes that were lost."""
        return client.node not in self._lost

    def lose_announcer(self) -> str:
        """See Testbed: its cables are cut; the endpoints on it are gone when the next takes over.

        On a cluster that takes until the node is noticed to be missing; here nothing is
        sent in the meantime. No policy is in force afterwards.
        """
        node = next(iter(announcers(self.scenario, self.network, self._lost)), None)
        if node is None:
            raise TestbedError(
                "no node answers for an address outside of the cluster; add a Service of type "
                "LoadBalancer or with externalIPs"
            )
        self.lab.request("cut", namespace=node_namespace(node))
        self._lost |= {node}
        pods = tuple(pod for pod in self.scenario.pods if pod.node != node)
        self.scenario = replace(self.scenario, pods=pods)
        self._translate(anew=True)
        self.apply(())
        numbers = {one.name: number for number, one in enumerate(self.scenario.nodes)}
        for next_, addresses in announcers(self.scenario, self.network, self._lost).items():
            self.lab.request(
                "announce",
                namespace=node_namespace(next_),
                addresses=addresses,
                own=str(self.network.nodes[next_]),
                mac=node_mac(numbers[next_]),
            )
        return node

    def facts(self, asked: Sequence[Client] = ()) -> None:
        """There is no cluster to tell of."""

    def apply(self, policies: Sequence[NetworkPolicy]) -> None:
        """Replace the policies in force, in one step per node."""
        compiled = self.dataplane.police(self.scenario, self.network, policies, self.options)
        self._generation += 1
        self.lab.request(
            "load",
            rulesets={
                namespace: joined(
                    transactions(
                        Table(
                            self._generation_of(table, self._generation), table.sets, table.chains
                        ),
                        replaces=self._generation_of(table, self._generation - 1)
                        if self._generation > 1
                        else None,
                    )
                )
                for namespace, table in compiled.tables.items()
            },
        )
        self._compiled = compiled

    def probe(self, probes: Sequence[Probe], deadline: float) -> list[ProbeResult]:
        """Send probes; one that nobody answered and nothing dropped gets a second look.

        So does one that a program could not pass on: programs have deadlines of their own.
        """
        has_programs = bool(program_names(self.scenario))
        # By way of a program there are two connections, one after the other.
        attempts = self._dial(probes, _AT_A_TIME if has_programs else min(deadline, _AT_A_TIME))
        least = _AT_LEAST_OF_PROGRAMS if has_programs else _AT_LEAST
        left = max(deadline * SECOND_LOOK, least)
        while left > 0:
            unexplained = [number for number, attempt in enumerate(attempts) if attempt.unexplained]
            if not unexplained:
                break
            patience = min(left, _AT_A_TIME)
            again = self._dial([probes[number] for number in unexplained], patience)
            for number, attempt in zip(unexplained, again, strict=True):
                attempts[number] = attempt
            left -= patience
        return [self._result(attempt) for attempt in attempts]

    def trace(
        self, probes: Sequence[Probe], deadline: float
    ) -> tuple[list[ProbeResult], dict[str, str]]:
        """Probe while the kernel traces every packet on nodes, in servers and in clients.

        Returns:
            the results, and place -> what `nft monitor trace` printed there. A place is
            the name of a node, the key of a pod or the name of a machine outside.
        """
        places = {node_namespace(node.name): node.name for node in self.scenario.nodes}
        clients = [probe.client for probe in probes]
        talking = [client.pod for client in clients if client.pod is not None]
        for pod in (*(pod for pod in self.scenario.pods if pod.ports), *talking):
            places.setdefault(pod_namespace(pod), pod.key)
        for client in clients:
            places.setdefault(client_namespace(client), client.name)
        answer = self.lab.request(
            "trace", flows=self._flows(probes), deadline=deadline, names=list(places)
        )
        attempts = self._join(probes, answer["attempts"])
        return (
            [self._result(attempt) for attempt in attempts],
            {places[namespace]: text for namespace, text in answer["traces"].items()},
        )

    def execute(self, namespace: str, arguments: Sequence[str]) -> int:
        """Run a command inside a namespace, where the scenario's names resolve.

        Returns:
            the command's exit code; 127 where there is no such program.
        """
        answer = self.lab.request(
            "execute",
            namespace=namespace,
            arguments=list(arguments),
            hosts=self._hosts(),
        )
        return int(answer["returncode"])

    def _dial(self, probes: Sequence[Probe], deadline: float) -> list[_Attempt]:
        answer = self.lab.request(
            "probe",
            flows=self._flows(probes),
            deadline=deadline,
            names=self._names_outside(),
        )
        return self._join(probes, answer["attempts"])

    def _flows(self, probes: Sequence[Probe]) -> list[tuple[str, str, int, str]]:
        return [
            (
                client_namespace(probe.client),
                probe.address,
                probe.port,
                str(probe.protocol),
            )
            for probe in probes
        ]

    def _join(
        self, probes: Sequence[Probe], attempts: Sequence[Mapping[str, Any]]
    ) -> list[_Attempt]:
        evidence = self._read_evidence()
        return [
            _Attempt(
                end=attempt["end"],
                elapsed_ms=attempt["elapsed_ms"],
                detail=attempt["detail"],
                decisions=tuple(
                    decision
                    for port in attempt["ports"]
                    for decision in evidence.get((probe.protocol, port), ())
                ),
                call=tuple(attempt["call"]) if attempt["call"] else None,
                passed_on=len(attempt["ports"]) > 1,
            )
            for probe, attempt in zip(probes, attempts, strict=True)
        ]

    def _read_evidence(self) -> Evidence:
        if self._compiled is None:
            return {}
        answer = self.lab.request(
            "records",
            tables={
                namespace: self._generation_of(table, self._generation)
                for namespace, table in self._compiled.tables.items()
            },
        )
        nodes = {node_namespace(node.name): node.name for node in self.scenario.nodes}
        return read_records(answer["records"], nodes, self._compiled)

    def _result(self, attempt: _Attempt) -> ProbeResult:
        backend = attempt.call[0] if attempt.call else self._asked(attempt.decisions)
        verdict, detail = _VERDICTS[attempt.end], attempt.detail
        if verdict is Verdict.TIMEOUT and not attempt.dropped:
            verdict = Verdict.ERROR
            detail = "no answer, and no drop was recorded for it"
        if attempt.end == "failed" and attempt.dropped:
            verdict = Verdict.TIMEOUT  # behind a proxy, which told the client so
        return ProbeResult(
            verdict=verdict,
            backend=backend,
            application_source=attempt.call[1] if attempt.call else None,
            forwarded_for=attempt.call[2] if attempt.call else None,
            decisions=attempt.decisions,
            elapsed_ms=attempt.elapsed_ms,
            detail=detail,
        )

    def _asked(self, decisions: Sequence[Decision]) -> str | None:
        for decision in decisions:
            address = decision.seen_destination.rpartition(":")[0]
            if decision.direction is Direction.INGRESS:
                for key, given in self.network.pods.items():
                    if str(given) == address:
                        return key
        return None

    def _plan(self) -> Plan:
        prefix = self.dataplane.interface_prefix
        announced = announcers(self.scenario, self.network)
        return Plan(
            gateway=str(GATEWAY),
            prefix_length=NODE_CIDR.prefixlen,
            tunnel_device=TUNNEL_DEVICE,
            tunnel_kind=self._tunnel,
            nodes=tuple(
                NodeCable(
                    namespace=node_namespace(node.name),
                    address=str(self.network.nodes[node.name]),
                    mac=node_mac(number),
                    tunnel_mac=tunnel_mac(number),
                    return_mark=return_mark(number),
                    pod_cidr=str(self.network.node_pod_cidrs[node.name]),
                    announced=announced.get(node.name, ()),
                    tunnel=str(self.network.tunnels[node.name]) if self._tunnel else None,
                    pods=tuple(
                        PodCable(
                            namespace=pod_namespace(pod),
                            address=str(self.network.pods[pod.key]),
                            interface=host_interface(prefix, pod),
                        )
                        for pod in self.scenario.pods
                        if pod.node == node.name and not pod.host_network
                    ),
                )
                for number, node in enumerate(self.scenario.nodes)
            ),
            outside=tuple(
                Machine(f"outside:{name}", str(address), str(router) if router else None)
                for name, address, router in (EXTERNAL, ROUTED)
            ),
        )

    def _servers(self) -> list[dict[str, Any]]:
        return [
            {
                "pod": pod.key,
                "namespace": pod_namespace(pod),
                "port": port.port,
                "protocol": str(port.protocol),
            }
            for pod in self.scenario.pods
            if pod.program is None
            for port in pod.ports
            if port.protocol is not Protocol.SCTP
        ]

    def _hosts(self) -> dict[str, str]:
        names = {node: str(address) for node, address in self.network.nodes.items()}
        for pod in self.scenario.pods:
            names.setdefault(pod.name, str(self.network.pods[pod.key]))
        for service in self.scenario.services:
            address = self.network.cluster_ips.get(service.key)
            if address is not None:
                for suffix in ("", ".svc", ".svc.cluster.local"):
                    names[f"{service.name}.{service.namespace}{suffix}"] = str(address)
                names[_public_name(service)] = str(address)
                names.setdefault(service.name, str(address))
        return names

    def _names_outside(self) -> dict[str, str]:
        """Names for machines outside: of nodes, and public ones of Services."""
        names = {node: str(address) for node, address in self.network.nodes.items()}
        for service in self.scenario.services:
            for address in outside_addresses(self.network, service):
                names.setdefault(_public_name(service), str(address))
        return names

    @staticmethod
    def _generation_of(table: Table, generation: int) -> str:
        return f"{table.name}-{generation}"


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One try of a probe, joined with what the hooks recorded of it."""

    end: str
    elapsed_ms: float
    detail: str | None
    decisions: tuple[Decision, ...]
    call: tuple[str, str, str | None] | None
    passed_on: bool

    @property
    def unexplained(self) -> bool:
        late = self.end == "silent" or (self.passed_on and _UNREACHED.search(self.detail or ""))
        return bool(late) and not self.dropped

    @property
    def dropped(self) -> bool:
        return any(decision.action is Action.DENY for decision in self.decisions)


_VERDICTS = {
    "answered": Verdict.ALLOWED,
    "silent": Verdict.TIMEOUT,
    "refused": Verdict.REFUSED,
    "failed": Verdict.ERROR,
}


def _public_name(service: Service) -> str:
    """A name that stands for the ClusterIP inside and for the public address outside.

    A DNS with two views gives such names (split horizon, RFC 8499); the domain is one for
    documentation (RFC 2606).
    """
    return f"{service.name}.{service.namespace}.example"


def nft_version() -> str:
    """The version of nft that the testbed calls: `1.0.6`, `missing` or `unknown`."""
    nft = find_nft()
    if nft is None:
        return "missing"
    shown = subprocess.run([nft, "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    return shown.stdout.split()[1].removeprefix("v") if shown.stdout else "unknown"
