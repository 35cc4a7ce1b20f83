"""`nodeport-lab check` and `nodeport-lab diff`: your own manifests."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from nodeport_lab.check import checker
from nodeport_lab.check.changes import compare
from nodeport_lab.check.checker import Check, Request
from nodeport_lab.check.findings import FAILING, Kind, chosen_kinds
from nodeport_lab.cli.shared import DIFFERS, OptionsOption, check_writable, err, out, pairs, write
from nodeport_lab.dataplanes import DATAPLANES
from nodeport_lab.errors import LabError
from nodeport_lab.manifests.users import STANDARD_INPUT, Reading, read_users_files
from nodeport_lab.manifests.users_cluster import MOST_NODES, SUBNETS, check_subnets
from nodeport_lab.manifests.users_scenario import DEFAULT_NODES
from nodeport_lab.report import changes_of_checks, check_text
from nodeport_lab.testbeds.embedded.addressing import NODE_CIDR

_DEPLOYED = "What is deployed"

DataplanesOption = Annotated[
    list[str] | None,
    typer.Option(
        "-d",
        "--dataplane",
        help=f"Of {', '.join(DATAPLANES)}; may be repeated. Default: all.",
    ),
]
NodesOption = Annotated[
    int, typer.Option(min=1, max=MOST_NODES, help="Workers, besides a control plane without pods.")
]
SubnetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--subnet",
        metavar="NAME=CIDR",
        help=f"A subnet of the real cluster, of {', '.join(SUBNETS)}; may be repeated.",
    ),
]
CapOption = Annotated[
    int | None,
    typer.Option(
        "--max-cells",
        min=1,
        help="The most questions for each dataplane. Never leaves out one that may differ.",
    ),
]
DeadlineOption = Annotated[
    float | None,
    typer.Option(min=0.05, max=60, help="Seconds that a connection may take. Default: as needed."),
]


def check_command(  # noqa: PLR0913, PLR0917 - one parameter per option
    file: Annotated[
        list[str] | None,
        typer.Option(
            "-f",
            "--file",
            metavar="FILE|DIR|-",
            help="Manifests: a file, a folder with all in it, or - for standard input; repeat it.",
        ),
    ] = None,
    context: Annotated[
        str | None,
        typer.Option(
            help="Instead: what is deployed in the cluster of this context. It is only listed.",
            rich_help_panel=_DEPLOYED,
        ),
    ] = None,
    kubeconfig: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Default: $KUBECONFIG, or ~/.kube/config. It is never written.",
            rich_help_panel=_DEPLOYED,
        ),
    ] = None,
    namespace: Annotated[
        list[str] | None,
        typer.Option(
            help="Read this namespace alone; may be repeated. Default: all.",
            rich_help_panel=_DEPLOYED,
        ),
    ] = None,
    dataplane: DataplanesOption = None,
    option: OptionsOption = None,
    nodes: NodesOption = DEFAULT_NODES,
    subnet: SubnetOption = None,
    max_cells: CapOption = None,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Also write everything; - for stdout."),
    ] = None,
    junit_file: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Also write a JUnit report.")
    ] = None,
    html_file: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Also write one page of HTML.")
    ] = None,
    strict: Annotated[  # noqa: FBT002 - an option
        bool, typer.Option("--strict", help="What was assumed or left out is a finding, too.")
    ] = False,
    fail_on: Annotated[
        str | None,
        typer.Option(
            metavar="KIND,...",
            help=f"Findings that end with exit code 1: {', '.join(FAILING)}. Default: all.",
        ),
    ] = None,
    deadline: DeadlineOption = None,
) -> None:
    """Ask what your own policies and Services do, on every dataplane, with real packets.

    Exit code 0: nothing to report.

    Exit code 1: findings.

    Exit code 2: wrong input, or something is missing on this machine.
    """
    failing = chosen_kinds(fail_on, strict=strict)
    files = {"--json": json_file, "--junit": junit_file, "--html": html_file}
    piped = _check_files(files)
    request = _request(dataplane, option, nodes, subnet, max_cells, deadline)
    reading = _asked_for(file, context, kubeconfig, namespace)
    made = _make(replace(request, reading=reading))
    _write(made, files, failing)
    (err if piped else out).print(check_text.render(made), soft_wrap=False)
    if any(finding.kind in failing for finding in made.findings):
        raise typer.Exit(DIFFERS)


def diff_command(  # noqa: PLR0913, PLR0917 - one parameter per option
    old: Annotated[str, typer.Argument(metavar="OLD", help="Manifests before: a file or folder.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="Manifests after; one may be -.")],
    dataplane: DataplanesOption = None,
    option: OptionsOption = None,
    nodes: NodesOption = DEFAULT_NODES,
    subnet: SubnetOption = None,
    max_cells: CapOption = None,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Also write the changes; - for stdout."),
    ] = None,
    deadline: DeadlineOption = None,
) -> None:
    """Ask which answers change from one set of manifests to another, as in a pull request.

    Exit code 0: no answer changes.

    Exit code 1: some do.

    Exit code 2: wrong input, or something is missing on this machine.
    """
    if old == new == STANDARD_INPUT:
        raise LabError("only one of OLD and NEW can be standard input; name a file for the other")
    piped = _check_files({"--json": json_file})
    request = _request(dataplane, option, nodes, subnet, max_cells, deadline)
    readings = [_read([path]) for path in (old, new)]
    before, after = (
        _make(replace(request, reading=reading, remedies=False)) for reading in readings
    )
    found = compare(before.answers, after.answers, before.bases)
    if json_file is not None:
        write(json_file, json.dumps(changes_of_checks.record(found), indent=1) + "\n")
    (err if piped else out).print(changes_of_checks.render(found), soft_wrap=True)
    if found.changes:
        raise typer.Exit(DIFFERS)


def _asked_for(
    files: Sequence[str] | None,
    context: str | None,
    kubeconfig: Path | None,
    namespaces: Sequence[str] | None,
) -> Reading:
    """What the user wants checked: files, or what a cluster runs."""
    if context is None:
        for option, given in (("--kubeconfig", kubeconfig), ("--namespace", namespaces)):
            if given:
                raise LabError(f"{option} is about a cluster; name its --context, too")
        if not files:
            raise LabError("nothing to check: give manifests with -f, or a cluster with --context")
        return _read(files)
    if files:
        raise LabError("-f and --context exclude each other; check one after the other")
    from nodeport_lab.check.deployed import read_cluster  # noqa: PLC0415 - only clusters need it

    reading = read_cluster(kubeconfig, context, namespaces or ())
    if not reading.objects:
        raise LabError(f"nothing is deployed in the cluster of context {context!r}")
    return reading


def _read(paths: Sequence[str]) -> Reading:
    piped = sys.stdin.buffer.read() if STANDARD_INPUT in paths else b""
    reading = read_users_files(paths, piped)
    if not reading.objects:
        where = ", ".join("standard input" if one == STANDARD_INPUT else one for one in paths)
        raise LabError(
            f"nothing in {where} is of a kind that the lab reads; "
            "give it Pods or what makes them, Services and NetworkPolicies"
        )
    return reading


def _request(  # noqa: PLR0913, PLR0917 - the options of both commands
    dataplanes: Sequence[str] | None,
    options: Sequence[str] | None,
    nodes: int,
    subnets: Sequence[str] | None,
    cap: int | None,
    deadline: float | None,
) -> Request:
    """What is asked, whatever the manifests; wrong names are refused before those are read."""
    checker.chosen_dataplanes(dataplanes or (), pairs(options))
    return Request(
        reading=Reading(),
        dataplanes=tuple(dataplanes or ()),
        options=pairs(options),
        nodes=nodes,
        subnets=_subnets(subnets),
        cap=cap,
        deadline=deadline,
    )


def _subnets(given: Sequence[str] | None) -> Mapping[str, IPv4Network]:
    return check_subnets(pairs(given, "--subnet", "nodes=10.0.0.0/24"), NODE_CIDR)


def _check_files(files: Mapping[str, Path | None]) -> bool:
    """Refuse files that cannot be written; tell whether one of them is standard output."""
    piped = [name for name, file in files.items() if str(file) == "-"]
    if len(piped) > 1:
        raise LabError(f"{' and '.join(piped)} cannot both go to standard output; name a file")
    check_writable(files)
    return bool(piped)


def _write(made: Check, files: Mapping[str, Path | None], failing: frozenset[Kind]) -> None:
    """Write what was asked for; what writes a form is imported only where it is needed."""
    if (file := files["--json"]) is not None:
        from nodeport_lab.report import check_record  # noqa: PLC0415

        write(file, json.dumps(check_record.record(made), indent=1) + "\n")
    if (file := files["--junit"]) is not None:
        from nodeport_lab.report import check_junit  # noqa: PLC0415

        write(file, check_junit.report(made, failing))
    if (file := files["--html"]) is not None:
        from nodeport_lab.report import check_page  # noqa: PLC0415

        write(file, check_page.page(made))


def _make(request: Request) -> Check:
    with _progress() as progress:
        return checker.check(request, progress)


@contextmanager
def _progress() -> Iterator[checker.Progress]:
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f}"),
        TimeElapsedColumn(),
        console=err,
        transient=True,
        disable=not err.is_terminal,
    ) as bar:
        task = bar.add_task("reading", total=1)

        def show(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total)

        yield show
