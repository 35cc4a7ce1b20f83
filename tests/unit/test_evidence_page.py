"""The page of evidence: what it says without a record, with one, and where they disagree.

Records are made up, marked as such, and kept in a temporary folder only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from support.recorded import SYNTHETIC, cell, embedded, recorded

from nodeport_lab import claims_file, locations
from nodeport_lab.book import evidence
from nodeport_lab.book.evidence_tables import Beside, cells_table, claims_table, differing_table
from nodeport_lab.book.site import documents
from nodeport_lab.errors import LabError
from nodeport_lab.experiment import Question
from nodeport_lab.model import Run, Verdict
from nodeport_lab.records import Record, read, write

ROOT = locations.repository_root()
CLAIMS = claims_file.load(locations.claims_file()).claims
DENIED = cell("ipblock-nodes", verdict=Verdict.TIMEOUT)
ALLOWED = cell("ipblock-nodes")


def found(live: Run, here: Run | None) -> tuple[Beside, ...]:
    """A record beside the answer that the embedded testbed is said to give."""
    asked: list[Question] = []

    def answer(questions: Sequence[Question]) -> list[Run]:
        asked.extend(questions)
        return [here for _ in questions if here]

    made = evidence.beside([Record(live, ROOT / "results" / "made-up.json")], answer)
    assert [live.suite] * bool(here) == [question.suite for question in asked]
    return made


def text(live: Run, here: Run | None) -> str:
    """The page for one record."""
    return evidence.page(found(live, here), CLAIMS, ROOT)


def test_without_a_record_nothing_was_observed() -> None:
    """The page says so first, and how to make one."""
    page = evidence.page((), CLAIMS, ROOT)

    assert "Not yet observed live" in page
    assert "--record results/" in page


def test_the_committed_page_is_the_one_that_is_made() -> None:
    """For the records that the repository holds, and nobody typed it."""
    if any((ROOT / "results").rglob("*.json")):
        pytest.skip("there are records; `make book` makes the page anew and shows it")

    assert evidence.current_page(ROOT) == (ROOT / evidence.PAGE).read_text(encoding="utf-8")


def test_the_page_is_in_the_book() -> None:
    """A page that nobody can reach is none."""
    assert str(evidence.PAGE.with_suffix("")) in documents(ROOT)


def test_nothing_made_up_is_kept() -> None:
    """Whatever lies in results/ was observed on a cluster."""
    for file in (ROOT / "results").rglob("*.json"):
        for record in read(file):
            assert "live" == record.run.basis
            assert SYNTHETIC not in record.run.versions.values()


def test_agreement_is_counted() -> None:
    """Where both sides give the same answers, the page says how many."""
    page = text(recorded(DENIED, ALLOWED), embedded(DENIED, ALLOWED))

    assert "2 of 2 cells came out on live clusters as on the embedded testbed, in 1 record" in page
    assert "There is no disagreement." in page
    assert "Not yet observed live" not in page
    assert SYNTHETIC in page


def test_disagreements_come_first() -> None:
    """Before the claims and before the cells, with both answers."""
    page = text(recorded(DENIED), embedded(ALLOWED))

    assert "0 of 1 cells came out" in page
    first = page.index("Where a live cluster and the embedded testbed differ")
    assert first < page.index("## Claim by claim") < page.index("## Cell by cell")


def test_a_disagreement_names_connection_policy_and_both_answers() -> None:
    """As `compare` finds it, the embedded testbed being side A."""
    ((heading, cells),) = differing_table(found(recorded(DENIED), embedded(ALLOWED))).rows

    assert "client-a to hello\nnodeport:dev-worker2" == heading
    assert ["ipblock-nodes", "verdict", "allowed", "timeout"] == [one.words for one in cells[:4]]


def test_cells_show_one_answer_or_both() -> None:
    """The same answer once; two answers each under its name."""
    live = recorded(DENIED, cell("both"), cell("both", client="client-b"))
    here = embedded(ALLOWED, cell("both"), cell("both", client="client-b"))

    table = cells_table(*found(live, here))

    assert ("hello\nnodeport:dev-worker2",) * 2 == table.headings
    assert ["client-a", "client-b"] == [group.words for group in table.groups]
    shown = {policy: [(one.words, one.kind) for one in cells] for policy, cells in table.rows}
    assert {
        "ipblock-nodes": [
            ("embedded: ✓ allowed\nlive: ✗ timeout", "differs"),
            ("not asked", ""),
        ],
        "both": [("✓ allowed", "agrees"), ("✓ allowed", "agrees")],
    } == shown


def test_claims_stand_beside_each_other() -> None:
    """S1 says that an ipBlock of the nodes lets another node's NodePort be reached."""
    agreeing = claims_table(found(recorded(ALLOWED), embedded(ALLOWED)), CLAIMS)
    differing = claims_table(found(recorded(DENIED), embedded(ALLOWED)), CLAIMS)

    for table, kind in ((agreeing, "agrees"), (differing, "differs")):
        (cells,) = [cells for claim, cells in table.rows if claim == "S1"]
        assert [kind] == [one.kind for one in cells[1:]]
    assert "0 of" in differing.caption


def test_cells_of_one_side_are_told_with_their_clients() -> None:
    """A cluster may lack clients; a record may have more policies."""
    page = text(recorded(ALLOWED), embedded(ALLOWED, cell("ipblock-nodes", client="external")))

    assert (
        "1 of 1 cells agree. 1 more were asked on the embedded testbed only, of `external`." in page
    )


@pytest.mark.parametrize(
    "live",
    [
        recorded(dataplane="of-later-days"),
        recorded(options={"of-later-days": "yes"}),
        recorded(suite="of-later-days"),
        recorded(cell("of-later-days")),
    ],
)
def test_a_record_that_cannot_be_asked_again_stands_alone(live: Run) -> None:
    """The page shows that it is there, and why nothing stands beside it."""
    assert "Nothing stands beside it: there is no" in text(live, None)


def test_records_of_other_testbeds_are_not_evidence(tmp_path: Path) -> None:
    """A run of the embedded testbed proves nothing about a live cluster."""
    write(replace(embedded(), date="2026-11-23T10:15:00Z"), tmp_path / "results")

    assert "Not yet observed live" in evidence.current_page(tmp_path)


def test_a_file_that_is_no_record_fails_the_page(tmp_path: Path) -> None:
    """It is not passed over in silence."""
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "odd.json").write_text("{}", encoding="utf-8")

    with pytest.raises(LabError, match=r"odd\.json"):
        evidence.current_page(tmp_path)
