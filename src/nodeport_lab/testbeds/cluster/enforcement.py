"""Is policy enforced here, and since when: asked of canaries, whose verdict must flip.

Kubernetes has no status that says a NetworkPolicy is in force on a node. A canary is a
client on every node that has pods of the scenario, with a server of its own. A policy that
closes the canaries' way is created after the policies under test and deleted after them,
so that each is awaited by a change of the same kind. When every canary's verdict has
followed, the agent on each of those nodes has worked through the change as well: it
receives changes of NetworkPolicies in one stream and in order. An agent may still be at
work on another pod of its node then, so the lab waits as long again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from nodeport_lab.errors import TestbedError
from nodeport_lab.model import (
    Direction,
    LabelSelector,
    NetworkPolicy,
    Pod,
    Scenario,
    Verdict,
)
from nodeport_lab.testbeds.cluster.curl import Attempt

CANARY = "nodeport-lab/canary"
"""Key of the label that canaries have, and no pod of a scenario."""
PATIENCE = 30.0  # seconds; Felix and Cilium need less than one, a busy node several
POLICY_NAME = "nodeport-lab-canary"

_POLL = 0.1  # seconds between two looks
_SETTLE = (0.2, 2.0)  # bounds, in seconds, of waiting on after the last flip
_CLOSED = frozenset({Verdict.TIMEOUT, Verdict.REFUSED})


class Enforcement(StrEnum):
    """The answer to: is policy enforced here at all?"""

    ENFORCED = "enforced"
    NOT_ENFORCED = "not enforced"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the canaries have shown.

    Attributes:
        enforcement: see Enforcement.
        evidence: a sentence for each node.
        latency: seconds from applying the policy to the last canary's flip; None where
            one did not flip.
    """

    enforcement: Enforcement
    evidence: tuple[str, ...]
    latency: float | None = None


def canaries(scenario: Scenario) -> tuple[tuple[Pod, ...], Pod | None]:
    """The canaries of a scenario: a client on every node that has pods, and their server.

    They borrow the specs of the scenario's first client and server.

    Returns:
        the clients, and the server, each with the workload whose spec it borrows; no
        server where the scenario has none or no client.
    """
    in_pods = [pod for pod in scenario.pods if not pod.host_network]
    client = next((pod for pod in in_pods if not pod.ports), None)
    server = next((pod for pod in scenario.pods if pod.ports and _serves_http(pod)), None)
    if client is None or server is None:
        return (), None
    nodes = dict.fromkeys(pod.node for pod in scenario.pods)
    clients = tuple(
        Pod(
            namespace=client.namespace,
            name=f"canary-{node}",
            node=node,
            labels=((CANARY, "client"),),
            workload=client.workload,
        )
        for node in nodes
    )
    return clients, Pod(
        namespace=server.namespace,
        name="canary-server",
        node=server.node,
        labels=((CANARY, "server"),),
        ports=server.ports,
        workload=server.workload,
    )


def _serves_http(pod: Pod) -> bool:
    return any(str(port.protocol) == "TCP" for port in pod.ports)


def closing_policy(namespace: str) -> NetworkPolicy:
    """The policy that closes the canaries' way, and selects nothing but canary clients."""
    return NetworkPolicy(
        namespace,
        POLICY_NAME,
        LabelSelector(((CANARY, "client"),)),
        frozenset({Direction.EGRESS}),
    )


class Canary:
    """Canaries in a cluster, their way open or closed."""

    def __init__(
        self,
        dial: Callable[[], Mapping[str, Attempt]],
        close: Callable[[bool], Any],
        *,
        patience: float = PATIENCE,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Describe them; nothing is dialled yet.

        Args:
            dial: lets every canary dial its server once; node -> how that ended.
            close: puts the policy that closes their way in force, or takes it away.
            patience: seconds to wait for a flip.
            clock: seconds.
            sleep: waits for some seconds.
        """
        self._dial = dial
        self._close = close
        self._patience = patience
        self._clock = clock
        self._sleep = sleep

    def ask(self) -> Answer:
        """Whether policy is enforced on every node with a canary; leaves their way open."""
        _, before = self._await(closed=False)
        deaf = [
            f"{node}: without policy the canary met {_told(attempt)}"
            for node, attempt in before.items()
            if attempt.verdict is not Verdict.ALLOWED
        ]
        if deaf or not before:
            return Answer(Enforcement.INCONCLUSIVE, tuple(deaf) or ("there is no canary",))
        self._close(True)  # noqa: FBT003 - its only argument
        latency, closed = self._await(closed=True)
        self._close(False)  # noqa: FBT003 - its only argument
        _, after = self._await(closed=False)
        evidence = tuple(
            f"{node}: allowed without policy, {_told(attempt)} under one that denies, "
            f"{_told(after[node])} after it"
            for node, attempt in closed.items()
        )
        verdicts = {attempt.verdict for attempt in closed.values()}
        if verdicts == {Verdict.ALLOWED}:
            return Answer(Enforcement.NOT_ENFORCED, evidence)
        again = {attempt.verdict for attempt in after.values()}
        if verdicts <= _CLOSED and again == {Verdict.ALLOWED}:
            return Answer(Enforcement.ENFORCED, evidence, latency)
        return Answer(Enforcement.INCONCLUSIVE, evidence)

    def impose(self, create: Callable[[], Any]) -> float:
        """Create policies and return once canaries have followed one that was created last.

        Args:
            create: creates them through the API; none is in force before.

        Returns:
            seconds from the API's last answer to the last canary's flip, up to the time
            between two looks.

        Raises:
            TestbedError: a canary has not followed in time.
        """
        create()
        self._close(True)  # noqa: FBT003 - its only argument
        return self._follow(closed=True)

    def lift(self, remove: Callable[[], Any]) -> float:
        """Delete policies and return once canaries have followed one that was deleted last.

        Args:
            remove: deletes, through the API, all that `impose` has created.

        Returns:
            seconds, as `impose`.

        Raises:
            TestbedError: a canary has not followed in time.
        """
        remove()
        self._close(False)  # noqa: FBT003 - its only argument
        return self._follow(closed=False)

    def _follow(self, *, closed: bool) -> float:
        latency, seen = self._await(closed=closed)
        if latency is None:
            late = ", ".join(
                f"{node} ({_told(attempt)})"
                for node, attempt in seen.items()
                if not _as_wanted(attempt, closed=closed)
            )
            raise TestbedError(
                f"a change of policies was not enforced within {self._patience:g} s on {late}; "
                "look at the CNI's pods on these nodes, or try again"
            )
        shortest, longest = _SETTLE
        self._sleep(min(max(latency, shortest), longest))
        return latency

    def _await(self, *, closed: bool) -> tuple[float | None, Mapping[str, Attempt]]:
        """Look until every canary is as wanted; the time that took, None if it ran out."""
        start = self._clock()
        while True:
            seen = self._dial()
            passed = self._clock() - start
            if all(_as_wanted(attempt, closed=closed) for attempt in seen.values()):
                return passed, seen
            if passed >= self._patience:
                return None, seen
            self._sleep(_POLL)


def _as_wanted(attempt: Attempt, *, closed: bool) -> bool:
    return attempt.verdict in _CLOSED if closed else attempt.verdict is Verdict.ALLOWED


def _told(attempt: Attempt) -> str:
    return f"{attempt.verdict} ({attempt.detail})" if attempt.detail else str(attempt.verdict)
