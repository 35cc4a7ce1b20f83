"""What the report and others claim, and what the packets say to it.

A claim is a sentence with expectations: what the sentence, read literally, says of the
cells of a matrix. Its status is computed from runs and nothing else. A claim that is
argued rather than measured names the claims that it rests on; its argument counts only
while those have the statuses that it needs.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from nodeport_lab.documented import Source
from nodeport_lab.model import Direction, Observation, Run, Verdict
from nodeport_lab.variations import VARIATIONS

ARGUED = "argued"

_USUAL = {name: option.values[0] for name, option in VARIATIONS.items()}


class Status(StrEnum):
    """Where a claim stands."""

    CONFIRMED = "confirmed"
    REFUTED = "refuted"
    REFINED = "refined"
    UNTESTED = "untested"


class Seen(StrEnum):
    """What the policy hook saw as destination, compared with what the client dialled."""

    DIALLED = "dialled"
    TRANSLATED = "translated"


@dataclass(frozen=True, slots=True)
class Report:
    """The text whose claims are tested."""

    title: str
    english: str
    author: str
    date: str
    retells: str
    url: str


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a claim says of some cells.

    Empty `dataplanes`, `clients`, `policies`, `targets`: of any, and options that it does not
    name may have any value. A variation that it does not name is at its default: a sentence is
    about the scenario as it stands. `targets` are the columns of a matrix
    (`Observation.target`). A cell is as claimed if it has the `outcome` and was `seen` as
    expected, each where the claim says so.
    """

    direction: Direction
    dataplanes: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    clients: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    outcome: Verdict | None = None
    seen: Seen | None = None

    def speaks_of(self, run: Run) -> bool:
        """Whether the claim says anything about the run's dataplane and options."""
        wanted = {**_USUAL, **self.options}
        return (not self.dataplanes or run.dataplane in self.dataplanes) and all(
            run.options.get(name, _USUAL.get(name)) == value for name, value in wanted.items()
        )

    def selects(self, observation: Observation) -> bool:
        """Whether the claim says anything about the cell."""
        return (
            observation.direction is self.direction
            and (not self.clients or observation.client in self.clients)
            and (not self.policies or observation.policy in self.policies)
            and (not self.targets or observation.target in self.targets)
        )

    def holds(self, observation: Observation) -> bool | None:
        """Whether the cell is as claimed; None if the cell cannot say.

        A cell without a path, or whose probe failed, says nothing about policy.
        """
        if observation.control is not Verdict.ALLOWED or observation.verdict is Verdict.ERROR:
            return None
        if self.outcome is not None and observation.verdict is not self.outcome:
            return False
        if self.seen is None:
            return True
        seen = seen_kind(observation)
        return None if seen is None else seen is self.seen


@dataclass(frozen=True, slots=True)
class Argument:
    """Why a claim stands as `status` although no packet can show it.

    `given` maps the claims it rests on to the statuses that they must have.
    """

    status: Status
    because: str
    given: Mapping[str, tuple[Status, ...]]


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence of the report or of a public issue, in own words, and how to test it.

    Attributes:
        id: stable name of the claim ("S1").
        sentence: what the report says, or a source.
        experiment: what settles it.
        sources: who says it; empty for the report.
        runs: ids of the run notebooks that show its cells.
        expects: empty while the experiment does not exist, or if it is argued.
        argument: for a claim that is argued.
        needs: what is still missing for a test.
        note: what the packets can refine; it holds no verdicts.
    """

    id: str
    sentence: str
    experiment: str
    expects: tuple[Expectation, ...] = ()
    argument: Argument | None = None
    needs: str = ""
    note: str = ""
    sources: tuple[Source, ...] = ()
    runs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tally:
    """How many cells are as claimed, how many are not, and how many cannot say."""

    as_claimed: int = 0
    contrary: int = 0
    silent: int = 0
    unobserved: int = 0  # expectations without a single cell that says anything

    @property
    def settled(self) -> int:
        """The cells that say something."""
        return self.as_claimed + self.contrary

    @property
    def status(self) -> Status:
        """Refined if cells disagree; confirmed only if every expectation met a cell."""
        if self.contrary:
            return Status.REFINED if self.as_claimed else Status.REFUTED
        if self.as_claimed and not self.unobserved:
            return Status.CONFIRMED
        return Status.UNTESTED


@dataclass(frozen=True, slots=True)
class RunStatus:
    """Where a claim stands in one run, and in others of the same dataplane and options."""

    run: Run
    tally: Tally

    @property
    def status(self) -> Status:
        """Where the claim stands in this configuration."""
        return self.tally.status


@dataclass(frozen=True, slots=True)
class ClaimStatus:
    """Where a claim stands after all runs, on which basis, and in each configuration of them."""

    claim: Claim
    status: Status
    basis: tuple[str, ...]
    runs: tuple[RunStatus, ...] = ()


def statuses(claims: Sequence[Claim], runs: Sequence[Run]) -> tuple[ClaimStatus, ...]:
    """The status of every claim, in their order, computed from the runs."""
    measured = {claim.id: _measured(claim, runs) for claim in claims}
    return tuple(
        _argued(claim, claim.argument, measured) if claim.argument else measured[claim.id]
        for claim in claims
    )


def seen_kind(observation: Observation) -> Seen | None:
    """Whether the first policy hook of the cell's direction saw what the client dialled.

    The port decides: a Service's port and the port of the pod behind it must differ for
    the answer to mean anything, as they do in the scenario.
    """
    destination = next(
        (
            decision.seen_destination
            for decision in observation.decisions
            if decision.direction is observation.direction
        ),
        observation.seen_destination,
    )
    if destination is None:
        return None
    port = int(destination.rpartition(":")[2])
    return Seen.DIALLED if port == observation.port else Seen.TRANSLATED


def _measured(claim: Claim, runs: Iterable[Run]) -> ClaimStatus:
    """The status by packets; untested for a claim without expectations."""
    found: dict[Hashable, tuple[Run, dict[int, Tally]]] = {}
    for run in runs:
        tallies = {
            position: _tally(expectation, run)
            for position, expectation in enumerate(claim.expects)
            if expectation.speaks_of(run)
        }
        total = _total(tallies.values())
        about_it = total.settled or total.silent or not run.observations
        if tallies and about_it:  # a run of another suite may have no cell of the claim's
            _, before = found.setdefault(_configuration(run), (run, {}))
            for position, tally in tallies.items():
                before[position] = _together(before.get(position), tally)
    by_run = tuple(RunStatus(run, _total(tallies.values())) for run, tallies in found.values())
    met = {
        position
        for _, tallies in found.values()
        for position, tally in tallies.items()
        if tally.settled
    }
    total = replace(
        _total(entry.tally for entry in by_run), unobserved=len(claim.expects) - len(met)
    )
    bases = dict.fromkeys(entry.run.basis for entry in by_run if entry.tally.settled)
    return ClaimStatus(claim, total.status, tuple(bases), by_run)


def _configuration(run: Run) -> Hashable:
    """What runs of different questions have in common if their answers belong together."""
    return run.testbed, run.dataplane, tuple(sorted({**_USUAL, **run.options}.items()))


def _tally(expectation: Expectation, run: Run) -> Tally:
    answers = [expectation.holds(cell) for cell in run.observations if expectation.selects(cell)]
    as_claimed, contrary = answers.count(True), answers.count(False)
    return Tally(as_claimed, contrary, answers.count(None), int(not as_claimed + contrary))


def _together(one: Tally | None, other: Tally) -> Tally:
    """What two runs say of one expectation."""
    both = _total(filter(None, (one, other)))
    return replace(both, unobserved=int(not both.settled))


def _total(tallies: Iterable[Tally]) -> Tally:
    counts = [(one.as_claimed, one.contrary, one.silent, one.unobserved) for one in tallies]
    return Tally(*map(sum, zip(*counts, strict=True))) if counts else Tally()


def _argued(claim: Claim, argument: Argument, measured: Mapping[str, ClaimStatus]) -> ClaimStatus:
    """The status by argument; untested where a claim that it rests on stands otherwise."""
    stands = all(measured[claim_id].status in needed for claim_id, needed in argument.given.items())
    return ClaimStatus(claim, argument.status if stands else Status.UNTESTED, (ARGUED,))
