"""The packet walk as a value: what one packet met on its way, place after place."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from nodeport_lab.model import Decision, IPBlock, PodPeer, PolicyPort, Protocol, Run, Verdict
from nodeport_lab.trace import End, Tuple


class PlaceKind(StrEnum):
    """What a place is."""

    POD = "pod"
    NODE = "node"
    MACHINE = "machine outside"


@dataclass(frozen=True, slots=True)
class Place:
    """Somewhere a packet can be: a pod, a node, or a machine outside of the cluster."""

    name: str
    kind: PlaceKind


class Role(StrEnum):
    """What a node has to do with a connection."""

    CLIENT = "the client's"
    DIALLED = "dialled"
    SERVER = "the server's"


@dataclass(frozen=True, slots=True)
class Lane:
    """A place that the connection concerns, and whether the packet came there."""

    place: Place
    roles: tuple[Role, ...]
    reached: bool


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that matched, as nft prints it, and where it stands."""

    table: str
    chain: str
    text: str


class Side(StrEnum):
    """Which address of a packet."""

    SOURCE = "source"
    DESTINATION = "destination"


@dataclass(frozen=True, slots=True)
class Translation:
    """An address that was replaced; both are `address:port`.

    `rule` is None where the kernel did it for a connection that it knew already.
    """

    side: Side
    before: str
    after: str
    rule: Rule | None


class Mismatch(StrEnum):
    """Why a clause did not match."""

    ADDRESS = "address"  # the peer has another one
    PORT = "port"
    MEANING = "meaning"  # address and port fit; the dataplane goes by something else


@dataclass(frozen=True, slots=True)
class Considered:
    """A clause of a policy that was in force where a decision was made.

    Attributes:
        policy: name of the policy.
        path: where the clause stands in the manifest.
        peer: its peer as written; None for any.
        ports: its ports as written; empty for any.
        mismatch: why it did not match; None for the one that did.
    """

    policy: str
    path: str
    peer: IPBlock | PodPeer | None
    ports: tuple[PolicyPort, ...]
    mismatch: Mismatch | None

    @property
    def matched(self) -> bool:
        """Whether this clause allowed the packet."""
        return self.mismatch is None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Policy evaluated: for which pod, what was decided, and the clauses up to the decision."""

    pod: str
    decision: Decision
    considered: tuple[Considered, ...]


@dataclass(frozen=True, slots=True)
class Exemption:
    """A rule that let the packet pass the place of policy without any evaluation."""

    rule: Rule


@dataclass(frozen=True, slots=True)
class Drop:
    """A rule that dropped or rejected the packet, and was no evaluation of policy."""

    rule: Rule


Step = Translation | Evaluation | Exemption | Drop


@dataclass(frozen=True, slots=True)
class Visit:
    """A packet's stay in one place.

    Attributes:
        place: where.
        arrived_by: interface on which it came in; None where it was made.
        entered: its addresses when it came in.
        steps: what happened to it, in order.
        end: whether it left again, arrived at a process, or did neither.
        lines: the kernel's own.
    """

    place: Place
    arrived_by: str | None
    entered: Tuple
    steps: tuple[Step, ...]
    end: End
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Walk:
    """The way of one packet.

    Attributes:
        run: where: testbed, dataplane, options; without observations.
        policy: name of the policy in force.
        client: who called.
        route: as on the command line, the node included.
        dialled: `address:port`.
        protocol: over what.
        lanes: the places concerned, in the order of the way.
        visits: where the packet was, in order.
        outcome: the verdict, or `no path` where the control is not allowed.
        control: the verdict without policy.
        server: the pod that answered or was asked; None if none was.
        application_source: `address:port` that the application logged.
        detail: a sentence where the verdict is `error`.
    """

    run: Run
    policy: str
    client: str
    route: str
    dialled: str
    protocol: Protocol
    lanes: tuple[Lane, ...]
    visits: tuple[Visit, ...]
    outcome: str
    control: Verdict
    server: str | None
    application_source: str | None
    detail: str | None

    @property
    def evaluations(self) -> tuple[Evaluation, ...]:
        """Every evaluation of policy, in packet order."""
        return tuple(
            step for visit in self.visits for step in visit.steps if isinstance(step, Evaluation)
        )

    @property
    def translations(self) -> tuple[tuple[Place, Translation], ...]:
        """Every translation and where it happened, in packet order."""
        return tuple(
            (visit.place, step)
            for visit in self.visits
            for step in visit.steps
            if isinstance(step, Translation)
        )
