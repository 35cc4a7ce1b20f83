"""Rules that can never match and policies that select nothing, by reading them alone.

Only what holds on every dataplane and placement is said. Pods outside of what was read may
exist: a selector for another namespace, of which no pod was read, is never blamed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network

from nodeport_lab.check.findings import Finding, Kind
from nodeport_lab.check.wording import listed
from nodeport_lab.manifests.users_scenario import UsersManifests
from nodeport_lab.model import (
    Direction,
    IPBlock,
    Network,
    NetworkPolicy,
    Pod,
    PodPeer,
    PolicyPort,
    PolicyRule,
    Scenario,
)
from nodeport_lab.policy import policies_selecting, selector_matches
from nodeport_lab.services import endpoints

_ANYWHERE = IPv4Network("0.0.0.0/0")


def read_rules(manifests: UsersManifests, network: Network) -> list[Finding]:
    """Everything that can be said of the policies without sending a packet.

    Args:
        manifests: the policies and what they are about.
        network: the addresses that the testbed gives.
    """
    readers = [_Reader(policy, manifests, network) for policy in manifests.scenario.policies]
    return [
        *(finding for reader in readers for finding in reader.never_matching()),
        *(finding for reader in readers for finding in reader.selecting_nothing()),
    ]


class _Reader:
    """Reads one policy."""

    def __init__(self, policy: NetworkPolicy, manifests: UsersManifests, network: Network) -> None:
        self._policy = policy
        self._scenario = manifests.scenario
        self._network = network
        self._field = manifests.field("NetworkPolicy", policy.namespace, policy.name)
        self._name = f"NetworkPolicy {policy.namespace}/{policy.name}"

    def selecting_nothing(self) -> Iterator[Finding]:
        """The policy selects no pod."""
        policy = self._policy
        own = [pod for pod in self._scenario.pods if pod.namespace == policy.namespace]
        selected = [pod for pod in own if selector_matches(policy.pod_selector, dict(pod.labels))]
        if any(not pod.host_network for pod in selected):
            return
        if selected:
            reason = (
                f"it selects {listed(pod.name for pod in selected)} alone, in the host's network, "
                "where pods have the node's address and no policy of their own"
            )
        elif own:
            reason = f"none of the {len(own)} pods in {policy.namespace} has these labels"
        else:
            reason = f"the manifests make no pod in the namespace {policy.namespace}"
        yield Finding(
            Kind.SELECTS_NOTHING,
            f"{self._name} selects no pod",
            reason=f"{reason}.",
            places=(self._place("podSelector"),),
        )

    def never_matching(self) -> Iterator[Finding]:
        """Rules and parts of rules that match no connection on any dataplane."""
        for direction in Direction:
            if direction not in self._policy.directions:
                continue
            side = "to" if direction is Direction.EGRESS else "from"
            for number, rule in enumerate(self._policy.rules(direction)):
                path = f"{direction}[{number}]"
                for position, peer in enumerate(rule.peers):
                    reason = (
                        self._block(peer, rule, direction)
                        if isinstance(peer, IPBlock)
                        else self._pods(peer)
                    )
                    if reason:
                        yield self._finding(f"{path}.{side}[{position}]", reason)
                for position, clause in enumerate(rule.ports):
                    reason = self._named_port(clause, rule, direction)
                    if reason:
                        yield self._finding(f"{path}.ports[{position}]", reason)

    def _finding(self, path: str, reason: str) -> Finding:
        return Finding(
            Kind.NEVER_MATCHES,
            f"{self._name}: {path} can never match",
            reason=f"{reason}.",
            places=(self._place(path),),
        )

    def _place(self, path: str) -> str:
        field = self._field
        inside = ".".join(filter(None, (field.path, "spec", path)))
        return replace(field, path=inside, value=None).place

    def _block(self, block: IPBlock, rule: PolicyRule, direction: Direction) -> str | None:
        cidr = block.cidr
        if isinstance(cidr, IPv6Network) or cidr == _ANYWHERE:
            return None
        if cidr.subnet_of(self._network.service_cidr):
            if direction is Direction.INGRESS:
                return f"nothing ever calls from {cidr}, a range of cluster IPs"
            return (
                f"{cidr} is a range of cluster IPs, and every dataplane puts a pod's address in "
                "place of a cluster IP before egress policy sees the packet; select the pods"
            )
        if direction is Direction.EGRESS and self._is_of_nodes(cidr):
            return self._behind_nodes(cidr, rule.ports)
        return None

    def _is_of_nodes(self, cidr: IPv4Network) -> bool:
        """Whether a range holds addresses of nodes, and of no pod with one of its own."""
        pods = (self._network.pods[pod.key] for pod in self._scenario.pods if not pod.host_network)
        return any(address in cidr for address in self._network.nodes.values()) and not any(
            address in cidr for address in pods
        )

    def _behind_nodes(self, cidr: IPv4Network, ports: Sequence[PolicyPort]) -> str | None:
        """The range holds nodes, and the rule names ports on which only pods listen."""
        named = {clause.port for clause in ports if isinstance(clause.port, int)}
        if len(named) < len(ports) or any(clause.end_port is not None for clause in ports):
            return None
        on_pods: dict[int, str] = {}
        for service in self._scenario.services:
            for port in service.ports:
                if port.node_port is None:
                    continue
                for endpoint in endpoints(self._scenario, service, port):
                    if not endpoint.pod.host_network:
                        on_pods[endpoint.port] = f"{service.key} ({port.node_port})"
        on_nodes = {
            *(port.node_port for service in self._scenario.services for port in service.ports),
            *(port.port for pod in self._scenario.pods if pod.host_network for port in pod.ports),
        }
        if not named or not named <= on_pods.keys() or named & on_nodes:
            return None
        behind = listed(on_pods[number] for number in sorted(named))
        return (
            f"{cidr} holds nodes, where nothing listens on {listed(sorted(named))}: that "
            f"is the port of the pods behind {behind}; policy that sees a node's address sees the "
            "node port with it, and policy that sees the pod's port sees the pod's address"
        )

    def _pods(self, peer: PodPeer) -> str | None:
        namespaces = self._namespaces(peer)
        there = [pod for pod in self._scenario.pods if pod.namespace in namespaces]
        chosen = [
            pod
            for pod in there
            if peer.pod_selector is None or selector_matches(peer.pod_selector, dict(pod.labels))
        ]
        if any(not pod.host_network for pod in chosen) or not there:
            return None  # it matches; or nothing is known of that namespace
        if chosen:
            return (
                f"it selects {listed(pod.name for pod in chosen)} alone, in the host's network: "
                "such a pod calls and is called under its node's address, which no selector matches"
            )
        return f"no pod in {listed(sorted(namespaces))} has these labels"

    def _namespaces(self, peer: PodPeer) -> set[str]:
        if peer.namespace_selector is None:
            return {self._policy.namespace}
        return {
            namespace.name
            for namespace in self._scenario.namespaces
            if selector_matches(peer.namespace_selector, dict(namespace.labels))
        }

    def _named_port(self, clause: PolicyPort, rule: PolicyRule, direction: Direction) -> str | None:
        if not isinstance(clause.port, str):
            return None
        asked = self._asked(rule, direction)
        if not asked:
            return None
        if any(
            port.name == clause.port and port.protocol is clause.protocol
            for pod in asked
            for port in pod.ports
        ):
            return None
        whose = "that the policy selects" if direction is Direction.INGRESS else "that it names"
        return f"no pod {whose} has a {clause.protocol} port called {clause.port!r}"

    def _asked(self, rule: PolicyRule, direction: Direction) -> list[Pod]:
        """The pods whose ports a rule names: the selected ones, or the peers."""
        if direction is Direction.INGRESS:
            return [
                pod
                for pod in self._scenario.pods
                if self._policy in policies_selecting([self._policy], pod, direction)
            ]
        if any(isinstance(peer, IPBlock) for peer in rule.peers):
            return []  # what has an address in a range is not known by name
        namespaces = [
            (self._namespaces(peer), peer) for peer in rule.peers if isinstance(peer, PodPeer)
        ]
        if not namespaces:
            return list(_with_addresses(self._scenario))
        return [
            pod
            for pod in _with_addresses(self._scenario)
            for names, peer in namespaces
            if pod.namespace in names
            and (peer.pod_selector is None or selector_matches(peer.pod_selector, dict(pod.labels)))
        ]


def _with_addresses(scenario: Scenario) -> Iterator[Pod]:
    return (pod for pod in scenario.pods if not pod.host_network)
