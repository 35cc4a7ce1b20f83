"""A run's observations as they are published: small, and the same after every execution.

A page without a server has to carry them all, so each different thing stands once, in a
list, and is referred to by its position. Left out are times and clients' ports. The form is
described by `published.schema.json` (schema 1).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from nodeport_lab.cells import enumerate_cells
from nodeport_lab.errors import LabError
from nodeport_lab.model import (
    Client,
    Decision,
    Direction,
    Network,
    NetworkPolicy,
    Observation,
    Run,
    Scenario,
)
from nodeport_lab.report import walk_words as words
from nodeport_lab.report.grid import CONTROL
from nodeport_lab.report.words import changed_options, title

JSON = "application/vnd.nodeport-lab.observations"
"""The kind of output, JSON as text, by which a notebook publishes its observations."""

SCHEMA = 1

Machines = Mapping[str, IPv4Address]
"""Clients outside of the cluster and their addresses."""

_Key = tuple[str, str | None, str, str | None]


@dataclass(frozen=True, slots=True, repr=False)
class Published:
    """What a run publishes; shows itself in a notebook as data alone."""

    document: Mapping[str, Any]

    def __repr__(self) -> str:
        """What it holds, in short."""
        told = self.document
        return f"{told['connections']} observations of {told['suite']} on {told['dataplane']}"

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {JSON: compact(self.document), "text/plain": repr(self)}


def compact(document: object) -> str:
    """JSON without spaces, the same text for the same document."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def publish(
    run: Run,
    clients: Sequence[Client],
    scenario: Scenario,
    network: Network,
    machines: Machines | None = None,
) -> Published:
    """The observations of a run, with whatever a reader needs to understand them.

    Args:
        run: one of a single suite; each of its policies asked the same cells.
        clients: who called in it.
        scenario: what it was about.
        network: the addresses that the scenario had.
        machines: the clients outside.

    Raises:
        LabError: two observations of the same cell differ.
    """
    dialled = _dialled(scenario, network, clients, run)
    ways, decisions, records = _Numbered(), _Numbered(), _Numbered()
    cells: dict[str, dict[int, int]] = {}
    for cell in run.observations:
        way = ways.number((*_key(cell), _text(cell.relation), dialled.get(_key(cell))))
        record = records.number(_record(cell, decisions))
        row = cells.setdefault(cell.policy, {})
        if row.setdefault(way, record) != record:
            raise LabError(
                f"the run of {title(run)} has two observations of {cell.client} to "
                f"{cell.target} under {cell.policy} that differ; publish one of them"
            )
    return Published(
        {
            "suite": run.suite,
            "dataplane": run.dataplane,
            "basis": run.basis,
            "testbed": run.testbed,
            "options": dict(run.options),
            "changed": changed_options(run),
            "connections": len(run.observations),
            "addresses": _addresses(scenario, network, machines or {}),
            "nodes": [node.name for node in scenario.nodes],
            "clients": [[one.name, str(one.kind), one.node] for one in clients],
            "policies": _policies(scenario, cells),
            "ways": ways.values,
            "decisions": decisions.values,
            "records": records.values,
            "cells": [[row.get(way) for way in range(len(ways.values))] for row in cells.values()],
        }
    )


class _Numbered:
    """Different values in the order in which they were first met."""

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {}

    def number(self, value: Hashable) -> int:
        return self._numbers.setdefault(value, len(self._numbers))

    @property
    def values(self) -> list[Any]:
        return [_plain(value) for value in self._numbers]


def _plain(value: object) -> object:
    return [_plain(part) for part in value] if isinstance(value, tuple) else value


def _record(cell: Observation, decisions: _Numbered) -> Hashable:
    logged = cell.application_source
    return (
        str(cell.verdict),
        str(cell.control),
        cell.backend_node,
        None if logged is None else words.host(logged),
        tuple(decisions.number(_decision(one)) for one in cell.decisions),
    )


def _decision(one: Decision) -> Hashable:
    """Without the port of the client, which no rule can name and every execution changes."""
    return (
        str(one.direction),
        one.node,
        one.hook,
        words.host(one.seen_source),
        one.seen_destination,
        one.policy,
        one.rule,
        str(one.action),
    )


def _key(cell: Observation) -> _Key:
    return cell.client, cell.service, cell.route, cell.dialled_node


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _dialled(
    scenario: Scenario, network: Network, clients: Sequence[Client], run: Run
) -> dict[_Key, str]:
    """Way -> the `address:port` that was dialled; absent where there were several."""
    protocols = dict.fromkeys(cell.protocol for cell in run.observations)
    found: defaultdict[_Key, set[str]] = defaultdict(set)
    for protocol in protocols:
        for cell in enumerate_cells(scenario, network, clients, protocol):
            key = (cell.client.name, cell.service, cell.route, cell.dialled_node)
            found[key].add(f"{cell.probe.address}:{cell.probe.port}")
    return {key: addresses.pop() for key, addresses in found.items() if len(addresses) == 1}


def _addresses(
    scenario: Scenario, network: Network, machines: Machines
) -> dict[str, tuple[str, str]]:
    """Address -> what it is and whose; a pod of the host's network has its node's."""
    services = {service.key: service for service in scenario.services}
    pods = {pod.key: pod.name for pod in scenario.pods}
    named: Iterable[tuple[IPv4Address, str, str]] = (
        *((address, "node", node) for node, address in network.nodes.items()),
        *((address, "tunnel", node) for node, address in network.tunnels.items()),
        *((address, "pod", pods[key]) for key, address in network.pods.items()),
        *(
            (address, "cluster-ip", services[key].name)
            for key, address in network.cluster_ips.items()
        ),
        *(
            (address, "load-balancer", services[key].name)
            for key, address in network.load_balancers.items()
        ),
        *(
            (IPv4Address(address), "external-ip", service.name)
            for service in scenario.services
            for address in service.external_ips
        ),
        *((address, "machine", name) for name, address in machines.items()),
    )
    found: dict[str, tuple[str, str]] = {}
    for address, what, whose in named:
        found.setdefault(str(address), (what, whose))
    return found


def _policies(scenario: Scenario, names: Iterable[str]) -> list[dict[str, Any]]:
    """The policies in the order of the run, in words; without a policy there is nothing to say."""
    known = {policy.name: policy for policy in scenario.policies}
    return [
        {"name": name}
        if name == CONTROL
        else {"name": name, "selects": _selected(known[name]), "rules": _rules(known[name])}
        for name in names
    ]


def _selected(policy: NetworkPolicy) -> str:
    return f"pods {words.selector(policy.pod_selector)}"


def _rules(policy: NetworkPolicy) -> dict[str, str]:
    """Field path -> peer and ports in words, named as decisions name them."""
    found: dict[str, str] = {}
    for direction in sorted(policy.directions):
        side = "to" if direction is Direction.EGRESS else "from"
        for number, rule in enumerate(policy.rules(direction)):
            ports = f", {words.ports(rule.ports)}" if rule.ports else ""
            path = f"{direction}[{number}]"
            if not rule.peers:
                found[path] = f"{words.peer(None)}{ports}"
            for position, peer in enumerate(rule.peers):
                found[f"{path}.{side}[{position}]"] = f"{words.peer(peer)}{ports}"
    return found
