"""Cilium in kube-proxy's place (kubeProxyReplacement=true), modelled on netfilter.

`cilium-kpr`: the socket load balancer translates at connect(), cluster IPs and the node
ports of every node alike (bpf/bpf_sock.c). `cilium-kpr-hostns`: with
socketLB.hostNamespaceOnly it works for processes on the node only; pods' packets are
translated at their veth, ahead of policy, up to 1.18 for node ports of the pod's own node
alone, in 1.20 for those of every node (cilium/cilium#33906, #44507, #44990).

A client outside dials a node: that node translates, and puts its own address in place of
the client's when the backend is elsewhere (snat), or keeps it (dsr).
"""

from __future__ import annotations

from functools import partial

from nodeport_lab.dataplanes import cilium_programs, options
from nodeport_lab.dataplanes.connect import connect_table
from nodeport_lab.dataplanes.declaration import Dataplane, Option, Options
from nodeport_lab.dataplanes.edge import edge_table
from nodeport_lab.dataplanes.names import node_namespace, pod_namespace, pods_on
from nodeport_lab.dataplanes.nftables import Table
from nodeport_lab.model import Network, Scenario


def translate(
    scenario: Scenario, network: Network, chosen: Options, *, host_namespace_only: bool
) -> dict[str, list[Table]]:
    """Load balancing for pods, for processes on nodes, and for clients outside."""
    every_node = [*network.nodes.values(), *network.tunnels.values()]
    only_own = host_namespace_only and chosen[options.CILIUM_VERSION] == "1.18"
    tables = {}
    for node in scenario.nodes:
        own = [found[node.name] for found in (network.nodes, network.tunnels) if node.name in found]
        tables[node_namespace(node.name)] = [
            connect_table(scenario, network, node.name, every_node),
            edge_table(
                scenario,
                network,
                node.name,
                keep_source=chosen[options.LOAD_BALANCER_MODE] == "dsr",
            ),
            cilium_programs.identity_table(scenario, network, node.name),
        ]
        for pod in pods_on(scenario, node):
            tables[pod_namespace(pod)] = [
                connect_table(scenario, network, node.name, own if only_own else every_node)
            ]
    return tables


_OPTIONS = {
    **options.CILIUM,
    options.LOAD_BALANCER_MODE: Option(
        ("snat", "dsr"), "whose address a backend on another node sees of a client outside"
    ),
}

CILIUM_KPR = Dataplane(
    name="cilium-kpr",
    basis="modelled",
    summary=(
        "Cilium in kube-proxy's place with its socket load balancer: every Service address "
        "is translated at connect(), before policy, which matches identities. Modelled."
    ),
    interface_prefix=cilium_programs.PREFIX,
    tunnel=cilium_programs.tunnel,
    translate=partial(translate, host_namespace_only=False),
    police=cilium_programs.police,
    options=_OPTIONS,
)

CILIUM_KPR_HOSTNS = Dataplane(
    name="cilium-kpr-hostns",
    basis="modelled",
    summary=(
        "Cilium in kube-proxy's place with socketLB.hostNamespaceOnly: pods' packets are "
        "translated at the veth before policy; in 1.18 not for other nodes' ports. Modelled."
    ),
    interface_prefix=cilium_programs.PREFIX,
    tunnel=cilium_programs.tunnel,
    translate=partial(translate, host_namespace_only=True),
    police=cilium_programs.police,
    options=_OPTIONS,
)
