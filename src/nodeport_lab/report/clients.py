"""A run for a terminal where clients matter: a row per client, a column per policy.

Each cell has one symbol per target, in the order that the line above the table names. A
client that has no such target, as a machine outside has no cluster IP, leaves a gap.
Clients with the same answers share a row.
"""

from __future__ import annotations

from rich.console import Group
from rich.table import Table
from rich.text import Text

from nodeport_lab.model import Run
from nodeport_lab.report.grid import TARGETS
from nodeport_lab.report.terminal import STYLES
from nodeport_lab.report.words import SYMBOLS, evidence, title

Answers = tuple[tuple[str, ...], ...]
"""For each policy: for each target, the outcome or outcomes joined by a slash."""


def report_by_client(run: Run) -> Group:
    """One run, a row for each group of clients that got the same answers everywhere."""
    policies = tuple(dict.fromkeys(cell.policy for cell in run.observations))
    present = {cell.target for cell in run.observations}
    targets = tuple(target for target in TARGETS if target in present)
    names = tuple(dict.fromkeys(cell.client for cell in run.observations))
    rows: dict[Answers, list[str]] = {}
    for client in names:
        answers = tuple(
            tuple(_outcomes(run, client, policy, target) for target in targets)
            for policy in policies
        )
        rows.setdefault(answers, []).append(client)
    table = Table(
        title=f"{title(run)}, {evidence(run)}",
        box=None,
        title_justify="left",
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    table.add_column("client", no_wrap=True, overflow="fold", min_width=max(map(len, names)))
    for policy in policies:
        table.add_column(policy.replace("-", "\n"), no_wrap=True)
    for answers, clients in rows.items():
        table.add_row("\n".join(clients), *(_symbols(answer) for answer in answers))
    return Group(table, Text(f"Each cell: {', '.join(targets)}."), Text())


def _outcomes(run: Run, client: str, policy: str, target: str) -> str:
    found = {
        cell.outcome
        for cell in run.observations
        if (cell.client, cell.policy, cell.target) == (client, policy, target)
    }
    return "/".join(sorted(found))


def _symbols(answers: tuple[str, ...]) -> Text:
    line = Text()
    for answer in answers:
        parts = [part for part in answer.split("/") if part]
        line.append("·" if not parts else "")
        for part in parts:
            line.append(SYMBOLS[part], STYLES[part])
    return line
