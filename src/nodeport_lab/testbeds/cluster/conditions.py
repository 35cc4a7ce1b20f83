"""What an object's status says of it: conditions that hold, containers that wait."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any


def holds(found: Mapping[str, Any] | None, name: str) -> bool:
    """Whether a condition of an object is true; it is not where there is no such object."""
    return any(one.get("type") == name and one.get("status") == "True" for one in said(found))


def said(found: Mapping[str, Any] | None) -> tuple[Mapping[str, Any], ...]:
    """The conditions of an object."""
    return tuple(((found or {}).get("status") or {}).get("conditions") or ())


def waiting(
    pod: Mapping[str, Any], kinds: Iterable[str] = ("containerStatuses",)
) -> Iterator[tuple[Mapping[str, Any], str, str | None]]:
    """Containers of a pod that wait: the container's status, the reason, and its message."""
    status = pod.get("status") or {}
    for kind in kinds:
        for container in status.get(kind) or ():
            state = (container.get("state") or {}).get("waiting") or {}
            if state.get("reason"):
                yield container, state["reason"], state.get("message")
