"""A claim's status follows from runs alone. All claims and runs here are made up."""

from dataclasses import replace
from typing import Any

import pytest

from nodeport_lab.claims import (
    Argument,
    Claim,
    Expectation,
    Seen,
    Status,
    Tally,
    seen_kind,
    statuses,
)
from nodeport_lab.model import (
    Action,
    Decision,
    Direction,
    Observation,
    Protocol,
    Relation,
    Run,
    Verdict,
)

CELL = Observation(
    policy="fence",
    direction=Direction.EGRESS,
    namespace="default",
    client="caller",
    client_node="node-1",
    server="callee",
    service="callee",
    protocol=Protocol.TCP,
    port=30000,
    route="nodeport",
    dialled_node="node-1",
    backend_node="node-2",
    relation=Relation.OWN_NODE,
    verdict=Verdict.ALLOWED,
    control=Verdict.ALLOWED,
)
BLOCKED = replace(CELL, verdict=Verdict.TIMEOUT)
FAILED = replace(CELL, verdict=Verdict.ERROR)
NO_PATH = replace(CELL, verdict=Verdict.TIMEOUT, control=Verdict.TIMEOUT)
DECISION = Decision(
    direction=Direction.EGRESS,
    node="node-1",
    hook="here",
    seen_source="10.0.0.1:40000",
    seen_destination="10.0.0.2:8080",
    policy="fence",
    rule="default-deny",
    action=Action.DENY,
)
ALLOWED = Expectation(Direction.EGRESS, policies=("fence",), outcome=Verdict.ALLOWED)


def made_up(*cells: Observation, **changes: Any) -> Run:  # noqa: ANN401  # fields of a run
    """A run of these cells."""
    return replace(Run("embedded", "plane", {}, "emulated", {}, cells), **changes)


def status_of(*expects: Expectation, runs: list[Run]) -> Status:
    """Where a claim with these expectations stands after the runs."""
    (found,) = statuses([Claim("X1", "So it is.", "none", expects)], runs)
    return found.status


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([CELL, CELL], Status.CONFIRMED),
        ([BLOCKED, BLOCKED], Status.REFUTED),
        ([CELL, BLOCKED], Status.REFINED),
        ([], Status.UNTESTED),
        ([FAILED, NO_PATH], Status.UNTESTED),
        ([CELL, FAILED, NO_PATH], Status.CONFIRMED),
        ([BLOCKED, FAILED], Status.REFUTED),
    ],
)
def test_a_status_follows_from_the_cells_that_can_say(
    cells: list[Observation], expected: Status
) -> None:
    """All as claimed, none, some; a failed probe and a missing path say nothing."""
    assert expected == status_of(ALLOWED, runs=[made_up(*cells)])


def test_a_claim_without_expectations_is_untested() -> None:
    """No experiment, no status."""
    assert status_of(runs=[made_up(CELL)]) is Status.UNTESTED


def test_every_expectation_must_have_met_a_cell_to_confirm_a_claim() -> None:
    """Half of a sentence does not confirm it, but refutes it as well as the whole."""
    other = replace(ALLOWED, policies=("wall",))

    assert status_of(ALLOWED, other, runs=[made_up(CELL)]) is Status.UNTESTED
    assert status_of(ALLOWED, other, runs=[made_up(BLOCKED)]) is Status.REFUTED


def test_expectations_may_be_met_in_different_runs() -> None:
    """A sentence about two dataplanes is confirmed by one run of each."""
    here = replace(ALLOWED, dataplanes=("plane",))
    there = replace(ALLOWED, dataplanes=("train",))
    both = [made_up(CELL), made_up(CELL, dataplane="train")]

    assert status_of(here, there, runs=both[:1]) is Status.UNTESTED
    assert status_of(here, there, runs=both) is Status.CONFIRMED


@pytest.mark.parametrize(
    "changes",
    [
        {"policies": ("wall",)},
        {"targets": ("third-node", "cluster-ip")},
        {"clients": ("other-caller",)},
        {"direction": Direction.INGRESS},
        {"dataplanes": ("train",)},
        {"options": {"mode": "b"}},
    ],
)
def test_an_expectation_speaks_only_of_what_it_selects(changes: dict[str, Any]) -> None:
    """Other policies, targets, clients, directions, dataplanes, options are not its business."""
    run = made_up(BLOCKED, options={"mode": "a"})

    assert status_of(ALLOWED, runs=[run]) is Status.REFUTED
    assert status_of(replace(ALLOWED, **changes), runs=[run]) is Status.UNTESTED


def test_a_sentence_is_about_the_scenario_as_it_stands_unless_it_says_otherwise() -> None:
    """A variation that it does not name is at its default; an option may have any value."""
    moved = made_up(BLOCKED, options={"mode": "a", "backend": "moved"})
    placed = made_up(BLOCKED, options={"mode": "a", "backend": "as-placed"})
    about_it = replace(ALLOWED, options={"backend": "moved"})

    assert status_of(ALLOWED, runs=[moved]) is Status.UNTESTED
    assert status_of(ALLOWED, runs=[placed]) is Status.REFUTED
    assert status_of(about_it, runs=[moved]) is Status.REFUTED
    assert status_of(about_it, runs=[placed]) is Status.UNTESTED


def test_an_expectation_without_selection_speaks_of_everything() -> None:
    """No policies, targets, clients, dataplanes: any of them."""
    everything = Expectation(Direction.EGRESS, outcome=Verdict.ALLOWED)
    odd = replace(CELL, policy="wall", relation=None, route="pod-ip", dialled_node=None)

    assert status_of(everything, runs=[made_up(odd, dataplane="train")]) is Status.CONFIRMED


def test_each_run_has_its_own_status_and_basis() -> None:
    """A claim about one dataplane is shown for each of its configurations."""
    first = made_up(CELL, options={"mode": "a"})
    second = made_up(BLOCKED, NO_PATH, options={"mode": "b"}, basis="modelled")
    silent = made_up(options={"mode": "c"}, basis="live")

    (found,) = statuses([Claim("X1", "So it is.", "none", (ALLOWED,))], [first, second, silent])

    assert found.status is Status.REFINED
    assert found.basis == ("emulated", "modelled")
    assert [(entry.run, entry.status) for entry in found.runs] == [
        (first, Status.CONFIRMED),
        (second, Status.REFUTED),
        (silent, Status.UNTESTED),
    ]
    assert found.runs[1].tally == Tally(as_claimed=0, contrary=1, silent=1)


def test_a_run_of_which_the_claim_does_not_speak_is_not_listed() -> None:
    """What a sentence is not about has no status under it."""
    claim = Claim("X1", "So it is.", "none", (replace(ALLOWED, dataplanes=("train",)),))

    (found,) = statuses([claim], [made_up(CELL)])

    assert found.runs == ()
    assert found.basis == ()


def test_a_run_of_other_questions_is_not_listed() -> None:
    """The same dataplane, observed in cells of which the claim does not speak."""
    egress = made_up(CELL)
    ingress = made_up(replace(CELL, direction=Direction.INGRESS), suite="ingress")

    (found,) = statuses([Claim("X1", "So it is.", "none", (ALLOWED,))], [egress, ingress])

    assert [entry.run for entry in found.runs] == [egress]
    assert found.status is Status.CONFIRMED


def test_runs_of_one_configuration_stand_together() -> None:
    """Two suites asked the same dataplane with the same options: the sentence has one line."""
    other = replace(ALLOWED, policies=("wall",))
    first = made_up(CELL, suite="one")
    second = made_up(
        replace(CELL, policy="wall"), BLOCKED, suite="two", options={"backend": "as-placed"}
    )

    (found,) = statuses([Claim("X1", "So it is.", "none", (ALLOWED, other))], [first, second])

    (entry,) = found.runs
    assert entry.run is first
    assert entry.tally == Tally(as_claimed=2, contrary=1)
    assert entry.status is found.status is Status.REFINED


@pytest.mark.parametrize(
    ("destination", "expected"),
    [
        ("172.18.0.3:30000", Seen.DIALLED),
        ("10.0.0.2:8080", Seen.TRANSLATED),
        ("[fd00::2]:8080", Seen.TRANSLATED),
        (None, None),
    ],
)
def test_the_port_tells_whether_the_destination_was_translated(
    destination: str | None, expected: Seen | None
) -> None:
    """The dialled port still being there means that policy looked before translation."""
    assert expected == seen_kind(replace(CELL, seen_destination=destination))


def test_the_first_hook_of_the_own_direction_counts() -> None:
    """A denial on the far side does not tell what the client's policy saw."""
    cell = replace(
        CELL,
        seen_destination="10.0.0.2:8080",
        decisions=(
            replace(DECISION, direction=Direction.INGRESS),
            replace(DECISION, seen_destination="172.18.0.3:30000"),
            DECISION,
        ),
    )

    assert seen_kind(cell) is Seen.DIALLED


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (replace(CELL, seen_destination="10.0.0.2:8080"), Status.CONFIRMED),
        (replace(CELL, seen_destination="10.0.0.2:30000"), Status.REFUTED),
        (replace(BLOCKED, seen_destination="10.0.0.2:8080"), Status.REFUTED),
        (CELL, Status.UNTESTED),
        (BLOCKED, Status.REFUTED),
    ],
)
def test_outcome_and_seen_address_must_both_be_as_claimed(
    cell: Observation, expected: Status
) -> None:
    """One of the two cannot make up for the other; what was not recorded confirms nothing."""
    both = replace(ALLOWED, seen=Seen.TRANSLATED)

    assert expected == status_of(both, runs=[made_up(cell)])


@pytest.mark.parametrize(
    ("cells", "expected"),
    [([CELL], Status.REFINED), ([BLOCKED], Status.UNTESTED), ([], Status.UNTESTED)],
)
def test_an_argument_counts_while_its_grounds_hold(
    cells: list[Observation], expected: Status
) -> None:
    """A claim that is argued falls back to untested when the packets take its ground away."""
    measured = Claim("X1", "So it is.", "none", (ALLOWED,))
    argument = Argument(Status.REFINED, "Because.", {"X1": (Status.CONFIRMED,)})
    argued = Claim("P1", "So be it.", "none", argument=argument)

    found, _ = statuses([argued, measured], [made_up(*cells)])

    assert found.status is expected
    assert found.basis == ("argued",)
