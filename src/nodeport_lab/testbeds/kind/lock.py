"""One command at a time for each cluster: who changes it, or asks it questions, holds its lock."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nodeport_lab.errors import PrerequisiteError
from nodeport_lab.testbeds.kind import state

_PRIVATE = 0o600
_LOOKS, _PAUSE = 3, 0.05  # seconds


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
        os.write(descriptor, f"{command} {_this_process()}".encode())
        yield
    finally:
        os.close(descriptor)  # the file stays: to remove it would give the next two one lock each


def holder(name: str) -> str | None:
    """Who else holds the lock of a cluster, in words; None: nobody."""
    try:
        descriptor = os.open(_file(name), os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None  # nobody ever has
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        told = _told(descriptor)
        return None if told.endswith(_this_process()) else told
    finally:
        os.close(descriptor)
    return None


def _this_process() -> str:
    return f"(process {os.getpid()})"


def _told(descriptor: int) -> str:
    return os.pread(descriptor, 200, 0).decode("utf-8", "replace") or "another process"


def _take(descriptor: int, name: str, file: Path) -> None:
    for look in range(_LOOKS):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if look < _LOOKS - 1:  # it may be `holder` of another process, for a moment
                time.sleep(_PAUSE)
                continue
            raise PrerequisiteError(
                f"the cluster {name} is in use by {_told(descriptor)}; wait until that has ended, "
                "or use another cluster with --name (--cluster of a run)"
            ) from error
        except OSError as error:
            raise PrerequisiteError(
                f"{file} cannot be locked ({error.strerror}); set XDG_STATE_HOME to a directory on "
                "a local disk"
            ) from error
        else:
            return


def _file(name: str) -> Path:
    """Beside the clusters' own directories, which `down` removes."""
    return state.root().parent / "locks" / name
