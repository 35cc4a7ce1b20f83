"""Which programs a scenario's pods need, and how they are started on this machine."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Collection, Iterator
from typing import Any

from nodeport_lab.dataplanes.names import pod_namespace
from nodeport_lab.errors import TestbedError
from nodeport_lab.manifests.programs import HAPROXY
from nodeport_lab.model import Pod, Program, Protocol, Scenario
from nodeport_lab.testbeds.embedded.processes import find_program

INSTALLED = {HAPROXY: "haproxy"}
"""Program that a machine must have -> Debian package; the others come with this one."""
_EXECUTABLES = (HAPROXY, "python")
_VERSION = re.compile(r"\d+(\.\d+)+")


def missing(names: Collection[str]) -> str | None:
    """Why this machine cannot run programs of these names; None if it can."""
    for name in sorted(INSTALLED.keys() & set(names)):
        if find_program(name) is None:
            return (
                f"the program {name} is missing, which runs in a pod; install it with: "
                f"apt-get install {INSTALLED[name]}"
            )
    return None


def versions(names: Collection[str]) -> dict[str, str]:
    """Installed program -> version."""
    found = {}
    for name in sorted(INSTALLED.keys() & set(names)):
        path = find_program(name)
        if path is not None:
            shown = subprocess.run([path, "-v"], capture_output=True, text=True, check=False)  # noqa: S603
            found[name] = _VERSION.search(shown.stdout)
    return {name: match[0] for name, match in found.items() if match}


def orders(scenario: Scenario) -> Iterator[dict[str, Any]]:
    """What the lab is asked to start: see `processes.Process`.

    Raises:
        TestbedError: a program whose manifest gives no command that is known here.
    """
    for pod in scenario.pods:
        if pod.program is not None:
            yield {
                "pod": pod.key,
                "namespace": pod_namespace(pod),
                "command": _command(pod, pod.program),
                "input": "".join(text for _, text in pod.program.files),
                "ports": [port.port for port in pod.ports if port.protocol is Protocol.TCP],
            }


def _command(pod: Pod, program: Program) -> list[str]:
    """A container's command as this machine runs it; a file is read from standard input."""
    executable, *arguments = program.command or ("",)
    path = sys.executable if executable == "python" else find_program(executable)
    if executable not in _EXECUTABLES or path is None:
        raise TestbedError(
            f"pod {pod.key} runs the image {program.name} with the command {executable!r}; give it "
            f"one of these in its manifest: {', '.join(_EXECUTABLES)}"
        )
    paths = {path for path, _ in program.files}
    return [path, *("/dev/stdin" if word in paths else word for word in arguments)]
