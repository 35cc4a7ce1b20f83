"""The embedded testbed: rootless Linux network namespaces and real netfilter."""

from __future__ import annotations

from nodeport_lab.testbeds.embedded.testbed import EmbeddedTestbed

__all__ = ["EmbeddedTestbed"]
