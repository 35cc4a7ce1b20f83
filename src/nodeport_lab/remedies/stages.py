"""What a remedy is made of, and what several remedies share: callers, folders and policies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from nodeport_lab.cells import outside_clients, pod_clients
from nodeport_lab.model import Client, ClientKind, Scenario

PREFIX = "remedy-"
"""What the names of their suites start with."""

ACTORS = ("workloads", "suites/actors")
SERVED = (*ACTORS, "services")
PROXIED = (
    *ACTORS,
    *("suites/remedy-cluster-ip", "suites/gateway"),
    *("policies", "suites/ingress", "suites/remedy-gateway"),
)
"""Folders of manifests: clients and a server, then its NodePort, or a proxy before it."""

BOTH_SIDES = ("podselector-server", "ingress-podselector-client")
SECOND_LEG = ("gateway-to-server", "server-from-gateway")
"""Policies for the two ends of a connection: from clients to the server, and from a proxy to it."""

CILIUM_KPR = ("cilium-kpr", "cilium-kpr-hostns")
CILIUM = ("cilium", *CILIUM_KPR)
"""Dataplanes, for what others have no option for."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One side of a comparison: what is there, what is in force, what is dialled.

    Attributes:
        name: of the stage (`before`, `after`).
        summary: one sentence for people.
        folders: folders of manifests.
        policies: in force one after the other; `no-policy` shows the way without any.
        routes: the ways that are dialled.
        callers: the clients, given the scenario.
        configuration: what is set, as an option or a variation.
        together: all of the policies are in force at once.
        services: names of the Services that are dialled; None for all.
        dataplanes: where it is run; none named: on all.
        loses_announcer: the node that answers for addresses outside dies first.
    """

    name: str
    summary: str
    folders: tuple[str, ...]
    policies: tuple[str, ...]
    routes: tuple[str, ...]
    callers: Callable[[Scenario], Sequence[Client]]
    configuration: Mapping[str, str] = field(default_factory=dict)
    together: bool = False
    services: tuple[str, ...] | None = None
    dataplanes: tuple[str, ...] = ()
    loses_announcer: bool = False


@dataclass(frozen=True, slots=True)
class Remedy:
    """A piece of advice as an experiment.

    Attributes:
        name: as on the command line (`cluster-ip`).
        claim: the id of the claim that it puts to the test; empty where there is none.
        title: for people.
        stages: in the order in which they are told; the first one is what failed.
        cluster: name of the cluster's configuration in `manifests/kind`.
    """

    name: str
    claim: str
    title: str
    stages: tuple[Stage, ...]
    cluster: str = "atlas"

    def suite(self, stage: Stage) -> str:
        """The name of the suite that asks a stage's questions."""
        return f"{PREFIX}{self.name}-{stage.name}"


def pods(scenario: Scenario) -> tuple[Client, ...]:
    """The pods that call, without those in their node's network: policy selects them."""
    return tuple(one for one in pod_clients(scenario) if one.kind is ClientKind.POD)


def machines(_scenario: Scenario) -> tuple[Client, ...]:
    """The machines outside of the cluster."""
    return outside_clients()


def inside_and_outside(scenario: Scenario) -> tuple[Client, ...]:
    """Pods, and machines outside of the cluster."""
    return (*pods(scenario), *machines(scenario))
