"""The whole table of a check: who reaches what from where, on every dataplane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nodeport_lab.check.answers import Answer, Door, Party, caller, door


@dataclass(frozen=True, slots=True)
class Row:
    """One line.

    Attributes:
        caller: who calls.
        door: what is called.
        situation: of the dialled node to the client; empty where that is not told.
        outcomes: dataplane -> its different outcomes.
    """

    caller: Party
    door: Door
    situation: str
    outcomes: Mapping[str, tuple[str, ...]]

    @property
    def is_even(self) -> bool:
        """Whether every dataplane gave the same single answer."""
        return len(set(self.outcomes.values())) == 1 and all(
            len(some) == 1 for some in self.outcomes.values()
        )


def rows(answers: Mapping[str, Sequence[Answer]], *, by_node: bool = True) -> list[Row]:
    """The table, in the order in which questions were asked.

    Args:
        answers: dataplane -> what it answered.
        by_node: a line of its own for each relation of the dialled node.
    """
    found: dict[tuple[Party, Door, str], dict[str, dict[str, None]]] = {}
    for name, given in answers.items():
        for answer in given:
            question, dialled = answer.question, answer.situation.dialled
            relation = str(dialled) if by_node and dialled else ""
            key = (caller(question), door(question), relation)
            found.setdefault(key, {}).setdefault(name, {})[answer.outcome] = None
    return [
        Row(party, where, situation, {name: tuple(sorted(some)) for name, some in by_name.items()})
        for (party, where, situation), by_name in found.items()
    ]
