"""The steps of `up`: their names, who hears of them, and how long they take."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

CHECK, CREATE, LOAD, INSTALL, WAIT, DEPLOY = (
    "check",
    "create nodes",
    "load images",
    "install CNI",
    "wait until ready",
    "deploy workloads",
)
"""The steps of `up`, in their order; what is deployed is the caller's to say."""


class Progress(Protocol):
    """Is told how far it has come."""

    def __call__(self, step: str, said: str | None = None, seconds: float | None = None) -> None:
        """Hear of a step: that it begins, what it waits for, or how long it took.

        Args:
            step: its name.
            said: what it waits for.
            seconds: how long it took; None: it has not ended.
        """


@contextmanager
def timed(step: str, progress: Progress) -> Iterator[list[float]]:
    """Tell of a step, and how long it took; the seconds are in the list then."""
    start = time.monotonic()
    progress(step)
    seconds: list[float] = []
    yield seconds
    seconds.append(time.monotonic() - start)
    progress(step, seconds=seconds[0])
