"""Dataplanes: how a scenario becomes nftables rulesets, one per network namespace.

Pure functions, values in and values out: nothing here touches the kernel and nothing
here knows an expected verdict.
"""

from __future__ import annotations

from nodeport_lab.dataplanes.calico_ebpf import CALICO_EBPF
from nodeport_lab.dataplanes.calico_tables import CALICO_IPTABLES, CALICO_NFTABLES
from nodeport_lab.dataplanes.cilium import CILIUM
from nodeport_lab.dataplanes.cilium_kpr import CILIUM_KPR, CILIUM_KPR_HOSTNS
from nodeport_lab.dataplanes.declaration import CompiledPolicies, Dataplane, Option
from nodeport_lab.errors import UnknownNameError

__all__ = [
    "DATAPLANES",
    "CompiledPolicies",
    "Dataplane",
    "Option",
    "find_dataplane",
]

DATAPLANES: dict[str, Dataplane] = {
    dataplane.name: dataplane
    for dataplane in (
        CALICO_IPTABLES,
        CALICO_NFTABLES,
        CALICO_EBPF,
        CILIUM,
        CILIUM_KPR,
        CILIUM_KPR_HOSTNS,
    )
}


def find_dataplane(name: str) -> Dataplane:
    """The dataplane of that name.

    Raises:
        UnknownNameError: there is none.
    """
    try:
        return DATAPLANES[name]
    except KeyError:
        raise UnknownNameError("dataplane", name, list(DATAPLANES)) from None
