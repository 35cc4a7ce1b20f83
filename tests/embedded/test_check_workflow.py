"""The workflow that the chapter gives for pull requests, step by step, with the real command.

What changes the machine is not run but noted: `sudo` and `pipx` are scripts here. The actions
of GitHub are not run at all; the checkout is a clone with a remote, as theirs is.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from nodeport_lab.locations import repository_root

ROOT = repository_root()
NOTED = '#!/bin/sh\necho "$(basename "$0") $*" >> \'{notes}\'\n'
BRANCH = "main"


def workflow() -> dict[str, Any]:
    """The chapter's, as it would be copied."""
    chapter = (ROOT / "chapters" / "your-own.md").read_text()
    (text,) = re.findall(r"^```yaml\n(name: .*?)^```$", chapter, re.MULTILINE | re.DOTALL)
    document: dict[str, Any] = yaml.safe_load(text)
    return document


def git(where: Path, *arguments: str) -> None:
    """Run git, as somebody."""
    who = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.com"]
    subprocess.run(["git", *who, *arguments], cwd=where, check=True, capture_output=True)


def checkout(tmp_path: Path, *, with_finding: bool) -> Path:
    """A clone of a repository, with the change of the example in it, and perhaps a finding."""
    remote, clone = tmp_path / "remote", tmp_path / "clone"
    examples = ROOT / "examples"
    shutil.copytree(examples / "pull-request" / "before", remote / "manifests")
    git(remote, "init", "--initial-branch", BRANCH)
    git(remote, "add", ".")
    git(remote, "commit", "-m", "before")
    git(tmp_path, "clone", str(remote), str(clone))
    shutil.rmtree(clone / "manifests")
    shutil.copytree(examples / "pull-request" / "after", clone / "manifests")
    if with_finding:
        shutil.copy(examples / "node-decides" / "hello.yaml", clone / "manifests")
    return clone


@pytest.mark.parametrize("with_finding", [False, True])
def test_every_step_of_the_chapters_workflow_runs(tmp_path: Path, *, with_finding: bool) -> None:
    """What it installs is noted, the check fails for findings alone, the difference is told."""
    clone = checkout(tmp_path, with_finding=with_finding)
    programs, notes = tmp_path / "bin", tmp_path / "notes"
    programs.mkdir()
    for name in ("sudo", "pipx"):
        (programs / name).write_text(NOTED.format(notes=notes))
        (programs / name).chmod(0o755)
    (programs / "nodeport-lab").symlink_to(Path(sys.executable).parent / "nodeport-lab")
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
    (job,) = workflow()["jobs"].values()
    commands = [step["run"] for step in job["steps"] if "run" in step]

    ended = [
        # As GitHub runs a step without `shell`.
        subprocess.run(
            ["bash", "-e", "-c", text.replace("${{ github.base_ref }}", BRANCH)],
            cwd=clone,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        for text in commands
    ]

    codes = dict(zip(commands, (one.returncode for one in ended), strict=True))
    *installing, check, difference = ended
    assert [0, 0, 0] == [one.returncode for one in installing], codes
    assert notes.read_text().splitlines() == [
        "sudo apt-get update",
        "sudo apt-get install --yes nftables",
        "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        "pipx install nodeport-lab",
    ]
    assert (1 if with_finding else 0) == check.returncode, check.stderr
    assert ("nothing to report" in check.stdout) is not with_finding
    assert "shop/batch to pods of shop/db on 5432/TCP" in difference.stdout
    assert 0 == difference.returncode, difference.stderr
    assert (clone / "check.xml").read_text().startswith("<?xml")
    assert "<html" in (clone / "check.html").read_text()
