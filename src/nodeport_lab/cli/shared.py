"""What the commands have in common: consoles, exit codes and options."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from nodeport_lab.dataplanes import DATAPLANES
from nodeport_lab.errors import LabError, UnknownNameError
from nodeport_lab.model import Pod, Scenario
from nodeport_lab.testbeds.interface import TESTBEDS

DIFFERS = 1  # a cell is not as documented
MISUSED = 2  # wrong use, or something missing on this machine
INTERRUPTED = 130

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

TestbedOption = Annotated[
    str, typer.Option("-t", "--testbed", help=f"Where packets travel: {', '.join(TESTBEDS)}.")
]
OptionsOption = Annotated[
    list[str] | None,
    typer.Option(
        "-o",
        "--option",
        metavar="NAME=VALUE",
        help="An option of the dataplane, or a variation of the scenario; may be repeated.",
    ),
]
DataplaneOption = Annotated[
    str, typer.Option("-d", "--dataplane", help=f"One of {', '.join(DATAPLANES)}.")
]
FromOption = Annotated[
    str, typer.Option("--from", help="A pod's name, host:NODE, external or external-routed.")
]
ToOption = Annotated[
    str,
    typer.Option("--to", help="pod-ip, cluster-ip, nodeport:NODE, load-balancer or external-ip."),
]
PolicyOption = Annotated[str, typer.Option("--policy", help="Name of the policy in force.")]


def pairs(
    options: Sequence[str] | None, flag: str = "-o", like: str = "policyCIDRMatchMode=nodes"
) -> dict[str, str]:
    """`NAME=VALUE` arguments as a mapping.

    Args:
        options: the arguments.
        flag: what they stand behind.
        like: an example of one.

    Raises:
        LabError: one has no value.
    """
    found = {}
    for option in options or ():
        name, equals, value = option.partition("=")
        if not equals:
            raise LabError(f"{flag} {option!r} has no value; write it like {like}")
        found[name] = value
    return found


def check_writable(files: Mapping[str, Path | None]) -> None:
    """Refuse files that could not be written, before anything runs: option -> file.

    Raises:
        LabError: the folder of one does not exist, or the file cannot be opened.
    """
    for option, file in files.items():
        if file is None or str(file) == "-":
            continue
        if not file.absolute().parent.is_dir():
            raise LabError(
                f"{option}: there is no folder {file.absolute().parent}; create it first"
            )
        try:
            is_new = not file.exists()
            file.open("ab").close()
        except OSError as error:
            raise LabError(
                f"{option}: {file} cannot be written ({error.strerror}); name another file"
            ) from error
        if is_new:
            file.unlink()


def write(file: Path, text: str) -> None:
    """Write a file; `-` is standard output.

    Raises:
        LabError: it cannot be written.
    """
    if str(file) == "-":
        sys.stdout.write(text)
        return
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise LabError(f"{file} cannot be written: {error.strerror}; name another file") from error


def find_pod(scenario: Scenario, name: str) -> Pod:
    """The pod of that name, or of that `namespace/name`.

    Raises:
        UnknownNameError: there is none.
    """
    for pod in scenario.pods:
        if name in {pod.name, pod.key}:
            return pod
    raise UnknownNameError("pod", name, [pod.name for pod in scenario.pods])
