"""Pods dial the ClusterIP, and policy selects both sides by label."""

from __future__ import annotations

from nodeport_lab.cells import CLUSTER_IP, NODEPORT, as_client
from nodeport_lab.model import Client, Scenario
from nodeport_lab.remedies.stages import ACTORS, BOTH_SIDES, Remedy, Stage, pods


def servers(scenario: Scenario) -> tuple[Client, ...]:
    """The server pods in the part of clients: who calls itself."""
    return tuple(as_client(pod) for pod in scenario.pods if pod.ports and not pod.host_network)


REMEDY = Remedy(
    "cluster-ip",
    "R1",
    "ClusterIP and a podSelector",
    (
        Stage(
            "before",
            "pods dial the NodePort, under a policy that selects by label",
            (*ACTORS, "services", "policies", "suites/ingress"),
            ("no-policy", *BOTH_SIDES),
            (NODEPORT,),
            pods,
        ),
        Stage(
            "after",
            "the same pods dial the ClusterIP, under the same policies",
            (*ACTORS, "suites/remedy-cluster-ip", "policies", "suites/ingress"),
            ("no-policy", *BOTH_SIDES),
            (CLUSTER_IP,),
            pods,
        ),
        Stage(
            "both-sides",
            "the ClusterIP with both policies in force at once",
            (*ACTORS, "suites/remedy-cluster-ip", "policies", "suites/ingress"),
            BOTH_SIDES,
            (CLUSTER_IP,),
            pods,
            together=True,
        ),
        Stage(
            "itself",
            "the server calls itself by its ClusterIP, under policies of its own",
            (
                *ACTORS,
                "suites/remedy-cluster-ip",
                "suites/ingress",
                "suites/remedy-cluster-ip-itself",
            ),
            ("no-policy", "ingress-podselector-client", "ingress-podselector-itself"),
            (CLUSTER_IP,),
            servers,
        ),
    ),
)
