"""The process that labs are started from, and in whose namespaces they live: a hall.

Making namespaces and starting Python takes longer than wiring a small lab. So the labs of
one owner that run at the same time share a hall, and each is a copy of its process.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from threading import Lock

from nodeport_lab.testbeds.embedded.preflight import isolation

_HOST_MODULE = "nodeport_lab.testbeds.embedded.host"
_GRACE = 5.0  # seconds for the kernel to end the processes of a hall
_NEW_LAB = b"+"


class Hall:
    """A running process that makes labs. It ends with its owner, and with its last lab."""

    def __init__(self, *, terminal: bool = False) -> None:
        """Start the process.

        Args:
            terminal: give it this process's standard input and output.

        Raises:
            PrerequisiteError: this machine cannot run a lab.
        """
        command = isolation()
        self._control, theirs = socket.socketpair()
        self._complaints = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed in _end()
        self._labs = 0
        quiet = None if terminal else subprocess.DEVNULL
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - this very interpreter
                [*command, sys.executable, "-m", _HOST_MODULE, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=quiet,
                stdout=quiet,
                stderr=None if terminal else self._complaints,
            )

    @property
    def pid(self) -> int:
        """Process id of the outermost process."""
        return self._process.pid

    @property
    def is_open(self) -> bool:
        """Whether it runs, for labs that run."""
        return self._labs > 0 and self._process.poll() is None

    def start_lab(self) -> socket.socket:
        """Start a lab; returns the socket by which it is asked.

        If the hall has died, the socket's other end is closed.
        """
        ours, theirs = socket.socketpair()
        with theirs, suppress(ConnectionError):
            socket.send_fds(self._control, [_NEW_LAB], [theirs.fileno()])
        self._labs += 1
        return ours

    def leave(self, lab: socket.socket) -> None:
        """End a lab, and with the last one the hall; the kernel removes what was theirs."""
        with _entrance:
            self._labs -= 1
            is_last = not self._labs
        lab.close()
        if is_last:
            self._end()

    def last_words(self) -> str:
        """The last line in which the hall or a lab of it complained."""
        if self._complaints.closed:
            return ""
        self._complaints.seek(0)
        lines = self._complaints.read().strip().splitlines()
        return lines[-1] if lines else ""

    def _end(self) -> None:
        self._control.close()
        try:
            self._process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._complaints.close()


_entrance = Lock()
_open: list[Hall] = []  # the one that this process's labs share, if any


def enter(*, terminal: bool = False) -> tuple[Hall, socket.socket]:
    """Start a lab, in the hall that is open, or else in a new one.

    Args:
        terminal: in a hall of its own, which has this process's standard input and output.

    Raises:
        PrerequisiteError: this machine cannot run a lab.
    """
    with _entrance:
        if terminal:
            hall = Hall(terminal=True)
        else:
            if not (_open and _open[0].is_open):
                _open[:] = [Hall()]
            hall = _open[0]
        return hall, hall.start_lab()
