"""Observations as they are published: nothing lost that was asked for, nothing that varies."""

import json
from dataclasses import replace
from typing import Any

import pytest
from support.recorded import EMBEDDED_NETWORK, cell, embedded

from nodeport_lab import schemas
from nodeport_lab.book.explorer import AFTER, BEFORE, published
from nodeport_lab.book.render import read
from nodeport_lab.book.runs import load
from nodeport_lab.cells import pod_clients
from nodeport_lab.errors import LabError
from nodeport_lab.experiment import default_scenario
from nodeport_lab.locations import repository_root
from nodeport_lab.model import Action, Decision, Direction, Run, Verdict
from nodeport_lab.report.published import Published, publish

ROOT = repository_root()
DENIED = Decision(
    Direction.EGRESS,
    "dev-worker",
    "filter FORWARD",
    "10.244.1.2:40001",
    "172.18.0.4:30080",
    "both",
    "default-deny",
    Action.DENY,
    "nodeport-lab",
)


def made(run: Run) -> Published:
    """What a run of the report's clients publishes."""
    scenario = default_scenario()
    return publish(run, pod_clients(scenario), scenario, EMBEDDED_NETWORK)


def committed() -> dict[str, Any]:
    """The document that the page reads, made of the committed runs."""
    specs = load(ROOT / "notebooks")
    files = published(
        {spec.id: read(ROOT / "notebooks" / "runs" / spec.filename) for spec in specs}
    )
    document: dict[str, Any] = json.loads(files["_extra/explorer/observations.json"])
    return document


def test_a_cell_can_be_read_back() -> None:
    """Verdict, control, what was dialled, and every decision stand in the document."""
    denied = cell(verdict=Verdict.TIMEOUT, decisions=(DENIED,))
    document = made(embedded(cell("no-policy"), denied)).document

    (way,) = document["ways"]
    (first,), (second,) = document["cells"]
    assert ["no-policy", "both"] == [policy["name"] for policy in document["policies"]]
    assert [
        "client-a", "hello", "nodeport", "dev-worker2", "other-node", "172.18.0.4:30080",
    ] == way  # fmt: skip
    assert ["allowed", "allowed", "dev-worker2", None, []] == document["records"][first]
    assert ["timeout", "allowed", "dev-worker2", None, [0]] == document["records"][second]
    assert [
        "egress", "dev-worker", "filter FORWARD", "10.244.1.2", "172.18.0.4:30080", "both",
        "default-deny", "deny",
    ] == document["decisions"][0]  # fmt: skip
    assert ["node", "dev-worker2"] == list(document["addresses"]["172.18.0.4"])


def test_executions_differ_in_nothing_that_is_published() -> None:
    """Clients' ports and times are those of one execution."""
    once = cell(decisions=(DENIED,), application_source="10.244.1.2:40001", elapsed_ms=1.5)
    again = replace(
        once,
        decisions=(replace(DENIED, seen_source="10.244.1.2:50002"),),
        application_source="10.244.1.2:50002",
        elapsed_ms=7.25,
    )

    assert made(embedded(once)).document == made(embedded(again)).document
    assert "40001" not in json.dumps(made(embedded(once)).document)


def test_rules_stand_under_the_names_that_decisions_give_them() -> None:
    """So that a reader of a decision finds the words of its rule."""
    (policy,) = made(embedded(cell("both"))).document["policies"]

    assert {
        "egress[0].to[0]": "ipBlock 172.18.0.0/24",
        "egress[1].to[0]": "pods app=hello",
    } == policy["rules"]


def test_observations_that_contradict_each_other_are_not_published() -> None:
    """The page could show only one of them."""
    with pytest.raises(LabError, match="two observations of client-a to other-node under both"):
        made(embedded(cell(), cell(verdict=Verdict.TIMEOUT)))


def test_the_committed_document_follows_its_schema() -> None:
    """Every position refers to something, and every rule that decided has words."""
    document = committed()

    assert schemas.fault(document, schemas.load("published")) is None
    for run in document["runs"]:
        words = {path for policy in run["policies"] for path in policy.get("rules", {})}
        words |= {"default-deny", "not-selected"}
        assert words >= {decision[6] for decision in run["decisions"]}
        assert len(run["policies"]) == len(run["cells"])
        for row in run["cells"]:
            assert len(run["ways"]) == len(row)
            assert all(number < len(run["records"]) for number in row if number is not None)
        for *_, decisions in run["records"]:
            assert all(number < len(run["decisions"]) for number in decisions)


def test_committed_files_are_those_of_the_runs() -> None:
    """JSON and script are made of the committed notebooks, byte for byte, and hold the same."""
    specs = load(ROOT / "notebooks")
    files = published(
        {spec.id: read(ROOT / "notebooks" / "runs" / spec.filename) for spec in specs}
    )
    data, script = (files[f"_extra/explorer/observations.{kind}"] for kind in ("json", "js"))

    for name, content in files.items():
        assert content == (ROOT / name).read_bytes(), name
    assert BEFORE.encode() + data + AFTER.encode() == script
    assert len(data) < 400_000


def test_a_book_without_published_runs_has_no_such_files() -> None:
    """Nothing to ask, nothing to answer from."""
    assert {} == published({})
