"""A remedy's stages below each other, dataplanes side by side: what works, and who is seen.

Clients and ways with the same answers on every dataplane share a row. What is merged is
found in the runs, never stated.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from rich.console import Group
from rich.table import Table as Layout
from rich.text import Text

from nodeport_lab.dataplanes import DATAPLANES
from nodeport_lab.experiment import suite_scenario
from nodeport_lab.model import Client, Direction, NetworkPolicy, Observation, Run, Verdict
from nodeport_lab.remedies import REMEDIES, Remedy, Stage
from nodeport_lab.report import grid
from nodeport_lab.report.atlas import Kind, kinds_of
from nodeport_lab.report.changes import NO_PATH
from nodeport_lab.report.grid import CONTROL, rank
from nodeport_lab.report.seen import Names, names, seen_name
from nodeport_lab.report.table import Cell, Note, Table
from nodeport_lab.report.walk_words import peer, ports, selector
from nodeport_lab.report.words import SYMBOLS, listed, marked
from nodeport_lab.suites import SUITES
from nodeport_lab.testbeds.embedded.addressing import plan_network
from nodeport_lab.variations import split, vary

OF = " of "
_UNEXPECTED = "unexpected answer: "
ALLOWED = str(Verdict.ALLOWED)
OWN = frozenset({"client", "client pod"})
"""What policy sees, in words, where the caller's own address arrives."""
_Way = tuple[Kind, str]
"""Who dials, and what."""


@dataclass(frozen=True, slots=True)
class Staged:
    """A stage of a remedy with its runs, one for each dataplane.

    Attributes:
        stage: the stage.
        runs: what its packets said.
        clients: who called.
        names: of the addresses.
    """

    stage: Stage
    runs: tuple[Run, ...]
    clients: tuple[Client, ...]
    names: Names

    def observations(self) -> Iterator[tuple[str, str, _Way, Observation]]:
        """Dataplane, policy, way and cell of every connection; several servers are told apart."""
        several = len({cell.server for run in self.runs for cell in run.observations}) > 1
        for run in self.runs:
            kinds = kinds_of(run, self.clients)
            for cell in run.observations:
                way = f"{cell.target}{OF}{cell.server}" if several else cell.target
                yield run.dataplane, cell.policy, (kinds[cell.client], way), cell

    def by_client(self, machines: str = "") -> Iterator[tuple[str, str, str, Observation]]:
        """Dataplane, policy, who in words, and cell of every connection.

        Args:
            machines: what machines outside are called together; empty: each by its place.
        """
        for dataplane, policy, (kind, way), cell in self.observations():
            who = machines if machines and cell.client_node is None else kind.who
            _, of, server = way.partition(OF)
            yield dataplane, policy, f"{who} to {server}" if of else who, cell


def staged(runs: Iterable[Run]) -> tuple[Staged, ...]:
    """Runs of remedies by stage, in the order of the stages."""
    by_suite: defaultdict[str, list[Run]] = defaultdict(list)
    for run in runs:
        by_suite[run.suite].append(run)
    return tuple(
        _staged(stage, by_suite[suite])
        for suite, (_, stage) in stages().items()
        if suite in by_suite
    )


def stages() -> dict[str, tuple[Remedy, Stage]]:
    """Name of a suite -> the remedy and the stage that it is."""
    return {
        remedy.suite(stage): (remedy, stage)
        for remedy in REMEDIES.values()
        for stage in remedy.stages
    }


def remedy_table(runs: Sequence[Run]) -> Table:
    """What became of the connections: a row for each stage, policy and group of clients."""
    parts = staged(runs)
    dataplanes = tuple(dict.fromkeys(run.dataplane for run in runs))
    return Table(
        caption=f"{_title(runs)}: before and after",
        corner="stage",
        headings=("policy", "who dials what", *map(_heading, dataplanes)),
        rows=tuple(
            (part.stage.name, (Cell(policy), Cell(who), *map(_symbol, answers)))
            for part in parts
            for policy, who, answers in _merged(part, dataplanes, _outcome)
        ),
        notes=(
            Note("   ".join(marked(outcome) for outcome in grid.outcomes(runs))),
            *(Note(f"{part.stage.name}: {part.stage.summary}.") for part in parts),
        ),
    )


def sources_table(runs: Sequence[Run]) -> Table:
    """Whose address the server's policy saw, and which one the application logged.

    Told of connections that no policy kept from the server.
    """
    parts = staged(runs)
    dataplanes = tuple(dict.fromkeys(run.dataplane for run in runs))
    return Table(
        caption=f"{_title(runs)}: whose address arrives",
        corner="stage",
        headings=("who dials what", *map(_heading, dataplanes)),
        rows=tuple(
            (part.stage.name, (Cell(who), *map(_arrived, answers)))
            for part in parts
            for _, who, answers in _merged(_without_policy(part), dataplanes, _source)
        ),
        notes=(
            Note("What the server's policy saw, and what the server logged where that is another."),
            *(
                Note("Last, where a proxy told it: X-Forwarded-For, whom the proxy had seen.")
                for _ in range(any(cell.forwarded_for for one in runs for cell in one.observations))
            ),
        ),
    )


def policies_table(runs: Sequence[Run]) -> Table:
    """What each policy has to allow: whom it selects, and the peers and ports it admits."""
    found: dict[str, NetworkPolicy] = {}
    for part in staged(runs):
        scenario = suite_scenario(SUITES[part.runs[0].suite])
        found |= {one.name: one for one in scenario.policies if one.name in part.stage.policies}
    return Table(
        caption=f"{_title(runs)}: what the policies allow",
        corner="policy",
        headings=("selects", "allows"),
        rows=tuple(
            (
                name,
                (
                    Cell(f"pods {selector(policy.pod_selector)}"),
                    Cell("\n".join(_allowed(policy)) or "nothing"),
                ),
            )
            for name, policy in found.items()
        ),
    )


def _allowed(policy: NetworkPolicy) -> Iterator[str]:
    for direction, word in ((Direction.EGRESS, "to"), (Direction.INGRESS, "from")):
        for rule in policy.rules(direction):
            clause = f", {ports(rule.ports)}" if rule.ports else ""
            yield from (f"{word} {peer(one)}{clause}" for one in rule.peers or (None,))


def told_table(runs: Sequence[Run]) -> Table:
    """What the clients were told, where a program stands between them and the server."""
    parts = staged(runs)
    dataplanes = tuple(dict.fromkeys(run.dataplane for run in runs))
    return Table(
        caption=f"{_title(runs)}: what the client is told",
        corner="stage",
        headings=("policy", "who dials what", *dataplanes),
        rows=tuple(
            (part.stage.name, (Cell(policy), Cell(who), *map(_arrived, answers)))
            for part in parts
            for policy, who, answers in _merged(part, dataplanes, _told)
        ),
        notes=(Note("Nothing: the client waits for an answer in vain."),),
    )


def outcome_values(runs: Sequence[Run]) -> dict[str, str]:
    """`{stage}/{policy}/{who}/{dataplane}` -> outcome, all ways and places together.

    Where a stage has several servers, `{who}` is `{who} to {server}`.
    """
    return _values(
        (f"{part.stage.name}/{policy}/{who}/{dataplane}", cell.outcome)
        for part in staged(runs)
        for dataplane, policy, who, cell in part.by_client()
    )


def source_values(runs: Sequence[Run]) -> dict[str, str]:
    """`seen/{stage}/{who}/{dataplane}` -> what the server's policy saw without any, in words."""
    return _values(
        (f"seen/{part.stage.name}/{who}/{dataplane}", _seen(part, cell)[0])
        for part in map(_without_policy, staged(runs))
        for dataplane, _, who, cell in part.by_client()
        if cell.outcome != NO_PATH
    )


def dataplane_values(runs: Sequence[Run]) -> dict[str, str]:
    """Name -> dataplanes, in words, or counts, machines outside together.

    `works/{stage}/{policy}/{who}`: where all connections that have a path were allowed.
    `opened/...`: where any was. `lost/{stage}/{who}`: how many have no path there.
    """
    found: defaultdict[str, defaultdict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for part in staged(runs):
        for dataplane, policy, who, cell in part.by_client(machines="machine"):
            found[f"{part.stage.name}/{policy}/{who}"][dataplane].append(cell.outcome)
    values: dict[str, str] = {}
    for name, by_dataplane in found.items():
        ways = {one: set(outcomes) - {NO_PATH} for one, outcomes in by_dataplane.items()}
        values[f"works/{name}"] = _places(one for one, way in ways.items() if way == {ALLOWED})
        values[f"opened/{name}"] = _places(one for one, way in ways.items() if ALLOWED in way)
        stage, policy, who = name.split("/")
        if policy == CONTROL:
            counts = {
                f"{outcomes.count(NO_PATH) or 'none'} of {len(outcomes)}": None
                for outcomes in by_dataplane.values()
            }
            values[f"lost/{stage}/{who}"] = " or ".join(counts)
    return values


def kept_values(runs: Sequence[Run]) -> dict[str, str]:
    """`kept/{stage}/{who}` -> where the server's policy always saw the caller's own address."""
    found: defaultdict[str, defaultdict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for part in map(_without_policy, staged(runs)):
        for dataplane, _, who, cell in part.by_client(machines="machine"):
            if cell.outcome != NO_PATH:
                found[f"kept/{part.stage.name}/{who}"][dataplane].add(_seen(part, cell)[0])
    return {
        name: _places(one for one, seen in by_dataplane.items() if seen <= OWN)
        for name, by_dataplane in found.items()
    }


def _places(found: Iterable[str]) -> str:
    """Dataplanes in words; that all are meant is said only where all were asked."""
    names = tuple(found)
    return "every dataplane" if set(names) == set(DATAPLANES) else listed(names) or "none"


def for_terminal(runs: Sequence[Run]) -> Group:
    """The stages of one remedy after the other, in symbols, readable at 80 columns."""
    parts: list[Layout | Text] = []
    for part in staged(runs):
        dataplanes = tuple(dict.fromkeys(run.dataplane for run in part.runs))
        layout = Layout(
            title=f"{part.runs[0].suite}: {part.stage.summary}",
            box=None,
            title_justify="left",
            pad_edge=False,
            padding=(0, 1, 0, 0),
        )
        layout.add_column("policy\n  who dials what")
        for dataplane in dataplanes:
            layout.add_column(dataplane.replace("-", "\n"), no_wrap=True, vertical="bottom")
        told = ""
        for policy, who, answers in _merged(part, dataplanes, _outcome):
            lines = [f"  {line}" for line in who.splitlines()]
            heading = [] if policy == told else [policy]
            symbols = ("".join(SYMBOLS[one] for one in found) for found in answers)
            layout.add_row("\n".join([*heading, *lines]), *symbols)
            told = policy
        parts += [layout, Text()]
    return Group(*parts)


def _title(runs: Sequence[Run]) -> str:
    found = stages()
    return listed(dict.fromkeys(found[run.suite][0].title for run in runs))


def _staged(stage: Stage, runs: Sequence[Run]) -> Staged:
    suite = SUITES[runs[0].suite]
    scenario = vary(suite_scenario(suite), split(runs[0].options)[1])
    known = names(scenario, plan_network(scenario, tunnel=True))
    return Staged(stage, tuple(runs), tuple(suite.callers(scenario)), known)


def _without_policy(part: Staged) -> Staged:
    return replace(
        part,
        runs=tuple(
            replace(
                run,
                observations=tuple(cell for cell in run.observations if cell.policy == CONTROL),
            )
            for run in part.runs
        ),
    )


def _outcome(_part: Staged, cell: Observation) -> str:
    return cell.outcome


def _source(part: Staged, cell: Observation) -> str:
    if cell.outcome == NO_PATH:
        return NO_PATH
    seen, logged, *told = _seen(part, cell)
    source = seen if seen == logged else f"{seen}, logged {logged}"
    return ", told ".join((source, *told))


def _told(_part: Staged, cell: Observation) -> str:
    if cell.verdict is Verdict.ALLOWED:
        return "the page"
    return cell.detail.removeprefix(_UNEXPECTED) if cell.detail else "nothing"


def _seen(part: Staged, cell: Observation) -> tuple[str, ...]:
    """What the last policy on the way in saw, what the server logged, and what it was told."""
    door = [one.seen_source for one in cell.decisions if one.direction is Direction.INGRESS]
    told = (f"{cell.forwarded_for}:0",) if cell.forwarded_for else ()
    return tuple(
        seen_name(replace(cell, direction=Direction.INGRESS, seen_source=address), part.names)
        for address in (door[-1] if door else None, cell.application_source, *told)
    )


def _merged(
    part: Staged, dataplanes: Sequence[str], tell: Callable[[Staged, Observation], str]
) -> Iterator[tuple[str, str, tuple[tuple[str, ...], ...]]]:
    """Policy, who dials what in words, and for each dataplane the different answers."""
    found: defaultdict[tuple[str, _Way], defaultdict[str, dict[str, None]]]
    found = defaultdict(lambda: defaultdict(dict))
    for dataplane, policy, way, cell in part.observations():
        found[policy, way][dataplane][tell(part, cell)] = None
    rows: defaultdict[tuple[str, tuple[tuple[str, ...], ...]], list[_Way]] = defaultdict(list)
    for (policy, way), by_dataplane in found.items():
        together = tuple(tuple(sorted(by_dataplane[dataplane])) for dataplane in dataplanes)
        rows[policy, together].append(way)
    asked = [way for _, way in found]
    for (policy, answers), ways in rows.items():
        yield policy, _words(ways, asked), answers


def _words(ways: Sequence[_Way], asked: Sequence[_Way]) -> str:
    """Who and what in words; places are named where the answer is not that of all places."""
    targets: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for kind, target in ways:
        everywhere = all(
            (other, one) in ways for other, one in asked if other.who == kind.who and one == target
        )
        targets[kind.who if everywhere else str(kind)][target] = None
    alike: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for who, found in targets.items():
        alike[tuple(sorted(found, key=_near_to_far))].append(who)
    return "\n".join(f"{listed(whos, 'or')}: {', '.join(found)}" for found, whos in alike.items())


def _near_to_far(way: str) -> tuple[str, int]:
    target, _, server = way.partition(OF)
    return server, rank(target)


def _heading(dataplane: str) -> str:
    """A dataplane's name on two lines: six of them have to fit beside each other."""
    return dataplane.replace("-", "-\n", 1)


def _symbol(found: Sequence[str]) -> Cell:
    """Outcomes as their symbols, which a note explains; those that disagree have no colour."""
    return Cell("".join(SYMBOLS[one] for one in found), kind=found[0] if len(found) == 1 else "")


def _arrived(found: Sequence[str]) -> Cell:
    return Cell("\nor ".join(found))


def _values(told: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The different words under each name, in a fixed order."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for name, words in told:
        found[name].add(words)
    return {name: " or ".join(sorted(words)) for name, words in found.items()}
