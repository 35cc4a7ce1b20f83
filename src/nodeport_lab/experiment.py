"""Run experiments: the control first, then policy after policy, cell after cell.

Speed comes from testbeds side by side, where the venue has room for them: each takes a
share of the policies.
"""

from __future__ import annotations

import platform
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import version
from math import ceil
from threading import Event

from nodeport_lab.cells import Cell, enumerate_cells
from nodeport_lab.dataplanes import Dataplane, find_dataplane
from nodeport_lab.errors import LabError, UnknownNameError
from nodeport_lab.manifests import ALL_POLICIES, NO_POLICY
from nodeport_lab.model import (
    Action,
    ClusterFacts,
    Decision,
    Direction,
    NetworkPolicy,
    Observation,
    Pod,
    Run,
    Scenario,
    Verdict,
)
from nodeport_lab.suites import SUITES, Suite, find_suites
from nodeport_lab.testbeds.embedded import EmbeddedVenue
from nodeport_lab.testbeds.interface import DEFAULT_DEADLINE, ProbeResult, SetUp, Venue
from nodeport_lab.variations import split, vary

EMBEDDED = EmbeddedVenue()

Progress = Callable[[int, int], None]
"""Called with the policies finished so far and how many there are."""


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """One run to be made: a dataplane with options, under some policies.

    Attributes:
        dataplane: its name.
        options: option or variation -> value; what is missing takes its default.
        policies: names, `no-policy` included where it should be shown; None for those of
            the suite.
        suite: whose manifests and clients are used.
    """

    dataplane: str
    options: Mapping[str, str] = field(default_factory=dict)
    policies: Sequence[str] | None = None
    suite: str = "report"


def suite_scenario(suite: Suite, venue: Venue = EMBEDDED) -> Scenario:
    """A suite's scenario, its policies bound to the subnets of a venue."""
    return venue.scenario(suite.cluster, suite.folders)


@cache
def default_scenario() -> Scenario:
    """The report's scenario."""
    return suite_scenario(SUITES["report"])


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


def questions_of(
    suite: str, dataplanes: Sequence[str] | None = None, policies: Sequence[str] | None = None
) -> list[Question]:
    """The questions of a suite, `all` included.

    Raises:
        UnknownNameError: a suite or a dataplane that does not exist.
    """
    return [
        Question(dataplane.name, configuration, policies, found.name)
        for found in find_suites(suite)
        for dataplane in map(find_dataplane, dataplanes or found.dataplanes)
        for configuration in found.configurations(dataplane)
    ]


def runnable(
    questions: Sequence[Question], venue: Venue = EMBEDDED
) -> tuple[list[Question], list[str]]:
    """Part questions into those that a venue can answer, and why not the others.

    For suites that try every option, where one that needs a missing kernel device must
    not keep the rest from running, and for clusters, which have one dataplane.

    Returns:
        the questions that can be answered, and one sentence for each of the others.
    """
    answerable, reasons = [], []
    for question in questions:
        dataplane = find_dataplane(question.dataplane)
        given, _ = split(question.options)
        obstacle = _unspoken(question, venue) or venue.obstacle(dataplane, given)
        if obstacle is None:
            answerable.append(question)
        else:
            reasons.append(f"{_told(question)}: {obstacle}")
    return answerable, reasons


def run(  # noqa: PLR0913 - a question, and how to ask it
    dataplane: str,
    options: Mapping[str, str] | None = None,
    *,
    venue: Venue = EMBEDDED,
    policies: Sequence[str] | None = None,
    deadline: float = DEFAULT_DEADLINE,
    suite: str = "report",
) -> Run:
    """Make one run; see `run_all`."""
    question = Question(dataplane, options or {}, policies, suite)
    (made,) = run_all([question], venue=venue, deadline=deadline)
    return made


def run_all(
    questions: Sequence[Question],
    *,
    venue: Venue = EMBEDDED,
    deadline: float = DEFAULT_DEADLINE,
    scenario: Scenario | None = None,
    progress: Progress | None = None,
) -> list[Run]:
    """Make several runs at once.

    Args:
        questions: what to run; every name is checked before anything is created.
        venue: where the testbeds are set up.
        deadline: seconds that a connection and its answer may take.
        scenario: what to run on; None for the scenario of each question's suite.
        progress: told as policies are finished.

    Returns:
        a run for each question, in order.

    Raises:
        UnknownNameError: a dataplane, option or policy that does not exist.
        PrerequisiteError: this machine cannot run the testbed.
        TestbedError: the testbed failed.
    """
    scenarios = {
        suite: scenario or suite_scenario(SUITES[suite], venue)
        for suite in dict.fromkeys(question.suite for question in questions)
    }
    answers = [_answer(question, scenarios[question.suite], venue) for question in questions]
    most = ceil(sum(len(answer.policies) for answer in answers) / venue.spread)
    shares = [share for answer in answers for share in answer.split(most)]
    total = sum(len(share.policies) for share in shares)
    done = 0

    def finished() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    parts = _observe_all(shares, venue, deadline, finished)
    return [
        _run(
            answer,
            venue,
            [
                part
                for share, part in zip(shares, parts, strict=True)
                if share.question is answer.question
            ],
        )
        for answer in answers
    ]


def _observe_all(
    shares: Sequence[_Share], venue: Venue, deadline: float, finished: Callable[[], None]
) -> list[_Part]:
    """Work through the shares, as many at once as the venue has room for."""
    waiting = deque(enumerate(shares))
    parts: dict[int, _Part] = {}
    stop = Event()

    def work() -> None:
        with venue.open() as set_up:
            while not stop.is_set():
                try:
                    number, share = waiting.popleft()
                except IndexError:
                    return
                parts[number] = share.observe(set_up, deadline, finished, stop)

    if venue.at_once == 1:  # in this thread, where Ctrl-C ends whatever is waited for
        work()
        return [parts[number] for number in range(len(shares))]
    at_once = max(1, min(len(shares), venue.at_once))
    with ThreadPoolExecutor(max_workers=at_once) as pool:
        workers = [pool.submit(work) for _ in range(at_once)]
        try:
            wait(workers, return_when=FIRST_EXCEPTION)
            for failure in filter(None, (one.exception() for one in workers if one.done())):
                raise failure
        finally:  # also on Ctrl-C: the testbeds end before their next policy
            stop.set()
    return [parts[number] for number in range(len(shares))]


@dataclass(frozen=True, slots=True)
class _Part:
    versions: dict[str, str]
    observations: tuple[Observation, ...]
    cluster: ClusterFacts | None


_InForce = tuple[NetworkPolicy, ...]
"""The policies that are in force at one time; none is the control."""


@dataclass(frozen=True, slots=True)
class _Share:
    """The part of a question that one testbed answers; all of it, before it is split."""

    question: Question
    dataplane: Dataplane
    options: Mapping[str, str]
    scenario: Scenario
    policies: tuple[_InForce, ...]

    def split(self, most: int) -> Iterator[_Share]:
        """Parts of about the same size, none with more than so many policies."""
        parts = ceil(len(self.policies) / most)
        size = ceil(len(self.policies) / parts)
        for start in range(0, len(self.policies), size):
            yield replace(self, policies=self.policies[start : start + size])

    def observe(
        self, set_up: SetUp, deadline: float, finished: Callable[[], None], stop: Event
    ) -> _Part:
        suite = SUITES[self.question.suite]
        with set_up(self.scenario, self.dataplane, self.options) as testbed:
            scenario = testbed.scenario
            callers = [client for client in suite.callers(scenario) if testbed.has(client)]
            cells = [
                cell
                for cell in enumerate_cells(scenario, testbed.network, callers, suite.protocol)
                if suite.routes is None or cell.route in suite.routes
            ]
            control = testbed.probe([cell.probe for cell in cells], deadline)
            open_ = [
                number for number, result in enumerate(control) if result.verdict is Verdict.ALLOWED
            ]
            rows: list[Observation] = []
            for in_force in self.policies:
                if stop.is_set():
                    break
                results = dict(enumerate(control))
                if in_force:
                    testbed.apply(in_force)
                    probes = [cells[number].probe for number in open_]
                    results |= zip(open_, testbed.probe(probes, deadline), strict=True)
                rows += [
                    _observation(in_force, scenario, cell, results[number], control[number])
                    for number, cell in enumerate(cells)
                ]
                finished()
            return _Part(testbed.versions, tuple(rows), testbed.facts())


def _unspoken(question: Question, venue: Venue) -> str | None:
    protocol = SUITES[question.suite].protocol
    if protocol in venue.protocols:
        return None
    return (
        f"the suite {question.suite} dials {protocol}, which the testbed {venue.name} does not "
        "probe; run it on the embedded one"
    )


def scenario_of(question: Question, venue: Venue = EMBEDDED) -> Scenario:
    """What a question is asked about: its suite's scenario, varied as it says."""
    return _answer(question, suite_scenario(SUITES[question.suite], venue), venue).scenario


def _answer(question: Question, scenario: Scenario, venue: Venue) -> _Share:
    if reason := _unspoken(question, venue):
        raise LabError(reason)
    dataplane = find_dataplane(question.dataplane)
    given, varied = split(question.options)
    options = venue.options(dataplane, given)
    suite = SUITES[question.suite]
    names = question.policies or suite.policies or policy_names(scenario)
    policies = [_in_force(find_policy(scenario, name)) for name in names]
    if suite.together:
        policies = [tuple(policy for in_force in policies for policy in in_force)]
    changed = vary(scenario, varied)
    if suite.services is not None:
        services = tuple(one for one in changed.services if one.name in suite.services)
        changed = replace(changed, services=services)
    return _Share(question, dataplane, options, changed, tuple(policies))


def _in_force(policy: NetworkPolicy | None) -> _InForce:
    return () if policy is None else (policy,)


def _told(question: Question) -> str:
    options = ", ".join(f"{name}={value}" for name, value in question.options.items())
    return f"{question.dataplane} with {options}" if options else question.dataplane


def _run(answer: _Share, venue: Venue, parts: Sequence[_Part]) -> Run:
    _, varied = split(answer.question.options)
    return Run(
        testbed=venue.name,
        dataplane=answer.dataplane.name,
        options={**answer.options, **varied},
        basis=venue.basis(answer.dataplane),
        versions={
            "nodeport-lab": version("nodeport-lab"),
            "python": platform.python_version(),
            **parts[0].versions,
        },
        observations=tuple(row for part in parts for row in part.observations),
        suite=answer.question.suite,
        cluster=parts[0].cluster,
    )


def _observation(
    in_force: _InForce,
    scenario: Scenario,
    cell: Cell,
    result: ProbeResult,
    control: ProbeResult,
) -> Observation:
    direction = _direction(in_force)
    shown = _telling(result.decisions, direction)
    backend = result.backend or control.backend
    return Observation(
        policy=_name_of(in_force),
        direction=direction,
        namespace=cell.client.pod.namespace if cell.client.pod else None,
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


def _name_of(in_force: _InForce) -> str:
    if len(in_force) > 1:
        return ALL_POLICIES
    return in_force[0].name if in_force else NO_POLICY


def _direction(in_force: _InForce) -> Direction:
    """The clients' side, unless policy looks at the server's alone."""
    if not in_force or any(Direction.EGRESS in policy.directions for policy in in_force):
        return Direction.EGRESS
    return Direction.INGRESS


def _telling(decisions: Sequence[Decision], direction: Direction) -> Decision | None:
    """The decision that denied, else the last one of the cell's direction."""
    denied = [decision for decision in decisions if decision.action is Action.DENY]
    same = [decision for decision in decisions if decision.direction is direction]
    return next(reversed(denied or same), None)


def _node_of(key: str | None, pods: Sequence[Pod]) -> str | None:
    return next((pod.node for pod in pods if pod.key == key), None)
