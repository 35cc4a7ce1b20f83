"""Remedies: what to do instead of what failed, each tried out before and after.

A remedy is data: stages, each with its manifests, its policies, who dials and which way.
`suites` makes a suite `remedy-NAME-STAGE` of every stage, so `run --suite remedies` sends
its packets and `list` names it. To add one: its manifests as a folder of
`manifests/suites`, an entry in `REMEDIES`, its policies and clients in the vocabulary of
`notebooks/claims.yml`, a run of the template `remedy` (or one of its own) in
`notebooks/runs.yml` and `_toc.yml`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from nodeport_lab.cells import (
    CLUSTER_IP,
    NODEPORT,
    POD_IP,
    as_client,
    outside_clients,
    pod_clients,
)
from nodeport_lab.model import Client, ClientKind, Scenario

PREFIX = "remedy-"
BYSTANDERS = frozenset({"other", "node-agent"})
"""Workloads of remedies that are not the server which the report and its sources speak of."""
_ACTORS = ("workloads", "suites/actors")


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


def servers(scenario: Scenario) -> tuple[Client, ...]:
    """The server pods in the part of clients: who calls itself."""
    return tuple(as_client(pod) for pod in scenario.pods if pod.ports and not pod.host_network)


def machines(_scenario: Scenario) -> tuple[Client, ...]:
    """The machines outside of the cluster."""
    return outside_clients()


_SERVED = (*_ACTORS, "services")
_CILIUM = ("cilium", "cilium-kpr", "cilium-kpr-hostns")
_BESIDES = ("other", "node-agent")
_BOTH_SIDES = ("podselector-server", "ingress-podselector-client")

REMEDIES: Mapping[str, Remedy] = {
    remedy.name: remedy
    for remedy in (
        Remedy(
            "cluster-ip",
            "R1",
            "ClusterIP and a podSelector",
            (
                Stage(
                    "before",
                    "pods dial the NodePort, under a policy that selects by label",
                    (*_ACTORS, "services", "policies", "suites/ingress"),
                    ("no-policy", *_BOTH_SIDES),
                    (NODEPORT,),
                    pods,
                ),
                Stage(
                    "after",
                    "the same pods dial the ClusterIP, under the same policies",
                    (*_ACTORS, "suites/remedy-cluster-ip", "policies", "suites/ingress"),
                    ("no-policy", *_BOTH_SIDES),
                    (CLUSTER_IP,),
                    pods,
                ),
                Stage(
                    "both-sides",
                    "the ClusterIP with both policies in force at once",
                    (*_ACTORS, "suites/remedy-cluster-ip", "policies", "suites/ingress"),
                    _BOTH_SIDES,
                    (CLUSTER_IP,),
                    pods,
                    together=True,
                ),
                Stage(
                    "itself",
                    "the server calls itself by its ClusterIP, under policies of its own",
                    (
                        *_ACTORS,
                        "suites/remedy-cluster-ip",
                        "suites/ingress",
                        "suites/remedy-cluster-ip-itself",
                    ),
                    ("no-policy", "ingress-podselector-client", "ingress-podselector-itself"),
                    (CLUSTER_IP,),
                    servers,
                ),
            ),
        ),
        Remedy(
            "both-peers",
            "R3",
            "both peers in one policy",
            (
                Stage(
                    "before",
                    "pods dial the server under a policy with one of the two peers",
                    (*_SERVED, "policies"),
                    ("no-policy", "ipblock-nodes", "podselector-server"),
                    (NODEPORT, CLUSTER_IP),
                    pods,
                ),
                Stage(
                    "after",
                    "the same with both peers, then with the port of each",
                    (*_SERVED, "policies", "suites/remedy-both-peers"),
                    ("both", "both-with-ports"),
                    (NODEPORT, CLUSTER_IP),
                    pods,
                    services=("hello",),
                ),
                Stage(
                    "match-mode",
                    "both peers where Cilium lets an ipBlock select nodes",
                    (*_SERVED, "policies", "suites/remedy-both-peers"),
                    ("both", "both-with-ports"),
                    (NODEPORT, CLUSTER_IP),
                    pods,
                    {"policyCIDRMatchMode": "nodes"},
                    services=("hello",),
                    dataplanes=_CILIUM,
                ),
                Stage(
                    "besides",
                    "what the policies open besides: another NodePort, and a process on every node",
                    (*_ACTORS, "policies", "suites/remedy-both-peers"),
                    ("no-policy", "podselector-server", "both", "both-with-ports"),
                    (NODEPORT, POD_IP),
                    pods,
                    services=_BESIDES,
                ),
                Stage(
                    "besides-match-mode",
                    "the same where Cilium lets an ipBlock select nodes",
                    (*_ACTORS, "policies", "suites/remedy-both-peers"),
                    ("both", "both-with-ports"),
                    (NODEPORT, POD_IP),
                    pods,
                    {"policyCIDRMatchMode": "nodes"},
                    services=_BESIDES,
                    dataplanes=_CILIUM,
                ),
            ),
        ),
        Remedy(
            "ebpf-source",
            "R4",
            "a dataplane that keeps the source address",
            (
                Stage(
                    "before",
                    "the server admits the nodes' subnet, because callers may look like nodes",
                    (*_SERVED, "suites/ingress"),
                    ("no-policy", "ingress-ipblock-nodes"),
                    (NODEPORT,),
                    machines,
                ),
                Stage(
                    "after",
                    "the server admits the machines outside by their own addresses",
                    (*_SERVED, "suites/ingress"),
                    ("no-policy", "ingress-ipblock-external"),
                    (NODEPORT,),
                    machines,
                ),
                Stage(
                    "pods",
                    "the server admits pods by their own labels",
                    (*_SERVED, "suites/ingress"),
                    ("no-policy", "ingress-podselector-client"),
                    (NODEPORT,),
                    pods,
                ),
                Stage(
                    "dsr",
                    "direct server return of Cilium, for comparison",
                    (*_SERVED, "suites/ingress"),
                    ("no-policy", "ingress-ipblock-external"),
                    (NODEPORT,),
                    machines,
                    {"loadBalancerMode": "dsr"},
                    dataplanes=_CILIUM[1:],
                ),
            ),
        ),
        Remedy(
            "local",
            "",
            "externalTrafficPolicy Local",
            (
                Stage(
                    "before",
                    "machines outside, with externalTrafficPolicy Cluster",
                    (*_SERVED, "suites/ingress"),
                    ("no-policy", "ingress-ipblock-external"),
                    (NODEPORT,),
                    machines,
                ),
                Stage(
                    "after",
                    "the same with externalTrafficPolicy Local",
                    (*_SERVED, "suites/ingress"),
                    ("no-policy", "ingress-ipblock-external"),
                    (NODEPORT,),
                    machines,
                    {"externalTrafficPolicy": "Local"},
                ),
                Stage(
                    "pods",
                    "what pods get of the same NodePort with externalTrafficPolicy Local",
                    (*_SERVED, "policies", "suites/ingress"),
                    ("no-policy", "podselector-server", "ingress-podselector-client"),
                    (NODEPORT, CLUSTER_IP),
                    pods,
                    {"externalTrafficPolicy": "Local"},
                ),
            ),
        ),
    )
}
