"""Answers: what became of a question, and how people speak of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from nodeport_lab.cells import NODEPORT, POD_IP, relation
from nodeport_lab.check.questions import Question
from nodeport_lab.manifests import ALL_POLICIES
from nodeport_lab.model import (
    Action,
    Decision,
    Direction,
    Network,
    Observation,
    Pod,
    Relation,
    Verdict,
)
from nodeport_lab.services import Endpoint
from nodeport_lab.testbeds.interface import ProbeResult

NO_PATH = "no path"
UNTOLD = frozenset({NO_PATH, str(Verdict.ERROR)})
"""Outcomes that say nothing about policy."""

ITSELF = "answered by the client itself"
SAME_NODE = "backend on the client's node"
OTHER_NODE = "backend on another node"

SPREAD, TOGETHER = "spread", "together"
"""The placements: pods on nodes in turn, and on one node where the manifests leave it open."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one dataplane answered.

    Attributes:
        question: what was asked.
        placement: of the pods.
        backend: who answered or was asked; None where no backend had been chosen.
        result: what was measured.
        control: the verdict of the same question without policy.
    """

    question: Question
    placement: str
    backend: Pod | None
    result: ProbeResult
    control: Verdict

    @property
    def outcome(self) -> str:
        """The verdict, or `no path`."""
        return str(self.result.verdict) if self.control is Verdict.ALLOWED else NO_PATH

    @property
    def denial(self) -> Decision | None:
        """The decision that denied, if one did."""
        denied = (one for one in self.result.decisions if one.action is Action.DENY)
        return next(denied, None)

    @property
    def situation(self) -> Situation:
        """How the places relate."""
        client, target = self.question.client, self.question.target
        dialled = None
        backends = target.backends
        if self.backend is not None:
            backends = (Endpoint(self.backend, target.port),)
        if target.node is not None:
            dialled = relation(client, target.node, backends)
        return Situation(dialled, self._nearness())

    def _nearness(self) -> str:
        client, backend = self.question.client, self.backend
        if client.node is None or backend is None:
            return ""
        if client.pod == backend:
            return ITSELF
        return SAME_NODE if client.node == backend.node else OTHER_NODE

    def decision(self, direction: Direction) -> Decision | None:
        """The last decision of a direction."""
        same = [one for one in self.result.decisions if one.direction is direction]
        return same[-1] if same else None


@dataclass(frozen=True, slots=True, order=True)
class Situation:
    """How places relate in a question.

    Attributes:
        dialled: of the dialled node to the client; None where no node is dialled.
        backend: where it is; empty where that is not known, or the client is outside.
    """

    dialled: Relation | None
    backend: str

    def __str__(self) -> str:
        """In words: `own-node, backend on the client's node`."""
        return ", ".join(filter(None, (self.dialled and str(self.dialled), self.backend)))


Slot = tuple[str, bool, tuple[tuple[str, str], ...]]
"""What makes a backend differ from others of its Service: node, whether it calls, labels."""


def slot(question: Question, backend: Pod) -> Slot:
    """The slot of a backend: answers of two in one slot cannot be told apart."""
    return backend.node, backend == question.client.pod, backend.labels


@dataclass(frozen=True, slots=True, order=True)
class Party:
    """Pods of one workload, or a machine outside."""

    namespace: str
    name: str

    def __str__(self) -> str:
        """As people say it: `shop/web`."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


@dataclass(frozen=True, slots=True, order=True)
class Door:
    """What is dialled, without the node: a Service's port, or a port of a workload's pods."""

    server: Party
    service: str
    route: str
    port: int
    protocol: str

    def __str__(self) -> str:
        """As people say it: `Service shop/web by nodeport 30080/TCP`."""
        if self.route == POD_IP:
            return f"pods of {self.server} on {self.port}/{self.protocol}"
        whose = f"Service {self.server.namespace}/{self.service}"
        if self.route == NODEPORT:
            return f"{whose} by node port {self.port}/{self.protocol}"
        return f"{whose} by {self.route}, {self.port}/{self.protocol}"


def caller(question: Question) -> Party:
    """Who asks."""
    pod = question.client.pod
    return Party(pod.namespace, pod.workload) if pod else Party("", question.client.name)


def door(question: Question) -> Door:
    """What is asked for."""
    target = question.target
    server = target.server
    return Door(
        Party(server.namespace, server.workload),
        target.service.name if target.service else "",
        target.route,
        target.port,
        str(target.protocol),
    )


def observation(answer: Answer) -> Observation:
    """An answer as a row of the foundation's schema."""
    question, result = answer.question, answer.result
    client, target = question.client, question.target
    server = target.server
    shown = answer.denial or (result.decisions[-1] if result.decisions else None)
    return Observation(
        policy=ALL_POLICIES,
        direction=shown.direction if shown else Direction.EGRESS,
        namespace=client.pod.namespace if client.pod else None,
        client=client.name,
        client_node=client.node,
        server=server.name if target.service is None else server.workload,
        service=target.service.name if target.service else None,
        protocol=target.protocol,
        port=target.port,
        route=target.route,
        dialled_node=target.node,
        backend_node=answer.backend.node if answer.backend else None,
        relation=answer.situation.dialled,
        verdict=result.verdict,
        control=answer.control,
        seen_source=shown.seen_source if shown else None,
        seen_destination=shown.seen_destination if shown else None,
        hook=shown.hook if shown else None,
        rule=shown.rule if shown else None,
        decisions=result.decisions,
        application_source=result.application_source,
        elapsed_ms=round(result.elapsed_ms, 3),
        detail=result.detail,
        server_namespace=server.namespace,
    )


def policy_words(decision: Decision) -> str:
    """Whose decision it is: `NetworkPolicy shop/allow-web`."""
    if decision.policy is None:
        return "the policies that select the pod"
    return f"NetworkPolicy {decision.policy_namespace}/{decision.policy}"


def address_words(seen: str, answer: Answer, network: Network) -> str:
    """Whose address policy saw: `the client pod`, `the dialled node (port 30080)`.

    Args:
        seen: `address:port`.
        answer: in which it was seen.
        network: the addresses.
    """
    address, _, port = seen.rpartition(":")
    question = answer.question
    client, target = question.client, question.target
    nodes = {
        "the dialled node": target.node,
        "the server's node": answer.backend.node if answer.backend else None,
        "the client's node": client.node,
    }
    known: list[tuple[str, object]] = []
    if client.pod is not None and not client.pod.host_network:
        known.append(("the client pod", network.pods[client.pod.key]))
    known += [
        ("the server pod", network.pods[backend.pod.key])
        for backend in target.backends
        if not backend.pod.host_network
    ]
    known += [(words, network.nodes[node]) for words, node in nodes.items() if node]
    known += [
        (f"{words} (its tunnel address)", network.tunnels[node])
        for words, node in nodes.items()
        if node in network.tunnels
    ]
    if target.service is not None and target.service.key in network.cluster_ips:
        known.append(("the cluster IP", network.cluster_ips[target.service.key]))
    for words, given in known:
        if str(given) == address:
            return words if words == "the client pod" else f"{words}, port {port}"
    return f"{address}, port {port}"


def by_group(answers: Iterable[Answer]) -> Mapping[tuple[Party, Door], list[Answer]]:
    """Answers by who asks for what, whatever the nodes."""
    found: dict[tuple[Party, Door], list[Answer]] = {}
    for answer in answers:
        found.setdefault((caller(answer.question), door(answer.question)), []).append(answer)
    return found
