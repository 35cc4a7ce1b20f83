"""Clusters of the lab's own, made by kind on this machine's container engine."""

from nodeport_lab.testbeds.kind.venue import KindVenue

__all__ = ["KindVenue"]
