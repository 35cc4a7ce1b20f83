"""Runs as a JUnit report: one test case per cell, failed where it is not as documented."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from nodeport_lab.documented import DocumentedOutcome, comparisons
from nodeport_lab.junit_text import as_xml
from nodeport_lab.model import Observation, Run, Verdict
from nodeport_lab.report.words import title

_MILLISECONDS = 1000


def report(runs: Sequence[Run], documented: Sequence[DocumentedOutcome]) -> str:
    """The report as XML text. Undocumented cells pass; a probe that failed is an error.

    Characters that XML cannot hold, as a terminal's escape codes, are left out.
    """
    suites = ET.Element("testsuites", name="nodeport-lab")
    for run in runs:
        suite = ET.SubElement(suites, "testsuite", name=f"{run.suite}: {title(run)}")
        failures = errors = 0
        for comparison in comparisons(run, documented):
            cell = comparison.observation
            case = ET.SubElement(
                suite,
                "testcase",
                classname=cell.policy,
                name=_name(cell),
                time=f"{cell.elapsed_ms / _MILLISECONDS:.3f}",
            )
            if cell.verdict is Verdict.ERROR and cell.control is Verdict.ALLOWED:
                errors += 1
                ET.SubElement(case, "error", message=cell.detail or "the probe failed")
            elif comparison.documented is not None and not comparison.agrees:
                failures += 1
                stated = comparison.documented
                ET.SubElement(
                    case,
                    "failure",
                    message=f"documented {stated.outcome} ({stated.foundation.words}), "
                    f"observed {cell.outcome}",
                )
            ET.SubElement(case, "system-out").text = _story(cell)
        suite.set("tests", str(len(run.observations)))
        suite.set("failures", str(failures))
        suite.set("errors", str(errors))
    return as_xml(suites)


def _name(cell: Observation) -> str:
    way = f"{cell.route}:{cell.dialled_node}" if cell.dialled_node else cell.route
    return f"{cell.client} to {cell.service or cell.server} by {way}"


def _story(cell: Observation) -> str:
    seen = "".join(
        f"\n{one.direction} at {one.hook} on {one.node}: {one.seen_source} to "
        f"{one.seen_destination}, {one.action} by {one.policy or 'no single policy'} {one.rule}"
        for one in cell.decisions
    )
    return f"{cell.outcome}{seen}"
