"""One parallel curl for many targets: arguments out, results in.

Every target is an operation of its own (`--next`) with its own source port and its own
number in `--write-out`, so that its result, also one of silence, can be told from the
others and joined with what hooks on the way have recorded. Source of options, variables
and exit codes: curl's manual page (`--parallel` since 7.66, `%{json}` and `exitcode` since
7.75, `--local-port`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from nodeport_lab.model import Verdict

SOURCE_PORTS = range(10000, 30000)
"""Below node ports (30000-32767) and the ports that Linux gives to others (32768-60999)."""
LONGEST = 6000
"""Bytes of one command in the URL of an exec request; gateways before API servers often
take no more than 8 kB (https://nginx.org/en/docs/http/ngx_http_core_module.html
#large_client_header_buffers)."""
PORT_IN_USE = "the source port was in use"

_AT_ONCE = 300  # curl's own limit for --parallel-max
_DONE, _NOT_CONNECTED, _TIMED_OUT, _NOT_BOUND = 0, 7, 28, 45  # curl's exit codes
_OK = 200
_REFUSED = "Connection refused"  # strerror(ECONNREFUSED)
_REASON = re.compile(
    r"connect to (?P<address>\S+) port (?P<port>\d+)"
    r"(?: from \S+ port (?P<source>\d+))? failed: (?P<reason>.+)"
)
_NO_REASON = "curl could not connect and did not say why"


@dataclass(frozen=True, slots=True)
class Target:
    """What to dial, and the source port to dial it from."""

    address: str
    port: int
    source_port: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """How dialling ended.

    Attributes:
        verdict: `timeout` only where no connection came about in time.
        elapsed_ms: from dialling to the end; 0 where curl did not say.
        local_address: the client's address, where a connection came about.
        detail: a sentence where the verdict is `error`.
    """

    verdict: Verdict
    elapsed_ms: float = 0.0
    local_address: str | None = None
    detail: str | None = None

    @property
    def port_in_use(self) -> bool:
        """Whether another source port would have helped."""
        return self.detail == PORT_IN_USE


def commands(
    targets: Sequence[Target], deadline: float, *, longest: int = LONGEST
) -> Iterator[tuple[Sequence[Target], list[str]]]:
    """The commands that dial all targets, each with the targets that it dials.

    Args:
        targets: what to dial; all of one command are dialled at once.
        deadline: seconds that each connection and its answer may take together.
        longest: bytes that a command may take in the URL of an exec request.
    """
    batch: list[Target] = []
    length = 0
    for target in targets:
        cost = _length(_operation(len(batch), target, deadline))
        if batch and (length + cost > longest or len(batch) == _AT_ONCE):
            yield batch, _command(batch, deadline)
            batch, length = [], 0
        batch.append(target)
        length += cost
    if batch:
        yield batch, _command(batch, deadline)


def read(targets: Sequence[Target], stdout: str, stderr: str, failure: str | None) -> list[Attempt]:
    """What became of each target of one command.

    Args:
        targets: those of the command, in its order.
        stdout: what curl wrote: a number and a JSON object on each line.
        stderr: what curl said of its connections.
        failure: a sentence, where the command did not run or did not end; targets of
            which curl has said nothing carry it.
    """
    lines = dict(_lines(stdout))
    reasons = _reasons(stderr)
    return [
        _attempt(lines[number], _reason(target, reasons))
        if number in lines
        else Attempt(Verdict.ERROR, detail=failure or f"curl said nothing of it{_said(stderr)}")
        for number, target in enumerate(targets)
    ]


def _command(targets: Sequence[Target], deadline: float) -> list[str]:
    arguments = [
        "curl",
        "--disable",  # no configuration file of the image; must stand first
        "--parallel",
        "--parallel-immediate",
        "--parallel-max",
        str(len(targets)),
        "--verbose",  # the only place where curl says why it could not connect
    ]
    for number, target in enumerate(targets):
        arguments += _operation(number, target, deadline)
    return arguments


def _operation(number: int, target: Target, deadline: float) -> list[str]:
    return [
        *(["--next"] if number else []),
        "--silent",
        "--max-time",
        f"{deadline:g}",
        "--noproxy",
        "*",
        "--output",
        "/dev/null",
        "--write-out",
        rf"{number} %{{json}}\n",
        "--local-port",
        str(target.source_port),
        f"http://{target.address}:{target.port}/",
    ]


def _length(arguments: Sequence[str]) -> int:
    return sum(len("&command=") + len(quote(argument, safe="")) for argument in arguments)


def _lines(stdout: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for line in stdout.splitlines():
        number, _, text = line.partition(" ")
        try:
            found = json.loads(text)
        except ValueError:
            continue  # cut off: its target has no line
        if number.isdecimal() and isinstance(found, dict) and "exitcode" in found:
            yield int(number), found


def _attempt(line: Mapping[str, Any], reason: str | None) -> Attempt:
    verdict, detail = _verdict(line, reason)
    return Attempt(
        verdict=verdict,
        elapsed_ms=float(line.get("time_total") or 0) * 1000,
        local_address=str(line["local_ip"]) if line.get("local_ip") else None,
        detail=detail,
    )


def _verdict(line: Mapping[str, Any], reason: str | None) -> tuple[Verdict, str | None]:
    code, status = line["exitcode"], line.get("response_code", line.get("http_code"))
    verdict, detail = Verdict.ERROR, None
    if code == _DONE and status == _OK:
        verdict = Verdict.ALLOWED
    elif code == _DONE:
        detail = f"unexpected answer: HTTP status {status}"
    elif code == _TIMED_OUT and not line.get("time_connect"):
        verdict = Verdict.TIMEOUT
    elif code == _TIMED_OUT:
        detail = "connected, and no answer came in time"
    elif code == _NOT_CONNECTED and reason == _REFUSED:
        verdict = Verdict.REFUSED
    elif code == _NOT_CONNECTED:
        detail = reason or _NO_REASON
    elif code == _NOT_BOUND:
        detail = PORT_IN_USE
    else:
        detail = f"curl ended with code {code}: {line.get('errormsg') or 'no message'}"
    return verdict, detail


def _reasons(stderr: str) -> dict[tuple[str, int, int | None], set[str]]:
    """Address, port and source port (where curl names it) -> why connecting failed."""
    found: dict[tuple[str, int, int | None], set[str]] = {}
    for match in _REASON.finditer(stderr):
        source = match["source"]
        key = (match["address"], int(match["port"]), int(source) if source else None)
        found.setdefault(key, set()).add(match["reason"].strip())
    return found


def _reason(target: Target, reasons: Mapping[tuple[str, int, int | None], set[str]]) -> str | None:
    """Why connecting to a target failed; None where curl did not say, or said two things."""
    exact = reasons.get((target.address, target.port, target.source_port))
    some = exact or reasons.get((target.address, target.port, None), set())
    return next(iter(some)) if len(some) == 1 else None


def _said(stderr: str) -> str:
    """The last thing that curl said of itself, not of a connection."""
    own = [line for line in stderr.splitlines() if line.startswith("curl:")]
    return f" ({own[-1]})" if own else ""
