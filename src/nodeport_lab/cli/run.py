"""`nodeport-lab run`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from nodeport_lab import claims_file, documented, junit, locations, observations, records
from nodeport_lab.cli.shared import (
    DIFFERS,
    INTERRUPTED,
    OptionsOption,
    TestbedOption,
    check_writable,
    err,
    out,
    pairs,
    write,
)
from nodeport_lab.cli.whereabouts import (
    ClusterOption,
    ContextOption,
    DryRunOption,
    EvidenceOption,
    ExternalOption,
    KubeconfigOption,
    NamespaceOption,
    NodeCidrOption,
    PodCidrOption,
    PrintRbacOption,
    ServiceCidrOption,
    subnet,
)
from nodeport_lab.dataplanes import DATAPLANES, find_dataplane
from nodeport_lab.errors import LabError, UnknownNameError
from nodeport_lab.experiment import Question, questions_of, run_all, runnable, scenario_of
from nodeport_lab.model import Run
from nodeport_lab.report import remedies, surroundings, terminal
from nodeport_lab.report.clients import report_by_client
from nodeport_lab.suites import suite_names
from nodeport_lab.testbeds.cluster import rights
from nodeport_lab.testbeds.cluster.venue import ClusterVenue
from nodeport_lab.testbeds.interface import DEFAULT_DEADLINE, Venue
from nodeport_lab.testbeds.kind.venue import KindVenue
from nodeport_lab.variations import VARIATIONS
from nodeport_lab.venues import Whereabouts, venue


def run_command(  # noqa: PLR0913, PLR0917 - one parameter per option
    suite: Annotated[
        str,
        typer.Option(
            help=f"Which questions: {', '.join(suite_names())}, or one stage of a remedy."
        ),
    ] = "report",
    testbed: TestbedOption = "embedded",
    dataplane: Annotated[
        list[str] | None,
        typer.Option(
            "-d",
            "--dataplane",
            help=f"Of {', '.join(DATAPLANES)}; may be repeated. Default: those of the suite.",
        ),
    ] = None,
    option: OptionsOption = None,
    policy: Annotated[
        list[str] | None,
        typer.Option("--policy", help="Name of a policy; may be repeated. Default: all."),
    ] = None,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Also write every observation; - for stdout."),
    ] = None,
    junit_file: Annotated[
        Path | None,
        typer.Option("--junit", metavar="FILE", help="Also write a JUnit report for CI."),
    ] = None,
    deadline: Annotated[
        float, typer.Option(min=0.05, max=60, help="Seconds that a connection may take.")
    ] = DEFAULT_DEADLINE,
    record: Annotated[
        Path | None,
        typer.Option("--record", metavar="FOLDER", help="Also keep each run as a dated file."),
    ] = None,
    cluster: ClusterOption = None,
    context: ContextOption = None,
    kubeconfig: KubeconfigOption = None,
    namespace: NamespaceOption = None,
    node_cidr: NodeCidrOption = None,
    pod_cidr: PodCidrOption = None,
    service_cidr: ServiceCidrOption = None,
    external: ExternalOption = False,  # noqa: FBT002 - flags of the command line
    evidence: EvidenceOption = False,  # noqa: FBT002
    dry_run: DryRunOption = False,  # noqa: FBT002
    print_rbac: PrintRbacOption = False,  # noqa: FBT002
) -> None:
    """Send the probes of a suite and print what became of them.

    Exit code 0: every cell is as documented, or undocumented.

    Exit code 1: a cell differs from a documented outcome.

    Exit code 2: wrong use, or something is missing on this machine.
    """
    if print_rbac:
        _print_rbac(namespace, evidence=evidence)
        return
    _check_outputs(json_file, junit_file, record)
    where = Whereabouts(
        context,
        kubeconfig,
        namespace,
        subnet("--node-cidr", node_cidr),
        subnet("--pod-cidr", pod_cidr),
        subnet("--service-cidr", service_cidr),
        external,
        evidence,
        cluster,
    )
    with venue(testbed, where) as place:
        asked = _questions(suite, dataplane or place.own_dataplanes(), option, policy)
        questions, unanswered = runnable(asked, place)
        if not questions:
            raise LabError("; ".join(unanswered))
        if dry_run:
            _preview(questions, unanswered, place)
            return
        try:
            runs = _make(questions, place, deadline)
        except KeyboardInterrupt:
            if not isinstance(place, KindVenue):
                raise  # nothing stays, as for other commands
            err.print(f"nodeport-lab: interrupted; {place.left}", markup=False, soft_wrap=True)
            raise typer.Exit(INTERRUPTED) from None
    for file in [records.write(records.stamped(run), record) for run in runs if record]:
        err.print(f"Recorded in {file}.", soft_wrap=True)
    stated = claims_file.load(locations.claims_file()).documented
    if json_file is not None:
        write(json_file, json.dumps(observations.to_json(runs), indent=1) + "\n")
    if junit_file is not None:
        write(junit_file, junit.report(runs, stated))
    _show(runs, stated, unanswered, err if "-" in {str(json_file), str(junit_file)} else out)
    if any(documented.compare(run, stated) for run in runs):
        raise typer.Exit(DIFFERS)


def _preview(questions: Sequence[Question], unanswered: Sequence[str], place: Venue) -> None:
    if not isinstance(place, ClusterVenue):
        raise LabError(
            f"--dry-run is for clusters; the testbed {place.name} creates nothing outside of its "
            "own namespaces"
        )
    for scenario in dict.fromkeys(scenario_of(question, place) for question in questions):
        for line in place.preview(scenario):
            out.print(line, markup=False, soft_wrap=True)
    for reason in unanswered:
        out.print(f"not run: {reason}", markup=False, soft_wrap=True)


def _print_rbac(namespace: str | None, *, evidence: bool) -> None:
    """The manifests to standard output, what each right is for beside them."""
    needed = (
        *(() if namespace else ("create-namespace",)),
        *("read-configuration", "host-network"),
        *(rights.OF_EVIDENCE if evidence else ()),
    )
    left = [extra for extra in rights.EXTRAS if extra not in needed]
    for extra, wanted in (
        ("every run", rights.BASE),
        *((one, rights.EXTRAS[one]) for one in needed),
        *((f"not included, {one}", rights.EXTRAS[one]) for one in left),
    ):
        for right in wanted:
            err.print(
                f"{extra}: {', '.join(right.verbs)} {right.name} ({right.place}) - {right.why}",
                markup=False,
                soft_wrap=True,
            )
    if not evidence:
        err.print("Add --evidence for the rights of evidence and of Tigera's operator.")
    sys.stdout.write(rights.print_rbac(namespace or rights.NAME, needed))


def _check_outputs(json_file: Path | None, junit_file: Path | None, record: Path | None) -> None:
    """Refuse what could not be written, before anything runs."""
    if str(json_file) == str(junit_file) == "-":
        raise LabError("--json and --junit cannot both go to standard output; name a file for one")
    check_writable({"--json": json_file, "--junit": junit_file})
    if record is not None:
        records.check_folder(record)


def _show(
    runs: Sequence[Run],
    stated: Sequence[documented.DocumentedOutcome],
    unanswered: Sequence[str],
    screen: Console,
) -> None:
    """Print tables, what is not documented or not as documented, and what it all means."""
    by_client = [run for run in runs if run.suite == "ingress"]
    by_stage = [run for run in runs if run.suite in remedies.stages()]
    others = [run for run in runs if run not in (*by_client, *by_stage)]
    for run in by_client:
        screen.print(report_by_client(run))
    if by_stage:
        screen.print(remedies.for_terminal(by_stage))
    if others:
        screen.print(terminal.report(others, screen.width))
    for sentence in surroundings.sentences(runs):
        screen.print(sentence, markup=False, soft_wrap=True)
    for reason in unanswered:
        screen.print(f"Not run: {reason}.", soft_wrap=True)
    silent = sum(len(documented.undocumented(run, stated)) for run in runs)
    if silent:
        screen.print(f"{silent} cells are not documented; they are shown and held to nothing.")
    for difference in (found for run in runs for found in documented.compare(run, stated)):
        screen.print(f"Not as documented: {difference}", style="bold red", soft_wrap=True)
    screen.print(terminal.closing_line(runs), soft_wrap=True)


def _make(questions: Sequence[Question], venue: Venue, deadline: float) -> list[Run]:
    with Progress(
        TextColumn("sending packets"),
        BarColumn(),
        TextColumn("{task.completed} of {task.total} policies"),
        TimeElapsedColumn(),
        console=err,
        transient=True,
        disable=not err.is_terminal,
    ) as bar:
        task = bar.add_task("", total=None)
        return run_all(
            questions,
            venue=venue,
            deadline=deadline,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )


def _questions(
    suite: str,
    dataplanes: Sequence[str] | None,
    options: Sequence[str] | None,
    policies: Sequence[str] | None,
) -> list[Question]:
    """The suite's questions; an option goes to the dataplanes that have it."""
    given = pairs(options)
    questions = questions_of(suite, dataplanes, policies)
    chosen = {question.dataplane: find_dataplane(question.dataplane) for question in questions}
    known = {*VARIATIONS, *(name for one in chosen.values() for name in one.options)}
    for name in given:
        if name not in known:
            raise UnknownNameError(f"option of {', '.join(chosen)}", name, sorted(known))
    return [
        Question(
            question.dataplane,
            {**question.options, **_those_of(given, question.dataplane)},
            question.policies,
            question.suite,
        )
        for question in questions
    ]


def _those_of(given: dict[str, str], dataplane: str) -> dict[str, str]:
    options = find_dataplane(dataplane).options
    return {name: value for name, value in given.items() if name in options or name in VARIATIONS}
