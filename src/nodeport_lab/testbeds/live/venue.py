"""Any cluster, by the context of a kubeconfig: a guest that leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

from nodeport_lab.testbeds.cluster.connection import Connection
from nodeport_lab.testbeds.cluster.venue import Choices, ClusterVenue


class LiveVenue(ClusterVenue):
    """See `ClusterVenue`; node ports and cluster IPs are the cluster's to allocate."""

    def __init__(
        self,
        context: str,
        choices: Choices | None = None,
        *,
        kubeconfig: Path | None = None,
        external: bool = False,
        evidence: bool = False,
    ) -> None:
        """Describe the venue; the cluster is not asked anything yet.

        Args:
            context: name of a context in the kubeconfig; there is no default, so that no
                cluster is used by accident.
            choices: what the user states about the cluster.
            kubeconfig: the file; None for the usual places (KUBECONFIG, ~/.kube/config).
            external: whether this machine reaches the nodes' addresses.
            evidence: whether the CNI's pods on the nodes are asked what policy saw.
        """
        self.context = context
        super().__init__(
            "live",
            lambda: Connection(kubeconfig, context),
            choices or Choices(),
            keep_addresses=False,
            external=external,
            evidence=evidence,
        )
