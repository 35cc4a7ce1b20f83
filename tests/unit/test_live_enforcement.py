"""Canaries on a simulated clock: what they can know, and when they say that they do not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from nodeport_lab.errors import TestbedError
from nodeport_lab.locations import manifests_directory
from nodeport_lab.manifests import load_scenario
from nodeport_lab.model import Verdict
from nodeport_lab.testbeds.cluster.curl import Attempt
from nodeport_lab.testbeds.cluster.enforcement import (
    CANARY,
    Answer,
    Canary,
    Enforcement,
    canaries,
    closing_policy,
)


@dataclass
class Nodes:
    """Agents that follow a policy after some seconds each; None: never.

    Attributes:
        lags: node -> seconds.
        silent: what a canary meets where its way is closed.
        deaf: nodes whose canary cannot be asked.
    """

    lags: Mapping[str, float | None]
    silent: Verdict = Verdict.TIMEOUT
    deaf: tuple[str, ...] = ()
    now: float = 0.0
    changes: list[tuple[float, bool]] = field(default_factory=list)
    stuck: bool = False

    def close(self, closed: bool) -> None:  # noqa: FBT001 - as the canary calls it
        """The API takes the change at once."""
        self.changes.append((self.now, closed))

    def dial(self) -> dict[str, Attempt]:
        """Each node's canary, by what its agent knows."""
        self.now += 0.05
        return {node: self._attempt(node, lag) for node, lag in self.lags.items()}

    def _attempt(self, node: str, lag: float | None) -> Attempt:
        if node in self.deaf:
            return Attempt(Verdict.ERROR, detail="exec failed")
        known = [
            closed
            for at, closed in self.changes
            if lag is not None and self.now - at >= lag and not (self.stuck and not closed)
        ]
        return Attempt(self.silent if known and known[-1] else Verdict.ALLOWED)

    def sleep(self, seconds: float) -> None:
        """Time passes."""
        self.now += seconds

    def canary(self) -> Canary:
        """The canaries, on this clock."""
        return Canary(self.dial, self.close, patience=5.0, clock=lambda: self.now, sleep=self.sleep)


@pytest.mark.parametrize("silent", [Verdict.TIMEOUT, Verdict.REFUSED])
def test_enforced_is_what_every_node_has_shown(silent: Verdict) -> None:
    """The slowest node says how long it took; a reject is a denial as well as a drop."""
    answer = Nodes({"a": 0.2, "b": 1.0}, silent).canary().ask()

    assert Enforcement.ENFORCED is answer.enforcement
    assert answer.latency == pytest.approx(1.0, abs=0.2)
    assert f"a: allowed without policy, {silent} under one that denies" in answer.evidence[0]


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        (Nodes({"a": None, "b": None}), Enforcement.NOT_ENFORCED),
        (Nodes({"a": 0.1, "b": None}), Enforcement.INCONCLUSIVE),
        (Nodes({"a": 0.1, "b": 0.1}, deaf=("b",)), Enforcement.INCONCLUSIVE),
        (Nodes({"a": 0.1}, stuck=True), Enforcement.INCONCLUSIVE),
        (Nodes({}), Enforcement.INCONCLUSIVE),
    ],
)
def test_anything_else_is_said_as_it_is(nodes: Nodes, expected: Enforcement) -> None:
    """No node follows; one of two does; one cannot be asked; none comes back; none is there."""
    answer = nodes.canary().ask()

    assert expected is answer.enforcement
    assert answer.evidence
    assert answer.latency is None


def test_a_change_is_awaited_on_the_slowest_node_and_then_as_long_again() -> None:
    """Another pod of that node may be a little later than the canary."""
    nodes = Nodes({"a": 0.1, "b": 0.8})
    canary = nodes.canary()
    assert isinstance(canary.ask(), Answer)
    done: list[float] = []

    before = nodes.now
    latency = canary.impose(lambda: done.append(nodes.now))
    passed = nodes.now - before

    assert [before] == done
    assert 0.8 <= latency < 1.1
    assert passed == pytest.approx(2 * latency, abs=0.01)


def test_each_change_is_followed_by_one_of_the_same_kind() -> None:
    """Created policies by a creation, deleted ones by a deletion, and always after them."""
    nodes = Nodes({"a": 0.1})
    canary = nodes.canary()
    order: list[str] = []
    nodes_close = nodes.close

    def close(closed: bool) -> None:  # noqa: FBT001 - as the canary calls it
        order.append("close" if closed else "open")
        nodes_close(closed)

    canary = Canary(nodes.dial, close, patience=5, clock=lambda: nodes.now, sleep=nodes.sleep)
    canary.impose(lambda: order.append("create"))
    canary.lift(lambda: order.append("delete"))

    assert ["create", "close", "delete", "open"] == order


def test_a_change_that_is_not_followed_names_the_nodes() -> None:
    """A verdict under a policy that may not be in force yet would be a guess."""
    nodes = Nodes({"a": 0.1, "b": None})

    with pytest.raises(TestbedError, match=r"within 5 s on b \(allowed\)"):
        nodes.canary().impose(lambda: None)


def test_every_node_with_pods_has_a_canary_that_no_service_and_no_policy_knows() -> None:
    """Servers' nodes as well: ingress is enforced there."""
    scenario = load_scenario(manifests_directory())
    clients, server = canaries(scenario)

    assert {"dev-worker", "dev-worker2"} == {pod.node for pod in clients}
    assert server is not None
    for pod in (*clients, server):
        assert [CANARY] == [key for key, _ in pod.labels]
    assert not closing_policy("x").egress
