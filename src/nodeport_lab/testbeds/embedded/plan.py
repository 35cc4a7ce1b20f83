"""What is to be wired: nodes, pods and their addresses, as text ready for netlink."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class PodCable:
    """A pod: its namespace, address and the node's end of its veth pair."""

    namespace: str
    address: str
    interface: str


@dataclass(frozen=True, slots=True)
class NodeCable:
    """A node: its namespace, addresses, pods, and its tunnel device's address if any.

    `announced` are addresses of Services that this node answers for on its network.
    """

    namespace: str
    address: str
    mac: str
    tunnel_mac: str
    return_mark: int
    pod_cidr: str
    tunnel: str | None
    announced: tuple[str, ...]
    pods: tuple[PodCable, ...]


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine outside of the cluster: on the nodes' network, or behind a router.

    `router` is the router's address in the machine's own network; None: no router.
    """

    namespace: str
    address: str
    router: str | None


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is to be wired. Addresses are text, ready for netlink.

    `tunnel_kind` is `vxlan`, `ipip` or None. Replies that carry a node's return mark are
    routed to that node, whatever their destination.
    """

    gateway: str
    prefix_length: int
    tunnel_device: str
    tunnel_kind: str | None
    nodes: tuple[NodeCable, ...]
    outside: tuple[Machine, ...]

    def to_json(self) -> dict[str, Any]:
        """The plan as plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Plan:
        """The inverse of `to_json`."""
        nodes = tuple(
            NodeCable(
                **{
                    **node,
                    "pods": tuple(PodCable(**pod) for pod in node["pods"]),
                    "announced": tuple(node["announced"]),
                }
            )
            for node in data["nodes"]
        )
        outside = tuple(Machine(**machine) for machine in data["outside"])
        return cls(**{**data, "nodes": nodes, "outside": outside})
