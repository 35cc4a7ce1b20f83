"""The lock file: complete, exact, and free of any machine's or registry's address."""

import re
import tomllib
from itertools import chain
from typing import Any

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement

from nodeport_lab.locations import repository_root

ROOT = repository_root()
TESTED_PYTHONS = ["3.11", "3.12", "3.13"]


def project() -> dict[str, Any]:
    """The parsed pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def locked_lines() -> list[str]:
    """One entry of the lock file a line, its hashes included, without comments."""
    text = (ROOT / "requirements.txt").read_text().replace("\\\n", " ")
    return [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]


def locked(python: str) -> dict[str, list[str]]:
    """Name -> versions that the lock file chooses on Linux for a Python version."""
    environment = {name: str(value) for name, value in default_environment().items()}
    environment |= {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": "linux",
    }
    chosen: dict[str, list[str]] = {}
    for line in locked_lines():
        requirement = Requirement(line.split("--hash=")[0].strip())
        if requirement.marker is None or requirement.marker.evaluate(environment):
            version = str(requirement.specifier).removeprefix("==")
            chosen.setdefault(requirement.name.lower(), []).append(version)
    return chosen


def asked_for() -> list[Requirement]:
    """What `make setup` needs: to run, to test and to install the checkout."""
    metadata = project()
    groups = chain.from_iterable(metadata["dependency-groups"].values())
    asked = [
        *metadata["project"]["dependencies"],
        *metadata["build-system"]["requires"],
        *groups,
    ]
    return [Requirement(text) for text in asked]


def test_every_entry_is_one_exact_version_with_hashes() -> None:
    """Nothing can be installed but the very files that were resolved."""
    entry = re.compile(
        r"[a-z0-9][a-z0-9._-]*==[0-9][0-9a-z.]*( ; [^#]+?)?(\s+--hash=sha256:[0-9a-f]{64})+"
    )
    assert [] == [line[:60] for line in locked_lines() if not entry.fullmatch(line.strip())]


def test_it_begins_with_the_command_that_makes_it() -> None:
    """Whoever opens the lock file sees how to write it anew."""
    header = (ROOT / "requirements.txt").read_text().splitlines()[:2]
    assert "make lock" in header[1]


@pytest.mark.parametrize("python", TESTED_PYTHONS)
def test_it_holds_what_the_project_asks_for(python: str) -> None:
    """Every declared dependency is locked once, at a version that its declaration accepts."""
    chosen = locked(python)
    for requirement in asked_for():
        versions = chosen[requirement.name.lower()]
        assert [True] == [requirement.specifier.contains(version) for version in versions]


@pytest.mark.parametrize("python", TESTED_PYTHONS)
def test_one_version_each(python: str) -> None:
    """No package has two versions that hold at the same time."""
    assert {} == {name: found for name, found in locked(python).items() if len(found) != 1}


def test_the_tested_pythons_are_the_declared_ones() -> None:
    """The classifiers promise the Python versions that the lock file is tested for."""
    prefix = "Programming Language :: Python :: "
    classifiers = project()["project"]["classifiers"]
    declared = [text.removeprefix(prefix) for text in classifiers if text.startswith(prefix)]
    assert declared == TESTED_PYTHONS


@pytest.mark.parametrize(
    "name",
    [
        "requirements.txt",
        "pyproject.toml",
        "Makefile",
        "scripts/environment",
        "scripts/system-packages",
        ".ci/run",
    ],
)
def test_set_up_names_no_host(name: str) -> None:
    """Packages come from wherever pip and apt are told to look, never from an address of ours."""
    text = (ROOT / name).read_text()
    assert [] == re.findall(r"\w+://\S+|--(?:extra-)?index-url|--find-links", text)
