"""Who may import whom: arrows point down only, read from the source and not run.

A dataplane that could see a claim could be tuned to it; this test keeps it blind.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import nodeport_lab

PACKAGE = Path(nodeport_lab.__file__).parent
FLOORS = (
    "cli",
    "notebook",
    "doctor",
    "book",
    "junit",
    "records",
    "report",
    "check",
    "claims_file",
    "claims",
    "documented",
    "observations",
    "adviser",
    "walker",
    "errand",
    "experiment",
    "suites",
    "remedies",
    "walk_reader",
    "walk",
    "trace",
    "advice",
    "cells",
    "venues",
    "testbeds",
    "variations",
    "dataplanes",
    "manifests",
    "services",
    "policy",
    "locations",
    "schemas",
    "model",
    "junit_text",
    "errors",
)
"""Every part of the package; one may import those below it, and never those above."""

BLIND = {
    "advice": {"cells", "testbeds", "model", "errors"},
    "remedies": {"cells", "model"},
    "suites": {"remedies", "cells", "variations", "dataplanes", "model", "errors"},
    "variations": {"dataplanes", "model", "errors"},
    "testbeds": {
        "dataplanes",
        "manifests",
        "services",
        "policy",
        "locations",
        "model",
        "errors",
        "schemas",
    },
    "dataplanes": {"services", "policy", "model", "errors"},
    "policy": {"model"},
    "services": {"model"},
    "model": set[str](),
}
"""Parts that may import these and no others."""

PURE = ("suites", "remedies", "variations", "dataplanes", "policy", "services", "model")
EFFECTS = {"asyncio", "ctypes", "io", "os", "pathlib", "pyroute2", "socket", "subprocess", "sys"}


def sources(part: str) -> list[Path]:
    """The Python files of one part."""
    module = PACKAGE / f"{part}.py"
    return [module] if module.exists() else sorted((PACKAGE / part).rglob("*.py"))


def imported(source: Path) -> Iterator[str]:
    """Dotted names that a file imports, wherever in the file it does so."""
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{source.name} imports relatively; name the whole path"
            yield from (f"{node.module}.{name.name}" for name in node.names)


def arrows(part: str) -> set[str]:
    """The other parts that a part imports."""
    names = {name for source in sources(part) for name in imported(source)}
    targets = {name.split(".")[1] for name in names if name.startswith("nodeport_lab.")}
    return targets - {part}


def test_every_part_has_its_floor() -> None:
    """A new module says in FLOORS where it stands."""
    parts = {
        path.stem
        for path in PACKAGE.iterdir()
        if path.suffix == ".py" or (path.is_dir() and any(path.glob("*.py")))
    }

    assert set(FLOORS) == parts - {"__init__", "__main__"}


@pytest.mark.parametrize("part", FLOORS)
def test_arrows_point_down(part: str) -> None:
    """No part imports one that stands above it."""
    above = set(FLOORS[: FLOORS.index(part)])

    assert set() == arrows(part) & above


@pytest.mark.parametrize("part", BLIND)
def test_what_makes_verdicts_knows_nothing_of_expectations(part: str) -> None:
    """What chooses, asks, builds or advises sees no claim, documented outcome or manifest."""
    assert set() == arrows(part) - BLIND[part]


@pytest.mark.parametrize("part", PURE)
def test_compilation_has_no_effects(part: str) -> None:
    """Semantics and compilation are values in and values out: no files, no processes."""
    modules = {name.split(".")[0] for source in sources(part) for name in imported(source)}

    assert set() == modules & EFFECTS
