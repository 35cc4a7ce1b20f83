"""The testbeds by name: which venue stands behind `embedded`, `kind` and `live`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from nodeport_lab.errors import LabError, UnknownNameError
from nodeport_lab.testbeds.cluster.venue import Choices, ClusterVenue
from nodeport_lab.testbeds.embedded import EmbeddedVenue
from nodeport_lab.testbeds.interface import TESTBEDS, Venue
from nodeport_lab.testbeds.kind import KindVenue
from nodeport_lab.testbeds.kind.venue import DEFAULT_NAME
from nodeport_lab.testbeds.live import LiveVenue

CONTEXT_VARIABLE = "NODEPORT_LAB_CONTEXT"
"""Names the context of a live cluster where no command line does, as in notebooks."""
CLUSTER_VARIABLE = "NODEPORT_LAB_CLUSTER"
"""The same for the cluster of the testbed `kind`."""


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """What a user says about a cluster; nothing of it concerns the embedded testbed.

    Attributes:
        context: of the kubeconfig; there is no default, so that no cluster is used by
            accident.
        kubeconfig: its file; None for the usual places.
        namespace: an existing namespace; None creates one for the run.
        node_cidr: range of the nodes' addresses, where it cannot be found out.
        pod_cidr: subnet of the pods, the same.
        service_cidr: subnet of the cluster IPs, the same.
        external: whether this machine reaches the nodes, and calls as `external`.
        evidence: whether the CNI's pods on the nodes are asked what policy saw; on kind
            they always are.
        cluster: the cluster of kind, where it is not the default one.
    """

    context: str | None = None
    kubeconfig: Path | None = None
    namespace: str | None = None
    node_cidr: IPv4Network | None = None
    pod_cidr: IPv4Network | None = None
    service_cidr: IPv4Network | None = None
    external: bool = False
    evidence: bool = False
    cluster: str | None = None

    def given(self) -> Sequence[str]:
        """The names of what has been said."""
        return [name for name in self.__slots__ if getattr(self, name)]


_NOTHING = Whereabouts()


@contextmanager
def venue(name: str, where: Whereabouts = _NOTHING) -> Iterator[Venue]:
    """The venue of a testbed; its connections are closed when it is left.

    Raises:
        UnknownNameError: there is no such testbed.
        LabError: a cluster is described that the testbed does not use, or none is named.
    """
    found = _found(name, where)
    try:
        yield found
    finally:
        if isinstance(found, ClusterVenue):
            found.close()


def check_embedded(name: str, purpose: str) -> None:
    """Accept the embedded testbed only, for what looks into its network namespaces.

    Raises:
        UnknownNameError: there is no such testbed.
        LabError: a testbed whose inside cannot be looked into.
    """
    _check_name(name)
    if name != EmbeddedVenue.name:
        raise LabError(
            f"{purpose} needs the kernel's namespaces of the embedded testbed, and {name!r} is "
            "another one; leave -t out"
        )


def _check_name(name: str) -> None:
    if name not in TESTBEDS:
        raise UnknownNameError("testbed", name, TESTBEDS)


def _found(name: str, where: Whereabouts) -> Venue:
    _check_name(name)
    belongs = "kind" if where.given() == ["cluster"] else "live"
    if where.given() and name != belongs:
        options = ", ".join(f"--{word.replace('_', '-')}" for word in where.given())
        raise LabError(
            f"{options} is for the testbed {belongs} and this is {name}; add -t {belongs}, or "
            "leave it out"
        )
    if name == "live":
        return _live(where)
    if name == "kind":
        return KindVenue(where.cluster or os.environ.get(CLUSTER_VARIABLE) or DEFAULT_NAME)
    return EmbeddedVenue()


def _live(where: Whereabouts) -> LiveVenue:
    context = where.context or os.environ.get(CONTEXT_VARIABLE)
    if not context:
        raise LabError(
            "a live cluster has to be named, so that none is used by accident; add --context NAME "
            f"(or set {CONTEXT_VARIABLE})"
        )
    choices = Choices(
        namespace=where.namespace,
        node_cidr=where.node_cidr,
        pod_cidr=where.pod_cidr,
        service_cidr=where.service_cidr,
    )
    return LiveVenue(
        context,
        choices,
        kubeconfig=where.kubeconfig,
        external=where.external,
        evidence=where.evidence,
    )
