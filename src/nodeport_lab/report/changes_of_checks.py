"""What a change of manifests changes, on a terminal and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Group
from rich.text import Text

from nodeport_lab.check.changes import Change, Comparison

_MOST = 100  # lines


def render(found: Comparison) -> Group:
    """What changes, line by line, and one line for all of it."""
    return Group(*_lines(found))


def record(found: Comparison) -> dict[str, Any]:
    """The same as plain values."""
    return {
        "compared": found.compared,
        "changes": [
            {
                "from": str(one.caller),
                "to": str(one.door),
                "where": str(one.situation),
                "before": _plain(one.before),
                "after": _plain(one.after),
            }
            for one in found.changes
        ],
        "added": len(found.added),
        "removed": len(found.removed),
        "bases": dict(found.bases),
    }


def _plain(outcomes: Mapping[str, tuple[str, ...]]) -> dict[str, list[str]]:
    return {name: list(some) for name, some in outcomes.items()}


def _lines(found: Comparison) -> Iterator[Text]:
    for one in found.changes[:_MOST]:
        where = f" ({one.situation})" if str(one.situation) else ""
        yield Text(f"{one.caller} to {one.door}{where}", "bold")
        same: dict[tuple[str, str], list[str]] = {}
        for name in one.dataplanes:
            same.setdefault(_words(one, name), []).append(name)
        for (before, after), names in same.items():
            where = ", ".join(f"{name} ({found.bases[name]})" for name in names)
            yield Text(f"  {before} → {after} on {where}")
    if len(found.changes) > _MOST:
        yield Text(f"and {len(found.changes) - _MOST} more; --json tells all")
    change = "answer changes" if len(found.changes) == 1 else "answers change"
    yield Text(
        f"{len(found.changes)} {change}, of {found.compared:,} verdicts that were compared; "
        f"{len(found.added)} are new, {len(found.removed)} are gone."
    )


def _words(one: Change, name: str) -> tuple[str, str]:
    return " or ".join(one.before[name]), " or ".join(one.after.get(name, ("not asked",)))
