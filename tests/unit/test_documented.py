"""Runs are held to what is documented. All runs and statements here are made up."""

from dataclasses import replace
from typing import Any

import pytest

from nodeport_lab.documented import (
    DocumentedOutcome,
    Foundation,
    Label,
    Source,
    assert_all_documented,
    assert_documented,
    compare,
    comparisons,
    undocumented,
)
from nodeport_lab.model import Direction, Observation, Protocol, Relation, Run, Verdict

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
    dialled_node="node-2",
    backend_node="node-2",
    relation=Relation.OTHER_NODE,
    verdict=Verdict.ALLOWED,
    control=Verdict.ALLOWED,
)
FOUNDATION = Foundation((Label.DOC,), (Source("s", "a page", "https://example.org"),), "1.x")
STATED = DocumentedOutcome(
    "plane", {"mode": ("a",)}, Direction.EGRESS, "fence", "other-node", Verdict.ALLOWED, FOUNDATION
)


def made_up(*cells: Observation, **options: str) -> Run:
    """A run of these cells."""
    chosen = {"mode": "a", "size": "big", **options}
    return Run("embedded", "plane", chosen, "emulated", {}, cells)


def test_a_cell_that_came_out_as_documented_is_no_difference() -> None:
    """Agreement is silent."""
    assert compare(made_up(CELL), [STATED]) == ()
    assert undocumented(made_up(CELL), [STATED]) == ()


@pytest.mark.parametrize(
    ("cell", "observed"),
    [
        (replace(CELL, verdict=Verdict.TIMEOUT), "timeout"),
        (replace(CELL, verdict=Verdict.ERROR), "error"),
        (replace(CELL, control=Verdict.TIMEOUT), "no path"),
    ],
)
def test_a_difference_names_the_cell_and_both_outcomes(cell: Observation, observed: str) -> None:
    """Whoever reads the sentence knows what to look at; a missing path differs too."""
    (difference,) = compare(made_up(cell), [STATED])

    assert str(difference) == (
        "plane (mode=a, size=big), policy fence, caller to other-node node-2: "
        f"documented allowed (documentation), observed {observed}"
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"dataplane": "train"},
        {"options": {"mode": ("b",)}},
        {"options": {"mode": ("b", "c")}},
        {"options": {"shape": ("round",)}},
        {"clients": ("other-caller",)},
        {"direction": Direction.INGRESS},
        {"policy": "wall"},
        {"target": "own-node"},
    ],
)
def test_a_statement_about_something_else_does_not_apply(changes: dict[str, Any]) -> None:
    """A cell of which nothing is documented is listed, and is no difference."""
    run = made_up(replace(CELL, verdict=Verdict.TIMEOUT))
    stated = [replace(STATED, **changes)]

    assert compare(run, stated) == ()
    assert undocumented(run, stated) == run.observations
    assert [entry.agrees for entry in comparisons(run, stated)] == [None]


def test_fewer_options_speak_of_more_runs() -> None:
    """A statement without options holds for every option set."""
    (comparison,) = comparisons(made_up(CELL), [replace(STATED, options={})])

    assert comparison.agrees is True


@pytest.mark.parametrize("changes", [{"options": {"mode": ("a", "b")}}, {"clients": ("caller",)}])
def test_a_statement_may_be_about_several_values_and_clients(changes: dict[str, Any]) -> None:
    """It applies where the run's value is one of them, and the caller one of those named."""
    (comparison,) = comparisons(made_up(CELL), [replace(STATED, **changes)])

    assert comparison.agrees is True


@pytest.mark.parametrize(
    ("options", "run_options", "expected"),
    [
        ({}, {}, [True]),
        ({}, {"backend": "as-placed"}, [True]),
        ({}, {"backend": "moved"}, [None]),
        ({"backend": ("as-placed", "moved")}, {}, [True]),
        ({"backend": ("as-placed", "moved")}, {"backend": "moved"}, [True]),
        ({"backend": ("moved",)}, {}, [None]),
    ],
)
def test_what_is_not_named_is_at_its_default(
    options: dict[str, tuple[str, ...]], run_options: dict[str, str], expected: list[bool | None]
) -> None:
    """In a statement as in a run: no word about a variation means its default."""
    found = comparisons(made_up(CELL, **run_options), [replace(STATED, options=options)])

    assert expected == [entry.agrees for entry in found]


def test_clients_may_have_statements_of_their_own() -> None:
    """Each cell stands beside the statement about its caller."""
    other = replace(CELL, client="other-caller", verdict=Verdict.TIMEOUT)
    stated = [
        replace(STATED, clients=("caller",)),
        replace(STATED, clients=("other-caller",), outcome=Verdict.TIMEOUT),
    ]

    found = comparisons(made_up(CELL, other), stated)

    assert [entry.documented for entry in found] == stated
    assert [entry.agrees for entry in found] == [True, True]


def test_the_assertion_passes_and_says_what_was_held() -> None:
    """A notebook shows how much the green result rests on."""
    other = replace(CELL, policy="wall")

    assert assert_documented(made_up(CELL, CELL), [STATED]) == (
        "All 2 cells with a documented outcome came out as documented."
    )
    assert assert_documented(made_up(CELL, other), [STATED]).endswith(" 1 more are undocumented.")
    assert assert_documented(made_up(other), [STATED]).startswith("Nothing is documented")


def test_the_assertion_names_every_differing_cell() -> None:
    """A notebook that fails says where, for all cells at once."""
    blocked = replace(CELL, verdict=Verdict.TIMEOUT)
    run = made_up(CELL, blocked, replace(blocked, client="other-caller"))

    with pytest.raises(AssertionError) as caught:
        assert_documented(run, [STATED])

    assert "2 of 3 cells are not as documented" in str(caught.value)
    assert "policy fence, caller to other-node node-2" in str(caught.value)
    assert "policy fence, other-caller to other-node node-2" in str(caught.value)


def test_many_runs_are_held_at_once() -> None:
    """One sentence counts what was held in all of them; one that differs fails them all."""
    other = replace(CELL, policy="wall")

    assert assert_all_documented([made_up(CELL, CELL), made_up(CELL, other)], [STATED]) == (
        "In 2 runs all 3 cells with a documented outcome came out as documented. "
        "1 more are undocumented."
    )
    with pytest.raises(AssertionError, match="1 of 1 cells are not as documented"):
        assert_all_documented(
            [made_up(CELL), made_up(replace(CELL, verdict=Verdict.REFUSED))], [STATED]
        )


def test_a_run_without_observations_is_held_to_nothing_and_fails() -> None:
    """An empty run must not look like agreement."""
    with pytest.raises(AssertionError, match="no observations"):
        assert_documented(made_up(), [STATED])


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ((Label.DOC, Label.LAB), "documentation, lab"),
        ((Label.SRC,), "source code"),
        ((Label.UNSURE,), "assumed"),
        ((Label.SRC, Label.UNSURE), "assumed"),
    ],
)
def test_what_is_unsure_is_called_assumed(labels: tuple[Label, ...], words: str) -> None:
    """The weakest foundation gives the whole its name."""
    assert words == replace(FOUNDATION, labels=labels).words
