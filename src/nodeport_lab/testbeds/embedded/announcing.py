"""Which node answers for the addresses that stand for Services outside of the cluster.

An imitation of kube-vip, and of MetalLB in layer 2 mode; neither runs here. One node at a
time takes an address upon itself; when it dies another one does, and says so by gratuitous
ARP. Which node it is, is this lab's own choice: the last worker that may. With
externalTrafficPolicy Local only a node with a server may, since another one would have
nobody to send to.
"""

from __future__ import annotations

import struct
from collections.abc import Set as AbstractSet
from ipaddress import IPv4Address

from nodeport_lab.model import Network, Scenario, Service
from nodeport_lab.services import outside_addresses, selected_pods

_BROADCAST = b"\xff" * 6
_ARP = 0x0806
_ETHERNET, _IPV4, _REQUEST = 1, 0x0800, 1


def announcers(
    scenario: Scenario, network: Network, lost: AbstractSet[str] = frozenset()
) -> dict[str, tuple[str, ...]]:
    """Node -> the addresses that it answers for; nodes without any are left out.

    Args:
        scenario: Services, and where their servers run.
        network: the addresses.
        lost: nodes that are down.
    """
    found: dict[str, dict[str, None]] = {}
    for service in scenario.services:
        node = _announcer(scenario, service, lost)
        if node is not None:
            addresses = map(str, outside_addresses(network, service))
            found.setdefault(node, {}).update(dict.fromkeys(addresses))
    return {node: tuple(addresses) for node, addresses in found.items() if addresses}


def announcement(mac: str, address: str) -> bytes:
    """An Ethernet frame that tells everyone on the link who has an address now (RFC 5227)."""
    hardware = bytes.fromhex(mac.replace(":", ""))
    packed = IPv4Address(address).packed
    head = struct.pack("!6s6sH", _BROADCAST, hardware, _ARP)
    body = struct.pack("!HHBBH", _ETHERNET, _IPV4, len(hardware), len(packed), _REQUEST)
    return head + body + hardware + packed + bytes(len(hardware)) + packed


def _announcer(scenario: Scenario, service: Service, lost: AbstractSet[str]) -> str | None:
    workers = [node.name for node in scenario.nodes if not node.control_plane]
    able = [name for name in workers if name not in lost]
    if service.external_traffic_policy == "Local":
        homes = {pod.node for pod in selected_pods(scenario, service)}
        able = [name for name in able if name in homes]
    return able[-1] if able else None
