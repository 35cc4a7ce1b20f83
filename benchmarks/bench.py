"""How fast is the lab? Prints a table and writes the figures as JSON.

Run with `make bench`. Times are wall-clock seconds, medians of several repeats where a
repeat is cheap. The limit that probes are compared with is measured in the same run:
plain asyncio connections over the loopback interface, with the same request and answer.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from rich.console import Console
from rich.table import Table

from nodeport_lab.cells import enumerate_cells
from nodeport_lab.dataplanes import DATAPLANES
from nodeport_lab.experiment import default_scenario, find_policy, questions_of, run_all
from nodeport_lab.locations import repository_root
from nodeport_lab.model import Verdict
from nodeport_lab.testbeds.embedded import EmbeddedTestbed
from nodeport_lab.testbeds.embedded.server import HelloWorld
from nodeport_lab.testbeds.interface import DEFAULT_DEADLINE, Probe, ProbeResult

REPEATS = 5
BLOCKED = 200
GROWTH = (100, 1_000, 10_000)
PODS = (10, 50, 100, 500)
LOOPBACK_PROBES = 2_000
AT_ONCE = 500
PATIENT = 10.0  # seconds; a rate must not be limited by a deadline

Figures = dict[str, float]


def lab_ready() -> Figures:
    """Seconds from nothing to every control probe answered, for each dataplane."""
    scenario = default_scenario()
    figures = {}
    for name, dataplane in DATAPLANES.items():

        def once() -> None:
            with EmbeddedTestbed(scenario, dataplane, {}) as testbed:  # noqa: B023 - called at once
                cells = enumerate_cells(scenario, testbed.network)
                results = testbed.probe([cell.probe for cell in cells], DEFAULT_DEADLINE)
                ready.append(time.perf_counter() - start)  # noqa: B023 - called at once
                _expect(results, Verdict.ALLOWED)

        ready: list[float] = []
        for _ in range(REPEATS):
            start = time.perf_counter()
            once()
        figures[f"lab ready, {name} (s)"] = statistics.median(ready)
    return figures


def report_table() -> Figures:
    """Seconds for the report's table on the command line, Python's start included."""
    command = [str(Path(sys.executable).parent / "nodeport-lab"), "run"]
    return {"report's table, cold (s)": _median(lambda: _quietly(command), 3)}


def probe_rates() -> Figures:
    """Allowed probes per second at several sizes, and blocked probes against the deadline."""
    scenario = default_scenario()
    figures: Figures = {}
    with EmbeddedTestbed(scenario, DATAPLANES["calico-iptables"], {}) as testbed:
        probes = [cell.probe for cell in enumerate_cells(scenario, testbed.network)]
        for size in GROWTH:
            many = _repeat(probes, size)
            seconds = _time(lambda: _all(testbed, many, Verdict.ALLOWED, PATIENT))  # noqa: B023
            figures[f"{size} allowed probes (s)"] = seconds
            figures[f"{size} allowed probes (probes/s)"] = size / seconds
        figures["memory of a lab after that (MB)"] = _memory(testbed.lab.pid)
        deny = find_policy(scenario, "deny-egress")
        testbed.apply([deny] if deny else [])
        blocked = _repeat(probes, BLOCKED)
        seconds = _time(lambda: _all(testbed, blocked, Verdict.TIMEOUT, DEFAULT_DEADLINE))
        figures[f"{BLOCKED} blocked probes (deadlines)"] = seconds / DEFAULT_DEADLINE
    return figures


def atlas() -> Figures:
    """Seconds for the atlas: every dataplane, both directions, every placement."""
    questions = [
        question for suite in ("egress", "ingress", "placement") for question in questions_of(suite)
    ]
    start = time.perf_counter()
    runs = run_all(questions)
    seconds = time.perf_counter() - start
    cells = sum(len(run.observations) for run in runs)
    return {
        "atlas (s)": seconds,
        "atlas (cells)": float(cells),
        "atlas (ms per cell)": 1000 * seconds / cells,
    }


def checks() -> Figures:
    """Seconds, answers per second and memory for checks of 10 to 500 pods, all dataplanes, cold.

    Memory is the most that the processes hold together, with what they share counted for each.
    """
    figures: Figures = {}
    for pods in PODS:
        with tempfile.TemporaryDirectory() as folder:
            manifests, record = Path(folder) / "manifests.yaml", Path(folder) / "check.json"
            manifests.write_text(_manifests(pods))
            tool = str(Path(sys.executable).parent / "nodeport-lab")
            command = [tool, "check", "-f", str(manifests), "--json", str(record)]
            start = time.perf_counter()
            most = _watched([*command, "--fail-on", "error"])
            seconds = time.perf_counter() - start
            runs = json.loads(record.read_text())["runs"]
        verdicts = [row["verdict"] for run in runs for row in run["observations"]]
        answers = len(verdicts)
        figures[f"check of {pods} pods (probe errors)"] = verdicts.count(Verdict.ERROR)
        figures[f"check of {pods} pods (MB)"] = most
        figures[f"check of {pods} pods (s)"] = seconds
        figures[f"check of {pods} pods (answers/s)"] = answers / seconds
    return figures


def _manifests(pods: int) -> str:
    """Workloads of two pods in namespaces of ten, with policies and Services in proportion.

    500 pods make 50 namespaces, 200 policies and 100 Services.
    """
    documents: list[dict[str, object]] = []
    for number in range(pods // 10):
        name = f"team-{number}"
        labels = {"name": name, "labels": {"tier": f"t{number % 5}"}}
        documents.append({"apiVersion": "v1", "kind": "Namespace", "metadata": labels})
        documents += [_deployment(name, app) for app in range(5)]
        documents += [_service(name, app, ("ClusterIP", "NodePort")[app]) for app in range(2)]
        documents += [_policy(name, form, spec) for form, spec in enumerate(_specs(number))]
    return "\n---\n".join(map(json.dumps, documents))


def _specs(number: int) -> Iterator[dict[str, object]]:
    """A default deny, and rules by pod, by namespace and by range."""
    near = {"podSelector": {"matchLabels": {"tier": "t0"}}}
    far = {"namespaceSelector": {"matchLabels": {"tier": f"t{(number + 1) % 5}"}}}
    nodes = {"ipBlock": {"cidr": "172.18.0.0/24"}}
    yield {"podSelector": {}, "policyTypes": ["Ingress"]}
    yield {
        "podSelector": {"matchLabels": {"app": f"app-{number % 5}"}},
        "ingress": [{"from": [near], "ports": [{"port": "http"}]}],
    }
    yield {"podSelector": {"matchLabels": {"tier": "t1"}}, "ingress": [{"from": [far]}]}
    yield {
        "podSelector": {"matchLabels": {"tier": "t2"}},
        "policyTypes": ["Egress"],
        "egress": [{"to": [nodes]}],
    }


def _deployment(namespace: str, app: int) -> dict[str, object]:
    labels = {"app": f"app-{app}", "tier": f"t{app % 3}"}
    port = {"containerPort": 8080, "name": "http"}
    container = {"name": "c", "image": "example.com/i", "ports": [port]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": f"app-{app}", "namespace": namespace},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": f"app-{app}"}},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def _service(namespace: str, app: int, type_: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": f"app-{app}", "namespace": namespace},
        "spec": {
            "type": type_,
            "selector": {"app": f"app-{app}"},
            "ports": [{"port": 80, "targetPort": "http"}],
        },
    }


def _policy(namespace: str, number: int, spec: dict[str, object]) -> dict[str, object]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": f"policy-{number}", "namespace": namespace},
        "spec": spec,
    }


def loopback_limit() -> Figures:
    """Bare asyncio connections per second over loopback, one process."""

    async def serve_and_dial() -> float:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: HelloWorld("loopback", {}), "127.0.0.1", 0, backlog=1024
        )
        port = server.sockets[0].getsockname()[1]
        gate = asyncio.Semaphore(AT_ONCE)

        async def dial() -> None:
            async with gate:
                with socket.socket() as sock:
                    sock.setblocking(False)  # noqa: FBT003 - its only argument
                    await loop.sock_connect(sock, ("127.0.0.1", port))
                    await loop.sock_sendall(sock, b"GET / HTTP/1.1\r\n\r\n")
                    while await loop.sock_recv(sock, 4096):
                        pass

        start = time.perf_counter()
        await asyncio.gather(*(dial() for _ in range(LOOPBACK_PROBES)))
        seconds = time.perf_counter() - start
        server.close()
        return seconds

    return {
        "bare asyncio over loopback (probes/s)": LOOPBACK_PROBES / asyncio.run(serve_and_dial())
    }


def verification() -> Figures:
    """Seconds for every run under nbval."""
    command = ["make", "--silent", "verify"]
    return {"every run under nbval (s)": _median(lambda: _quietly(command), 1)}


def main() -> None:
    """Measure everything, print it and write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, default=Path("_build/bench.json"))
    file: Path = parser.parse_args().json
    os.chdir(repository_root())
    console = Console()
    figures: Figures = {}
    parts = (lab_ready, report_table, atlas, checks, loopback_limit, probe_rates, verification)
    for part in parts:
        with console.status(f"measuring: {(part.__doc__ or '').splitlines()[0]}"):
            figures |= part()
    rate = figures[f"{GROWTH[-1]} allowed probes (probes/s)"]
    figures["allowed probes against bare loopback (ratio)"] = (
        rate / figures["bare asyncio over loopback (probes/s)"]
    )
    machine = {
        "processors": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }
    table = Table("figure", "value", box=None, title=f"{machine['processors']} processors")
    for name, value in figures.items():
        table.add_row(name, f"{value:,.2f}")
    console.print(table)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"machine": machine, "figures": figures}, indent=1) + "\n")
    console.print(f"written to {file}")


def _all(testbed: EmbeddedTestbed, probes: list[Probe], verdict: Verdict, deadline: float) -> None:
    results = testbed.probe(probes, deadline)
    _expect(results, verdict)


def _expect(results: list[ProbeResult], verdict: Verdict) -> None:
    """A figure counts only if the probes ended as they should."""
    found = {result.verdict for result in results}
    if found != {verdict}:
        raise SystemExit(f"probes ended as {sorted(found)}, not as {verdict}: no figure")


def _memory(pid: int) -> float:
    """Resident memory of a process and everything below it, in megabytes."""
    own = 0.0
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            own = int(line.split()[1]) / 1024
    children = [
        child
        for thread in Path(f"/proc/{pid}/task").iterdir()
        for child in (thread / "children").read_text().split()
    ]
    return own + sum(_memory(int(child)) for child in children)


def _repeat(probes: list[Probe], size: int) -> list[Probe]:
    return [probes[number % len(probes)] for number in range(size)]


def _watched(command: list[str]) -> float:
    """Run a command that succeeds; the most memory that it and all below it held, in megabytes."""
    most = 0.0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            with suppress(FileNotFoundError, ProcessLookupError):  # one ended meanwhile
                most = max(most, _memory(process.pid))
            time.sleep(0.2)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}: no figure")
    return most


def _quietly(command: list[str]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _time(action: Callable[[], None]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def _median(action: Callable[[], None], repeats: int) -> float:
    return statistics.median(_time(action) for _ in range(repeats))


if __name__ == "__main__":
    main()
