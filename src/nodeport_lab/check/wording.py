"""Lists as people write them."""

from __future__ import annotations

from collections.abc import Iterable

SHOWN = 6  # names in a list, before the rest is counted


def listed(names: Iterable[object]) -> str:
    """Names as people list them, the rest counted where there are many."""
    every = [str(name) for name in names]
    if len(every) > SHOWN:
        every = [*every[:SHOWN], f"{len(every) - SHOWN} more"]
    *most, last = every or [""]
    return f"{', '.join(most)} and {last}" if most else last
