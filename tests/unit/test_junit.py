"""Runs as JUnit XML, which other people's tools read."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeport_lab import junit
from nodeport_lab.documented import DocumentedOutcome, Foundation, Label
from nodeport_lab.model import (
    Action,
    Decision,
    Direction,
    Observation,
    Protocol,
    Relation,
    Run,
    Verdict,
)

DENIED = Decision(
    Direction.EGRESS,
    "node-1",
    "filter FORWARD",
    "10.0.0.1:40000",
    "10.0.0.2:30000",
    None,
    "default-deny",
    Action.DENY,
)
CELL = Observation(
    policy="fence",
    direction=Direction.EGRESS,
    namespace="default",
    client="caller",
    client_node="node-1",
    server="callee",
    service="shop",
    protocol=Protocol.TCP,
    port=30000,
    route="nodeport",
    dialled_node="node-2",
    backend_node="node-2",
    relation=Relation.OTHER_NODE,
    verdict=Verdict.TIMEOUT,
    control=Verdict.ALLOWED,
    decisions=(DENIED,),
    elapsed_ms=1234.5,
)
STATED = DocumentedOutcome(
    "plane",
    {},
    Direction.EGRESS,
    "fence",
    "other-node",
    Verdict.TIMEOUT,
    Foundation((Label.DOC,), (), "1.x"),
)


def of(*cells: Observation) -> Run:
    """A run of these cells."""
    return Run("embedded", "plane", {}, "emulated", {}, cells, suite="egress")


def parsed(*cells: Observation, stated: DocumentedOutcome = STATED) -> ET.Element:
    """The one test suite that a run of these cells becomes."""
    root = ET.fromstring(junit.report([of(*cells)], [stated]))  # noqa: S314 - made right here
    assert "testsuites" == root.tag
    (suite,) = root
    return suite


def test_a_cell_is_a_test_case() -> None:
    """Its class is the policy; name, time and output tell the cell and every decision."""
    suite = parsed(CELL)

    (case,) = suite
    assert "egress: plane" == suite.get("name")
    assert ("fence", "caller to shop by nodeport:node-2", "1.234") == (
        case.get("classname"),
        case.get("name"),
        case.get("time"),
    )
    assert (
        "timeout\negress at filter FORWARD on node-1: 10.0.0.1:40000 to 10.0.0.2:30000, "
        "deny by no single policy default-deny"
    ) == case.findtext("system-out")


@pytest.mark.parametrize(
    ("cell", "ends"),
    [
        pytest.param(CELL, (), id="as documented"),
        pytest.param(replace(CELL, policy="unknown"), (), id="undocumented"),
        pytest.param(replace(CELL, verdict=Verdict.ALLOWED), ("failure",), id="differs"),
        pytest.param(replace(CELL, control=Verdict.ERROR), ("failure",), id="no path"),
        pytest.param(replace(CELL, verdict=Verdict.ERROR), ("error",), id="the probe failed"),
    ],
)
def test_only_a_difference_fails(cell: Observation, ends: tuple[str, ...]) -> None:
    """A cell that is held to nothing passes; a tool that failed is an error, not a failure."""
    suite = parsed(cell)

    assert ends == tuple(
        child.tag for child in suite[0] if child.tag in {"error", "failure", "skipped"}
    )
    assert (str(ends.count("failure")), str(ends.count("error"))) == (
        suite.get("failures"),
        suite.get("errors"),
    )


def test_a_failure_says_what_was_documented_and_what_was_seen() -> None:
    """With what the statement rests on."""
    (case,) = parsed(replace(CELL, verdict=Verdict.REFUSED))

    failure = case.find("failure")
    assert failure is not None
    assert "documented timeout (documentation), observed refused" == failure.get("message")


def test_the_counts_of_a_suite_are_those_of_its_cells() -> None:
    """Tools that trust the attributes see what those see that count."""
    cells = (CELL, replace(CELL, verdict=Verdict.ALLOWED), replace(CELL, verdict=Verdict.ERROR))
    suite = parsed(*cells)

    assert ("3", "1", "1") == tuple(suite.get(name) for name in ("tests", "failures", "errors"))
    assert 3 == len(suite)


def test_every_run_is_a_suite() -> None:
    """In the order of the runs, also one that observed nothing."""
    text = junit.report([of(CELL), replace(of(), dataplane="train")], [])

    names = [suite.get("name") for suite in ET.fromstring(text)]  # noqa: S314 - made right here
    assert ["egress: plane", "egress: train"] == names


def test_a_cell_without_a_service_is_named_by_its_server() -> None:
    """A pod that is dialled by its own address stands behind no Service."""
    (case,) = parsed(replace(CELL, route="pod-ip", service=None, dialled_node=None, relation=None))

    assert "caller to callee by pod-ip" == case.get("name")


@pytest.mark.parametrize(
    "name",
    ['"><failure message="x"/>', "]]>", "<!-- -->", "&lt;&amp;", "a\nb", "\x00\x1b[31m", "\ud800"],
)
def test_a_hostile_name_is_only_text(name: str) -> None:
    """Whatever stands in a name or in an error's detail, the report has the same elements."""
    harmless = parsed(replace(CELL, verdict=Verdict.ERROR, detail="detail"))
    hostile = parsed(
        replace(CELL, policy=name, client=name, service=name, verdict=Verdict.ERROR, detail=name)
    )

    assert [one.tag for one in harmless.iter()] == [one.tag for one in hostile.iter()]


@given(st.text())
def test_any_text_makes_valid_xml(text: str) -> None:
    """Characters that XML cannot hold are left out, and can be read back without them."""
    (case,) = parsed(replace(CELL, policy=f"[{text}]"))

    policy = case.get("classname")
    assert policy is not None
    assert policy.startswith("[")
    assert policy.endswith("]")
