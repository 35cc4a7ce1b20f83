"""What is worth telling of a check: the form that all findings have."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from nodeport_lab.errors import UnknownNameError


class Kind(StrEnum):
    """What a finding is about, in the order in which findings are told."""

    NODE = "node"  # the answer depends on the node that is dialled
    PLACEMENT = "placement"  # the answer depends on where pods run
    DATAPLANE = "dataplane"  # dataplanes differ
    NEVER_MATCHES = "never-matches"  # a rule that can match nothing
    SELECTS_NOTHING = "selects-nothing"  # a policy without any pod
    ERROR = "error"  # a probe failed: nobody knows the answer
    NOTE = "note"  # something was assumed or left out; a finding only when strict


MEANINGS = {
    Kind.NODE: "The answer depends on the node that is dialled",
    Kind.PLACEMENT: "The answer depends on where pods run",
    Kind.DATAPLANE: "Dataplanes differ",
    Kind.NEVER_MATCHES: "Rules that can never match",
    Kind.SELECTS_NOTHING: "Policies that select nothing",
    Kind.ERROR: "Probes that failed",
    Kind.NOTE: "Assumed or left out",
}

FAILING = tuple(kind for kind in Kind if kind is not Kind.NOTE)


@dataclass(frozen=True, slots=True)
class Remedy:
    """The smallest rule that was found, and what packets say to it.

    Attributes:
        words: what was tried, for people.
        manifests: the policies to add, as plain objects; empty if nothing helped.
        agrees: whether all dataplanes gave the same answers with it.
        cells: how many questions were asked again to tell.
    """

    words: str
    manifests: tuple[dict[str, Any], ...] = ()
    agrees: bool = False
    cells: int = 0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing worth telling.

    Attributes:
        kind: what it is about.
        title: one line.
        reason: why, in one sentence.
        details: more lines, such as what was answered where.
        places: files, documents and fields.
        cells: how many answers it stands for.
        remedy: what makes dataplanes agree, where that was sought.
    """

    kind: Kind
    title: str
    reason: str = ""
    details: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    cells: int = 0
    remedy: Remedy | None = field(default=None, compare=False)


def chosen_kinds(words: str | None, *, strict: bool) -> frozenset[Kind]:
    """The kinds that make a check fail.

    Args:
        words: names, separated by commas; None for all but notes.
        strict: count notes as well.

    Raises:
        UnknownNameError: there is no such kind.
    """
    names = [str(kind) for kind in FAILING]
    if words is not None:
        names = [name.strip() for name in words.split(",") if name.strip()]
    for name in names:
        if name not in {str(kind) for kind in Kind}:
            raise UnknownNameError("kind of finding", name, [str(kind) for kind in Kind])
    found = frozenset(map(Kind, names))
    return found | {Kind.NOTE} if strict else found
