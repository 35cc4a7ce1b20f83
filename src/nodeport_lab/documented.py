"""Documented outcomes: what the book states for a cell, and where it has it from.

They are compared with what a run observed. A cell that differs from an outcome that
applies to it is a failure: either the dataplane changed its mind or the book is wrong.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from nodeport_lab.dataplanes import DATAPLANES
from nodeport_lab.model import Direction, Observation, Run, Verdict
from nodeport_lab.remedies import BYSTANDERS
from nodeport_lab.variations import VARIATIONS, departures

ASSUMED = "assumed"


class Label(StrEnum):
    """How well a documented outcome is founded."""

    DOC = "DOC"  # documentation, a release note, or a maintainer in an issue
    SRC = "SRC"  # read in the source code
    LAB = "LAB"  # reproduced with nftables rules in network namespaces
    UNSURE = "UNSURE"  # reasoned; only a live run can tell


LABEL_WORDS: Mapping[Label, str] = {
    Label.DOC: "documentation",
    Label.SRC: "source code",
    Label.LAB: "lab",
    Label.UNSURE: ASSUMED,
}


@dataclass(frozen=True, slots=True)
class Source:
    """Something public that can be looked up."""

    id: str
    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Foundation:
    """What a group of documented outcomes rests on, and for which versions it holds."""

    labels: tuple[Label, ...]
    sources: tuple[Source, ...]
    versions: str
    note: str = ""

    @property
    def words(self) -> str:
        """The labels as words; anything unsure makes the whole `assumed`."""
        if Label.UNSURE in self.labels:
            return ASSUMED
        return ", ".join(LABEL_WORDS[label] for label in self.labels)


@dataclass(frozen=True, slots=True)
class DocumentedOutcome:
    """What the book states for one cell of a matrix.

    `options` holds the values of each option and variation for which it is stated; what it
    does not name must be at its default. Empty `clients`: whoever calls. It is about the
    server that the policies speak of, and about none of the bystanders of a remedy.
    """

    dataplane: str
    options: Mapping[str, tuple[str, ...]]
    direction: Direction
    policy: str
    target: str
    outcome: Verdict
    foundation: Foundation
    clients: tuple[str, ...] = ()

    def speaks_of(self, run: Run) -> bool:
        """Whether the statement is about the run's dataplane and options."""
        return (
            run.dataplane == self.dataplane
            and all(_chosen(run, name) in values for name, values in self.options.items())
            and departures(run.dataplane, run.options).keys() <= self.options.keys()
        )

    def selects(self, observation: Observation) -> bool:
        """Whether the statement is about the cell."""
        return (
            observation.policy == self.policy
            and observation.target == self.target
            and observation.direction is self.direction
            and (not self.clients or observation.client in self.clients)
            and observation.server not in BYSTANDERS
        )


def _chosen(run: Run, name: str) -> str | None:
    """The value of an option or variation; what a run leaves out is at its default."""
    options = DATAPLANES[run.dataplane].options if run.dataplane in DATAPLANES else {}
    known = options.get(name) or VARIATIONS.get(name)
    return run.options.get(name, known.values[0] if known else None)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A cell of a run beside what is documented for it, if anything is."""

    observation: Observation
    documented: DocumentedOutcome | None

    @property
    def agrees(self) -> bool | None:
        """Whether the cell came out as documented; None if nothing is documented."""
        if self.documented is None:
            return None
        return self.observation.outcome == str(self.documented.outcome)


@dataclass(frozen=True, slots=True)
class Difference:
    """A cell that did not come out as documented."""

    run: Run
    observation: Observation
    documented: DocumentedOutcome

    def __str__(self) -> str:
        """One sentence that names the cell and both outcomes."""
        cell = self.observation
        node = f" {cell.dialled_node}" if cell.dialled_node else ""
        options = ", ".join(f"{name}={value}" for name, value in self.run.options.items())
        return (
            f"{self.run.dataplane}{f' ({options})' if options else ''}, policy {cell.policy}, "
            f"{cell.client} to {cell.target}{node}: documented {self.documented.outcome} "
            f"({self.documented.foundation.words}), observed {cell.outcome}"
        )


def comparisons(run: Run, documented: Sequence[DocumentedOutcome]) -> tuple[Comparison, ...]:
    """Every cell of the run, in its order, beside the documented outcome that applies."""
    stated: defaultdict[tuple[str, str], list[DocumentedOutcome]] = defaultdict(list)
    for entry in documented:
        if entry.speaks_of(run):
            stated[entry.policy, entry.target].append(entry)
    return tuple(
        Comparison(
            cell,
            next(
                (entry for entry in stated[cell.policy, cell.target] if entry.selects(cell)), None
            ),
        )
        for cell in run.observations
    )


def compare(run: Run, documented: Sequence[DocumentedOutcome]) -> tuple[Difference, ...]:
    """The cells of the run that differ from a documented outcome that applies to them."""
    return tuple(
        Difference(run, comparison.observation, comparison.documented)
        for comparison in comparisons(run, documented)
        if comparison.documented is not None and not comparison.agrees
    )


def undocumented(run: Run, documented: Sequence[DocumentedOutcome]) -> tuple[Observation, ...]:
    """The cells of the run for which nothing is documented."""
    return tuple(
        comparison.observation
        for comparison in comparisons(run, documented)
        if comparison.documented is None
    )


def assert_documented(run: Run, documented: Sequence[DocumentedOutcome]) -> str:
    """Hold a run to what is documented, and say in one sentence what was held.

    Raises:
        AssertionError: a cell differs, each named; or nothing was observed at all.
    """
    if not run.observations:
        raise AssertionError(f"the run of {run.dataplane} has no observations to compare")
    differences = compare(run, documented)
    if differences:
        cells = "\n".join(f"- {difference}" for difference in differences)
        raise AssertionError(
            f"{len(differences)} of {len(run.observations)} cells are not as documented:\n{cells}"
        )
    silent = len(undocumented(run, documented))
    held = len(run.observations) - silent
    if not held:
        return f"Nothing is documented for any of the {silent} cells; nothing was held to it."
    rest = f" {silent} more are undocumented." if silent else ""
    return f"All {held} cells with a documented outcome came out as documented.{rest}"


def assert_all_documented(runs: Sequence[Run], documented: Sequence[DocumentedOutcome]) -> str:
    """Hold many runs to what is documented, and say in one sentence what was held.

    Raises:
        AssertionError: as `assert_documented`.
    """
    for run in runs:
        assert_documented(run, documented)
    silent = sum(len(undocumented(run, documented)) for run in runs)
    cells = sum(len(run.observations) for run in runs)
    return (
        f"In {len(runs)} runs all {cells - silent} cells with a documented outcome came out as "
        f"documented. {silent or 'None'} more are undocumented."
    )
