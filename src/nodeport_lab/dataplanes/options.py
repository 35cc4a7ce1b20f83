"""Options that dataplanes share, under the names that their projects give them."""

from __future__ import annotations

from nodeport_lab.dataplanes.declaration import Option

ENCAPSULATION = "encapsulation"
NAT_OUTGOING = "natOutgoing"
NAT_OUTGOING_EXCLUSIONS = "natOutgoingExclusions"
MASQUERADE_ALL = "masqueradeAll"
CHAIN_INSERT_MODE = "chainInsertMode"
DEFAULT_ENDPOINT_TO_HOST_ACTION = "defaultEndpointToHostAction"
CONNECT_TIME_LOAD_BALANCING = "bpfConnectTimeLoadBalancing"
CILIUM_VERSION = "ciliumVersion"
MATCH_MODE = "policyCIDRMatchMode"
ROUTING_MODE = "routingMode"
LOAD_BALANCER_MODE = "loadBalancerMode"

CALICO = {
    ENCAPSULATION: Option(
        ("VXLANCrossSubnet", "None", "VXLAN", "IPIP"),
        "how pod traffic travels between nodes; here all nodes share one subnet, so that "
        "VXLANCrossSubnet encapsulates nothing",
    ),
    NAT_OUTGOING: Option(
        ("Enabled", "Disabled"), "whether what leaves the pods' network is masqueraded"
    ),
    NAT_OUTGOING_EXCLUSIONS: Option(
        ("IPPoolsOnly", "IPPoolsAndHostIPs"), "which destinations natOutgoing leaves alone"
    ),
}

KUBE_PROXY_MODE = "kubeProxyMode"

IPVS = Option(
    ("iptables",),
    "how kube-proxy translates",
    live_only={
        "ipvs": "it translates in the kernel's ip_vs, between INPUT and OUTPUT, which the "
        "embedded testbed does not emulate"
    },
)

KUBE_PROXY = {
    MASQUERADE_ALL: Option(("false", "true"), "whether kube-proxy masquerades cluster IPs always"),
}

CILIUM = {
    CILIUM_VERSION: Option(("1.18", "1.20"), "whose behaviour is modelled"),
    MATCH_MODE: Option(
        ("none", "nodes", "pods"),
        "which cluster addresses an ipBlock may select besides those outside",
        shown=True,
        requires={"pods": (CILIUM_VERSION, "1.20")},
    ),
    ROUTING_MODE: Option(("tunnel", "native"), "how pod traffic travels between nodes"),
}
