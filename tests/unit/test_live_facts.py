"""What is read from a cluster's own objects.

The objects are written after the documentation of Kubernetes, kubeadm, Calico and Cilium;
none was recorded on a cluster.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest
from support.live_cluster import NODES, PLANE, LiveCluster, node

from nodeport_lab.testbeds.cluster import detection, facts
from nodeport_lab.testbeds.cluster.connection import Connection
from nodeport_lab.testbeds.cluster.facts import Fact, Readings

KUBEADM = {
    "data": {
        "ClusterConfiguration": "networking:\n  podSubnet: 10.244.0.0/16,fd00:10:244::/56\n"
        "  serviceSubnet: 10.96.0.0/16\n"
    }
}


def config_map(**data: str) -> dict[str, Any]:
    """A ConfigMap with these keys (`_` for `-`)."""
    return {"data": {key.replace("_", "-"): value for key, value in data.items()}}


def daemon_set(container: str, image: str, **environment: str) -> dict[str, Any]:
    """A DaemonSet of one container."""
    env = [{"name": name, "value": value} for name, value in environment.items()]
    containers = [{"name": container, "image": image, "env": env}]
    return {"spec": {"template": {"spec": {"containers": containers}}}}


def calico(version: str, **environment: str) -> dict[str, Any]:
    """The DaemonSet calico-node."""
    return daemon_set("calico-node", f"quay.io/calico/node:v{version}", **environment)


def cilium(version: str) -> dict[str, Any]:
    """The DaemonSet cilium, with a digest."""
    return daemon_set("cilium-agent", f"quay.io/cilium/cilium:v{version}@sha256:{'0' * 64}")


def felix(**spec: object) -> dict[str, Any]:
    """The FelixConfiguration."""
    return {"spec": spec}


def proxy(mode: str, more: str = "") -> dict[str, Any]:
    """kube-proxy's ConfigMap."""
    return {"data": {"config.conf": f"kind: KubeProxyConfiguration\nmode: {mode!r}\n{more}"}}


def pool(**spec: object) -> dict[str, Any]:
    """An IPPool."""
    return {"spec": {"cidr": "10.244.0.0/16", **spec}}


# --- nodes and subnets ---------------------------------------------------------------------


def test_nodes_are_read_with_what_matters_for_placing_pods() -> None:
    """Address, role, and whether ordinary pods run there."""
    nodes = facts.read_nodes(
        Readings(
            [
                *NODES,
                node("closed", "192.0.2.13", spec={"unschedulable": True}),
                node("down", "192.0.2.14", ready="False"),
                node("windows", "192.0.2.15", system="windows"),
            ]
        )
    )

    assert ["closed", "down", "plane", "windows", "worker-x", "worker-y"] == [n.name for n in nodes]
    assert ["worker-x", "worker-y"] == [one.name for one in nodes if one.usable]
    assert ["plane"] == [one.name for one in nodes if one.control_plane]
    assert "192.0.2.11" == str(nodes[4].address)


def test_tunnel_addresses_are_calico_s_annotation_or_cilium_s_own() -> None:
    """One without either has none."""
    annotated = node(
        "a", "192.0.2.1", annotations={"projectcalico.org/IPv4VXLANTunnelAddr": "10.1.0.1"}
    )
    internal = {
        "metadata": {"name": "b"},
        "spec": {"addresses": [{"type": "CiliumInternalIP", "ip": "10.2.0.1"}]},
    }
    nodes = [annotated, node("b", "192.0.2.2"), node("c", "192.0.2.3")]

    found = facts.read_nodes(Readings(nodes, cilium_nodes=[internal]))

    assert ["10.1.0.1", "10.2.0.1", "None"] == [str(one.tunnel) for one in found]


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        (Readings(pools=[pool()], kubeadm=KUBEADM), Fact("10.244.0.0/16", "IPPool")),
        (
            Readings(pools=[pool(disabled=True)], kubeadm=KUBEADM),
            Fact("10.244.0.0/16", "ConfigMap kube-system/kubeadm-config"),
        ),
        (
            Readings(
                cilium_config=config_map(ipam="cluster-pool", cluster_pool_ipv4_cidr="10.0.0.0/8"),
                kubeadm=KUBEADM,
            ),
            Fact("10.0.0.0/8", "ConfigMap kube-system/cilium-config"),
        ),
        (
            Readings(cilium_config=config_map(ipam="kubernetes"), kubeadm=KUBEADM),
            Fact("10.244.0.0/16", "ConfigMap kube-system/kubeadm-config"),
        ),
        (
            Readings(
                [
                    node("a", "192.0.2.1", spec={"podCIDR": "10.7.0.0/24"}),
                    node("b", "192.0.2.2", spec={"podCIDR": "10.7.1.0/24"}),
                ]
            ),
            Fact("10.7.0.0/23", "the smallest range that holds every node's podCIDR"),
        ),
    ],
)
def test_the_pods_subnet_is_found_where_the_cni_or_kubeadm_says_it(
    readings: Readings, expected: Fact
) -> None:
    """The CNI's own word comes first."""
    assert expected == facts.pod_cidr(readings)


def test_an_unknown_subnet_comes_with_the_missing_right() -> None:
    """So that the user knows what to ask for, or what to state."""
    closed = Readings(unread={"pools": "IPPool may not be read", "kubeadm": "no"})

    assert Fact(None, "IPPool may not be read; no") == facts.pod_cidr(closed)
    assert facts.service_cidr(Readings()).value is None
    assert facts.pod_cidr(Readings(pools=[pool(), pool(cidr="10.9.0.0/16")])).value is None


def test_the_services_subnet_is_found_in_three_places() -> None:
    """The API of its own, kubeadm, the API server's arguments."""
    own = {"spec": {"cidrs": ["10.43.0.0/16", "fd43::/112"]}}
    arguments = ["kube-apiserver", "--service-cluster-ip-range=10.45.0.0/16"]
    server = {"metadata": {"name": "api"}, "spec": {"containers": [{"command": arguments}]}}

    assert "10.43.0.0/16" == facts.service_cidr(Readings(service_cidrs=[own])).value
    assert "10.96.0.0/16" == facts.service_cidr(Readings(kubeadm=KUBEADM)).value
    assert "10.45.0.0/16" == facts.service_cidr(Readings(api_servers=[server])).value


def test_the_nodes_range_never_holds_pods() -> None:
    """A policy for the nodes' range would allow pods as well."""
    near = facts.read_nodes(Readings(NODES))
    far = facts.read_nodes(Readings([node("a", "10.0.0.5"), node("b", "10.200.0.5")]))

    assert "192.0.2.8/29" == facts.node_cidr(near, "10.244.0.0/16", None).value
    assert "10.0.0.0/8" == facts.node_cidr(far, "172.30.0.0/16").value
    assert facts.node_cidr(far, "10.42.0.0/16").value is None
    assert facts.node_cidr((), None).value is None


def test_versions_are_those_of_the_images_and_of_the_nodes() -> None:
    """Nodes that differ are all named."""
    other = node("z", "192.0.2.14")
    other["status"]["nodeInfo"]["kernelVersion"] = "5.15.0"
    readings = Readings([*NODES, other], calico_node=calico("3.32.1"), cilium=cilium("1.18.12"))

    found = facts.versions(readings, "v1.36.4")

    assert ("1.36.4", "3.32.1", "1.18.12") == (
        found["kubernetes"],
        found["calico"],
        found["cilium"],
    )
    assert "5.15.0, 6.12.0" == found["kernel"]
    assert "kube-proxy" not in found


def test_gathering_notes_what_may_not_be_read_and_goes_on() -> None:
    """A guest without rights in kube-system still learns about nodes."""
    cluster = LiveCluster(forbidden={"ConfigMap", "FelixConfiguration"})
    cluster.add("DaemonSet", {"metadata": {"name": "calico-node", "namespace": "calico-system"}})

    readings = facts.gather(cast("Connection", cluster))

    assert {"kubeadm", "kube_proxy_config", "cilium_config", "felix"} == readings.unread.keys()
    assert "ConfigMap kube-system/kubeadm-config may not be read" == readings.unread["kubeadm"]
    assert PLANE["metadata"] in [one["metadata"] for one in readings.nodes]
    assert readings.calico_node is not None


# --- the dataplane ---------------------------------------------------------------------------

IPTABLES, NFTABLES = proxy("iptables"), proxy("nftables")
NEW, OLD = calico("3.32.1"), calico("3.31.7")


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        (Readings(calico_node=NEW, felix=felix(nftablesMode="Disabled")), "calico-iptables"),
        (Readings(calico_node=NEW, felix=felix(nftablesMode="Enabled")), "calico-nftables"),
        (Readings(calico_node=NEW, felix=felix(bpfEnabled=True)), "calico-ebpf"),
        (
            Readings(calico_node=calico("3.32.1", FELIX_BPFENABLED="true"), felix=felix()),
            "calico-ebpf",
        ),
        # Felix's environment comes before its configuration.
        (
            Readings(
                calico_node=calico("3.32.1", FELIX_NFTABLESMODE="Disabled"),
                felix=felix(nftablesMode="Enabled"),
            ),
            "calico-iptables",
        ),
        # Auto follows kube-proxy, and is the default from 3.32 on.
        (Readings(calico_node=NEW, felix=felix(), kube_proxy_config=NFTABLES), "calico-nftables"),
        (Readings(calico_node=NEW, felix=felix(), kube_proxy_config=IPTABLES), "calico-iptables"),
        (Readings(calico_node=NEW, felix=felix(nftablesMode="Auto")), None),
        (Readings(calico_node=OLD, felix=felix(), kube_proxy_config=NFTABLES), "calico-iptables"),
        (Readings(calico_node=daemon_set("calico-node", "node"), felix=felix()), None),
        # Without the right to read Felix's configuration, the operator's may say it.
        (
            Readings(
                calico_node=NEW,
                unread={"felix": "no"},
                installation={"spec": {"calicoNetwork": {"linuxDataplane": "BPF"}}},
            ),
            "calico-ebpf",
        ),
        (Readings(calico_node=NEW, unread={"felix": "no"}), None),
        (
            Readings(installation={"spec": {"calicoNetwork": {"linuxDataplane": "Nftables"}}}),
            None,  # the operator writes Auto then
        ),
        (Readings(cilium_config=config_map()), "cilium"),
        (Readings(cilium_config=config_map(kube_proxy_replacement="false")), "cilium"),
        (Readings(cilium_config=config_map(kube_proxy_replacement="true")), "cilium-kpr"),
        (
            Readings(
                cilium_config=config_map(
                    kube_proxy_replacement="true", bpf_lb_sock_hostns_only="true"
                )
            ),
            "cilium-kpr-hostns",
        ),
        (Readings(cilium_config=config_map(kube_proxy_replacement="partial")), None),
        (Readings(cilium=cilium("1.20.0"), unread={"cilium_config": "no"}), None),
        (Readings(cilium_config=config_map(), calico_node=NEW), None),
        (Readings(), None),
    ],
)
def test_the_dataplane_is_what_the_configuration_says_or_unknown(
    readings: Readings, expected: str | None
) -> None:
    """Unknown comes with a reason, and is never a guess."""
    found = detection.dataplane(readings)

    assert expected == found.value
    assert found.source


def values(readings: Readings, dataplane: str) -> dict[str, str]:
    """The options that are known."""
    found = detection.options(readings, dataplane)
    return {name: fact.value for name, fact in found.items() if fact.value is not None}


@pytest.mark.parametrize(
    ("modes", "expected"),
    [
        ({"vxlanMode": "CrossSubnet", "ipipMode": "Never"}, "VXLANCrossSubnet"),
        ({"vxlanMode": "Always"}, "VXLAN"),
        ({"ipipMode": "Always", "vxlanMode": "Never"}, "IPIP"),
        ({"ipipMode": "Never"}, "None"),
    ],
)
def test_encapsulation_is_the_pool_s(modes: dict[str, str], expected: str) -> None:
    """As calico's custom resources name it."""
    readings = Readings(calico_node=NEW, pools=[pool(**modes)])

    assert expected == values(readings, "calico-iptables")["encapsulation"]


def test_options_of_calico() -> None:
    """Of the environment, of FelixConfiguration, of kube-proxy, and Felix's defaults."""
    readings = Readings(
        calico_node=calico("3.32.1", FELIX_DEFAULTENDPOINTTOHOSTACTION="ACCEPT"),
        felix=felix(chainInsertMode="Append"),
        pools=[pool(natOutgoing=True)],
        kube_proxy_config=proxy("ipvs", "iptables:\n  masqueradeAll: true\n"),
    )

    assert {
        "encapsulation": "None",
        "natOutgoing": "Enabled",
        "natOutgoingExclusions": "IPPoolsOnly",
        "defaultEndpointToHostAction": "Accept",
        "chainInsertMode": "Append",
        "masqueradeAll": "true",
        "kubeProxyMode": "ipvs",
    } == values(readings, "calico-iptables")
    assert {"natOutgoing": "Enabled", "bpfConnectTimeLoadBalancing": "TCP"} == values(
        readings, "calico-ebpf"
    )


def test_options_of_calico_that_may_not_be_read_are_unknown() -> None:
    """A default is only a default where nothing can have set it."""
    closed = Readings(calico_node=NEW, unread={"felix": "no", "pools": "no"})

    assert {} == values(closed, "calico-iptables")
    differing = replace(closed, pools=[pool(natOutgoing=True), pool(cidr="10.9.0.0/16")])
    assert "the IPPools differ" == detection.options(differing, "calico-ebpf")["natOutgoing"].source


def test_options_of_cilium() -> None:
    """The version is one of those whose behaviour is told apart, or none."""
    set_ = config_map(policy_cidr_match_mode="nodes", routing_mode="native", bpf_lb_mode="dsr")

    assert {
        "ciliumVersion": "1.18",
        "policyCIDRMatchMode": "nodes",
        "routingMode": "native",
        "loadBalancerMode": "dsr",
    } == values(Readings(cilium=cilium("1.17.18"), cilium_config=set_), "cilium-kpr")
    plain = values(Readings(cilium=cilium("1.20.2"), cilium_config=config_map()), "cilium")
    assert ("1.20", "none", "tunnel") == (
        plain["ciliumVersion"],
        plain["policyCIDRMatchMode"],
        plain["routingMode"],
    )
    assert "ciliumVersion" not in values(Readings(cilium=cilium("1.19.6")), "cilium")
    assert {} == values(Readings(unread={"cilium_config": "no"}), "cilium")


def test_kube_proxy_s_mode() -> None:
    """An empty mode is iptables; a cluster without the ConfigMap says nothing."""
    assert "iptables" == detection.kube_proxy_mode(Readings(kube_proxy_config=proxy(""))).value
    assert detection.kube_proxy_mode(Readings()).value is None
    assert (
        detection.kube_proxy_mode(Readings(kube_proxy_config={"data": {"config.conf": "{"}})).value
        is None
    )
