"""Cilium with kube-proxy kept (kubeProxyReplacement=false), modelled on netfilter.

Translation: cluster IPs before policy; node ports by kube-proxy, after policy
(Documentation/network/kubernetes/kubeproxy-free.rst in cilium/cilium).
"""

from __future__ import annotations

from nodeport_lab.dataplanes import cilium_programs, options
from nodeport_lab.dataplanes.connect import connect_table
from nodeport_lab.dataplanes.declaration import Dataplane, Options
from nodeport_lab.dataplanes.kube_proxy import node_table
from nodeport_lab.dataplanes.names import node_namespace, pod_namespace, pods_on
from nodeport_lab.dataplanes.nftables import Table
from nodeport_lab.model import Network, Scenario


def translate(scenario: Scenario, network: Network, _chosen: Options) -> dict[str, list[Table]]:
    """kube-proxy and identities on every node, cluster IPs in every pod."""
    tables = {}
    for node in scenario.nodes:
        tables[node_namespace(node.name)] = [
            node_table(scenario, network, node.name),
            cilium_programs.identity_table(scenario, network, node.name),
        ]
        for pod in pods_on(scenario, node):
            tables[pod_namespace(pod)] = [connect_table(scenario, network, node.name)]
    return tables


CILIUM = Dataplane(
    name="cilium",
    basis="modelled",
    summary=(
        "Cilium with kube-proxy kept: policy is evaluated at the pod's veth before "
        "kube-proxy translates a node port, and matches identities. Modelled."
    ),
    interface_prefix=cilium_programs.PREFIX,
    tunnel=cilium_programs.tunnel,
    translate=translate,
    police=cilium_programs.police,
    options=options.CILIUM,
)
