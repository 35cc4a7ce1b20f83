"""What a partial test misses is counted from answers, and from what runs published of them."""

import json
from collections.abc import Sequence

import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from nodeport_lab.book.coverage import coverage
from nodeport_lab.model import Relation
from nodeport_lab.report.coverage import TESTS, Answer, Missed, coverage_table, missed
from nodeport_lab.report.published import JSON
from nodeport_lab.report.table import Note

OWN, OTHER, THIRD = Relation.OWN_NODE, Relation.OTHER_NODE, Relation.THIRD_NODE


def answers(own: str, other: str, third: str, *, policy: str = "fence") -> list[Answer]:
    """A client's answers at one node of each kind."""
    return [
        Answer(policy, "ann", relation, outcome)
        for relation, outcome in ((OWN, own), (OTHER, other), (THIRD, third))
    ]


@pytest.mark.parametrize(
    ("observed", "own_alone", "others_alone"),
    [
        (("allowed", "allowed", "allowed"), 0, 0),
        (("allowed", "timeout", "timeout"), 2, 1),
        (("allowed", "timeout", "allowed"), 1, 0),
        (("timeout", "timeout", "refused"), 1, 0),
    ],
)
def test_missed_is_an_outcome_that_the_test_never_saw(
    observed: tuple[str, str, str], own_alone: int, others_alone: int
) -> None:
    """Of the nodes that it did not dial, each that came out otherwise counts."""
    assert own_alone == missed(answers(*observed), frozenset({OWN})).connections
    assert others_alone == missed(answers(*observed), frozenset({OTHER, THIRD})).connections


def test_clients_and_policies_are_told_apart() -> None:
    """What one client saw under one policy says nothing of another."""
    both = answers("allowed", "timeout", "timeout") + answers(
        "timeout", "timeout", "timeout", policy="wall"
    )

    assert missed(both, frozenset({OWN})) == Missed(2, 4, 1, 2)


def test_a_client_that_cannot_dial_both_kinds_counts_nowhere() -> None:
    """Without an own node, or without any other, there is nothing to conclude from."""
    outside = [Answer("fence", "machine", THIRD, "allowed")]

    assert missed(outside, frozenset({OWN})) == Missed()
    assert missed(outside, frozenset({THIRD})) == Missed()


def test_the_table_ends_with_all_dataplanes_together() -> None:
    """A row for each, in their order, and the sum."""
    table = coverage_table(
        {
            "plane": answers("allowed", "timeout", "timeout"),
            "train": answers("allowed", "allowed", "allowed"),
        },
        "caption",
        Note("note"),
    )

    assert table.headings == tuple(TESTS)
    assert [
        (name, cells[0].words, cells[0].detail, cells[0].kind) for name, cells in table.rows
    ] == [
        ("plane", "misses 2 of 2", "under 1 of 1 policies", "refined"),
        ("train", "misses none of 2", "under none of 1 policies", ""),
        ("all", "misses 2 of 4", "under 1 of 2 policies", "refined"),
    ]


def published(records: Sequence[Sequence[object]]) -> bytes:
    """The snippet of a run that published these records for its own node and a third one."""
    document = {
        "suite": "egress",
        "dataplane": "plane",
        "clients": [["ann", "pod", "node-1"], ["root", "host process", "node-1"]],
        "policies": [{"name": "no-policy"}, {"name": "fence"}],
        "ways": [
            ["ann", "hello", "nodeport", "node-1", "own-node", ""],
            ["ann", "hello", "nodeport", "node-3", "third-node", ""],
            ["ann", "hello", "cluster-ip", None, None, ""],
            ["root", "hello", "nodeport", "node-3", "third-node", ""],
        ],
        "records": records,
        "cells": [[1, 1, 1, 1], [0, 1, 1, 1]],
    }
    output = new_output(
        "display_data",
        data={f"application/papermill.record/{JSON}": json.dumps(document)},
        metadata={"scrapbook": {"name": "observations"}},
    )
    notebook = new_notebook(cells=[new_code_cell(outputs=[output])])
    return coverage({"one": notebook})["coverage-egress.md"]


def test_what_runs_published_is_counted() -> None:
    """Pods' connections to nodes under a policy: not the control, other routes, or processes."""
    found = published([["timeout", "allowed"], ["allowed", "allowed"]])

    assert b">misses 1 of 1" in found
    assert b'href="../notebooks/runs/one.html"' in found


def test_a_connection_without_a_path_or_a_verdict_is_not_counted() -> None:
    """It says nothing about policy."""
    for record in (["timeout", "timeout"], ["error", "allowed"]):
        assert b">misses" not in published([record, ["allowed", "allowed"]])
