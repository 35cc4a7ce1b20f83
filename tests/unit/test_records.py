"""Records are kept whole, under names that sort, and never in place of another."""

import json
import os
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from support.recorded import embedded, recorded

from nodeport_lab import observations
from nodeport_lab.errors import LabError
from nodeport_lab.records import check_folder, file_name, read, stamped, write

NOON = datetime(2026, 11, 23, 12, 0, 1, 999, tzinfo=UTC)


def test_a_record_comes_back_as_it_was_made(tmp_path: Path) -> None:
    """One run, one file, the published form; a folder that is missing is made."""
    run = recorded()

    file = write(run, tmp_path / "new" / "results")

    (record,) = read(file)
    assert (run, file) == (record.run, record.file)
    assert (record,) == read(tmp_path)
    assert json.loads(file.read_text(encoding="utf-8")) == observations.to_json([run])


def test_the_name_says_date_testbed_dataplane_versions_and_suite() -> None:
    """The date comes first, so that names sort by it."""
    assert (
        "20261123T101500Z_kind_calico-iptables_kubernetes-1.36.4-calico-3.32.1_report"
        == file_name(recorded())
    )
    assert file_name(recorded()) < file_name(recorded(date="2026-11-23T10:15:01Z"))


def test_a_name_has_harmless_characters_only() -> None:
    """Whatever a version says, the name is one file in its folder, on any system."""
    odd = recorded(versions={"cilium": "../../v1 (main)/ä:*" + "9" * 300})

    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}", file_name(odd))


def test_a_name_is_never_taken_twice(tmp_path: Path) -> None:
    """Runs of one second get numbers; what was there stays as it was."""
    files = [write(recorded(suite="egress"), tmp_path) for _ in range(3)]
    before = files[0].read_bytes()

    write(recorded(suite="egress", testbed="kind", basis="modelled"), tmp_path)

    assert ["", "-2", "-3"] == [file.stem.partition("_egress")[2] for file in files]
    assert before == files[0].read_bytes()
    assert 4 == len(list(tmp_path.iterdir()))


def test_a_failure_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record is there whole or not at all, and the error is one sentence."""

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(LabError, match=r"no space left on device; make room"):
        write(recorded(), tmp_path)
    with pytest.raises(LabError, match=r"no space left on device; make room"):
        check_folder(tmp_path)
    assert [] == list(tmp_path.iterdir())


def test_a_folder_is_tried_before_anything_runs(tmp_path: Path) -> None:
    """A folder that can be made is good, and nothing is made or left by asking."""
    check_folder(tmp_path)
    check_folder(tmp_path / "deep" / "down")

    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("where", ["file", "file/below", "/proc", "/proc/below"])
def test_a_folder_that_cannot_take_records_is_refused(tmp_path: Path, where: str) -> None:
    """A file in its place, or a place where not even root can write."""
    (tmp_path / "file").touch()

    with pytest.raises(LabError, match=r"name another|another folder") as caught:
        check_folder(tmp_path / where)

    assert "\n" not in str(caught.value)


def test_a_stamp_adds_date_and_kernel_and_keeps_what_is_known() -> None:
    """The date is UTC to the second; a run that has one keeps it."""
    elsewhere = NOON.astimezone(timezone(timedelta(hours=8)))

    made = stamped(embedded(), elsewhere)

    assert "2026-11-23T12:00:01Z" == made.date
    assert os.uname().release == made.versions["host-kernel"]
    assert replace(made, date=None, versions=embedded().versions) == embedded()
    assert recorded().date == stamped(recorded(), NOON).date
    assert "6.1" == stamped(recorded(versions={"host-kernel": "6.1"})).versions["host-kernel"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [("{", "is no JSON"), ("{}", "do not follow schema 1"), ("\x00", "is no JSON")],
)
def test_a_file_that_is_no_record_is_named(tmp_path: Path, text: str, reason: str) -> None:
    """Among many files in a folder, the error says which one it is."""
    write(recorded(), tmp_path)
    (tmp_path / "odd.json").write_text(text, encoding="utf-8")

    with pytest.raises(LabError, match=rf"odd\.json.* {reason}"):
        read(tmp_path)


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    """Bytes that are no UTF-8 are no record either."""
    (tmp_path / "odd.json").write_bytes(b"\xff\xfe\x00")

    with pytest.raises(LabError, match=r"odd\.json is no JSON"):
        read(tmp_path)


def test_no_record_is_said_to_be_none(tmp_path: Path) -> None:
    """An empty folder, or nothing at all, is wrong input and not an empty comparison."""
    (tmp_path / "README.md").touch()

    with pytest.raises(LabError, match="holds no record"):
        read(tmp_path)
    with pytest.raises(LabError, match="there is no file or folder"):
        read(tmp_path / "nowhere")
