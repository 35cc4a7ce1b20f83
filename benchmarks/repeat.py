"""Do the atlas' NodePort cells always come out the same? Repeats them and counts differences.

Run with `.venv/bin/python benchmarks/repeat.py [--times 100]`. One lab per dataplane stays
up; every policy of the report is applied again and again, and every NodePort cell probed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from rich.console import Console
from rich.progress import Progress

from nodeport_lab.cells import NODEPORT, enumerate_cells
from nodeport_lab.dataplanes import DATAPLANES, Dataplane
from nodeport_lab.experiment import suite_scenario
from nodeport_lab.model import Verdict
from nodeport_lab.suites import SUITES
from nodeport_lab.testbeds.embedded import EmbeddedTestbed
from nodeport_lab.testbeds.interface import DEFAULT_DEADLINE


def main() -> None:
    """Repeat, compare with the first time, and leave with 1 if anything differed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=100)
    times: int = parser.parse_args().times
    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("repeating", total=times * len(DATAPLANES))
        with ThreadPoolExecutor(len(DATAPLANES)) as pool:
            counts = list(
                pool.map(
                    lambda dataplane: repeat(dataplane, times, lambda: bar.advance(task)),
                    DATAPLANES.values(),
                )
            )
    cells = sum(found for found, _ in counts)
    differing = sum(found for _, found in counts)
    print(f"{times} repeats of {cells} NodePort cells: {differing} probes came out differently")
    raise SystemExit(1 if differing else 0)


def repeat(dataplane: Dataplane, times: int, advance: Callable[[], None]) -> tuple[int, int]:
    """The NodePort cells of one dataplane, and how many probes differed from the first time."""
    scenario = suite_scenario(SUITES["egress"])
    differing = 0
    first: list[list[Verdict]] = []
    with EmbeddedTestbed(scenario, dataplane, {}) as testbed:
        probes = [
            cell.probe
            for cell in enumerate_cells(scenario, testbed.network)
            if cell.route == NODEPORT
        ]
        for number in range(times):
            found = []
            for policy in scenario.policies:
                testbed.apply([policy])
                results = testbed.probe(probes, DEFAULT_DEADLINE)
                found.append([result.verdict for result in results])
            if number == 0:
                first = found
            differing += sum(
                now is not before
                for row, earlier in zip(found, first, strict=True)
                for now, before in zip(row, earlier, strict=True)
            )
            advance()
    return len(probes) * len(scenario.policies), differing


if __name__ == "__main__":
    main()
