"""The file of claims and documented outcomes is read strictly, and ours is complete."""

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from nodeport_lab import claims_file, schemas
from nodeport_lab.book import runs
from nodeport_lab.claims import Seen, Status
from nodeport_lab.dataplanes import DATAPLANES
from nodeport_lab.documented import Label
from nodeport_lab.errors import ClaimError
from nodeport_lab.experiment import policy_names, suite_scenario
from nodeport_lab.locations import claims_file as claims_path
from nodeport_lab.locations import repository_root
from nodeport_lab.manifests import NO_POLICY
from nodeport_lab.model import Direction, Verdict
from nodeport_lab.suites import SUITES
from nodeport_lab.variations import VARIATIONS

# Every row of the report, by kind: what was seen, why, what is advised, what follows.
REPORT = {"S": 6, "M": 3, "R": 7, "P": 4}

GROUP = {
    "labels": ["DOC"],
    "sources": ["page"],
    "cells": {"fence": {"own-node": "timeout", "pod-ip": "allowed"}},
}
ENTRY = {
    "dataplanes": ["plane"],
    "options": {"mode": "a"},
    "direction": "egress",
    "versions": "1.x",
    "groups": [GROUP],
}
DOCUMENT: dict[str, Any] = {
    "report": {
        "title": "Titel",
        "english": "Title",
        "author": "An author",
        "date": "2025-01-31",
        "retells": "somewhere#1",
        "url": "https://example.org/1",
    },
    "vocabulary": {
        "dataplanes": {"plane": {"mode": ["a", "b"]}, "train": {}},
        "variations": {"backend": ["here", "there"]},
        "clients": ["ann", "bob"],
        "policies": ["fence", "wall"],
    },
    "sources": {"page": {"name": "A page", "url": "https://example.org/page"}},
    "claims": [
        {
            "id": "X1",
            "sentence": "So it is.",
            "experiment": "none",
            "expects": [
                {
                    "dataplanes": ["plane"],
                    "options": {"mode": "b"},
                    "direction": "egress",
                    "clients": ["ann"],
                    "policies": ["fence"],
                    "targets": ["own-node"],
                    "outcome": "timeout",
                    "seen": "translated",
                }
            ],
        },
        {
            "id": "P1",
            "sentence": "So be it.",
            "experiment": "none",
            "argued": {"status": "refined", "because": "Because.", "given": {"X1": ["refuted"]}},
        },
        {"id": "R1", "sentence": "So do it.", "experiment": "none", "needs": "A test."},
        {
            "id": "G1",
            "sentence": "So they say.",
            "experiment": "none",
            "sources": ["page"],
            "runs": ["one"],
            "needs": "A test.",
        },
    ],
    "documented": [ENTRY],
}

Spoil = Callable[[dict[str, Any]], object]


def test_claims_are_read_as_they_are_written() -> None:
    """Every field of a claim arrives."""
    read = claims_file.parse(DOCUMENT)
    measured, argued, missing, said = read.claims
    (expectation,) = measured.expects

    assert expectation.dataplanes == ("plane",)
    assert expectation.options == {"mode": "b"}
    assert expectation.direction is Direction.EGRESS
    assert expectation.clients == ("ann",)
    assert expectation.policies == ("fence",)
    assert expectation.targets == ("own-node",)
    assert expectation.outcome is Verdict.TIMEOUT
    assert expectation.seen is Seen.TRANSLATED
    assert argued.argument is not None
    assert argued.argument.status is Status.REFINED
    assert argued.argument.given == {"X1": (Status.REFUTED,)}
    assert missing.needs == "A test."
    assert (missing.sources, missing.runs) == ((), ())
    assert [source.url for source in said.sources] == ["https://example.org/page"]
    assert said.runs == ("one",)
    assert read.report.retells == "somewhere#1"


def test_documented_outcomes_are_one_per_cell() -> None:
    """A group's cells share its foundation and its entry's dataplane and versions."""
    first, second = claims_file.parse(DOCUMENT).documented

    assert (first.policy, first.target, first.outcome) == ("fence", "own-node", Verdict.TIMEOUT)
    assert (second.target, second.outcome) == ("pod-ip", Verdict.ALLOWED)
    assert first.foundation is second.foundation
    assert first.foundation.labels == (Label.DOC,)
    assert first.foundation.sources[0].url == "https://example.org/page"
    assert first.foundation.versions == "1.x"
    assert (first.dataplane, first.options) == ("plane", {"mode": ("a",)})
    assert first.clients == ()


def test_an_entry_may_be_about_several_dataplanes_values_and_clients() -> None:
    """Each dataplane gets statements of its own, for all values and clients."""
    document = copy.deepcopy(DOCUMENT)
    document["documented"] = [
        {
            **ENTRY,
            "dataplanes": ["plane", "train"],
            "options": {"backend": ["here", "there"]},
            "clients": ["ann", "bob"],
        }
    ]

    read = claims_file.parse(document).documented

    assert [entry.dataplane for entry in read] == ["plane", "plane", "train", "train"]
    assert {entry.clients for entry in read} == {("ann", "bob")}
    assert all(entry.options == {"backend": ("here", "there")} for entry in read)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda d: d.pop("report"), "the document: 'report' is a required property"),
        (lambda d: d.update(extra=1), "the document: Additional properties"),
        (lambda d: d["report"].update(date="today"), "report.date: 'today'"),
        (lambda d: d["claims"][0].update(id="first"), "claims[0].id: 'first'"),
        (lambda d: d["claims"][2].update(id="X1"), "claims[2].id: 'X1' is given twice"),
        (lambda d: d["claims"][2].pop("needs"), "claims[2]"),
        (lambda d: d["claims"][0].update(needs="More."), "claims[0]"),
        (lambda d: d["claims"][0]["expects"][0].pop("direction"), "claims[0].expects[0]"),
        (
            lambda d: d["claims"][0]["expects"][0].update(outcome="denied"),
            "claims[0].expects[0].outcome: 'denied' is not one of",
        ),
        (
            lambda d: d["claims"][0]["expects"][0].update(targets=["far-node"]),
            "claims[0].expects[0].targets[0]: 'far-node' is not one of",
        ),
        (
            lambda d: d["claims"][0]["expects"][0].update(dataplanes=["boat"]),
            "claims[0].expects[0].dataplanes: 'boat' is unknown; choose one of: plane, train",
        ),
        (
            lambda d: d["claims"][0]["expects"][0].update(policies=["moat"]),
            "claims[0].expects[0].policies: 'moat' is unknown; choose one of: fence, wall",
        ),
        (
            lambda d: d["claims"][3].update(sources=["rumour"]),
            "claims[3].sources: 'rumour' is unknown; choose one of: page",
        ),
        (
            lambda d: d["claims"][0]["expects"][0].update(options={"mode": "c"}),
            "claims[0].expects[0].options.mode: 'c' is unknown; choose one of: a, b",
        ),
        (
            lambda d: d["claims"][0]["expects"][0].update(dataplanes=["train"]),
            "claims[0].expects[0].options: 'mode' is unknown; choose one of: backend",
        ),
        (
            lambda d: d["claims"][1]["argued"].update(given={"R1": ["refuted"]}),
            "claims[1].argued.given: 'R1' is no claim with expectations",
        ),
        (
            lambda d: d["claims"][1]["argued"].update(given={"X1": ["untested"]}),
            "claims[1].argued.given.X1[0]: 'untested'",
        ),
        (
            lambda d: d["claims"][0]["expects"][0].update(clients=["cat"]),
            "claims[0].expects[0].clients: 'cat' is unknown; choose one of: ann, bob",
        ),
        (
            lambda d: d["documented"][0].update(dataplanes=["boat"]),
            "documented[0].dataplanes: 'boat' is unknown",
        ),
        (
            lambda d: d["documented"][0].update(clients=["cat"]),
            "documented[0].clients: 'cat' is unknown; choose one of: ann, bob",
        ),
        (
            lambda d: d["documented"][0].update(options={"mode": ["a", "c"]}),
            "documented[0].options.mode: 'c' is unknown; choose one of: a, b",
        ),
        (
            lambda d: d["documented"][0].update(options={"mode": []}),
            "documented[0].options.mode",
        ),
        (
            lambda d: d["documented"][0].update(dataplanes=["plane", "train"]),
            "documented[0].options: 'mode' is unknown; choose one of: backend",
        ),
        (
            lambda d: d["documented"][0].update(options={"mood": "a"}),
            "documented[0].options: 'mood' is unknown",
        ),
        (
            lambda d: d["documented"][0]["groups"][0].update(sources=["book"]),
            "documented[0].groups[0].sources: 'book' is unknown",
        ),
        (
            lambda d: d["documented"][0]["groups"][0].update(sources=[]),
            "documented[0].groups[0].sources",
        ),
        (
            lambda d: d["documented"][0]["groups"][0].update(labels=["SURE"]),
            "documented[0].groups[0].labels[0]: 'SURE' is not one of",
        ),
        (
            lambda d: d["documented"][0]["groups"][0]["cells"].update(moat={"pod-ip": "allowed"}),
            "documented[0].groups[0].cells: 'moat' is unknown",
        ),
        (
            lambda d: d["documented"][0]["groups"][0]["cells"]["fence"].update(moon="allowed"),
            "documented[0].groups[0].cells.fence",
        ),
        (
            lambda d: d["documented"].append({**ENTRY, "options": {}}),
            "documented[1].groups[0].cells.fence.own-node: already documented in documented[0]",
        ),
        (
            lambda d: d["documented"].append(
                {**ENTRY, "options": {"mode": ["b", "a"], "backend": ["there", "here"]}}
            ),
            "documented[1].groups[0].cells.fence.own-node: already documented in documented[0]",
        ),
        (
            lambda d: d["documented"].append({**ENTRY, "clients": ["bob"]}),
            "documented[1].groups[0].cells.fence.own-node: already documented in documented[0]",
        ),
    ],
)
def test_what_cannot_be_used_is_named_with_its_place(spoil: Spoil, message: str) -> None:
    """A misspelt name or a missing field is one error, never a claim about nothing."""
    document = copy.deepcopy(DOCUMENT)
    spoil(document)

    with pytest.raises(ClaimError, match=re.escape(f"claims.yml: {message}")):
        claims_file.parse(document)


def test_statements_that_never_apply_together_may_name_the_same_cell() -> None:
    """Another value of an option, another dataplane, direction, client: another statement."""
    document = copy.deepcopy(DOCUMENT)
    document["documented"] += [
        {**ENTRY, "options": {"mode": "b"}},
        {**ENTRY, "options": {"mode": ["a", "b"], "backend": "there"}},
        {**ENTRY, "dataplanes": ["train"], "options": {}},
        {**ENTRY, "direction": "ingress", "clients": ["ann"]},
        {**ENTRY, "direction": "ingress", "clients": ["bob"]},
    ]

    assert len(claims_file.parse(document).documented) == 12


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("report: {}\nreport: {}\n", "twice"),
        ("report: [\n", "not YAML"),
        ("--- {}\n--- {}\n", "must hold one document, it has 2"),
        ("", "must hold one document, it has 0"),
        ("just words\n", "is not of type 'object'"),
    ],
)
def test_a_file_that_is_no_such_document_is_refused(
    tmp_path: Path, text: str, message: str
) -> None:
    """The error names the file."""
    path = tmp_path / "claims.yml"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(ClaimError, match=message) as caught:
        claims_file.load(path)

    assert str(caught.value).startswith("claims.yml")


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    """No file, one sentence."""
    with pytest.raises(ClaimError, match=r"claims\.yml cannot be read: No such file"):
        claims_file.load(tmp_path / "claims.yml")


def test_the_schema_is_a_schema() -> None:
    """An editor can use it."""
    jsonschema.Draft202012Validator.check_schema(schemas.load("claims"))


# --- the project's own file ---------------------------------------------------------------


def test_every_row_of_the_report_is_claimed() -> None:
    """No sentence of the report was left out, and ids are stable."""
    expected = [f"{kind}{number}" for kind, last in REPORT.items() for number in range(1, last + 1)]

    assert expected == [
        claim.id for claim in claims_file.load(claims_path()).claims if not claim.sources
    ]


def test_what_others_say_is_numbered_without_gaps() -> None:
    """The ids are as stable as those of the report, and each sentence has its source."""
    others = [claim for claim in claims_file.load(claims_path()).claims if claim.sources]

    assert [f"G{number}" for number in range(1, len(others) + 1)] == [one.id for one in others]


def test_every_claim_that_is_settled_names_runs_that_show_it() -> None:
    """A reader finds the cells; a claim without an experiment has none to show."""
    known = {spec.id for spec in runs.load(repository_root() / "notebooks")}

    for claim in claims_file.load(claims_path()).claims:
        assert set(claim.runs) <= known, claim.id
        assert bool(claim.runs) is not bool(claim.needs), claim.id


def test_no_two_claims_say_the_same() -> None:
    """What several issues say is one claim with several sources."""
    said = [claim.sentence for claim in claims_file.load(claims_path()).claims]

    assert len(said) == len(set(said))


def test_dataplanes_and_options_are_those_of_the_lab() -> None:
    """What the lab can run is spelt here as there, with the same options, values, defaults."""
    named = claims_file.load(claims_path()).dataplanes
    known = {
        name: {option: tuple(choice.values) for option, choice in dataplane.options.items()}
        for name, dataplane in DATAPLANES.items()
    }

    assert known == named


def test_variations_are_those_of_the_lab() -> None:
    """What can be changed in the scenario is spelt here as there."""
    known = {name: choice.values for name, choice in VARIATIONS.items()}

    assert known == claims_file.load(claims_path()).variations


def test_clients_are_those_of_the_suites() -> None:
    """Every client named calls in some suite, and every one that calls may be named."""
    calling = {
        client.name for suite in SUITES.values() for client in suite.callers(suite_scenario(suite))
    }

    assert calling == set(claims_file.load(claims_path()).clients)


def test_every_statement_is_about_cells_that_a_suite_observes() -> None:
    """Some suite has the policy, in that direction, and one of the clients."""
    asked = set()
    for suite in SUITES.values():
        scenario = suite_scenario(suite)
        policies = {(NO_POLICY, Direction.EGRESS)} | {
            (policy.name, direction)
            for policy in scenario.policies
            for direction in policy.directions
        }
        names = [client.name for client in suite.callers(scenario)]
        asked |= {(*policy, name) for policy in policies for name in names}

    idle = [
        entry
        for entry in claims_file.load(claims_path()).documented
        if entry.clients
        and not asked & {(entry.policy, entry.direction, name) for name in entry.clients}
    ]

    assert idle == []


def test_policies_are_those_of_the_manifests() -> None:
    """Every policy named exists, and every policy that exists may be named."""
    expected = {name for suite in SUITES.values() for name in policy_names(suite_scenario(suite))}

    assert expected == set(claims_file.load(claims_path()).policies)


def test_notes_leave_verdicts_to_the_packets() -> None:
    """A note says what can be told apart, never how it came out."""
    verdict = re.compile(
        r"confirm|refute|refined|allowed|timeout|times? out|blocked|denied", re.IGNORECASE
    )

    spoken = [
        claim.id for claim in claims_file.load(claims_path()).claims if verdict.search(claim.note)
    ]

    assert spoken == []


def test_every_source_is_cited() -> None:
    """No source stands there for nothing."""
    read = claims_file.load(claims_path())
    cited = {source for entry in read.documented for source in entry.foundation.sources}
    cited |= {source for claim in read.claims for source in claim.sources}

    assert cited == set(read.sources.values())
