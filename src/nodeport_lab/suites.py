"""Suites: which questions belong together, and what they need.

A suite names manifests, clients and dataplanes; `experiment` runs it. Manifests of the
report stand in `manifests/`, those that a suite adds in `manifests/suites/`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from nodeport_lab.cells import as_client, host_clients, outside_clients, pod_clients
from nodeport_lab.dataplanes import DATAPLANES, Dataplane
from nodeport_lab.errors import UnknownNameError
from nodeport_lab.model import Client, Protocol, Scenario
from nodeport_lab.remedies import PREFIX, REMEDIES, Remedy
from nodeport_lab.variations import BACKEND, VARIATIONS

Configuration = Mapping[str, str]
"""Options of a dataplane and variations of the scenario: name -> value."""

REPORT_FOLDERS = ("workloads", "services", "policies")
_ACTORS = ("workloads", "suites/actors", "services")
_SHORT = ("no-policy", "ipblock-nodes", "podselector-server", "both")


@dataclass(frozen=True, slots=True)
class Suite:
    """A set of questions.

    Attributes:
        name: as on the command line.
        summary: one sentence for people.
        cluster: name of the cluster's configuration in `manifests/kind`.
        folders: folders of manifests.
        callers: the clients, given the scenario.
        dataplanes: what it runs on unless told otherwise.
        configurations: what it sets on a dataplane, one run for each.
        policies: names; None for every policy of the folders.
        services: names of the Services that are dialled; None for all.
        protocol: of the ports that are dialled.
        routes: the ways that are dialled; None for every way that there is.
        together: all of its policies are in force at once.
        loses_announcer: the node that answers for addresses outside dies first.
    """

    name: str
    summary: str
    cluster: str
    folders: tuple[str, ...]
    callers: Callable[[Scenario], Sequence[Client]]
    dataplanes: tuple[str, ...]
    configurations: Callable[[Dataplane], Sequence[Configuration]] = lambda _dataplane: ({},)
    policies: tuple[str, ...] | None = None
    services: tuple[str, ...] | None = None
    protocol: Protocol = Protocol.TCP
    routes: tuple[str, ...] | None = None
    together: bool = False
    loses_announcer: bool = False


def everyone(scenario: Scenario) -> tuple[Client, ...]:
    """Pods, the servers themselves, processes on nodes, and machines outside."""
    servers = tuple(as_client(pod) for pod in scenario.pods if pod.ports)
    return (*pod_clients(scenario), *servers, *host_clients(scenario), *outside_clients())


def placements(_dataplane: Dataplane) -> tuple[Configuration, ...]:
    """Every place for the backend."""
    return tuple({BACKEND: value} for value in VARIATIONS[BACKEND].values)


def one_option_at_a_time(dataplane: Dataplane) -> tuple[Configuration, ...]:
    """The defaults, then every other value of every option and traffic policy alone."""
    changed: list[Configuration] = [{}]
    for name, option in (*dataplane.options.items(), *VARIATIONS.items()):
        if name == BACKEND:
            continue
        for value in option.values[1:]:
            needed = dict([option.requires[value]]) if value in option.requires else {}
            changed.append({name: value, **needed})
    return tuple(changed)


def every_combination(dataplane: Dataplane) -> tuple[Configuration, ...]:
    """Every value of every option with every other, where the dataplane has both."""
    options = dataplane.options
    combined = (
        dict(zip(options, values, strict=True))
        for values in product(*(option.values for option in options.values()))
    )
    return tuple(
        chosen
        for chosen in combined
        if all(
            chosen[other] == needed
            for name, value in chosen.items()
            for other, needed in [options[name].requires.get(value, (name, value))]
        )
    )


def _always(configuration: Configuration) -> Callable[[Dataplane], Sequence[Configuration]]:
    return lambda _dataplane: (configuration,)


def _stages(remedy: Remedy) -> Iterator[Suite]:
    """A suite for each stage of a remedy, on every dataplane."""
    for stage in remedy.stages:
        yield Suite(
            remedy.suite(stage),
            f"{remedy.title}, {stage.name}: {stage.summary}",
            remedy.cluster,
            stage.folders,
            stage.callers,
            stage.dataplanes or tuple(DATAPLANES),
            _always(stage.configuration),
            stage.policies,
            stage.services,
            routes=stage.routes,
            together=stage.together,
            loses_announcer=stage.loses_announcer,
        )


SUITES: Mapping[str, Suite] = {
    suite.name: suite
    for suite in (
        Suite(
            "report",
            "the report's table: its policies, its clients, every route",
            "dev",
            REPORT_FOLDERS,
            pod_clients,
            ("calico-iptables", "cilium"),
        ),
        Suite(
            "egress",
            "the report's policies over all routes and relations, on every dataplane",
            "atlas",
            (*_ACTORS, "suites/outside", "policies"),
            pod_clients,
            tuple(DATAPLANES),
        ),
        Suite(
            "ingress",
            "policies that select the server, and every kind of client",
            "atlas",
            (*_ACTORS, "suites/ingress"),
            everyone,
            tuple(DATAPLANES),
        ),
        Suite(
            "placement",
            "the report's main policies with the backend on other nodes, on two, on the host",
            "dev",
            REPORT_FOLDERS,
            pod_clients,
            tuple(DATAPLANES),
            placements,
            _SHORT,
        ),
        Suite(
            "ports",
            "which port a rule has to name",
            "dev",
            ("workloads", "services", "suites/ports"),
            pod_clients,
            tuple(DATAPLANES),
        ),
        Suite(
            "options",
            "every option of every dataplane, one at a time",
            "dev",
            (*REPORT_FOLDERS, "suites/ingress"),
            pod_clients,
            tuple(DATAPLANES),
            one_option_at_a_time,
            (*_SHORT, "ingress-podselector-client", "ingress-ipblock-nodes"),
        ),
        Suite(
            "combinations",
            "the report's two policies on Cilium, in every combination of its options",
            "dev",
            REPORT_FOLDERS,
            pod_clients,
            ("cilium", "cilium-kpr", "cilium-kpr-hostns"),
            every_combination,
            ("ipblock-nodes", "podselector-server"),
        ),
        Suite(
            "udp",
            "the report's main policies over UDP",
            "dev",
            ("workloads", "suites/udp", "policies"),
            pod_clients,
            tuple(DATAPLANES),
            policies=_SHORT,
            services=("echo",),
            protocol=Protocol.UDP,
        ),
        Suite(
            "exercises",
            "policies that the book asks its readers about",
            "dev",
            ("workloads", "services", "suites/exercises"),
            pod_clients,
            tuple(DATAPLANES),
        ),
        *(suite for remedy in REMEDIES.values() for suite in _stages(remedy)),
    )
}

ALL = "all"
EVERY_REMEDY = "remedies"


def find_suites(name: str) -> tuple[Suite, ...]:
    """The suite of that name, or those of a group.

    `all` is every suite but the report, which egress contains; `remedies` is every stage of
    every remedy, `remedy-NAME` those of one.

    Raises:
        UnknownNameError: there is none.
    """
    groups = suite_groups()
    if name in groups:
        return tuple(SUITES[one] for one in groups[name])
    if name not in SUITES:
        near = (stages for group, stages in groups.items() if name.startswith(f"{group}-"))
        raise UnknownNameError("suite", name, next(near, suite_names()))
    return (SUITES[name],)


def suite_names() -> tuple[str, ...]:
    """What there is to choose from at first sight: a remedy's stages stand behind its name."""
    groups = suite_groups()
    return (*(name for name in SUITES if name not in groups[EVERY_REMEDY]), *groups)


def suite_groups() -> dict[str, tuple[str, ...]]:
    """Name of a group -> the suites in it."""
    by_remedy = {
        f"{PREFIX}{remedy.name}": tuple(remedy.suite(stage) for stage in remedy.stages)
        for remedy in REMEDIES.values()
    }
    return {
        ALL: tuple(name for name in SUITES if name != "report"),
        EVERY_REMEDY: tuple(name for names in by_remedy.values() for name in names),
        **by_remedy,
    }
