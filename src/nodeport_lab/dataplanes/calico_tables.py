"""Calico beside kube-proxy, both in iptables mode or both in nftables mode.

Translation: kube-proxy in nat prerouting, cluster IPs and this node's own node ports.
Policy: Felix, after that translation and before any masquerade: in filter FORWARD, and in
filter INPUT for what is delivered to the node itself. The two modes use other tables and
the same order (felix/nftables/table.go; projectcalico/calico#9869); they differ in which
addresses of a node serve node ports.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from nodeport_lab.dataplanes import felix, options
from nodeport_lab.dataplanes.declaration import CompiledPolicies, Dataplane, Option, Options
from nodeport_lab.dataplanes.kube_proxy import node_table
from nodeport_lab.dataplanes.names import node_namespace
from nodeport_lab.dataplanes.nftables import Table
from nodeport_lab.model import Network, NetworkPolicy, Scenario


def translate(
    scenario: Scenario, network: Network, chosen: Options, *, primary_only: bool
) -> dict[str, list[Table]]:
    """kube-proxy and Calico's natOutgoing, on every node."""
    return {
        node_namespace(node.name): [
            node_table(
                scenario,
                network,
                node.name,
                primary_only=primary_only,
                masquerade_all=chosen[options.MASQUERADE_ALL] == "true",
            ),
            felix.nat_outgoing(network, chosen),
        ]
        for node in scenario.nodes
    }


def police(
    scenario: Scenario, network: Network, policies: Sequence[NetworkPolicy], chosen: Options
) -> CompiledPolicies:
    """Felix's chains in the filter table."""
    return felix.police(scenario, network, policies, chosen, "filter FORWARD", "filter INPUT")


def tunnel(chosen: Options) -> str | None:
    """The device of an encapsulation. Cross-subnet never applies: nodes share a subnet."""
    return {"VXLAN": "vxlan", "IPIP": "ipip"}.get(chosen[options.ENCAPSULATION])


_SHARED = {
    **options.CALICO,
    **options.KUBE_PROXY,
    options.DEFAULT_ENDPOINT_TO_HOST_ACTION: Option(
        ("Accept", "Drop"), "what happens to packets from pods to their own node after policy"
    ),
}

CALICO_IPTABLES = Dataplane(
    name="calico-iptables",
    basis="emulated",
    summary=(
        "Calico's iptables dataplane with kube-proxy in iptables mode: kube-proxy "
        "translates first, policy is evaluated in filter FORWARD and matches addresses."
    ),
    interface_prefix=felix.PREFIX,
    tunnel=tunnel,
    translate=partial(translate, primary_only=False),
    police=police,
    options={
        **_SHARED,
        options.KUBE_PROXY_MODE: options.IPVS,
        options.CHAIN_INSERT_MODE: Option(
            ("Insert", "Append"), "whether Felix's chains come before the host's other rules"
        ),
    },
)

CALICO_NFTABLES = Dataplane(
    name="calico-nftables",
    basis="emulated",
    summary=(
        "Calico's nftables dataplane with kube-proxy in nftables mode: the order of the "
        "iptables dataplane; node ports on a node's primary address only."
    ),
    interface_prefix=felix.PREFIX,
    tunnel=tunnel,
    translate=partial(translate, primary_only=True),
    police=police,
    options=_SHARED,
)
