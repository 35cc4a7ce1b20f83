"""The workflows: valid, pinned, with few rights, and made of the project's own commands."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from nodeport_lab.cli import command_line
from nodeport_lab.dataplanes import DATAPLANES
from nodeport_lab.dataplanes.options import CILIUM_VERSION
from nodeport_lab.locations import repository_root
from nodeport_lab.testbeds.kind import pins

ROOT = repository_root()
FOLDER = ROOT / ".github" / "workflows"
WORKFLOWS = sorted(FOLDER.glob("*.y*ml"))
LAB = ".venv/bin/nodeport-lab"
ALLOW_NAMESPACES = "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
"""What `doctor` says to do on Ubuntu; see `testbeds/embedded/preflight.py`."""

EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")
PINNED = re.compile(r"[a-z0-9-]+/[a-z0-9-]+@[0-9a-f]{40}")
WRITING = {"pages": "write", "id-token": "write"}
"""The only rights to change anything: those that actions/deploy-pages asks for."""

each = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)


def load(path: Path) -> dict[str, Any]:
    """A workflow, whose key `on` YAML 1.1 reads as true."""
    document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return document


def jobs(path: Path) -> dict[str, dict[str, Any]]:
    """Name -> job."""
    found: dict[str, dict[str, Any]] = load(path)["jobs"]
    return found


def steps(path: Path) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Every step with its job."""
    for job in jobs(path).values():
        for step in job["steps"]:
            yield job, step


def combinations(job: dict[str, Any]) -> list[dict[str, str]]:
    """What the matrix of a job comes to; one empty combination without a matrix.

    What is included adds to the combinations that it agrees with, or is one of its own
    (GitHub's workflow syntax, `jobs.<job_id>.strategy.matrix.include`).
    """
    matrix = dict(job.get("strategy", {}).get("matrix", {}))
    included = matrix.pop("include", [])
    found: list[dict[str, str]] = [{}]
    for name, values in matrix.items():
        found = [{**one, name: str(value)} for one in found for value in values]
    alone = []
    for extra in included:
        alike = [one for one in found if all(one[name] == extra[name] for name in matrix)]
        for one in alike:
            one.update({name: str(value) for name, value in extra.items()})
        if not alike:
            alone.append({name: str(value) for name, value in extra.items()})
    return [*found, *alone]


def filled(line: str, values: dict[str, str]) -> str:
    """A line with the values of a combination in place of expressions; none is nothing."""
    return EXPRESSION.sub(lambda found: values.get(found[1].removeprefix("matrix."), ""), line)


def commands(path: Path) -> Iterator[str]:
    """Every command line, for every combination of its job's matrix."""
    for job, step in steps(path):
        for line in step.get("run", "").splitlines():
            for values in combinations(job):
                yield filled(line, values)


def test_there_is_one_for_the_book_and_one_for_regressions() -> None:
    """A test over no files at all would say nothing."""
    assert ["book.yml", "regression.yml"] == [path.name for path in WORKFLOWS]


@each
@pytest.mark.parametrize(
    "schema", ["vendor.github-workflows", "custom.github-workflows-require-timeout"]
)
def test_it_follows_the_workflow_schema(path: Path, schema: str) -> None:
    """The published schema, as check-jsonschema carries it; and every job has an end."""
    checked = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(path)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == checked.returncode, checked.stdout + checked.stderr


def test_the_schema_is_one_that_can_refuse(tmp_path: Path) -> None:
    """What GitHub would not take is found by the same command."""
    spoiled = tmp_path / "spoiled.yml"
    text = (FOLDER / "book.yml").read_text(encoding="utf-8")
    spoiled.write_text(text.replace("runs-on:", "runs-at:"), encoding="utf-8")

    with pytest.raises(AssertionError, match="runs-at"):
        test_it_follows_the_workflow_schema(spoiled, "vendor.github-workflows")


@each
def test_every_action_is_pinned_by_commit(path: Path) -> None:
    """A tag can be moved, a commit cannot; the comment says which version it is."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if "uses:" in line]

    assert lines
    for line in lines:
        name, _, comment = line.partition("uses:")[2].partition("#")
        assert PINNED.fullmatch(name.strip()), line
        assert re.fullmatch(r"\s*v\d+\.\d+\.\d+", comment), line


@each
def test_an_action_has_one_pin_everywhere(path: Path) -> None:
    """Two pins of one action would be one forgotten."""
    pins = {
        tuple(step["uses"].split("@"))
        for workflow in WORKFLOWS
        for _, step in steps(workflow)
        if "uses" in step
    }

    assert len(pins) == len({name for name, _ in pins}), path.name


@each
def test_rights_are_given_job_by_job(path: Path) -> None:
    """Nothing by default; to read by job; to write only what publishing the book needs."""
    assert {} == load(path)["permissions"]
    for job in jobs(path).values():
        rights = job["permissions"]
        writing = {name: kind for name, kind in rights.items() if kind != "read"}
        publishes = any("deploy-pages@" in step.get("uses", "") for step in job["steps"])
        assert (WRITING if publishes else {}) == writing
        assert {"contents"} >= set(rights) - set(writing)


@each
def test_no_credentials_stay_in_the_checkout(path: Path) -> None:
    """No later step has use for the token."""
    for _, step in steps(path):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@each
def test_nothing_of_an_event_reaches_a_shell(path: Path) -> None:
    """A command holds values of the matrix and no others, so no title or branch is executed."""
    for _, step in steps(path):
        for expression in EXPRESSION.findall(step.get("run", "")):
            assert re.fullmatch(r"matrix\.[a-z]+", expression)


@each
def test_steps_are_the_projects_own_commands(path: Path) -> None:
    """One program, no shell logic: whoever reads a step can run it at home."""
    targets = set(re.findall(r"^([a-z-]+):.* ## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for line in commands(path):
        words = shlex.split(line)
        assert not set(line) & set("|&;<>`$("), line
        assert (
            line == ALLOW_NAMESPACES
            or words[0] == LAB
            or (words[0] == "make" and set(words[1:]) <= targets)
        ), line


def test_the_command_line_takes_every_call() -> None:
    """Commands and options are those of this version."""
    known: dict[str, Any] = vars(typer.main.get_command(command_line()))["commands"]
    calls = {line for path in WORKFLOWS for line in commands(path) if line.startswith(LAB)}

    assert calls
    for line in calls:
        _, name, *arguments = shlex.split(line)
        assert name in known, f"there is no command {name}"
        known[name].make_context(name, arguments)


def test_every_dataplane_is_watched_as_pinned_and_at_the_newest_version() -> None:
    """A dataplane, or a version, that is added is added here too."""
    (job,) = jobs(FOLDER / "regression.yml").values()
    made = [
        (one["dataplane"], one["versions"], one.get("options", "")) for one in combinations(job)
    ]
    pinned = {(name, "pinned", "") for name in DATAPLANES}
    newest = dict.fromkeys(DATAPLANES, "")
    for name, dataplane in DATAPLANES.items():
        if CILIUM_VERSION in dataplane.options:
            for version in dataplane.options[CILIUM_VERSION].values[1:]:
                newest[name] = f"-o {CILIUM_VERSION}={version}"
                pinned.add((name, version, newest[name]))

    assert pinned | {(name, "newest", option) for name, option in newest.items()} == set(made)
    assert len(set(made)) == len(made)
    assert job["strategy"]["fail-fast"] is False


def test_the_newest_versions_reach_up_and_nothing_else_does() -> None:
    """By a variable, which no shell expands; of the versions that `up` takes."""
    (job,) = jobs(FOLDER / "regression.yml").values()
    variables = {name: text for step in job["steps"] for name, text in step.get("env", {}).items()}
    chosen = variables.pop("NODEPORT_LAB_CNI_VERSION")
    calico, cilium = re.findall(r"\|\| '([\d.v]+)'", chosen)

    assert {"NODEPORT_LAB_TESTBED": "kind"} == variables
    assert pins.load().with_calico(calico).calico[0].sha256 is None
    assert pins.load().with_cilium(cilium, "1.20").cilium["1.20"].sha256 is None
    assert chosen.startswith("${{ matrix.versions == 'newest' && ")


def test_a_cluster_is_removed_whatever_happens() -> None:
    """Also after a failure, or when somebody cancels."""
    (job,) = jobs(FOLDER / "regression.yml").values()
    last = job["steps"][-1]

    assert f"{LAB} down" == last["run"]
    assert "${{ always() }}" == last["if"]


def test_only_the_main_branch_is_published() -> None:
    """And only after the tests have passed."""
    deploy = jobs(FOLDER / "book.yml")["deploy"]

    assert "refs/heads/main" in deploy["if"]
    assert {"test", "build"} == set(deploy["needs"])
