"""The embedded testbed: rootless Linux network namespaces and real netfilter.

`EmbeddedTestbed` is imported when it is asked for: the host process of a lab lives in this
package, too, and is started often, without any need of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nodeport_lab.testbeds.embedded.testbed import EmbeddedTestbed
    from nodeport_lab.testbeds.embedded.venue import EmbeddedVenue

__all__ = ["EmbeddedTestbed", "EmbeddedVenue"]


def __getattr__(name: str) -> object:
    """Import the testbed and its venue at their first use (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from nodeport_lab.testbeds.embedded import testbed, venue  # noqa: PLC0415 - that is the point

    return testbed.EmbeddedTestbed if name == "EmbeddedTestbed" else venue.EmbeddedVenue
