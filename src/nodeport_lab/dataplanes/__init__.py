"""Dataplanes: how a scenario becomes nftables rulesets, one per network namespace.

Pure functions, values in and values out: nothing here touches the kernel and nothing
here knows an expected verdict.
"""

from __future__ import annotations

from nodeport_lab.dataplanes.calico import CALICO_IPTABLES
from nodeport_lab.dataplanes.cilium import CILIUM
from nodeport_lab.dataplanes.declaration import CompiledPolicies, Dataplane, Option
from nodeport_lab.errors import UnknownNameError

__all__ = ["DATAPLANES", "CompiledPolicies", "Dataplane", "Option", "find_dataplane"]

DATAPLANES: dict[str, Dataplane] = {
    dataplane.name: dataplane for dataplane in (CALICO_IPTABLES, CILIUM)
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
