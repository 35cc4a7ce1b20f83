"""Fixtures of the tests that send real packets."""

from pathlib import Path

import pytest

from nodeport_lab.experiment import default_scenario
from nodeport_lab.model import Scenario


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything in this folder."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.embedded)


@pytest.fixture(scope="session")
def scenario() -> Scenario:
    """The report's scenario, from the repository's manifests."""
    return default_scenario()
