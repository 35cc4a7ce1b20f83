"""Names that rulesets and wiring have to agree on."""

from __future__ import annotations

import hashlib

from nodeport_lab.model import Client, Node, Pod, Scenario

TUNNEL_DEVICE = "vxlan.lab"


def node_namespace(node: str) -> str:
    """The network namespace that stands for a node."""
    return f"node:{node}"


def pod_namespace(pod: Pod) -> str:
    """The network namespace that a pod's processes live in."""
    return node_namespace(pod.node) if pod.host_network else f"pod:{pod.key}"


def pods_on(scenario: Scenario, node: Node) -> tuple[Pod, ...]:
    """The pods of a node that have a network namespace, and so a veth pair, of their own."""
    return tuple(pod for pod in scenario.pods if pod.node == node.name and not pod.host_network)


def client_namespace(client: Client) -> str:
    """The network namespace in which a client's sockets are made."""
    if client.pod is not None:
        return pod_namespace(client.pod)
    return node_namespace(client.node) if client.node else f"outside:{client.name}"


def host_interface(prefix: str, pod: Pod) -> str:
    """The node's end of a pod's veth pair.

    Prefix and 11 hex digits of SHA-1 over `namespace.pod`, as Calico names them
    (libcalico-go, VethNameForWorkload).
    """
    digest = hashlib.sha1(f"{pod.namespace}.{pod.name}".encode(), usedforsecurity=False)
    return prefix + digest.hexdigest()[:11]


def node_mac(number: int) -> str:
    """The hardware address of the interface of the node with this number."""
    return f"02:00:00:01:{number >> 8:02x}:{number & 0xFF:02x}"


def tunnel_mac(number: int) -> str:
    """The hardware address of the tunnel device of the node with this number."""
    return f"02:00:00:02:{number >> 8:02x}:{number & 0xFF:02x}"


def return_mark(number: int) -> int:
    """The mark that sends a reply to the node with this number, whatever its address."""
    return 0x8000 | (number + 1)
