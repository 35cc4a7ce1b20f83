"""The owner's side of a lab: starts the host process, talks to it, lets it die."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
from types import TracebackType
from typing import Any, Self

from nodeport_lab.errors import TestbedError
from nodeport_lab.testbeds.embedded.preflight import isolation

_HOST_MODULE = "nodeport_lab.testbeds.embedded.host"
_GRACE = 5.0  # seconds for the kernel to end the processes of a lab


class Lab:
    """A running host process. A context manager: leaving it removes everything.

    A process with threads cannot enter a user namespace, so the lab is a child process;
    nothing of it outlives either side.
    """

    def __init__(self, *, terminal: bool = False) -> None:
        """Start the host process.

        Args:
            terminal: give it this process's standard input and output, for `execute`.

        Raises:
            PrerequisiteError: this machine cannot run a lab.
        """
        command = isolation()
        ours, theirs = socket.socketpair()
        self._complaints = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed in close()
        quiet = None if terminal else subprocess.DEVNULL
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - this very interpreter
                [*command, sys.executable, "-m", _HOST_MODULE, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=quiet,
                stdout=quiet,
                stderr=None if terminal else self._complaints,
            )
        self._socket = ours
        self._answers = ours.makefile("rb")

    def __enter__(self) -> Self:
        """Nothing to do: a lab runs from the moment it is made."""
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Remove the lab."""
        self.close()

    @property
    def pid(self) -> int:
        """Process id of the lab's outermost process."""
        return self._process.pid

    def request(self, operation: str, **arguments: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        """Have the host do something and wait for its answer.

        Raises:
            TestbedError: it failed, or it is no longer there.
        """
        message = json.dumps({"operation": operation, **arguments})
        try:
            self._socket.sendall(message.encode() + b"\n")
            line = self._answers.readline()
        except OSError:
            line = b""
        if not line:
            raise TestbedError(
                f"the lab's process ended while it was asked to {operation}"
                f"{self._last_words()}; start it again"
            )
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise TestbedError(
                f"the lab could not {operation} ({answer['error']}); "
                "see what this machine can run with: nodeport-lab doctor"
            )
        return answer

    def close(self) -> None:
        """End the lab; the kernel removes its namespaces, links and rules."""
        self._answers.close()
        self._socket.close()
        try:
            self._process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._complaints.close()

    def _last_words(self) -> str:
        self._complaints.seek(0)
        lines = self._complaints.read().strip().splitlines()
        return f" ({lines[-1]})" if lines else ""
