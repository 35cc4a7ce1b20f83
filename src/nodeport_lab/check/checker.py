"""A check from manifests to findings: plan, ask every dataplane, compare, look for remedies."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from ipaddress import IPv4Network
from threading import Lock
from typing import Self

from nodeport_lab.check.answers import SPREAD, TOGETHER, Answer, Party, caller, observation
from nodeport_lab.check.differences import (
    Difference,
    dependences,
    difference_finding,
    differences,
    failures,
)
from nodeport_lab.check.findings import Finding, Kind
from nodeport_lab.check.plan import Plan, make_plan
from nodeport_lab.check.questions import Question, all_questions
from nodeport_lab.check.reasoning import Reasoner
from nodeport_lab.check.remedies import Found, Room, seek, with_nodes_subnet
from nodeport_lab.check.rules import read_rules
from nodeport_lab.check.session import Session
from nodeport_lab.dataplanes import DATAPLANES, Dataplane, find_dataplane
from nodeport_lab.errors import LabError, UnknownNameError
from nodeport_lab.manifests.users import Reading
from nodeport_lab.manifests.users_cluster import with_nodes_subnet as policy_with_nodes_subnet
from nodeport_lab.manifests.users_scenario import DEFAULT_NODES, UsersManifests, users_scenario
from nodeport_lab.model import Network, Run
from nodeport_lab.testbeds.embedded.addressing import NODE_CIDR, plan_network

SUITE = "check"
PLACEMENT = "placement"
"""What a run of a check calls, among its options, where its pods were."""

MOST_REMEDIES = 12
"""Pairs of workloads for which rules are tried, the first ones; each takes a second or two."""

_FEW_REMEDIES = 3  # among hundreds of pods, where each takes much longer

PATIENCE = 120.0
"""Seconds after which no further rules are tried, which takes long among hundreds of pods."""

_SMALL = 100  # pods; with more of them, so many labs side by side would not answer in time

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to check, and how.

    Attributes:
        reading: the manifests.
        dataplanes: names; empty for all.
        options: option -> value; each goes to the dataplanes that have it.
        nodes: workers at least.
        subnets: those of the real cluster, as far as they are known.
        cap: the most questions for each dataplane; None for the default.
        deadline: seconds that a connection and its answer may take; None for as many as the
            number of connections asks for.
        remedies: whether to look for rules that make dataplanes agree.
    """

    reading: Reading
    dataplanes: Sequence[str] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    nodes: int = DEFAULT_NODES
    subnets: Mapping[str, IPv4Network] = field(default_factory=dict)
    cap: int | None = None
    deadline: float | None = None
    remedies: bool = True


@dataclass(frozen=True, slots=True)
class Check:
    """What came of it.

    Attributes:
        manifests: what was checked, in the first placement.
        plan: what was asked.
        answers: name of a dataplane, with options that were set -> what it answered.
        runs: the answers as rows of the foundation's schema.
        findings: what is worth telling, the most important first.
        seconds: how long it took.
    """

    manifests: UsersManifests
    plan: Plan
    answers: Mapping[str, Sequence[Answer]]
    runs: tuple[Run, ...]
    findings: tuple[Finding, ...]
    seconds: float

    @property
    def dataplanes(self) -> tuple[str, ...]:
        """The dataplanes that answered."""
        return tuple(self.answers)

    @property
    def bases(self) -> dict[str, str]:
        """Dataplane -> on what its answers are based, `emulated` or `modelled`."""
        return {name: find_dataplane(name).basis for name in self.answers}


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A placement of the pods: everything that is known before a packet is sent."""

    name: str
    manifests: UsersManifests
    network: Network


def check(request: Request, progress: Progress = lambda *_: None) -> Check:
    """Check manifests.

    Raises:
        ManifestError: they are not ones that Kubernetes accepts, or do not fit.
        UnknownNameError: a dataplane or an option that does not exist.
        PrerequisiteError: this machine cannot run the testbed.
        TestbedError: the testbed failed.
        LabError: nobody to ask, nothing to ask, or a cap that would leave something out.
    """
    start = time.perf_counter()
    dataplanes = chosen_dataplanes(request.dataplanes, request.options)
    placements = _placements(request)
    first = placements[0]
    if not first.manifests.scenario.pods:
        raise LabError(
            "these manifests make no pod, so there is nobody to ask; "
            "give the workloads, too, with -f"
        )
    plan = _plan(placements, request.cap)
    if not plan.asked:
        raise LabError(
            "these manifests leave nothing to ask: no pod declares a port, or stands behind a "
            "Service, that anybody else could call; give what belongs to them, too, with -f"
        )
    if not plan.is_complete:
        placements, plan = _without_bystanders(placements, plan)
    gathered = _Asking(request, dataplanes, placements, plan, progress).ask()
    static = read_rules(first.manifests, first.network)
    notes = (*request.reading.notes, *first.manifests.notes)
    findings = (
        *dependences(gathered.answers),
        *gathered.differing,
        *static,
        *failures(gathered.answers),
        *(Finding(Kind.NOTE, note) for note in notes),
    )
    return Check(
        manifests=first.manifests,
        plan=plan,
        answers=gathered.answers,
        runs=tuple(gathered.runs),
        findings=findings,
        seconds=time.perf_counter() - start,
    )


def chosen_dataplanes(
    names: Sequence[str], options: Mapping[str, str]
) -> dict[str, tuple[Dataplane, dict[str, str]]]:
    """Dataplanes with their options, under the names by which they are told apart.

    Raises:
        UnknownNameError: a dataplane or an option that does not exist.
        LabError: a value that cannot be had here.
    """
    chosen = [find_dataplane(name) for name in dict.fromkeys(names or DATAPLANES)]
    known = sorted({option for one in chosen for option in one.options})
    for name in options:
        if name not in known:
            asked = ", ".join(one.name for one in chosen)
            raise UnknownNameError(f"option of {asked}", name, known)
    return {
        one.name: (
            one,
            one.complete({name: value for name, value in options.items() if name in one.options}),
        )
        for one in chosen
    }


def _placements(request: Request) -> list[_Prepared]:
    found: list[_Prepared] = []
    for name, together in ((SPREAD, False), (TOGETHER, True)):
        manifests = users_scenario(
            request.reading, request.nodes, request.subnets, together=together
        )
        real = request.subnets.get("nodes")
        if real is not None:
            policies = tuple(
                policy_with_nodes_subnet(policy, real, NODE_CIDR)
                for policy in manifests.scenario.policies
            )
            scenario = replace(manifests.scenario, policies=policies)
            manifests = replace(manifests, scenario=scenario)
        network = plan_network(manifests.scenario, tunnel=True)
        if found and manifests.scenario.pods == found[0].manifests.scenario.pods:
            break  # the manifests leave no choice
        found.append(_Prepared(name, manifests, network))
    return found


def _plan(placements: Sequence[_Prepared], cap: int | None) -> Plan:
    return make_plan(
        [
            (
                all_questions(one.manifests.scenario, one.network),
                Reasoner(one.manifests.scenario, one.network, one.manifests.scenario.policies),
            )
            for one in placements
        ],
        cap,
    )


def _without_bystanders(
    placements: Sequence[_Prepared], plan: Plan
) -> tuple[list[_Prepared], Plan]:
    """Placements without the pods and Services that no question of theirs is about.

    Addresses are handed out anew, so the questions are looked up again.
    """
    kept, asked = [], []
    for placed, questions in zip(placements, plan.questions, strict=True):
        scenario = placed.manifests.scenario
        pods = {question.client.pod.key for question in questions if question.client.pod}
        pods |= {one.pod.key for question in questions for one in question.target.backends}
        services = {one.target.service.key for one in questions if one.target.service}
        smaller = replace(
            scenario,
            pods=tuple(pod for pod in scenario.pods if pod.key in pods),
            services=tuple(one for one in scenario.services if one.key in services),
        )
        network = plan_network(smaller, tunnel=True)
        wanted = {question.identity for question in questions}
        fresh = all_questions(smaller, network)
        kept.append(
            replace(placed, manifests=replace(placed.manifests, scenario=smaller), network=network)
        )
        asked.append(tuple(question for question in fresh if question.identity in wanted))
    return kept, replace(plan, questions=tuple(asked))


@dataclass(slots=True)
class _Asking:
    """Asks every dataplane, several at a time, placement by placement.

    Few pods are wired in all placements at once. Remedies are sought while a placement is
    wired, so that nothing is wired twice.
    """

    request: Request
    dataplanes: Mapping[str, tuple[Dataplane, dict[str, str]]]
    placements: Sequence[_Prepared]
    plan: Plan
    progress: Progress
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)
    differing: list[Finding] = field(default_factory=list)
    _sought: dict[_Group, Found] = field(default_factory=dict)
    _began: float = field(default_factory=time.perf_counter)
    _done: int = 0
    _lock: Lock = field(default_factory=Lock)

    def ask(self) -> Self:
        """Ask, and fill in what was answered."""
        asked = [
            (placed, questions)
            for placed, questions in zip(self.placements, self.plan.questions, strict=True)
            if questions
        ]
        asked.reverse()
        is_small = len(self.placements[0].manifests.scenario.pods) <= _SMALL
        for some in [asked] if is_small else [[one] for one in asked]:
            labs = len(self.dataplanes) * len(some)
            at_once = labs if is_small else os.cpu_count() or 1
            # The labs end first, so that nobody waits for their answers any more.
            with ThreadPoolExecutor(at_once) as pool, ExitStack() as stack:
                started = [self._start(*one, stack, pool) for one in some]
                rooms = [self._finish(*one) for one in started]
                if self.request.remedies:
                    self._seek(rooms, pool)
        self.differing = [self._told(one) for one in differences(self.answers)]
        return self

    def _start(
        self,
        placed: _Prepared,
        questions: Sequence[Question],
        stack: ExitStack,
        pool: ThreadPoolExecutor,
    ) -> tuple[_Prepared, Mapping[str, Session], Iterable[list[Answer]]]:
        """Have every dataplane wired and asked in a placement."""
        scenario = placed.manifests.scenario
        sessions = {
            name: stack.enter_context(Session(dataplane, options, self.request.deadline))
            for name, (dataplane, options) in self.dataplanes.items()
        }

        def asked(session: Session) -> list[Answer]:
            session.place(scenario)
            return list(session.answers(questions, placed.name, scenario.policies, self._count))

        return placed, sessions, pool.map(asked, sessions.values())

    def _finish(
        self,
        placed: _Prepared,
        sessions: Mapping[str, Session],
        answers: Iterable[list[Answer]],
    ) -> Room:
        """Take what they answered, and where they differ."""
        made = dict(zip(sessions, answers, strict=True))
        for name, some in made.items():
            self.answers[name] = [*some, *self.answers.get(name, [])]
        self.runs = [*(_run(sessions[name], placed, made[name]) for name in made), *self.runs]
        return Room(differences(made), sessions, placed.manifests.scenario)

    def _seek(self, rooms: Sequence[Room], pool: ThreadPoolExecutor) -> None:
        """Look for a remedy for each pair of workloads, by whatever way one calls the other."""
        groups: dict[_Group, dict[int, list[Difference]]] = {}
        for number, room in enumerate(rooms):
            for one in room.found:
                groups.setdefault(_group(one), {}).setdefault(number, []).append(one)
        is_small = len(rooms[0].scenario.pods) <= _SMALL
        most = MOST_REMEDIES if is_small else _FEW_REMEDIES
        for group, found in groups.items():
            start = self._sought.get(group, Found())
            fresh = group not in self._sought
            if not start.agrees or (fresh and len(self._sought) >= most):
                continue
            if time.perf_counter() - self._began > PATIENCE:
                self._sought.pop(group, None)  # it would not hold in this placement, too
                continue
            self.progress("trying rules", len(self._sought), len({*self._sought, *groups}))
            differing = [replace(rooms[number], found=some) for number, some in found.items()]
            self._sought[group] = seek(differing, start, pool)

    def _told(self, one: Difference) -> Finding:
        placed = next(each for each in self.placements if each.name == one.placement)
        networks = {
            name: _network(dataplane, options, placed)
            for name, (dataplane, options) in self.dataplanes.items()
        }
        sought = self._sought.get(_group(one))
        remedy = sought.remedy if sought else None
        real = self.request.subnets.get("nodes")
        if remedy is not None and real is not None:
            with_nodes_subnet(remedy.manifests, str(NODE_CIDR), str(real))
        return replace(difference_finding(one, networks), remedy=remedy)

    def _count(self, answered: int) -> None:
        with self._lock:
            self._done += answered
            total = 2 * self.plan.asked * len(self.dataplanes)  # once without policy, once under
            self.progress("sending packets", self._done, total)


_Group = tuple[Party, Party, str]


def _group(one: Difference) -> _Group:
    """The pair of workloads, and the protocol, for which one remedy is sought."""
    return caller(one.questions[0]), one.door.server, one.door.protocol


def _run(session: Session, placed: _Prepared, answers: Sequence[Answer]) -> Run:
    assert session.testbed is not None  # noqa: S101 - it has answered
    return Run(
        testbed="embedded",
        dataplane=session.dataplane.name,
        options={**session.options, PLACEMENT: placed.name},
        basis=session.dataplane.basis,
        versions={
            "nodeport-lab": version("nodeport-lab"),
            "python": platform.python_version(),
            **session.testbed.versions,
        },
        observations=tuple(map(observation, answers)),
        suite=SUITE,
    )


def _network(dataplane: Dataplane, options: Mapping[str, str], placed: _Prepared) -> Network:
    """The addresses of a dataplane in a placement."""
    tunnel = dataplane.tunnel(options) is not None
    return plan_network(placed.manifests.scenario, tunnel=tunnel)
