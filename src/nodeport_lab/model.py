"""The vocabulary: what a scenario is and what an observation of it looks like.

Nothing here reads files, sends packets or knows a dataplane. Every type is an
immutable value. Names follow Kubernetes where Kubernetes has one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Network


class Direction(StrEnum):
    """The side of a connection on which a policy is evaluated."""

    EGRESS = "egress"
    INGRESS = "ingress"


class Protocol(StrEnum):
    """Transport protocols that Kubernetes knows; SCTP is accepted and never probed."""

    TCP = "TCP"
    UDP = "UDP"
    SCTP = "SCTP"


class Operator(StrEnum):
    """Operators of a label selector's matchExpressions."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


class Verdict(StrEnum):
    """What happened to one probe. A tool that failed (`error`) is not a denial."""

    ALLOWED = "allowed"
    TIMEOUT = "timeout"
    REFUSED = "refused"
    ERROR = "error"


class Relation(StrEnum):
    """Of the dialled node to the client."""

    OWN_NODE = "own-node"
    OTHER_NODE = "other-node"  # hosts the backend
    THIRD_NODE = "third-node"  # hosts neither


class Action(StrEnum):
    """The outcome of one evaluation of policy."""

    ALLOW = "allow"
    DENY = "deny"


# --- the scenario: Kubernetes objects -------------------------------------------------


@dataclass(frozen=True, slots=True)
class Requirement:
    """One entry of matchExpressions."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """A label selector; without any requirement it selects everything."""

    match_labels: tuple[tuple[str, str], ...] = ()
    match_expressions: tuple[Requirement, ...] = ()


@dataclass(frozen=True, slots=True)
class IPBlock:
    """A NetworkPolicy peer that is a range of addresses, minus exceptions."""

    cidr: IPv4Network | IPv6Network
    except_: tuple[IPv4Network | IPv6Network, ...] = ()


@dataclass(frozen=True, slots=True)
class PodPeer:
    """A NetworkPolicy peer that selects pods.

    `namespace_selector` None means: the policy's own namespace. `pod_selector` None
    means: every pod of the selected namespaces.
    """

    pod_selector: LabelSelector | None = None
    namespace_selector: LabelSelector | None = None


@dataclass(frozen=True, slots=True)
class PolicyPort:
    """A port clause of a rule: a number, a range up to `end_port`, a name, or any."""

    protocol: Protocol = Protocol.TCP
    port: int | str | None = None
    end_port: int | None = None


@dataclass(frozen=True, slots=True)
class PolicyRule:
    """One ingress or egress rule. No peers: any peer. No ports: any port."""

    peers: tuple[IPBlock | PodPeer, ...] = ()
    ports: tuple[PolicyPort, ...] = ()


@dataclass(frozen=True, slots=True)
class NetworkPolicy:
    """A NetworkPolicy (networking.k8s.io/v1) with policyTypes already defaulted."""

    namespace: str
    name: str
    pod_selector: LabelSelector
    directions: frozenset[Direction]
    ingress: tuple[PolicyRule, ...] = ()
    egress: tuple[PolicyRule, ...] = ()

    def rules(self, direction: Direction) -> tuple[PolicyRule, ...]:
        """The rules of one direction, in the order of the manifest."""
        return self.egress if direction is Direction.EGRESS else self.ingress


@dataclass(frozen=True, slots=True)
class Namespace:
    """A Namespace with its labels (kubernetes.io/metadata.name included)."""

    name: str
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ContainerPort:
    """A port that a container declares."""

    port: int
    protocol: Protocol = Protocol.TCP
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Program:
    """What a container runs, where a testbed starts it in earnest and not a stand-in.

    Attributes:
        name: of the image, without registry, tag and digest: `haproxy`.
        command: as the container gives it, with its arguments; empty for the image's own.
        files: path in the container -> text, from the ConfigMaps that are mounted.
    """

    name: str
    command: tuple[str, ...] = ()
    files: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod on a node. `workload` is the Deployment that made it, or its own name.

    Without a `program` a testbed of its own making puts a stand-in on each port.
    """

    namespace: str
    name: str
    node: str
    labels: tuple[tuple[str, str], ...] = ()
    ports: tuple[ContainerPort, ...] = ()
    host_network: bool = False
    workload: str = ""
    program: Program | None = None

    @property
    def key(self) -> str:
        """`namespace/name`, unique in a scenario."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class ServicePort:
    """One port of a Service. `target_port` may be the name of a container port."""

    port: int
    target_port: int | str
    protocol: Protocol = Protocol.TCP
    name: str | None = None
    node_port: int | None = None


@dataclass(frozen=True, slots=True)
class Service:
    """A Service; `type_` is ClusterIP, NodePort, LoadBalancer or ExternalName.

    `endpoint_pods` are keys of the pods that EndpointSlices put behind a Service without
    a selector.
    """

    namespace: str
    name: str
    selector: tuple[tuple[str, str], ...]
    ports: tuple[ServicePort, ...]
    type_: str = "ClusterIP"
    cluster_ip: str | None = None  # None: allocated; "None": headless
    external_traffic_policy: str = "Cluster"
    internal_traffic_policy: str = "Cluster"
    external_ips: tuple[str, ...] = ()
    endpoint_pods: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """`namespace/name`, unique in a scenario."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the cluster; `control_plane` nodes run no pods of the scenario."""

    name: str
    control_plane: bool = False


@dataclass(frozen=True, slots=True)
class Scenario:
    """Everything that an experiment is about, as read from manifests.

    Attributes:
        cluster: name of the cluster ("dev").
        nodes: in the order of the cluster's configuration.
        namespaces: every namespace, `default` included when something lives in it.
        pods: every pod, those of workloads expanded (`hello-0`, ...).
        services: every Service.
        policies: every NetworkPolicy that could be applied; none is applied by itself.
        pod_cidr: the cluster's pod subnet.
        service_cidr: the cluster's service subnet.
        notes: one sentence for each part that was accepted and has no effect here
            (IPv6, SCTP, scheduling hints).
    """

    cluster: str
    nodes: tuple[Node, ...]
    namespaces: tuple[Namespace, ...]
    pods: tuple[Pod, ...]
    services: tuple[Service, ...]
    policies: tuple[NetworkPolicy, ...]
    pod_cidr: IPv4Network = IPv4Network("10.244.0.0/16")
    service_cidr: IPv4Network = IPv4Network("10.96.0.0/16")
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Network:
    """The addresses that a testbed gave to a scenario: its facts.

    Attributes:
        node_cidr: subnet that the nodes share.
        pod_cidr: subnet of all pods.
        service_cidr: subnet of all cluster IPs.
        nodes: node name -> address.
        node_pod_cidrs: node name -> the part of `pod_cidr` that this node hands out.
        pods: pod key -> address (a host-network pod has its node's).
        cluster_ips: service key -> cluster IP; headless Services are absent.
        tunnels: node name -> address of its tunnel device; empty without a tunnel.
        load_balancers: service key -> address that stands for it outside.
    """

    node_cidr: IPv4Network
    pod_cidr: IPv4Network
    service_cidr: IPv4Network
    nodes: dict[str, IPv4Address]
    node_pod_cidrs: dict[str, IPv4Network]
    pods: dict[str, IPv4Address]
    cluster_ips: dict[str, IPv4Address]
    tunnels: dict[str, IPv4Address] = field(default_factory=dict)
    load_balancers: dict[str, IPv4Address] = field(default_factory=dict)


class ClientKind(StrEnum):
    """What a client is."""

    POD = "pod"
    HOST_POD = "host-network pod"
    HOST = "host process"
    EXTERNAL = "external machine"


@dataclass(frozen=True, slots=True)
class Client:
    """Who calls: a pod, a process on a node, or a machine outside of the cluster.

    Attributes:
        name: the pod's name, or what the testbed calls the client.
        kind: see ClientKind.
        node: where it runs; None outside of the cluster.
        pod: the pod, where it is one.
    """

    name: str
    kind: ClientKind
    node: str | None = None
    pod: Pod | None = None


# --- the observation: what a probe met ------------------------------------------------


@dataclass(frozen=True, slots=True)
class Decision:
    """One evaluation of policy on a packet's way.

    `seen_source` and `seen_destination` are `address:port` as the hook saw them.
    `policy` is None where no policy selects the pod, or where the default deny of
    several policies decided; `policy_namespace` is None there, too. `rule` is the field
    path of the rule (`egress[0].to[1]`), `default-deny`, or `not-selected`.
    """

    direction: Direction
    node: str
    hook: str
    seen_source: str
    seen_destination: str
    policy: str | None
    rule: str
    action: Action
    policy_namespace: str | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """One cell: who called whom, how, under which policy, and what happened.

    `policy` is `no-policy` for the control, and `all-policies` where all are in force
    together. `namespace` is None where the client is no pod, `server_namespace` where it is
    not told, `client_node` where it is a machine outside of the cluster. `route` is `pod-ip`,
    `cluster-ip` or `nodeport`; `dialled_node` and `relation` are None where no node is
    dialled.
    `seen_source`, `seen_destination`, `hook` and `rule` are those of the decision that
    denied, else of the cell's `direction`. `control` is the verdict of the same cell
    without policy; where that is not `allowed` the cell has no path and says nothing
    about policy. `application_source` is the address that the server logged, `forwarded_for`
    the one that a proxy before it had seen and told it in `X-Forwarded-For`; the decisions
    are those of both connections then.
    """

    policy: str
    direction: Direction
    namespace: str | None
    client: str
    client_node: str | None
    server: str
    service: str | None
    protocol: Protocol
    port: int
    route: str
    dialled_node: str | None
    backend_node: str | None
    relation: Relation | None
    verdict: Verdict
    control: Verdict
    seen_source: str | None = None
    seen_destination: str | None = None
    hook: str | None = None
    rule: str | None = None
    decisions: tuple[Decision, ...] = ()
    application_source: str | None = None
    elapsed_ms: float = 0.0
    detail: str | None = None
    server_namespace: str | None = None
    forwarded_for: str | None = None

    @property
    def outcome(self) -> str:
        """The verdict, or `no path` where the control does not allow the cell."""
        return str(self.verdict) if self.control is Verdict.ALLOWED else "no path"

    @property
    def target(self) -> str:
        """The column of the cell in a table: its relation, or else its route."""
        return str(self.relation) if self.relation else self.route


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """What a run knows of the cluster that it was made on.

    Attributes:
        nodes: the scenario's node -> the cluster's node that stood for it.
        network: the addresses that the cluster gave to the scenario.
        detected: fact (`encapsulation`, `kube-proxy mode`, ...) -> value; None where it
            could not be read.
        unknown: fact or piece of evidence that could not be read -> why, in one sentence.
        enforced_after_ms: policy -> milliseconds from its being applied to the first probe
            that met it; None where that was not seen.
        canaries: how it was seen that policy is enforced at all, a sentence for each node.
        left_out: parts of the scenario that the cluster could not hold, a sentence each.
        other_policies: `Kind name` of policies that were there already and may have a say.
        evidence: policy -> what the nodes' own tables told of its connections, a sentence
            each, besides the decisions that stand in the observations.
    """

    nodes: dict[str, str]
    network: Network | None = None
    detected: dict[str, str | None] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)
    enforced_after_ms: dict[str, float | None] = field(default_factory=dict)
    canaries: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    other_policies: tuple[str, ...] = ()
    evidence: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Run:
    """All observations of one dataplane with one set of options on one testbed.

    Attributes:
        testbed: `embedded`, `kind` or `live`.
        dataplane: name of the dataplane.
        options: option -> value, defaults included.
        basis: `emulated` (our rules, real netfilter), `modelled` (another engine's
            semantics) or `live`.
        versions: component -> version (kernel, nftables, nodeport-lab, ...).
        observations: in a fixed order.
        suite: which set of questions the run answers.
        date: when it was made, UTC, ISO 8601 (`2026-11-23T10:15:00Z`); None if not noted.
        cluster: what the cluster was; None where there was none.
    """

    testbed: str
    dataplane: str
    options: dict[str, str]
    basis: str
    versions: dict[str, str]
    observations: tuple[Observation, ...] = field(default=())
    suite: str = "report"
    date: str | None = None
    cluster: ClusterFacts | None = None
