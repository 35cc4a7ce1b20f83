"""One connection that somebody asks about, from names as typed to a testbed and a cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from nodeport_lab.cells import (
    CLUSTER_IP,
    EXTERNAL_IP,
    LOAD_BALANCER,
    NODEPORT,
    POD_IP,
    Cell,
    enumerate_cells,
)
from nodeport_lab.dataplanes import Dataplane, find_dataplane
from nodeport_lab.errors import LabError, UnknownNameError
from nodeport_lab.experiment import find_policy, suite_scenario
from nodeport_lab.manifests import NO_POLICY
from nodeport_lab.model import Client, NetworkPolicy, Scenario
from nodeport_lab.suites import SUITES, everyone
from nodeport_lab.testbeds.embedded import EmbeddedTestbed
from nodeport_lab.variations import split, vary
from nodeport_lab.venues import check_embedded

_ROUTES = (POD_IP, CLUSTER_IP, NODEPORT, LOAD_BALANCER, EXTERNAL_IP)


@dataclass(frozen=True, slots=True)
class Errand:
    """Who calls whom and how: everything that a packet is sent with, names as typed.

    Attributes:
        dataplane: name of the dataplane.
        client: a pod, `host:NODE`, `external` or `external-routed`.
        route: `pod-ip`, `cluster-ip`, `nodeport:NODE`, `load-balancer` or `external-ip`.
        policy: name of the policy in force.
        options: option or variation -> value; what is missing takes its default.
        testbed: where.
    """

    dataplane: str
    client: str
    route: str
    policy: str = NO_POLICY
    options: Mapping[str, str] | None = None
    testbed: str = "embedded"


@dataclass(frozen=True, slots=True)
class Prepared:
    """An errand with every name looked up; nothing has been created yet.

    Attributes:
        scenario: the atlas' scenario with the errand's variations.
        dataplane: the dataplane.
        options: its options, completed.
        varied: the variations that were chosen.
        policy: the policy in force, if any.
        testbed: to be entered.
        cells: every cell of every client.
        cell: the one that the errand asks about.
    """

    scenario: Scenario
    dataplane: Dataplane
    options: Mapping[str, str]
    varied: Mapping[str, str]
    policy: NetworkPolicy | None
    testbed: EmbeddedTestbed
    cells: tuple[Cell, ...]
    cell: Cell


def prepare(errand: Errand) -> Prepared:
    """Look up every name of an errand.

    Raises:
        UnknownNameError: a name that does not exist.
        LabError: a route by which this client can reach nothing.
        PrerequisiteError: an option that only a live cluster can show.
    """
    check_embedded(errand.testbed, "following one connection")
    dataplane = find_dataplane(errand.dataplane)
    given, varied = split(errand.options or {})
    options = dataplane.complete(given)
    scenario = vary(atlas_scenario(), varied)
    policy = find_policy(scenario, errand.policy)
    client = find_client(scenario, errand.client)
    testbed = EmbeddedTestbed(scenario, dataplane, options)
    cells = enumerate_cells(scenario, testbed.network, everyone(scenario))
    own = tuple(cell for cell in cells if cell.client == client)
    cell = find_cell(own, client, errand.route, scenario)
    return Prepared(scenario, dataplane, options, varied, policy, testbed, cells, cell)


def atlas_scenario() -> Scenario:
    """The atlas' scenario: outside addresses, every client, policies of both directions."""
    egress, ingress = SUITES["egress"], SUITES["ingress"]
    folders = tuple(dict.fromkeys((*egress.folders, *ingress.folders)))
    return suite_scenario(replace(egress, folders=folders))


def find_client(scenario: Scenario, name: str) -> Client:
    """The client of that name: a pod, `host:NODE`, `external` or `external-routed`.

    Raises:
        UnknownNameError: there is none.
    """
    clients = {client.name: client for client in everyone(scenario)}
    if name not in clients:
        raise UnknownNameError("client", name, list(clients))
    return clients[name]


def find_cell(cells: tuple[Cell, ...], client: Client, route: str, scenario: Scenario) -> Cell:
    """The first cell by a route: where several Services offer it, the first one's.

    Args:
        cells: those of the client.
        client: who calls.
        route: as on the command line.
        scenario: for the names of nodes.

    Raises:
        UnknownNameError: there is no such route or node.
        LabError: no Service can be reached by it from there.
    """
    possible: dict[str, Cell] = {}
    for cell in cells:
        possible.setdefault(cell.way, cell)
    if route in possible:
        return possible[route]
    word, _, node = route.partition(":")
    if word not in _ROUTES or (word == NODEPORT) != bool(node):
        words = [f"{each}:NODE" if each == NODEPORT else each for each in _ROUTES]
        raise UnknownNameError("route", route, words)
    nodes = [each.name for each in scenario.nodes]
    if node and node not in nodes:
        raise UnknownNameError("node", node, nodes)
    raise LabError(
        f"no Service of the scenario can be reached by {route} from {client.name}; "
        f"possible from there: {', '.join(possible) or 'nothing'}"
    )
