"""Cables: from the plan of a lab to namespaces, links, addresses and routes.

Pods are wired as Calico wires them: a /32 address, a default route by way of
169.254.1.1, and proxy ARP on the node's end of the veth pair. Nodes share a bridge.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pyroute2.iproute.linux import IPRoute

from nodeport_lab.testbeds.embedded import namespaces
from nodeport_lab.testbeds.embedded.plan import NodeCable, Plan, PodCable

POD_GATEWAY = "169.254.1.1"
_BRIDGE = "nodes"
_VXLAN_ID = 4096
_VXLAN_PORT = 4789


def wire(plan: Plan) -> dict[str, int]:
    """Build a plan.

    Returns:
        namespace name -> descriptor.

    Raises:
        OSError: the kernel refused a step.
    """
    made = {}
    _write_sysctls()
    with IPRoute() as netlink:
        _up(netlink, "lo")
        netlink.link("add", ifname=_BRIDGE, kind="bridge", br_stp_state=0)
        bridge = _index(netlink, _BRIDGE)
        netlink.addr("add", index=bridge, address=plan.gateway, prefixlen=plan.prefix_length)
        netlink.link("set", index=bridge, state="up")
        for number, node in enumerate(plan.nodes):
            made[node.namespace] = namespaces.create()
            netlink.link(
                "add",
                ifname=f"node{number}",
                kind="veth",
                peer={"ifname": "eth0", "net_ns_fd": made[node.namespace]},
            )
            port = _index(netlink, f"node{number}")
            netlink.link("set", index=port, master=bridge, state="up")
    for node in plan.nodes:
        for pod in node.pods:
            made[pod.namespace] = namespaces.create()
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


def _wire_node(netlink: IPRoute, plan: Plan, node: NodeCable, made: Mapping[str, int]) -> None:
    _up(netlink, "lo")
    eth0 = _index(netlink, "eth0")
    netlink.addr("add", index=eth0, address=node.address, prefixlen=plan.prefix_length)
    netlink.link("set", index=eth0, state="up")
    # Without a route that covers 169.254.1.1 by way of another interface, proxy ARP is silent.
    netlink.route("add", dst="default", gateway=plan.gateway)
    for pod in node.pods:
        netlink.link(
            "add",
            ifname=pod.interface,
            kind="veth",
            peer={"ifname": "eth0", "net_ns_fd": made[pod.namespace]},
        )
        veth = _index(netlink, pod.interface)
        netlink.link("set", index=veth, state="up")
        Path(f"/proc/sys/net/ipv4/conf/{pod.interface}/proxy_arp").write_text("1")
        # The kernel would otherwise answer up to 0.8 s late.
        Path(f"/proc/sys/net/ipv4/neigh/{pod.interface}/proxy_delay").write_text("0")
        netlink.route("add", dst=pod.address, dst_len=32, oif=veth, scope="link")
    others = [
        (number, other)
        for number, other in enumerate(plan.nodes)
        if other.namespace != node.namespace
    ]
    if node.tunnel is None:
        for _, other in others:
            netlink.route("add", dst=other.pod_cidr, gateway=other.address)
        return
    netlink.link(
        "add",
        ifname=plan.tunnel_device,
        kind="vxlan",
        vxlan_id=_VXLAN_ID,
        vxlan_port=_VXLAN_PORT,
        vxlan_local=node.address,
        vxlan_learning=False,
        vxlan_gbp=True,
        address=_tunnel_mac(plan.nodes.index(node)),
    )
    vxlan = _index(netlink, plan.tunnel_device)
    netlink.addr("add", index=vxlan, address=node.tunnel, prefixlen=32)
    netlink.link("set", index=vxlan, state="up")
    for number, other in others:
        mac = _tunnel_mac(number)
        netlink.neigh("add", dst=other.tunnel, lladdr=mac, ifindex=vxlan, state="permanent")
        netlink.fdb("append", ifindex=vxlan, lladdr=mac, dst=other.address)
        netlink.route("add", dst=other.pod_cidr, gateway=other.tunnel, oif=vxlan, flags="onlink")


def _wire_pod(netlink: IPRoute, pod: PodCable) -> None:
    _up(netlink, "lo")
    eth0 = _index(netlink, "eth0")
    netlink.addr("add", index=eth0, address=pod.address, prefixlen=32)
    netlink.link("set", index=eth0, state="up")
    netlink.route("add", dst=POD_GATEWAY, dst_len=32, oif=eth0, scope="link")
    netlink.route("add", dst="default", gateway=POD_GATEWAY, oif=eth0)


def _index(netlink: IPRoute, name: str) -> int:
    found: list[int] = netlink.link_lookup(ifname=name)
    return found[0]


def _up(netlink: IPRoute, name: str) -> None:
    netlink.link("set", index=_index(netlink, name), state="up")


def _tunnel_mac(number: int) -> str:
    return f"02:00:00:00:{number >> 8:02x}:{number & 0xFF:02x}"


def _write_sysctls() -> None:
    """Set what a new namespace may have inherited differently. Each is per namespace."""
    root = Path("/proc/sys/net")
    for key, value in (
        ("ipv4/conf/all/rp_filter", "0"),
        ("ipv4/conf/default/rp_filter", "0"),
        ("ipv4/conf/all/send_redirects", "0"),
        ("ipv4/conf/default/send_redirects", "0"),
        ("ipv4/ip_forward", "1"),
        ("ipv6/conf/all/disable_ipv6", "1"),
        ("ipv6/conf/default/disable_ipv6", "1"),
    ):
        path = root / key
        if path.exists():  # a kernel without IPv6 has no such key
            path.write_text(value)
