"""This machine as a place for testbeds: labs of network namespaces, several side by side."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, partial

from nodeport_lab.dataplanes import Dataplane
from nodeport_lab.locations import manifests_directory
from nodeport_lab.manifests import cidr_facts, load_scenario
from nodeport_lab.model import Protocol, Scenario
from nodeport_lab.testbeds.embedded.addressing import plan_network
from nodeport_lab.testbeds.embedded.lab import Lab
from nodeport_lab.testbeds.embedded.programs import missing
from nodeport_lab.testbeds.embedded.testbed import EmbeddedTestbed
from nodeport_lab.testbeds.interface import SetUp

_STARTS_PER_PROCESSOR = 3  # measured: half and twice as many were slower
_LABS_PER_PROCESSOR = 6  # beyond that, starting labs keep running ones from answering in time


class EmbeddedVenue:
    """See `testbeds.interface.Venue`; nothing outlives the process that opens it."""

    name = "embedded"
    protocols = frozenset({Protocol.TCP, Protocol.UDP})
    loses_nodes = True

    @property
    def spread(self) -> int:
        """A policy more costs a lab a deadline; a lab more costs a start, which is work."""
        return _STARTS_PER_PROCESSOR * (os.cpu_count() or 1)

    @property
    def at_once(self) -> int:
        """Labs that wait for denied probes cost no processor time, so there are several."""
        return _LABS_PER_PROCESSOR * (os.cpu_count() or 1)

    def own_dataplanes(self) -> None:
        """See Venue: any."""

    def scenario(self, cluster: str, folders: Sequence[str]) -> Scenario:
        """See Venue."""
        directory = manifests_directory()
        network = plan_network(load_scenario(directory, cluster, folders=folders))
        return load_scenario(directory, cluster, cidr_facts(network), folders)

    def options(self, dataplane: Dataplane, chosen: Mapping[str, str]) -> dict[str, str]:
        """See Venue; options that are not chosen have their defaults."""
        return dataplane.complete(chosen)

    def lacks(self, programs: Collection[str]) -> str | None:
        """See Venue: what is not installed."""
        return missing(programs)

    def basis(self, dataplane: Dataplane) -> str:
        """See Venue: the dataplane's own."""
        return dataplane.basis

    def obstacle(self, dataplane: Dataplane, options: Mapping[str, str]) -> str | None:
        """See Venue; a kernel that makes no device of the kind which the options need.

        Asking the kernel costs a lab. Nearly every kernel makes vxlan devices, and where one
        does not, the testbed itself refuses.
        """
        kind = dataplane.tunnel(dataplane.complete(options))
        if kind in {None, "vxlan"} or _has_device(str(kind)):
            return None
        return f"the kernel of this machine makes no {kind} devices"

    @contextmanager
    def open(self) -> Iterator[SetUp]:
        """See Venue; the testbeds share one lab, which is wired anew for each."""
        with Lab() as lab:
            yield partial(EmbeddedTestbed, lab=lab)


@cache
def _has_device(kind: str) -> bool:
    with Lab() as lab:
        return bool(lab.request("has_device", kind=kind)["has"])
