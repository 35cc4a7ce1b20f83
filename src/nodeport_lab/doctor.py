"""What can this machine run? Each answer comes from trying it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

from nodeport_lab.cells import enumerate_cells
from nodeport_lab.dataplanes import DATAPLANES, Dataplane
from nodeport_lab.errors import LabError
from nodeport_lab.experiment import default_scenario
from nodeport_lab.model import Verdict
from nodeport_lab.testbeds.embedded import EmbeddedTestbed
from nodeport_lab.testbeds.embedded.processes import find_program
from nodeport_lab.testbeds.interface import DEFAULT_DEADLINE


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was tried. `needed`: without it, nothing can be run."""

    subject: str
    works: bool
    detail: str
    remedy: str | None = None
    needed: bool = True


def examine() -> list[Finding]:
    """Try everything, one after the other."""
    return [*_programs(), *(_dataplane(dataplane) for dataplane in DATAPLANES.values())]


def _programs() -> Iterator[Finding]:
    yield Finding("python", works=True, detail=sys.version.split()[0])
    for program, package, purpose in (
        ("curl", "curl", "the examples of `nodeport-lab exec`"),
        ("haproxy", "haproxy", "the remedies with a proxy"),
        ("chromium", "chromium", "the tests of the site"),
    ):
        path = find_program(program)
        yield Finding(
            program,
            works=path is not None,
            detail=path or f"missing; only {purpose} need it",
            remedy=None if path else f"apt-get install {package}",
            needed=False,
        )


def _dataplane(dataplane: Dataplane) -> Finding:
    """Start a lab with a dataplane and send every control probe."""
    subject = f"embedded testbed, {dataplane.name}"
    start = time.perf_counter()
    try:
        scenario = default_scenario()
        with EmbeddedTestbed(scenario, dataplane, {}) as testbed:
            probes = [cell.probe for cell in enumerate_cells(scenario, testbed.network)]
            results = testbed.probe(probes, DEFAULT_DEADLINE)
            answered = sum(result.verdict is Verdict.ALLOWED for result in results)
            versions = ", ".join(f"{name} {found}" for name, found in testbed.versions.items())
    except LabError as error:
        return Finding(subject, works=False, detail=str(error))
    seconds = time.perf_counter() - start
    detail = f"{answered} of {len(results)} control probes answered in {seconds:.2f} s ({versions})"
    return Finding(subject, works=answered == len(results), detail=detail)
