"""The live testbed: any cluster that a kubeconfig's context leads to."""

from __future__ import annotations

from nodeport_lab.testbeds.cluster.venue import Choices
from nodeport_lab.testbeds.live.venue import LiveVenue

__all__ = ["Choices", "LiveVenue"]
