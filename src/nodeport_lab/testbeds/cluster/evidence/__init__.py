"""What connections leave behind on the nodes of a cluster; see `collector` for its use."""

from nodeport_lab.testbeds.cluster.evidence.collector import (
    DecisionWitness,
    Evidence,
    ProbeEvidence,
)

__all__ = ["DecisionWitness", "Evidence", "ProbeEvidence"]
