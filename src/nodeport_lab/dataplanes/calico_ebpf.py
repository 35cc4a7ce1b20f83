"""Calico's eBPF dataplane, modelled on netfilter: Services first, then policy, by address.

Translation: at connect(), for cluster IPs and for the node ports of every node; with
connect-time load balancing off, by the program at the pod's veth, before its policy part.
Policy: the same program, on what it has translated. A connection from outside keeps its
source address all the way to the backend's policy, also when another node was dialled;
replies return through that node (felix/design/bpf-services.md, felix/bpf-gpl/
nat_lookup.h in projectcalico/calico).
"""

from __future__ import annotations

from collections.abc import Sequence

from nodeport_lab.dataplanes import felix, options
from nodeport_lab.dataplanes.connect import connect_table, translation_rules
from nodeport_lab.dataplanes.declaration import CompiledPolicies, Dataplane, Option, Options
from nodeport_lab.dataplanes.edge import edge_table
from nodeport_lab.dataplanes.names import node_namespace, pod_namespace, pods_on
from nodeport_lab.dataplanes.nftables import Table
from nodeport_lab.model import Network, NetworkPolicy, Scenario

_PROGRAM = "tc at the veth"


def translate(scenario: Scenario, network: Network, chosen: Options) -> dict[str, list[Table]]:
    """Services at connect or at the veth, node ports for the outside, natOutgoing."""
    every_node = [*network.nodes.values(), *network.tunnels.values()]
    tables: dict[str, list[Table]] = {}
    for node in scenario.nodes:
        tables[node_namespace(node.name)] = [
            connect_table(scenario, network, node.name, every_node),
            edge_table(scenario, network, node.name, keep_source=True),
            felix.nat_outgoing(network, chosen),
        ]
        if chosen[options.CONNECT_TIME_LOAD_BALANCING] == "Disabled":
            at_veth = Table("at-veth")
            at_veth.chain(
                "prerouting",
                [
                    f'iifname "{felix.PREFIX}*" {rule}'
                    for rule in translation_rules(
                        at_veth, scenario, network, node.name, every_node, "prerouting"
                    )
                ],
                hook="type nat hook prerouting priority -110; policy accept",
            )
            at_veth.chain(
                "hairpin",
                [
                    f"ct status dnat ip saddr {network.pods[pod.key]} "
                    f"ip daddr {network.pods[pod.key]} masquerade"
                    for pod in pods_on(scenario, node)
                ],
                hook="type nat hook postrouting priority 90; policy accept",
            )
            tables[node_namespace(node.name)].append(at_veth)
        else:
            for pod in pods_on(scenario, node):
                tables[pod_namespace(pod)] = [
                    connect_table(scenario, network, node.name, every_node)
                ]
    return tables


def police(
    scenario: Scenario, network: Network, policies: Sequence[NetworkPolicy], chosen: Options
) -> CompiledPolicies:
    """Felix's policy programs."""
    return felix.police(scenario, network, policies, chosen, _PROGRAM, _PROGRAM)


def tunnel(_chosen: Options) -> str | None:
    """No encapsulation: nodes share a subnet."""
    return None


CALICO_EBPF = Dataplane(
    name="calico-ebpf",
    basis="modelled",
    summary=(
        "Calico's eBPF dataplane: Service addresses, node ports of every node included, are "
        "translated before policy, which matches addresses. Modelled."
    ),
    interface_prefix=felix.PREFIX,
    tunnel=tunnel,
    translate=translate,
    police=police,
    options={
        options.NAT_OUTGOING: options.CALICO[options.NAT_OUTGOING],
        options.CONNECT_TIME_LOAD_BALANCING: Option(
            ("TCP", "Disabled"), "whether Services are translated at connect() or at the veth"
        ),
    },
    limits="Direct server return (BPFExternalServiceMode DSR) changes only the way that "
    "replies take, after policy has been evaluated, and so no verdict.",
)
