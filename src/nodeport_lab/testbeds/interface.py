"""What every testbed can do: apply policies and send probes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol as Interface
from typing import Self

from nodeport_lab.model import Client, Decision, Network, NetworkPolicy, Protocol, Verdict

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
        detail: a sentence where the verdict is `error`.
    """

    verdict: Verdict
    backend: str | None
    application_source: str | None
    decisions: tuple[Decision, ...]
    elapsed_ms: float
    detail: str | None = None


class Testbed(Interface):
    """A place where packets really travel. A context manager: leaving it cleans up."""

    network: Network
    versions: dict[str, str]

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
