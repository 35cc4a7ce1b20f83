"""The command line: the only place that prints."""

from __future__ import annotations

import json
import shutil
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from nodeport_lab import doctor, documented
from nodeport_lab.dataplanes import DATAPLANES, find_dataplane
from nodeport_lab.errors import LabError, UnknownNameError
from nodeport_lab.experiment import (
    TESTBEDS,
    Question,
    check_testbed,
    default_scenario,
    find_policy,
    run_all,
)
from nodeport_lab.manifests import NO_POLICY
from nodeport_lab.model import Pod, Scenario
from nodeport_lab.testbeds.interface import DEFAULT_DEADLINE

DIFFERS = 1  # a cell is not as documented
MISUSED = 2  # wrong use, or something missing on this machine
INTERRUPTED = 130

app = typer.Typer(
    help="What does a NetworkPolicy do to NodePort traffic? Ask real packets.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
_out = Console(highlight=False)
_err = Console(stderr=True, highlight=False)

_Testbed = Annotated[
    str, typer.Option("-t", "--testbed", help=f"Where packets travel: {', '.join(TESTBEDS)}.")
]
_Options = Annotated[
    list[str] | None,
    typer.Option("-o", "--option", metavar="NAME=VALUE", help="An option of the dataplane."),
]


@app.command("run", epilog="Example: nodeport-lab run -d cilium -o policyCIDRMatchMode=nodes")
def run_command(  # noqa: PLR0913, PLR0917 - one parameter per option
    testbed: _Testbed = "embedded",
    dataplane: Annotated[
        list[str] | None,
        typer.Option(
            "-d", "--dataplane", help=f"Of {', '.join(DATAPLANES)}; may be repeated. Default: all."
        ),
    ] = None,
    option: _Options = None,
    policy: Annotated[
        list[str] | None,
        typer.Option("--policy", help="Name of a policy; may be repeated. Default: all."),
    ] = None,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Also write every observation; - for stdout."),
    ] = None,
    deadline: Annotated[
        float, typer.Option(min=0.05, max=60, help="Seconds that a connection may take.")
    ] = DEFAULT_DEADLINE,
) -> None:
    """Send the report's probes and print its table.

    Exit code 0: every cell is as documented, or undocumented.

    Exit code 1: a cell differs from a documented outcome.

    Exit code 2: wrong use, or something is missing on this machine.
    """
    from nodeport_lab import claims_file, observations  # noqa: PLC0415 - not needed to start
    from nodeport_lab.locations import claims_file as claims_path  # noqa: PLC0415
    from nodeport_lab.report import terminal  # noqa: PLC0415

    questions = _questions(dataplane, option, policy)
    if json_file is not None and str(json_file) != "-" and not json_file.absolute().parent.is_dir():
        raise LabError(f"--json: there is no folder {json_file.absolute().parent}; create it first")
    with Progress(
        TextColumn("sending packets"),
        BarColumn(),
        TextColumn("{task.completed} of {task.total} policies"),
        TimeElapsedColumn(),
        console=_err,
        transient=True,
        disable=not _err.is_terminal,
    ) as bar:
        task = bar.add_task("", total=None)
        runs = run_all(
            questions,
            testbed=testbed,
            deadline=deadline,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    if json_file is not None:
        text = json.dumps(observations.to_json(runs), indent=1) + "\n"
        if str(json_file) == "-":
            sys.stdout.write(text)
        else:
            json_file.write_text(text)
    stated = claims_file.load(claims_path()).documented
    differences = [difference for run in runs for difference in documented.compare(run, stated)]
    screen = _err if str(json_file) == "-" else _out
    screen.print(terminal.report(runs, screen.width))
    for run in runs:
        silent = documented.undocumented(run, stated)
        if silent:
            screen.print(f"{run.dataplane}: {len(silent)} cells above are not documented.")
    for difference in differences:
        screen.print(f"Not as documented: {difference}", style="bold red", soft_wrap=True)
    screen.print(terminal.closing_line(runs), soft_wrap=True)
    if differences:
        raise typer.Exit(DIFFERS)


@app.command(
    "exec",
    context_settings={"allow_interspersed_args": False},
    epilog="Example: nodeport-lab exec -d calico-iptables --policy ipblock-nodes client-a -- "
    "curl -m 1 http://dev-worker:30080/",
)
def exec_command(  # noqa: PLR0913, PLR0917 - one parameter per option
    pod: Annotated[str, typer.Argument(help="Name of a pod.")],
    command: Annotated[list[str], typer.Argument(help="What to run in it.")],
    dataplane: Annotated[
        str, typer.Option("-d", "--dataplane", help=f"One of {', '.join(DATAPLANES)}.")
    ],
    testbed: _Testbed = "embedded",
    option: _Options = None,
    policy: Annotated[
        str, typer.Option("--policy", help="Name of the policy in force.")
    ] = NO_POLICY,
) -> None:
    """Run a command inside a pod of the lab, where the scenario's names resolve.

    Leaves with the command's own exit code.
    """
    from nodeport_lab.testbeds.embedded import EmbeddedTestbed  # noqa: PLC0415

    check_testbed(testbed)
    command = command[1:] if command[0] == "--" else command
    if not command:
        raise LabError(f"there is nothing to run; write it like: exec {pod} -- curl ADDRESS")
    if shutil.which(command[0]) is None:
        raise LabError(
            f"there is no program {command[0]!r} on this machine; install it, or name another one"
        )
    scenario = default_scenario()
    client = _find_pod(scenario, pod)
    in_force = find_policy(scenario, policy)
    found = find_dataplane(dataplane)
    options = found.complete(_pairs(option))
    with EmbeddedTestbed(scenario, found, options, terminal=True) as running:
        running.apply([in_force] if in_force else [])
        # As in a shell, Ctrl-C is the command's; what it makes of it ends the command or not.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            code = running.execute(client, command)
        finally:
            signal.signal(signal.SIGINT, before)
    raise typer.Exit(code)


@app.command("doctor", epilog="Example: nodeport-lab doctor")
def doctor_command() -> None:
    """Try what this machine can run; say what is missing and the command that mends it."""
    findings = doctor.examine()
    for finding in findings:
        sign = "[green]✓[/]" if finding.works else "[red]✗[/]"
        _out.print(f"{sign} {finding.subject}: {finding.detail}", soft_wrap=True)
        if finding.remedy:
            _out.print(f"    {finding.remedy}", soft_wrap=True)
    if not all(finding.works for finding in findings if finding.needed):
        raise typer.Exit(MISUSED)


def main() -> None:
    """Entry point of `nodeport-lab`."""
    try:
        app()
    except LabError as error:
        _err.print(f"nodeport-lab: {error}", markup=False, soft_wrap=True)
        sys.exit(MISUSED)
    except KeyboardInterrupt:
        _err.print("nodeport-lab: interrupted; nothing was left behind")
        sys.exit(INTERRUPTED)


def _questions(
    dataplanes: list[str] | None, options: list[str] | None, policies: list[str] | None
) -> list[Question]:
    """One question per dataplane; an option goes to the dataplanes that have it."""
    chosen = [find_dataplane(name) for name in dict.fromkeys(dataplanes or DATAPLANES)]
    given = _pairs(options)
    known = {name for dataplane in chosen for name in dataplane.options}
    for name in given:
        if name not in known:
            raise UnknownNameError(
                f"option of {', '.join(one.name for one in chosen)}", name, sorted(known)
            )
    return [
        Question(
            dataplane.name,
            dataplane.complete(
                {name: value for name, value in given.items() if name in dataplane.options}
            ),
            policies,
        )
        for dataplane in chosen
    ]


def _pairs(options: list[str] | None) -> dict[str, str]:
    pairs = {}
    for option in options or ():
        name, equals, value = option.partition("=")
        if not equals:
            raise LabError(f"-o {option!r} has no value; write it like policyCIDRMatchMode=nodes")
        pairs[name] = value
    return pairs


def _find_pod(scenario: Scenario, name: str) -> Pod:
    for pod in scenario.pods:
        if name in (pod.name, pod.key):
            return pod
    raise UnknownNameError("pod", name, [pod.name for pod in scenario.pods])
