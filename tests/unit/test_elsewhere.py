"""Which run notebooks a cluster is asked, and why not the others."""

from __future__ import annotations

from collections.abc import Mapping

from nodeport_lab.book.elsewhere import obstacle
from nodeport_lab.book.runs import load
from nodeport_lab.dataplanes import Dataplane
from nodeport_lab.locations import repository_root
from nodeport_lab.testbeds.embedded import EmbeddedVenue


class OneCluster(EmbeddedVenue):
    """Runs Cilium beside kube-proxy, with one match mode, and says so."""

    def __init__(self, match_mode: str) -> None:
        """Set the match mode."""
        self.match_mode = match_mode

    def obstacle(self, dataplane: Dataplane, options: Mapping[str, str]) -> str | None:
        """See Venue."""
        if dataplane.name != "cilium":
            return "this cluster runs cilium"
        return (
            None
            if options["policyCIDRMatchMode"] == self.match_mode
            else "this cluster has another match mode"
        )


def executed(venue: OneCluster) -> list[str]:
    """The runs that are executed there."""
    return [
        spec.id for spec in load(repository_root() / "notebooks") if obstacle(spec, venue) is None
    ]


def test_a_cluster_is_asked_what_is_about_it() -> None:
    """Its own dataplane and options, defaults included, and no other."""
    assert ["egress-cilium", "placement-cilium"] == executed(OneCluster("none"))
    assert ["egress-cilium-nodes"] == executed(OneCluster("nodes"))


def test_every_other_run_has_a_reason() -> None:
    """A sentence of its own, also where the dataplane is the cluster's."""
    reasons = {
        spec.id: obstacle(spec, OneCluster("none"))
        for spec in load(repository_root() / "notebooks")
    }

    assert "this cluster runs cilium" == reasons["egress-calico-iptables"]
    assert "this cluster has another match mode" == reasons["egress-cilium-nodes"]
    assert "kernel's own trace" in str(reasons["walk-cilium"])
    assert "options" in str(reasons["options-cilium"])
    assert "UDP" in str(reasons["udp"])
    assert "several dataplanes" in str(reasons["claims"])
