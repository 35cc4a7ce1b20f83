"""What every testbed can do, apply policies and send probes, and where testbeds are set up."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol as Interface
from typing import Self

from nodeport_lab.dataplanes import Dataplane
from nodeport_lab.model import (
    Client,
    ClusterFacts,
    Decision,
    Network,
    NetworkPolicy,
    Protocol,
    Scenario,
    Verdict,
)

TESTBEDS = ("embedded", "kind", "live")
DEFAULT_DEADLINE = 0.5  # seconds


@dataclass(frozen=True, slots=True)
class Probe:
    """One connection to be tried, by a client, to an address and port."""

    client: Client
    address: str
    port: int
    protocol: Protocol = Protocol.TCP


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """How a probe ended and what evidence it left.

    Attributes:
        verdict: see model.Verdict; `timeout` only where a drop was recorded.
        backend: key of the pod that answered or, denied at its door, was asked.
        application_source: `address:port` that the answering application logged.
        decisions: every evaluation of policy, in packet order.
        elapsed_ms: from dialling to the end.
        detail: a sentence where the verdict is `error`, or what a proxy answered.
        forwarded_for: the address that a proxy had seen, as the server was told it.
    """

    verdict: Verdict
    backend: str | None
    application_source: str | None
    decisions: tuple[Decision, ...]
    elapsed_ms: float
    detail: str | None = None
    forwarded_for: str | None = None


class Testbed(Interface):
    """A place where packets really travel. A context manager: leaving it cleans up.

    Attributes:
        scenario: as it stands there, with what the place has allocated.
        network: the addresses that the place gave to it.
        versions: component -> version.
    """

    scenario: Scenario
    network: Network
    versions: dict[str, str]

    def has(self, client: Client) -> bool:
        """Whether this client is there to call."""

    def facts(self, asked: Sequence[Client] = ()) -> ClusterFacts | None:
        """What is known of the cluster; None where there is none.

        Args:
            asked: clients that were asked for, and of whom some may not be there.
        """

    def lose_announcer(self) -> str:
        """Let the node die that answers for addresses outside, and the next take over.

        Returns:
            the name of the node that died.

        Raises:
            TestbedError: there is none, or no node of this testbed can be lost.
        """

    def apply(self, policies: Sequence[NetworkPolicy]) -> None:
        """Put exactly these policies in force; returns when they are."""

    def probe(self, probes: Sequence[Probe], deadline: float) -> list[ProbeResult]:
        """Send probes and collect what happened, in the same order."""

    def __enter__(self) -> Self:
        """Start."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Remove everything."""


SetUp = Callable[[Scenario, Dataplane, Mapping[str, str]], Testbed]
"""Describes a testbed for a scenario on a dataplane with options; entering it creates it."""


class Venue(Interface):
    """Where testbeds are set up: this machine's namespaces, or a cluster."""

    @property
    def name(self) -> str:
        """The testbed's, as on the command line: `embedded`, `kind`, `live`."""

    @property
    def at_once(self) -> int:
        """How many testbeds can work side by side."""

    @property
    def protocols(self) -> frozenset[Protocol]:
        """What can be dialled there."""

    @property
    def loses_nodes(self) -> bool:
        """Whether a node may die there in the middle of a run."""

    @property
    def spread(self) -> int:
        """How many testbeds the policies of all questions are best spread over."""

    def own_dataplanes(self) -> Sequence[str] | None:
        """The dataplanes that are there; None: any.

        Raises:
            LabError: it cannot be found out.
        """

    def scenario(self, cluster: str, folders: Sequence[str]) -> Scenario:
        """A scenario of `manifests/`, its policies bound to the subnets that this venue has.

        Args:
            cluster: name of the cluster's configuration in `manifests/kind`.
            folders: folders of manifests.
        """

    def options(self, dataplane: Dataplane, chosen: Mapping[str, str]) -> dict[str, str]:
        """Check options and fill in what is known of the others.

        Raises:
            LabError: an option or value that does not exist, or that this venue cannot show.
        """

    def lacks(self, programs: Collection[str]) -> str | None:
        """Why pods cannot run programs of these names there; None if they can."""

    def basis(self, dataplane: Dataplane) -> str:
        """What a result stands on here: `emulated`, `modelled` or `live`."""

    def obstacle(self, dataplane: Dataplane, options: Mapping[str, str]) -> str | None:
        """Why this venue cannot show a dataplane with options as chosen; None if it can."""

    def open(self) -> AbstractContextManager[SetUp]:
        """Room for one testbed after the other; leaving it removes what they share."""
