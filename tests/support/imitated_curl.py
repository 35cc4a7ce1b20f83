"""The lab's own curl command, its output in the form of the real one (`test_live_curl`)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

_URL = re.compile(r"http://([^:/]+):(\d+)/")

ANSWERED: Mapping[str, Any] = {
    "exitcode": 0,
    "response_code": 200,
    "time_connect": 0.001,
    "time_total": 0.002,
    "local_ip": "10.42.0.9",
}
SILENCE: Mapping[str, Any] = {"exitcode": 28, "time_connect": 0, "time_total": 0.5}
REFUSED: Mapping[str, Any] = {
    "exitcode": 7,
    "time_connect": 0,
    "time_total": 0.001,
    "reason": "Connection refused",
}


def run(command: Sequence[str], met: Callable[[str, int], Mapping[str, Any]]) -> tuple[str, str]:
    """Standard output and standard error of a command with several targets.

    Args:
        command: as the lab sends it.
        met: what a target's address and port answer: the fields of curl's line, and
            `reason`, of which curl tells on standard error.
    """
    lines, errors = [], []
    operations: list[list[str]] = [[]]
    for argument in command:
        operations.append([]) if argument == "--next" else operations[-1].append(argument)
    for operation in operations:
        match = _URL.fullmatch(operation[-1])
        assert match is not None
        number = operation[operation.index("--write-out") + 1].split()[0]
        line = dict(met(match[1], int(match[2])))
        if reason := line.pop("reason", None):
            errors.append(f"* connect to {match[1]} port {match[2]} failed: {reason}")
        lines.append(f"{number} {json.dumps(line)}")
    return "\n".join(lines), "\n".join(errors)
