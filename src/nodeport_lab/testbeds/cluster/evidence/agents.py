"""The CNI's own pods, by which the nodes are read: where they are, and what they print.

They share the node's network, so what a command reads in them is the node's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from typing import Protocol as Interface

from nodeport_lab.errors import LabError

DEADLINE = 20.0  # seconds for one command


class Execution(Interface):
    """How a command in a pod ended; `cluster.execution.Execution` is one."""

    @property
    def stdout(self) -> str:
        """What it printed."""

    @property
    def stderr(self) -> str:
        """What it complained of."""

    @property
    def exit_code(self) -> int | None:
        """None where it did not end by itself."""

    @property
    def failure(self) -> str | None:
        """Why it did not."""


class Cluster(Interface):
    """The part of `cluster.connection.Connection` that is needed here."""

    def list(
        self, api_version: str, kind: str, namespace: str | None = None, labels: str | None = None
    ) -> list[dict[str, Any]]:
        """Objects of a kind, by labels."""

    def execute(
        self,
        namespace: str,
        pod: str,
        command: Sequence[str],
        *,
        container: str | None = None,
        deadline: float,
    ) -> Execution:
        """Run a command in a pod."""


@dataclass(frozen=True, slots=True)
class _Agent:
    """The CNI's pod on a node."""

    namespace: str
    pod: str
    container: str


_AGENTS = {
    "calico": ("k8s-app=calico-node", "calico-node", ("calico-system", "kube-system")),
    "cilium": ("k8s-app=cilium", "cilium-agent", ("kube-system",)),
}
"""Label, container and namespaces, as Calico's and Cilium's own manifests have them."""


@dataclass(slots=True)
class Agents:
    """The CNI's pods on the nodes of a scenario.

    Attributes:
        cluster: a connection to it.
        kind: whose pods: `calico` or `cilium`; others have none that is known.
        nodes: node of the scenario -> node of the cluster.
        unknown: what could not be read -> why.
    """

    cluster: Cluster
    kind: str
    nodes: Mapping[str, str]
    unknown: dict[str, str] = field(default_factory=dict)
    _found: dict[str, _Agent] | None = None

    @property
    def on(self) -> tuple[str, ...]:
        """The nodes of the scenario on which there is such a pod; looked for once."""
        return tuple(self._find())

    def read(  # noqa: PLR0913  # a place, commands, and when they count as good
        self,
        node: str,
        what: str,
        commands: Sequence[Sequence[str]],
        *,
        quietly: bool = False,
        good: Sequence[int] = (0,),
        deadline: float = DEADLINE,
    ) -> str | None:
        """What the first of the commands that works prints; None, with a reason, if none does.

        Args:
            node: of the scenario.
            what: is read, as the reason is to name it.
            commands: one after the other.
            quietly: without noting a reason.
            good: exit codes of a command that worked.
            deadline: seconds for each.
        """
        agent = self._find().get(node)
        if agent is None:
            return None
        reason = ""
        for command in commands:
            try:
                ended = self.cluster.execute(
                    agent.namespace,
                    agent.pod,
                    command,
                    container=agent.container,
                    deadline=deadline,
                )
            except LabError as error:
                reason = str(error)
                continue
            if ended.exit_code in good:
                return ended.stdout
            said = ended.failure or ended.stderr.strip().splitlines()[-1:] or "no reason given"
            reason = (
                f"{command[0]} failed in {agent.namespace}/{agent.pod}: "
                f"{said if isinstance(said, str) else said[0]}"
            )
        if not quietly:
            self.unknown[what] = reason
        return None

    def _find(self) -> dict[str, _Agent]:
        if self._found is None:
            self._found = self._looked_up(*_AGENTS[self.kind]) if self.kind in _AGENTS else {}
        return self._found

    def _looked_up(
        self, labels: str, container: str, namespaces: Sequence[str]
    ) -> dict[str, _Agent]:
        on_node: dict[str, _Agent] = {}
        for namespace in namespaces:
            try:
                pods = self.cluster.list("v1", "Pod", namespace, labels)
            except LabError as error:
                self.unknown["node evidence"] = str(error)
                continue
            for pod in pods:
                name, node = pod["metadata"]["name"], pod["spec"].get("nodeName", "")
                on_node.setdefault(node, _Agent(namespace, name, container))
        found = {ours: on_node[theirs] for ours, theirs in self.nodes.items() if theirs in on_node}
        if found:
            self.unknown.pop("node evidence", None)  # the other namespace has them
        else:
            self.unknown.setdefault(
                "node evidence", f"no pod with the label {labels} in {' or '.join(namespaces)}"
            )
        return found
