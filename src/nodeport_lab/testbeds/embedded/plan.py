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
    """A node: its namespace, address, pods, and its tunnel device's address if any."""

    namespace: str
    address: str
    pod_cidr: str
    tunnel: str | None
    pods: tuple[PodCable, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is to be wired. Addresses are text, ready for netlink."""

    gateway: str
    prefix_length: int
    tunnel_device: str
    nodes: tuple[NodeCable, ...]

    def to_json(self) -> dict[str, Any]:
        """The plan as plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Plan:
        """The inverse of `to_json`."""
        nodes = tuple(
            NodeCable(**{**node, "pods": tuple(PodCable(**pod) for pod in node["pods"])})
            for node in data["nodes"]
        )
        return cls(**{**data, "nodes": nodes})
