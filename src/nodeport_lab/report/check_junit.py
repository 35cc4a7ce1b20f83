"""A check as a JUnit report: a case for each finding, and one for each line of the table."""

from __future__ import annotations

from collections.abc import Collection
from xml.etree import ElementTree as ET

from nodeport_lab.check.checker import Check
from nodeport_lab.check.findings import MEANINGS, Finding, Kind
from nodeport_lab.junit_text import as_xml
from nodeport_lab.model import Verdict
from nodeport_lab.report.check_table import rows
from nodeport_lab.report.check_text import remedy_words


def report(made: Check, failing: Collection[Kind]) -> str:
    """The report as XML text.

    Args:
        made: the check.
        failing: kinds of findings that are failures; others pass.
    """
    suites = ET.Element("testsuites", name="nodeport-lab check")
    for kind in Kind:
        some = [one for one in made.findings if one.kind is kind]
        if not some:
            continue
        failed = len(some) if kind in failing else 0
        suite = _suite(suites, MEANINGS[kind], len(some), failed)
        for finding in some:
            case = ET.SubElement(suite, "testcase", classname=str(kind), name=finding.title)
            if failed:
                words = finding.reason or finding.title
                ET.SubElement(case, "failure", message=words).text = _story(finding)
            else:
                ET.SubElement(case, "system-out").text = _story(finding)
    lines = rows(made.answers)
    for name in made.answers:
        own = [(row, row.outcomes[name]) for row in lines if name in row.outcomes]
        suite = _suite(suites, f"answers of {name} ({made.bases[name]})", len(own), 0)
        for row, outcomes in own:
            where = f" ({row.situation})" if row.situation else ""
            title = f"{row.caller} to {row.door}{where}: {' or '.join(outcomes)}"
            case = ET.SubElement(suite, "testcase", classname=name, name=title)
            if str(Verdict.ERROR) in outcomes:
                ET.SubElement(case, "skipped", message="a probe failed: the answer is not known")
    return as_xml(suites)


def _suite(suites: ET.Element, name: str, tests: int, failures: int) -> ET.Element:
    return ET.SubElement(
        suites, "testsuite", name=name, tests=str(tests), failures=str(failures), errors="0"
    )


def _story(finding: Finding) -> str:
    lines = [*finding.details, *(f"at {place}" for place in finding.places)]
    if finding.remedy is not None:
        lines.append(remedy_words(finding.remedy))
    return "\n".join(lines)
