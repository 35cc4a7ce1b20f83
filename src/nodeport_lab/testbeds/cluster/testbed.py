"""A scenario in a cluster: pods that call with curl, policies applied through the API."""

from __future__ import annotations

import itertools
import random
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Network
from types import TracebackType
from typing import Any, Self
from typing import Protocol as Interface

from nodeport_lab.errors import TestbedError
from nodeport_lab.manifests import NO_POLICY, Object
from nodeport_lab.model import (
    Client,
    ClientKind,
    ClusterFacts,
    Decision,
    Network,
    NetworkPolicy,
    Pod,
    Protocol,
    Scenario,
    Service,
    Verdict,
)
from nodeport_lab.policy import selector_matches
from nodeport_lab.services import endpoints
from nodeport_lab.testbeds.cluster import curl
from nodeport_lab.testbeds.cluster.connection import Connection
from nodeport_lab.testbeds.cluster.curl import Attempt, Target
from nodeport_lab.testbeds.cluster.deployment import (
    Manifest,
    Site,
    allocated,
    calling_container,
    fit,
    node_ports,
    pod_manifest,
    policy_manifest,
    service_manifest,
)
from nodeport_lab.testbeds.cluster.enforcement import (
    CANARY,
    PATIENCE,
    Answer,
    Canary,
    Enforcement,
    canaries,
    closing_policy,
)
from nodeport_lab.testbeds.cluster.facts import Fact
from nodeport_lab.testbeds.interface import Probe, ProbeResult

EXEC_OVERHEAD = 10.0  # seconds that an exec may take beyond the probes' own deadline
_CANARY_DEADLINE = 0.3  # seconds
_AT_ONCE = 32  # execs
_LOOKS = 3  # further ones, where a source port was in use
_NO_UDP = (
    "UDP is not probed on a cluster: curl has no plain UDP, and the image of the clients no other "
    "tool for it that can be relied on"
)

_NO_LOSS = (
    "no node of a cluster is taken down for an experiment; run the remedy's other stages there, "
    "and this one on the embedded testbed"
)


class Hands(Interface):
    """Creates and deletes objects of one run, and none besides.

    Attributes:
        run: the run's number, which its objects carry in a label.
    """

    run: str

    def create(self, manifest: Mapping[str, Any]) -> Mapping[str, Any]:
        """Create an object that must not be there yet; returns it as created."""

    def ready(self, pods: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        """Wait until pods are ready; returns them, in the same order."""

    def remove(self, manifests: Sequence[Mapping[str, Any]]) -> None:
        """Delete objects that `create` has made; returns when they are gone."""


@dataclass(frozen=True, slots=True)
class Flow:
    """A connection that was tried, by the addresses that the client knows.

    Attributes:
        client: who called.
        address: what was dialled, with `port` and `protocol`.
        source_port: the client's own port.
    """

    client: Client
    address: str
    port: int
    protocol: Protocol
    source_port: int


class Witness(Interface):
    """Collects evidence on the nodes, read-only."""

    def before(self, flows: Sequence[Flow]) -> None:
        """Called before connections are tried."""

    def after(self, flows: Sequence[Flow]) -> Sequence[tuple[Decision, ...]]:
        """Called afterwards; the decisions on each flow, none where there is no evidence."""

    def told(self) -> Sequence[str]:
        """What else the nodes' tables told of these flows, a sentence each."""

    def unknown(self) -> Mapping[str, str]:
        """What could not be read -> why."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a testbed knows of its cluster before it creates anything.

    Attributes:
        site: where the scenario's parts go.
        node_cidr: range of the nodes' addresses.
        pod_cidr: subnet of the pods; None: unknown.
        service_cidr: subnet of the cluster IPs; None: unknown.
        versions: component -> version.
        external: whether this machine calls as the client `external`.
        on_node: node of the cluster -> the command that runs another one there, outside of
            any pod; None: there is none.
        known: what was found out, and what was not and why.
        other_policies: policies that are there already and may have a say.
    """

    site: Site
    node_cidr: IPv4Network
    pod_cidr: IPv4Network | None
    service_cidr: IPv4Network | None
    versions: Mapping[str, str]
    external: bool = False
    on_node: Callable[[str], Sequence[str]] | None = None
    known: Mapping[str, Fact] = field(default_factory=dict)
    other_policies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Dialled:
    flow: Flow
    attempt: Attempt


class ClusterTestbed:
    """See `testbeds.interface.Testbed`.

    Attributes:
        network: the addresses that the cluster gave; there are none before it is entered.
    """

    network: Network

    def __init__(  # noqa: PLR0913 - what it needs, by name
        self,
        connection: Connection,
        hands: Hands,
        surroundings: Surroundings,
        scenario: Scenario,
        objects: Iterable[Object],
        *,
        witness: Witness | None = None,
        patience: float = PATIENCE,
    ) -> None:
        """Describe the testbed; nothing is created before it is entered.

        Args:
            connection: to the cluster.
            hands: create and delete for this run.
            surroundings: what is known of the cluster.
            scenario: what to build.
            objects: the manifests of the scenario.
            witness: collects evidence.
            patience: seconds that a change of policies may take to be enforced.

        Raises:
            PrerequisiteError: the cluster cannot hold the scenario.
        """
        self.scenario, self._left_out = fit(scenario, surroundings.site)
        self.versions = dict(surroundings.versions)
        self._canaries: tuple[str, ...] = ()
        self._evidence: dict[str, tuple[str, ...]] = {}
        self._enforced_after: dict[str, float | None] = {}
        self._asked = self.scenario
        self._connection = connection
        self._hands = hands
        self._surroundings = surroundings
        self._site = surroundings.site
        self._objects = tuple(objects)
        self._witness = witness
        self._patience = patience
        self._created: list[Mapping[str, Any]] = []
        self._applied: dict[tuple[str, str], Manifest] = {}
        self._ports = _source_ports()
        self._canary: Canary | None = None
        self._pool = ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="exec")

    def __enter__(self) -> Self:
        """Create pods and Services, wait for them, and see whether policy is enforced.

        Raises:
            TestbedError: something did not become ready, or policy is not enforced here.
        """
        try:
            self._set_up()
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
        """Delete what was created, policies first."""
        self._leave()

    def has(self, client: Client) -> bool:
        """Whether it can call; see `_absence`."""
        return self._absence(client) is None

    def lose_announcer(self) -> str:
        """See Testbed: a cluster's nodes are left alone."""
        raise TestbedError(_NO_LOSS)

    def _absence(self, client: Client) -> str | None:
        """Why a client cannot call; None: it can."""
        around = self._surroundings
        if client.kind is ClientKind.EXTERNAL:
            if client.name != "external":
                return "no machine behind a router is at hand"
            return None if around.external else "this machine does not reach the nodes"
        if client.kind is ClientKind.HOST:
            inside = around.on_node is not None and client.node in self._site.nodes
            return None if inside else "no program can be run on a node itself"
        if client.pod is None or client.pod.key not in {pod.key for pod in self.scenario.pods}:
            return "its pod is not there"
        return None if self._container(client.pod) else "no container beside it has curl"

    def _container(self, pod: Pod) -> str | None:
        """Where curl runs; of a canary, which no manifest describes, in its first container."""
        if (CANARY, "client") in pod.labels:
            return None
        return calling_container(pod, self._objects)

    def facts(self, asked: Sequence[Client] = ()) -> ClusterFacts:
        """What is known of the cluster, who did not call, and how fast policies were enforced."""
        absent = [
            f"{client.name} does not call, since {reason}"
            for client in asked
            if (reason := self._absence(client))
        ]
        known = self._surroundings.known
        unread = self._witness.unknown() if self._witness else {}
        return ClusterFacts(
            nodes={name: node.name for name, node in self._site.nodes.items()},
            network=self.network,
            detected={name: fact.value for name, fact in known.items()},
            unknown={
                **{name: fact.source for name, fact in known.items() if fact.value is None},
                **unread,
            },
            enforced_after_ms=dict(self._enforced_after),
            canaries=self._canaries,
            left_out=(*self._left_out, *absent),
            other_policies=self._surroundings.other_policies,
            evidence=dict(self._evidence),
        )

    def apply(self, policies: Sequence[NetworkPolicy]) -> None:
        """Replace the policies in force; returns when the canaries have followed."""
        ports = node_ports(self._asked, self.scenario)
        wanted = {
            (policy.namespace, policy.name): policy_manifest(
                policy,
                self._site,
                ports,
                spared=CANARY if _selects_canaries(policy) else None,
            )
            for policy in policies
        }

        if self._canary is None:
            raise TestbedError("the testbed is not set up; enter it with a with block")
        if wanted == self._applied:
            return
        if self._applied:
            self._canary.lift(self._remove_policies)
        if wanted:
            latency = self._canary.impose(lambda: self._create_policies(wanted))
            for policy in policies:
                self._enforced_after[policy.name] = round(latency * 1000, 1)

    def _remove_policies(self) -> None:
        self._hands.remove(list(self._applied.values()))
        self._applied.clear()

    def _create_policies(self, wanted: Mapping[tuple[str, str], Manifest]) -> None:
        for key, manifest in wanted.items():
            self._applied[key] = manifest  # first: an interrupt must not leave it behind
            self._hands.create(manifest)

    def probe(self, probes: Sequence[Probe], deadline: float) -> list[ProbeResult]:
        """Dial everything at once; what met silence is dialled once more from another port.

        Two connections without an answer are a time-out. One may be a lost packet.
        """
        dialled = self._dial(probes, deadline, first=True)
        silent = [one.attempt.verdict is Verdict.TIMEOUT for one in dialled]
        for look in range(_LOOKS):
            again = [
                number
                for number, one in enumerate(dialled)
                if one.attempt.port_in_use or (look == 0 and silent[number])
            ]
            if not again:
                break
            repeated = self._dial([probes[number] for number in again], deadline, first=False)
            for number, one in zip(again, repeated, strict=True):
                dialled[number] = one
        seen: Sequence[tuple[Decision, ...]] = [()] * len(dialled)
        if self._witness is not None:
            seen = self._witness.after([one.flow for one in dialled])
            if told := self._witness.told():
                policy = ", ".join(name for _, name in self._applied) or NO_POLICY
                self._evidence[policy] = (*self._evidence.get(policy, ()), *told)
        return [self._result(one, decisions) for one, decisions in zip(dialled, seen, strict=True)]

    def _result(self, dialled: _Dialled, decisions: tuple[Decision, ...]) -> ProbeResult:
        attempt = dialled.attempt
        answered = attempt.verdict is Verdict.ALLOWED
        return ProbeResult(
            verdict=attempt.verdict,
            backend=self._only_backend(dialled.flow) if answered else None,
            application_source=None,  # the server's log does not say who called
            decisions=decisions,
            elapsed_ms=attempt.elapsed_ms,
            detail=attempt.detail,
        )

    def _only_backend(self, flow: Flow) -> str | None:
        """The pod behind what was dialled, where there is only one that can have answered."""
        by_address = {str(address): key for key, address in self.network.pods.items()}
        in_node = {str(address) for address in self.network.nodes.values()}
        if flow.address in by_address and flow.address not in in_node:
            return by_address[flow.address]
        found = {
            endpoint.pod.key
            for service in self.scenario.services
            for port in service.ports
            for endpoint in endpoints(self.scenario, service, port)
            if port.protocol is flow.protocol
            and (
                (flow.address in in_node and flow.port == port.node_port)
                or (flow.port == port.port and flow.address in self._addresses(service))
            )
        }
        return found.pop() if len(found) == 1 else None

    def _addresses(self, service: Service) -> set[str]:
        given = (
            self.network.cluster_ips.get(service.key),
            self.network.load_balancers.get(service.key),
        )
        return {*map(str, filter(None, given)), *service.external_ips}

    # --- dialling ---------------------------------------------------------------------

    def _dial(self, probes: Sequence[Probe], deadline: float, *, first: bool) -> list[_Dialled]:
        """Dial once; evidence counts from the first time on."""
        flows = [
            Flow(probe.client, probe.address, probe.port, probe.protocol, next(self._ports))
            for probe in probes
        ]
        if first and self._witness is not None:
            self._witness.before(flows)
        found: dict[int, Attempt] = {
            number: Attempt(Verdict.ERROR, detail=_NO_UDP)
            for number, flow in enumerate(flows)
            if flow.protocol is not Protocol.TCP
        }
        of_client: dict[Client, list[int]] = {}
        for number, flow in enumerate(flows):
            if number not in found:
                of_client.setdefault(flow.client, []).append(number)
        running = []
        for client, numbers in of_client.items():
            targets = [
                Target(flows[number].address, flows[number].port, flows[number].source_port)
                for number in numbers
            ]
            waiting = iter(numbers)
            for batch, command in curl.commands(targets, deadline):
                mine = list(itertools.islice(waiting, len(batch)))
                future = self._pool.submit(self._run, client, batch, command, deadline)
                running.append((mine, future))
        for mine, future in running:
            found.update(zip(mine, future.result(), strict=True))
        return [_Dialled(flow, found[number]) for number, flow in enumerate(flows)]

    def _run(
        self, client: Client, targets: Sequence[Target], command: Sequence[str], deadline: float
    ) -> list[Attempt]:
        """Run one command where its client is; whatever fails besides traffic is an error."""
        around = self._surroundings
        if client.kind is ClientKind.HOST and around.on_node is not None:
            node = self._site.nodes[str(client.node)].name
            return _run_here(targets, [*around.on_node(node), *command], deadline, f"node {node}")
        if client.pod is None:
            return _run_here(targets, command, deadline, "this machine")
        return self._run_in(client.pod, targets, command, deadline)

    def _run_in(
        self, pod: Pod, targets: Sequence[Target], command: Sequence[str], deadline: float
    ) -> list[Attempt]:
        namespace = self._site.namespaces[pod.namespace]
        try:
            ended = self._connection.execute(
                namespace,
                pod.name,
                command,
                container=self._container(pod),
                deadline=deadline + EXEC_OVERHEAD,
            )
        except TestbedError as error:
            return curl.read(targets, "", "", f"exec in {namespace}/{pod.name} failed: {error}")
        failure = ended.failure and f"exec in {namespace}/{pod.name} failed: {ended.failure}"
        return curl.read(targets, ended.stdout, ended.stderr, failure)

    # --- setting up -------------------------------------------------------------------

    def _set_up(self) -> None:
        clients, server = canaries(self.scenario)
        if server is None:
            raise TestbedError(
                "the scenario has no client or no server over TCP whose pods could serve as "
                "canaries; add one, or use the embedded testbed"
            )
        pods = [pod_manifest(pod, self._objects, self._site) for pod in self.scenario.pods]
        birds = [pod_manifest(pod, self._objects, self._site) for pod in (*clients, server)]
        for manifest in (*pods, *birds):
            self._create(manifest)
        services = [
            self._create(service_manifest(service, self._objects, self._site))
            for service in self.scenario.services
        ]
        ready = self._hands.ready([*pods, *birds])
        addresses = [_address(pod) for pod in ready]
        self.scenario = replace(
            self.scenario,
            services=tuple(
                allocated(service, made)
                for service, made in zip(self.scenario.services, services, strict=True)
            ),
        )
        self.network = self._read_network(addresses, services)
        self._canary = self._make_canary(clients, server, addresses[-1])
        answer = self._canary.ask()
        self._judge(answer)

    def _create(self, manifest: Mapping[str, Any]) -> Mapping[str, Any]:
        self._created.append(manifest)  # first: an interrupt must not leave it behind
        return self._hands.create(manifest)

    def _read_network(
        self, addresses: Sequence[IPv4Address], services: Sequence[Mapping[str, Any]]
    ) -> Network:
        pods = {
            pod.key: address for pod, address in zip(self.scenario.pods, addresses, strict=False)
        }
        cluster_ips = {
            service.key: IPv4Address(made["spec"]["clusterIP"])
            for service, made in zip(self.scenario.services, services, strict=True)
            if made["spec"].get("clusterIP") not in {None, "", "None"}
        }
        nodes = self._site.nodes
        around = self._surroundings
        own = [address for key, address in pods.items() if address not in around.node_cidr]
        return Network(
            node_cidr=around.node_cidr,
            pod_cidr=around.pod_cidr or _around(own),
            service_cidr=around.service_cidr or _around(cluster_ips.values()),
            nodes={name: node.address for name, node in nodes.items() if node.address},
            node_pod_cidrs={name: node.pod_cidr for name, node in nodes.items() if node.pod_cidr},
            pods=pods,
            cluster_ips=cluster_ips,
            tunnels={name: node.tunnel for name, node in nodes.items() if node.tunnel},
        )

    def _make_canary(self, clients: Sequence[Pod], server: Pod, address: IPv4Address) -> Canary:
        closing = policy_manifest(closing_policy(clients[0].namespace), self._site, {})
        port = next(port.port for port in server.ports if port.protocol is Protocol.TCP)

        def dial_from(pod: Pod) -> Attempt:
            target = Target(str(address), port, next(self._ports))
            ((batch, command),) = curl.commands([target], _CANARY_DEADLINE)
            return self._run_in(pod, batch, command, _CANARY_DEADLINE)[0]

        def dial() -> dict[str, Attempt]:
            attempts = list(self._pool.map(dial_from, clients))
            return dict(zip((pod.node for pod in clients), attempts, strict=True))

        def close(closed: bool) -> None:  # noqa: FBT001 - a switch
            if closed:
                self._created.append(closing)
                self._hands.create(closing)
            else:
                self._hands.remove([closing])
                self._created.remove(closing)

        return Canary(dial, close, patience=self._patience)

    def _judge(self, answer: Answer) -> None:
        self._canaries = answer.evidence
        if answer.enforcement is not Enforcement.ENFORCED:
            raise TestbedError(
                f"policy is {answer.enforcement} in this cluster ({'; '.join(answer.evidence)}); "
                "nothing was observed; look at its CNI, or choose another cluster"
            )

    def _leave(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        gone = [*self._applied.values(), *reversed(self._created)]
        self._applied.clear()
        self._created.clear()
        if gone:
            policies = [one for one in gone if one["kind"] == "NetworkPolicy"]
            self._hands.remove([*policies, *(one for one in gone if one not in policies)])


def _source_ports() -> Iterator[int]:
    """Ports for clients; not always from the first on, as those of the last run linger."""
    some = curl.SOURCE_PORTS
    start = random.randrange(len(some))  # noqa: S311 - nothing secret
    return itertools.cycle([*some[start:], *some[:start]])


def _run_here(
    targets: Sequence[Target], command: Sequence[str], deadline: float, where: str
) -> list[Attempt]:
    """Run one command on this machine, which may lead to a node of its own."""
    try:
        ended = subprocess.run(  # noqa: S603 - our own command, no shell
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=deadline + EXEC_OVERHEAD,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return curl.read(targets, "", "", f"curl on {where} failed: {error}")
    return curl.read(targets, ended.stdout, ended.stderr, None)


def _selects_canaries(policy: NetworkPolicy) -> bool:
    return any(
        selector_matches(policy.pod_selector, {CANARY: role}) for role in ("client", "server")
    )


def _address(pod: Mapping[str, Any]) -> IPv4Address:
    for one in pod["status"].get("podIPs") or ():
        if ":" not in one["ip"]:
            return IPv4Address(one["ip"])
    raise TestbedError(
        f"the pod {pod['metadata']['name']} has no IPv4 address; the lab probes IPv4 only"
    )


def _around(addresses: Iterable[IPv4Address]) -> IPv4Network:
    """The smallest range that holds some addresses, for a subnet that nobody states."""
    some = sorted(addresses)
    found = IPv4Network(some[0] if some else "0.0.0.0/0")
    while some and some[-1] not in found:
        found = found.supernet()
    return found
