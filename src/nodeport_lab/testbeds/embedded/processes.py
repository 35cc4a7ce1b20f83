"""Programs in pods: real processes in a pod's namespace, and what their logs tell.

A program that opens a connection because of another one writes a line about it:

    172.18.0.250:1024 -> 10.244.1.3:40112 -> 10.244.0.2:8080 200

who called, the connection's own source, where it went, and how that ended or that it began.
By the source ports the connections are joined. A program reads its configuration from its
standard input, so there is no file to remove, and it ends with the lab at the latest: the
lab's first process owns it, and the kernel ends everything below that one.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nodeport_lab.testbeds.embedded import namespaces

START = 5.0  # seconds that a program may take until it listens
_LOOK_EVERY = 0.01
_LINE_LATE = 1.0  # seconds that a line of a log may come after the answer that it tells of
_PASSED_ON = re.compile(rb"^(\S+:(\d+)) -> \S+:(\d+) -> \S+ ", re.MULTILINE)
_LISTENING = "0A"
_LAST_WORDS = 300  # characters of a log that an error repeats


@dataclass(frozen=True, slots=True)
class PassedOn:
    """A connection that a program opened because of another one.

    Attributes:
        pod: key of the program's pod.
        caller: `address:port` of the connection that came in, as the program saw it.
        port: source port of the connection that went out.
    """

    pod: str
    caller: str
    port: int


def find_program(name: str) -> str | None:
    """The path of a program; an ordinary user's PATH often lacks the folders of daemons."""
    return shutil.which(name, path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin")


class Process:
    """A running program."""

    def __init__(self, order: dict[str, Any], namespace: int) -> None:
        """Start it.

        Args:
            order: `pod`, `command`, `input` (its standard input) and `ports` (TCP).
            namespace: of the pod.

        Raises:
            OSError: there is no such program.
        """
        self.pod: str = order["pod"]
        self._ports = frozenset(order["ports"])
        self._log = b""
        configuration = os.memfd_create("configuration")
        try:
            os.write(configuration, order["input"].encode())
            os.lseek(configuration, 0, os.SEEK_SET)
            with namespaces.inside(namespace):
                self._process = subprocess.Popen(  # noqa: S603 - of the project's own manifests
                    order["command"],
                    stdin=configuration,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                )
        finally:
            os.close(configuration)
        assert self._process.stdout is not None  # noqa: S101 - narrows the type
        self._output = self._process.stdout.fileno()
        os.set_blocking(self._output, False)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._output, self._read)

    async def ready(self) -> None:
        """Return once it listens on every port.

        Raises:
            OSError: it ended, or it does not listen in time.
        """
        until = time.monotonic() + START
        while not self._ports <= _listening(self._process.pid):
            if self._process.poll() is not None or time.monotonic() > until:
                self._read()
                last = self._log[-_LAST_WORDS:].decode(errors="replace").strip()
                words = " ".join(last.split()) or "it said nothing"
                raise OSError(f"the program of pod {self.pod} does not listen ({words})")
            await asyncio.sleep(_LOOK_EVERY)

    def passed_on(self) -> dict[int, list[PassedOn]]:
        """Source port of a caller -> the connections that were opened because of it."""
        self._read()
        return passed_on(self.pod, self._log)

    def close(self) -> None:
        """End it."""
        self._loop.remove_reader(self._output)
        self._process.kill()
        self._process.communicate()

    def _read(self) -> None:
        try:
            while chunk := os.read(self._output, 1 << 16):
                self._log += chunk
        except BlockingIOError:
            return
        self._loop.remove_reader(self._output)  # it closed its end


def passed_on(pod: str, log: bytes) -> dict[int, list[PassedOn]]:
    """Read the log of a program; lines of another form are its own affair."""
    found: dict[int, list[PassedOn]] = {}
    for caller, port, own in _PASSED_ON.findall(log):
        found.setdefault(int(port), []).append(PassedOn(pod, caller.decode(), int(own)))
    return found


async def told(programs: Sequence[Process], awaited: Collection[int]) -> dict[int, list[PassedOn]]:
    """What all programs have passed on, once they have told it of the awaited source ports.

    A proxy writes its line after the client has its answer.
    """
    until = time.monotonic() + _LINE_LATE
    while True:
        found: dict[int, list[PassedOn]] = {}
        for program in programs:
            for port, entries in program.passed_on().items():
                found.setdefault(port, []).extend(entries)
        if found.keys() >= set(awaited) or time.monotonic() > until:
            return found
        await asyncio.sleep(_LOOK_EVERY)


def followed(
    first: Sequence[int], passed_on: Mapping[int, Sequence[PassedOn]]
) -> tuple[list[int], list[tuple[str, str, None]]]:
    """Everything that followed from some connections.

    Returns:
        the source ports of all connections, those included, each followed by what it caused;
        and the programs that passed something on: pod, and the caller as it was seen there.
    """
    ports: list[int] = []
    asked: list[tuple[str, str, None]] = []
    waiting = list(first)
    while waiting:
        port = waiting.pop(0)
        if port in ports:
            continue
        ports.append(port)
        entries = passed_on.get(port, ())
        asked += [(entry.pod, entry.caller, None) for entry in entries]
        waiting[:0] = [entry.port for entry in entries]
    return ports, asked


def _listening(pid: int) -> frozenset[int]:
    """The TCP ports that are listened on in the network namespace of a process."""
    try:
        lines = Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
    except OSError:  # it has ended
        return frozenset()
    fields = (line.split() for line in lines)
    return frozenset(
        int(local.rpartition(":")[2], 16)
        for _, local, _, state, *_ in fields
        if state == _LISTENING
    )


async def start_all(orders: Sequence[dict[str, Any]], opened: dict[str, int]) -> list[Process]:
    """Start programs, and return when every one of them listens."""
    processes: list[Process] = []
    try:
        for order in orders:
            started = Process(order, opened[order["namespace"]])
            processes.append(started)
        await asyncio.gather(*(process.ready() for process in processes))
    except BaseException:
        for process in processes:
            process.close()
        raise
    return processes
