"""The cluster that a dataplane needs, as the configuration that kind reads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from nodeport_lab.dataplanes import Dataplane
from nodeport_lab.dataplanes.options import KUBE_PROXY_MODE, MASQUERADE_ALL
from nodeport_lab.errors import LabError, PrerequisiteError, UnknownNameError

_NAME = re.compile(r"[a-z0-9.-]+")  # source: kind, pkg/cluster/internal/create
_LONGEST = 32  # a node's host name has at most 63 characters, and adds `-control-plane`
_KUBE_PROXY = {
    "calico-iptables": "iptables",
    "calico-nftables": "nftables",
    # As in Calico's own job on kind (hack/test/kind/kind-bpf.config): kube-proxy starts, and
    # the operator switches it off when the eBPF dataplane has taken over.
    "calico-ebpf": "iptables",
    "cilium": "iptables",
    "cilium-kpr": "none",
    "cilium-kpr-hostns": "none",
}


def check_name(name: str) -> None:
    """Accept a name that kind and host names allow.

    Raises:
        LabError: it is none.
    """
    if not _NAME.fullmatch(name):
        raise LabError(
            f"{name!r} cannot be a cluster's name; use small letters, digits, dots and dashes"
        )
    if len(name) > _LONGEST:
        raise LabError(
            f"{name!r} is too long for a cluster's name, of which nodes make host names; use at "
            f"most {_LONGEST} characters"
        )
    if not name.strip("."):
        raise LabError(f"{name!r} cannot be a cluster's name; use a letter or digit as well")


def complete(dataplane: Dataplane, given: Mapping[str, str]) -> dict[str, str]:
    """Check options and fill in the defaults; unlike elsewhere, what is live only is fine.

    Raises:
        UnknownNameError: an option or a value that the dataplane does not have.
        LabError: a value that another option rules out.
        PrerequisiteError: a value that cannot be set here.
    """
    live = {}
    for name, value in given.items():
        if name not in dataplane.options:
            raise UnknownNameError(f"option of {dataplane.name}", name, list(dataplane.options))
        option = dataplane.options[name]
        if value in option.live_only:
            live[name] = value
        elif value not in option.values:
            raise UnknownNameError(f"value of {name}", value, [*option.values, *option.live_only])
    modelled = {name: value for name, value in given.items() if name not in live}
    chosen = {**dataplane.complete(modelled), **live}
    if chosen.get("defaultEndpointToHostAction") == "Drop":
        # Source: tigera/operator v1.42.3, pkg/render/node.go
        raise PrerequisiteError(
            "defaultEndpointToHostAction=Drop cannot be had on kind, because Calico's operator "
            "sets FELIX_DEFAULTENDPOINTTOHOSTACTION=ACCEPT and Felix prefers its environment; "
            "leave it out, or use -t embedded"
        )
    return chosen


def kube_proxy_mode(dataplane: Dataplane, options: Mapping[str, str]) -> str:
    """kube-proxy's mode for a dataplane, as kind names it; `none` leaves it out."""
    return options.get(KUBE_PROXY_MODE, _KUBE_PROXY[dataplane.name])


def configure(
    base: Mapping[str, Any], name: str, dataplane: Dataplane, options: Mapping[str, str], image: str
) -> dict[str, Any]:
    """The configuration of a cluster.

    Args:
        base: a file of `manifests/kind/`: nodes and subnets.
        name: of the cluster.
        dataplane: that will run in it.
        options: of the dataplane, complete.
        image: of the nodes.
    """
    mode = kube_proxy_mode(dataplane, options)
    configured = {
        **base,
        "name": name,
        "networking": {**base["networking"], "disableDefaultCNI": True, "kubeProxyMode": mode},
        "nodes": [{**node, "image": image} for node in base["nodes"]],
    }
    if options.get(MASQUERADE_ALL) == "true":
        patch = {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            # ipvs reads the section of iptables (kubernetes, cmd/kube-proxy/app/server_linux.go)
            "nftables" if mode == "nftables" else "iptables": {"masqueradeAll": True},
        }
        configured["kubeadmConfigPatches"] = [
            *base.get("kubeadmConfigPatches", ()),
            yaml.safe_dump(patch, sort_keys=False),
        ]
    return configured


def pod_subnet(configured: Mapping[str, Any]) -> str:
    """The subnet of the pods."""
    return str(configured["networking"]["podSubnet"])
