"""Where outputs come from: executed ones with versions and times, stored ones with a reason."""

import json
import platform

from nodeport_lab.book.reproducibility import Generation, RunStatus, data, page, versions_here

EXECUTED = Generation(
    [RunStatus("a", 1.25), RunStatus("bc", 10), RunStatus("d", None, "haproxy is missing")],
    None,
    {"kernel": "Linux 6.1"},
)
STORED = Generation([RunStatus("a", None)], "It cannot.", {})


def literal(text: str) -> list[str]:
    """The lines of a page that stand in literal blocks of text."""
    blocks = text.split("```text\n")[1:]
    return [line for block in blocks for line in block.partition("\n```")[0].splitlines()]


def test_page_tells_executed_from_stored() -> None:
    """The page says which outputs were made for this build, with what, and how long it took."""
    assert "Executed for this build" in page(EXECUTED)
    assert "Stored outputs" in page(STORED)
    assert [
        "kernel  Linux 6.1",
        ".venv/bin/python -m nodeport_lab.book notebooks a   # 1.2 s",
        ".venv/bin/python -m nodeport_lab.book notebooks bc  # 10.0 s",
        ".venv/bin/python -m nodeport_lab.book notebooks d   # haproxy is missing",
    ] == literal(page(EXECUTED))
    assert ["It cannot.", ".venv/bin/python -m nodeport_lab.book notebooks a"] == literal(
        page(STORED)
    )


def test_sentences_do_not_vary_with_the_build() -> None:
    """What differs between two builds stands in literal blocks: the rest can be translated."""
    slower = Generation([RunStatus("a", 7.5)], None, {"kernel": "Linux 9"})

    assert set(page(slower).splitlines()) - set(literal(page(slower))) == set(
        page(EXECUTED).splitlines()
    ) - set(literal(page(EXECUTED)))


def test_data_hold_what_the_page_shows() -> None:
    """Schema, origin, versions, and for each run its time and its command."""
    assert {
        "schema": 1,
        "outputs": "executed",
        "reason": None,
        "versions": {"kernel": "Linux 6.1"},
        "runs": [
            {
                "run": "a",
                "seconds": 1.2,
                "lacking": None,
                "again": ".venv/bin/python -m nodeport_lab.book notebooks a",
            },
            {
                "run": "bc",
                "seconds": 10,
                "lacking": None,
                "again": ".venv/bin/python -m nodeport_lab.book notebooks bc",
            },
            {
                "run": "d",
                "seconds": None,
                "lacking": "haproxy is missing",
                "again": ".venv/bin/python -m nodeport_lab.book notebooks d",
            },
        ],
    } == json.loads(data(EXECUTED))
    assert ("stored", "It cannot.", None) == (
        json.loads(data(STORED))["outputs"],
        json.loads(data(STORED))["reason"],
        json.loads(data(STORED))["runs"][0]["seconds"],
    )


def test_versions_are_those_of_this_machine() -> None:
    """The kernel and Python as the platform tells them, and every package with a version."""
    found = versions_here()

    assert platform.release() in found["kernel"]
    assert platform.python_version() == found["python"]
    assert {"nftables", "nodeport-lab", "papermill", "pyroute2"} <= found.keys()
    assert all(found.values())
