"""The testbeds by name: which venue stands behind `embedded`, `kind` and `live`."""

from __future__ import annotations

from nodeport_lab.errors import LabError, UnknownNameError
from nodeport_lab.testbeds.embedded import EmbeddedVenue
from nodeport_lab.testbeds.interface import Venue

TESTBEDS = ("embedded",)


def find_venue(name: str) -> Venue:
    """The venue of a testbed.

    Raises:
        UnknownNameError: there is no such testbed.
    """
    if name not in TESTBEDS:
        raise UnknownNameError("testbed", name, TESTBEDS)
    return EmbeddedVenue()


def check_embedded(name: str, purpose: str) -> None:
    """Accept the embedded testbed only, for what looks into its network namespaces.

    Raises:
        UnknownNameError: there is no such testbed.
        LabError: a testbed whose inside cannot be looked into.
    """
    find_venue(name)
    if name != EmbeddedVenue.name:
        raise LabError(
            f"{purpose} needs the kernel's namespaces of the embedded testbed, and {name!r} is "
            "another one; leave -t out"
        )
