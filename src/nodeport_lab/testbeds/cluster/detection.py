"""Which dataplane a cluster runs and how it is set, as far as its objects tell.

Names and precedence: Felix takes its environment before its FelixConfiguration
(felix/config in projectcalico/calico); nftablesMode is Disabled by default up to 3.31 and
Auto from 3.32 on, and Auto follows kube-proxy's mode; Cilium's agent reads the ConfigMap
cilium-config.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from nodeport_lab.dataplanes import options as names
from nodeport_lab.testbeds.cluster.facts import (
    Fact,
    Readings,
    kube_proxy_configuration,
    versions,
)

_CILIUM_CONFIG = "ConfigMap kube-system/cilium-config"
_KUBE_PROXY = "ConfigMap kube-system/kube-proxy"
_AUTO_BY_DEFAULT = (3, 32)
_UP_TO, _FROM = (1, 18), (1, 20)  # what Cilium does differs between, by patch release


def dataplane(readings: Readings) -> Fact:
    """The name of the dataplane, or why it is not known."""
    calico = (readings.calico_node, readings.felix, readings.installation, readings.pools)
    cilium = (readings.cilium, readings.cilium_config)
    if any(calico) and any(cilium):
        return Fact(None, "there are signs of both Calico and Cilium")
    if any(cilium):
        return _cilium(readings)
    if any(calico):
        return _calico(readings)
    closed = [
        readings.unread[name] for name in ("cilium_config", "felix") if name in readings.unread
    ]
    return Fact(None, "; ".join(closed) or "there is no sign of Calico or of Cilium")


def kube_proxy_mode(readings: Readings) -> Fact:
    """`iptables`, `nftables` or `ipvs`; not known where kube-proxy has no ConfigMap."""
    configuration = kube_proxy_configuration(readings)
    if configuration is None:
        return Fact(None, readings.absence("kube_proxy_config", _KUBE_PROXY))
    return Fact(str(configuration.get("mode") or "iptables"), _KUBE_PROXY)


def options(readings: Readings, name: str) -> dict[str, Fact]:
    """Option of a dataplane -> its value in this cluster, or why it is not known."""
    if name.startswith("calico"):
        return _calico_options(readings, ebpf=name == "calico-ebpf")
    return _cilium_options(readings)


def _cilium(readings: Readings) -> Fact:
    if readings.cilium_config is None:
        return Fact(None, readings.absence("cilium_config", _CILIUM_CONFIG))
    data = readings.cilium_config.get("data") or {}
    replacement = str(data.get("kube-proxy-replacement", "false"))
    if replacement in {"false", "disabled"}:
        return Fact("cilium", _CILIUM_CONFIG)
    if replacement not in {"true", "strict"}:
        return Fact(None, f"{_CILIUM_CONFIG} says kube-proxy-replacement={replacement}")
    host_only = data.get("bpf-lb-sock-hostns-only") == "true"
    return Fact("cilium-kpr-hostns" if host_only else "cilium-kpr", _CILIUM_CONFIG)


def _calico(readings: Readings) -> Fact:
    bpf = _felix(readings, "bpfEnabled")
    if _true(bpf.value):
        return Fact("calico-ebpf", bpf.source)
    untold = readings.calico_node is None and readings.felix is None
    if untold or (bpf.value is None and "felix" in readings.unread):
        return _by_installation(readings)
    mode = _felix(readings, "nftablesMode")
    chosen = (mode.value or _default_nftables_mode(readings) or "").lower()
    name = {"enabled": "calico-nftables", "disabled": "calico-iptables"}.get(chosen)
    if name is not None:
        return Fact(name, mode.source)
    if chosen != "auto":
        return Fact(None, "the version of Calico is not known, and its default depends on it")
    return _by_kube_proxy(kube_proxy_mode(readings))


def _by_kube_proxy(mode: Fact) -> Fact:
    if mode.value is None:
        return Fact(None, f"nftablesMode is Auto and follows kube-proxy; {mode.source}")
    name = "calico-nftables" if mode.value == "nftables" else "calico-iptables"
    return Fact(name, f"nftablesMode Auto and kube-proxy's mode {mode.value}")


def _by_installation(readings: Readings) -> Fact:
    spec = (readings.installation or {}).get("spec") or {}
    chosen = (spec.get("calicoNetwork") or {}).get("linuxDataplane")
    name = {"BPF": "calico-ebpf", "Iptables": "calico-iptables"}.get(str(chosen))
    if name is not None:
        return Fact(name, "Installation default")
    return Fact(None, readings.absence("felix", "FelixConfiguration default"))


def _felix(readings: Readings, name: str) -> Fact:
    """A parameter of Felix: of its environment, else of its FelixConfiguration."""
    variable = f"FELIX_{name.upper()}"
    template = ((readings.calico_node or {}).get("spec") or {}).get("template") or {}
    for container in (template.get("spec") or {}).get("containers") or ():
        for entry in container.get("env") or ():
            if entry.get("name") == variable and entry.get("value"):
                return Fact(str(entry["value"]), f"{variable} of DaemonSet calico-node")
    value = ((readings.felix or {}).get("spec") or {}).get(name)
    if value is None:
        return Fact(None, readings.unread.get("felix", "Felix's default"))
    return Fact(str(value), "FelixConfiguration default")


def _default_nftables_mode(readings: Readings) -> str | None:
    minor = _minor(versions(readings, "").get("calico"))
    if minor is None or "felix" in readings.unread:
        return None
    return "Auto" if minor >= _AUTO_BY_DEFAULT else "Disabled"


def _calico_options(readings: Readings, *, ebpf: bool) -> dict[str, Fact]:
    found = {names.NAT_OUTGOING: _pools(readings, _nat_outgoing)}
    if ebpf:
        found[names.CONNECT_TIME_LOAD_BALANCING] = _felix_or(
            readings, "bpfConnectTimeLoadBalancing", "TCP"
        )
        return found
    return found | {
        names.ENCAPSULATION: _pools(readings, _encapsulation),
        names.NAT_OUTGOING_EXCLUSIONS: _felix_or(readings, "natOutgoingExclusions", "IPPoolsOnly"),
        names.DEFAULT_ENDPOINT_TO_HOST_ACTION: _capitalised(
            _felix_or(readings, "defaultEndpointToHostAction", "Drop")
        ),
        names.CHAIN_INSERT_MODE: _capitalised(_felix_or(readings, "chainInsertMode", "Insert")),
        names.MASQUERADE_ALL: _masquerade_all(readings),
        names.KUBE_PROXY_MODE: kube_proxy_mode(readings),
    }


def _felix_or(readings: Readings, name: str, default: str) -> Fact:
    """A parameter of Felix, or its default where nothing sets it and everything was read."""
    found = _felix(readings, name)
    if found.value is not None:
        return found
    for attribute in ("calico_node", "felix"):
        if attribute in readings.unread:
            return Fact(None, readings.unread[attribute])
    if readings.calico_node is None:
        return Fact(None, "there is no DaemonSet calico-node")
    return Fact(default, f"Felix's default for {name}")


def _capitalised(fact: Fact) -> Fact:
    """Felix takes its words in any case; FelixConfiguration writes them like `Accept`."""
    return fact if fact.value is None else Fact(fact.value.capitalize(), fact.source)


def _pools(readings: Readings, read: Callable[[Mapping[str, Any]], str]) -> Fact:
    values = {
        read(pool["spec"])
        for pool in readings.pools
        if not pool["spec"].get("disabled") and ":" not in str(pool["spec"].get("cidr"))
    }
    if len(values) == 1:
        return Fact(values.pop(), "IPPool")
    if values:
        return Fact(None, "the IPPools differ")
    return Fact(None, readings.absence("pools", "IPPool"))


def _nat_outgoing(pool: Mapping[str, Any]) -> str:
    return "Enabled" if pool.get("natOutgoing") else "Disabled"


def _encapsulation(pool: Mapping[str, Any]) -> str:
    for field, name in (("vxlanMode", "VXLAN"), ("ipipMode", "IPIP")):
        mode = pool.get(field) or "Never"
        if mode != "Never":
            return f"{name}CrossSubnet" if mode == "CrossSubnet" else name
    return "None"


def _masquerade_all(readings: Readings) -> Fact:
    mode, configuration = kube_proxy_mode(readings), kube_proxy_configuration(readings)
    if mode.value is None or configuration is None:
        return mode
    section = configuration.get("nftables" if mode.value == "nftables" else "iptables") or {}
    return Fact(str(bool(section.get("masqueradeAll"))).lower(), mode.source)


def _cilium_options(readings: Readings) -> dict[str, Fact]:
    version = _minor(versions(readings, "").get("cilium"))
    found = {names.CILIUM_VERSION: _modelled(readings, version)}
    if readings.cilium_config is None:
        unknown = Fact(None, readings.absence("cilium_config", _CILIUM_CONFIG))
        modes = (names.MATCH_MODE, names.ROUTING_MODE, names.LOAD_BALANCER_MODE)
        return found | dict.fromkeys(modes, unknown)
    data = readings.cilium_config.get("data") or {}
    return found | {
        names.MATCH_MODE: Fact(str(data.get("policy-cidr-match-mode") or "none"), _CILIUM_CONFIG),
        names.ROUTING_MODE: Fact(str(data.get("routing-mode") or "tunnel"), _CILIUM_CONFIG),
        names.LOAD_BALANCER_MODE: Fact(str(data.get("bpf-lb-mode") or "snat"), _CILIUM_CONFIG),
    }


def _modelled(readings: Readings, minor: tuple[int, int] | None) -> Fact:
    """The version whose behaviour is modelled; 1.19 lies between two of them."""
    if minor is None:
        return Fact(None, readings.absence("cilium", "DaemonSet kube-system/cilium"))
    name = "1.18" if minor <= _UP_TO else "1.20" if minor >= _FROM else None
    if name is not None:
        return Fact(name, "DaemonSet kube-system/cilium")
    return Fact(None, f"{minor[0]}.{minor[1]} is none of the versions that are told apart")


def _minor(version: str | None) -> tuple[int, int] | None:
    match = re.match(r"(\d+)\.(\d+)", version or "")
    return (int(match[1]), int(match[2])) if match else None


def _true(value: str | None) -> bool:
    return (value or "").lower() in {"true", "enabled", "1"}
