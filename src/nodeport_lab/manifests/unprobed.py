"""What a manifest may say without effect in the lab: IPv6, SCTP, finer placement.

Such parts are accepted, kept where the model has a place for them, and named in the
scenario's notes, so that nobody takes silence for a result.
"""

from collections.abc import Iterator

from nodeport_lab.manifests.documents import Field
from nodeport_lab.manifests.objects import Object
from nodeport_lab.manifests.services import is_ipv6_only
from nodeport_lab.manifests.syntax import is_ipv6
from nodeport_lab.manifests.workloads import WORKLOAD_KINDS, pod_spec_of
from nodeport_lab.model import Protocol

_PLACEMENT = ("affinity", "topologySpreadConstraints")


def unprobed(found: Object) -> Iterator[str]:
    """One sentence for each part of an object that has no effect in the lab.

    Args:
        found: an object whose values have been checked.
    """
    if found.kind == "Service" and is_ipv6_only(found):
        yield f"{found.field.place}: this Service has IPv6 only; it is accepted and left out"
        return
    for field in _ipv6(found):
        yield f"{field.place}: IPv6 is accepted and never probed"
    for field in _ports(found):
        if field.get("protocol").value == Protocol.SCTP:
            yield f"{field.get('protocol').place}: SCTP is accepted and never probed"
    for name in _PLACEMENT if found.kind in WORKLOAD_KINDS else ():
        field = pod_spec_of(found).get(name)
        if field.value is not None:
            yield f"{field.place}: accepted, but only nodeName and nodeSelector place pods here"


def _ipv6(found: Object) -> Iterator[Field]:
    for block in _ip_blocks(found):
        if is_ipv6(block.get("cidr").value):
            yield block.get("cidr")
    if found.kind == "Service":
        spec = found.spec
        for name in ("clusterIPs", "externalIPs"):
            yield from (field for field in spec.get(name).items() if is_ipv6(field.value))
        yield from (field for field in spec.get("ipFamilies").items() if field.value == "IPv6")


def _ip_blocks(found: Object) -> Iterator[Field]:
    for rule, peers in _rules(found):
        for peer in rule.get(peers).items():
            if peer.get("ipBlock").value is not None:
                yield peer.get("ipBlock")


def _rules(found: Object) -> Iterator[tuple[Field, str]]:
    if found.kind == "NetworkPolicy":
        for direction, peers in (("ingress", "from"), ("egress", "to")):
            for rule in found.spec.get(direction).items():
                yield rule, peers


def _ports(found: Object) -> Iterator[Field]:
    """Every port that an object declares or allows."""
    match found.kind:
        case "NetworkPolicy":
            for rule, _ in _rules(found):
                yield from rule.get("ports").items()
        case "Service":
            yield from found.spec.get("ports").items()
        case _:  # a workload
            for container in pod_spec_of(found).get("containers").items():
                yield from container.get("ports").items()
