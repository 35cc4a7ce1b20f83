"""Answers that depend on a node, on a placement or on the dataplane, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from nodeport_lab.check.answers import (
    ITSELF,
    UNTOLD,
    Answer,
    Door,
    Party,
    Situation,
    Slot,
    address_words,
    by_group,
    caller,
    door,
    policy_words,
    slot,
)
from nodeport_lab.check.findings import Finding, Kind
from nodeport_lab.check.questions import Question
from nodeport_lab.check.wording import listed
from nodeport_lab.model import Decision, Direction, Network, Verdict

Answers = Mapping[str, Sequence[Answer]]
"""Name of a dataplane (with its options) -> everything that it answered."""

_ALLOWED = str(Verdict.ALLOWED)


@dataclass(frozen=True, slots=True)
class Difference:
    """Questions to which dataplanes gave different answers, all for the same reason.

    Attributes:
        door: what was asked for.
        situations: how the places related.
        outcomes: dataplane -> outcome.
        rows: for each question, the answer of each dataplane.
    """

    door: Door
    situations: tuple[Situation, ...]
    outcomes: tuple[tuple[str, str], ...]
    rows: tuple[Mapping[str, Answer], ...]

    @property
    def denying(self) -> tuple[str, ...]:
        """The dataplanes that do not allow it."""
        return tuple(name for name, outcome in self.outcomes if outcome != _ALLOWED)

    @property
    def allowing(self) -> tuple[str, ...]:
        """Those that do."""
        return tuple(name for name, outcome in self.outcomes if outcome == _ALLOWED)

    @property
    def questions(self) -> tuple[Question, ...]:
        """What was asked."""
        return tuple(next(iter(row.values())).question for row in self.rows)

    @property
    def is_of_one_workload(self) -> bool:
        """Whether pods call others of their own workload, or themselves."""
        return all(caller(question) == self.door.server for question in self.questions)

    @property
    def placement(self) -> str:
        """The placement of the pods in which it was first met."""
        return next(iter(self.rows[0].values())).placement


def dependences(answers: Answers) -> list[Finding]:
    """Answers that depend on the node dialled or on where pods run."""
    patterns: dict[tuple[Party, Door], dict[str, _Pattern]] = {}
    for name, given in answers.items():
        for group, some in by_group(given).items():
            pattern = _pattern([one for one in some if _is_of_places(one)])
            if pattern is not None:
                patterns.setdefault(group, {})[name] = pattern
    merged: dict[tuple[Door, tuple[tuple[str, _Pattern], ...]], list[Party]] = {}
    for (party, where), found in patterns.items():
        merged.setdefault((where, tuple(found.items())), []).append(party)
    findings = [
        _dependence(where, found, parties, answers) for (where, found), parties in merged.items()
    ]
    return sorted(findings, key=lambda one: list(Kind).index(one.kind))


@dataclass(frozen=True, slots=True)
class _Pattern:
    """Outcomes by situation, where they differ."""

    by_node: bool
    outcomes: tuple[tuple[Situation, tuple[str, ...]], ...]


def _pattern(answers: Sequence[Answer]) -> _Pattern | None:
    by_situation: dict[Situation, set[str]] = {}
    for answer in answers:
        by_situation.setdefault(answer.situation, set()).add(answer.outcome)
    if len({frozenset(outcomes) for outcomes in by_situation.values()}) <= 1:
        return None
    return _Pattern(
        by_node=_changes_with_node(answers),
        outcomes=tuple(
            (situation, tuple(sorted(by_situation[situation])))
            for situation in sorted(by_situation, key=str)
        ),
    )


def _is_of_places(answer: Answer) -> bool:
    """Whether an answer can tell of places: a pod that calls itself is where it is."""
    return answer.outcome not in UNTOLD and answer.situation.backend != ITSELF


def _changes_with_node(answers: Sequence[Answer]) -> bool:
    """Whether one client gets other answers from one backend by way of another node."""
    by_client: dict[tuple[str, str], list[Answer]] = {}
    for answer in answers:
        client = answer.question.client
        whose = client.pod.key if client.pod else client.name
        by_client.setdefault((answer.placement, whose), []).append(answer)
    for some in by_client.values():
        slots: set[Slot | None] = {slot(one.question, one.backend) for one in some if one.backend}
        for wanted in slots or {None}:
            by_node: dict[str | None, set[str]] = {}
            for one in some:
                own = one.backend and slot(one.question, one.backend)
                if own in {None, wanted}:  # what is denied early is denied for every backend
                    by_node.setdefault(one.question.target.node, set()).add(one.outcome)
            if len({frozenset(outcomes) for outcomes in by_node.values()}) > 1:
                return True
    return False


def _dependence(
    where: Door,
    found: tuple[tuple[str, _Pattern], ...],
    parties: Sequence[Party],
    answers: Answers,
) -> Finding:
    by_node = any(pattern.by_node for _, pattern in found)
    same: dict[_Pattern, list[str]] = {}
    for name, pattern in found:
        same.setdefault(pattern, []).append(name)
    steady = [name for name in answers if name not in dict(found)]
    details = [
        f"{listed(names)}: "
        + "; ".join(
            f"{str(situation) or 'from outside'}: {' or '.join(outcomes)}"
            for situation, outcomes in pattern.outcomes
        )
        for pattern, names in same.items()
    ]
    if steady:
        details.append(f"the same everywhere on {listed(steady)}")
    what = "the node that is dialled" if by_node else "where the pods run"
    return Finding(
        kind=Kind.NODE if by_node else Kind.PLACEMENT,
        title=f"{listed(map(str, parties))} to {where}: depends on {what}",
        details=tuple(details),
        cells=sum(
            1
            for name, _ in found
            for answer in answers[name]
            if door(answer.question) == where and caller(answer.question) in parties
        ),
    )


def differences(answers: Answers) -> list[Difference]:
    """Questions to which dataplanes gave different answers."""
    by_question: dict[tuple[str, Question], dict[str, list[Answer]]] = {}
    for name, given in answers.items():
        for answer in given:
            key = (answer.placement, answer.question)
            by_question.setdefault(key, {}).setdefault(name, []).append(answer)
    merged: dict[tuple[object, ...], list[Mapping[str, Answer]]] = {}
    for (_, question), found in by_question.items():
        for row in _rows(found):
            merged.setdefault((door(question), *_character(row)), []).append(row)
    every = [
        Difference(
            door=door(next(iter(rows[0].values())).question),
            situations=tuple(dict.fromkeys(_known(row).situation for row in rows)),
            outcomes=tuple((name, answer.outcome) for name, answer in rows[0].items()),
            rows=tuple(rows),
        )
        for rows in merged.values()
    ]
    return sorted(every, key=lambda one: one.is_of_one_workload)


def _rows(found: Mapping[str, Sequence[Answer]]) -> Iterator[Mapping[str, Answer]]:
    """For each kind of backend, what each dataplane answered, where they do not agree."""
    slots: dict[Slot | None, None] = dict.fromkeys(
        slot(answer.question, answer.backend)
        for some in found.values()
        for answer in some
        if answer.backend
    )
    for one in slots or [None]:
        row: dict[str, Answer] = {}
        for name, some in found.items():
            told = [
                answer
                for answer in some
                if answer.outcome not in UNTOLD
                and (
                    one is None
                    or answer.backend is None
                    or slot(answer.question, answer.backend) == one
                )
            ]
            if told:  # where one dataplane wavers, what it denies counts
                row[name] = min(told, key=lambda answer: answer.outcome == _ALLOWED)
        if len({answer.outcome == _ALLOWED for answer in row.values()}) > 1:
            yield row


def _character(row: Mapping[str, Answer]) -> tuple[object, ...]:
    """What makes two rows the same difference."""
    return (
        tuple((name, answer.outcome) for name, answer in row.items()),
        _known(row).situation.backend == ITSELF,
        tuple(
            (one.direction, one.policy_namespace, one.policy, one.rule)
            for answer in row.values()
            if (one := answer.denial) is not None
        ),
    )


def _known(row: Mapping[str, Answer]) -> Answer:
    """An answer that knows its backend, if there is one."""
    answers = row.values()
    return next((one for one in answers if one.backend is not None), next(iter(answers)))


def difference_finding(found: Difference, networks: Mapping[str, Network]) -> Finding:
    """A difference in words, its reason read from what the hooks saw.

    Args:
        found: the difference.
        networks: the addresses on each dataplane.
    """
    clients = dict.fromkeys(str(caller(question)) for question in found.questions)
    told = dict.fromkeys(str(one.dialled) for one in found.situations if one.dialled)
    backends = dict.fromkeys(one.backend for one in found.situations)
    where = [" or ".join(told), *(backends if len(backends) == 1 else ())]
    situation = f" ({', '.join(filter(None, where))})" if any(where) else ""
    return Finding(
        kind=Kind.DATAPLANE,
        title=f"{listed(clients)} to {found.door}{situation}: allowed on "
        f"{listed(found.allowing)}, not on {listed(found.denying)}",
        reason=_reason(found, networks),
        details=tuple(
            f"{name}: {outcome}{_evidence(found.rows[0][name], networks[name])}"
            for name, outcome in found.outcomes
        ),
        cells=len(found.rows),
    )


def _reason(found: Difference, networks: Mapping[str, Network]) -> str:
    row = found.rows[0]
    by_denial: dict[str, list[str]] = {}
    for name in found.denying:
        answer = row[name]
        denial = answer.denial
        if denial is None:
            by_denial.setdefault(f"it ends as {answer.outcome} without a decision", []).append(name)
            continue
        seen = _seen(denial, answer, networks[name])
        words = (
            f"{denial.direction} policy sees {seen}, which no rule of {policy_words(denial)} allows"
        )
        by_denial.setdefault(words, []).append(name)
    direction = next((one.direction for name in found.denying if (one := row[name].denial)), None)
    by_allowance: dict[str, list[str]] = {}
    for name in found.allowing:
        by_allowance.setdefault(_allowance(row[name], direction, networks[name]), []).append(name)
    denied = "; ".join(f"on {listed(names)} {words}" for words, names in by_denial.items())
    allowed = "; ".join(f"on {listed(names)} {words}" for words, names in by_allowance.items())
    sentence = f"{denied}, while {allowed}."
    return sentence[0].upper() + sentence[1:]


def _allowance(answer: Answer, direction: Direction | None, network: Network) -> str:
    decision = answer.decision(direction) if direction else None
    if decision is None:
        return f"no {direction} policy looks at it" if direction else "it is allowed"
    seen = _seen(decision, answer, network)
    if decision.policy is None:
        return f"it sees {seen}, and no policy selects the pod"
    return f"it sees {seen}, which {decision.rule} of {policy_words(decision)} allows"


def _seen(decision: Decision, answer: Answer, network: Network) -> str:
    if decision.direction is Direction.EGRESS:
        return f"as destination {address_words(decision.seen_destination, answer, network)}"
    source = address_words(decision.seen_source, answer, network)
    return f"as source {source.rpartition(', port ')[0] or source}"


def _evidence(answer: Answer, network: Network) -> str:
    shown = [
        f"{one.direction} at {one.hook} on {one.node} saw {_seen(one, answer, network)}: "
        f"{one.action} by {policy_words(one) if one.policy else 'no single policy'} {one.rule}"
        for one in answer.result.decisions
    ]
    return f" ({'; '.join(shown)})" if shown else ""


def failures(answers: Answers) -> list[Finding]:
    """Probes that failed: neither allowed nor denied."""
    found = []
    for name, given in answers.items():
        failed = [
            one
            for one in given
            if one.control is Verdict.ALLOWED and one.result.verdict is Verdict.ERROR
        ]
        if failed:
            first = failed[0]
            found.append(
                Finding(
                    Kind.ERROR,
                    f"{len(failed)} probes failed on {name}, the first from "
                    f"{caller(first.question)} to {door(first.question)}",
                    reason=first.result.detail or "",
                    cells=len(failed),
                )
            )
    return found
