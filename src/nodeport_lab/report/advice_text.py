"""Advice in words: the rules that were tried, the one that helps, and what else it opens."""

from __future__ import annotations

from collections.abc import Iterator

import yaml
from rich.console import Group
from rich.text import Text

from nodeport_lab.advice import Advice, manifest


def render(advice: Advice) -> Group:
    """What was tried, for a terminal or a notebook."""
    return Group(*_lines(advice))


def _lines(advice: Advice) -> Iterator[Text]:
    for candidate, helped in advice.tried:
        yield Text(f"{'✓' if helped else '✗'} {candidate.words}", "green" if helped else "")
    if advice.chosen is None:
        yield Text("None of these rules lets the connection through.")
        return
    yield Text("\nThis policy, beside the one in force, lets the connection through:\n")
    yield Text(yaml.safe_dump(manifest(advice.chosen.policy), sort_keys=False))
    if not advice.opened:
        yield Text("It opens nothing else in this scenario.")
        return
    by_client: dict[str, list[str]] = {}
    for cell in advice.opened:
        ways = by_client.setdefault(cell.client.name, [])
        if cell.way not in ways:
            ways.append(cell.way)
    yield Text("It also opens, of this scenario:")
    for name, ways in by_client.items():
        yield Text(f"  {name}: {', '.join(ways)}")
