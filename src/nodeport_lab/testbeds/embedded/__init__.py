"""The embedded testbed: rootless Linux network namespaces and real netfilter."""

from __future__ import annotations

from nodeport_lab.testbeds.embedded.testbed import EmbeddedTestbed
from nodeport_lab.testbeds.embedded.venue import EmbeddedVenue

__all__ = ["EmbeddedTestbed", "EmbeddedVenue"]
