"""The Makefile and the entry point of continuous integration."""

import os
import re
import subprocess
from pathlib import Path

from nodeport_lab.locations import repository_root

ROOT = repository_root()
TARGETS = {
    "setup", "book", "notebooks", "catalogues", "verify", "test", "lint", "links", "bench", "lock",
    "clean",
    "help",
}  # fmt: skip


def make(*arguments: str) -> str:
    """What make prints, run in the repository."""
    return subprocess.run(
        ["make", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout


def test_help_describes_every_target() -> None:
    """`make help` has one line with a description for each target that a person may type."""
    described = re.findall(r"^make ([a-z]+) +\S+", make("help"), re.MULTILINE)
    assert sorted(TARGETS) == sorted(described)


def test_make_alone_prints_the_help() -> None:
    """Typing `make` to look around starts nothing."""
    assert make("help") == make()


def test_a_cluster_is_asked_by_one_notebook_after_the_other() -> None:
    """Its node ports are there once; labs in namespaces work side by side."""
    for testbed, parallel in (("", True), ("embedded", True), ("kind", False), ("live", False)):
        planned = make("--dry-run", "verify", f"NODEPORT_LAB_TESTBED={testbed}")
        assert parallel is ("--numprocesses" in planned)
        assert "--nbval" in planned


def test_continuous_integration_runs_make_test_without_input(tmp_path: Path) -> None:
    """`.ci/run` calls `make test` in the checkout, with CI set and nothing on stdin."""
    recorder = tmp_path / "make"
    recorder.write_text('#!/bin/sh\necho "$PWD" "$CI" "$@"\ncat\n')
    recorder.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    result = subprocess.run(
        [ROOT / ".ci" / "run"],
        cwd=tmp_path,
        env={"PATH": path},
        input="typed by nobody",
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"{ROOT} true test\n" == result.stdout
