"""The owner's side of a lab: starts the host process, talks to it, lets it die."""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from nodeport_lab.errors import TestbedError
from nodeport_lab.testbeds.embedded import hall


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
        self._hall, self._socket = hall.enter(terminal=terminal)
        self._answers = self._socket.makefile("rb")

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
        """Process id of the outermost process, which other labs may share."""
        return self._hall.pid

    def request(self, operation: str, **arguments: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        """Have the host do something and wait for its answer.

        Raises:
            TestbedError: it failed, or it is no longer there.
        """
        message = json.dumps({"operation": operation, **arguments})
        try:
            self._socket.sendall(message.encode() + b"\n")
            line = self._answers.readline()
        except (OSError, ValueError):  # the latter: another thread closed the lab meanwhile
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
        with suppress(OSError):  # the other end is gone already
            self._socket.shutdown(socket.SHUT_RDWR)  # a thread that waits for an answer gets none
        self._answers.close()
        self._hall.leave(self._socket)

    def _last_words(self) -> str:
        words = self._hall.last_words()
        return f" ({words})" if words else ""
