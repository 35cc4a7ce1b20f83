"""Two checks compared: which verdicts a change of manifests changes.

Nodes mean nothing here, because pods may be placed elsewhere after a change: what is
compared is who asks for what, and how the places relate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nodeport_lab.check.answers import Answer, Door, Party, Situation, caller, door

_Key = tuple[Party, Door, Situation]


@dataclass(frozen=True, slots=True)
class Change:
    """A verdict that is another one after the change.

    Attributes:
        caller: who asks.
        door: for what.
        situation: how the places relate.
        before: dataplane -> its different outcomes.
        after: the same, after the change.
    """

    caller: Party
    door: Door
    situation: Situation
    before: Mapping[str, tuple[str, ...]]
    after: Mapping[str, tuple[str, ...]]

    @property
    def dataplanes(self) -> tuple[str, ...]:
        """Those whose verdict changes."""
        return tuple(name for name in self.before if self.before[name] != self.after.get(name))


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a change of manifests changes.

    Attributes:
        changes: verdicts that differ.
        added: what can be asked only after the change.
        removed: what can be asked only before it.
        compared: how many verdicts were compared, those of each dataplane counted.
        bases: dataplane -> on what its verdicts are based, `emulated` or `modelled`.
    """

    changes: tuple[Change, ...]
    added: tuple[_Key, ...]
    removed: tuple[_Key, ...]
    compared: int
    bases: Mapping[str, str]


def compare(
    old: Mapping[str, Sequence[Answer]],
    new: Mapping[str, Sequence[Answer]],
    bases: Mapping[str, str],
) -> Comparison:
    """Compare the answers before and after.

    Args:
        old: dataplane -> what it answered before.
        new: the same dataplanes, after.
        bases: dataplane -> on what its answers are based.
    """
    before, after = _outcomes(old), _outcomes(new)
    common = [key for key in before if key in after]
    return Comparison(
        changes=tuple(
            Change(*key, before[key], after[key]) for key in common if before[key] != after[key]
        ),
        added=tuple(key for key in after if key not in before),
        removed=tuple(key for key in before if key not in after),
        compared=sum(len(before[key]) for key in common),
        bases=bases,
    )


def _outcomes(answers: Mapping[str, Sequence[Answer]]) -> dict[_Key, dict[str, tuple[str, ...]]]:
    found: dict[_Key, dict[str, set[str]]] = {}
    for name, given in answers.items():
        for answer in given:
            question = answer.question
            # Where the backend is, is known of what arrives and not of what is denied early.
            situation = Situation(answer.situation.dialled, "")
            key = (caller(question), door(question), situation)
            found.setdefault(key, {}).setdefault(name, set()).add(answer.outcome)
    return {
        key: {name: tuple(sorted(some)) for name, some in by_name.items()}
        for key, by_name in found.items()
    }
