"""Namespaces; network namespaces are held by file descriptors.

A network namespace exists for as long as something refers to it. These are referred to by
descriptors of one process alone, so the kernel removes them all when it dies, for
whatever reason.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

_CLONE_NEWNS = 0x00020000
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)  # os.setns and os.unshare came with Python 3.12


def current() -> int:
    """A descriptor of the network namespace that this thread is in."""
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def create() -> int:
    """Make a new network namespace and return its descriptor; the thread stays outside."""
    home = current()
    try:
        _check(_libc.unshare(_CLONE_NEWNET))
        return current()
    finally:
        enter(home)
        os.close(home)


def enter(namespace: int) -> None:
    """Move this thread into a network namespace."""
    _check(_libc.setns(namespace, _CLONE_NEWNET))


def separate_mounts() -> None:
    """Give this process mounts of its own, as they are now."""
    _check(_libc.unshare(_CLONE_NEWNS))


@contextmanager
def inside(namespace: int) -> Iterator[None]:
    """Do something in a namespace; sockets and processes made there stay there."""
    home = current()
    try:
        enter(namespace)
        yield
    finally:
        enter(home)
        os.close(home)


def _check(result: int) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
