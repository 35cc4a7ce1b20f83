"""One dataplane, asked: its testbed is wired for one placement of the pods.

A Service with backends on several nodes picks one at random, so that its questions are
asked until every kind of backend has been met that is met without policy.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from threading import BoundedSemaphore
from types import TracebackType
from typing import Self

from nodeport_lab.check.answers import Answer, slot
from nodeport_lab.check.questions import Question
from nodeport_lab.dataplanes import Dataplane
from nodeport_lab.model import Action, NetworkPolicy, Pod, Scenario, Verdict
from nodeport_lab.testbeds.embedded import EmbeddedTestbed
from nodeport_lab.testbeds.embedded.lab import Lab
from nodeport_lab.testbeds.embedded.probes import AT_ONCE
from nodeport_lab.testbeds.interface import ProbeResult

Progress = Callable[[int], None]
"""Called with the number of questions answered since it was last called."""

COPIES = 2
"""How often a question is asked at once, for each kind of backend."""

# A silence that no drop explains gets a second look, so a short wait costs no answer.
_PATIENCE = 0.03  # seconds
# The kernel makes links one after the other (rtnl_lock): more labs at once wait for it, busily.
_WIRING = BoundedSemaphore(os.cpu_count() or 1)
_PATIENCE_EACH = 0.001
_CONTROL_ROUNDS = 8
_ROUNDS = 6  # of asking again for backends that were not met
_IN_A_REQUEST = 5_000  # questions in one request to the lab
_PROBES_PER_RULESET = 20_000  # a hook remembers so many connections, and no port is used twice


@dataclass(slots=True)
class Session:
    """A dataplane with options, in a lab of its own that is wired for one placement.

    Attributes:
        dataplane: which.
        options: completed.
        deadline: seconds that a connection and its answer may take; None for as many as the
            number of connections asks for.
        testbed: the running one; None before `place`.
    """

    dataplane: Dataplane
    options: Mapping[str, str]
    deadline: float | None
    testbed: EmbeddedTestbed | None = None
    _lab: Lab = field(default_factory=Lab)
    _policies: tuple[NetworkPolicy, ...] = ()
    _sent: int = 0

    def __enter__(self) -> Self:
        """Nothing to do: the lab runs from the moment it is made."""
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Remove the lab and everything in it."""
        self._lab.close()

    def place(self, scenario: Scenario) -> None:
        """Wire the lab for a scenario; no policy is in force then."""
        self.testbed = EmbeddedTestbed(scenario, self.dataplane, self.options, lab=self._lab)
        with _WIRING:
            self.testbed.__enter__()
        self._policies, self._sent = (), 0

    def put_in_force(self, policies: Sequence[NetworkPolicy]) -> None:
        """Put exactly these policies in force."""
        self._running.apply(policies)
        self._policies, self._sent = tuple(policies), 0

    def answers(
        self,
        questions: Sequence[Question],
        placement: str,
        policies: Sequence[NetworkPolicy],
        progress: Progress = lambda _: None,
    ) -> Iterator[Answer]:
        """Ask questions, first without any policy, then under all of these."""
        controls: list[_Control] = []
        for some in _parts(questions):
            controls += self._without_policy(some)
            progress(len(some))
        self.put_in_force(policies)
        for start in range(0, len(questions), _IN_A_REQUEST):
            some, theirs = (
                questions[start : start + _IN_A_REQUEST],
                controls[start : start + _IN_A_REQUEST],
            )
            yield from self._under_policy(some, theirs, placement)
            progress(len(some))

    def ask(self, questions: Sequence[Question], copies: int = COPIES) -> list[list[ProbeResult]]:
        """Ask each question at once, `copies` times for each kind of backend that it has."""
        numbers = [copies * _kinds(question) or 1 for question in questions]
        probes = [
            question.probe
            for question, number in zip(questions, numbers, strict=True)
            for _ in range(number)
        ]
        if self._sent and self._sent + len(probes) > _PROBES_PER_RULESET:
            self.put_in_force(self._policies)
        self._sent += len(probes)
        deadline = self.deadline or _PATIENCE + _PATIENCE_EACH * min(len(probes), AT_ONCE)
        results = iter(self._running.probe(probes, deadline))
        return [[next(results) for _ in range(number)] for number in numbers]

    def _without_policy(self, questions: Sequence[Question]) -> Iterator[_Control]:
        """Ask until every kind of backend has answered, or no more of them do."""
        found = self.ask(questions)
        waiting = [number for number, question in enumerate(questions) if _kinds(question)]
        for _ in range(_CONTROL_ROUNDS):
            waiting = [
                number
                for number in waiting
                if (control := _Control.of(found[number])).is_open
                and not control.is_complete(questions[number])
            ]
            if not waiting:
                break
            again = self.ask([questions[number] for number in waiting], copies=1)
            for number, results in zip(waiting, again, strict=True):
                found[number] += results
        return map(_Control.of, found)

    def _under_policy(
        self, questions: Sequence[Question], controls: Sequence[_Control], placement: str
    ) -> Iterator[Answer]:
        found: dict[int, list[ProbeResult]] = {}
        waiting = [number for number, control in enumerate(controls) if control.is_open]
        for _ in range(_ROUNDS):
            if not waiting:
                break
            asked = self.ask([questions[number] for number in waiting])
            for number, results in zip(waiting, asked, strict=True):
                found.setdefault(number, []).extend(results)
            waiting = [
                number
                for number in waiting
                if not _has_met(questions[number], found[number], controls[number].answered, self)
            ]
        for number, (question, control) in enumerate(zip(questions, controls, strict=True)):
            results = found.get(number, [control.result])
            for backend, result in self._distinct(question, results):
                yield Answer(question, placement, backend, result, control.result.verdict)

    def _distinct(
        self, question: Question, results: Iterable[ProbeResult]
    ) -> Iterator[tuple[Pod | None, ProbeResult]]:
        """One result for each kind of backend and verdict."""
        seen = set()
        for result in results:
            backend = self.backend_of(question, result)
            key = (backend and slot(question, backend), result.verdict)
            if key not in seen:
                seen.add(key)
                yield backend, result

    def backend_of(self, question: Question, result: ProbeResult) -> Pod | None:
        """Who answered or was asked; also where it was denied on the way, once chosen."""
        pods = {backend.pod.key: backend.pod for backend in question.target.backends}
        if result.backend is not None:
            return pods.get(result.backend)
        network = self._running.network
        by_tuple = {
            f"{network.pods[backend.pod.key]}:{backend.port}": backend.pod
            for backend in question.target.backends
        }
        for decision in reversed(result.decisions):
            if decision.seen_destination in by_tuple:
                return by_tuple[decision.seen_destination]
        if len(pods) == 1 and not any(one.action is Action.DENY for one in result.decisions):
            return next(iter(pods.values()))
        return None

    @property
    def _running(self) -> EmbeddedTestbed:
        assert self.testbed is not None, "place pods first"  # noqa: S101 - narrows the type
        return self.testbed


@dataclass(frozen=True, slots=True)
class _Control:
    """What a question met without policy."""

    result: ProbeResult
    answered: frozenset[str]  # keys of pods

    @classmethod
    def of(cls, results: Sequence[ProbeResult]) -> _Control:
        allowed = [result for result in results if result.verdict is Verdict.ALLOWED]
        answered = frozenset(result.backend for result in allowed if result.backend)
        return cls((allowed or list(results))[0], answered)

    def is_complete(self, question: Question) -> bool:
        """Whether every kind of backend answered."""
        backends = [backend.pod for backend in question.target.backends]
        answered = {slot(question, pod) for pod in backends if pod.key in self.answered}
        return answered == {slot(question, pod) for pod in backends}

    @property
    def is_open(self) -> bool:
        return self.result.verdict is Verdict.ALLOWED


def _has_met(
    question: Question, results: Sequence[ProbeResult], answered: frozenset[str], session: Session
) -> bool:
    """Whether results speak for every kind of backend; or for none in particular."""
    wanted = {
        slot(question, backend.pod)
        for backend in question.target.backends
        if backend.pod.key in answered
    }
    met = set()
    for result in results:
        backend = session.backend_of(question, result)
        if backend is None:
            return True  # denied before any backend was chosen
        met.add(slot(question, backend))
    return wanted <= met


def _kinds(question: Question) -> int:
    """How many kinds of backends there are to choose from; 0 where there is no choice."""
    found = len({slot(question, backend.pod) for backend in question.target.backends})
    return found if found > 1 else 0


def _parts(questions: Sequence[Question]) -> Iterator[Sequence[Question]]:
    for start in range(0, len(questions), _IN_A_REQUEST):
        yield questions[start : start + _IN_A_REQUEST]
