"""What is pinned, and what kind, Calico and Cilium are told for each dataplane.

Whether the real kind accepts the configuration is tried where kind is installed, with a
stand-in for docker; no node is made.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.stand_ins import Programs

from nodeport_lab.dataplanes import DATAPLANES
from nodeport_lab.errors import LabError, PrerequisiteError, UnknownNameError
from nodeport_lab.locations import manifests_directory
from nodeport_lab.testbeds.kind import cni, configuration, pins

IMAGE = "kindest/node:v1.36.4"
PODS = "10.244.0.0/16"


def configured(dataplane: str, shape: str = "dev", **options: str) -> dict[str, Any]:
    """The configuration for a dataplane."""
    base = yaml.safe_load((manifests_directory() / "kind" / f"{shape}.yaml").read_text())
    found = DATAPLANES[dataplane]
    chosen = configuration.complete(found, options)
    return configuration.configure(base, "dev", found, chosen, IMAGE)


def calico(dataplane: str, **options: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The specs of FelixConfiguration and Installation."""
    base = yaml.safe_load((manifests_directory() / "cni" / "calico.yaml").read_text())
    chosen = configuration.complete(DATAPLANES[dataplane], options)
    felix, installation = cni.calico(base, dataplane, chosen, PODS)
    return felix["spec"], installation["spec"]


def cilium(dataplane: str, **options: str) -> dict[str, Any]:
    """The values of the chart."""
    base = yaml.safe_load((manifests_directory() / "cni" / "cilium.yaml").read_text())
    chosen = configuration.complete(DATAPLANES[dataplane], options)
    return cni.cilium(base, dataplane, chosen, "dev", PODS)


@pytest.mark.parametrize(
    ("dataplane", "mode"),
    [
        ("calico-iptables", "iptables"),
        ("calico-nftables", "nftables"),
        ("calico-ebpf", "iptables"),
        ("cilium", "iptables"),
        ("cilium-kpr", "none"),
        ("cilium-kpr-hostns", "none"),
    ],
)
def test_every_dataplane_gets_its_kube_proxy_and_no_default_cni(dataplane: str, mode: str) -> None:
    """The nodes keep the subnets of the manifest."""
    networking = configured(dataplane)["networking"]
    assert networking == {
        "disableDefaultCNI": True,
        "kubeProxyMode": mode,
        "podSubnet": PODS,
        "serviceSubnet": "10.96.0.0/16",
    }


def test_the_image_goes_to_every_node_of_either_shape() -> None:
    """The atlas has one worker more."""
    assert [IMAGE] * 3 == [node["image"] for node in configured("cilium")["nodes"]]
    assert [IMAGE] * 4 == [node["image"] for node in configured("cilium", "atlas")["nodes"]]


def test_ipvs_is_an_option_on_kind_although_it_cannot_be_emulated() -> None:
    """A live-only value is accepted here."""
    found = configured("calico-iptables", kubeProxyMode="ipvs")
    assert found["networking"]["kubeProxyMode"] == "ipvs"


@pytest.mark.parametrize(
    ("dataplane", "options", "section"),
    [
        ("calico-iptables", {}, "iptables"),
        ("calico-nftables", {}, "nftables"),
        ("calico-iptables", {"kubeProxyMode": "ipvs"}, "iptables"),
    ],
)
def test_masquerade_all_is_a_patch_of_kube_proxys_configuration(
    dataplane: str, options: dict[str, str], section: str
) -> None:
    """Each mode reads its own section."""
    (patch,) = configured(dataplane, masqueradeAll="true", **options)["kubeadmConfigPatches"]
    assert yaml.safe_load(patch) == {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        section: {"masqueradeAll": True},
    }


@pytest.mark.parametrize("name", ["", "Dev", "a_b", "dev/..", "..", "x" * 33])
def test_a_name_that_cannot_be_a_host_name_is_refused(name: str) -> None:
    """Also one that would leave the directory of clusters."""
    with pytest.raises(LabError, match="cluster's name"):
        configuration.check_name(name)


def test_options_that_do_not_exist_or_cannot_be_set_are_refused() -> None:
    """With what there is, or why not."""
    tables = DATAPLANES["calico-iptables"]
    with pytest.raises(UnknownNameError, match="no option of calico-iptables 'routingMode'"):
        configuration.complete(tables, {"routingMode": "native"})
    with pytest.raises(UnknownNameError, match=r"kubeProxyMode 'none'.*iptables, ipvs"):
        configuration.complete(tables, {"kubeProxyMode": "none"})
    with pytest.raises(PrerequisiteError, match="operator sets FELIX_DEFAULTENDPOINTTOHOSTACTION"):
        configuration.complete(tables, {"defaultEndpointToHostAction": "Drop"})
    with pytest.raises(LabError, match="only with ciliumVersion"):
        configuration.complete(DATAPLANES["cilium"], {"policyCIDRMatchMode": "pods"})


def test_calico_gets_a_pool_like_the_reports() -> None:
    """VXLAN across subnets, in the pods' subnet of kind."""
    felix, installation = calico("calico-iptables")
    assert felix == {"chainInsertMode": "Insert", "natOutgoingExclusions": "IPPoolsOnly"}
    (pool,) = installation["calicoNetwork"].pop("ipPools")
    assert installation["calicoNetwork"] == {"linuxDataplane": "Iptables"}
    assert (pool["cidr"], pool["encapsulation"], pool["natOutgoing"]) == (
        PODS,
        "VXLANCrossSubnet",
        "Enabled",
    )


def test_calicos_options_reach_the_operator_or_felix() -> None:
    """Each under the name that its owner gives it."""
    felix, installation = calico(
        "calico-nftables",
        encapsulation="IPIP",
        natOutgoing="Disabled",
        natOutgoingExclusions="IPPoolsAndHostIPs",
    )
    assert felix == {"natOutgoingExclusions": "IPPoolsAndHostIPs"}
    assert installation["calicoNetwork"]["linuxDataplane"] == "Nftables"
    (pool,) = installation["calicoNetwork"]["ipPools"]
    assert (pool["encapsulation"], pool["natOutgoing"]) == ("IPIP", "Disabled")


def test_ebpf_is_set_up_as_in_calicos_own_job_on_kind() -> None:
    """The operator bootstraps it and switches kube-proxy off; a node needs more memory."""
    felix, installation = calico("calico-ebpf", bpfConnectTimeLoadBalancing="Disabled")
    assert felix == {"bpfConnectTimeLoadBalancing": "Disabled"}
    network = installation["calicoNetwork"]
    assert network["linuxDataplane"] == "BPF"
    assert network["bpfNetworkBootstrap"] == network["kubeProxyManagement"] == "Enabled"
    assert network["ipPools"][0]["encapsulation"] == "VXLAN"
    (container,) = installation["calicoNodeDaemonSet"]["spec"]["template"]["spec"]["containers"]
    assert container["resources"] == {"limits": {"memory": "1Gi"}}


def test_cilium_beside_kube_proxy_replaces_nothing() -> None:
    """And addresses come from Kubernetes, as on Cilium's page on kind."""
    assert cilium("cilium") == {
        "ipam": {"mode": "kubernetes"},
        "operator": {"replicas": 1},
        "image": {"pullPolicy": "IfNotPresent"},
        "routingMode": "tunnel",
        "tunnelProtocol": "vxlan",
        "kubeProxyReplacement": "false",
    }


def test_cilium_without_kube_proxy_is_told_where_the_api_is() -> None:
    """No Service address works before Cilium itself does."""
    values = cilium("cilium-kpr")
    assert values["kubeProxyReplacement"] == "true"
    assert (values["k8sServiceHost"], values["k8sServicePort"]) == ("dev-control-plane", 6443)
    assert "socketLB" not in values
    assert cilium("cilium-kpr-hostns")["socketLB"] == {"hostNamespaceOnly": True}


def test_ciliums_options_become_values() -> None:
    """Direct server return needs a tunnel whose header has room, or none."""
    assert cilium("cilium", policyCIDRMatchMode="nodes")["policyCIDRMatchMode"] == "nodes"
    native = cilium("cilium-kpr", routingMode="native", loadBalancerMode="dsr")
    assert native["routingMode"] == "native"
    assert native["autoDirectNodeRoutes"] is True
    assert native["ipv4NativeRoutingCIDR"] == PODS
    assert native["loadBalancer"] == {"mode": "dsr", "dsrDispatch": "opt"}
    tunnel = cilium("cilium-kpr", loadBalancerMode="dsr")
    assert tunnel["tunnelProtocol"] == "geneve"
    assert tunnel["loadBalancer"] == {"mode": "dsr", "dsrDispatch": "geneve"}


def test_every_pin_has_a_checksum_and_a_source_and_what_has_none_is_listed() -> None:
    """Of no image of Calico a digest is known."""
    found = pins.load()
    for artefact in (found.kind, *found.calico, *found.cilium.values()):
        assert re.fullmatch(r"[0-9a-f]{64}", artefact.sha256 or "")
        assert artefact.url.startswith("https://")
        assert artefact.source
    for image in (found.node, found.old_node):
        assert re.fullmatch(r"kindest/node:v1\.\d+\.\d+@sha256:[0-9a-f]{64}", image)
    assert found.calico_images
    assert not any("@sha256:" in image for image in found.calico_images)


def test_the_pinned_versions_are_those_that_dataplanes_and_manifests_speak_of() -> None:
    """Both files of kind and both values of ciliumVersion."""
    found = pins.load()
    assert set(DATAPLANES["cilium"].options["ciliumVersion"].values) == set(found.cilium)
    for shape in ("dev", "atlas"):
        nodes = yaml.safe_load((manifests_directory() / "kind" / f"{shape}.yaml").read_text())
        assert {node["image"] for node in nodes["nodes"]} == {found.node}
    manifests = {one.name: one.url for one in found.calico}
    assert list(manifests) == ["v1_crd_projectcalico_org.yaml", "tigera-operator.yaml"]
    assert all(f"/{found.calico_version}/" in url for url in manifests.values())


@pytest.mark.skipif(shutil.which("kind") is None, reason="the program kind is not on PATH")
@pytest.mark.parametrize("dataplane", DATAPLANES)
def test_the_real_kind_accepts_the_configuration(dataplane: str, tmp_path: Path) -> None:
    """It gets as far as asking the engine for nodes; a wrong mode does not."""
    kind = shutil.which("kind")
    assert kind is not None
    programs = Programs(tmp_path / "bin")
    programs.remove("kind")
    programs.link_tools()

    def tried(document: dict[str, Any]) -> str:
        file = tmp_path / "kind.yaml"
        file.write_text(yaml.safe_dump(document))
        command = [kind, "create", "cluster", "--name", "dev", "--config", str(file)]
        ended = subprocess.run(
            [*command, "--kubeconfig", str(tmp_path / "kubeconfig"), "--wait", "0s"],
            env={**os.environ, "PATH": programs.path},
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
        assert ended.returncode != 0
        return ended.stderr

    options = {"masqueradeAll": "true"} if "masqueradeAll" in DATAPLANES[dataplane].options else {}
    found = configured(dataplane, **options)
    wrong = {**found, "networking": {**found["networking"], "kubeProxyMode": "bogus"}}
    assert "invalid kubeProxyMode: bogus" in tried(wrong)
    assert not any(call.startswith("docker run") for call in programs.calls)
    assert "kubeProxyMode" not in tried(found)
    assert any(call.startswith("docker run") for call in programs.calls)
