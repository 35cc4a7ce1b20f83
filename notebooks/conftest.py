"""How nbval treats the run notebooks: the same rules as `make book`, see `book.tags`.

`NODEPORT_LAB_TESTBED` names the testbed on which the notebooks are executed again. Cells
that show addresses are compared on the embedded one only; on a cluster, runs that are not
about this cluster are left out, and listed. So are runs whose program this machine lacks.
"""

import os
from pathlib import Path

import pytest

from nodeport_lab.book import elsewhere, runs, tags
from nodeport_lab.errors import LabError
from nodeport_lab.venues import venue

HERE = Path(__file__).parent
RUNS = HERE / "runs"
TESTBED = os.environ.get("NODEPORT_LAB_TESTBED", "embedded")


LEFT_OUT: dict[str, str] = {}
"""Id of a run -> why the testbed does not execute it; filled where runs are collected."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what belongs elsewhere, and do not compare what belongs to another machine."""
    own = [item for item in items if item.path.parent == RUNS]
    if own:
        LEFT_OUT.update(_reasons())
    left_out = [item for item in own if item.path.stem in LEFT_OUT]
    if left_out:
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)
    if hasattr(config, "workeroutput"):  # one of several processes, which prints nothing itself
        config.workeroutput["left_out"] = LEFT_OUT
    for item in items:
        cell = getattr(item, "cell", None)
        options = getattr(item, "options", None)
        if cell is not None and isinstance(options, dict):
            options["check"] = options["check"] and tags.compared(
                cell.metadata.get("tags", []), TESTBED
            )


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object) -> None:
    """Learn from a process of pytest-xdist what it left out."""
    LEFT_OUT.update(getattr(node, "workeroutput", {}).get("left_out", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List the runs that were left out, each with its reason."""
    if LEFT_OUT:
        terminalreporter.section(f"not run on the testbed {TESTBED}")
        for run, reason in LEFT_OUT.items():
            terminalreporter.line(f"{run}: {reason}")


def _reasons() -> dict[str, str]:
    specs = runs.load(HERE)
    if TESTBED == "embedded":
        found = {spec.id: runs.missing(spec) for spec in specs}
    else:
        try:
            with venue(TESTBED) as place:
                found = {spec.id: elsewhere.obstacle(spec, place) for spec in specs}
        except LabError as error:
            raise pytest.UsageError(str(error)) from error
    return {run: reason for run, reason in found.items() if reason is not None}
