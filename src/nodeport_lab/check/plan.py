"""Which questions are asked: all of them, or a sample that reasoning finds complete."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nodeport_lab.check.answers import Door, Party, caller, door
from nodeport_lab.check.questions import Question, Questions, is_asked
from nodeport_lab.check.reasoning import Kind, Reasoner
from nodeport_lab.errors import LabError

DEFAULT_CAP = 3_000
"""Questions for each dataplane, unless more of them differ."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be asked, in each placement of the pods.

    Attributes:
        questions: placement by placement, the questions that are asked there.
        possible: how many questions there are in all placements together.
        kinds: how many of them reasoning can tell apart.
    """

    questions: tuple[tuple[Question, ...], ...]
    possible: int
    kinds: int

    @property
    def asked(self) -> int:
        """How many are asked of each dataplane."""
        return sum(map(len, self.questions))

    @property
    def is_complete(self) -> bool:
        """Whether every question is asked."""
        return self.asked == self.possible


def make_plan(placements: Sequence[tuple[Questions, Reasoner]], cap: int | None = None) -> Plan:
    """Choose what to ask.

    Args:
        placements: the same pods, placed differently; a later one is asked for what the
            earlier ones cannot show.
        cap: the most questions for each dataplane; None for the default, which gives way
            where more questions differ.

    Raises:
        LabError: more questions differ than the cap allows.
    """
    possible = sum(
        sum(map(is_asked, questions)) if len(questions) <= DEFAULT_CAP else len(questions)
        for questions, _ in placements
    )
    limit = DEFAULT_CAP if cap is None else cap
    if possible <= limit:
        return _everything(placements)
    return _sample(placements, possible, cap, limit)


def _everything(placements: Sequence[tuple[Questions, Reasoner]]) -> Plan:
    """Every question of the first placement; of later ones what shows something else."""
    asked: list[tuple[Question, ...]] = []
    kinds: set[Kind] = set()
    shown: set[tuple[Party, Door, Kind]] = set()
    for questions, reasoner in placements:
        chosen = []
        fresh = set()
        for question in filter(is_asked, questions):
            kind = reasoner.kind(question)
            key = (caller(question), door(question), kind)
            if key not in shown:
                chosen.append(question)
            kinds.add(kind)
            fresh.add(key)
        shown |= fresh
        asked.append(tuple(chosen))
    return Plan(tuple(asked), sum(map(len, asked)), len(kinds))


def _sample(
    placements: Sequence[tuple[Questions, Reasoner]], possible: int, cap: int | None, limit: int
) -> Plan:
    met: set[Kind] = set()
    kinds: set[Kind] = set()
    needed: list[dict[int, None]] = []
    for questions, reasoner in placements:
        chosen: dict[int, None] = {}
        for number, question in enumerate(questions):
            if not is_asked(question):
                continue
            kind = reasoner.kind(question)
            if kind not in kinds:
                kinds.add(kind)
                chosen[number] = None
            for mark in reasoner.marks(question):
                if mark not in met:
                    met.add(mark)
                    chosen[number] = None
        needed.append(chosen)
    least = sum(map(len, needed))
    if cap is not None and least > cap:
        raise LabError(
            f"{least} questions differ by what policies may see in them, and none of them may be "
            f"left out; ask for at least --max-cells {least}, or leave that option away"
        )
    _fill(placements[0][0], needed[0], limit - least)
    return Plan(
        tuple(
            tuple(questions[number] for number in sorted(chosen))
            for (questions, _), chosen in zip(placements, needed, strict=True)
        ),
        possible,
        len(kinds),
    )


def _fill(questions: Questions, chosen: dict[int, None], room: int) -> None:
    """Add questions at equal distances, the same ones every time, as long as there is room."""
    if room <= 0:
        return
    step = max(1, len(questions) // room)
    for number in range(0, len(questions), step):
        if room <= 0:
            return
        if number not in chosen and is_asked(questions[number]):
            chosen[number] = None
            room -= 1
