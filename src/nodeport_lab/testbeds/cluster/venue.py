"""A cluster as a place for testbeds: what it is, what it may be asked, who else is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from nodeport_lab.dataplanes import Dataplane
from nodeport_lab.errors import LabError, PrerequisiteError, UnknownNameError
from nodeport_lab.locations import manifests_directory
from nodeport_lab.manifests import Object, load_scenario, read_directory
from nodeport_lab.manifests.documents import Field
from nodeport_lab.manifests.labels import read_selector
from nodeport_lab.model import Client, Pod, Protocol, Scenario
from nodeport_lab.policy import selector_matches
from nodeport_lab.testbeds.cluster import detection, facts, rights
from nodeport_lab.testbeds.cluster.connection import Connection
from nodeport_lab.testbeds.cluster.deployment import (
    ENFORCE,
    NAME_LABEL,
    Site,
    fit,
    map_nodes,
    namespace_manifest,
    used_namespaces,
)
from nodeport_lab.testbeds.cluster.enforcement import PATIENCE, canaries
from nodeport_lab.testbeds.cluster.evidence import DecisionWitness, Evidence
from nodeport_lab.testbeds.cluster.facts import ClusterNode, Fact, Readings
from nodeport_lab.testbeds.cluster.failures import ClusterError
from nodeport_lab.testbeds.cluster.ownership import Ownership
from nodeport_lab.testbeds.cluster.testbed import ClusterTestbed, Hands, Surroundings, Witness

ClusterSetUp = Callable[[Scenario, Dataplane, Mapping[str, str]], ClusterTestbed]
"""See `testbeds.interface.SetUp`."""

_OTHER_POLICIES = (
    ("projectcalico.org/v3", "GlobalNetworkPolicy", False),
    ("crd.projectcalico.org/v1", "GlobalNetworkPolicy", False),
    ("cilium.io/v2", "CiliumClusterwideNetworkPolicy", False),
    ("cilium.io/v2", "CiliumNetworkPolicy", True),
    ("policy.networking.k8s.io/v1alpha1", "AdminNetworkPolicy", False),
    ("policy.networking.k8s.io/v1alpha2", "ClusterNetworkPolicy", False),
)
"""API version, kind, whether it lives in a namespace: policies that Kubernetes itself lacks."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What a user states about a cluster, instead of having it found out.

    Attributes:
        namespace: an existing namespace to use; None creates one for each run.
        nodes: node of the scenario -> node of the cluster.
        images: image of a manifest -> what to use instead.
        node_cidr: range of the nodes' addresses.
        pod_cidr: subnet of the pods.
        service_cidr: subnet of the cluster IPs.
        host_network: whether pods in the node's network are admitted; None finds out.
        outside: whether Services may have addresses outside of the cluster.
        patience: seconds that a change of policies may take to be enforced.
    """

    namespace: str | None = None
    nodes: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)
    node_cidr: IPv4Network | None = None
    pod_cidr: IPv4Network | None = None
    service_cidr: IPv4Network | None = None
    host_network: bool | None = None
    outside: bool = False
    patience: float = PATIENCE


class ClusterVenue:
    """See `testbeds.interface.Venue`; one testbed at a time, for all policies of a question."""

    at_once = 1
    spread = 1
    protocols = frozenset({Protocol.TCP})
    number = "RUN"
    """What stands for a run's number in a preview."""
    afterwards = "delete all of it again"
    """What becomes of what a run creates, as a preview says it."""

    def __init__(  # noqa: PLR0913 - what it needs, by name
        self,
        name: str,
        connect: Callable[[], Connection],
        choices: Choices,
        *,
        keep_addresses: bool,
        external: bool,
        begin: Callable[[Connection], AbstractContextManager[Hands]] = Ownership,
        evidence: bool = False,
    ) -> None:
        """Describe the venue; the cluster is not asked anything yet.

        Args:
            name: the testbed's name.
            connect: opens the connection, when it is first needed.
            choices: what the user states.
            keep_addresses: keep the node ports and cluster IPs of the manifests.
            external: whether this machine reaches the nodes, and calls as `external`.
            begin: hands for one run; leaving them deletes whatever is left of it.
            evidence: whether the CNI's pods on the nodes are asked what policy saw.
        """
        self.name = name
        self._connect = connect
        self._begin = begin
        self._choices = choices
        self._keep_addresses = keep_addresses
        self._external = external
        self._evidence = evidence
        self._objects: dict[tuple[str, str, str], Object] = {}

    # --- what the cluster is ----------------------------------------------------------

    @cached_property
    def connection(self) -> Connection:
        """The connection to the cluster."""
        return self._connect()

    @cached_property
    def readings(self) -> Readings:
        """The objects that facts are read from."""
        return facts.gather(self.connection)

    @cached_property
    def nodes(self) -> tuple[ClusterNode, ...]:
        """Every node of the cluster."""
        return facts.read_nodes(self.readings)

    @cached_property
    def subnets(self) -> dict[str, Fact]:
        """The subnets that policies are bound to: stated, found, or not known."""
        pods, services = facts.pod_cidr(self.readings), facts.service_cidr(self.readings)
        choices = self._choices
        found = {"pods": pods, "services": services}
        for name, stated in (("pods", choices.pod_cidr), ("services", choices.service_cidr)):
            if stated is not None:
                found[name] = _agreed(f"the subnet of the {name}", str(stated), found[name])
        nodes = facts.node_cidr(self.nodes, found["pods"].value, found["services"].value)
        if choices.node_cidr is not None:
            strangers = [
                node.name
                for node in self.nodes
                if node.address is not None and node.address not in choices.node_cidr
            ]
            if strangers:
                raise PrerequisiteError(
                    f"{choices.node_cidr} does not hold the addresses of {', '.join(strangers)}; "
                    "state a range that holds every node's"
                )
            nodes = Fact(str(choices.node_cidr), "stated")
        return {"nodes": nodes, **found}

    @cached_property
    def versions(self) -> dict[str, str]:
        """Component -> version."""
        return facts.versions(self.readings, self.connection.version())

    @cached_property
    def dataplane(self) -> Fact:
        """The dataplane that the cluster runs, as far as it tells."""
        return detection.dataplane(self.readings)

    # --- the interface ----------------------------------------------------------------

    def own_dataplanes(self) -> Sequence[str]:
        """See Venue: the one that the cluster runs.

        Raises:
            PrerequisiteError: the cluster does not tell.
        """
        if self.dataplane.value is None:
            raise PrerequisiteError(
                f"the cluster does not tell which dataplane it runs ({self.dataplane.source}); "
                "name it with -d"
            )
        return (self.dataplane.value,)

    def scenario(self, cluster: str, folders: Sequence[str]) -> Scenario:
        """See Venue.

        Raises:
            PrerequisiteError: a policy needs a subnet that is not known.
        """
        directory = manifests_directory()
        plain = load_scenario(directory, cluster, folders=folders)
        for found in read_directory(directory, folders):
            self._objects[found.kind, found.namespace, found.name] = found
        map_nodes(plain, self.nodes, self._choices.nodes)  # refuses early
        known = {name: fact.value for name, fact in self.subnets.items() if fact.value is not None}
        try:
            bound = load_scenario(directory, cluster, known, folders)
        except LabError as error:
            unknown = [
                f"{name}: {fact.source}" for name, fact in self.subnets.items() if not fact.value
            ]
            if not unknown:
                raise
            raise PrerequisiteError(
                f"{error} (not known of this cluster: {'; '.join(unknown)}); state the subnet"
            ) from error
        return replace(
            bound,
            pod_cidr=IPv4Network(known.get("pods", bound.pod_cidr)),
            service_cidr=IPv4Network(known.get("services", bound.service_cidr)),
        )

    def options(self, dataplane: Dataplane, chosen: Mapping[str, str]) -> dict[str, str]:
        """See Venue; an option that is neither chosen nor detected is absent: not known.

        Raises:
            UnknownNameError: an option or value that does not exist.
            PrerequisiteError: the cluster runs or is set otherwise.
        """
        for name, value in chosen.items():
            if name not in dataplane.options:
                raise UnknownNameError(f"option of {dataplane.name}", name, list(dataplane.options))
            option = dataplane.options[name]
            if value not in {*option.values, *option.live_only}:
                known = [*option.values, *option.live_only]
                raise UnknownNameError(f"value of {name}", value, known)
        if obstacle := self.obstacle(dataplane, chosen):
            raise PrerequisiteError(f"{obstacle}; leave it out, or choose another cluster")
        detected = {
            name: fact.value
            for name, fact in self._detected(dataplane).items()
            if fact.value is not None
        }
        settled = {**detected, **chosen}
        return {name: settled[name] for name in dataplane.options if name in settled}

    def basis(self, _dataplane: Dataplane) -> str:
        """See Venue: always `live`."""
        return "live"

    def obstacle(self, dataplane: Dataplane, options: Mapping[str, str]) -> str | None:
        """See Venue: the cluster runs something else, or is set otherwise."""
        running = self.dataplane
        if running.value is not None and running.value != dataplane.name:
            return f"this cluster runs {running.value} ({running.source}), not {dataplane.name}"
        for name, fact in self._detected(dataplane).items():
            if fact.value is not None and options.get(name, fact.value) != fact.value:
                return (
                    f"this cluster has {name}={fact.value} ({fact.source}), not "
                    f"{name}={options[name]}"
                )
        return None

    def close(self) -> None:
        """Close the connection; it is opened again where it is needed again."""
        connection = self.__dict__.pop("connection", None)
        if connection is not None:
            connection.close()

    @contextmanager
    def open(self) -> Iterator[ClusterSetUp]:
        """See Venue; rights are checked first, and what was created is gone at the end."""
        namespace = self._choices.namespace
        extras = () if namespace else ("create-namespace",)
        rights.check(self.connection, namespace, extras)
        if namespace:
            self._existing(namespace)
        with self._begin(self.connection) as hands:
            made: dict[str, str] = {}

            def set_up(
                scenario: Scenario, dataplane: Dataplane, _options: Mapping[str, str]
            ) -> ClusterTestbed:
                site = self._site(scenario, hands.run)
                if namespace:
                    self._check_namespace(scenario, namespace)
                else:
                    self._make_namespaces(scenario, site, hands, made)
                    for name in used_namespaces(scenario):
                        self._check_policies(scenario, site.namespaces[name])
                testbed = ClusterTestbed(
                    self.connection,
                    hands,
                    self._surroundings(site, dataplane),
                    scenario,
                    self._objects.values(),
                    witness=self._witness_of(scenario, dataplane, site, lambda: testbed),
                    patience=self._choices.patience,
                )
                return testbed

            yield set_up

    # --- what would be done -----------------------------------------------------------

    def preview(self, scenario: Scenario) -> list[str]:
        """What a testbed for this scenario would create and dial, in sentences.

        Nothing is created. Namespaces that would be made are shown without their number.
        """
        site = self._site(scenario, self.number)
        fitting, left_out = fit(scenario, site)
        lines = []
        if self._choices.namespace:
            self._existing(self._choices.namespace)
            self._check_namespace(scenario, self._choices.namespace)
        else:
            for name in used_namespaces(fitting):
                manifest = namespace_manifest(fitting, name, site)
                standard = manifest["metadata"]["labels"][ENFORCE]
                lines.append(
                    f"create Namespace {site.namespaces[name]} (Pod Security Standard {standard})"
                )
        clients, server = canaries(fitting)
        for pod in (*fitting.pods, *clients, *([server] if server else [])):
            where = site.nodes[pod.node].name
            network = ", in the node's network" if pod.host_network else ""
            place = site.namespaces[pod.namespace]
            lines.append(f"create Pod {place}/{pod.name} on node {where} ({pod.node}){network}")
        lines += [
            f"create Service {site.namespaces[service.namespace]}/{service.name} ({service.type_})"
            for service in fitting.services
        ]
        lines += [
            f"create NetworkPolicy {site.namespaces[policy.namespace]}/{policy.name}, and delete "
            "it before the next"
            for policy in fitting.policies
        ]
        nodes = ", ".join(f"{node.name} {node.address}" for node in site.nodes.values())
        for pod in fitting.pods:
            if not pod.ports:
                lines.append(
                    f"dial from {site.namespaces[pod.namespace]}/{pod.name}: every Service by its "
                    f"cluster IP, its pods' addresses, and its node ports on {nodes}"
                )
        others = [f"beside it, and not touched: {name}" for name in self._other_policies()]
        reasons = [f"leave out: {reason}" for reason in left_out]
        return [*lines, *reasons, *others, self.afterwards]

    # --- inside -----------------------------------------------------------------------

    def _witness_of(
        self,
        scenario: Scenario,
        dataplane: Dataplane,
        site: Site,
        testbed: Callable[[], ClusterTestbed],
    ) -> Witness | None:
        """Who reads the nodes; clients' addresses exist only once the testbed is set up."""
        if not self._evidence:
            return None
        nodes = {node.name: site.nodes[node.name].name for node in scenario.nodes}

        def address_of(client: Client) -> IPv4Address | None:
            return testbed().network.pods.get(client.pod.key) if client.pod else None

        return DecisionWitness(Evidence(self.connection, dataplane.name, nodes, address_of))

    def _known(self, dataplane: Dataplane) -> dict[str, Fact]:
        return {"dataplane": self.dataplane, **self.subnets, **self._detected(dataplane)}

    def _detected(self, dataplane: Dataplane) -> dict[str, Fact]:
        found = detection.options(self.readings, dataplane.name)
        return {name: fact for name, fact in found.items() if name in dataplane.options}

    def _site(self, scenario: Scenario, run: str) -> Site:
        names = used_namespaces(scenario)
        given = self._choices.namespace
        if given and len(names) > 1:
            raise PrerequisiteError(
                f"the scenario has the namespaces {', '.join(names)} and only {given} was given; "
                "leave --namespace out, so that the lab creates them"
            )
        return Site(
            nodes=map_nodes(scenario, self.nodes, self._choices.nodes),
            namespaces={name: given or f"{name}-{run}" for name in names},
            images=self._choices.images,
            keep_addresses=self._keep_addresses,
            host_network=self._host_network(given),
            outside=self._choices.outside,
        )

    def _host_network(self, namespace: str | None) -> bool:
        """Whether Pod Security admits pods in the node's network; not, where it is unknown."""
        if self._choices.host_network is not None:
            return self._choices.host_network
        if namespace is None:
            return True  # the namespace will be made for it
        try:
            found = self.connection.find("v1", "Namespace", namespace)
        except ClusterError:
            return False
        labels = ((found or {}).get("metadata") or {}).get("labels") or {}
        return labels.get(ENFORCE) == "privileged"

    def _surroundings(self, site: Site, dataplane: Dataplane) -> Surroundings:
        subnets = {
            name: IPv4Network(fact.value) if fact.value else None
            for name, fact in self.subnets.items()
        }
        nodes = subnets["nodes"]
        if nodes is None:
            raise PrerequisiteError(
                f"the range of the nodes' addresses is not known: {self.subnets['nodes'].source}; "
                "state it"
            )
        return Surroundings(
            site,
            nodes,
            subnets["pods"],
            subnets["services"],
            self.versions,
            self._external,
            self._known(dataplane),
            tuple(self._other_policies()),
        )

    def _existing(self, namespace: str) -> None:
        try:
            found = self.connection.find("v1", "Namespace", namespace)
        except ClusterError as error:
            if error.status != 403:  # noqa: PLR2004 - forbidden: it cannot be seen, and may exist
                raise
            return
        if found is None:
            raise PrerequisiteError(
                f"there is no namespace {namespace} in this cluster; create it, or leave "
                "--namespace out"
            )

    def _check_namespace(self, scenario: Scenario, namespace: str) -> None:
        """Refuse a namespace in which someone else's policies select our pods.

        Raises:
            PrerequisiteError: one does, or labels that policies select are not there.
        """
        self._check_policies(scenario, namespace)
        self._check_labels(scenario, namespace)

    def _check_policies(self, scenario: Scenario, namespace: str) -> None:
        """Also in a namespace of the lab's own, where a controller may put its default ones."""
        clients, server = canaries(scenario)
        pods = [*scenario.pods, *clients, *([server] if server else [])]
        for policy in self.connection.list("networking.k8s.io/v1", "NetworkPolicy", namespace):
            if selected := _selected(policy, pods):
                raise PrerequisiteError(
                    f"NetworkPolicy {namespace}/{policy['metadata']['name']} is not the lab's and "
                    f"selects {', '.join(selected)}, so results would be of both; remove it, or "
                    "use another namespace"
                )

    def _check_labels(self, scenario: Scenario, namespace: str) -> None:
        wanted = {
            key: value
            for one in scenario.namespaces
            if one.name in used_namespaces(scenario)
            for key, value in one.labels
            if key != NAME_LABEL
        }
        if wanted:
            found = self.connection.find("v1", "Namespace", namespace) or {}
            labels = (found.get("metadata") or {}).get("labels") or {}
            missing = {key for key, value in wanted.items() if labels.get(key) != value}
            if missing:
                raise PrerequisiteError(
                    f"namespace {namespace} lacks the labels {', '.join(sorted(missing))} of the "
                    "scenario's; leave --namespace out, so that the lab creates one"
                )

    @staticmethod
    def _make_namespaces(
        scenario: Scenario, site: Site, hands: Hands, made: dict[str, str]
    ) -> None:
        for name in used_namespaces(scenario):
            manifest = namespace_manifest(scenario, name, site)
            real, standard = site.namespaces[name], manifest["metadata"]["labels"][ENFORCE]
            if made.get(real) == standard:
                continue
            if real in made:
                hands.remove([manifest])  # the standard differs, and pods may need the other
            made[real] = standard
            hands.create(manifest)

    def _other_policies(self) -> Iterator[str]:
        for api_version, kind, namespaced in _OTHER_POLICIES:
            place = self._choices.namespace if namespaced else None
            if namespaced and place is None:
                continue
            try:
                found = self.connection.list(api_version, kind, place)
            except ClusterError:
                continue  # the cluster does not know the kind, or does not show it
            yield from sorted(f"{kind} {one['metadata']['name']}" for one in found)


def _agreed(what: str, stated: str, found: Fact) -> Fact:
    if found.value not in {None, stated}:
        raise PrerequisiteError(
            f"{what} is {found.value} ({found.source}), not {stated}; leave it out"
        )
    return Fact(stated, "stated")


def _selected(policy: Mapping[str, Any], pods: Sequence[Pod]) -> list[str]:
    name = policy["metadata"]["name"]
    spec = policy.get("spec") or {}
    selector = read_selector(
        Field(f"NetworkPolicy {name}", 1, "spec.podSelector", spec.get("podSelector") or {})
    )
    return [
        pod.name
        for pod in pods
        if not pod.host_network and selector_matches(selector, dict(pod.labels))
    ]
