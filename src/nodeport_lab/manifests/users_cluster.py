"""A cluster for other people's manifests: nodes with the names and labels that pods ask for.

What a manifest leaves to a real cluster is chosen so that the answer says as much as
possible, and the same way every time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from itertools import count

from nodeport_lab.errors import LabError, ManifestError
from nodeport_lab.manifests.cluster import Cluster
from nodeport_lab.manifests.labels import check_labels
from nodeport_lab.manifests.objects import Object
from nodeport_lab.manifests.services import HEADLESS
from nodeport_lab.manifests.syntax import address, cidr, dns_subdomain, is_ipv6
from nodeport_lab.manifests.workloads import pod_spec_of
from nodeport_lab.model import IPBlock, NetworkPolicy, Node, PolicyRule

SUBNETS = ("nodes", "pods", "services")
MOST_NODES = 50

_HOSTNAME = "kubernetes.io/hostname"
_POD_CIDR = IPv4Network("10.244.0.0/16")
_SERVICE_CIDR = IPv4Network("10.96.0.0/16")
_WIDEST, _NARROWEST = 12, 16  # prefix lengths of a service subnet that is found by its addresses
_SMALLEST = {"pods": 20, "services": 24}  # prefix lengths

_Labels = dict[str, dict[str, str]]


def check_subnets(given: Mapping[str, str], nodes: IPv4Network) -> dict[str, IPv4Network]:
    """Read what a user says of the subnets of the real cluster.

    Args:
        given: `nodes`, `pods` or `services` -> CIDR.
        nodes: the subnet that the testbed's nodes share.

    Raises:
        LabError: another name, no IPv4 range, or ranges that overlap.
    """
    found: dict[str, IPv4Network] = {}
    for name, text in given.items():
        if name not in SUBNETS:
            raise LabError(f"--subnet {name!r} is not known; choose one of: {', '.join(SUBNETS)}")
        if problem := cidr(text):
            raise LabError(f"--subnet {name}: {problem}")
        if is_ipv6(text):
            raise LabError(f"--subnet {name}: {text} is IPv6 and the lab probes IPv4; write IPv4")
        found[name] = IPv4Network(text)
    inside = {"pods": _POD_CIDR, "services": _SERVICE_CIDR, **found, "nodes": nodes}
    for one, other in (("pods", "services"), ("pods", "nodes"), ("services", "nodes")):
        if inside[one].overlaps(inside[other]):
            raise LabError(
                f"the subnet of the {one}, {inside[one]}, overlaps that of the {other}, "
                f"{inside[other]}; name another with --subnet {one}=CIDR"
            )
    for name, most in _SMALLEST.items():
        if inside[name].prefixlen > most:
            message = f"{inside[name]} is too small here; use /{most} or wider"
            raise LabError(f"--subnet {name}: {message}")
    return found


def users_cluster(
    workloads: Sequence[Object], nodes: int, pod_cidr: IPv4Network | None, service_cidr: IPv4Network
) -> Cluster:
    """The nodes for some workloads.

    Workers have the names that `nodeName` and the label kubernetes.io/hostname ask for, and
    the labels of every nodeSelector stand on one of them at least. A control plane that
    runs no pods comes besides, so that there is always a node without a backend.

    Args:
        workloads: what makes pods.
        nodes: how many workers at least.
        pod_cidr: subnet of the pods, if it is known.
        service_cidr: subnet of the Services.

    Raises:
        ManifestError: more nodes are named than there can be.
    """
    named: dict[str, None] = {}
    selectors: list[dict[str, str]] = []
    for found in workloads:
        spec = pod_spec_of(found)
        if spec.get("nodeName").value:
            named.setdefault(spec.get("nodeName").must(dns_subdomain))
            continue
        check_labels(spec.get("nodeSelector"))
        selector = dict(spec.get("nodeSelector").value or {})
        if _HOSTNAME in selector:
            named.setdefault(spec.get("nodeSelector", _HOSTNAME).must(dns_subdomain))
        if selector and selector not in selectors:
            selectors.append(selector)
    if len(named) > MOST_NODES:
        raise ManifestError(
            f"the manifests name {len(named)} nodes and the lab has room for {MOST_NODES}; "
            "check fewer namespaces at a time"
        )
    wanted = min(max(nodes, sum(_HOSTNAME not in one for one in selectors)), MOST_NODES)
    fresh = (name for number in count(1) if (name := f"worker-{number}") not in named)
    workers = [*named, *(next(fresh) for _ in range(wanted - len(named)))]
    control_plane = next(
        name for number in count() if (name := f"control-plane{number or ''}") not in workers
    )
    return Cluster(
        name="check",
        nodes=(Node(control_plane, control_plane=True), *map(Node, workers)),
        node_labels=_labels(workers, named, selectors),
        pod_cidr=pod_cidr or _POD_CIDR,
        service_cidr=service_cidr,
        notes=(),
    )


def _labels(
    workers: Sequence[str], named: Mapping[str, None], selectors: Sequence[dict[str, str]]
) -> _Labels:
    """Deal the labels of the nodeSelectors out: each worker its own, and what fits besides."""
    labels: _Labels = {name: {_HOSTNAME: name, "kubernetes.io/os": "linux"} for name in workers}
    for selector in selectors:
        if _HOSTNAME in selector:
            labels[selector[_HOSTNAME]] |= selector
    free = [one for one in selectors if _HOSTNAME not in one]
    for position, worker in enumerate(workers):
        own = labels[worker]
        for step in range(len(free)):
            selector = free[(position + step) % len(free)]
            fits = all(own.get(key, value) == value for key, value in selector.items())
            if fits or (step == 0 and worker not in named):
                own |= selector
    return labels


def service_subnet(
    services: Sequence[Object], given: IPv4Network | None
) -> tuple[IPv4Network, list[str]]:
    """The subnet of the cluster IPs: as given, or around those that the manifests hold."""
    if given is not None:
        return given, []
    asked = [IPv4Address(one) for service in services for one in cluster_ips(service)]
    if not asked or all(one in _SERVICE_CIDR for one in asked):
        return _SERVICE_CIDR, []
    around = IPv4Network(asked[0])
    while not all(one in around for one in asked) or around.prefixlen > _NARROWEST:
        around = around.supernet()
    if around.prefixlen < _WIDEST or around.overlaps(_POD_CIDR):
        note = (
            "the cluster IPs in the manifests belong to no one subnet; others are given instead "
            "(name the subnet with --subnet services=CIDR)"
        )
        return _SERVICE_CIDR, [note]
    return around, [f"the subnet of the Services is taken to be {around}, after their cluster IPs"]


def cluster_ips(service: Object) -> Iterator[str]:
    """The IPv4 cluster IPs that a Service asks for."""
    for field in (service.spec.get("clusterIP"), *service.spec.get("clusterIPs").items()):
        if field.value and field.value != HEADLESS and not is_ipv6(field.must(address)):
            yield field.value


def with_nodes_subnet(policy: NetworkPolicy, real: IPv4Network, here: IPv4Network) -> NetworkPolicy:
    """A policy whose ipBlocks of the real nodes' subnet are those of the testbed's nodes."""

    def moved(block: IPBlock) -> IPBlock:
        exceptions = tuple(here if one == real else one for one in block.except_)
        return IPBlock(here if block.cidr == real else block.cidr, exceptions)

    def rule(one: PolicyRule) -> PolicyRule:
        peers = tuple(moved(peer) if isinstance(peer, IPBlock) else peer for peer in one.peers)
        return replace(one, peers=peers)

    return replace(
        policy,
        ingress=tuple(map(rule, policy.ingress)),
        egress=tuple(map(rule, policy.egress)),
    )
