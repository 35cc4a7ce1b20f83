"""`nodeport-lab compare`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from nodeport_lab import records
from nodeport_lab.cli.shared import DIFFERS, check_writable, err, out, write
from nodeport_lab.errors import LabError
from nodeport_lab.records import wording


def compare_command(
    a: Annotated[Path, typer.Argument(help="A record, or a folder of records.", metavar="A")],
    b: Annotated[Path, typer.Argument(help="What it is compared with.", metavar="B")],
    *,
    common: Annotated[
        bool,
        typer.Option(
            "--common", help="Hold only what both sides have to be the same; tell the rest."
        ),
    ] = False,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Also write the comparison; - for stdout."),
    ] = None,
    markdown_file: Annotated[
        Path | None,
        typer.Option(
            "--markdown", metavar="FILE", help="Write the text of an issue, if anything differs."
        ),
    ] = None,
) -> None:
    """List the cells in which two records, or two sets of records, differ.

    Runs are paired by dataplane, options and suite, cells by their names. Ports of clients,
    times, addresses and evidence that one side lacks are not compared.

    Exit code 0: nothing differs.

    Exit code 1: something does, or only one side has it.

    Exit code 2: no records, or none that can be compared.
    """
    check_writable({"--json": json_file, "--markdown": markdown_file})
    found = records.compare(records.read(a), records.read(b), records.role)
    if not found.pairs:
        raise LabError(
            f"no run of {a} has the dataplane, options and suite of a run of {b}; compare records "
            "of the same questions"
        )
    differs = bool(found.differences or (found.one_sided and not common))
    if json_file is not None:
        write(json_file, json.dumps(wording.as_json(found), indent=1) + "\n")
    if markdown_file is not None and differs:
        write(markdown_file, wording.as_issue(found))
    (err if str(json_file) == "-" else out).print(wording.on_terminal(found), soft_wrap=True)
    if differs:
        raise typer.Exit(DIFFERS)
