"""How nbval treats the run notebooks: the same rules as `make book`, see `book.tags`.

`NODEPORT_LAB_TESTBED` names the testbed on which the notebooks are executed again; cells
that show addresses are compared on the embedded one only.
"""

import os

import pytest

from nodeport_lab.book import tags


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Do not compare the cells whose output belongs to another testbed or machine."""
    testbed = os.environ.get("NODEPORT_LAB_TESTBED", "embedded")
    for item in items:
        cell = getattr(item, "cell", None)
        options = getattr(item, "options", None)
        if cell is not None and isinstance(options, dict):
            options["check"] = options["check"] and tags.compared(
                cell.metadata.get("tags", []), testbed
            )
