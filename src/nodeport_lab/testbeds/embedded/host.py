"""The process that owns a lab: every namespace, socket and rule of it.

`hall.py` starts the first one inside new user, network, mount and pid namespaces, as the
first process of the latter: when it ends, the kernel ends everything else in there. It
copies itself for each lab that it is asked for. A copy reads one JSON request per line from
a socket, answers each with one line, and ends when the socket is closed. It knows about
packets and rulesets; not about policies or verdicts.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nodeport_lab.testbeds.embedded import namespaces, netfilter
from nodeport_lab.testbeds.embedded.plan import Plan
from nodeport_lab.testbeds.embedded.probes import Attempt, Flow, dial_all, source_ports
from nodeport_lab.testbeds.embedded.processes import (
    PassedOn,
    Process,
    followed,
    start_all,
    told,
)
from nodeport_lab.testbeds.embedded.server import CallLog, Server, listen
from nodeport_lab.testbeds.embedded.tracing import Tracer
from nodeport_lab.testbeds.embedded.wiring import announce, cut, has_device, wire

_SELDOM = 100_000  # objects made between two looks for garbage
_LINE_LIMIT = 1 << 30
_KILLED_BY_SIGNAL = 128  # plus the signal's number, as shells say it

Answer = dict[str, Any]


class Host:
    """One lab, from the inside."""

    def __init__(self) -> None:
        """Start with nothing wired."""
        self._opened: dict[str, int] = {}
        self._servers: list[Server] = []
        self._ports = source_ports()
        self._calls: CallLog = {}
        self._programs: list[Process] = []

    async def wire(self, plan: dict[str, Any]) -> Answer:
        """Build a network; an earlier one is removed first.

        In a thread: pyroute2 brings an event loop of its own, and a thread enters
        namespaces for itself alone.
        """
        for server in (*self._servers, *self._programs):
            server.close()
        self._servers, self._programs = [], []
        self._calls.clear()
        for namespace in self._opened.values():
            os.close(namespace)
        self._opened = await asyncio.to_thread(wire, Plan.from_json(plan))
        return {}

    async def has_device(self, kind: str) -> Answer:
        """Whether the kernel makes devices of a kind."""
        return {"has": await asyncio.to_thread(has_device, kind)}

    async def cut(self, namespace: str) -> Answer:
        """Take a node down."""
        await asyncio.to_thread(cut, self._opened[namespace])
        return {}

    async def announce(self, namespace: str, addresses: list[str], own: str, mac: str) -> Answer:
        """Let a node answer for addresses from now on."""
        await asyncio.to_thread(announce, self._opened[namespace], addresses, own, mac)
        return {}

    async def serve(self, servers: list[dict[str, Any]]) -> Answer:
        """Start servers in pods; a port that two containers declare has one."""
        distinct = {
            (server["namespace"], server["port"], server["protocol"]): server
            for server in reversed(servers)
        }
        self._servers += [
            await listen(
                server["pod"],
                self._opened[server["namespace"]],
                server["port"],
                server["protocol"],
                self._calls,
            )
            for server in distinct.values()
        ]
        return {}

    async def launch(self, programs: list[dict[str, Any]], hosts: dict[str, str]) -> Answer:
        """Start programs in pods; answers once each of them listens."""
        _resolve_names(hosts)
        self._programs += await start_all(programs, self._opened)
        return {}

    async def load(self, rulesets: dict[str, list[str]]) -> Answer:
        """Load nftables rulesets."""
        netfilter.load(self._opened, rulesets)
        return {}

    async def probe(
        self, flows: list[list[Any]], deadline: float, names: dict[str, str] | None = None
    ) -> Answer:
        """Dial flows; tell for each how it ended, what servers logged and programs passed on."""
        attempts = await dial_all(
            [Flow(*flow) for flow in flows], self._opened, self._ports, deadline, names
        )
        passed_on = await told(
            self._programs, {port for attempt in attempts for port in attempt.by_proxy}
        )
        return {"attempts": [self._told(attempt, passed_on) for attempt in attempts]}

    def _told(self, attempt: Attempt, passed_on: Mapping[int, Sequence[PassedOn]]) -> Answer:
        """An attempt with the ports of all its connections, and who answered the last one."""
        ports, asked = followed((attempt.source_port, *attempt.redirected), passed_on)
        calls = [call for port in ports if (call := self._calls.pop(port, None))]
        call = calls[-1] if calls else asked[0] if asked else None
        return {**asdict(attempt), "ports": ports, "call": call}

    async def records(self, tables: dict[str, str]) -> Answer:
        """What the dynamic sets of some tables hold."""
        return {
            "records": {
                name: netfilter.set_elements(self._opened[name], table)
                for name, table in tables.items()
            }
        }

    async def trace(self, flows: list[list[Any]], deadline: float, names: list[str]) -> Answer:
        """Dial flows like `probe`, while the kernel traces every packet in some namespaces."""
        with Tracer({name: self._opened[name] for name in names}) as tracer:
            await tracer.ready()
            answer = await self.probe(flows, deadline)
            return {**answer, "traces": await tracer.collect()}

    async def execute(self, namespace: str, arguments: list[str], hosts: dict[str, str]) -> Answer:
        """Run a command inside a namespace, on this process's own terminal."""
        _resolve_names(hosts)
        try:
            with namespaces.inside(self._opened[namespace]):
                process = subprocess.Popen(arguments)  # noqa: S603, ASYNC220 - the user's own command
        except FileNotFoundError:
            return {"returncode": 127}
        await _end_of(process.pid)
        code = process.wait()
        return {"returncode": code if code >= 0 else _KILLED_BY_SIGNAL - code}


async def _end_of(pid: int) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    descriptor = os.pidfd_open(pid)
    loop.add_reader(descriptor, ended.set)
    await ended.wait()
    loop.remove_reader(descriptor)
    os.close(descriptor)


def _resolve_names(hosts: dict[str, str]) -> None:
    """Let names resolve: lay a file over /etc/hosts, in this mount namespace alone.

    A later one takes the place of the first.
    """
    lines = "".join(f"{address}\t{name}\n" for name, address in hosts.items())
    _run("mount", "-t", "tmpfs", "hosts", "/mnt")
    Path("/mnt/hosts").write_text(f"127.0.0.1\tlocalhost\n{lines}")
    _run("mount", "--bind", "/mnt/hosts", "/etc/hosts")
    _run("umount", "--lazy", "/mnt")


def _run(*arguments: str) -> None:
    subprocess.run(arguments, check=True)  # noqa: S603 - fixed programs of util-linux


async def answer_requests(control: socket.socket) -> None:
    """Answer requests one after the other until the owner goes away."""
    reader, writer = await asyncio.open_unix_connection(sock=control, limit=_LINE_LIMIT)
    host = Host()
    operations: dict[str, Callable[..., Coroutine[Any, Any, Answer]]] = {
        "has_device": host.has_device,
        "wire": host.wire,
        "cut": host.cut,
        "announce": host.announce,
        "serve": host.serve,
        "launch": host.launch,
        "load": host.load,
        "probe": host.probe,
        "records": host.records,
        "execute": host.execute,
        "trace": host.trace,
    }
    requests: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    reading = asyncio.create_task(_read(reader, requests))
    while not reading.done():
        request = await requests.get()
        try:
            answer = await operations[request.pop("operation")](**request)
        except Exception as error:  # noqa: BLE001 - whatever fails in here, the owner is told
            answer = {"error": f"{type(error).__name__}: {error}"}
        with suppress(ConnectionError):  # the owner left; `_read` notices
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()


async def _read(reader: asyncio.StreamReader, requests: asyncio.Queue[dict[str, Any]]) -> None:
    with suppress(ConnectionError):
        while line := await reader.readline():
            requests.put_nowait(json.loads(line))
    # The owner is gone, perhaps in the middle of a request; so is everything, now.
    os._exit(0)


def receive(control: socket.socket) -> None:
    """Start a lab for each socket received; return when the owner, or the last lab, is gone."""
    labs: list[int] = []  # descriptors of their processes
    while True:
        ready, _, _ = select.select([control.fileno(), *labs], [], [])
        if control.fileno() in ready:  # first: a lab that is asked for keeps the hall running
            asked, descriptors, _, _ = socket.recv_fds(control, 1, 1)
            if not asked:
                return
            pid = os.fork()
            if not pid:
                control.close()
                for lab in labs:
                    os.close(lab)
                namespaces.separate_mounts()
                asyncio.run(answer_requests(socket.socket(fileno=descriptors[0])))
                return
            os.close(descriptors[0])
            labs.append(os.pidfd_open(pid))
            continue
        for lab in ready:
            os.waitid(os.P_PIDFD, lab, os.WEXITED)
            os.close(lab)
            labs.remove(lab)
        if not labs:
            return


def main() -> None:
    """Serve on the descriptor given as the only argument."""
    # A handler of our own, not SIG_IGN: Ctrl-C then leaves the host alone, but ends what
    # `execute` started, because exec resets handlers to the default.
    signal.signal(signal.SIGINT, lambda *_: None)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    netfilter.keep_memory()
    # What is imported stays: no lab looks through it for garbage, or copies its pages by that.
    # A lab is short and makes little of it; looking seldom saves a tenth of its time.
    gc.collect()
    gc.freeze()
    gc.set_threshold(_SELDOM)
    receive(socket.socket(fileno=int(sys.argv[1])))


if __name__ == "__main__":
    main()
