"""What a dataplane's options mean to Calico's operator and to Cilium's Helm chart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodeport_lab.dataplanes import options as names

API_PORT = 6443
_LINUX_DATAPLANE = {
    "calico-iptables": "Iptables",
    "calico-nftables": "Nftables",
    "calico-ebpf": "BPF",
}
_FELIX = {
    names.CHAIN_INSERT_MODE: "chainInsertMode",
    names.NAT_OUTGOING_EXCLUSIONS: "natOutgoingExclusions",
    names.CONNECT_TIME_LOAD_BALANCING: "bpfConnectTimeLoadBalancing",
}

Values = dict[str, Any]


def is_calico(dataplane: str) -> bool:
    """Whether a dataplane is one of Calico's; the others are Cilium's."""
    return dataplane in _LINUX_DATAPLANE


def calico(
    base: Mapping[str, Any], dataplane: str, options: Mapping[str, str], pods: str
) -> tuple[Values, Values]:
    """Calico's FelixConfiguration and Installation, to be applied in this order.

    Args:
        base: the Installation of `manifests/cni/calico.yaml`.
        dataplane: its name.
        options: complete.
        pods: the pods' subnet.
    """
    felix = {
        "apiVersion": "crd.projectcalico.org/v1",
        "kind": "FelixConfiguration",
        "metadata": {"name": "default"},
        "spec": {field: options[name] for name, field in _FELIX.items() if name in options},
    }
    ebpf = dataplane == "calico-ebpf"
    pool = {
        "name": "default-ipv4-ippool",
        "blockSize": 26,
        "cidr": pods,
        # On kind all nodes share one subnet, so that across subnets never applies, and eBPF
        # needs its VXLAN device (projectcalico/calico, hack/test/kind/infra/values-bpf.yaml).
        "encapsulation": "VXLAN" if ebpf else options[names.ENCAPSULATION],
        "natOutgoing": options[names.NAT_OUTGOING],
        "nodeSelector": "all()",
    }
    network = {"linuxDataplane": _LINUX_DATAPLANE[dataplane], "ipPools": [pool]}
    spec: Values = {"calicoNetwork": network}
    if ebpf:
        network |= {"bpfNetworkBootstrap": "Enabled", "kubeProxyManagement": "Enabled"}
        spec["calicoNodeDaemonSet"] = _memory("1Gi")  # 512Mi is not enough, says the same file
    return felix, merged(base, {"spec": spec})


def cilium(
    base: Mapping[str, Any], dataplane: str, options: Mapping[str, str], cluster: str, pods: str
) -> Values:
    """The values of Cilium's Helm chart.

    Args:
        base: `manifests/cni/cilium.yaml`.
        dataplane: its name.
        options: complete.
        cluster: name of the kind cluster, whose control plane is `<name>-control-plane`.
        pods: the pods' subnet.
    """
    values: Values = {"kubeProxyReplacement": "false"}
    if dataplane != "cilium":
        values = {
            "kubeProxyReplacement": "true",
            "k8sServiceHost": f"{cluster}-control-plane",
            "k8sServicePort": API_PORT,
        }
    if dataplane == "cilium-kpr-hostns":
        values["socketLB"] = {"hostNamespaceOnly": True}
    if options[names.MATCH_MODE] != "none":
        values["policyCIDRMatchMode"] = options[names.MATCH_MODE]
    native = options[names.ROUTING_MODE] == "native"
    if native:
        values |= {
            "routingMode": "native",
            "tunnelProtocol": "",
            "autoDirectNodeRoutes": True,
            "ipv4NativeRoutingCIDR": pods,
        }
    if options.get(names.LOAD_BALANCER_MODE) == "dsr":
        values["loadBalancer"] = {"mode": "dsr", "dsrDispatch": "opt" if native else "geneve"}
        if not native:  # a VXLAN header has no room for the Service's address
            values["tunnelProtocol"] = "geneve"
    return merged(base, values)


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> Values:
    """A mapping with another one laid over it; lists are replaced."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        result[key] = merged(below, value) if both else value  # type: ignore[arg-type]
    return result


def _memory(limit: str) -> Values:
    container = {"name": "calico-node", "resources": {"limits": {"memory": limit}}}
    return {"spec": {"template": {"spec": {"containers": [container]}}}}
