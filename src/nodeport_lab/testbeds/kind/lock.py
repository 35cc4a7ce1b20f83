"""One command at a time for each cluster: who changes it, or asks it questions, holds its lock."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nodeport_lab.errors import PrerequisiteError
from nodeport_lab.testbeds.kind import state

_PRIVATE = 0o600


@contextmanager
def held(name: str, command: str) -> Iterator[None]:
    """Hold the lock of a cluster; the kernel lets go of it however this process ends.

    Args:
        name: of the cluster.
        command: the one that holds it, for the message of whoever comes second.

    Raises:
        PrerequisiteError: another process holds it, or the lock cannot be had.
    """
    file = _file(name)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE)
    except OSError as error:
        raise PrerequisiteError(
            f"{file} cannot be written ({error.strerror}); set XDG_STATE_HOME to a directory of "
            "your own"
        ) from error
    try:
        _take(descriptor, name, file)
        os.truncate(descriptor, 0)
        os.write(descriptor, f"{command} (process {os.getpid()})".encode())
        yield
    finally:
        os.close(descriptor)  # the file stays: to remove it would give the next two one lock each


def _take(descriptor: int, name: str, file: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(descriptor, 200, 0).decode("utf-8", "replace") or "another process"
        raise PrerequisiteError(
            f"the cluster {name} is in use by {holder}; wait until that has ended, or use another "
            "cluster with --name (--cluster of a run)"
        ) from error
    except OSError as error:
        raise PrerequisiteError(
            f"{file} cannot be locked ({error.strerror}); set XDG_STATE_HOME to a directory on a "
            "local disk"
        ) from error


def _file(name: str) -> Path:
    """Beside the clusters' own directories, which `down` removes."""
    return state.root().parent / "locks" / name
