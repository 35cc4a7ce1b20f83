"""Made-up runs in the form of records. Nothing here was observed, and none is ever kept."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

from nodeport_lab.experiment import default_scenario
from nodeport_lab.model import (
    ClusterFacts,
    Direction,
    Network,
    Observation,
    Protocol,
    Relation,
    Run,
    Verdict,
)
from nodeport_lab.testbeds.embedded.addressing import plan_network

SYNTHETIC = "synthetic, for tests"
EMBEDDED_NETWORK = plan_network(default_scenario(), tunnel=True)
NODE_PORT = 30080


def moved(network: Network, shift: int) -> Network:
    """A network whose addresses are all others."""

    def elsewhere(addresses: dict[str, IPv4Address]) -> dict[str, IPv4Address]:
        return {name: address + shift for name, address in addresses.items()}

    return replace(
        network,
        node_cidr=IPv4Network("0.0.0.0/0"),
        nodes=elsewhere(network.nodes),
        pods=elsewhere(network.pods),
        cluster_ips=elsewhere(network.cluster_ips),
        tunnels=elsewhere(network.tunnels),
    )


CLUSTER_NETWORK = moved(EMBEDDED_NETWORK, 1 << 16)


def cell(policy: str = "both", node: str = "dev-worker2", **changes: object) -> Observation:
    """Client-a dials a node's port; it is allowed, and nothing saw it."""
    made = Observation(
        policy=policy,
        direction=Direction.EGRESS,
        namespace="nodeport-lab",
        client="client-a",
        client_node="dev-worker",
        server="hello",
        service="hello",
        protocol=Protocol.TCP,
        port=NODE_PORT,
        route="nodeport",
        dialled_node=node,
        backend_node="dev-worker2",
        relation=Relation.OTHER_NODE if node == "dev-worker2" else Relation.OWN_NODE,
        verdict=Verdict.ALLOWED,
        control=Verdict.ALLOWED,
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # a test says which


def recorded(*cells: Observation, **changes: object) -> Run:
    """A run as if it had been made on a KinD cluster."""
    made = Run(
        testbed="kind",
        dataplane="calico-iptables",
        options={"encapsulation": "VXLANCrossSubnet"},
        basis="live",
        versions={"kubernetes": "v1.36.4", "calico": "v3.32.1", "note": SYNTHETIC},
        observations=cells or (cell(),),
        date="2026-11-23T10:15:00Z",
        cluster=ClusterFacts({"dev-worker": "other-name"}, network=CLUSTER_NETWORK),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def embedded(*cells: Observation, **changes: object) -> Run:
    """A run as if it had been made on the embedded testbed."""
    return replace(
        recorded(*cells),
        testbed="embedded",
        basis="emulated",
        versions={"nodeport-lab": "0.1.0"},
        date=None,
        cluster=None,
        **changes,  # type: ignore[arg-type]
    )
