"""A cluster that `nodeport-lab up` has made, as a place for testbeds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

from nodeport_lab.dataplanes import Dataplane, find_dataplane
from nodeport_lab.errors import PrerequisiteError
from nodeport_lab.model import Scenario
from nodeport_lab.testbeds.cluster.connection import Connection
from nodeport_lab.testbeds.cluster.facts import Fact
from nodeport_lab.testbeds.cluster.venue import Choices, ClusterSetUp, ClusterVenue
from nodeport_lab.testbeds.kind import keeping, lock
from nodeport_lab.testbeds.kind.existing import remembered
from nodeport_lab.testbeds.kind.keeping import Keeping
from nodeport_lab.testbeds.kind.steps import WAIT

DEFAULT_NAME = "dev"
_SOURCE = "as asked for by nodeport-lab up"


class KindVenue(ClusterVenue):
    """See `ClusterVenue`; node ports and cluster IPs are those of the manifests.

    Namespaces, pods and Services stay in the cluster and are used again (see `keeping`).
    """

    number = keeping.RUN
    afterwards = (
        "use what is there already as it would be made, keep namespaces, pods and Services for the "
        "next run, and delete the policies"
    )

    def __init__(
        self,
        name: str = DEFAULT_NAME,
        *,
        evidence: bool = True,
    ) -> None:
        """Describe the venue; the cluster is not asked anything yet.

        Args:
            name: of the cluster.
            evidence: whether the CNI's pods on the nodes are asked what policy saw.

        Raises:
            PrerequisiteError: there is no such cluster, or it was not finished.
        """
        self.state = state = remembered(name)
        if WAIT not in state.steps:
            raise PrerequisiteError(
                f"the cluster {name} was not finished; run nodeport-lab up with its options again, "
                f"or remove it with: nodeport-lab down --name {name}"
            )
        super().__init__(
            "kind",
            lambda: Connection(state.kubeconfig, state.context),
            Choices(images=state.images),
            keep_addresses=True,
            external=state.reachable,
            begin=Keeping,
            evidence=evidence,
            on_node=lambda node: (state.asked.engine, "exec", node),  # its container's name
        )

    @property
    def left(self) -> str:
        """What a run that was interrupted leaves in the cluster, and how to remove it."""
        return (
            "its policies are deleted, while namespaces, pods and Services stay for the next run; "
            f"remove the cluster with: nodeport-lab down --name {self.state.name}"
        )

    @contextmanager
    def open(self) -> Iterator[ClusterSetUp]:
        """See ClusterVenue; node ports are fixed, so that two runs would be in each other's way.

        Raises:
            PrerequisiteError: another command is at work on the cluster.
        """
        with lock.held(self.state.name, "nodeport-lab run"), super().open() as set_up:
            yield set_up

    def deploy(self, scenario: Scenario) -> None:
        """Put a scenario's pods and Services there, where they stay; see that policy is enforced.

        Raises:
            LabError: a pod does not become ready, or policy is not enforced.
        """
        with (
            self.open() as set_up,
            set_up(scenario, find_dataplane(self.state.asked.dataplane), {}),
        ):
            pass

    @cached_property
    def versions(self) -> dict[str, str]:
        """Those that the cluster tells, and those that it was made with."""
        return {**super().versions, **self.state.versions}

    @cached_property
    def dataplane(self) -> Fact:
        """The dataplane that the cluster runs, or was to run where it does not tell."""
        found = super().dataplane
        return found if found.value is not None else Fact(self.state.asked.dataplane, _SOURCE)

    def _detected(self, dataplane: Dataplane) -> dict[str, Fact]:
        """What the cluster tells, and where it does not, what it was asked to be."""
        found = super()._detected(dataplane)
        asked = self.state.asked
        if asked.dataplane != dataplane.name:
            return found
        return {
            name: found[name]
            if name in found and found[name].value is not None
            else Fact(asked.options[name], _SOURCE)
            for name in dataplane.options
            if name in asked.options
        }
