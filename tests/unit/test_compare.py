"""Two sets of records side by side: what counts as a difference, and how it is told."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
from support.recorded import (
    CLUSTER_NETWORK,
    EMBEDDED_NETWORK,
    NODE_PORT,
    cell,
    embedded,
    moved,
    recorded,
)
from typer.testing import CliRunner

from nodeport_lab.cli.compare import compare_command
from nodeport_lab.errors import LabError
from nodeport_lab.model import ClusterFacts, Direction, Observation, Run, Verdict
from nodeport_lab.records import Comparison, Record, compare, role, write
from nodeport_lab.records.wording import closing_line

WORKER2 = EMBEDDED_NETWORK.nodes["dev-worker2"]
SERVER = next(address for key, address in EMBEDDED_NETWORK.pods.items() if "hello" in key)

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(compare_command)


def found(before: Run, after: Run) -> Comparison:
    """The comparison of two single runs."""
    return compare([Record(before, Path("a"))], [Record(after, Path("b"))], role)


def told(comparison: Comparison) -> list[tuple[str, str, str]]:
    """Every change of every pair."""
    return [
        (change.what, change.before, change.after)
        for pair in comparison.pairs
        for one in pair.differences
        for change in one.changes
    ]


def test_a_run_does_not_differ_from_itself() -> None:
    """Also where several cells have the same names, as with two backends."""
    twice = recorded(cell(route="pod-ip", dialled_node=None, relation=None), cell(), cell())

    same = found(twice, twice)

    assert ([], 0) == (told(same), same.one_sided)
    assert 3 == same.pairs[0].compared


def test_verdict_and_control_are_compared() -> None:
    """Both, since a cell that lost its path says nothing about policy any more."""
    after = cell(verdict=Verdict.TIMEOUT, control=Verdict.ERROR)

    assert [
        ("verdict", "allowed", "timeout"),
        ("control", "allowed", "error"),
    ] == told(found(recorded(cell()), recorded(after)))


@pytest.mark.parametrize(
    "changes",
    [
        {"seen_source": "10.244.1.2:1", "application_source": "10.244.1.2:1", "elapsed_ms": 9.0},
        {"port": 31999, "detail": "slow", "hook": "elsewhere", "rule": "egress[0]"},
        {"backend_node": None, "decisions": ()},
        {"seen_destination": f"{SERVER}:8080"},
    ],
)
def test_ports_times_and_evidence_of_one_side_are_not_compared(changes: dict[str, Any]) -> None:
    """A cluster gives its own numbers, and may not let everything be read."""
    before = embedded(cell())

    assert [] == told(found(before, embedded(cell(**changes))))
    assert [] == told(found(embedded(cell(**changes)), before))


def on_cluster(address: object, port: int, dialled: int = NODE_PORT) -> Observation:
    """A cell of a cluster with other addresses and another node port."""
    return cell(seen_destination=f"{address}:{port}", port=dialled)


def test_addresses_are_compared_by_what_they_stand_for() -> None:
    """The dialled node is the dialled node, whatever its address and node port."""
    node, pod = CLUSTER_NETWORK.nodes["dev-worker2"], SERVER + (1 << 16)
    here = embedded(cell(seen_destination=f"{WORKER2}:{NODE_PORT}"))

    assert [] == told(found(here, recorded(on_cluster(node, 31999, 31999))))
    assert [("seen", "dialled node:dialled port", "server pod:8080")] == told(
        found(here, recorded(on_cluster(pod, 8080)))
    )
    assert [("seen", "dialled node:dialled port", "another address:dialled port")] == told(
        found(here, recorded(on_cluster("198.51.100.1", NODE_PORT)))
    )


def test_a_source_is_compared_without_its_port() -> None:
    """For ingress the source tells; its port is the client's own."""
    pod = EMBEDDED_NETWORK.pods["nodeport-lab/client-a"]
    before = cell(direction=Direction.INGRESS, seen_source=f"{pod}:40000")
    node = CLUSTER_NETWORK.nodes["dev-worker"]

    assert [] == told(
        found(
            embedded(before),
            recorded(replace(before, seen_source=f"{pod + (1 << 16)}:51515")),
        )
    )
    assert [("seen", "client pod", "client's node")] == told(
        found(embedded(before), recorded(replace(before, seen_source=f"{node}:1")))
    )


def test_two_clusters_are_compared_as_well() -> None:
    """Neither has to be the embedded testbed."""
    third = moved(EMBEDDED_NETWORK, 1 << 17)
    other = ClusterFacts({}, network=third)

    assert [] == told(
        found(
            recorded(on_cluster(CLUSTER_NETWORK.nodes["dev-worker2"], NODE_PORT)),
            recorded(on_cluster(third.nodes["dev-worker2"], NODE_PORT), cluster=other),
        )
    )


@pytest.mark.parametrize(
    "unknown", [{"cluster": None}, {"cluster": ClusterFacts({})}, {"suite": "of-later-days"}]
)
def test_without_knowing_whose_address_it_is_nothing_is_said(unknown: dict[str, object]) -> None:
    """A record without addresses, or of a suite of a later version, is compared by verdicts."""
    run = replace(recorded(on_cluster("198.51.100.1", 1)), **unknown)  # type: ignore[arg-type]
    here = embedded(cell(seen_destination=f"{WORKER2}:{NODE_PORT}"), suite=run.suite)

    assert [] == told(found(here, run))
    assert 1 == len(found(here, run).pairs)


def test_cells_of_one_side_are_listed() -> None:
    """What only one of them asked is no agreement."""
    both = found(recorded(cell("a"), cell("b")), recorded(cell("b"), cell("c"), cell("c")))

    (pair,) = both.pairs
    assert 1 == pair.compared
    assert ["a"] == [one.policy for one in pair.only_before]
    assert ["c", "c"] == [one.policy for one in pair.only_after]
    assert 3 == both.one_sided


@pytest.mark.parametrize("changes", [{"dataplane": "cilium"}, {"options": {}}, {"suite": "egress"}])
def test_runs_are_paired_by_dataplane_options_and_suite(changes: dict[str, object]) -> None:
    """Another subject is another run, and stands on its side alone."""
    other = replace(recorded(), **changes)  # type: ignore[arg-type]

    alone = found(recorded(), other)

    assert () == alone.pairs
    assert [recorded()] == [record.run for record in alone.only_before]
    assert [other] == [record.run for record in alone.only_after]


def test_versions_dates_and_testbeds_do_not_keep_runs_apart() -> None:
    """They are what one wants to compare."""
    newer = recorded(versions={"calico": "v3.33.1"}, date="2026-12-01T00:00:00Z", testbed="live")

    assert 1 == len(found(recorded(), newer).pairs)


def test_the_last_record_of_a_subject_counts() -> None:
    """A folder that grew over time is compared by what was observed last, and says so."""
    old, new = (
        recorded(cell()),
        recorded(cell(verdict=Verdict.TIMEOUT), date="2026-12-01T00:00:00Z"),
    )
    side = [Record(new, Path("new")), Record(old, Path("old"))]

    compared = compare(side, [Record(new, Path("b"))], role)

    assert [] == told(compared)
    assert [Path("old")] == [record.file for record in compared.older]


def test_a_version_is_held_to_its_own_record_and_a_new_one_to_the_last() -> None:
    """Or watching a pinned version would tell what a newer one has changed."""

    def made(calico: str, verdict: Verdict, date: str) -> Record:
        run = recorded(cell(verdict=verdict), versions={"calico": calico}, date=f"{date}T00:00:00Z")
        return Record(run, Path(calico))

    side = [
        made("3.32.1", Verdict.ALLOWED, "2026-11-01"),
        made("3.33.1", Verdict.TIMEOUT, "2026-12-01"),
    ]
    for version, differences in (("3.32.1", 0), ("3.33.1", 1), ("3.34.0", 1)):
        compared = compare(side, [made(version, Verdict.ALLOWED, "2027-01-01")], role)
        assert differences == compared.differences
        assert 1 == len(compared.older)


# --- the command -------------------------------------------------------------------------


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Two folders for records, both made."""
    a, b = tmp_path / "a", tmp_path / "b"
    a.mkdir()
    b.mkdir()
    return a, b


def test_nothing_differs_is_0(folders: tuple[Path, Path]) -> None:
    """Files and folders may be mixed."""
    a, b = folders
    file = write(recorded(), a)
    write(recorded(date="2026-12-01T00:00:00Z"), b)

    ended = CliRunner().invoke(app, [str(file), str(b)])

    assert 0 == ended.exit_code
    assert "1 pair of runs: none of 1 cell differ; 0 more cells" in " ".join(ended.output.split())


def test_a_difference_is_1_and_told_with_names(folders: tuple[Path, Path]) -> None:
    """The cell, what it was, what it is, and which versions came between."""
    a, b = folders
    write(recorded(), a)
    versions = {**recorded().versions, "calico": "v3.33.1"}
    write(recorded(cell(verdict=Verdict.TIMEOUT), versions=versions), b)

    ended = CliRunner().invoke(app, [str(a), str(b)], env={"COLUMNS": "200"})

    assert 1 == ended.exit_code
    assert "Versions that differ: calico v3.32.1 → v3.33.1" in ended.output
    row = next(line for line in ended.output.splitlines() if "verdict" in line)
    assert ["both", "client-a", "hello", "by", "nodeport:dev-worker2"] == row.split()[:5]
    assert ["verdict", "allowed", "timeout"] == row.split()[5:]


def test_one_side_alone_is_1_unless_only_the_common_counts(folders: tuple[Path, Path]) -> None:
    """`--common` is for a few new records against a folder of all."""
    a, b = folders
    write(recorded(cell("a"), cell("b")), a)
    write(recorded(cell("b")), b)
    write(recorded(dataplane="cilium", options={}), a)

    strict = CliRunner().invoke(app, [str(a), str(b)])
    common = CliRunner().invoke(app, ["--common", str(a), str(b)])

    assert (1, 0) == (strict.exit_code, common.exit_code)
    assert "Only in A: cilium, suite report" in common.output
    assert "Only in A: client-a to hello by nodeport:dev-worker2 under a" in common.output


def test_json_says_the_same(folders: tuple[Path, Path], tmp_path: Path) -> None:
    """Nothing but JSON on standard output, or a file."""
    a, b = folders
    write(recorded(cell(), cell("b")), a)
    write(recorded(cell(verdict=Verdict.REFUSED), cell("c")), b)

    ended = CliRunner().invoke(app, [str(a), str(b), "--json", "-"])
    CliRunner().invoke(app, [str(a), str(b), "--json", str(tmp_path / "found.json")])

    document = json.loads(ended.stdout)
    assert document == json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    (pair,) = document["pairs"]
    (one,) = pair["differing"]
    assert {"verdict": {"a": "allowed", "b": "refused"}} == one["changes"]
    assert ("both", "dev-worker2") == (one["cell"]["policy"], one["cell"]["dialled_node"])
    assert ["b"] == [found["policy"] for found in pair["only_a"]]
    assert ["c"] == [found["policy"] for found in pair["only_b"]]
    assert (1, 1) == (document["compared"], document["differing"])


def test_an_issue_is_written_only_if_something_differs(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    """A workflow can go by the file; a table of GitHub's Markdown stands in it."""
    a, b = folders
    text = tmp_path / "issue.md"
    write(recorded(), a)
    write(recorded(date="2026-12-01T00:00:00Z"), b)
    CliRunner().invoke(app, [str(a), str(b), "--markdown", str(text)])
    assert not text.exists()

    write(recorded(cell(verdict=Verdict.TIMEOUT), date="2026-12-02T00:00:00Z"), b)
    CliRunner().invoke(app, [str(a), str(b), "--markdown", str(text)])

    lines = text.read_text(encoding="utf-8").splitlines()
    assert (
        "| both | client-a | hello by nodeport:dev-worker2 | verdict | allowed | timeout |" in lines
    )
    assert any("calico v3.32.1" in line for line in lines)


@pytest.mark.parametrize("kind", ["nowhere", "empty", "broken", "other", "unwritable"])
def test_wrong_input_is_one_sentence(folders: tuple[Path, Path], kind: str) -> None:
    """The program leaves with 2 on every error of this kind."""
    a, b = folders
    write(recorded(), a)
    arguments = [str(a), str(b)]
    if kind == "nowhere":
        arguments[1] = str(b / "nowhere")
    elif kind == "broken":
        (b / "record.json").write_text("[]", encoding="utf-8")
    elif kind == "other":
        write(recorded(suite="egress"), b)
    elif kind == "unwritable":
        arguments = [str(a), str(a), "--json", str(b / "nowhere" / "found.json")]

    ended = CliRunner().invoke(app, arguments)

    assert isinstance(ended.exception, LabError)
    assert "\n" not in str(ended.exception)


def test_the_last_line_counts_everything() -> None:
    """Pairs, cells, and what stands alone."""
    both = found(recorded(cell("a"), cell("b")), recorded(cell("b", verdict=Verdict.TIMEOUT)))

    assert (
        "1 pair of runs: 1 of 1 cell differ; 1 more cell and 0 runs are on one side only."
        == closing_line(both)
    )
