"""Run experiments: the control first, then policy after policy, cell after cell.

Speed comes from labs side by side: each takes a share of the policies, and a lab that
waits for denied probes costs no processor time.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from importlib.metadata import version
from math import ceil
from threading import Event

from nodeport_lab.cells import Cell, enumerate_cells
from nodeport_lab.dataplanes import Dataplane, find_dataplane
from nodeport_lab.errors import UnknownNameError
from nodeport_lab.locations import manifests_directory
from nodeport_lab.manifests import NO_POLICY, cidr_facts, load_scenario
from nodeport_lab.model import (
    Action,
    Decision,
    Direction,
    NetworkPolicy,
    Observation,
    Pod,
    Run,
    Scenario,
)
from nodeport_lab.testbeds.embedded import EmbeddedTestbed
from nodeport_lab.testbeds.embedded.addressing import plan_network
from nodeport_lab.testbeds.interface import DEFAULT_DEADLINE, ProbeResult

TESTBEDS = ("embedded",)
_POLICIES_PER_LAB = 3  # one more costs a deadline, one lab more costs a start

Progress = Callable[[int, int], None]
"""Called with the policies finished so far and how many there are."""


@dataclass(frozen=True, slots=True)
class Question:
    """One run to be made: a dataplane with options, under some policies.

    Attributes:
        dataplane: its name.
        options: option -> value; what is missing takes its default.
        policies: names, `no-policy` included where it should be shown; None for all.
    """

    dataplane: str
    options: Mapping[str, str] = field(default_factory=dict)
    policies: Sequence[str] | None = None


def default_scenario() -> Scenario:
    """The report's scenario, its policies bound to the subnets of the embedded testbed."""
    directory = manifests_directory()
    network = plan_network(load_scenario(directory))
    return load_scenario(directory, facts=cidr_facts(network))


def check_testbed(name: str) -> None:
    """Accept the name of a testbed.

    Raises:
        UnknownNameError: there is no such testbed.
    """
    if name not in TESTBEDS:
        raise UnknownNameError("testbed", name, TESTBEDS)


def find_policy(scenario: Scenario, name: str) -> NetworkPolicy | None:
    """The policy of that name; None for `no-policy`.

    Raises:
        UnknownNameError: the scenario has no such policy.
    """
    if name == NO_POLICY:
        return None
    for policy in scenario.policies:
        if policy.name == name:
            return policy
    raise UnknownNameError("policy", name, policy_names(scenario))


def policy_names(scenario: Scenario) -> list[str]:
    """What can be in force: `no-policy` first, then every policy."""
    return [NO_POLICY, *(policy.name for policy in scenario.policies)]


def run(  # noqa: PLR0913 - a question, and how to ask it
    dataplane: str,
    options: Mapping[str, str] | None = None,
    *,
    testbed: str = "embedded",
    policies: Sequence[str] | None = None,
    deadline: float = DEFAULT_DEADLINE,
    scenario: Scenario | None = None,
) -> Run:
    """Make one run; see `run_all`."""
    question = Question(dataplane, options or {}, policies)
    (made,) = run_all([question], testbed=testbed, deadline=deadline, scenario=scenario)
    return made


def run_all(
    questions: Sequence[Question],
    *,
    testbed: str = "embedded",
    deadline: float = DEFAULT_DEADLINE,
    scenario: Scenario | None = None,
    progress: Progress | None = None,
) -> list[Run]:
    """Make several runs at once.

    Args:
        questions: what to run; every name is checked before anything is created.
        testbed: where; only `embedded` exists.
        deadline: seconds that a connection and its answer may take.
        scenario: what to run on; None for the report's.
        progress: told as policies are finished.

    Returns:
        a run for each question, in order.

    Raises:
        UnknownNameError: a testbed, dataplane, option or policy that does not exist.
        PrerequisiteError: this machine cannot run the testbed.
        TestbedError: the testbed failed.
    """
    check_testbed(testbed)
    scenario = scenario or default_scenario()
    labs = [lab for question in questions for lab in _shares(question, scenario)]
    total = sum(len(lab.policies) for lab in labs)
    done = 0

    def finished() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    stop = Event()
    with ThreadPoolExecutor(max_workers=max(1, len(labs))) as pool:
        made = [pool.submit(lab.observe, deadline, finished, stop) for lab in labs]
        try:
            wait(made, return_when=FIRST_EXCEPTION)
            failures = [future.exception() for future in made if future.done()]
            for failure in filter(None, failures):
                raise failure
        finally:  # also on Ctrl-C: the other labs end before their next policy
            stop.set()
    parts = [future.result() for future in made]
    runs = []
    for question in questions:
        dataplane = find_dataplane(question.dataplane)
        mine = [part for lab, part in zip(labs, parts, strict=True) if lab.question is question]
        runs.append(
            Run(
                testbed=testbed,
                dataplane=dataplane.name,
                options=dataplane.complete(question.options),
                basis=dataplane.basis,
                versions={
                    "nodeport-lab": version("nodeport-lab"),
                    "python": platform.python_version(),
                    **mine[0].versions,
                },
                observations=tuple(row for part in mine for row in part.observations),
            )
        )
    return runs


@dataclass(frozen=True, slots=True)
class _Part:
    versions: dict[str, str]
    observations: tuple[Observation, ...]


@dataclass(frozen=True, slots=True)
class _Share:
    """The part of a question that one lab answers."""

    question: Question
    dataplane: Dataplane
    scenario: Scenario
    policies: tuple[NetworkPolicy | None, ...]

    def observe(self, deadline: float, finished: Callable[[], None], stop: Event) -> _Part:
        with EmbeddedTestbed(self.scenario, self.dataplane, self.question.options) as testbed:
            cells = enumerate_cells(self.scenario, testbed.network)
            probes = [cell.probe for cell in cells]
            control = testbed.probe(probes, deadline)
            rows: list[Observation] = []
            for policy in self.policies:
                if stop.is_set():
                    break
                if policy is None:
                    results = control
                else:
                    testbed.apply([policy])
                    results = testbed.probe(probes, deadline)
                rows += [
                    _observation(policy, self.scenario, *found)
                    for found in zip(cells, results, control, strict=True)
                ]
                finished()
            return _Part(testbed.versions, tuple(rows))


def _shares(question: Question, scenario: Scenario) -> list[_Share]:
    dataplane = find_dataplane(question.dataplane)
    dataplane.complete(question.options)
    names = policy_names(scenario) if question.policies is None else question.policies
    policies = [find_policy(scenario, name) for name in names]
    labs = max(1, ceil(len(policies) / _POLICIES_PER_LAB))
    size = ceil(len(policies) / labs)
    return [
        _Share(question, dataplane, scenario, tuple(policies[start : start + size]))
        for start in range(0, max(1, len(policies)), size or 1)
    ]


def _observation(
    policy: NetworkPolicy | None,
    scenario: Scenario,
    cell: Cell,
    result: ProbeResult,
    control: ProbeResult,
) -> Observation:
    direction = _direction(policy)
    shown = _telling(result.decisions, direction)
    backend = result.backend or control.backend
    return Observation(
        policy=policy.name if policy else NO_POLICY,
        direction=direction,
        namespace=cell.client.namespace,
        client=cell.client.name,
        client_node=cell.client.node,
        server=cell.server,
        service=cell.service,
        protocol=cell.probe.protocol,
        port=cell.probe.port,
        route=cell.route,
        dialled_node=cell.dialled_node,
        backend_node=_node_of(backend, scenario.pods),
        relation=cell.relation,
        verdict=result.verdict,
        control=control.verdict,
        seen_source=shown.seen_source if shown else None,
        seen_destination=shown.seen_destination if shown else None,
        hook=shown.hook if shown else None,
        rule=shown.rule if shown else None,
        decisions=result.decisions,
        application_source=result.application_source,
        elapsed_ms=round(result.elapsed_ms, 3),
        detail=result.detail,
    )


def _direction(policy: NetworkPolicy | None) -> Direction:
    if policy is None or Direction.EGRESS in policy.directions:
        return Direction.EGRESS
    return Direction.INGRESS


def _telling(decisions: Sequence[Decision], direction: Direction) -> Decision | None:
    """The decision that denied, else the last one of the cell's direction."""
    denied = [decision for decision in decisions if decision.action is Action.DENY]
    same = [decision for decision in decisions if decision.direction is direction]
    return next(reversed(denied or same), None)


def _node_of(key: str | None, pods: Sequence[Pod]) -> str | None:
    return next((pod.node for pod in pods if pod.key == key), None)
