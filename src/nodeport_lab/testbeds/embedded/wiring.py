"""Cables: from the plan of a lab to namespaces, links, addresses and routes.

Pods are wired as Calico wires them: a /32 address, a default route by way of
169.254.1.1, and one hardware address for the node's end of every veth pair. Nodes share a
bridge.

Neighbours are told, not asked for by ARP. The kernel remembers 1,024 neighbours at most in
all namespaces together (gc_thresh3), which 500 pods exceed, and what finds no room is not
sent. Permanent ones do not count since Linux 5.0: `neigh_alloc` in net/core/neighbour.c,
`exempt_from_gc`.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

from pyroute2.iproute.linux import IPRoute
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.rtnl.ifinfmsg import IFF_LOOPBACK

from nodeport_lab.testbeds.embedded import namespaces
from nodeport_lab.testbeds.embedded.announcing import announcement
from nodeport_lab.testbeds.embedded.plan import Machine, NodeCable, Plan, PodCable

POD_GATEWAY = "169.254.1.1"
_BRIDGE = "nodes"
_BRIDGE_MAC = "02:00:00:00:ff:01"
_VETH_MAC = "ee:ee:ee:ee:ee:ee"  # as Calico's; each veth pair is a network of its own
_POD_MAC = "02:00:00:00:ff:02"
_SWITCH = "switch"
_REQUIRED = {"vxlan": {"vxlan_id": 1, "vxlan_port": 4789}}
_VXLAN_ID = 4096
_VXLAN_PORT = 4789
_VXLAN_OVERHEAD = 50  # bytes
_ETHERNET_MTU = 1500
_FIRST_TABLE = 1000  # of the routing tables for replies
_LOCAL_TABLE = 255
_MARKED_PRIORITY, _LOCAL_PRIORITY = 100, 200


def has_device(kind: str) -> bool:
    """Whether the kernel makes network devices of this kind."""
    scratch = namespaces.create()
    try:
        with namespaces.inside(scratch), IPRoute() as netlink:
            netlink.link("add", ifname="trial", kind=kind, **_REQUIRED.get(kind, {}))
    except NetlinkError:
        return False
    finally:
        os.close(scratch)
    return True


def wire(plan: Plan) -> dict[str, int]:
    """Build a plan.

    Returns:
        namespace name -> descriptor.

    Raises:
        OSError: the kernel refused a step.
    """
    made = {_SWITCH: namespaces.create()}
    for node in plan.nodes:
        made[node.namespace] = namespaces.create()
        for pod in node.pods:
            made[pod.namespace] = namespaces.create()
    for machine in plan.outside:
        made[machine.namespace] = namespaces.create()
    with namespaces.inside(made[_SWITCH]):
        _write_sysctls()
        with IPRoute() as netlink:
            _wire_switch(netlink, plan, made)
    for machine in plan.outside:
        with namespaces.inside(made[machine.namespace]):
            _write_sysctls()
            with IPRoute() as netlink:
                _wire_machine(netlink, plan, machine)
    for node in plan.nodes:
        with namespaces.inside(made[node.namespace]):
            _write_sysctls()
            with IPRoute() as netlink:
                _wire_node(netlink, plan, node, made)
        for pod in node.pods:
            with namespaces.inside(made[pod.namespace]):
                _write_sysctls()
                with IPRoute() as netlink:
                    _wire_pod(netlink, pod)
    return made


def cut(namespace: int) -> None:
    """Take every cable of a node down: neither it nor its pods are reached any more."""
    with namespaces.inside(namespace), IPRoute() as netlink:
        for link in netlink.get_links():
            if not link["flags"] & IFF_LOOPBACK:
                netlink.link("set", index=link["index"], state="down")


def announce(namespace: int, addresses: Sequence[str], own: str, mac: str) -> None:
    """Let a node answer for more addresses, and tell everyone on its network so."""
    with namespaces.inside(namespace):
        with IPRoute() as netlink:
            eth0 = _index(netlink, "eth0")
            for address in addresses:
                _take(netlink, eth0, address, own)
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
            wire.bind(("eth0", 0))
            for address in addresses:
                wire.send(announcement(mac, address))


def _take(netlink: IPRoute, eth0: int, address: str, own: str) -> None:
    """Answer for an address that the interface does not have: the node calls under its own."""
    netlink.route(
        "replace",
        type="local",
        dst=address,
        dst_len=32,
        oif=eth0,
        scope="host",
        prefsrc=own,
        table=_LOCAL_TABLE,
    )


def _wire_switch(netlink: IPRoute, plan: Plan, made: Mapping[str, int]) -> None:
    """The nodes' network, which is also the router to machines that are not on it."""
    _up(netlink, "lo")
    netlink.link("add", ifname=_BRIDGE, kind="bridge", br_stp_state=0, address=_BRIDGE_MAC)
    bridge = _index(netlink, _BRIDGE)
    netlink.addr("add", index=bridge, address=plan.gateway, prefixlen=plan.prefix_length)
    netlink.link("set", index=bridge, state="up")
    for number, node in enumerate(plan.nodes):
        port = _plug(netlink, f"node{number}", made[node.namespace])
        netlink.link("set", index=port, master=bridge, state="up")
        _tell(netlink, bridge, node.address, node.mac)
    for number, machine in enumerate(plan.outside):
        port = _plug(netlink, f"outside{number}", made[machine.namespace])
        if machine.router is None:
            netlink.link("set", index=port, master=bridge, state="up")
        else:
            router = {"address": machine.router, "prefixlen": plan.prefix_length}
            netlink.addr("add", index=port, **router)
            netlink.link("set", index=port, state="up")


def _plug(netlink: IPRoute, name: str, namespace: int) -> int:
    """A cable from here to `eth0` of a namespace; returns the index of this end."""
    peer = {"ifname": "eth0", "net_ns_fd": namespace}
    netlink.link("add", ifname=name, kind="veth", peer=peer)
    return _index(netlink, name)


def _tell(netlink: IPRoute, link: int, address: str, mac: str) -> None:
    """Name a neighbour's hardware address for good."""
    netlink.neigh("add", dst=address, lladdr=mac, ifindex=link, state="permanent")


def _wire_node(netlink: IPRoute, plan: Plan, node: NodeCable, made: Mapping[str, int]) -> None:
    _up(netlink, "lo")
    eth0 = _index(netlink, "eth0")
    netlink.addr("add", index=eth0, address=node.address, prefixlen=plan.prefix_length)
    netlink.link("set", index=eth0, address=node.mac, state="up")
    for address in node.announced:
        _take(netlink, eth0, address, node.address)
    netlink.route("add", dst="default", gateway=plan.gateway)
    _tell(netlink, eth0, plan.gateway, _BRIDGE_MAC)
    for pod in node.pods:
        veth = _plug(netlink, pod.interface, made[pod.namespace])
        netlink.link("set", index=veth, address=_VETH_MAC, state="up")
        _tell(netlink, veth, pod.address, _POD_MAC)
        netlink.route("add", dst=pod.address, dst_len=32, oif=veth, scope="link")
    others = [other for other in plan.nodes if other.namespace != node.namespace]
    # Marked replies go back where they came from, also those to an address of this node.
    netlink.rule("add", priority=_LOCAL_PRIORITY, table=_LOCAL_TABLE)
    netlink.rule("delete", priority=0, table=_LOCAL_TABLE)
    for other in others:
        _tell(netlink, eth0, other.address, other.mac)
        table = _FIRST_TABLE + other.return_mark
        netlink.rule(
            "add", priority=_MARKED_PRIORITY, fwmark=other.return_mark, fwmask=0xFFFF, table=table
        )
        netlink.route("add", dst="default", gateway=other.address, table=table)
    if plan.tunnel_kind is None:
        for other in others:
            netlink.route("add", dst=other.pod_cidr, gateway=other.address)
    else:
        _wire_tunnel(netlink, plan, node, others)


def _wire_tunnel(
    netlink: IPRoute, plan: Plan, node: NodeCable, others: Sequence[NodeCable]
) -> None:
    device = {"ifname": plan.tunnel_device, "kind": plan.tunnel_kind}
    if plan.tunnel_kind == "vxlan":
        netlink.link(
            "add",
            **device,
            vxlan_id=_VXLAN_ID,
            vxlan_port=_VXLAN_PORT,
            vxlan_local=node.address,
            vxlan_learning=False,
            vxlan_gbp=True,
            address=node.tunnel_mac,
            mtu=_ETHERNET_MTU - _VXLAN_OVERHEAD,
        )
    else:
        netlink.link("add", **device, ipip_local=node.address)
    index = _index(netlink, plan.tunnel_device)
    netlink.addr("add", index=index, address=node.tunnel, prefixlen=32)
    netlink.link("set", index=index, state="up")
    for other in others:
        gateway = other.address
        if plan.tunnel_kind == "vxlan":
            gateway = other.tunnel or other.address
            mac = other.tunnel_mac
            _tell(netlink, index, gateway, mac)
            netlink.fdb("append", ifindex=index, lladdr=mac, dst=other.address)
        netlink.route("add", dst=other.pod_cidr, gateway=gateway, oif=index, flags="onlink")


def _wire_machine(netlink: IPRoute, plan: Plan, machine: Machine) -> None:
    _up(netlink, "lo")
    eth0 = _index(netlink, "eth0")
    netlink.addr("add", index=eth0, address=machine.address, prefixlen=plan.prefix_length)
    netlink.link("set", index=eth0, state="up")
    netlink.route("add", dst="default", gateway=machine.router or plan.gateway)


def _wire_pod(netlink: IPRoute, pod: PodCable) -> None:
    _up(netlink, "lo")
    eth0 = _index(netlink, "eth0")
    netlink.addr("add", index=eth0, address=pod.address, prefixlen=32)
    netlink.link("set", index=eth0, address=_POD_MAC, state="up")
    _tell(netlink, eth0, POD_GATEWAY, _VETH_MAC)
    netlink.route("add", dst=POD_GATEWAY, dst_len=32, oif=eth0, scope="link")
    netlink.route("add", dst="default", gateway=POD_GATEWAY, oif=eth0)


def _index(netlink: IPRoute, name: str) -> int:
    found: list[int] = netlink.link_lookup(ifname=name)
    return found[0]


def _up(netlink: IPRoute, name: str) -> None:
    netlink.link("set", index=_index(netlink, name), state="up")


def _write_sysctls() -> None:
    """Set what a new namespace may have inherited differently. Each is per namespace."""
    root = Path("/proc/sys/net")
    for key, value in (
        ("ipv4/conf/all/rp_filter", "0"),
        ("ipv4/conf/default/rp_filter", "0"),
        ("ipv4/conf/all/send_redirects", "0"),
        ("ipv4/conf/default/send_redirects", "0"),
        ("ipv4/conf/all/accept_local", "1"),  # another node may send on what this one sent
        ("ipv4/icmp_ratelimit", "0"),  # every datagram to nobody is refused, not some
        ("ipv4/ip_forward", "1"),
        ("ipv6/conf/all/disable_ipv6", "1"),
        ("ipv6/conf/default/disable_ipv6", "1"),
    ):
        path = root / key
        if path.exists():  # a kernel without IPv6 has no such key
            path.write_text(value)
