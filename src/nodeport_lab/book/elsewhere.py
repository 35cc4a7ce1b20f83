"""Which run notebooks a cluster can execute: those that ask what it can be asked, of it."""

from __future__ import annotations

from nodeport_lab.book.runs import RunSpec
from nodeport_lab.dataplanes import find_dataplane
from nodeport_lab.testbeds.interface import Venue
from nodeport_lab.variations import split

_PODS_ONLY = ("egress", "placement")
_REASONS = {
    "walk": "follows the kernel's own trace, which only the embedded testbed shows",
    "options": "sets options that a cluster has once and for all",
    "udp": "dials UDP, which is not probed on clusters",
}
_OTHERWISE = "asks several dataplanes, or clients and addresses that a cluster does not have"


def obstacle(spec: RunSpec, venue: Venue) -> str | None:
    """Why a run is not executed in a venue; None if it is.

    Compared are whole tables, so that a run counts only where all of its clients and routes
    are there.

    Raises:
        UnknownNameError: the run names a dataplane that does not exist.
        LabError: the venue cannot be asked.
    """
    template = spec.template.stem
    if template not in _PODS_ONLY:
        return _REASONS.get(template, _OTHERWISE)
    dataplane = find_dataplane(str(spec.parameters["dataplane"]))
    chosen = {name: str(value) for name, value in spec.parameters.get("options", {}).items()}
    stated = dataplane.complete(split(chosen)[0])
    return venue.obstacle(dataplane, stated)
