"""Does the kernel decide as the naive evaluator does? Counts it, and writes the count down.

    python benchmarks/agreement.py

One run of `tests/embedded/test_semantics.py`, on every dataplane with every option that
changes what it matches on. Each case is one connection under one set of random policies;
each decision that the kernel recorded of it is judged a second time. The test fails at the
first one that differs, so a count is written of complete agreement alone.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from xml.etree import ElementTree as ET

from nodeport_lab.dataplanes import DATAPLANES
from nodeport_lab.locations import repository_root
from nodeport_lab.testbeds.embedded import EmbeddedTestbed

TEST = "tests/embedded/test_semantics.py"
WHICH = "kernel_decides_as_the_naive_evaluator"


def main() -> None:
    """Run the test, count what it compared, write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, default=Path("benchmarks/agreement.json"))
    file: Path = parser.parse_args().json
    os.chdir(repository_root())
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        pytest = [sys.executable, "-m", "pytest", "-q", TEST, "-k", WHICH]
        written = ["-o", "junit_family=legacy", f"--junitxml={report}"]  # it holds properties
        ended = subprocess.run([*pytest, *written], check=False)
        if ended.returncode:
            raise SystemExit("the kernel and the evaluator do not agree: nothing is written")
        cases = ET.parse(report).findall(".//testcase")  # noqa: S314 - just written
    counted = {_variant(case): _properties(case) for case in cases}
    record = {
        "cases": sum(one["cases"] for one in counted.values()),
        "decisions": sum(one["decisions compared"] for one in counted.values()),
        "disagreements": 0,
        "seconds": round(time.perf_counter() - start, 1),
        "versions": {
            "kernel": platform.release(),
            "nftables": _nftables(),
            "python": platform.python_version(),
        },
        "variants": counted,
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(record, indent=1) + "\n")
    print(f"{record['cases']} cases, {record['decisions']} decisions, all agree: {file}")


def _variant(case: ET.Element) -> str:
    return case.get("name", "").partition("[")[2].removesuffix("]")


def _properties(case: ET.Element) -> dict[str, int]:
    return {one.get("name", ""): int(one.get("value", "0")) for one in case.findall(".//property")}


def _nftables() -> str:
    from nodeport_lab.errand import atlas_scenario  # noqa: PLC0415 - for this alone

    dataplane = DATAPLANES["calico-iptables"]
    return EmbeddedTestbed(atlas_scenario(), dataplane, {}).versions["nftables"]


if __name__ == "__main__":
    main()
